"""Training of hybrid networks: its forward is the engine's, its gradients are the twin's and those of plain autograd."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eventsnn import run  # noqa: E402
from eventsnn.ann.graph import LayerGraph  # noqa: E402
from eventsnn.ann.layers import AveragePool2d, Conv2d, Dense, Dropout, Flatten, ReLU  # noqa: E402
from eventsnn.ann.residual import Residual  # noqa: E402
from eventsnn.conversion.hybrid import HybridNet, encode, to_network  # noqa: E402
from eventsnn.errors import DataError, ModelError  # noqa: E402
from eventsnn.learning.stdb import training as stdb  # noqa: E402
from eventsnn.learning.stdb.net import StdbNet  # noqa: E402
from eventsnn.learning.stdb.norms import gradient_norms, growth  # noqa: E402
from eventsnn.learning.stdb.scan import NEVER, make_rule, scan  # noqa: E402
from eventsnn.learning.stdb.settings import StdbSettings  # noqa: E402
from eventsnn.learning.stdb.surrogates import stdb_table  # noqa: E402
from eventsnn.relays.noise import frozen_masks  # noqa: E402
from tests.reference import stdb as twin  # noqa: E402

SHAPE, CLASSES, IDS = (6, 6, 2), 3, np.array([4, 17, 5])
RULES = {"linear": ("linear", 0.3), "stdb": ("stdb", 0.3, 0.01, 104)}


def graph(kind, grid=None, bias=False):
    """A small network with a pool, masks and dense layers, or with a residual block of either kind of shortcut."""
    rng = np.random.default_rng(7)

    def draw(*shape):
        spread = 1.2 / np.sqrt(np.prod(shape[:-1]))
        weights = rng.normal(0.15 * spread, spread, shape)
        return weights if grid is None else np.round(weights * grid) / grid

    def biased(n):
        return draw(1, n)[0] / 8 if bias and grid is None else (np.arange(n) % 3 - 1) / 64 if bias else None

    layers = [Conv2d("conv1", draw(3, 3, 2, 4), biased(4)), ReLU("relu1")]
    if kind == "vgg":
        layers += [AveragePool2d("pool1"), Conv2d("conv2", draw(3, 3, 4, 5), biased(5)), ReLU("relu2"), Dropout("drop2", 0.5)]
    else:
        inner = [Conv2d("a", draw(3, 3, 4, 4)), ReLU("r"), Dropout("d", 0.5), Conv2d("b", draw(3, 3, 4, 4))]
        wide = [Conv2d("a", draw(3, 3, 4, 5), None, 2), ReLU("r"), Dropout("d", 0.5), Conv2d("b", draw(3, 3, 5, 5))]
        layers += [Residual("block1", inner, ()), ReLU("relu2")]
        layers += [Residual("block2", wide, [Conv2d("s", draw(1, 1, 4, 5), None, 2)]), ReLU("relu3")]
    layers += [Flatten("flatten"), Dense("fc", draw(45, 6), biased(6)), ReLU("relu4"), Dropout("drop4", 0.5)]
    return LayerGraph(SHAPE, [*layers, Dense("out", draw(6, CLASSES), biased(CLASSES))]).astype(np.float64)


def hybrid(kind, grid=None, bias=False, leak=1.0, **options):
    count = 3 if kind == "vgg" else 6
    thresholds = np.array([0.5, 0.75, 0.375, 0.5, 0.625, 0.5][:count]) * (1 if leak > 0.5 else 0.25)
    return HybridNet(graph(kind, grid, bias), thresholds, [leak] * count, **options)


def images(n=3):
    return np.random.default_rng(3).uniform(-1, 1, (n, *SHAPE))


def twin_of(net, masks):
    """Write a hybrid network out as matrices; masks by name of the dropout layer, for one sample."""
    made, source, shape, layers, settings = [], -1, SHAPE, [], iter(zip(net.thresholds, net.leaks))
    weighted = []

    def matrix(layer, shape):
        if isinstance(layer, Dense):
            weighted.append((None, layer.weights.shape))
            return layer.weights
        places = twin.conv_places(shape, layer.weights.shape[0], layer.weights.shape[3], layer.stride)
        weighted.append((places, layer.weights.shape))
        return twin.conv_matrix(layer.weights, places)

    def neurons(inputs):
        theta, leak = next(settings)
        n = inputs[0][1].shape[1]
        layers.append({"inputs": inputs, "theta": theta, "leak": leak, "v_init": net.v_init, "mask": np.ones(n), "pool": None})
        return len(layers) - 1

    for layer in net.graph.layers:
        if isinstance(layer, Conv2d | Dense):
            made = [(source, matrix(layer, shape))]
            shape = layer.out_shape(shape)
        elif isinstance(layer, Residual):
            a, drop, b = layer.body[0], layer.body[2], layer.body[3]
            first = neurons([(source, matrix(a, shape))])
            layers[first]["mask"] = masks[f"{layer.name}_{drop.name}"]
            middle = a.out_shape(shape)
            path = (first, matrix(b, middle))
            beside = matrix(layer.shortcut[0], shape) if layer.shortcut else np.eye(int(np.prod(shape)))
            made, shape = [path, (source, beside)], layer.out_shape(shape)
            weighted += [] if layer.shortcut else [(None, None)]
        elif isinstance(layer, ReLU):
            source = neurons(made)
        elif isinstance(layer, Dropout):
            layers[source]["mask"] = masks[layer.name]
        elif isinstance(layer, AveragePool2d):
            layers[source]["pool"] = twin.pool_matrix(shape)
            shape = layer.out_shape(shape)
        else:
            shape = (int(np.prod(shape)),)
    return [*layers, {"inputs": made}], weighted


def masks_of(net, seed):
    """Return {dropout layer: (n, neurons)} as a run draws them."""
    sizes = {"drop2": 45, "drop4": 6, "block1_d": 144, "block2_d": 45}
    return {name: frozen_masks(0.5, seed, name, IDS, size) for name, size in sizes.items()}


@pytest.mark.parametrize("kind", ["vgg", "residual"])
@pytest.mark.parametrize("propagation", ["pipelined", "same_step"])
@pytest.mark.parametrize("how", [
    {"surrogate": "linear", "reset_gradient": "detached"}, {"surrogate": "stdb", "reset_gradient": "detached"},
    {"surrogate": "linear", "reset_gradient": "attached", "chunk": 5},
    {"surrogate": "stdb", "reset_gradient": "attached", "chunk": 4},
], ids=lambda how: "-".join(map(str, how.values())))  # fmt: skip
def test_gradients_are_the_twins(kind, propagation, how):
    leak, steps, seed = {"linear": 0.9, "stdb": 1.0}[how["surrogate"]], 22, 5
    code = "poisson" if how["reset_gradient"] == "detached" else "direct"
    v_init = 0.5 if code == "direct" else 0.0
    net = hybrid(kind, leak=leak, propagation=propagation, input=code, v_init=v_init)
    settings = StdbSettings(steps=steps, precision="float64", thresholds=True, leaks=True, cutoff=104, **how)
    module, x, labels = StdbNet(net, settings), images(), np.array([0, 2, 1])
    ((_, logits, _),) = module.segments(x, IDS, seed)
    torch.nn.functional.cross_entropy(logits, torch.as_tensor(labels), reduction="sum").backward()
    given = encode(net, x, steps=steps, seed=seed, sample_ids=IDS)
    z0 = given.to_dense().reshape(3, steps, -1) if code == "poisson" else np.repeat(given.values[:, None], steps, 1)
    masks, total, same = masks_of(net, seed), None, propagation == "same_step"
    for k in range(3):
        plain, weighted = twin_of(net, {name: rows[k] for name, rows in masks.items()})
        spikes, y, tape = twin.forward(plain, z0[k], same)
        assert all(0.02 < s.mean() < 0.98 for s in spikes)
        np.testing.assert_allclose(logits[k].detach().numpy(), y, rtol=1e-12, atol=1e-12)
        delta = np.exp(y - y.max()) / np.exp(y - y.max()).sum() - np.eye(CLASSES)[labels[k]]
        found = twin.backward(plain, z0[k], tape, delta, RULES[how["surrogate"]], how["reset_gradient"] == "attached", same)
        flat = [g for layer in found for g in layer["weights"]]
        flat = [g if places is None else twin.conv_gradient(g, places, shape) for g, (places, shape) in zip(flat, weighted)]
        parts = flat, [layer["theta"] for layer in found[:-1]], [layer["leak"] for layer in found[:-1]]
        total = parts if total is None else [[a + b for a, b in zip(one, two)] for one, two in zip(total, parts)]
    modules = _in_order(module, kind)
    for module_, gradient in zip(modules, total[0]):
        if module_ is None:
            continue
        own = module_.weight.grad.numpy()
        own = own.T if own.ndim == 2 else own.transpose(2, 3, 1, 0)
        assert np.abs(gradient).max() > 1e-6
        np.testing.assert_allclose(own, gradient, rtol=1e-12, atol=1e-12 * np.abs(gradient).max())
    for own, gradients in ((module.thetas, total[1]), (module.leaks, total[2])):
        np.testing.assert_allclose([p.grad.item() for p in own], gradients, rtol=1e-11, atol=1e-12)


def _in_order(module, kind):
    """Return the weight modules in the order in which `twin_of` meets them; None is the identity."""
    own = list(module.weights)
    return own if kind == "vgg" else [*own[:3], None, *own[3:5], module.beside[0], *own[5:]]


class _Spike(torch.autograd.Function):
    """A spike as autograd sees it: the surrogate is the derivative at v."""

    @staticmethod
    def forward(ctx, v, slope):
        ctx.save_for_backward(slope)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0], None


@pytest.mark.parametrize("surrogate", ["linear", "stdb"])
@pytest.mark.parametrize("reset", ["attached", "detached"])
@pytest.mark.parametrize("same_step", [False, True])
def test_the_scan_is_plain_autograd(surrogate, reset, same_step):
    settings = StdbSettings(steps=130, surrogate=surrogate, reset_gradient=reset, cutoff=104)
    rule = make_rule(settings, same_step, torch.float64, torch.device("cpu"))
    rng = np.random.default_rng(0)
    drives = rng.normal(0.05, 0.5, (130, 2, 7)) * (rng.random((130, 2, 7)) < 0.1)
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (drives, rng.normal(0, 0.3, (2, 7)), 0.6, 0.97)]
    weight = torch.tensor(rng.normal(size=(130, 2, 7)))

    def plain(drive, u, theta, leak):
        last, out, before = torch.full(u.shape, NEVER), [], torch.zeros_like(u)
        for t in range(130):
            if same_step:
                u = leak * u + drive[t] - theta * (before if reset == "attached" else before.detach())
            v, gap = u / theta - 1, t - last
            slope = (0.3 * (1 - v.abs()).clamp(min=0)).detach()
            if surrogate == "stdb":
                slope = torch.where(gap < 104, 0.3 * torch.exp(-0.01 * gap.double()), torch.zeros_like(u))
            s = _Spike.apply(v, slope)
            if not same_step:
                u = leak * u + drive[t] - theta * (s if reset == "attached" else s.detach())
            last, before = torch.where(s > 0, t, last), s
            out.append(s)
        return torch.stack(out), u

    def chunked(drive, u, theta, leak):
        state, out = (u, torch.zeros_like(u), torch.full(u.shape, NEVER, dtype=torch.int32)), []
        for first in range(0, 130, 50):
            spikes, state = scan(drive[first : first + 50], None, state, theta, leak, rule, first)
            out.append(spikes)
        return torch.cat(out), state[0]

    found = []
    for walk in (plain, chunked):
        spikes, u = walk(*leaves)
        found.append((spikes.detach(), torch.autograd.grad((spikes * weight).sum() + (u**2).sum(), leaves)))
    assert torch.equal(found[0][0], found[1][0]) and 0.01 < found[0][0].mean() < 0.5
    for own, wanted in zip(found[1][1], found[0][1]):
        torch.testing.assert_close(own, wanted, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("kind", ["vgg", "residual"])
@pytest.mark.parametrize("propagation, code, leak, masks, precision", [
    ("pipelined", "poisson", 1.0, False, "float32"), ("pipelined", "poisson", 0.9, True, "float32"),
    ("pipelined", "direct", 0.5, False, "float32"), ("same_step", "poisson", 0.99, True, "float64"),
    ("same_step", "direct", 1.0, False, "float32"),
])  # fmt: skip
def test_the_engine_runs_the_same_spikes(kind, propagation, code, leak, masks, precision):
    options = {"propagation": propagation, "input": code, "v_init": 0.5 if code == "direct" else 0.0}
    net = hybrid(kind, grid=64, bias=True, leak=leak, **options)
    x = np.round(images() * 32) / 32
    settings, seen = StdbSettings(steps=30, precision=precision, chunk=7), {}
    with torch.no_grad():
        logits, counts = StdbNet(net, settings)(x, IDS, 11, masks, seen)
    found = run(to_network(net, dtype=precision, masks=masks), {"input": encode(net, x, steps=30, seed=11, sample_ids=IDS)},
                duration=30, seed=11, sample_ids=IDS)  # fmt: skip
    np.testing.assert_array_equal(found.readout, logits.numpy())
    for name, count in zip(net.layers, counts):
        own = np.concatenate(seen[name]).transpose(1, 0, 2)
        assert 0.001 < own.mean() < 0.95 and own.sum() == count
        np.testing.assert_array_equal(found.rasters[name].to_dense().reshape(own.shape) != 0, own)


def problem(n=96, seed=0):
    """Images whose bright corner tells the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    x = rng.uniform(-0.3, 0.3, (n, *SHAPE))
    for k, (y0, x0) in enumerate([(0, 0), (0, 3), (3, 0)]):
        x[labels == k, y0 : y0 + 3, x0 : x0 + 3] += 0.6
    return x.astype(np.float32), labels


QUICK = {"steps": 12, "epochs": 12, "batch_size": 8, "learning_rate": 2e-2, "validation": 24, "abort_after": 0, "threads": 1,
         "reset_gradient": "attached", "lr_interval": [0.9]}  # fmt: skip


def start(**options):
    return hybrid("vgg", **options)


@pytest.mark.parametrize("how", [
    {"surrogate": "linear"}, {"surrogate": "stdb", "beta": 0.05, "reset_gradient": "detached"},
    {"truncate": 6, "chunk": 3}, {"optimiser": "sgd", "learning_rate": 3e-2, "schedule": "halving"},
    {"thresholds": True, "leaks": True, "logits": "mean", "dropout": 0.1, "shift": 1},
], ids=lambda how: "-".join(map(str, how)))  # fmt: skip
def test_it_learns(how):
    options = {"propagation": "same_step", "input": "direct"} if "leaks" in how else {}
    net, data = start(**options), problem()
    result = stdb.train(net, data, {**QUICK, **how})
    ends = [r for r in result.curve if r["validation_accuracy"] is not None]
    assert len(ends) == 12 and ends[result.epoch - 1]["validation_accuracy"] == max(r["validation_accuracy"] for r in ends)
    assert ends[-1]["train_loss"] < ends[0]["train_loss"] and result.hybrid.graph.dtype == np.float32
    x, labels = problem(60, 1)
    before, after = (stdb.predict(own, x, {"steps": 12}, seed=1)[0].argmax(1) == labels for own in (net, result.hybrid))
    assert after.mean() > max(0.5, before.mean() + 0.2)
    moved = result.hybrid.thresholds != net.thresholds, result.hybrid.leaks != net.leaks
    assert moved == ("thresholds" in how, "leaks" in how) and all(0 <= leak <= 1 for leak in result.hybrid.leaks)
    found = run(to_network(result.hybrid), {"input": encode(result.hybrid, x, steps=12, seed=1)}, duration=12)
    answers = stdb.predict(result.hybrid, x, {"steps": 12}, seed=1)[0]
    np.testing.assert_allclose(found.readout, answers, rtol=1e-4, atol=1e-4)


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    class Killed(Exception):
        """Stands for the kill."""

    settings = {**QUICK, "epochs": 3, "checkpoint_every": 2, "record_every": 2, "shift": 1, "surrogate": "stdb", "leaks": True}
    whole = stdb.train(start(), problem(), settings)
    calls = []

    def kill(record):
        calls.append(record)
        if len(calls) == 4:
            raise Killed

    with pytest.raises(Killed):
        stdb.train(start(), problem(), settings, checkpoint=tmp_path / "c.npz", progress=kill)
    resumed = stdb.train(start(), problem(), settings, checkpoint=tmp_path / "c.npz")
    assert resumed.curve == whole.curve and resumed.hybrid.settings() == whole.hybrid.settings()
    for name, value in whole.hybrid.graph.parameters().items():
        np.testing.assert_array_equal(value, resumed.hybrid.graph.parameters()[name])
    with pytest.raises(DataError, match="other settings"):
        stdb.train(start(), problem(), {**settings, "beta": 0.02}, checkpoint=tmp_path / "c.npz")
    with pytest.raises(DataError, match="other settings"):
        stdb.train(start(leak=0.9), problem(), settings, checkpoint=tmp_path / "c.npz")


def test_schedules_aborts_and_refusals():
    assert [StdbSettings(epochs=50, lr_reduce=5.0, lr_interval=[0.6, 0.8, 0.9], learning_rate=1.0).rate_of(e)
            for e in (1, 29, 30, 40, 45)] == [1, 1, 1 / 5, 1 / 25, 1 / 125]  # fmt: skip
    assert [StdbSettings(epochs=3, learning_rate=1.0).rate_of(e) for e in (1, 2, 3)] == [1, 0.1, 0.1]  # two marks of three agree
    assert StdbSettings(epochs=1, learning_rate=1.0).rate_of(1) == 1
    assert [StdbSettings(schedule="halving", learning_rate=1.0).rate_of(e) for e in (1, 4, 5, 10)] == [1, 1, 0.5, 0.25]
    result = stdb.train(start(), problem(), {**QUICK, "abort_after": 2, "abort_below": 1.0, "learning_rate": 1e-6})
    assert result.aborted and len(result.curve) == 2 and result.epoch in (1, 2)
    none = stdb.train(start(), problem(), {**QUICK, "epochs": 0})
    assert none.epoch == 0 and none.hybrid.thresholds == start().thresholds
    for bad, words in (({"gama": 1}, "gamma"), ({"steps": 0}, "steps"), ({"cutoff": 0}, "cutoff"), ({"dropout": 1.0}, "dropout"),
                       ({"surrogate": "triangle"}, "linear"), (None, "settings must be a dict"),
                       ({"flip": "no"}, "flip must be true or false"), ({"thresholds": "yes"}, "thresholds must be true"),
                       ({"lr_interval": 0.5}, "list of shares"), ({"lr_interval": [0.9, 0.6]}, "ascending")):  # fmt: skip
        with pytest.raises(ModelError, match=words):
            StdbSettings.of(bad)
    with pytest.raises(DataError, match="none is left"):
        stdb.train(start(), problem(), {**QUICK, "validation": 96})
    with pytest.raises(DataError, match="samples have shape"):
        stdb.train(start(), (np.zeros((4, 5, 5, 2), np.float32), np.zeros(4, int)), QUICK)


def test_images_that_a_run_would_refuse_are_refused():
    images, labels = problem()
    for scale, options in ((1.2, {}), (0.7, {"gain": 2.0})):
        x = images / np.abs(images).max() * scale
        with pytest.raises(DataError, match=r"a spike in every step says .* lower gain, or clip"):
            stdb.train(start(**options), (x, labels), QUICK)
        with pytest.raises(DataError, match="or clip"):
            stdb.predict(start(**options), x, {"steps": 12})
        clipped = start(clip=True, **options)
        stdb.train(clipped, (x, labels), {**QUICK, "epochs": 1})
        bounded = np.clip(x, -1 / clipped.gain, 1 / clipped.gain)
        np.testing.assert_array_equal(*(stdb.predict(clipped, own, {"steps": 12})[0] for own in (x, bounded)))
        assert encode(clipped, x, steps=12).times.tolist() == encode(clipped, bounded, steps=12).times.tolist()
    stdb.train(start(input="direct"), (3 * images, labels), {**QUICK, "epochs": 1})
    bytes_ = (255 * np.abs(images)).astype(np.uint8)
    stdb.train(start(), (bytes_, labels), {**QUICK, "epochs": 1})
    hole = images.copy()
    hole[3, 2, 2, 0] = np.nan
    for x, ids, words in ((bytes_, None, "clip"), (hole, None, "finite"), (images[:0], None, "at least one"),
                          (images[:4], [1], "one whole number per sample"), (images[:1], [0.5], "whole number")):  # fmt: skip
        with pytest.raises(DataError, match=words):
            stdb.predict(start(), x, {"steps": 12}, ids)


@pytest.mark.parametrize("how", [{"logits": "mean"}, {"truncate": 6}, {}], ids=str)
def test_losses_of_training_and_validation_have_one_unit(how):
    """Nothing is learnt at a rate of almost 0, and the split is of one kind: both parts have the loss of the start."""
    images, labels = problem(8)
    settings = {**QUICK, "steps": 40, "epochs": 1, "learning_rate": 1e-12, "validation": 64, "batch_size": 64, **how}
    data = np.tile(images, (16, 1, 1, 1)), np.tile(labels, 16)
    record = stdb.train(start(input="direct", propagation="same_step"), data, {**settings, "dropout": 0.0}).curve[-1]
    assert record["validation_loss"] == pytest.approx(record["train_loss"], rel=0.35)


def test_what_cannot_be_trained_through_is_refused_at_once():
    deep = start()  # three spiking layers: a spike is at the output in the fourth step
    for how, words in (({"steps": 3}, "steps must be at least 4, got 3"), ({"truncate": 3}, "truncate must be 0 or at least 4")):
        with pytest.raises(ModelError, match=words):
            stdb.train(deep, problem(), {**QUICK, **how})
        stdb.train(start(propagation="same_step"), problem(), {**QUICK, **how, "epochs": 1})
    stdb.train(deep, problem(), {**QUICK, "steps": 4, "truncate": 4, "epochs": 1})
    masks = [layer for layer in deep.graph.layers if layer.name != "drop2"]  # those of dense layers stay
    bare = replace(deep, graph=replace(deep.graph, layers=masks))
    with pytest.raises(ModelError, match=r"dropout 0\.3 has nothing to act on"):
        stdb.train(bare, problem(), {**QUICK, "dropout": 0.3})
    stdb.train(bare, problem(), {**QUICK, "dropout": 0.0, "epochs": 1})


def test_the_spike_timing_table():
    table = stdb_table(0.3, 0.01, "float32", 500)
    assert len(table) == 105 and table[104] == 0 and abs(table[103] - 0.1068) < 5e-5
    exact = 0.3 * np.exp(-0.01 * np.arange(104))
    np.testing.assert_allclose(table[:88], exact[:88], rtol=1e-8)
    assert 0 < np.abs(table[88:104] / exact[88:] - 1).max() < 3e-3
    assert stdb_table(0.3, 0.01, 10, 500).tolist() == [*exact[:10], 0]
    forever = stdb_table(0.3, 0.01, None, 500)
    assert len(forever) == 502 and forever[500] == 0.3 * np.exp(-5.0) and forever[501] == 0
    # a neuron that spikes at steps 1, 2, 105, 209: gaps 1, 103, 104; before the first it has none
    rule = make_rule(StdbSettings(steps=300, surrogate="stdb"), False, torch.float64, torch.device("cpu"))
    drive = torch.zeros(300, 1, 1, dtype=torch.float64)
    drive[[0, 104, 208]], drive[1] = 1.5, 2.2
    u, gap = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True), []
    theta, leak = (torch.tensor(v, dtype=torch.float64) for v in (1.0, 0.0))
    drive.requires_grad_(True)
    for t in (1, 2, 105, 209):
        state = u, torch.zeros(0), torch.full((1, 1), NEVER, dtype=torch.int32)
        spikes, _ = scan(drive, None, state, theta, leak, rule, 0)
        assert torch.nonzero(spikes.detach()[:, 0, 0]).ravel().tolist() == [1, 2, 105, 209]
        gap.append(torch.autograd.grad(spikes[t, 0, 0], drive)[0][t - 1, 0, 0].item())
    np.testing.assert_allclose(gap, [0.0, table[1], table[103], 0.0])


def test_gradients_grow_with_depth_where_the_reset_is_detached(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "perf"))
    from gradient_depth import deep_net

    for leak in (1.0, 0.9):
        net, x, labels = deep_net(leak, layers=6, width=80, steps=60, batch=3)
        found = {}
        for surrogate in ("linear", "stdb"):
            for reset in ("detached", "attached"):
                how = {"steps": 60, "surrogate": surrogate, "reset_gradient": reset, "precision": "float64", "threads": 1}
                found[surrogate, reset] = growth(gradient_norms(net, x, labels, how))
        assert found["linear", "detached"] > 1.3 * found["linear", "attached"]
        assert found["stdb", "detached"] > 1.8 * found["stdb", "attached"]
        assert 0.6 < found["linear", "attached"] < 1.4 and 0.6 < found["stdb", "attached"] < 1.4
