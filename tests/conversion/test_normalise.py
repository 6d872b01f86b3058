"""Scales of layers, by every rule, against NumPy on the activations themselves; normalised networks against the original."""

import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net, mlp
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.normalise import neuron_thresholds, normalise
from eventsnn.conversion.scales import RULES, layer_scales
from eventsnn.conversion.segments import cut
from eventsnn.conversion.statistics import calibration_record, scan
from eventsnn.errors import ModelError

RNG = np.random.default_rng(3)
HIDDEN = ("conv1", "conv2", "dense1")


def random_net(**options):
    """A folded float64 network whose weights and biases are far from their initial values."""
    graph = conv_net((9, 8, 2), [4, "P", 5], [6], 3, batch_norm=True, seed=2, **options).astype(np.float64)
    values = {k: RNG.uniform(0.3, 2, v.shape) if "norm" in k else v + 0.1 for k, v in graph.parameters().items()}
    return fold_batch_norm(graph.with_parameters(values))


GRAPH = random_net()
X = RNG.uniform(0, 1, (40, 9, 8, 2))


def activations(graph=GRAPH, x=X):
    """Hidden activations after the ReLU, and the raw output."""
    values = graph.forward(x, keep=True)
    return {**{name: np.maximum(values[name], 0) for name in HIDDEN}, "output": values["output"]}


@pytest.mark.parametrize("batch_bytes", [2**26, 30000])
def test_every_rule_against_numpy(monkeypatch, batch_bytes):
    monkeypatch.setattr("eventsnn.ann.graph.BATCH_BYTES", batch_bytes)
    found = activations()
    for percentile in (99.9, 99, 50, 3, 100):
        options = {"percentile": percentile, "output": True}
        pooled = {n: np.percentile(v, percentile) for n, v in found.items()}
        pooled = {n: v if v > 0 else 1.0 for n, v in pooled.items()}
        assert layer_scales(GRAPH, X, rule="percentile", **options) == pytest.approx(pooled, rel=1e-12)
        largest = {n: np.percentile(v, percentile, axis=0).max() for n, v in found.items()}
        largest = {n: v if v > 0 else 1.0 for n, v in largest.items()}
        assert layer_scales(GRAPH, X, rule="neuron_percentile", **options) == pytest.approx(largest, rel=1e-12)
    hidden = {n: found[n] for n in HIDDEN}
    assert layer_scales(GRAPH, X) == pytest.approx({n: v.max() for n, v in hidden.items()}, rel=1e-12)
    weights = {s.name: s.layer.weights.max() for s in cut(GRAPH)[1]}
    assert layer_scales(GRAPH, X, rule="diehl") == pytest.approx({n: max(v.max(), weights[n]) for n, v in hidden.items()})
    for percentile in (100, 90):
        channel = layer_scales(GRAPH, X, rule="channel", percentile=percentile, output=True)
        assert channel.pop("output") == pytest.approx(np.percentile(found["output"], percentile, axis=0).max())
        for name, v in hidden.items():
            top = np.percentile(v, percentile, axis=0).reshape(-1, v.shape[-1]).max(0)
            assert np.allclose(channel[name], np.where(top > 0, top, 1))


def test_diehl_takes_the_weight_where_it_is_larger():
    graph = mlp(3, [2], 2).with_parameters({"hidden1.weights": [[5.0, -1], [-9, 0], [0, 0]]})
    assert layer_scales(graph, np.full((4, 3), 0.1), rule="diehl") == {"hidden1": 5.0}


def test_model_rule_bounds_every_input_and_is_met():
    bounds = layer_scales(GRAPH, None, rule="model", output=True)
    assert list(bounds) == [*HIDDEN, "output"]
    found = activations(x=RNG.integers(0, 2, (200, 9, 8, 2)).astype(float))
    assert all(found[name].max() <= bound * (1 + 1e-12) for name, bound in bounds.items())
    dense = mlp(3, [2], 2).with_parameters({"hidden1.weights": [[1.0, 2], [3, -4], [-5, 1]], "hidden1.bias": [0.5, -1]})
    assert layer_scales(dense, None, rule="model") == {"hidden1": 4.5}
    assert np.maximum(dense.forward(np.array([[1.0, 1, 0]]), upto="hidden1"), 0).max() == 4.5


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("place", ["before_relu", "after_relu"])
def test_a_normalised_network_is_the_same_one_scaled(rule, place):
    graph = random_net(norm_place=place)
    normalised, report = normalise(graph, X, rule=rule, percentile=100.0, calibration="mine")
    scales = {row["layer"]: np.asarray(row["scale"]) for row in report["layers"]}
    before, after = graph.forward(X, keep=True), normalised.forward(X, keep=True)
    for name, scale in scales.items():
        assert np.allclose(after[name] * scale, before[name], rtol=1e-11, atol=1e-11)
        assert name == "output" or rule == "none" or after[name].max() <= 1 + 1e-12
    assert (after["output"].argmax(1) == before["output"].argmax(1)).all()
    assert report["rule"] == rule and report["output_scaled"] and scales["output"].ndim == 0
    assert report["percentile"] == (100.0 if rule in ("neuron_percentile", "percentile", "channel") else None)
    assert report["calibration"] == (None if rule in ("model", "none") else calibration_record("mine", X))
    kept, other = normalise(graph, X, rule=rule, percentile=100.0, output=False, dtype="float32")
    assert np.allclose(kept.forward(X), before["output"], rtol=1e-4, atol=1e-4) and kept.dtype == np.float32
    assert len(other["layers"]) == 3 and not other["output_scaled"]


def test_all_but_the_top_fits():
    normalised, _ = normalise(GRAPH, X, percentile=95.0)
    for name, v in activations(normalised).items():
        assert name == "output" or (v > 1).mean() <= 0.05
    assert any((v > 1).any() for v in activations(normalised).values())


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "channel"])
def test_thresholds_of_neurons(rule):
    """A neuron's own percentile in the normalised network: what its threshold is compared with there."""
    found, values = neuron_thresholds(GRAPH, X, rule=rule, percentile=98.0), activations()
    scales = layer_scales(GRAPH, X, rule=rule, percentile=98.0)
    assert set(found) == set(HIDDEN)
    for name, theta in found.items():
        own = np.percentile(values[name], 98, axis=0)
        assert theta.shape == own.shape and theta.min() > 0 and (rule != "neuron_percentile" or theta.max() == 1)
        assert np.allclose(theta, np.where(own > 0, own / scales[name], 1), rtol=1e-12)
    normalised, _ = normalise(GRAPH, X, rule=rule, percentile=98.0)
    again = neuron_thresholds(normalised, X, rule="none", percentile=98.0)
    assert all(np.allclose(again[name], theta, rtol=1e-11) for name, theta in found.items())


def test_thresholds_of_neurons_need_one_scale_and_statistics_of_neurons():
    with pytest.raises(ModelError, match="per channel"):
        neuron_thresholds(GRAPH, X, rule="layer_max", statistics=scan(GRAPH, X, by="channel"))
    with pytest.raises(ModelError, match="rule 'channel' has many"):
        neuron_thresholds(GRAPH, X, rule="channel")


def test_dead_layers_and_bad_options():
    graph = mlp(3, [4], 2)
    dead = graph.with_parameters({"hidden1.weights": np.full((3, 4), -1.0), "hidden1.bias": -np.ones(4)})
    assert layer_scales(GRAPH, None, rule="none", output=True) == dict.fromkeys((*HIDDEN, "output"), 1.0)
    for rule in RULES:
        assert np.all(layer_scales(dead, np.ones((2, 3)), rule=rule)["hidden1"] == 1)
    assert (neuron_thresholds(dead, np.ones((2, 3)), rule="percentile")["hidden1"] == 1).all()
    for options in ({"rule": "layer_mx"}, {"rule": "percentile", "percentile": 0}):
        with pytest.raises(ModelError, match="normalisation"):
            layer_scales(graph, np.ones((2, 3)), **options)
    with pytest.raises(ModelError, match="at least one"):
        layer_scales(graph, np.ones((0, 3)))


def test_calibration_record_is_a_hash_of_the_data():
    x = RNG.random((4, 3))
    first = calibration_record("train", x)
    assert first["samples"] == 4 and first["name"] == "train" and len(first["sha256"]) == 64
    assert calibration_record("train", x.astype(">f8"))["sha256"] == first["sha256"]
    assert calibration_record("train", np.asfortranarray(x))["sha256"] == first["sha256"]
    for other in (x.astype(np.float32), x.reshape(2, 6), x + 1):
        assert calibration_record("train", other)["sha256"] != first["sha256"]
