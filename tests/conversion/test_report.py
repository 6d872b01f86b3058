"""The conversion report against a case worked out by hand, and what every converter's report must show."""

import json

import numpy as np
import pytest

from eventsnn import SpikeRaster, run
from eventsnn.ann.architectures import mlp
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
from eventsnn.conversion.coding import to_coding
from eventsnn.conversion.normalise import neuron_thresholds
from eventsnn.conversion.report import conversion_report, decode
from eventsnn.conversion.t2fsnn import to_t2fsnn
from eventsnn.conversion.ttfs import to_ramps
from eventsnn.encoders import constant, ttfs, ttfs_kernel
from eventsnn.errors import ModelError


def by_hand():
    """Two hidden neurons with activations 4 and 1 of scale 2 (the first clipped), the second silent; then two sums."""
    first = Dense(name="h", weights=np.array([[4.0, 1.0]]), bias=np.zeros(2))
    second = Dense(name="o", weights=np.array([[1.0, 0.0], [-4.0, 1.0]]), bias=np.zeros(2))
    graph = LayerGraph((1,), (first, ReLU(name="r"), second))
    rasters = {"h": SpikeRaster([0, 1, 2, 3], [0, 0, 0, 0], size=2, duration=4, dt_ms=1.0)}
    report = {"layers": [{"layer": "h", "scale": 2.0, "decode": {"per": 1, "largest": 1.0}}]}
    return graph, rasters, report


def test_a_case_by_hand():
    graph, rasters, report = by_hand()
    found = conversion_report(graph, [[1.0]], rasters, report, [1], times=[2, 4])
    (row,) = found["layers"]  # wanted 2 and 0.5 in units of the scale; decoded 4 spikes in 4 steps: 1, and 0
    assert (row["error"], row["bias"]) == (0.75, -0.75) and row["correlation"] == pytest.approx(1.0)
    assert (row["clipped"], row["silenced"]) == (0.5, 0.5)
    assert (row["inherited"], row["own"]) == (0.0, 0.75)
    assert (row["own_clipped"], row["own_silenced"], row["own_rounding"]) == (0.5, 0.25, 0.0)
    assert row["error_over_time"] == [0.75, 0.75]
    # ReLU network: 4 - 4 = 0 against 1: class 1. From the decoded layer: 2 against 0: class 0.
    assert (row["agreement_from_here"], row["accuracy_from_here"], found["source_accuracy"]) == (0.0, 0.0, 1.0)


def test_decode_rules():
    raster = SpikeRaster([0, 1, 5], [0, 1, 0], [0.5, 0.25, 2.0], size=2, duration=8, dt_ms=1.0)
    assert decode(raster, {"decode": {"per": None, "largest": None}}).tolist() == [[2.5, 0.25]]
    assert decode(raster, {"decode": {"per": 4, "largest": None}}).tolist() == [[1.25, 0.125]]
    assert decode(raster, {"decode": {"per": 1, "largest": None}}, until=5).tolist() == [[0.1, 0.05]]
    late = SpikeRaster([1.0, 2.5], [0, 1], size=3, duration=3.0)
    assert decode(late, {"decode": {"per": None, "largest": None, "close": 3.0}}).tolist() == [[2.0, 0.5, 0.0]]


def net():
    """Convolution, pool and two dense layers."""
    rng = np.random.default_rng(4)
    layers = (Conv2d(name="c", weights=rng.normal(0.1, 0.4, (3, 3, 1, 4)), bias=rng.normal(0, 0.1, 4)), ReLU(), MaxPool2d(),
              Flatten(), Dense(name="d", weights=rng.normal(0.02, 0.2, (36, 10)), bias=np.zeros(10)), ReLU(),
              Dense(name="o", weights=rng.normal(0, 0.5, (10, 3)), bias=np.zeros(3)))  # fmt: skip
    return LayerGraph((6, 6, 1), layers), rng.uniform(0, 1, (12, 6, 6, 1))


def rate_report(steps, **options):
    graph, x = net()
    network, report = to_coding(graph, x, input_code="constant", hidden_code="rate", neurons={"v_init": 0.5}, **options)
    result = run(network, {"input": constant.encode(x)}, duration=steps)
    labels = graph.forward(x).argmax(axis=1)
    return conversion_report(graph, x, result.rasters, report, labels, times=[10, steps]), result, labels


@pytest.mark.parametrize("rule", ["percentile", "channel", "layer_max"])
def test_rates_approach_the_activations(rule):
    short, long = rate_report(20, rule=rule)[0], rate_report(500, rule=rule)[0]
    assert [row["layer"] for row in long["layers"]] == ["c", "d"] and json.dumps(long)
    for few, many in zip(short["layers"], long["layers"]):
        assert many["error"] < few["error"] / 2 and many["correlation"] > 0.99
        assert many["error_over_time"][0] > many["error_over_time"][1] == pytest.approx(many["error"])
        parts = [many[f"own_{part}"] for part in ("clipped", "silenced", "rounding")]
        assert sum(parts) == pytest.approx(many["own"])
        assert many["error"] <= many["own"] + many["inherited"] + 1e-12
        assert many["agreement_from_here"] == 1 == many["accuracy_from_here"]
    assert long["layers"][0]["inherited"] == 0 < long["layers"][1]["inherited"]


def test_thresholds_of_neurons_are_in_the_units_of_their_layer():
    """Under the default rule: what a layer's scale clips, its neurons' own thresholds do not."""
    graph, x = net()
    thresholds = neuron_thresholds(graph, x, rule="percentile", percentile=97.0)
    found = rate_report(500, percentile=97.0, thresholds=thresholds)[0]
    for row, plain in zip(found["layers"], rate_report(500, percentile=97.0)[0]["layers"]):
        assert row["error"] < 0.75 * plain["error"] and row["correlation"] > plain["correlation"]


def test_clipping_is_seen_where_the_scale_is_too_small():
    found = rate_report(200, percentile=50.0)[0]["layers"][0]
    assert found["clipped"] > 0.3 and found["own_clipped"] > 0.8 * found["own"] and found["bias"] < 0


def test_the_last_layer_decoded_answers_as_the_network_does():
    """What is left after the last hidden layer is one matrix product, which the output population adds up spike by spike."""
    found, result, labels = rate_report(40)
    assert found["layers"][-1]["accuracy_from_here"] == np.mean(result.prediction == labels)


@pytest.mark.parametrize("code", ["rate", "phase", "burst"])
def test_every_multi_spike_code_tells_how_it_is_read(code):
    graph, x = net()
    network, report = to_coding(graph, x, input_code="constant", hidden_code=code)
    rasters = run(network, {"input": constant.encode(x)}, duration=400).rasters
    for row in conversion_report(graph, x, rasters, report, times=[40])["layers"]:
        assert row["error"] < 0.02 < 2 * row["mean_activation"] and row["correlation"] > 0.99 and row["agreement_from_here"] == 1
        assert row["error"] < row["error_over_time"][0]


@pytest.mark.parametrize("start", [80, 40])
def test_a_ttfs_code_only_rounds_down(start):
    """Its decoded value is below the membrane by a factor of at most exp(-1 / tau)."""
    graph, x = net()
    network, report = to_t2fsnn(graph, x, tau=20.0, t_fire_start=start, t_fire_duration=80)
    duration = report["latency_steps"] if network.clock == "grid" else None
    rasters = run(network, {"input": ttfs_kernel.encode(x, **report["input"])}, duration=duration).rasters
    first = conversion_report(graph, x, rasters, report)["layers"][0]
    assert -0.08 * first["mean_activation"] < first["bias"] < 0 and first["own_clipped"] < 1e-4
    assert first["own_rounding"] > 0.9 * first["own"] and first["agreement_from_here"] == 1


@pytest.mark.parametrize("model", ["ramp", "ramp_ungated"])
def test_ramps_lose_nothing(model):
    graph, x = (net() if model == "ramp" else (mlp(6, [8, 5], 3, seed=1), np.random.default_rng(0).uniform(0, 1, (7, 6))))
    network, report = to_ramps(graph, x, model=model, dtype="float64", zeta=1.0)
    rasters = run(network, {"input": ttfs.encode(x, dtype="float64")}).rasters
    for row in conversion_report(graph, x, rasters, report)["layers"]:
        assert row["error"] < 1e-6 and row["silenced"] == 0 and row["agreement_from_here"] == 1


def test_layers_without_spikes_are_left_out():
    graph, x = net()
    network, report = to_coding(graph, x, input_code="constant", hidden_code="rate")
    rasters = run(network, {"input": constant.encode(x)}, duration=20, record=["d"]).rasters
    (row,) = conversion_report(graph, x, rasters, report)["layers"]
    assert row["layer"] == "d" and "inherited" not in row and row["agreement_from_here"] > 0.5


def test_what_does_not_fit_is_refused():
    graph, rasters, report = by_hand()
    with pytest.raises(ModelError, match="does not say how spikes are decoded"):
        conversion_report(graph, [[1.0]], rasters, {"mapping": "other", "layers": [{"layer": "h"}]})
    with pytest.raises(ModelError, match="layer 'h': spikes of 1 samples"):
        conversion_report(graph, [[1.0], [2.0]], rasters, report)
