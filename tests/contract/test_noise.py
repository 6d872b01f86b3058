"""Deletion, flips and jitter: laws, counters, windows, meetings, equal in every engine, refused where they cannot be."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import Network, SpikeRaster, run
from eventsnn.conversion.noise import with_noise
from eventsnn.errors import NetworkError
from eventsnn.network import Input, Population, Projection, Readout, Relay
from eventsnn.projections import Conv2d, Dense
from eventsnn.random import key, uniform
from eventsnn.relays import Deletion, Flip, GatedMaxPool, Jitter
from tests import strategies as draws
from tests.properties.settings import examples
from tests.reference.compare import assert_same, spikes_of


def noisy(kind, shape, dt_ms=1.0):
    """A noise relay, and accumulators that add up what passes."""
    n = int(np.prod(shape))
    population = Population("p", n, "accumulator", {}, "float64")
    return Network([Input("in", shape)], [population], [Projection("noise", "p", Dense(np.eye(n)))],
                   [Relay("noise", "in", kind)], dt_ms=dt_ms)


def by_hand(kind, raster, seed, samples):
    """What a relay called `noise` must pass, spike by spike: docs/semantics.md."""
    stream, passed = key(seed, "relay", "noise"), {}
    amplitudes = np.ones(raster.n_spikes) if raster.amplitudes is None else raster.amplitudes
    spikes = list(zip(raster.sample_of_spike(), raster.times, raster.ids, amplitudes))
    if isinstance(kind, Flip):
        passed, spikes = flipped_by_hand(kind, raster, stream, samples, {(r, t, i): a for r, t, i, a in spikes}), []
    for row, t, i, a in spikes:
        if isinstance(kind, Deletion):
            if uniform(stream, samples[row], t, [i])[0] >= kind.probability:
                passed[row, t, i] = a
            continue
        u, turn = uniform(stream, samples[row], t, [2 * i, 2 * i + 1])
        z = kind.std * math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * turn)
        d = int(abs(z)) if kind.absolute else int(z)
        low, high = kind.window or (0, raster.duration)
        if low <= t + d < min(high, raster.duration):
            a = a if kind.tau is None else a * float(np.exp(-d / kind.tau))
            passed[row, t + d, i] = passed.get((row, t + d, i), 0.0) + a
    return sorted((int(s), int(t), int(i), float(a)) for (s, t, i), a in passed.items() if a != 0)


def flipped_by_hand(kind, raster, stream, samples, there):
    """Every neuron in every step: {(row, step, id): amplitude or 0}."""
    passed = {}
    for row, t, i in np.ndindex(raster.n_samples, raster.duration, raster.size):
        flips = t < (kind.steps or raster.duration) and uniform(stream, samples[row], t, [i])[0] < kind.probability
        a = there.get((row, t, i), 0.0)
        passed[row, t, i] = (0.0 if a else kind.amplitude) if flips else a
    return passed


KINDS = [Deletion(0.0), Deletion(0.4), Jitter(0.0), Jitter(2.5), Jitter(1.5, absolute=True), Jitter(1.5, window=(2, 6)),
         Jitter(2.0, tau=3.0), Flip(0.2), Flip(0.4, 2.5, steps=3)]


@examples(40)
@given(st.data(), st.sampled_from(KINDS), st.sampled_from([(6,), (4, 5, 2)]), st.integers(0, 99))
def test_noise_equals_its_twin(data, kind, shape, seed):
    raster, ids = data.draw(draws.rasters(shape, 2, 8)), np.array([7, 3])
    network = noisy(kind, shape)
    result = run(network, {"in": raster}, seed=seed, sample_ids=ids, record_state=["p"])
    assert spikes_of(result.rasters["noise"]) == by_hand(kind, raster, seed, ids)
    for options in ({"engine": "stepped", "slab": 3}, {"schedule": "interleaved", "slab": 2}, {"threads": 2}):
        assert_same(run(network, {"in": raster}, seed=seed, sample_ids=ids, record_state=["p"], **options), result)


def test_probability_and_spread():
    n = 4000
    raster = SpikeRaster(np.repeat([50], n), np.arange(n), size=n, duration=101, dt_ms=1.0)
    lost = 1 - run(noisy(Deletion(0.3), n), {"in": raster}).rasters["noise"].n_spikes / n
    assert lost == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / n))
    moved = run(noisy(Jitter(6.0), n), {"in": raster}).rasters["noise"].times - 50
    assert abs(moved.mean()) < 4 * 6 / math.sqrt(n) and moved.std() == pytest.approx(5.6, rel=0.1)  # towards 0: less than 6
    late = run(noisy(Jitter(6.0, absolute=True), n), {"in": raster}).rasters["noise"].times - 50
    assert late.min() == 0 and late.mean() == pytest.approx(6 * math.sqrt(2 / math.pi) - 0.5, rel=0.1)


def test_seed_and_name_decide():
    raster = SpikeRaster(np.zeros(200, int), np.arange(200), size=200, duration=2, dt_ms=1.0)
    found = [run(noisy(Deletion(0.5), 200), {"in": raster}, seed=s).rasters["noise"] for s in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("make, words", [
    (lambda: Deletion(1.0), "probability must be a number in"), (lambda: Jitter(-1.0), "std must be a number in"),
    (lambda: Jitter(1.0, tau=0.0), "tau must be a number in"), (lambda: Jitter(1.0, window=(5, 5)), "window must be"),
    (lambda: Deletion(0.5, dt_ms=0.0), "dt_ms must be a number in"),
    (lambda: Flip(1.0), "probability must be a number in"), (lambda: Flip(0.5, 0.0), "amplitude must be finite and not 0"),
    (lambda: Flip(0.5, steps=0), "steps must be a whole number"), (lambda: gated(Flip(0.5)), "Flip needs the grid clock"),
    (lambda: gated(Deletion(0.5)), "on the continuous clock noise needs dt_ms"),
    (lambda: ring(Jitter(1.0)), "cannot be in a recurrent part"),
], ids=["probability", "std", "tau", "window", "dt", "flip", "amplitude", "steps", "flip clock", "clock", "ring"])
def test_what_does_not_fit_is_refused_in_words(make, words):
    with pytest.raises(NetworkError, match=words):
        make()


def gated(kind):
    """Noise in front of a gated population."""
    return Network([Input("in", 1)], [Population("p", 1, "ttfs")], [Projection("noise", "p", Dense([[1.0]]))],
                   [Relay("noise", "in", kind)])


def ring(kind):
    """Noise inside a loop."""
    links = [Projection("in", "p", Dense([[1.0]])), Projection("noise", "p", Dense([[1.0]]), delay=1)]
    return Network([Input("in", 1)], [Population("p", 1, "if")], links, [Relay("noise", "p", kind)], dt_ms=1.0)


def test_deletion_may_stand_in_a_loop():
    raster = SpikeRaster([0], [0], size=1, duration=40, dt_ms=1.0)
    event = run(ring(Deletion(0.2)), {"in": raster}, seed=3)
    assert 1 <= event.rasters["p"].n_spikes < 40  # the echo dies when one is lost
    assert run(ring(Deletion(0.2)), {"in": raster}, seed=3, engine="stepped", slab=1).rasters["p"] == event.rasters["p"]


@pytest.mark.parametrize("noise", [Deletion(0.3), Jitter(2.0)], ids=["deletion", "jitter"])
def test_noise_goes_behind_every_spike_of_any_coding(noise):
    """A rate-coded network with a pool: input and hidden spikes pass noise, the readout does not."""
    links = [Projection("in", "a", Conv2d(np.full((3, 3, 1, 2), 0.3))), Projection("pool", "out", Dense(np.full((8, 3), 0.4)))]
    populations = [Population("a", (4, 4, 2), "if"), Population("out", 3, "if")]
    network = Network([Input("in", (4, 4, 1))], populations, links, [Relay("pool", "a", GatedMaxPool(2))],
                      readout=Readout("out", "count"), dt_ms=1.0)
    raster = SpikeRaster.from_dense((np.random.default_rng(0).random((2, 60, 16)) < 0.4) * 1.0, shape=(4, 4, 1))
    odd = with_noise(network, noise)
    assert {r.name: r.source for r in odd.relays} == {"noise_in": "in", "noise_a": "a", "noise_out": "out", "pool": "noise_a"}
    event = run(odd, {"in": raster}, seed=1)
    assert_same(run(odd, {"in": raster}, seed=1, engine="stepped", slab=7), event)
    assert event.rasters["noise_a"] != event.rasters["a"] and event.rasters["noise_in"] != event.rasters["in"]
    assert np.array_equal(event.readout, event.rasters["out"].amplitude_sums())
    assert with_noise(network, noise, inputs=False).projections[0].source == "in"
