"""Ungated and alpha-1 ramps, run spike by spike, against the ReLU network that they come from."""

import json

import numpy as np
import pytest

from eventsnn.ann.architectures import mlp
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
from eventsnn.conversion import free_ramps
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.free_ramps import alpha_weights, build_free, free_layers, largest_activations, rescale
from eventsnn.conversion.segments import cut
from eventsnn.conversion.ttfs import to_ramps
from eventsnn.encoders import ttfs
from eventsnn.engines.run import run
from eventsnn.errors import ModelError
from eventsnn.projections import Dense as DenseSynapses

EPS = np.finfo(float).eps
FREE = ("ramp_ungated", "ramp_alpha1")


def noisy(graph, seed=4):
    """The graph in float64 with biases away from 0."""
    rng = np.random.default_rng(seed)
    return graph.astype(np.float64).with_parameters(
        {k: v + rng.normal(0, 0.1, v.shape) for k, v in graph.astype(np.float64).parameters().items()})


def deep():
    return noisy(mlp(30, [40, 30, 20], 10))


def conv(stride=1, padding="same", kernel=3):
    """Two convolutions without pools, on images of 6 x 7 x 2."""
    rng = np.random.default_rng(8)
    first = Conv2d("c1", rng.normal(0, 0.3, (kernel, kernel, 2, 3)), rng.normal(0, 0.2, 3), stride, padding)
    second = Conv2d("c2", rng.normal(0, 0.3, (2, 2, 3, 2)), None, 1, "same")
    size = int(np.prod(second.out_shape(first.out_shape((6, 7, 2)))))
    last = Dense("d", rng.normal(0, 0.3, (size, 4)), rng.normal(0, 0.2, 4))
    return LayerGraph((6, 7, 2), [first, ReLU("r1"), second, ReLU("r2"), Flatten(), last])


def images(graph, count=8, seed=5):
    """Inputs with zeros; one sample of nothing else, one of ones."""
    x = np.random.default_rng(seed).random((count, *graph.input_shape))
    x[x < 0.3] = 0
    x[0], x[1] = 0, 1
    return x


def spiking(graph, x, model, **options):
    """Convert and run; returns (result, report)."""
    network, report = to_ramps(graph, x, model=model, **options)
    return run(network, {"input": ttfs.encode(x, dtype="float64", silent=model != "ramp_alpha1")}), report


def full(synapses, shape):
    """Weights as a matrix (sources, targets)."""
    if isinstance(synapses, DenseSynapses):
        return synapses.weights
    matrix = np.zeros(shape)
    np.add.at(matrix, (synapses.sources, synapses.targets), synapses.weights)
    return matrix


def written_out(graph, model):
    layers = free_layers(*cut(fold_batch_norm(graph)))
    return rescale(layers) if model == "ramp_alpha1" else layers


GRAPHS = {
    "deep": deep, "conv": conv, "stride": lambda: conv(2), "valid": lambda: conv(2, "valid"),
    "even": lambda: conv(1, "same", 4),
}  # fmt: skip


@pytest.mark.parametrize("model", FREE)
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("zeta", [0.5, 4.0])
def test_every_spike_is_the_activation(name, model, zeta):
    graph = GRAPHS[name]()
    x = images(graph)
    found, report = spiking(graph, x, model, zeta=zeta)
    json.dumps(report)
    incoming, slope = x.reshape(len(x), -1), 1.0
    for layer in written_out(graph, model):
        weights = full(layer.synapses, (incoming.shape[1], layer.bias.size))
        sums = incoming @ weights + layer.bias
        if layer.is_output:
            size = report["latency"] + incoming @ np.abs(weights)
            assert (np.abs(found.readout - sums) <= 64 * EPS * size).all()
            break
        row = next(r for r in report["layers"] if r["layer"] == layer.name)
        if model == "ramp_alpha1":
            slope = 1.0 / (1.0 - weights.sum(axis=0))
        times = found.rasters[layer.name].first_times()
        bound = 64 * EPS * (row["t_close"] + incoming @ np.abs(weights * slope))
        fired = np.isfinite(times)
        own = np.where(fired, row["t_close"] - times, 0.0)
        assert (np.abs(own - np.maximum(sums, 0)) <= bound).all()
        sure = np.abs(sums) > bound
        assert (fired[sure] == (sums > 0)[sure]).all() if model == "ramp_ungated" else fired.all()
        assert (times[fired] >= row["t_open"] - 1e-12).all()
        incoming = own
    assert np.allclose(found.readout, graph.forward(x), rtol=0, atol=1e-12)
    assert (found.prediction == graph.forward(x).argmax(axis=1)).all() and (found.latency == report["latency"]).all()


@pytest.mark.parametrize("alpha", [0.125, 1.0, 7.0])
def test_alpha1_spikes_exactly_once_for_any_alpha(alpha):
    graph = deep()
    x = images(graph, 12)
    found, report = spiking(graph, x, "ramp_alpha1", alpha=alpha)
    for row in report["layers"]:
        raster = found.rasters[row["layer"]]
        assert (raster.counts() == 1).all()
        relu = graph.forward(x, upto=row["layer"]).reshape(len(x), -1)
        assert (raster.first_times()[relu < -1e-9] == row["t_close"]).all()  # forced
    assert np.allclose(found.readout, graph.forward(x), rtol=0, atol=1e-11)
    assert report["alpha"] == alpha and report["mapping"] == "ttfs_alpha1"


def test_ungated_equals_gated_where_nothing_is_early():
    graph = deep()
    x = images(graph, 12)
    gated, _ = spiking(graph, x, "ramp", dtype="float64")
    found, report = spiking(graph, x, "ramp_ungated")
    for row in report["layers"]:
        own, other = found.rasters[row["layer"]], gated.rasters[row["layer"]]
        assert (own.counts() == other.counts()).all() and own.counts().max() == 1
        assert np.allclose(own.first_times(), other.first_times(), rtol=0, atol=1e-13)
    assert np.allclose(found.readout, gated.readout, rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", FREE)
def test_too_small_windows_spike_early_and_are_wrong(model):
    graph = deep()
    x = images(graph, 20)
    found, report = spiking(graph, x, model, zeta=-0.3)
    early = sum(int((found.rasters[r["layer"]].times < r["t_open"]).sum()) for r in report["layers"])
    assert early > 0 and all(row["saturates"] for row in report["layers"])
    assert np.abs(found.readout - graph.forward(x)).max() > 0.05
    assert np.abs(spiking(graph, x, model, zeta=0.5)[0].readout - graph.forward(x)).max() < 1e-12


@pytest.mark.parametrize("bounds", [(-10.0, 0.99), (-0.5, 0.25), (-1e-3, 1e-3)])
@pytest.mark.parametrize("name", ["deep", "conv"])
def test_rescaling_keeps_the_function(name, bounds):
    graph = GRAPHS[name]()
    x = images(graph).reshape(8, -1)
    before = written_out(graph, "ramp_ungated")
    after = rescale(before, bounds)
    old = new = x
    for a, b in zip(before, after):
        wide, narrow = (full(layer.synapses, (old.shape[1], a.bias.size)) for layer in (a, b))
        old, new = old @ wide + a.bias, new @ narrow + b.bias
        if b.is_output:
            assert (b.bias == a.bias).all() and (b.factor == 1).all()
        else:
            sums = b.column_sums()
            assert (sums >= bounds[0] * (1 + 1e-12)).all() and (sums <= bounds[1] * (1 + 1e-12)).all()
            assert (b.factor > 0).all() and (b.factor <= 1).all()
            old, new = np.maximum(old, 0), np.maximum(new, 0)
        assert np.allclose(new, old * b.factor, rtol=1e-12, atol=1e-13)
    first, same = before[0], after[0].factor == 1
    assert (after[0].column_sums()[same] == first.column_sums()[same]).all() and (after[0].bias[same] == first.bias[same]).all()
    assert len(after) == len(before) and not same.all()


def test_largest_activations_are_those_of_the_rescaled_network():
    graph = deep()
    x = images(graph)
    layers = rescale(free_layers(*cut(graph)), (-0.5, 0.25))
    found, value = largest_activations(graph, x, layers), x
    for layer in layers[:-1]:
        value = np.maximum(value @ layer.synapses.weights + layer.bias, 0)
        assert found[layer.name] == pytest.approx(value.max(), rel=1e-12)
    dead = graph.with_parameters({"hidden1.weights": np.zeros((30, 40)), "hidden1.bias": -np.ones(40)})
    assert largest_activations(dead, x, free_layers(*cut(dead)))["hidden1"] == 1


def test_the_worked_example():
    """Reference 2.1: x = (0.8, 0.5), w = (1, -0.4), b = 0.1, R = 3; the spike is at 3.3 in both models."""
    graph = LayerGraph((2,), [Dense("h", [[1.0], [-0.4]], [0.1]), ReLU(), Dense("o", [[1.0]])])
    for model in FREE:
        found, _ = spiking(graph, [[0.8, 0.5]], model, rule="fixed", windows=3.0)
        assert found.rasters["h"].times == pytest.approx([3.3], abs=1e-14) and found.readout == pytest.approx(0.7, abs=1e-14)


def test_input_range_is_fused():
    graph = deep()
    x = images(graph) * 6 - 3
    for model in FREE:
        network, report = to_ramps(graph, x, model=model, p=-3, q=3)
        raster = ttfs.encode(x, p=-3, q=3, dtype="float64", silent=model != "ramp_alpha1")
        assert np.allclose(run(network, {"input": raster}).readout, graph.forward(x), rtol=0, atol=1e-11)
        assert report["input_range"] == [-3, 3]


@pytest.mark.parametrize(("options", "message"), [
    ({"model": "ramp_ungatd"}, "did you mean 'ramp_ungated'"), ({"model": "ramp_alpha1", "alpha": 0}, "alpha must be > 0"),
    ({"model": "ramp_ungated", "alpha": 2}, "alpha belongs to"), ({"model": "ramp_alpha1", "early": "refuse"}, "early"),
    ({"model": "ramp_ungated", "zeta": -1}, "zeta"),
])  # fmt: skip
def test_bad_options(options, message):
    with pytest.raises(ModelError, match=message):
        to_ramps(mlp(3, [4], 2), np.ones((2, 3)), **options)


def test_what_cannot_be_listed_is_named(monkeypatch):
    layers = [Conv2d("c", np.ones((3, 3, 1, 1))), ReLU(), MaxPool2d("m"), Flatten(), Dense("d", np.ones((4, 2)))]
    pooled = LayerGraph((4, 4, 1), layers)
    with pytest.raises(ModelError, match=r"'m'.*no pools.*gated"):
        to_ramps(pooled, np.ones((1, 4, 4, 1)), model="ramp_ungated")
    monkeypatch.setattr(free_ramps, "MOST_LISTED", 100)
    with pytest.raises(ModelError, match=r"'c1'.*synapses.*at most 100"):
        to_ramps(conv(), np.ones((1, 6, 7, 2)), model="ramp_alpha1")
    with pytest.raises(ModelError, match="at least one"):
        to_ramps(deep(), np.ones((0, 30)), model="ramp_alpha1")
    steep = free_layers(*cut(LayerGraph((2,), [Dense("h", [[1.0], [0.5]]), ReLU(), Dense("o", [[1.0]])])))
    with pytest.raises(ModelError, match=r"'h'.*neuron 0 sum to 1.5"):
        alpha_weights(steep[0], 1.0)
    with pytest.raises(ModelError, match="below 1"):
        build_free((2,), steep, {"h": {"t_open": 1.0, "window": 1.0}}, 2.0, alpha=1.0)
