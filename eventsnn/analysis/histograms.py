"""Histograms of spikes in one pass: first spikes, intervals, amplitudes, phases, and the entropy of spike words.

Definitions, for a population of N neurons over samples of length T:

- **first spikes**: of every neuron in every sample, in at most `BINS` bins of [0, T); a spike at T counts in the last bin.
- **intervals**: between successive spikes of one neuron in one sample (`intervals.Gaps`), in the same bins.
- **amplitudes**: of every spike, by |amplitude| on a logarithmic scale of `OCTAVE` bins to the factor 2, so that powers of two
  are lower edges; negative ones are counted apart.
- **phases**: spikes by t mod p (grid clock).
- **words**: a spike train of 0 and 1 (grid clock), cut from step 0 into words of L steps, an incomplete last word left out; the
  entropy H = -sum P(word) log2 P(word) in bits, P over all neurons, samples and words.
- **density**: spikes / (N x samples x steps) (grid clock).
"""

import numpy as np

from eventsnn.analysis.intervals import Gaps
from eventsnn.settings import as_numbers, check_number

BINS, OCTAVE, SPAN = 100, 4, 64  # SPAN octaves around 1: amplitudes beyond count in the outermost bin
LONGEST_WORD = 16


class SpikeHistograms:
    """Collects histograms of one population from consecutive parts of its spikes.

    Parameters
    ----------
    size : int
        Number of neurons.
    duration : float
        Length of a sample: steps with `dt_ms`, ms without.
    dt_ms : float or None
        Length of a step on the grid clock.
    phases : int, optional
        Period p in steps.
    words : sequence of int
        Lengths L in steps, from 1 to 16.

    Raises
    ------
    ModelError
        If the period or a length is out of range.

    Notes
    -----
    Memory is proportional to the number of neurons, to 2^L, and to the largest part with the spikes of one word's length.
    """

    def __init__(self, size, duration, dt_ms=None, *, phases=None, words=()):
        check_number(phases, "[1, inf)", "histograms: phases", int | None)
        for length in as_numbers(words, "histograms: words", "iu").reshape(-1).tolist():
            check_number(length, f"[1, {LONGEST_WORD}]", "histograms: words", int)
        self.size, self.duration, self.dt_ms, self.period = size, duration, dt_ms, phases
        width = duration / BINS if dt_ms is None else -(-int(duration) // BINS)
        count = BINS if dt_ms is None else -(-int(duration) // width)
        self.width, self.first, self.gaps = width, np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.amplitudes, self.negative = np.zeros(2 * SPAN * OCTAVE, np.int64), 0
        self.phase = np.zeros(phases or 0, np.int64)
        self.words = {length: np.zeros(2**length, np.int64) for length in words} if dt_ms is not None else {}
        self.spikes, self.sample, self.finder = 0, 0, Gaps(size)
        self._begin()

    def _begin(self):
        self.finder.begin()
        self.seen = np.zeros(self.size, bool)
        self.waiting = {length: (np.empty(0, np.int64), np.empty(0, np.int64)) for length in self.words}

    def add(self, sample, times_ms, ids, amplitudes=None):
        """Take the next spikes.

        Parameters
        ----------
        sample : int
            Not lower than that of the part before.
        times_ms : array_like (n,)
            Ascending, not before those of the part before in the same sample.
        ids : array_like of int (n,)
        amplitudes : array_like (n,), optional
            None: all are 1.
        """
        if sample != self.sample:
            self._end()
            self.sample = sample
        ids = np.asarray(ids, np.int64)
        times = np.asarray(times_ms, np.float64)
        times = times if self.dt_ms is None else np.rint(times / self.dt_ms).astype(np.int64)
        self.spikes += ids.size
        _, earliest = np.unique(ids, return_index=True)
        fresh = earliest[~self.seen[ids[earliest]]]
        self.seen[ids[fresh]] = True
        self._count(self.first, times[fresh])
        self._count(self.gaps, self.finder.take(times.astype(np.float64), ids)[0])
        self._add_amplitudes(ids.size, amplitudes)
        if self.period:
            self.phase += np.bincount(times % self.period, minlength=self.period)
        for length in self.words:
            late_times, late_ids = self.waiting[length]
            self.waiting[length] = np.concatenate([late_times, times]), np.concatenate([late_ids, ids])
            if times.size:
                self._close_words(length, int(times[-1]) // length)

    def _count(self, table, values):
        inner = self.width * np.arange(1, table.size)
        table += np.bincount(np.searchsorted(inner, values, side="right"), minlength=table.size)

    def _add_amplitudes(self, n, amplitudes):
        if amplitudes is None:
            self.amplitudes[SPAN * OCTAVE] += n
            return
        values = np.asarray(amplitudes, np.float64)
        self.negative += int(np.count_nonzero(values < 0))
        mantissa, exponent = np.frexp(np.abs(values[values != 0]))  # a power of two has mantissa 1/2: no rounding of a logarithm
        within = np.searchsorted(2.0 ** (np.arange(OCTAVE) / OCTAVE), 2 * mantissa, side="right") - 1
        bins = (exponent - 1 + SPAN) * OCTAVE + within
        self.amplitudes += np.bincount(np.clip(bins, 0, self.amplitudes.size - 1), minlength=self.amplitudes.size)

    def _close_words(self, length, complete):
        """Count the words before `complete`, which no later spike can reach; those without a spike are counted at the end."""
        times, ids = self.waiting[length]
        done = int(np.searchsorted(times, complete * length))
        self.waiting[length] = times[done:], ids[done:]
        times, ids = times[:done], ids[:done]
        inside = times < int(self.duration) // length * length
        times, ids = times[inside], ids[inside]
        _, owner = np.unique(times // length * self.size + ids, return_inverse=True)
        values = np.bincount(owner, 2.0 ** (times % length)).astype(np.int64)
        self.words[length] += np.bincount(values, minlength=2**length)

    def _end(self):
        for length in self.words:
            self._close_words(length, int(self.duration) // length + 1)
        self._begin()

    def result(self, n_samples):
        """Return the histograms as plain data; nothing may be added afterwards.

        Parameters
        ----------
        n_samples : int
            Number of samples, those without spikes included.

        Returns
        -------
        dict
            spikes; first_spikes, intervals ({"edges_ms", "counts"}, first spikes with the number of "silent" neurons);
            amplitudes ({"edges", "counts", "negative"}); on the grid also density, phases and words, those asked for.
        """
        self._end()
        places, unit = self.size * n_samples, self.dt_ms or 1.0
        edges = [float(k * self.width * unit) for k in range(self.first.size + 1)]
        used = np.flatnonzero(self.amplitudes)
        low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        found = {
            "spikes": self.spikes,
            "first_spikes": {"edges_ms": edges, "counts": self.first.tolist(), "silent": int(places - self.first.sum())},
            "intervals": {"edges_ms": edges, "counts": self.gaps.tolist()},
            "amplitudes": {"edges": [float(2.0 ** (k / OCTAVE - SPAN)) for k in range(low, high + 1)],
                           "counts": self.amplitudes[low:high].tolist(), "negative": self.negative},
        }  # fmt: skip
        if self.dt_ms is None:
            return found
        found["density"] = self.spikes / (places * self.duration) if places else 0.0
        if self.period:
            found["phases"] = self.phase.tolist()
        if self.words:
            found["words"] = {str(length): self._entropy(length, n_samples) for length in self.words}
        return found

    def _entropy(self, length, n_samples):
        total, counts = self.size * n_samples * (int(self.duration) // length), self.words[length]
        counts = np.append(counts[1:], total - counts[1:].sum())
        share = counts[counts > 0] / max(total, 1)
        return {"bits": float(-(share * np.log2(share)).sum()) + 0.0, "words": int(np.count_nonzero(counts)), "total": total}


def of_raster(raster, **options):
    """Return the histograms of a whole raster.

    Parameters
    ----------
    raster : SpikeRaster
    **options
        phases and words of `SpikeHistograms`.

    Returns
    -------
    dict
        As `SpikeHistograms.result`.
    """
    found = SpikeHistograms(raster.size, raster.duration, raster.dt_ms, **options)
    for k in range(raster.n_samples):
        part = raster.sample(k)
        found.add(k, part.times_ms, part.ids, part.amplitudes)
    return found.result(raster.n_samples)
