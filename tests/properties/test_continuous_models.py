"""Models on the continuous clock: closed forms, ties, ramps against ReLU and the plain twin, what is refused."""

import itertools

import numpy as np
import pytest

from eventsnn import Dense, Input, Population, Projection, SpikeRaster
from eventsnn.engines.continuous import run_continuous
from eventsnn.engines.continuous_plan import ContinuousNetwork
from eventsnn.errors import NetworkError, RunError
from eventsnn.neurons.cuba_lif import CubaLif
from eventsnn.neurons.lif_delta import LifDelta
from eventsnn.neurons.ramp_continuous import RampAlpha1, RampUngated, RampUngatedReadout
from tests.reference import continuous_heapq as twin


def lone(model, parameters, weights=(1.0,), times=(), duration=100.0, **options):
    """Run one neuron under the given arrivals."""
    raster = SpikeRaster(np.array(times, float), np.arange(len(times)) % len(weights), size=len(weights), duration=duration)
    synapses = Dense(np.array(weights, float)[:, None])
    network = ContinuousNetwork((Input("x", len(weights)),), (Population("n", 1, model, parameters, dtype="float64"),),
                                (Projection("x", "n", synapses),), readout="n")
    return run_continuous(network, {"x": raster}, duration, **options)


def test_closed_form_of_constant_drive():
    tau, e = 20.0, 1.5
    raster = lone(LifDelta, {"tau_mem": tau, "v_rest": e, "refractory": 3.0}, duration=10_000.0).rasters["n"]
    period = tau * np.log(e / (e - 1.0)) + 3.0
    assert raster.n_spikes == int((10_000.0 + 3.0) / period)
    np.testing.assert_allclose(raster.times, np.arange(1, raster.n_spikes + 1) * period - 3.0, rtol=1e-13)


def test_simultaneous_arrivals_are_summed_before_the_test():
    plain = {"tau_mem": 20.0}
    for walker in ("time", "synapse"):
        assert lone(LifDelta, plain, (0.5, 0.5), (7.0, 7.0), walker=walker).rasters["n"].times.tolist() == [7.0]
        assert lone(LifDelta, plain, (0.5, -0.25, 0.75), (7.0, 7.0, 7.0), walker=walker).rasters["n"].times.tolist() == [7.0]
        assert lone(LifDelta, plain, (1.5, -0.75), (7.0, 7.0), walker=walker).rasters["n"].n_spikes == 0


@pytest.mark.parametrize("walker", ["time", "synapse"])
def test_sums_of_nothing_are_delivered_once(walker):
    """A sum may be 0, also -0.0 in some orders: that something arrived still counts, and is forgotten afterwards."""
    weights = (1.0, -1.0, -0.0, -0.0, 0.5, 0.5)
    result = lone(LifDelta, {"tau_mem": 20.0}, weights, (7.0, 7.0, 8.0, 8.0, 9.0, 9.0), walker=walker)
    assert result.rasters["n"].times.tolist() == [9.0]
    assert result.counters["synaptic_events"] == 6 and result.counters["neuron_updates"] == 3


def test_a_residue_at_threshold_spikes_again_at_the_same_instant():
    result = lone(LifDelta, {"tau_mem": 20.0, "reset": "subtract"}, (3.0,), (7.0,))
    assert result.rasters["n"].times.tolist() == [7.0, 7.0, 7.0]
    held = lone(LifDelta, {"tau_mem": 20.0, "reset": "subtract", "refractory": 2.0}, (3.25,), (7.0,))
    assert held.rasters["n"].times.tolist() == [7.0, 9.0, 11.0]


def test_cuba_tangential_crossing_counts():
    """With the threshold at the peak of one arrival (rounded down a little) it spikes, above it does not."""
    for tau_mem, tau_syn in ((20.0, 5.0), (5.0, 20.0), (10.0, 10.0), (10.0, 9.9)):
        peak = np.exp(-1.0) if tau_mem == tau_syn else (tau_mem / tau_syn) ** (-tau_mem / (tau_mem - tau_syn))
        parameters = {"tau_mem": tau_mem, "tau_syn": tau_syn, "v_reset": -1.0}
        for factor, spikes in ((1 - 1e-13, 1), (1 + 1e-13, 0)):
            result = lone(CubaLif, parameters | {"v_threshold": peak * factor}, (1.0,), (1.0,), 200.0)
            assert result.rasters["n"].n_spikes == spikes


def test_potential_at_the_end():
    result = lone(LifDelta, {"tau_mem": 20.0, "v_rest": 0.25, "v_init": 0.5}, (0.25,), (10.0,), 30.0)
    expected = 0.25 + (0.25 * np.exp(-10 / 20) + 0.25) * np.exp(-20 / 20)
    np.testing.assert_allclose(result.readout, [[expected]], rtol=1e-15)


def ramp_layers(rng, sizes=(30, 20, 10), n=6):
    """Return (inputs, weights, biases, activations)."""
    weights = [rng.normal(size=(a, b)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    biases = [rng.normal(size=b) * 0.05 for b in sizes[1:]]
    x = rng.random((n, sizes[0])) * (rng.random((n, sizes[0])) < 0.5)
    return x, weights, biases


def test_ungated_ramps_equal_relu_where_nothing_is_early():
    x, (w1, w2), (b1, b2) = ramp_layers(np.random.default_rng(0))
    hidden = np.maximum(x @ w1 + b1, 0)
    rows, ids = np.nonzero(x)
    raster = SpikeRaster.from_events(1 - x[rows, ids], ids, x[rows, ids], rows, size=30, duration=1.0, n_samples=len(x))
    network = ContinuousNetwork(
        (Input("x", 30),), (Population("h", 20, RampUngated, {"t_open": 1.0, "window": 15.0, "bias": b1}, dtype="float64"),
                            Population("o", 10, RampUngatedReadout, {"t_open": 16.0, "bias": b2}, dtype="float64")),
        (Projection("x", "h", Dense(w1)), Projection("h", "o", Dense(w2))), readout="o")
    result = run_continuous(network, {"x": raster}, 16.0)
    first = result.rasters["h"].first_times()
    assert np.array_equal(np.isfinite(first), hidden > 0)
    np.testing.assert_allclose(np.where(np.isfinite(first), 16.0 - first, 0), hidden, atol=64 * 2.3e-16 * 20)
    np.testing.assert_allclose(result.readout, hidden @ w2 + b2, atol=1e-13)
    digests = {run_continuous(network, {"x": raster}, 16.0, window=w, walker=k).rasters["h"].digest()
               for w in (None, 1.0, 0.3) for k in ("time", "synapse")}
    assert digests == {result.rasters["h"].digest()}


@pytest.mark.parametrize("model", [RampUngated, RampAlpha1])
@pytest.mark.parametrize("duration", [5.0, 2.4, 1.3])
def test_the_dense_walker_gives_the_bits_of_the_others(model, duration):
    """Many spikes, early ones and simultaneous ones among them, more neurons than a block of lanes, two layers."""
    rng = np.random.default_rng(3)
    w1, w2, bias = rng.normal(size=(70, 90)) * 0.4, rng.normal(size=(90, 5)), rng.normal(size=90) * 0.3
    parameters = {"t_open": 1.0, "window": 1.4, "bias": bias}
    parameters |= {"slope": rng.uniform(0.5, 2, 90)} if model is RampAlpha1 else {}
    times = np.where(rng.random((3, 70)) < 0.5, rng.uniform(0, 2, (3, 70)), rng.integers(0, 9, (3, 70)) / 8).ravel()
    raster = SpikeRaster.from_events(times, np.tile(np.arange(70), 3), None, np.repeat(np.arange(3), 70), size=70, duration=2.0,
                                     n_samples=3)
    network = ContinuousNetwork(
        (Input("x", 70),), (Population("h", 90, model, parameters, dtype="float64"),
                            Population("o", 5, RampUngatedReadout, {"t_open": 2.4}, dtype="float64")),
        (Projection("x", "h", Dense(w1)), Projection("h", "o", Dense(w2))), readout="o")
    dense, plain = (run_continuous(network, {"x": raster}, duration, walker=k) for k in ("dense", "time"))
    assert (dense.rasters["h"].times < 1.0).any()
    assert dense.rasters["h"] == plain.rasters["h"] and np.array_equal(dense.readout, plain.readout)
    assert dense.counters == plain.counters and dense.per_population == plain.per_population


@pytest.mark.parametrize("zeta", [0.5, 0.0])
def test_alpha1_equals_relu_with_forced_spikes(zeta):
    x, (w1, w2), (b1, b2) = ramp_layers(np.random.default_rng(1))
    scale = np.where(w1.sum(0) > 0.99, 0.99 / w1.sum(0), 1.0)
    w1, b1, w2 = w1 * scale, b1 * scale, w2 / scale[:, None]
    hidden = np.maximum(x @ w1 + b1, 0)
    window, slope = (1 + zeta) * hidden.max(), 1 / (1 - w1.sum(0))
    samples = np.repeat(np.arange(len(x)), 30)
    raster = SpikeRaster.from_events((1 - x).ravel(), np.tile(np.arange(30), len(x)), None, samples, size=30, duration=1.0,
                                     n_samples=len(x))
    network = ContinuousNetwork(
        (Input("x", 30),),
        (Population("h", 20, RampAlpha1, {"t_open": 1.0, "window": window, "bias": b1, "slope": slope}, dtype="float64"),
         Population("o", 10, RampUngatedReadout, {"t_open": 1.0 + window, "bias": b2}, dtype="float64")),
        (Projection("x", "h", Dense(w1 * slope)), Projection("h", "o", Dense(w2))), readout="o")
    result = run_continuous(network, {"x": raster}, 1.0 + window)
    counts = result.rasters["h"].counts()
    assert (counts == 1).all()  # silent units are forced to spike at the very end of the run
    np.testing.assert_allclose(1.0 + window - result.rasters["h"].first_times(), hidden, atol=1e-13)
    np.testing.assert_allclose(result.readout, hidden @ w2 + b2, atol=1e-13)


@pytest.mark.parametrize("alpha1", [False, True])
def test_ramps_equal_the_heap_twin_also_where_spikes_are_early(alpha1):
    rng = np.random.default_rng(2)
    w, bias = rng.normal(size=(30, 20)), rng.normal(size=20)
    times, ids = np.round(rng.uniform(0, 2, 30), 1), np.arange(30)
    raster = SpikeRaster.from_events(times, ids, size=30, duration=2.0)
    slope = rng.uniform(0.5, 2, 20) if alpha1 else 1.0
    parameters = {"t_open": 1.0, "window": 1.2, "bias": bias, "slope": slope}
    model = RampAlpha1 if alpha1 else RampUngated
    network = ContinuousNetwork((Input("x", 30),), (Population("h", 20, model, parameters, dtype="float64"),),  # one layer
                                (Projection("x", "h", Dense(w)),))
    theta = slope * (1.2 - bias) + (1.0 if alpha1 else 0.0)
    neurons = [twin.Ramp(theta[i], 1.0 if alpha1 else 0.0, 0.0, 2.2, None if alpha1 else (1.0, 1.0), alpha1) for i in range(20)]
    synapses = [(i, j, w[i, j], 0.0) for i in range(30) for j in range(20)]
    spikes = list(zip(raster.times.tolist(), raster.ids.tolist(), [1.0] * 30))
    expected = twin.simulate({"h": neurons}, [("x", "h", synapses)], {"x": spikes}, 3.0)["h"]
    runs = [run_continuous(network, {"x": raster}, 3.0, walker=walker) for walker in ("time", "synapse", "dense")]
    assert len({r.rasters["h"].digest() for r in runs}) == 1
    for found in (r.rasters["h"] for r in runs):
        assert found.ids.tolist() == [i for _, i in expected]
        np.testing.assert_allclose(found.times, [t for t, _ in expected], atol=1e-13)
    assert min(found.times) < 1.0


def two(delay_there, delay_back):
    one = Dense(np.ones((1, 1)))
    populations = [Population(n, 1, LifDelta, dtype="float64") for n in "ab"]
    there, back = Projection("a", "b", one, delay=delay_there), Projection("b", "a", one, delay=delay_back)
    return ContinuousNetwork((), tuple(populations), (there, back))


def test_what_is_refused():
    with pytest.raises(NetworkError, match="cycle"):
        run_continuous(two(0.0, 0.0), {}, 10.0)
    run_continuous(two(0.0, 1.0), {}, 10.0)  # one delay in the cycle is enough
    with pytest.raises(NetworkError, match="window"):
        run_continuous(two(2.0, 1.0), {}, 10.0, window=1.5)
    for model, wrong in ((LifDelta, {"tau_mem": 0.0}), (CubaLif, {"tau_syn": -1.0}), (LifDelta, {"v_reset": 1.0}),
                         (CubaLif, {"v_init": 2.0}), (RampUngated, {"slope": 0.0}), (RampAlpha1, {"t_start": 2.0})):
        with pytest.raises(NetworkError):
            Population("n", 1, model, wrong)
    with pytest.raises(RunError, match="times at one instant"):
        lone(LifDelta, {"reset": "subtract"}, (1e9,), (1.0,))
    with pytest.raises(NetworkError, match="walker"):
        run_continuous(two(1.0, 1.0), {}, 10.0, walker="clock")
