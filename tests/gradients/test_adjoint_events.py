"""The adjoint of event simulation: spikes that move with arrivals, windows, samples, what is reported and what is refused."""

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Population, Projection, SparseMs, SpikeRaster, run
from eventsnn.errors import NetworkError, RunError
from eventsnn.gradients import adjoint
from eventsnn.gradients.adjoint import LossGradient, gradient
from tests.gradients.adjoint_cases import close, equal


def test_a_spike_set_off_by_an_arrival_moves_with_it():
    network = Network([Input("x", 2)], [Population("n", 1, "lif_continuous", dtype="float64")],
                      [Projection("x", "n", Dense([[0.6], [0.6]]), delay=1.0)])
    alone = {"x": SpikeRaster([1.0, 2.0], [0, 1], size=2, duration=9.0)}
    found = gradient(network, alone, run(network, alone), LossGradient(0.0, {"n": np.ones(1)}))
    assert found.input_times["x"].tolist() == [0.0, 1.0] and found.delays == (1.0,) and not found.weights[0].any()
    assert found.ties == {"n": 0} and found.min_slope["n"][0] == np.inf
    tied = {"x": SpikeRaster([2.0, 2.0], [0, 1], size=2, duration=9.0)}
    found = gradient(network, tied, run(network, tied), LossGradient(0.0, {"n": np.ones(1)}))
    assert found.input_times["x"].tolist() == [0.5, 0.5] and found.ties == {"n": 1}


def times_and_slopes(weights, t, own):
    """One input, two neurons in a row, each reached after 2 ms: all spike times, and their derivatives by the two arguments."""
    network = Network([Input("x", 1)], [Population(n, 1, "lif_continuous", own, dtype="float64") for n in "ab"],
                      [Projection("x", "a", Dense([[weights[0]]]), delay=2.0),
                       Projection("a", "b", Dense([[weights[1]]]), delay=2.0)])  # fmt: skip
    inputs = {"x": SpikeRaster([t], [0], size=1, duration=30.0)}
    result = run(network, inputs)
    found = np.concatenate([result.rasters[n].times for n in "ab"])
    slopes = []
    for k in range(found.size):
        one = np.split(np.eye(found.size)[k], [result.rasters["a"].n_spikes])
        g = gradient(network, inputs, result, LossGradient(0.0, dict(zip("ab", one))))
        slopes.append([g.input_times["x"][0], g.weights[0][0, 0], g.weights[1][0, 0]])
    return found, np.array(slopes)


def test_a_residue_that_waits_for_the_end_of_the_refractory_time():
    """Two spikes of the first neuron, one refractory time apart; the second arrives just when the next neuron is free again."""
    own = {"tau_mem": 8.0, "v_rest": 1.5, "reset": "subtract", "refractory": 1.0}
    weights, t, h = np.array([2.75, 1.25]), 1.0, 2.0**-20  # sums of powers of two: the tie stands when t moves
    found, slopes = times_and_slopes(weights, t, own)
    assert found[1] == found[0] + 1.0 and 6.0 in found and found.size > 6
    measured = []
    for d in np.eye(3) * h:
        up, down = (times_and_slopes(weights + s * d[1:], t + s * d[0], own)[0] for s in (1, -1))
        measured.append((up - down) / (2 * h))
    close(slopes, np.array(measured).T, 1e-7)


def recurrent(delay):
    """Two populations in a loop, delays that decide the windows of the way back."""
    rng = np.random.default_rng(3)
    pairs = np.repeat(range(5), 5), np.tile(range(5), 5)
    there = SparseMs.from_lists(*pairs, rng.normal(0.4, 0.6, 25), rng.uniform(0, 3, 25), n_sources=5)
    back = SparseMs.from_lists(*pairs, rng.normal(0, 0.5, 25), delay, n_sources=5)
    own = {"tau_mem": 8.0, "tau_syn": 3.0, "v_threshold": 0.3}
    return Network([Input("x", 8)], [Population(n, 5, "cuba_lif", own, dtype="float64") for n in "ab"],
                   [Projection("x", "a", Dense(rng.normal(0.4, 0.5, (8, 5)))), Projection("a", "b", there),
                    Projection("b", "a", back)])


def test_windows_of_the_way_back_do_not_show(monkeypatch):
    """The shortest window that the delays allow, and a hundredth of it, give the same gradient to rounding."""
    rng = np.random.default_rng(0)
    network = recurrent(2.0)
    inputs = {"x": SpikeRaster(np.sort(rng.uniform(0, 40, 60)), rng.integers(0, 8, 60), size=8, duration=60.0)}
    result = run(network, inputs)
    loss = LossGradient(0.0, {"b": rng.normal(size=result.rasters["b"].n_spikes)}, {"a": rng.normal(size=(1, 5))})
    assert result.counters["spikes"] > 20
    whole = gradient(network, inputs, result, loss)
    made = adjoint.make_plans

    def finer(*arguments):
        plans, parts = made(*arguments)
        return plans, [(names, window / 100) for names, window in parts]

    with monkeypatch.context() as patch:
        patch.setattr(adjoint, "make_plans", finer)
        # a hundred times the roundings, and what spikes make of them
        equal(gradient(network, inputs, result, loss), whole, 1e-10)


def test_samples_add_up():
    rng = np.random.default_rng(0)
    network = recurrent(2.0)
    raster = SpikeRaster(np.sort(rng.uniform(0, 40, (2, 30)), axis=1).ravel(), rng.integers(0, 8, 60), size=8, duration=60.0,
                         offsets=[0, 30, 60])
    result = run(network, {"x": raster})
    c = rng.normal(size=result.rasters["b"].n_spikes)
    whole = gradient(network, {"x": raster}, result, LossGradient(0.0, {"b": c}))
    total = np.zeros((8, 5))
    for k in range(2):
        part = {"x": raster.sample(k)}
        offsets = result.rasters["b"].offsets
        own = LossGradient(0.0, {"b": c[offsets[k]:offsets[k + 1]]})
        total += gradient(network, part, run(network, part), own).weights[0]
    close(whole.weights[0], total)


def test_a_tangential_crossing_is_reported_and_never_hidden():
    """The flatter the crossing, the smaller the slope reported and the larger the derivative; at slope 0 it is refused."""
    slopes = []
    for short in (1e-2, 1e-4, 1e-8):
        own = {"tau_mem": 10.0, "tau_syn": 10.0, "v_threshold": float(np.exp(-1.0)) * (1 - short), "v_reset": -1.0}
        network = Network([Input("x", 1)], [Population("n", 1, "cuba_lif", own, dtype="float64")],
                          [Projection("x", "n", Dense([[1.0]]))])
        inputs = {"x": SpikeRaster([1.0], [0], size=1, duration=50.0)}
        result = run(network, inputs)
        found = gradient(network, inputs, result, LossGradient(0.0, {"n": np.ones(1)}))
        slope, neuron, t = found.min_slope["n"]
        assert (neuron, t) == (0, result.rasters["n"].times[0])
        assert found.parameters["n"]["v_threshold"][0] == pytest.approx(1 / slope)
        slopes.append(slope)
    assert slopes[0] > 5 * slopes[1] > 25 * slopes[2] > 0


def test_a_derivative_that_does_not_exist_is_refused():
    from eventsnn.neurons.cuba_lif import CubaLif

    class Flat(CubaLif):
        name = "flat"

        @staticmethod
        def adjoint_jump(L, a, S, b, t, e, own, p):
            L[a] -= e / (S[b] - S[b])
            return S[b] - S[b], 0.0

    network = Network([Input("x", 1)], [Population("n", 1, Flat, {"v_threshold": 0.1}, dtype="float64")],
                      [Projection("x", "n", Dense([[2.0]]))])
    inputs = {"x": SpikeRaster([1.0], [0], size=1, duration=50.0)}
    result = run(network, inputs)
    with pytest.raises(RunError, match="only touches its threshold"):
        gradient(network, inputs, result, LossGradient(0.0, {"n": np.ones(result.rasters["n"].n_spikes)}))


def test_what_does_not_fit_is_refused():
    network = recurrent(2.0)
    inputs = {"x": SpikeRaster([1.0], [0], size=8, duration=9.0)}
    result, n = run(network, inputs), np.zeros(0)
    wrong = [({"times": {"c": n}}, "unknown population 'c'"), ({"times": {"a": np.zeros(7)}}, "must have shape"),
             ({"potentials": {"a": np.zeros((2, 5))}}, "must have shape"),
             ({"looks": {"a": ([9.5], np.zeros((1, 1, 5)))}}, "ascend"),
             ({"potentials": {"a": np.full((1, 5), np.nan)}}, "finite")]  # fmt: skip
    for how, message in wrong:
        with pytest.raises(NetworkError, match=message):
            gradient(network, inputs, result, LossGradient(0.0, **how))
    with pytest.raises(NetworkError, match="no raster of a"):
        gradient(network, inputs, run(network, inputs, record=["b"]), LossGradient())
    gated = Network([Input("x", 1)], [Population("n", 1, "ramp", dtype="float64")], [Projection("x", "n", Dense([[1.0]]))])
    one = {"x": SpikeRaster([0.5], [0], size=1, duration=1.0)}
    with pytest.raises(NetworkError, match="closed form"):
        gradient(gated, one, run(gated, one), LossGradient())
