"""All-integer networks: every spike of event = stepped = an independent twin, for every threshold rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import run
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import BatchNorm, Conv2d, Dense, Flatten
from eventsnn.ann.quantised import QuantReLU, TernaryConv2d, ternary
from eventsnn.conversion.integer import to_integer
from eventsnn.conversion.integer_blocks import blocks as cut
from eventsnn.conversion.integer_blocks import tables
from eventsnn.encoders.base import Drive
from tests.properties.settings import examples
from tests.reference import integer as twin

PARTS = [(1, 4, 3, 1, "same"), (4, 4, 2, 2, "valid"), (4, 6, 3, 1, "same"), (6, 6, 2, 2, "valid"), (6, 9, 2, 1, "valid")]
SHAPE, STEPS = (8, 8, 1), 9
RULES = ("exact", "fixed", "published", "float")


def network_of(seed, k, kind=TernaryConv2d):
    """Random network and its blocks for the twin; a fifth of the gammas negative, some tiny, some exactly 0."""
    rng, layers, blocks = np.random.default_rng(seed), [], []
    for i, (n_in, n_out, kernel, stride, padding) in enumerate(PARTS):
        weights = np.round(64 * rng.normal(0, 1, (kernel, kernel, n_in, n_out))) / 64  # sums of floats are exact
        used = ternary(weights) if i and kind is TernaryConv2d else weights
        power = (used**2).sum((0, 1, 2)) + 0.1
        gamma = rng.normal(1, 0.3, n_out) * np.where(rng.random(n_out) < 0.2, -1, 1)
        gamma *= rng.choice([1, 1e-7, 0], n_out, p=[0.85, 0.05, 0.1])
        beta, mean = rng.normal(0.3, 0.7, n_out), rng.normal(0, 1, n_out) * np.sqrt(power)
        var = power * rng.uniform(0.5, 3, n_out)
        norm = BatchNorm(f"norm{i}", gamma, beta, mean, var)
        act = QuantReLU(f"act{i}", k) if i else QuantReLU("act0", 0, 4.0)
        layers += [(kind if i else Conv2d)(f"conv{i}", weights, None, stride, padding), norm, act]
        blocks.append({"kernel": used, "stride": stride, "same": padding == "same", "gamma": gamma, "beta": beta, "mean": mean,
                       "var": var, "eps": norm.epsilon})  # fmt: skip
    output = np.round(64 * rng.normal(0, 1, (9, 10))) / 64
    return LayerGraph(SHAPE, [*layers, Flatten(), Dense("out", output, None)]), blocks, output


def inputs_of(seed):
    return np.round(256 * np.random.default_rng(seed).random((3, *SHAPE))) / 256


def spikes(network, x, engine, steps=STEPS):
    drive = Drive(x.reshape(len(x), -1), "first", SHAPE)
    return run(network, {"input": drive}, duration=steps, engine=engine, record_every=1)


def compare(network, blocks, output, x, k, rule, steps=STEPS):
    """Run both engines and the twin; compare spikes of every layer at every step, and the readout after every step."""
    wanted, logits, logs = twin.run(blocks, output, x, k=k, rule=rule, steps=steps)
    for engine in ("event", "stepped"):
        result = spikes(network, x, engine, steps)
        for i, layer in enumerate(wanted):
            found = result.rasters[f"conv{i}"].to_dense()
            np.testing.assert_array_equal(found, layer.reshape(found.shape), err_msg=f"{engine}, conv{i}")
        np.testing.assert_allclose(result.points.readout, logits, rtol=0, atol=1e-12)
    return wanted, logs


@examples(12)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.sampled_from(RULES), st.sampled_from(["auto", "int32", "int64"]))
def test_every_spike_of_both_engines_is_that_of_the_twin(seed, k, rule, dtype):
    graph, blocks, output = network_of(seed, k)
    network, _ = to_integer(graph, steps=STEPS, thresholds=rule, dtype=dtype)
    compare(network, blocks, output, inputs_of(seed), k, rule)


@examples(6)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.sampled_from(["exact", "published", "float"]))
def test_weights_that_are_no_whole_numbers(seed, k, rule):
    """The two published variants without ternary weights; the exact rule is then not a table of whole numbers."""
    graph, blocks, output = network_of(seed, k, Conv2d)
    network, _ = to_integer(graph, steps=STEPS, thresholds=rule)
    x = inputs_of(seed)
    if rule == "exact":
        values = graph.forward(x, keep=True, dtype=np.float64)
        levels = [values[f"act{i}"].reshape(len(x), -1) * 2 ** (k if i else 0) for i in range(len(PARTS))]
        for wanted, (i, found) in zip(levels, enumerate(twin.ann_levels(blocks, x, k))):
            np.testing.assert_array_equal(found.reshape(wanted.shape), wanted, err_msg=f"conv{i}")
        return
    compare(network, blocks, output, x, k, rule)


@examples(8)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_run_empty_the_counts_are_the_levels_of_the_quantised_network(seed, k):
    graph, blocks, _ = network_of(seed, k)
    x = inputs_of(seed)
    levels = twin.ann_levels(blocks, x, k)
    steps = 20 + max(int(level.max()) for level in levels)
    if steps > 150:  # a tiny gamma over a tiny variance
        return
    network, _ = to_integer(graph, steps=150)
    result = spikes(network, x, "event", 150)
    for i, level in enumerate(levels):
        counts = result.rasters[f"conv{i}"].amplitude_sums() / (2**k if i == 0 else 1)
        np.testing.assert_array_equal(counts, level.reshape(len(x), -1), err_msg=f"conv{i}")


@pytest.mark.parametrize("seed", range(3))
def test_tables_are_those_of_rational_arithmetic(seed):
    graph, described, _ = network_of(seed, 1)
    for block, given_ in zip(cut(graph)[0][1:], described[1:]):
        up, _ = tables(block, 12, "exact", True)
        layer = twin.Layer(given_, 1, "exact")
        for channel in np.flatnonzero(~layer.flat):
            assert up[:, channel].tolist() == twin.exact_table(layer.delta[channel], layer.first[channel], 12)


def test_the_twin_knows_the_test_vector():
    """Delta 4.3, beta 0.2, mu 1.7, k = 0: arrivals 9, 0, 4, 0, -11, 0, 0, 1 (all-integer-snn 2.12)."""
    block = {"kernel": np.ones((1, 1, 1, 1)), "stride": 1, "same": False, "gamma": np.array([1.0]), "beta": np.array([0.2]),
             "mean": np.array([1.7]), "var": np.array([4.3**2]), "eps": 0.0}  # fmt: skip
    for rule, wanted in (("exact", [1, 1, 1, 0, -1, -1, -1, 1]), ("published", [1, 1, 1, 0, -1, -1, -1, 0])):
        layer, v, c, found = twin.Layer(block, 0, rule), 0, np.zeros(1, int), []
        for arrives in (9, 0, 4, 0, -11, 0, 0, 1):
            v = v + arrives
            s = layer.step(np.array([v]), c)
            c = c + s
            found.append(int(s[0]))
        assert found == wanted
