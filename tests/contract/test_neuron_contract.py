"""What holds for every grid model: registered ones, and one that a user writes in his own file."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import Network, SpikeRaster, run
from eventsnn.compile import jit_enabled
from eventsnn.network import Input, Population, Projection
from eventsnn.neurons import GridModel, Param, find_model, model_names
from eventsnn.projections import Dense, Sparse
from tests.contract.plain import PlainNeuron
from tests.properties.settings import examples
from tests.reference.compare import assert_same


class Adaptive(GridModel):
    """A user's model: the threshold jumps by `jump` at every spike and decays back."""

    name = "adaptive"
    variables = (("v", 0.0), ("a", 0.0))
    parameters = (Param("jump", 0.5, "rise of the threshold"), Param("decay", 0.75, "factor of the rise per step"))

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        v = 0.5 * state[0, i] + inputs[0, i]
        fired = v >= 1 + state[1, i]
        state[1, i] = p.decay * state[1, i] + (p.jump if fired else 0)
        state[0, i] = 0 if fired else v
        return fired


COMMON = [
    {},
    {"v_init": 2.75, "v_threshold": 0.5},
    {"bias": 0.3, "v_threshold": 1.1, "v_reset": 0.1, "reset": "value", "reset_at": "next", "strict": True},
    {"bias": 0.25, "v_init": 1.0, "refractory": 3},
    {"bias": -0.2, "v_init": 1.5, "v_floor": -0.75, "reset_at": "pipelined", "refractory": 2},
    {"reset": "value", "v_reset": -1.0, "v_floor": -0.5, "v_init": 1.25},
    {"v_init": 1.25, "v_floor": 1.0},
    {"bias": 0.1, "v_threshold": -0.5, "v_init": -2.0},
    {"v_threshold": -0.25, "v_init": -1.0, "refractory": 1, "reset_at": "next"},
    {"reset": "value", "v_reset": 1.5, "v_init": 1.5, "reset_at": "pipelined"},
]
PARAMETERS = {
    "if": COMMON,
    "lif": [p | {"leak": leak} for p in COMMON for leak in (0.0, 0.5, 0.9)]
    + [{"leak": 0.49286654616164377, "bias": 0.5286575985846357, "v_threshold": 1.0424427625181676}],
    "lif_shortcut": [p | {"leak": 0.75} for p in COMMON],
    "peak": [{}, {"bias": 0.25}],
    "accumulator": [{}, {"bias": 0.5, "v_init": -1.0}, {"leak": 0.9, "v_init": 3.0}, {"leak": 0.5, "bias": 0.25}],
    "rate": [{}, {"v_threshold": 0.4}, {"v_threshold": 0.4, "v_floor": 0.0, "v_init": 1.9}, {"bias": 0.3, "amplitude": 0.7},
             {"leak": 0.7, "v_init": 5.0}, {"leak": 0.7, "bias": 0.31, "v_floor": -0.25}, {"bias": -0.2, "v_init": 3.0},
             {"once": True, "v_init": 1.5, "bias": 0.2}, {"once": True}],
    "phase": [{}, {"first": "whole", "v_init": 1.7}, {"period": 5, "v_threshold": 0.4}, {"period": 1}, {"leak": 0.7, "v_init": 2},
              {"v_floor": 0.25, "v_init": -1.0}, {"period": 32, "v_threshold": 1.7, "v_init": 0.3}, {"once": True}],
    "burst": [{}, {"v_threshold": 0.125, "v_init": 1.1}, {"v_threshold": 0.4, "beta": 1.5, "bias": 0.3},
              {"beta": 0.5, "v_init": 2},
              {"leak": 0.7, "v_threshold": 0.4, "v_init": 9.0}, {"v_floor": 0.25, "v_init": -1.0}, {"bias": 0.05, "leak": 0.7},
              {"once": True, "v_threshold": 0.25}],
    "lif_current": [{}, {"bits": 8}, {"bits": 6, "alpha": 0.5, "v_threshold": 0.4}, {"alpha": 1.0, "beta": 1.0, "reset": 0.75},
                    {"alpha": 0.9, "beta": 0.95, "bits": 12, "v_threshold": 0.3}, {"beta": 0.0, "v_threshold": 0.2}],
    "ttfs_early": [{"t_open": 2, "window": 30, "tau": 7.0},
                   {"t_open": 3, "window": 40, "tau": 9.0, "extra": 3, "half_step": True},
                   {"t_listen": 2, "t_open": 9, "window": 12, "tau": 5.0, "td": -2.0, "bias": 0.4}, {"theta0": 0.6, "t_open": 5}],
    "adaptive": [{}, {"jump": 2.0, "decay": 0.5}],
    "signed": [{}, {"up": [[1.0], [2.0], [3.5]], "down": [[1.0], [2.0], [3.5]]},
               {"up": [[-2.0], [0.5]], "down": [[-2.5], [0.25]]}, {"up": [[0.5], [1.0]], "down": [[0.25], [1.0]], "v_init": 1.7}],
    "thermometer": [{}, {"thresholds": [[-1.0], [0.4], [1.2]], "amplitude": 4.0},
                    {"thresholds": [[0.5], [0.5], [0.5]], "v_init": 0.75}],
    "decolle_trace": [{}, {"p_most": 64.0, "q_most": 32.0, "p_rounded": 1.0, "q_rounded": 1.0, "p_gain": 2.0},
                      {"p_most": 9.0, "q_most": 3.0}],
    "decolle_membrane": [{}, {"r_step": 0.7, "u_steps": 31.0, "bias": 0.2, "gain": 3.0},
                         {"threshold": 0.4, "bias": -0.3, "u_steps": 7.0, "u_bound": 8.0}],
    "decolle_spike": [{}, {"threshold": 0.4}],
    "decolle_activation": [{}, {"levels": 64.0}],
    "decolle_readout": [{}, {"levels": 32.0, "scale": 4.0, "start": 5.0}],
}


def grid_models():
    """All registered grid models and the user's."""
    return [m for m in map(find_model, model_names()) if m.clock == "grid"] + [Adaptive]


CASES = [(m, p, d) for m in grid_models() for p in PARAMETERS.get(m.name, [{}]) for d in ("float32", "float64")]
every_case = pytest.mark.parametrize("model, parameters, dtype", CASES, ids=lambda x: getattr(x, "name", str(x)))


def disturbed(model, parameters, dtype, arrivals):
    """Return neurons after each of some steps with input; the last has seen them all."""
    neuron = PlainNeuron(Population("p", 1, model, parameters, dtype))
    for t, arrived in enumerate(arrivals):
        neuron.step(t, arrived)
    return neuron


def arrivals_of(seed):
    """A few inputs, so that a model is met in more states than its first."""
    rng = np.random.default_rng(seed)
    return rng.choice([0, 0, 0.5, 1.5, -0.7], rng.integers(1, 8))


@every_case
def test_wake_is_never_late(model, parameters, dtype):
    """Brute force: whatever a silent step emits was announced."""
    for seed in range(6):
        arrivals = arrivals_of(seed)
        neuron = disturbed(model, parameters, dtype, arrivals)
        t = len(arrivals) - 1
        due = neuron.wake(t)
        assert due > t
        for t in range(len(arrivals), len(arrivals) + 150):
            emitted = neuron.step(t)
            assert not emitted or t >= due, f"fires at {t}, would have slept until {due}"
            due = neuron.wake(t) if t >= due else due


@every_case
def test_an_idle_step_changes_nothing(model, parameters, dtype):
    """Where a model says IDLE, silent steps before its wake-up may be left out."""
    for seed in range(6):
        arrivals = arrivals_of(seed)
        neuron = disturbed(model, parameters, dtype, arrivals)
        t = len(arrivals) - 1
        while neuron.idle and (due := neuron.wake(t)) < 60:
            t = due
            neuron.step(t)
        if neuron.idle and neuron.wake(t) > t + 1:
            before = neuron.state.copy()
            assert not neuron.step(t + 1)
            assert np.array_equal(neuron.state, before)


@every_case
def test_states_stay_finite(model, parameters, dtype):
    neuron = disturbed(model, parameters, dtype, arrivals_of(0))
    for t in range(8, 200):
        neuron.step(t, 0.25)
    assert np.isfinite(neuron.state).all()


@examples(20)
@given(st.sampled_from(["float32", "float64"]), st.sampled_from(PARAMETERS["adaptive"]), st.integers(0, 2**32 - 1))
def test_a_model_with_step_alone_runs_on_both_engines(dtype, parameters, seed):
    rng = np.random.default_rng(seed)
    loop = Sparse(rng.integers(0, 7, 15), rng.integers(0, 7, 15), rng.normal(0, 0.5, 15), rng.integers(0, 3, 15))
    links = [Projection("in", "p", Dense(rng.normal(0.3, 0.5, (5, 7)))), Projection("p", "p", loop, delay=1)]
    network = Network([Input("in", 5)], [Population("p", 7, Adaptive, parameters, dtype)], links, dt_ms=1.0)
    raster = SpikeRaster.from_dense((rng.random((2, 12, 5)) < 0.3) * 1.0)
    event, stepped = (run(network, {"in": raster}, engine=e, record_state=["p"]) for e in ("event", "stepped"))
    assert_same(event, stepped, ["spikes", "synaptic_events"])
    for variable, values in event.states["p"].items():
        assert np.array_equal(values, stepped.states["p"][variable]), variable
    assert event.rasters["p"] == by_hand(parameters, dtype, links, raster)


def by_hand(parameters, dtype, links, raster):
    """The same network, one plain neuron at a time."""
    dense, loop = links[0].synapses.weights.astype(dtype), links[1].synapses
    arrives, fires = raster.to_dense(), np.zeros((raster.n_samples, raster.duration, 7))
    for sample in range(raster.n_samples):
        neurons = [PlainNeuron(Population("p", 1, Adaptive, parameters, dtype)) for _ in range(7)]
        for t in range(raster.duration):
            cell = np.zeros(7, dtype)
            for j in np.flatnonzero(arrives[sample, t]):
                cell += dense[j]
            for delay in (1, 2, 3):
                for k in np.flatnonzero(loop.synapse_delays == delay - 1) if t >= delay else []:
                    if fires[sample, t - delay, loop.sources[k]]:
                        cell[loop.targets[k]] += np.dtype(dtype).type(loop.weights[k])
            fires[sample, t] = [n.step(t, c) for n, c in zip(neurons, cell)]
    return SpikeRaster.from_dense(fires)


USER_FILE = """
    import json, sys
    from eventsnn import Network, SpikeRaster, run
    from eventsnn.network import Input, Population, Projection
    from eventsnn.neurons import GridModel
    from eventsnn.projections import Dense

    LIMIT = 1.0

    def reached(v):
        return v >= LIMIT

    class Mine(GridModel):
        name = "mine"

        @staticmethod
        def step(state, i, inputs, t, p, maps):
            state[0, i] += inputs[0, i]
            fired = reached(state[0, i])
            state[0, i] = 0 if fired else state[0, i]
            return fired

    links = [Projection("in", "p", Dense([[0.75]]))]
    network = Network([Input("in", 1)], [Population("p", 1, Mine)], links, dt_ms=1.0)
    result = run(network, {"in": SpikeRaster(range(8), [0] * 8, size=1, duration=8, dt_ms=1.0)})
    print(json.dumps([result.rasters["p"].times.tolist(), result.compile_seconds]))
"""


@pytest.mark.skipif(not jit_enabled(), reason="nothing is compiled")
def test_an_edited_model_is_never_served_from_the_cache_and_an_unedited_one_always(tmp_path):
    file, cache = tmp_path / "mine.py", tmp_path / "cache"

    def process(source):
        file.write_text(textwrap.dedent(source))
        environment = {**os.environ, "EVENTSNN_CACHE": str(cache)}
        done = subprocess.run([sys.executable, str(file)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return *json.loads(done.stdout), len(list(cache.rglob("*.nbc")))

    spikes, cold, compiled = process(USER_FILE)
    assert spikes == [1, 3, 5, 7]
    assert compiled > 0
    spikes, warm, files = process(USER_FILE)
    assert (spikes, files) == ([1, 3, 5, 7], compiled)
    assert warm < cold / 3
    spikes, _, files = process(USER_FILE.replace("v >= LIMIT", "v >= 2 * LIMIT"))  # a helper
    assert spikes == [2, 5]
    assert files > compiled
    assert process(USER_FILE.replace("LIMIT = 1.0", "LIMIT = 0.5"))[0] == list(range(8))  # a constant
    assert process(USER_FILE)[0] == [1, 3, 5, 7]
