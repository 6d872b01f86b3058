"""Time to first spike with kernels: published vectors, exact crossings, windows, early firing, noise-robust spikes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import Network, SpikeRaster, run
from eventsnn.encoders import ttfs_kernel
from eventsnn.errors import NetworkError
from eventsnn.network import BiasDrive, Input, Population, Projection, Readout, Relay
from eventsnn.neurons.ttfs import kernel_tables, steps_of
from eventsnn.projections import Dense
from eventsnn.relays import EarliestPool
from tests.properties.settings import examples
from tests.reference.compare import assert_same

NEVER = None
VECTORS = [  # published code, float32: tau, td, T_fd, {x: step}
    (20.0, 0.0, 80, {1.0: 0, 0.99: 1, 0.9: 3, 0.75: 6, 0.5: 14, 0.25: 28, 0.1: 47, 0.05: 60, 0.02: 79, 0.0193: 79,
                     0.0192: NEVER}),
    (5.0, 0.0, 20, {0.9: 1, 0.75: 2, 0.5: 4, 0.25: 7, 0.1: 12, 0.05: 15, 0.0224: 19, 0.022: NEVER}),
    (19.455557, -2.0043764, 80, {1.0: 0, 0.9: 1, 0.5: 12, 0.1: 43, 0.02: 75}),
]


def fired(values, dtype="float32", model="ttfs", **parameters):
    """Let neurons of one population have the given potentials; return {neuron: (step, amplitude)}."""
    n, window = len(values), parameters.get("window", 80)
    raster = ttfs_kernel.analog([values], grid=model != "ttfs", duration=2 * window)
    times = {"t_open": window} if model == "ttfs" else {"t_open": window, "window": window}
    population = Population("p", n, model, times | parameters, dtype)
    links, dt = [Projection("in", "p", Dense(np.eye(n)))], None if model == "ttfs" else 1.0
    found = run(Network([Input("in", n)], [population], links, dt_ms=dt), {"in": raster}).rasters["p"]
    amps = np.ones(found.n_spikes) if found.amplitudes is None else found.amplitudes
    return {int(i): (int(t) - window, float(a)) for t, i, a in zip(found.times, found.ids, amps)}


@pytest.mark.parametrize("model", ["ttfs", "ttfs_early"])
@pytest.mark.parametrize("tau, td, window, steps", VECTORS)
def test_published_vectors(model, tau, td, window, steps):
    found = fired(list(steps), model=model, tau=tau, td=td, window=window)
    assert [found.get(k, (NEVER,))[0] for k in range(len(steps))] == list(steps.values())
    said = {0.9: 0.860708, 0.5: 0.496585, 0.1: 0.095369} if tau == 20 else {1.0: 0.902106} if td else {}
    for k, x in enumerate(steps):
        assert x not in said or found[k][1] == pytest.approx(said[x], abs=5e-7)


@examples(60)
@given(st.floats(0.2, 400.0), st.floats(-30.0, 30.0), st.sampled_from([1, 7, 20, 80, 128]), st.booleans(),
       st.sampled_from(["float32", "float64"]), st.integers(0, 2**32 - 1))
def test_the_first_crossing_is_exact(tau, td, window, half_step, dtype, seed):
    """Brute force over the table; thresholds themselves and their neighbours among the potentials."""
    try:
        p = Population("p", 1, "ttfs", {"t_open": 1.0, "window": window, "tau": tau, "td": td, "half_step": half_step}, dtype)
    except NetworkError as error:
        assert "float32 cannot hold" in str(error)
        return
    table = kernel_tables(window, tau, td, 1.0, half_step)[0].astype(dtype)
    rng = np.random.default_rng(seed)
    near = np.concatenate([table, np.nextafter(table, dtype_max(dtype)), np.nextafter(table, np.zeros_like(table))])
    values = np.concatenate([rng.choice(near, 40), rng.uniform(0, 1.5 * table[0], 20), [0.0, -1.0]]).astype(dtype)
    wanted = {k: int(np.flatnonzero(v >= table)[0]) for k, v in enumerate(values) if (v >= table).any()}
    parameters = {k: v for k, v in p.parameters.items() if k in ("tau", "td", "half_step")}
    found = fired(values.astype(np.float64), dtype, window=window, **parameters)
    assert {k: step for k, (step, _) in found.items()} == wanted


def dtype_max(dtype):
    """Largest number of a dtype."""
    return np.array(np.finfo(dtype).max, dtype)


def layers(early, start, window, dtype, rng, **kernel):
    """A network of two hidden layers and a readout, gated or on the grid."""
    sizes, links, populations = [12, 20, 15, 4], [], []
    weights = [rng.normal(0.1, 0.4, shape) for shape in pairwise(sizes)]
    bias = [rng.normal(0, 0.1, n) for n in sizes[1:]]
    for k, name in enumerate(("a", "b"), 1):
        times = {"t_listen": (k - 1) * start, "t_open": k * start} if early else {"t_open": k * start}
        values = times | {"window": window, "bias": bias[k - 1]} | kernel
        populations.append(Population(name, sizes[k], "ttfs_early" if early else "ttfs", values, dtype))
    if early:
        populations.append(Population("out", 4, "accumulator", {}, dtype))
    else:
        populations.append(Population("out", 4, "ttfs_readout", {"t_open": 2 * start + window, "bias": bias[2]}, dtype))
    for (source, target), w in zip((("in", "a"), ("a", "b"), ("b", "out")), weights):
        links.append(Projection(source, target, Dense(w)))
    drives = [BiasDrive("out", bias[2], "first")] if early else []
    return Network([Input("in", 12)], populations, links, (), drives, Readout("out"), 1.0 if early else None)


@examples(25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([{}, {"half_step": True}, {"td": -1.5, "tau": 6.0}, {"theta0": 0.7}]))
def test_without_overlap_early_firing_is_the_base_run(seed, kernel):
    kernel, window = {"tau": 5.0} | kernel, 20
    nets = [layers(early, window, window, "float64", np.random.default_rng(seed), **kernel) for early in (False, True)]
    x = np.random.default_rng(seed + 1).random((3, 12))
    given = {"tau": kernel["tau"], "td": kernel.get("td", 0.0), "window": window, "dtype": "float64"}
    base = run(nets[0], {"in": ttfs_kernel.encode(x, **given)})
    early = run(nets[1], {"in": ttfs_kernel.encode(x, **given, grid=True, duration=3 * window)})
    for name in ("a", "b"):
        assert base.rasters[name].times.tolist() == early.rasters[name].times.tolist()
        assert np.array_equal(base.rasters[name].ids, early.rasters[name].ids)
        assert base.rasters[name].counts().max() <= 1
    assert base.readout == pytest.approx(early.readout, rel=1e-12, abs=1e-12)


@examples(25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 10, 30]), st.sampled_from([0, 2]),
       st.sampled_from(["float32", "float64"]))
def test_early_firing_is_the_same_on_every_engine(seed, start, extra, dtype):
    window = 20
    network = layers(True, start, window, dtype, np.random.default_rng(seed), tau=5.0, extra=extra)
    x = np.random.default_rng(seed + 1).random((2, 12))
    raster = ttfs_kernel.encode(x, tau=5.0, window=window, grid=True, duration=2 * start + window)
    event = run(network, {"in": raster}, record_state=["a", "out"])
    for options in ({"engine": "stepped"}, {"schedule": "interleaved", "slab": 3}):
        other = run(network, {"in": raster}, record_state=["a", "out"], **options)
        assert_same(other, event, ["spikes", "synaptic_events"])
    for k, name in enumerate(("a", "b"), 1):
        found = event.rasters[name]
        assert found.counts().max(initial=0) <= 1 + extra
        assert not found.n_spikes or (found.times.min() >= k * start and found.times.max() < k * start + window)


def test_spikes_outside_the_integration_window_are_ignored():
    population = Population("p", 1, "ttfs_early", {"t_listen": 3, "t_open": 5, "window": 4, "tau": 4.0})
    network = Network([Input("in", 1)], [population], [Projection("in", "p", Dense([[0.9]]))], dt_ms=1.0)
    for step, heard in ((2, False), (3, True), (6, True), (7, False)):
        found = run(network, {"in": SpikeRaster([step], [0], size=1, duration=12, dt_ms=1.0)}).rasters["p"]
        assert found.times.tolist() == ([max(6, step)] if heard else [])


def test_a_late_inhibitory_spike_comes_too_late():
    """Early firing may be wrong: what has fired stays."""
    population = Population("p", 1, "ttfs_early", {"t_open": 2, "window": 8, "tau": 4.0})
    network = Network([Input("in", 2)], [population], [Projection("in", "p", Dense([[1.0], [-1.0]]))], dt_ms=1.0)
    both = SpikeRaster([0, 5], [0, 1], size=2, duration=12, dt_ms=1.0)
    assert run(network, {"in": both}).rasters["p"].times.tolist() == [2]
    same_step = SpikeRaster([2, 2], [0, 1], size=2, duration=12, dt_ms=1.0)
    assert run(network, {"in": same_step}).rasters["p"].n_spikes == 0  # integrated before the threshold is looked at


def test_extra_spikes_follow_at_once_and_carry_the_kernel():
    found = fired([0.5], model="ttfs_early", tau=5.0, window=20, extra=2)
    population = Population("p", 1, "ttfs_early", {"t_open": 20, "window": 20, "tau": 5.0, "extra": 2})
    network = Network([Input("in", 1)], [population], [Projection("in", "p", Dense([[0.5]]))], dt_ms=1.0)
    raster = run(network, {"in": SpikeRaster([0], [0], size=1, duration=40, dt_ms=1.0)}).rasters["p"]
    assert raster.times.tolist() == [24, 25, 26] and found[0][0] == 6
    assert raster.amplitudes == pytest.approx([math.exp(-n / 5) for n in (4, 5, 6)], rel=1e-6)


def test_the_next_layer_may_decode_with_another_kernel():
    assert fired([0.5], tau=20.0)[0] == (14, pytest.approx(math.exp(-14 / 20), rel=1e-6))
    assert fired([0.5], tau=20.0, tau_out=10.0, td_out=2.0)[0] == (14, pytest.approx(math.exp(-12 / 10), rel=1e-6))


def test_a_raster_of_ones_means_one():
    """Full pixels have amplitude 1, and a raster of ones is one without amplitudes."""
    x = np.ones((1, 4))
    raster = ttfs_kernel.encode(x)
    assert raster.amplitudes is None
    population = Population("out", 1, "ttfs_readout", {"t_open": 80.0}, "float64")
    for relays, source in (((), "in"), ((Relay("pool", "in", EarliestPool(2)),), "pool")):
        n = 4 if source == "in" else 1
        network = Network([Input("in", (2, 2, 1))], [population], [Projection(source, "out", Dense(np.ones((n, 1))))], relays,
                          readout=Readout("out"))
        assert run(network, {"in": raster}).readout.tolist() == [[float(n)]]


def test_mixed_meanings_of_a_raster_without_amplitudes_are_refused():
    populations = [Population("a", 1, "ttfs", {"t_open": 80.0}), Population("b", 1, "ramp", {"t_open": 80.0})]
    network = Network([Input("in", 1)], populations, [Projection("in", n, Dense([[1.0]])) for n in "ab"])
    with pytest.raises(NetworkError, match="mean the time left to ramp and 1 to ttfs; give it amplitudes"):
        run(network, {"in": SpikeRaster([0.0], [0], size=1, duration=80.0)})


def test_auto_stays_with_the_event_engine_where_there_is_no_closed_form():
    network = layers(False, 20, 20, "float32", np.random.default_rng(0), tau=5.0)
    raster = ttfs_kernel.encode(np.ones((1, 12)), tau=5.0, window=20)
    assert run(network, {"in": raster}, engine="auto").engine == "event"
    with pytest.raises(NetworkError, match="no closed form"):
        run(network, {"in": raster}, engine="analytic")


@pytest.mark.parametrize("model, parameters, words", [
    ("ttfs", {"window": 80.5}, "whole steps of 1 ms, got 80.5 ms"),
    ("ttfs", {"tau": 0.5}, "float32 cannot hold; take a longer tau"),
    ("ttfs", {"td_out": 3.0}, "td_out belongs to tau_out"),
    ("ttfs_early", {"t_open": 1.5}, "t_open must be a whole number of steps"),
    ("ttfs_early", {"window": 2.5}, "window must be a whole number"),
    ("ttfs", {"tau": 0.0}, "tau: must be from"),
], ids=["window", "underflow", "decode", "open", "early window", "tau"])
def test_what_does_not_fit_is_refused_in_words(model, parameters, words):
    with pytest.raises(NetworkError, match=words):
        Population("p", 1, model, parameters)


def test_a_step_may_have_any_length():
    population = Population("p", 1, "ttfs", {"t_open": 4.0, "window": 10.0, "dt": 0.125})
    network = Network([Input("in", 1)], [population], [Projection("in", "p", Dense([[1.0]]))])
    found = run(network, {"in": ttfs_kernel.analog([[0.5]], dt_ms=0.125, duration=32)}).rasters["p"]
    assert found.times.tolist() == [4.0 + 14 * 0.125]
    assert steps_of(population.parameters) == 80
