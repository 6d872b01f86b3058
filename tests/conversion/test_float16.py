"""Weights in float16: what is rounded, by how much, and what is refused."""

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Population, Projection, Sparse, run
from eventsnn.conversion.float16 import to_float16
from eventsnn.encoders import ttfs
from eventsnn.errors import ModelError


def network_of(weights, dtype="float32", dt_ms=None, synapses=None):
    model = "ramp" if dt_ms is None else "accumulator"
    return Network([Input("in", len(weights))], [Population("p", len(weights[0]), model, {}, dtype)],
                   [Projection("in", "p", Dense(weights) if synapses is None else synapses)], dt_ms=dt_ms)


def test_weights_are_the_nearest_float16_numbers():
    weights = np.random.default_rng(0).normal(0, 1, (30, 20)) * 10.0 ** np.arange(-9, 11, 1).clip(-9, 4)
    network, report = to_float16(network_of(weights))
    rounded = network.projections[0].synapses.weights
    assert np.array_equal(rounded, weights.astype(np.float16).astype(np.float64))
    assert (np.abs(rounded - weights) <= np.maximum(np.abs(weights) * 2.0**-11, 2.0**-25)).all()
    (row,) = report["projections"]
    assert row == {"projection": "in -> p", "largest": np.abs(weights).max(), "largest_change": np.abs(rounded - weights).max()}


def test_a_large_layer_runs_as_its_rounded_weights():
    weights = np.random.default_rng(0).normal(0, 0.05, (700, 300))
    values = np.random.default_rng(1).random((2, 700))
    network, _ = to_float16(network_of(weights))
    again = network_of(weights.astype(np.float16).astype(np.float32))
    found, wanted = (run(n, {"in": ttfs.encode(values)}, record_state=["p"]).states["p"]["v"] for n in (network, again))
    dense = values.astype(np.float32).astype(np.float64) @ weights.astype(np.float16).astype(np.float64)
    assert np.array_equal(found, wanted) and np.abs(found - dense).max() < 1e-4


def test_integer_populations_and_listed_synapses_stay():
    whole = network_of([[4097, 3]], "int32", 1.0)
    listed = network_of([[0.1, 0.1]], "float32", 1.0, Sparse([0, 0], [0, 1], [0.1, 0.2]))
    for network in (whole, listed):
        rounded, report = to_float16(network)
        assert np.array_equal(rounded.projections[0].synapses.weights, network.projections[0].synapses.weights)
        assert report["projections"] == []


def test_refusals():
    with pytest.raises(ModelError, match=r"in -> p is 70000, the largest float16 number is 65504; scale"):
        to_float16(network_of([[70000.0]]))
    free = Network([Input("in", 1)], [Population("p", 1, "lif_continuous", {})], [])
    with pytest.raises(ModelError, match="float64"):
        to_float16(free)
