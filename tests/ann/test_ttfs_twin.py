"""The differentiable TTFS twin: the published code, its gradients, and the spikes of the engine's own network."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eventsnn.ann.architectures import conv_net, mlp  # noqa: E402
from eventsnn.ann.settings import TrainSettings  # noqa: E402
from eventsnn.ann.train import train  # noqa: E402
from eventsnn.ann.ttfs_twin import SpikeCode, TtfsTwin  # noqa: E402
from eventsnn.ann.twin_settings import TwinSettings  # noqa: E402
from eventsnn.conversion.fold import fold_batch_norm  # noqa: E402
from eventsnn.conversion.kernels import Kernels  # noqa: E402
from eventsnn.conversion.normalise import normalise  # noqa: E402
from eventsnn.conversion.t2fsnn import to_t2fsnn  # noqa: E402
from eventsnn.encoders import ttfs_kernel  # noqa: E402
from eventsnn.engines import run  # noqa: E402
from eventsnn.errors import ModelError  # noqa: E402

RNG = np.random.default_rng(12)


@pytest.mark.parametrize(("kernel", "table"), [
    ((80, 20.0, 0.0), {1.0: 0, 0.99: 1, 0.9: 3, 0.75: 6, 0.5: 14, 0.25: 28, 0.1: 47, 0.05: 60, 0.02: 79, 0.0193: 79,
                       0.0192: 80, 0.0: 80, -1.0: 80, 3.0: 0}),
    ((20, 5.0, 0.0), {0.9: 1, 0.75: 2, 0.5: 4, 0.25: 7, 0.1: 12, 0.05: 15, 0.0224: 19, 0.022: 20}),
    ((80, 19.455557, -2.0043764), {1.0: 0, 0.9: 1, 0.5: 12, 0.1: 43, 0.02: 75}),
])  # fmt: skip
@pytest.mark.parametrize("shared", [None, "neuron"])
def test_published_vectors(kernel, table, shared):
    window, tau, td = kernel
    code = SpikeCode(window, tau, td, None if shared is None else (len(table),))
    values = code(torch.tensor([list(table)], dtype=torch.float32))[0]
    assert code.steps[0].tolist() == list(table.values())
    expected = [np.exp(-(n - td) / tau) if n < window else 0 for n in table.values()]
    assert np.allclose(values.detach(), expected, rtol=1e-6)


def reference(v, tau, td, window, rounded):
    """The published formula in plain autograd: relu, logarithm, straight-through ceil, exponential, zero below the last."""
    t = torch.relu(td - tau * torch.log(torch.relu(v) + 1e-300))
    if rounded:
        t = t + (torch.ceil(t) - t).detach()
    decoded = torch.exp((td - t) / tau)
    last = torch.exp((td - (window - 1)) / tau).detach()
    return torch.where(v.detach() >= last, decoded, 0)


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("shape", [None, (7,), (2, 3, 4)])
def test_gradients_are_those_of_the_published_formula(rounded, shape):
    sample = (7,) if shape is None else shape
    code = SpikeCode(15, 4.0, 0.7, shape)
    code.rounded = rounded
    with torch.no_grad():
        code.tau += torch.rand(code.tau.shape, dtype=torch.float64)
        code.td -= 2 * torch.rand(code.td.shape, dtype=torch.float64)
    v = torch.tensor(RNG.uniform(-0.3, 2, (40, *sample)), requires_grad=True)
    weight = torch.tensor(RNG.normal(size=(40, *sample)))
    found = code(v)
    own = torch.autograd.grad((found * weight).sum(), (v, code.tau, code.td))
    tau, td = (p.detach().requires_grad_() for p in (code.tau, code.td))
    expected = reference(v, tau, td, 15, rounded)
    # at v just above a threshold the ceil of the formula may round the other way
    assert np.allclose(found.detach(), expected.detach(), rtol=1e-12)
    for mine, theirs in zip(own, torch.autograd.grad((expected * weight).sum(), (v, tau, td))):
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    assert all(g.abs().max() > 0 for g in own[:2 if not rounded else 3])


def test_continuous_codes_are_the_clipped_potential():
    code = SpikeCode(10, 3.0, 0.0)
    code.rounded = False
    v = torch.tensor([[0.01, 0.06, 0.5, 0.99, 1.0, 1.7]], dtype=torch.float64)
    assert torch.allclose(code(v), torch.tensor([[0, 0.06, 0.5, 0.99, 1, 1]], dtype=torch.float64))
    assert torch.equal(code.eval()(v)[0] > 0, v[0] > 0.05) and (code.steps == code.steps.round()).all()


def random_net(exact):
    """A network whose neurons fire about every other time; ``exact``: weights on a grid, so that sums have no rounding."""
    graph, values = conv_net((12, 12, 1), [4, "P", 5], [9], 4, kernel=3, seed=3).astype(np.float64), {}
    for key, value in graph.parameters().items():
        scale = 2.0 ** -np.round(np.log2(np.sqrt(np.prod(value.shape[:-1])))) / 2 if value.ndim > 1 else 0.25
        values[key] = RNG.integers(-4, 5, value.shape) * scale if exact else RNG.uniform(-4, 4, value.shape) * scale
    return graph.with_parameters(values)


def engine_outcome(network, report, x):
    """Steps of the spikes of the input and each population (window: silent), and the output potentials."""
    given = report["input"]
    result = run(network, {"input": ttfs_kernel.encode(x, **given)})
    rows = {row["layer"]: row["t_open"] for row in report["layers"] if row["t_open"] is not None}
    found = {}
    for name, opens in {"input": 0.0, **rows}.items():
        raster = result.rasters[name]
        steps = np.full((len(x), raster.size), given["window"])
        steps[raster.sample_of_spike(), raster.ids] = np.rint(raster.times - opens)
        found["in" if name == "input" else name] = steps
    return found, result.readout


@pytest.mark.parametrize(("dtype", "exact"), [("float32", True), ("float32", False), ("float64", False)])
def test_the_engine_spikes_as_the_twin_does(dtype, exact):
    graph = random_net(exact).astype(dtype)
    window, tau = (8, 1 / np.log(2)) if exact else (20, 5.0)
    kernels = Kernels.uniform(("conv1", "conv2", "dense1"), tau)
    if not exact:
        kernels = kernels.replaced({"conv1": 4.3, "dense1": 6.2}, {"conv1": 0.4, "conv2": -1.2})
    x = RNG.random((6, 12, 12, 1)).astype(dtype)
    twin = TtfsTwin(graph, TwinSettings(window=window, tau=tau), getattr(torch, dtype)).eval()
    with torch.no_grad():
        for name, code in twin.coded.items():
            code.tau.fill_(kernels.tau[name])
            code.td.fill_(kernels.td[name])
        potentials = twin(torch.tensor(x)).numpy()
    network, report = to_t2fsnn(graph, x, rule="none", kernels=kernels, t_fire_start=window, t_fire_duration=window, dtype=dtype)
    steps, membrane = engine_outcome(network, report, x)
    for name in ("in", "conv1", "conv2", "dense1"):
        own = twin.coded[name].steps.numpy()
        own = own.transpose(0, 2, 3, 1) if own.ndim == 4 else own
        assert (own.reshape(len(x), -1) == steps[name]).all()
        assert 0 < (steps[name] < window).mean() < 1
    if exact:
        assert (potentials == membrane).all()
    assert np.allclose(potentials, membrane, rtol=1e-5 if dtype == "float32" else 1e-12)


def task():
    """Four classes of images that differ in where they are bright, and a network that has learnt them."""
    labels = RNG.integers(0, 4, 160)
    images = RNG.integers(0, 90, (160, 6, 6, 1), dtype=np.uint8)
    for i, c in enumerate(labels):
        images[i, 3 * (c // 2) : 3 * (c // 2) + 3, 3 * (c % 2) : 3 * (c % 2) + 3] += 90
    base = {"batch_size": 16, "learning_rate": 0.01, "threads": 1, "device": "cpu", "seed": 5}
    net = train(conv_net((6, 6, 1), [4, "P"], [8], 4, batch_norm=True, seed=1), (images, labels), {**base, "epochs": 6}).graph
    return images, labels, normalise(fold_batch_norm(net), images / np.float32(255), output=False)[0], base


def test_training_through_the_twin_improves_and_resumes(tmp_path):
    images, labels, graph, base = task()
    settings = {**base, "learning_rate": 2e-3, "validation": 40, "twin": {"window": 6, "tau": 1.5, "kernel_rate": 20.0}}
    before = train(graph, (images, labels), {**settings, "epochs": 0}).graph
    straight = train(graph, (images, labels), {**settings, "epochs": 4})
    kernels = straight.graph.meta["ttfs_kernels"]
    assert list(kernels["tau"]) == list(kernels["td"]) == ["in", "conv1", "dense1"]
    assert before.meta["ttfs_kernels"]["tau"]["conv1"] == 1.5 != kernels["tau"]["conv1"]
    assert kernels["td"]["in"] == 0 and kernels["td"]["conv1"] != 0
    assert straight.curve[-1]["train_loss"] < 0.8 * straight.curve[0]["train_loss"]

    def kill(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(graph, (images, labels), {**settings, "epochs": 4}, checkpoint=tmp_path / "c.npz", progress=kill)
    resumed = train(graph, (images, labels), {**settings, "epochs": 4}, checkpoint=tmp_path / "c.npz")
    assert resumed.graph.meta["ttfs_kernels"] == kernels
    for key, value in straight.graph.parameters().items():
        assert value.tobytes() == resumed.graph.parameters()[key].tobytes()


def test_rounded_epochs_and_kernels_of_neurons():
    images, labels, graph, base = task()
    twin = {"window": 12, "tau": 3.0, "shared": "neuron", "input": "real", "rounded_epochs": 1}
    settings = {**base, "learning_rate": 1e-3, "epochs": 2, "keep": "best", "validation": 20, "twin": twin}
    result = train(graph, (images, labels), settings)
    kernels = result.graph.meta["ttfs_kernels"]
    assert np.shape(kernels["tau"]["conv1"]) == (6, 6, 4) and np.shape(kernels["td"]["dense1"]) == (8,)
    assert kernels["tau"]["in"] == 3.0 and np.ptp(kernels["tau"]["conv1"]) > 0


def test_bad_options_are_refused():
    for options, message in (({"window": 0}, "window"), ({"tau": 0.0}, "tau"), ({"input": "reel"}, "did you mean 'real'"),
                             ({"shared": "all"}, "shared"), ({"rounded_epochs": -1}, "rounded_epochs")):  # fmt: skip
        with pytest.raises(ModelError, match=message):
            TwinSettings(**options)
    with pytest.raises(ModelError, match="float32"):
        TrainSettings(precision="bfloat16", twin=TwinSettings())
    with pytest.raises(ModelError, match=r"'norm1'.*fold"):
        TtfsTwin(conv_net((6, 6, 1), [4], [], 3, batch_norm=True), TwinSettings())
    assert TrainSettings(twin={"tau": 3.0}).to_dict()["twin"]["tau"] == 3.0 and mlp(3, [2], 2).meta == {}
