"""Converted networks, run by the engine, against the ReLU network they come from."""

import json

import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net, mlp
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from eventsnn.conversion.coding import to_coding
from eventsnn.conversion.ttfs import to_ramps
from eventsnn.encoders import constant, ttfs
from eventsnn.engines.run import run
from eventsnn.errors import ModelError

RNG = np.random.default_rng(4)
RATE = {"input_code": "constant", "hidden_code": "rate"}


@pytest.fixture(autouse=True)
def fresh_numbers():
    """Every test draws the same numbers, whichever tests ran before it."""
    RNG.bit_generator.state = np.random.default_rng(4).bit_generator.state


def noisy(graph):
    """The graph in float64 with biases and batch norms away from the identity."""
    graph = graph.astype(np.float64)
    return graph.with_parameters({
        key: RNG.uniform(0.5, 1.5, v.shape) if "norm" in key else v + RNG.normal(0, 0.1, v.shape)
        for key, v in graph.parameters().items()
    })  # fmt: skip


NETS = {
    "mlp": lambda: mlp(12, [9, 7], 4, dropout=0.1),
    "conv": lambda: conv_net((6, 7, 2), [4, "P", 5], [6], 3, batch_norm=True),
    "valid": lambda: conv_net((6, 6, 1), [3], [], 3, kernel=4, padding="valid"),
    "average": lambda: conv_net((6, 6, 1), [3, "P", 4], [5], 3, pool="average"),
    "pooled input": lambda: LayerGraph((4, 4, 2), [MaxPool2d("p"), Flatten(), Dense("d", RNG.normal(size=(8, 3)))]),
    "pool before relu": lambda: LayerGraph((4, 4, 1), [
        Conv2d("c", RNG.normal(size=(3, 3, 1, 2)), RNG.normal(size=2)), MaxPool2d("p"), ReLU("r"), AveragePool2d("q"),
        Flatten(), Dense("d", RNG.normal(size=(2, 3))),
    ]),
    "stride": lambda: LayerGraph((5, 5, 1), [
        Conv2d("c", RNG.normal(size=(3, 3, 1, 2)), None, 2), ReLU("r"), Flatten(), Dense("d", RNG.normal(size=(18, 3))),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("p", "q"), [(0, 1), (-3, 3)])
def test_ramps_equal_the_relu_network(name, p, q):
    graph = noisy(NETS[name]())
    x = RNG.uniform(p, q, (8, *graph.input_shape))
    x[0], x[1] = p, q
    network, report = to_ramps(graph, x, p=p, q=q, dtype="float64")
    raster = ttfs.encode(x, p=p, q=q, dtype="float64")
    found = run(network, {"input": raster})
    assert np.allclose(found.readout, graph.forward(x), rtol=0, atol=1e-11)
    assert (found.latency == report["latency"]).all()
    kept = graph.forward(x, keep=True)
    for row, relu in zip(report["layers"], ("relu1", "relu2", "relu3") if name == "conv" else ()):
        spikes, own = found.rasters[row["layer"]], kept[relu].reshape(len(x), -1)
        assert np.allclose(spikes.amplitude_sums(), own, rtol=0, atol=1e-12)
        fired = np.isfinite(spikes.first_times())
        assert np.allclose(row["t_close"] - spikes.first_times()[fired], own[fired], rtol=0, atol=1e-11)


def test_windows_and_report():
    graph = noisy(mlp(6, [5, 4], 3))
    x = RNG.random((20, 6))
    _, report = to_ramps(graph, x, calibration="twenty", zeta=0.25)
    values = graph.forward(x, keep=True)
    opens = 1.0
    for row, relu in zip(report["layers"], ("relu1", "relu2")):
        assert row["x_max"] == pytest.approx(values[relu].max()) and row["window"] == pytest.approx(1.25 * row["x_max"])
        assert row["t_open"] == opens and not row["saturates"]
        opens = row["t_close"]
    assert report["latency"] == opens and report["calibration"]["name"] == "twenty"
    json.dumps(report)
    network, fixed = to_ramps(graph, x, rule="fixed", windows=[50, 0.01], dtype="float64")
    assert [row["window"] for row in fixed["layers"]] == [50, 0.01] and fixed["layers"][1]["saturates"]
    found = run(network, {"input": ttfs.encode(x, dtype="float64")})
    assert found.rasters["hidden2"].amplitudes.max() <= 0.01


@pytest.mark.parametrize(("options", "message"), [
    ({"rule": "fti"}, "did you mean 'fit'"), ({"zeta": -1}, "zeta"), ({"rule": "fixed"}, "needs windows"),
    ({"rule": "fixed", "windows": [1, 2, 3]}, "windows"), ({"rule": "fixed", "windows": 0}, "windows"),
    ({"p": 1, "q": 1}, "p < q"), ({"dtype": "int32"}, "dtype"),
])  # fmt: skip
def test_bad_options(options, message):
    with pytest.raises(ModelError, match=message):
        to_ramps(mlp(3, [4, 2], 2), np.ones((2, 3)), **options)


def test_maximum_of_means_is_refused_for_ramps_only():
    graph = LayerGraph((8, 8, 1), [
        Conv2d("c", np.ones((3, 3, 1, 1))), ReLU(), AveragePool2d("a"), MaxPool2d("m"), Flatten(),
        Dense("d", np.ones((4, 2))),
    ])  # fmt: skip
    with pytest.raises(ModelError, match=r"'m'.*'a'"):
        to_ramps(graph, np.ones((1, 8, 8, 1)))
    to_coding(graph, np.ones((1, 8, 8, 1)), **RATE)


@pytest.mark.parametrize("rule", ["layer_max", "percentile", "channel"])
@pytest.mark.parametrize("name", ["mlp", "conv", "average", "stride"])
def test_rates_approach_the_relu_network(name, rule):
    graph = noisy(NETS[name]())
    x = RNG.random((6, *graph.input_shape))
    network, report = to_coding(graph, x, **RATE, rule=rule, percentile=100, neurons={"v_init": 0.5}, dtype="float64")
    json.dumps(report)
    logits = graph.forward(x)
    errors = []
    for steps in (100, 6400):
        found = run(network, {"input": constant.encode(x)}, duration=steps)
        errors.append(np.abs(found.readout / steps - logits).max() / np.abs(logits).max())
    assert errors[1] < 0.02 and errors[1] < errors[0] / 5


def test_scaled_network_computes_scaled_activations():
    graph = noisy(conv_net((6, 6, 1), [3, "P"], [5], 3))
    x = RNG.random((6, 6, 6, 1))
    for rule in ("layer_max", "channel"):
        network, report = to_coding(graph, x, **RATE, rule=rule, percentile=100, dtype="float64")
        scales = {row["layer"]: np.asarray(row["scale"]) for row in report["layers"]}
        arrays = {}
        for population, projection in zip(network.populations, network.projections):
            arrays[f"{population.name}.weights"] = projection.synapses.weights
            bias = np.asarray(population.parameters["bias"]).reshape(-1)
            arrays[f"{population.name}.bias"] = bias[: graph.parameters()[f"{population.name}.bias"].size]
        own, new = graph.forward(x, keep=True), graph.with_parameters(arrays).forward(x, keep=True)
        assert np.allclose(new["relu1"], own["relu1"] / scales["conv1"], atol=1e-12)
        assert np.allclose(new["relu2"], own["relu2"] / scales["dense1"], atol=1e-12)
        assert np.allclose(new["output"], own["output"], atol=1e-12)
        assert max(new["relu1"].max(), new["relu2"].max()) <= 1 + 1e-12
