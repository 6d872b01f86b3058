"""TorchTtfs: exact gradients on convolutional networks, equal to DenseTtfs on dense ones, equal to the event engine."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eventsnn import run  # noqa: E402
from eventsnn.ann.architectures import conv_net, mlp  # noqa: E402
from eventsnn.ann.graph import LayerGraph  # noqa: E402
from eventsnn.ann.layers import AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU  # noqa: E402
from eventsnn.ann.torch_net import TorchNet  # noqa: E402
from eventsnn.conversion.ttfs import to_ramps  # noqa: E402
from eventsnn.encoders.ttfs import encode  # noqa: E402
from eventsnn.errors import DataError, ModelError, RunError  # noqa: E402
from eventsnn.learning.ttfs.dense import DenseTtfs  # noqa: E402
from eventsnn.learning.ttfs.settings import TtfsSettings  # noqa: E402
from eventsnn.learning.ttfs.torch_layers import outward  # noqa: E402
from eventsnn.learning.ttfs.torch_net import TorchTtfs  # noqa: E402

RNG = np.random.default_rng(11)
WIDE = {"window": "fixed", "windows": 1000.0}


def conv(name, kernel, c_in, c_out, bias=None, **options):
    """A float64 convolution; ``bias``: shape of a map, or one offset per channel."""
    weights = RNG.normal(size=(*kernel, c_in, c_out)) / np.sqrt(kernel[0] * kernel[1] * c_in)
    return Conv2d(name, weights, RNG.normal(scale=0.3, size=bias or c_out), **options)


def dense(name, n_in, n_out, bias=True):
    """A float64 dense layer."""
    return Dense(name, RNG.normal(size=(n_in, n_out)) / np.sqrt(n_in), RNG.normal(size=n_out) if bias else None)


NETS = {
    "same, bias map, max pool": LayerGraph((6, 5, 2), [
        conv("c1", (3, 3), 2, 4, (6, 5, 4)), ReLU("r1"), MaxPool2d("p1"), conv("c2", (3, 3), 4, 3, (3, 2, 3)), ReLU("r2"),
        Flatten("f"), dense("d1", 18, 5), ReLU("r3"), dense("out", 5, 3),
    ]),
    "valid, even kernel, stride, min pool": LayerGraph((9, 9, 1), [
        conv("c1", (2, 4), 1, 3), ReLU("r1"), MaxPool2d("p1", 2, (1, -1, -1)), conv("c2", (3, 3), 3, 4, padding="valid"),
        ReLU("r2"), conv("c3", (2, 2), 4, 4, stride=2), ReLU("r3"), Flatten("f"), dense("out", 4, 3, bias=False),
    ]),
    "pools in front and behind": LayerGraph((12, 8, 2), [
        AveragePool2d("p0"), conv("c1", (5, 3), 2, 3), ReLU("r1"), AveragePool2d("p1"), conv("c2", (1, 1), 3, 4),
        MaxPool2d("p2", 2), ReLU("r2"), Flatten("f"), dense("out", 4, 4),
    ]),
    "dense": LayerGraph((7,), [dense("d1", 7, 6), ReLU("r1"), dense("d2", 6, 5), ReLU("r2"), dense("out", 5, 3)]),
}  # fmt: skip


def batch(graph, n=7):
    """Inputs in [0, 1], a fifth of them silent, and labels."""
    x = RNG.random((n, *graph.input_shape))
    x[RNG.random(x.shape) < 0.2] = 0
    return x, RNG.integers(0, graph.output_shape[0], n)


def gradients(backend):
    """The gradients of the last step in the graph's layout."""
    return {f"{x.name}.{key}": outward(g) for x in backend.layers for key, g in zip(("weights", "bias"), x.gradients)}


def loss_of(graph, x, labels):
    """Mean cross-entropy by the NumPy forward pass of the graph."""
    v = graph.forward(x)
    return float(np.mean(np.log(np.exp(v - v.max(1, keepdims=True)).sum(1)) + v.max(1) - v[np.arange(len(v)), labels]))


def autograd(graph, x, labels):
    """Loss and gradients of the ReLU network by PyTorch's own differentiation."""
    net = TorchNet(graph)
    loss = torch.nn.functional.cross_entropy(net(torch.as_tensor(x)), torch.as_tensor(labels))
    loss.backward()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(parameter.grad)
    return loss.item(), net.arrays()


@pytest.mark.parametrize("name", NETS)
def test_gradients_equal_autograd_of_the_relu_network(name):
    graph = NETS[name]
    x, labels = batch(graph)
    for neuron in ("b1", "relu"):
        backend = TorchTtfs(graph, TtfsSettings(neuron=neuron, **WIDE), "cpu")
        step, own = backend.step(x, labels, (0, 0)), gradients(backend)
        loss, expected = autograd(graph, x, labels)
        assert step.loss == pytest.approx(loss, rel=1e-12)
        assert step.correct == np.count_nonzero(graph.forward(x).argmax(1) == labels)
        for key, value in expected.items():
            assert np.abs(own[key] - value).max() <= 1e-12 * np.abs(value).max(), key
        hidden = [layer.name for layer in backend.layers[:-1]]
        values = graph.forward(x, keep=True)
        assert step.largest == pytest.approx([max(0.0, values[layer].max()) for layer in hidden], rel=1e-12)
        assert np.allclose(backend.outputs(x), graph.forward(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_gradients_equal_central_differences(name):
    graph = NETS[name]
    x, labels = batch(graph)
    backend = TorchTtfs(graph, TtfsSettings(**WIDE), "cpu")
    backend.step(x, labels, (0, 0))
    for key, slope in gradients(backend).items():
        if key not in graph.parameters():  # an offset that the graph leaves out
            continue
        value, along = graph.parameters()[key], RNG.normal(size=slope.shape)
        ends = [loss_of(graph.with_parameters({key: value + h * along}), x, labels) for h in (1e-6, -1e-6)]
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(np.vdot(slope, along), rel=2e-6, abs=1e-8), key


def saturated(graph, windows, x):
    """Forward pass of a graph whose hidden activations are clipped at their windows: ReLU, then the clip."""
    lengths = iter(windows)
    for layer in graph.layers:
        x = layer.apply(x)
        x = np.minimum(x, next(lengths)) if isinstance(layer, ReLU) else x
    return x


def test_saturation_has_gradient_zero_and_unclamped_ignores_windows():
    graph = NETS["same, bias map, max pool"]
    x, labels = batch(graph, 9)
    windows = (0.6, 0.5, 0.7)
    settings = TtfsSettings(window="fixed", windows=windows)
    backend = TorchTtfs(graph, settings, "cpu")
    step = backend.step(x, labels, (0, 0))
    assert tuple(step.largest) == windows
    for key, slope in gradients(backend).items():
        value, along, ends = graph.parameters()[key], RNG.normal(size=slope.shape), []
        for h in (1e-6, -1e-6):
            v = saturated(graph.with_parameters({key: value + h * along}), windows, x)
            ends.append(np.mean(np.log(np.exp(v).sum(1)) - v[np.arange(len(v)), labels]))
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(np.vdot(slope, along), rel=2e-6, abs=1e-8), key
    free = TorchTtfs(graph, replace(settings, early="unclamped"), "cpu")
    assert np.allclose(free.outputs(x), graph.forward(x), rtol=0, atol=1e-12)
    assert not np.allclose(backend.outputs(x), graph.forward(x), rtol=0, atol=1e-3)


CASES = {
    "plain": {},
    "sgd, L2": {"optimiser": "sgd", "weight_decay": 0.01},
    "saturation": {"window": "fixed", "windows": (0.5, 0.4)},
    "unclamped": {"window": "fixed", "windows": 0.3, "early": "unclamped"},
    "time noise": {"noise_times": 0.1},
    "time noise of silent neurons": {"noise_times": 0.1, "noise_silent": True},
    "slope noise": {"noise_alpha": 0.2},
    "time bits": {"time_bits": 3, "window": "fixed", "windows": (1.5, 2.0)},
    "time bits, floor": {"time_bits": 4, "time_rounding": "floor", "window": "fixed", "windows": (1.5, 2.0)},
    "weight bits": {"weight_bits": 3, "weight_range": (-0.5, 0.5)},
    "weight bits, symmetric": {"weight_bits": 4, "weight_grid": "symmetric"},
    "silent neurons": {"silent_help": 0.3, "optimiser": "sgd"},
    "activity": {"activity_penalty": 0.05, "optimiser": "sgd", "window": "fixed", "windows": (0.5, 8.0)},
    "all": {"activity_penalty": 0.01, "noise_times": 0.05, "noise_alpha": 0.1, "time_bits": 5, "weight_bits": 4,
            "silent_help": 0.1, "weight_decay": 1e-3, "window": "fixed", "windows": (0.9, 0.8), "optimiser": "sgd"},
    "relu": {"neuron": "relu"},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_equal_to_the_dense_backend(case):
    graph = mlp(12, [9, 8], 4, seed=3).astype(np.float64)
    graph = graph.with_parameters({k: v - 0.15 * (v.ndim == 1) for k, v in graph.parameters().items()})
    settings = TtfsSettings(**{"window": "fixed", "windows": 8.0, **CASES[case]})
    one, two = DenseTtfs(graph, settings), TorchTtfs(graph, settings, "cpu")
    for number in range(4):
        x, labels = batch(graph)
        steps = [backend.step(x, labels, (5, number)) for backend in (one, two)]
        assert steps[0].loss == pytest.approx(steps[1].loss, rel=1e-10) and steps[0].correct == steps[1].correct
        assert np.allclose(steps[0].largest, steps[1].largest, rtol=1e-11) and np.allclose(one.norms, two.norms, rtol=1e-10)
        one.update(0.01)
        two.update(0.01)
    x, _ = batch(graph, 30)
    ours, theirs = two.state(), one.state()
    assert ours.keys() == theirs.keys()
    assert all(np.allclose(ours[key], theirs[key], rtol=1e-9, atol=1e-11) for key in theirs)
    assert np.allclose(one.outputs(x, (7, 1), True), two.outputs(x, (7, 1), True), rtol=0, atol=1e-10)
    assert all((a == b).all() for a, b in zip(one.activity(x), two.activity(x)))
    pairs = zip(one.graph().parameters().items(), two.graph().parameters().items())
    assert all(a == b and np.allclose(v, w, rtol=0, atol=1e-10) for (a, v), (b, w) in pairs)


def test_noise_and_bits_on_a_convolutional_network():
    graph = NETS["same, bias map, max pool"]
    x, labels = batch(graph, 3)
    noisy = TorchTtfs(graph, TtfsSettings(**WIDE, noise_times=0.05), "cpu")
    assert (noisy.outputs(x, (1, 2), True) == noisy.outputs(x, (1, 2), True)).all()
    assert (noisy.outputs(x, (1, 2), True)[:2] == noisy.outputs(x[:2], (1, 2), True)).all()
    assert not np.allclose(noisy.outputs(x, (1, 2), True), noisy.outputs(x, (1, 3), True))
    assert (noisy.outputs(x) == TorchTtfs(graph, TtfsSettings(**WIDE), "cpu").outputs(x)).all()
    coarse = TorchTtfs(graph, TtfsSettings(weight_bits=3, time_bits=4, window="fixed", windows=3.0), "cpu")
    coarse.step(x, labels, (0, 0))
    levels = np.unique(coarse.graph().parameters()["c1.weights"])
    assert len(levels) <= 8 and np.allclose(np.diff(levels) / np.diff(levels).min() % 1, 0, atol=1e-6)
    assert len(np.unique(coarse.graph().parameters()["out.weights"])) == 15
    silent = TorchTtfs(graph.with_parameters({"c2.bias": np.full((3, 2, 3), -9.0)}), TtfsSettings(**WIDE, silent_help=0.5), "cpu")
    plain = TorchTtfs(silent.source, TtfsSettings(**WIDE), "cpu")
    values = silent.source.forward(x, keep=True)
    lack = sum(-values[layer].mean(axis=0)[(values[layer] <= 0).all(axis=0)].sum() for layer in silent.hidden)
    step, bare = silent.step(x, labels, (0, 0)), plain.step(x, labels, (0, 0))
    assert step.loss - bare.loss == pytest.approx(0.5 * lack, rel=1e-9)
    assert gradients(silent)["c2.bias"] == pytest.approx(np.full((3, 2, 3), -0.5))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_first_of_equal_positions_has_the_gradient_of_a_pool(sign):
    weights = np.ones((1, 1, 1, 1))
    graph = LayerGraph((2, 4, 1), [Conv2d("c", weights, np.zeros((2, 4, 1))), ReLU("r"), MaxPool2d("p", 2, (sign,)), Flatten("f"),
                                   Dense("d", np.array([[1.0, 0], [0, 2]]), np.zeros(2))])  # fmt: skip
    backend = TorchTtfs(graph, TtfsSettings(**WIDE), "cpu")
    x = np.array([[[0.5, 0.5, 0.25, 0.5], [0.5, 0.5, 0.5, 0.25]]]).reshape(1, 2, 4, 1)
    backend.step(x, np.array([0]), (0, 0))
    passed = gradients(backend)["c.bias"][:, :, 0] != 0
    second = [[False, True], [False, False]] if sign == 1 else [[True, False], [False, False]]
    assert (passed[:, :2] == [[True, False], [False, False]]).all() and (passed[:, 2:] == second).all()
    _, expected = autograd(graph, x, np.array([0]))
    assert (gradients(backend)["c.bias"] == expected["c.bias"]).all()


@pytest.mark.parametrize("name", ["same, bias map, max pool", "valid, even kernel, stride, min pool"])
def test_the_event_engine_computes_the_same(name):
    graph = NETS[name]
    x, labels = batch(graph, 6)
    backend = TorchTtfs(graph, TtfsSettings(window="fixed", windows=20.0, learning_rate=0.01), "cpu")
    for number in range(3):
        backend.step(x, labels, (0, number))
        backend.update(0.01)
    network, _ = to_ramps(backend.graph(), x, rule="fixed", windows=list(backend.windows), dtype="float64")
    result = run(network, {"input": encode(x, dtype="float64")})
    assert np.allclose(result.readout, backend.outputs(x), rtol=0, atol=1e-10)
    for layer, counts in zip(backend.hidden, backend.activity(x)):
        assert np.bincount(result.rasters[layer].ids, minlength=counts.size).tolist() == counts.tolist()


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_saved_state_goes_on_bit_for_bit(optimiser):
    graph = conv_net((6, 6, 1), [3, "P", 4], [5], 3, seed=1)
    settings = TtfsSettings(**WIDE, precision="float32", optimiser=optimiser, noise_times=0.01)
    x, labels = batch(graph)
    first, whole = TorchTtfs(graph, settings, "cpu"), TorchTtfs(graph, settings, "cpu")
    for backend in (first, whole):
        backend.step(x, labels, (0, 0))
        backend.update(0.01)
    resumed = TorchTtfs(graph, settings, "cpu")
    resumed.load(first.state())
    for backend in (resumed, whole):
        backend.step(x, labels, (0, 1))
        backend.update(0.01)
    one, two = resumed.state(), whole.state()
    assert all(one[key].tobytes() == two[key].tobytes() for key in two)
    assert whole.graph().dtype == np.float32 and (whole.graph().parameters()["conv1.weights"] == two["conv1.weights"]).all()
    with pytest.raises(DataError, match=r"'conv1.weights' of shape \(3, 3, 1, 3\)"):
        resumed.load({})


def test_what_it_refuses():
    graph = NETS["same, bias map, max pool"]
    fixed = {"window": "fixed", "windows": 9.0}
    with pytest.raises(ModelError, match="alpha1"):
        TorchTtfs(graph, TtfsSettings(neuron="alpha1", **fixed))
    with pytest.raises(ModelError, match="windows must be one length or 3"):
        TorchTtfs(graph, TtfsSettings(window="fixed", windows=(1.0, 2.0)))
    with pytest.raises(ModelError, match="must be Dense"):
        TorchTtfs(LayerGraph((4, 4, 1), [conv("c", (3, 3), 1, 2)]), TtfsSettings())
    if not torch.cuda.is_available():
        with pytest.raises(RunError, match="finds no GPU"):
            TorchTtfs(graph, TtfsSettings(), "cuda")
