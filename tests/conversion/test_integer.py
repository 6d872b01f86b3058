"""All-integer networks: counts of the spiking network are the levels of the quantised ANN, and no membrane overflows."""

import numpy as np
import pytest

from eventsnn import run
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import BatchNorm, Conv2d, Dense, Flatten, ReLU
from eventsnn.ann.quantised import KBitConv2d, QuantReLU, TernaryConv2d, ternarised, ternary
from eventsnn.conversion.integer import to_integer
from eventsnn.conversion.integer_blocks import blocks, tables
from eventsnn.conversion.integer_levels import levels
from eventsnn.encoders.base import Drive
from eventsnn.errors import ModelError

PARTS = [(2, 8, 3, 1, "same"), (8, 8, 2, 2, "valid"), (8, 16, 3, 1, "same"), (16, 16, 2, 2, "valid"), (16, 24, 2, 1, "valid")]


def quantised_net(seed, k, kind=TernaryConv2d, odd=True):
    """Random ternary network whose levels spread; some gammas negative, some exactly 0 where ``odd``."""
    rng, layers = np.random.default_rng(seed), []
    for i, (n_in, n_out, kernel, stride, padding) in enumerate(PARTS):
        weights = rng.normal(0, 1, (kernel, kernel, n_in, n_out))
        layers.append((kind if i else Conv2d)(f"conv{i}", weights, None, stride, padding))
        power = ((ternary(weights) if i else weights) ** 2).sum((0, 1, 2))
        gamma = rng.normal(1, 0.3, n_out)
        if odd:
            gamma *= np.where(rng.random(n_out) < 0.2, -1, 1) * (rng.random(n_out) > 0.1)
        beta, mean = rng.normal(0.3, 0.5, n_out), rng.normal(0, 1, n_out) * np.sqrt(power)
        layers.append(BatchNorm(f"norm{i}", gamma, beta, mean, power * rng.uniform(0.5, 3, n_out)))
        layers.append(QuantReLU(f"act{i}", k) if i else QuantReLU("act0", 0, 4.0))
    return LayerGraph((8, 8, 2), [*layers, Flatten(), Dense("out", rng.normal(0, 1, (24, 10)), None)])


def spikes_of(graph, x, steps, engine="event", **options):
    """Run the converted network; returns network, report, result."""
    network, report = to_integer(graph, steps=steps, **options)
    drive = Drive(x.reshape(len(x), -1), "first", graph.input_shape)
    return network, report, run(network, {"input": drive}, duration=steps, engine=engine)


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("thresholds", ["exact", "fixed"])
def test_counts_are_the_levels_of_the_ann(k, thresholds):
    graph, x = quantised_net(k, k), np.random.default_rng(1).random((6, 8, 8, 2))
    values = graph.forward(x, keep=True, dtype=np.float64)
    network, report, result = spikes_of(graph, x, 80, thresholds=thresholds)
    assert [row["dtype"] for row in report["layers"]] == ["float64"] + ["int16"] * 4 + ["float64"]
    for i in range(5):
        amplitude = network.nodes["conv0"].parameters["amplitude"] if i == 0 else 1
        levels = values[f"act{i}"].reshape(6, -1) * 2 ** (k if i else 0)
        assert levels.max() > 1
        np.testing.assert_array_equal(result.rasters[f"conv{i}"].amplitude_sums() / amplitude, levels)
    assert result.rasters["conv4"].amplitudes.min() == -1  # something was taken back
    np.testing.assert_array_equal(result.prediction, values["out"].argmax(1))
    assert result.rasters["conv4"].times.max() < 70  # the queue ran empty


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_weights_of_few_bits_become_whole_numbers(bits):
    graph = quantised_net(4, 1, lambda *a: KBitConv2d(*a, bits=bits))
    x = np.random.default_rng(3).random((4, 8, 8, 2))
    network, report, result = spikes_of(graph, x, 90)
    assert all(row["dtype"].startswith("int") for row in report["layers"][1:-1])
    values = graph.forward(x, keep=True, dtype=np.float64)
    for i in range(1, 5):
        assert np.abs(network.projections[i].synapses.weights).max() == (1 if bits == 1 else 2**bits)
        np.testing.assert_array_equal(result.rasters[f"conv{i}"].amplitude_sums(), values[f"act{i}"].reshape(4, -1) * 2)


@pytest.mark.parametrize("kind", [TernaryConv2d, Conv2d, lambda *a: KBitConv2d(*a, bits=3)])
def test_levels_are_those_of_the_float64_network(kind):
    graph, x = quantised_net(6, 1, kind), np.random.default_rng(4).random((5, 8, 8, 2))
    found, logits = levels(graph.astype(np.float32), x.astype(np.float32).astype(np.float64))
    values = graph.astype(np.float32).forward(x.astype(np.float32), keep=True, dtype=np.float64)
    for i in range(5):
        np.testing.assert_array_equal(found[f"conv{i}"], values[f"act{i}"].reshape(5, -1) * 2 ** (1 if i else 0))
    np.testing.assert_allclose(logits, values["out"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("thresholds", ["exact", "published", "float"])
def test_event_equals_stepped(thresholds):
    graph, x = quantised_net(5, 1), np.random.default_rng(2).random((3, 8, 8, 2))
    both = [spikes_of(graph, x, 12, engine, thresholds=thresholds)[2] for engine in ("event", "stepped")]
    assert both[0].rasters == both[1].rasters
    np.testing.assert_array_equal(both[0].readout, both[1].readout)


def test_test_vector():
    """Delta 4.3, beta 0.2, mu 1.7, k = 0 of all-integer-snn 2.12."""
    norm = BatchNorm("n", [1.0], [0.2], [1.7], [4.3**2 - 1e-5])
    layers = [Conv2d("c", np.ones((1, 1, 1, 1)), None), QuantReLU("q", 0, 4.0)]
    graph = LayerGraph((1, 1, 1), [layers[0], norm, layers[1], Flatten(), Dense("out", np.ones((1, 1)), None)])
    block = blocks(graph)[0][0]
    up, down = tables(block, 5, "exact", True)
    assert up.ravel().tolist() == down.ravel().tolist() == [3, 8, 12, 16, 21]
    up, down = tables(block, 3, "published", True)  # 30,000 + 43,000 j, strict
    assert up.ravel().tolist() == [4, 8, 12] and down.ravel().tolist() == [3, 8, 12]
    up, _ = tables(block, 3, "fixed", True)  # 29,900 + 43,000 j - 1
    assert up.ravel().tolist() == [3, 8, 12]


def test_floats_as_weights():
    graph, x = quantised_net(3, 0, Conv2d), np.random.default_rng(2).random((2, 8, 8, 2))
    _, report, result = spikes_of(graph, x, 40)
    assert {row["dtype"] for row in report["layers"]} == {"float64"}
    values = graph.forward(x, keep=True, dtype=np.float64)
    np.testing.assert_array_equal(result.rasters["conv4"].amplitude_sums(), values["act4"].reshape(2, -1))
    made = ternarised(graph)
    network, _, result = spikes_of(made, x, 40)
    assert network.nodes["conv1"].dtype == "int16"
    assert not np.array_equal(network.projections[1].synapses.weights, np.sign(graph.layers[3].weights))  # small ones are 0
    values = made.forward(x, keep=True, dtype=np.float64)
    assert values["act4"].any()
    np.testing.assert_array_equal(result.rasters["conv4"].amplitude_sums(), values["act4"].reshape(2, -1))
    for bad in ({"dtype": "int32"}, {"thresholds": "fixed"}):
        with pytest.raises(ModelError, match="ternarise"):
            to_integer(graph, steps=8, **bad)


def test_integer_everywhere():
    graph = quantised_net(2, 0)
    x = np.round(np.random.default_rng(2).random((4, 8, 8, 2)) * 255)
    network, _, result = spikes_of(graph, x, 40, ends="integer", weight_bits=12, input_scale=255)
    assert all(node.dtype.startswith("int") for node in network.populations)
    exact = spikes_of(graph, x / 255, 40)[2]
    same = result.rasters["conv0"].amplitude_sums() == exact.rasters["conv0"].amplitude_sums()
    assert same.mean() > 0.98  # 12 bits of the encoder's weights
    assert np.abs(result.readout - np.round(result.readout)).max() == 0


def test_an_encoder_in_whole_numbers_takes_inputs_of_either_sign_and_any_size():
    graph = quantised_net(7, 0)
    x = np.random.default_rng(5).normal(0, 3, (4, 8, 8, 2))
    x.flat[:4] = 127, -127, 127, 127
    whole = np.round(256 * x)
    network, report, result = spikes_of(graph, whole, 12, ends="integer", input_scale=256)
    block = blocks(graph)[0][0]
    factor = 127 / np.abs(block.conv.weights).max()
    weights = np.round(factor * block.conv.weights)
    sums = Conv2d("c", weights, None, block.conv.stride, block.conv.padding).apply(whole)
    theta = np.ceil(block.thresholds(4, 1e-5) * factor * 256)  # (levels, channels)
    levels = sum(sums >= row for row in theta)
    assert (levels == 4).any() and (levels == 1).any() and np.abs(sums).max() > 2**15
    amplitude = network.nodes["conv0"].parameters["amplitude"]
    np.testing.assert_array_equal(result.rasters["conv0"].amplitude_sums() / amplitude, levels.reshape(4, -1))
    assert report["layers"][0]["bound"] == np.abs(weights).sum((0, 1, 2)).max() * (2**15 - 1)


def test_levels_prove_a_run_of_any_length():
    first = [Conv2d("a", np.ones((1, 1, 1, 3000)), None), BatchNorm("n", *np.ones((4, 3000))), QuantReLU("q", 0, 4.0)]
    second = [TernaryConv2d("b", np.ones((1, 1, 3000, 3000)), None), BatchNorm("m", *np.ones((4, 3000))), QuantReLU("r")]
    third = [TernaryConv2d("c", np.ones((1, 1, 3000, 1)), None), BatchNorm("o", *np.ones((4, 1))), QuantReLU("s")]
    graph = LayerGraph((1, 1, 1), [*first, *second, *third, Flatten(), Dense("out", np.ones((1, 1)), None)])
    layers = to_integer(graph, steps=8, levels=100)[1]["layers"]
    assert (layers[2]["bound"], layers[2]["dtype"]) == (300_000, "int32")
    assert to_integer(quantised_net(0, 0), steps=8, levels=40_000)[1]["layers"][1]["dtype"] == "int32"  # of the counts


def test_widths_are_proven():
    def wide(fan_in):
        first = [Conv2d("c", np.ones((1, 1, 1, fan_in)), None), *normalised("n", fan_in), QuantReLU("q", 0, 4.0)]
        second = [TernaryConv2d("t", np.ones((1, 1, fan_in, 1)), None), *normalised("m", 1), QuantReLU("r")]
        third = [TernaryConv2d("u", np.ones((1, 1, 1, 1)), None), *normalised("o", 1), QuantReLU("s")]
        return LayerGraph((1, 1, 1), [*first, *second, *third, Flatten(), Dense("out", np.ones((1, 1)), None)])

    def normalised(name, n):
        return [BatchNorm(name, np.ones(n), np.zeros(n), np.zeros(n), np.ones(n))]

    bounds = [r["bound"] for r in to_integer(wide(3456), steps=8)[1]["layers"]]
    assert bounds == [None, 13824, 8, None]
    assert to_integer(wide(8192), steps=8)[1]["layers"][1]["dtype"] == "int32"  # 32,768 is one too many
    assert to_integer(wide(8191), steps=8)[1]["layers"][1]["dtype"] == "int16"
    with pytest.raises(ModelError, match="overflows int16; use dtype int32 or int64"):
        to_integer(wide(8192), steps=8, dtype="int16")


@pytest.mark.parametrize(("change", "message"), [
    (lambda layers: layers[:-1], "Dense"), (lambda layers: [*layers[:2], ReLU("r"), *layers[3:]], "BatchNorm and QuantReLU"),
    (lambda layers: [Conv2d("conv0", layers[0].weights, np.zeros(8)), *layers[1:]], "no bias"),
    (lambda layers: [*layers[:2], QuantReLU("act0"), *layers[3:]], "top"),
])  # fmt: skip
def test_what_cannot_be_converted(change, message):
    graph = quantised_net(0, 0)
    with pytest.raises(ModelError, match=message):
        to_integer(LayerGraph(graph.input_shape, change(list(graph.layers))), steps=8)


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 8, "levels": 1.5}, {"steps": 8, "thresholds": "exakt"},
                                     {"steps": 8, "ends": "int"}, {"steps": 8, "weight_bits": 17}])  # fmt: skip
def test_bad_options(options):
    with pytest.raises(ModelError, match="must be"):
        to_integer(quantised_net(0, 0), **options)
