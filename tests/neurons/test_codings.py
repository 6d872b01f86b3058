"""Neurons of the multi-spike codings: the published test vectors, what they pay for, and what may go wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import Dense, Input, Network, Population, Projection, SpikeRaster, run
from eventsnn.errors import NetworkError
from tests.properties.settings import examples
from tests.reference.compare import assert_same

ENGINES = ("event", "stepped")


def neuron(model, parameters, dtype="float32", n=1):
    """Neurons on an input with weight 1 each."""
    return Network([Input("in", n)], [Population("p", n, model, parameters, dtype)], [Projection("in", "p", Dense(np.eye(n)))],
                   dt_ms=1.0)


def spikes(network, arrivals, steps, engine):
    """Run with amplitudes {step: amplitude} into neuron 0; returns ([(step, amplitude)], v)."""
    raster = SpikeRaster(list(arrivals), [0] * len(arrivals), list(arrivals.values()), size=1, duration=steps, dt_ms=1.0)
    found = run(network, {"in": raster}, engine=engine, record_state=["p"])
    fired = found.rasters["p"]
    amplitudes = np.ones(len(fired)) if fired.amplitudes is None else fired.amplitudes
    return list(zip(fired.times.tolist(), amplitudes.tolist())), float(found.states["p"]["v"][0, 0])


EVERY = dict.fromkeys(range(12), 0.3)
F32 = {x: float(np.float32(x)) for x in (0.4, 0.8, 1.6)}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model, parameters, arrivals, steps, wanted, rest", [
    ("rate", {"v_threshold": 0.4}, EVERY, 12, [(1, 1), (4, 1), (7, 1), (11, 1)], -0.4),
    ("rate", {"v_threshold": 0.4}, dict.fromkeys(range(8), 0.3), 8, [(1, 1), (4, 1), (7, 1)], -0.6),
    ("burst", {"v_threshold": 0.4}, {0: 3.0}, 12, [(0, F32[0.4]), (1, F32[0.8]), (2, F32[1.6])], 0.2),
    ("burst", {"v_threshold": 0.125}, {0: 1.1}, 12, [(0, 0.125), (1, 0.25), (2, 0.5), (4, 0.125)], 0.1),
    ("phase", {"first": "whole"}, {0: 0.8}, 8, [(1, 0.5), (2, 0.25), (5, 0.03125), (6, 0.015625)], 0.003125),
    ("phase", {"first": "whole"}, {5: 0.3}, 16, [
        (5, 0.03125), (6, 0.015625), (7, 0.0078125), (11, 0.125), (12, 0.0625), (13, 0.03125), (14, 0.015625),
        (15, 0.0078125)], 0.003125),
], ids=str)  # fmt: skip
def test_published_vectors(model, parameters, arrivals, steps, wanted, rest, engine):
    found, v = spikes(neuron(model, parameters), arrivals, steps, engine)
    assert found == wanted
    assert v == pytest.approx(rest, abs=2e-7)


@pytest.mark.parametrize("engine", ENGINES)
def test_phase_begins_at_half_the_threshold(engine):
    found, v = spikes(neuron("phase", {}), {0: 0.8125}, 8, engine)
    assert (found, v) == ([(0, 0.5), (1, 0.25), (3, 0.0625)], 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_rate_with_another_amplitude_is_a_unit_neuron_with_an_initial_charge(engine):
    rng = np.random.default_rng(1)
    raster = SpikeRaster.from_dense((rng.integers(0, 8, (2, 60, 6)) / 8) * (rng.random((2, 60, 6)) < 0.6))
    quirk = run(neuron("rate", {"v_threshold": 0.375, "amplitude": 1.0}, n=6), {"in": raster}, engine=engine)
    unit = run(neuron("if", {"v_init": 0.625}, n=6), {"in": raster}, engine=engine)
    assert quirk.rasters["p"] == unit.rasters["p"] and unit.rasters["p"].n_spikes > 100


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", ["rate", "phase", "burst"])
def test_once_is_once(model, engine):
    found, v = spikes(neuron(model, {"once": True, "v_threshold": 0.25}), {0: 0.5, 3: 0.5, 9: 0.5}, 30, engine)
    assert len(found) == 1 and v == 1.5 - found[0][1]


@pytest.mark.parametrize("engine", ENGINES)
def test_floor_of_a_clamped_membrane(engine):
    """After a spike that costs more than the threshold the clamp lifts the membrane in the next, silent step."""
    found, v = spikes(neuron("rate", {"v_threshold": 0.5, "v_floor": 0.0}), {0: 0.5, 4: -3.0, 5: 0.5}, 8, engine)
    assert (found, v) == ([(0, 1), (5, 1)], 0)


@examples(25)
@given(st.sampled_from(["rate", "phase", "burst"]), st.integers(0, 2**32 - 1))
def test_nothing_is_lost_on_a_dyadic_grid(model, seed):
    """Without leak and clamp a membrane is what came in minus what went out; both engines agree."""
    rng = np.random.default_rng(seed)
    parameters = {"v_threshold": rng.integers(1, 5, 7) / 4}
    if model == "rate":
        parameters |= {"amplitude": rng.integers(1, 5, 7) / 4}
    raster = SpikeRaster.from_dense(rng.integers(-3, 6, (2, 25, 7)) / 8 * (rng.random((2, 25, 7)) < 0.4))
    event, stepped = (run(neuron(model, parameters, n=7), {"in": raster}, engine=e, record_state=["p"]) for e in ENGINES)
    assert_same(event, stepped, ["spikes"])
    came, went = raster.amplitude_sums(), event.rasters["p"].amplitude_sums()
    assert np.array_equal(event.states["p"]["v"], (came - went).astype(np.float32))


def test_a_quiet_neuron_is_left_alone():
    """Of 500 steps the event engine takes the first, those with spikes, and the silent one after a burst."""
    raster = SpikeRaster([3], [0], [1.1], size=1, duration=500, dt_ms=1.0)
    for model, most in (("rate", 4), ("burst", 8), ("phase", 30)):
        assert run(neuron(model, {"v_threshold": 0.5}), {"in": raster}).counters["neuron_updates"] <= most


@pytest.mark.parametrize("model, parameters, words", [
    ("rate", {"v_threshold": 0.0}, "v_threshold must be > 0"), ("rate", {"amplitude": -1.0}, "amplitude must be > 0"),
    ("burst", {"v_floor": 2.0}, "v_floor must not be above"), ("phase", {"period": 2.5}, "whole number of steps"),
    ("phase", {"first": "quarter"}, "half, whole"), ("phase", {"bias": 1.0}, "no parameter 'bias'"),
])  # fmt: skip
def test_bad_parameters(model, parameters, words):
    with pytest.raises(NetworkError, match=words):
        neuron(model, parameters)


def test_a_phase_neuron_needs_fractions():
    with pytest.raises(NetworkError, match="whole numbers for dtype int32"):
        run(neuron("phase", {}, "int32"), {"in": SpikeRaster([0], [0], size=1, duration=2, dt_ms=1.0)})
