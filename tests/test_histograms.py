"""Histograms and word entropies against counts made neuron by neuron, in one part and in many."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from eventsnn.analysis.histograms import BINS, OCTAVE, SpikeHistograms, of_raster
from eventsnn.errors import ModelError
from eventsnn.raster import SpikeRaster


def some(seed, steps=23, size=7, samples=3, amplitudes=True):
    """A grid raster with amplitudes on powers of two and elsewhere, one neuron silent."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((samples, steps, size)) < 0.3) * rng.choice([0.25, 0.5, 1.0, 3.0, -0.7], (samples, steps, size))
    dense[:, :, 2] = 0
    return SpikeRaster.from_dense(dense if amplitudes else (dense != 0) * 1.0, dt_ms=0.5)


def trains(raster):
    """Times in steps of each neuron in each sample."""
    parts = [raster.sample(k) for k in range(raster.n_samples)]
    return [part.times[part.ids == i] for part in parts for i in range(raster.size)]


@pytest.mark.parametrize("seed", range(4))
def test_definitions(seed):
    raster = some(seed)
    found, each = of_raster(raster, phases=5, words=(1, 3, 4)), trains(raster)
    first, gaps = [t[0] for t in each if t.size], np.concatenate([np.diff(t) for t in each])
    assert found["first_spikes"]["counts"] == np.bincount(first, minlength=23).tolist()
    assert found["first_spikes"]["silent"] == sum(t.size == 0 for t in each)
    assert found["first_spikes"]["edges_ms"] == [k / 2 for k in range(24)]
    assert found["intervals"]["counts"] == np.bincount(gaps, minlength=23).tolist()
    assert found["phases"] == np.bincount(raster.times % 5, minlength=5).tolist()
    assert found["spikes"] == raster.n_spikes and found["density"] == raster.n_spikes / (3 * 7 * 23)
    dense = raster.to_dense() != 0
    for length in (1, 3, 4):
        words = Counter(tuple(dense[k, t : t + length, i]) for k in range(3) for i in range(7)
                        for t in range(0, 23 - length + 1, length))  # fmt: skip
        share = np.array(list(words.values())) / sum(words.values())
        assert found["words"][str(length)]["bits"] == pytest.approx(-(share * np.log2(share)).sum())
        assert found["words"][str(length)]["words"] == len(words) and found["words"][str(length)]["total"] == sum(words.values())


def test_powers_of_two_are_lower_edges():
    found = of_raster(some(1))["amplitudes"]
    counts = Counter(np.abs(some(1).amplitudes).tolist())
    assert found["negative"] == counts[0.7] and sum(found["counts"]) == sum(counts.values())
    for value in (0.25, 0.5, 1.0):
        assert value in found["edges"] and found["counts"][found["edges"].index(value)] == counts[value]
    inside = [low <= 3.0 < high for low, high in pairwise(found["edges"])]
    assert found["counts"][inside.index(True)] == counts[3.0]
    assert np.allclose(np.diff(np.log2(found["edges"])), 1 / OCTAVE)
    assert of_raster(some(1, amplitudes=False))["amplitudes"]["edges"][0] == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_parts_do_not_matter(seed):
    raster, rng = some(seed), np.random.default_rng(seed)
    parts = SpikeHistograms(raster.size, raster.duration, raster.dt_ms, phases=4, words=(2, 5))
    for k in range(raster.n_samples):
        part = raster.sample(k)
        cuts = [0, *np.sort(rng.integers(0, part.n_spikes + 1, 4)), part.n_spikes]
        for a, b in pairwise(cuts):
            parts.add(k, part.times_ms[a:b], part.ids[a:b], part.amplitudes[a:b])
    assert parts.result(raster.n_samples) == of_raster(raster, phases=4, words=(2, 5))


def test_continuous_times_and_silence():
    raster = SpikeRaster([0.0, 2.5, 10.0], [0, 0, 1], size=3, duration=10.0)
    found = of_raster(raster)
    assert len(found["first_spikes"]["counts"]) == BINS and found["first_spikes"]["counts"][0] == 1
    assert found["first_spikes"]["counts"][-1] == 1 and found["intervals"]["counts"][25] == 1
    assert "density" not in found and "words" not in found
    quiet = of_raster(SpikeRaster([], [], size=2, duration=250, dt_ms=1.0), words=(4,))
    assert quiet["amplitudes"]["counts"] == [] and quiet["words"]["4"] == {"bits": 0.0, "words": 1, "total": 124}
    assert quiet["first_spikes"]["silent"] == 2 and quiet["first_spikes"]["edges_ms"][1] == 3.0 and quiet["density"] == 0


def test_the_entropy_of_fair_coins_is_their_number():
    dense = np.array([[b >> 2 & 1, b >> 1 & 1, b & 1] for b in range(8)], float).reshape(1, 24, 1)
    found = of_raster(SpikeRaster.from_dense(dense), words=(3,))
    assert found["words"]["3"]["bits"] == 3.0


@pytest.mark.parametrize("options", [{"phases": 0}, {"phases": -3}, {"words": [17]}, {"words": [0]}, {"words": [1.5]}], ids=str)
def test_lengths_out_of_range_are_refused(options):
    with pytest.raises(ModelError, match=r"histograms: (phases|words)"):
        of_raster(some(0), **options)
