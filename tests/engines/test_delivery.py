"""How weights are kept, and who is asked to fire, changes no bit."""

import numpy as np
import pytest

from eventsnn import Conv2d, Dense, Input, Network, Population, Projection, SpikeRaster, run
from eventsnn.encoders import ttfs
from eventsnn.engines import links
from eventsnn.neurons.base import SILENT, find_model
from eventsnn.projections.rowsum import narrowed, widened


def delivered(synapses, shapes, dtype, monkeypatch, large):
    """Return the spikes and potentials of ramps behind a projection, and the bytes that its weights take."""
    monkeypatch.setattr(links, "LARGE", large)
    network = Network([Input("in", shapes[0])], [Population("p", shapes[1], "ramp", {"window": 50.0, "bias": 0.1}, dtype)],
                      [Projection("in", "p", synapses)])
    values = np.random.default_rng(1).random((3, *shapes[0])) * (np.random.default_rng(2).random((3, *shapes[0])) < 0.6)
    found = run(network, {"in": ttfs.encode(values, dtype=dtype)}, record_state=["p"])
    return found.rasters["p"], found.states["p"]["v"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_sixteen_bits_hold_the_same_weights(kind, dtype, monkeypatch):
    weights = (np.random.default_rng(0).normal(0, 0.3, (3, 3, 5, 40)) * 10.0 ** np.arange(-5, 0)[:, None]).astype(np.float16)
    synapses, shapes = Conv2d(weights), ((6, 5, 5), (6, 5, 40))
    if kind == "dense":
        synapses, shapes = Dense(weights.reshape(45, 40)), ((45,), (40,))
    assert (np.abs(weights[weights != 0]) < 6e-5).any()  # subnormal numbers too
    wide, narrow = (delivered(synapses, shapes, dtype, monkeypatch, large) for large in (10**9, 0))
    assert wide[0] == narrow[0] and len(wide[0]) > 0
    assert np.array_equal(wide[1], narrow[1])


def test_only_what_sixteen_bits_hold_is_narrowed():
    exact = np.array([0.5, -65504.0, 6e-8, 0.0, -0.0], np.float16).astype(np.float32)
    kept = narrowed(exact)
    assert kept.dtype == np.uint16 and widened(kept, np.float32).tobytes() == exact.tobytes()
    for value in (0.1, 70000.0, 1e-9, 1 + 2.0**-11):
        assert narrowed(np.array([0.5, value], np.float32)).dtype == np.float32
    assert narrowed(np.array([1, -128, 127], np.int16)).dtype == np.int8 == narrowed(np.zeros(0, np.int32)).dtype
    assert narrowed(np.array([1, 128])).dtype == narrowed(np.array([-129])).dtype == np.int64


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64"])
@pytest.mark.parametrize("amplitude", [1, -3])
def test_eight_bits_hold_the_same_whole_numbers(dtype, amplitude, monkeypatch):
    rng, found = np.random.default_rng(3), []
    weights = rng.integers(-1, 2, (3, 3, 5, 40)) * rng.choice([1, 127], (3, 3, 5, 1))
    fired = (rng.random((2, 4, 150)) < 0.4) * amplitude
    raster = SpikeRaster.from_dense(fired.astype(float), shape=(6, 5, 5))
    for large in (10**9, 0):
        monkeypatch.setattr(links, "LARGE", large)
        network = Network([Input("in", (6, 5, 5))], [Population("p", (6, 5, 40), "accumulator", {}, dtype)],
                          [Projection("in", "p", Conv2d(weights))], dt_ms=1.0)
        found.append(run(network, {"in": raster}, record_state=["p"]).states["p"]["v"])
    assert np.array_equal(*found) and np.abs(found[0]).max() > 127
    wide = np.zeros((2, 8, 7, 40))
    for y, x in np.ndindex(6, 5):
        here = fired.sum(axis=1).reshape(2, 6, 5, 5)[:, y, x]
        wide[:, y : y + 3, x : x + 3] += np.einsum("nc,jico->njio", here, weights[::-1, ::-1])
    assert np.array_equal(found[0].reshape(2, 6, 5, 40), wide[:, 1:-1, 1:-1])


@pytest.mark.parametrize("parameters", [{}, {"tau": 7.0, "window": 30.0, "bias": 0.2, "half_step": True}])
def test_a_guard_says_what_fire_says(parameters):
    """Potentials on both sides of the lowest threshold, and at it to the last bit."""
    from eventsnn.engines.plan import make_plan

    population = Population("p", 64, "ttfs", {"t_open": 1.0, **parameters})
    node = make_plan(Network([Input("in", 1)], [population], [Projection("in", "p", Dense(np.zeros((1, 64))))])).nodes["p"]
    lowest = np.float32(node.p.lowest - node.maps[0, 0, 0])
    edges = [lowest, np.nextafter(lowest, np.float32(0)), np.nextafter(lowest, np.float32(9))]
    v = np.concatenate([np.random.default_rng(0).normal(0.1, 0.3, 61), edges])
    inputs, model = v.astype(np.float32)[None], find_model("ttfs")
    said, fired = np.zeros((1, 64), np.float32), np.zeros((1, 64), np.float32)
    for i in range(64):
        guard = model.guard(said, i, inputs, node.p, node.maps[0])
        assert guard == (model.fire(fired, i, inputs, node.p, node.maps[0])[0] != SILENT)
    assert np.array_equal(said, fired)
