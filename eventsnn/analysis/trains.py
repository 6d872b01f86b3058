"""Statistics of spike trains without labels: rates, intervals, population rate, correlation; in one pass over the spikes.

Definitions, for a population of N neurons over samples of length T; a bin is `bin_ms` long, an incomplete last bin of a
sample is left out:

- **rate**: spikes / (N x samples x T), Hz; its spread is the standard deviation over neurons (rates of a neuron over all
  samples), its silent neurons are those without a spike in any sample.
- **intervals** (ISI): between successive spikes of one neuron in one sample. Their mean is over all intervals. CV: standard
  deviation / mean of the intervals of one neuron in one sample (both over n), averaged over the neurons and samples that have
  at least `least` intervals; few intervals bias a CV towards 0.
- **population rate**: spikes of all neurons in a bin / (N x bin), Hz; mean, standard deviation and largest over all bins.
- **correlation**: Pearson's, of the spike counts per bin of two neurons, averaged over all pairs of a subset of the neurons
  (those at ids floor(k N / n), k = 0 ... n - 1, n = min(N, `subset`)) in which both have counts that vary.
"""

import numpy as np

from eventsnn.analysis.intervals import Gaps

BIN_MS, LEAST, SUBSET = 5.0, 5, 100


def chosen(size, most):
    """Return at most `most` neurons of `size`, evenly spread: ids floor(k size / n).

    Parameters
    ----------
    size, most : int

    Returns
    -------
    ndarray of int64
        Ascending.
    """
    n = min(size, most)
    return np.arange(n, dtype=np.int64) * size // max(n, 1)


class TrainStatistics:
    """Collects the statistics of one population from consecutive parts of its spikes.

    Parameters
    ----------
    size : int
        Number of neurons.
    duration_ms : float
        Length of a sample.
    n_samples : int
    bin_ms : float
        Length of a bin.
    least : int
        Intervals that a neuron needs for a CV.
    subset : int
        Most neurons of whom all pairs are correlated.

    Notes
    -----
    Memory is proportional to the number of neurons, to the square of `subset` and to the largest part. Moments of parts are
    merged after Chan, Golub & LeVeque, The American Statistician 37 (1983).
    """

    def __init__(self, size, duration_ms, n_samples=1, *, bin_ms=BIN_MS, least=LEAST, subset=SUBSET):
        self.size, self.duration, self.n_samples = size, float(duration_ms), n_samples
        self.bin_ms, self.least = float(bin_ms), least
        self.n_bins = int(np.floor(self.duration / self.bin_ms * (1 + 1e-12)))
        self.counts, self.sample, self.finder = np.zeros(size, np.int64), 0, Gaps(size)
        self.gaps, self.gap_sum, self.cv_sum, self.cv_count = 0, 0.0, 0.0, 0
        self.shown = chosen(size, subset)
        self.row = np.full(size, -1, np.int64)
        self.row[self.shown] = np.arange(self.shown.size)
        self.rate_sum = self.rate_square = self.rate_most = 0
        self.sums, self.products = np.zeros(self.shown.size), np.zeros((self.shown.size, self.shown.size))
        self._begin()

    def _begin(self):
        """Forget what belongs to one sample."""
        self.finder.begin()
        self.n = np.zeros(self.size, np.int64)
        self.mean, self.spread = np.zeros(self.size), np.zeros(self.size)
        self.waiting = np.empty(0), np.empty(0, np.int64)

    def add(self, sample, times_ms, ids):
        """Take the next spikes.

        Parameters
        ----------
        sample : int
            Not lower than that of the part before.
        times_ms : array_like (n,)
            Ascending, not before those of the part before in the same sample.
        ids : array_like of int (n,)
        """
        times, ids = np.asarray(times_ms, np.float64), np.asarray(ids, np.int64)
        if sample != self.sample:
            self._end(sample)
        self.counts += np.bincount(ids, minlength=self.size)
        self._intervals(times, ids)
        self.waiting = np.concatenate([self.waiting[0], times]), np.concatenate([self.waiting[1], ids])
        if times.size:
            self._bins(int(times[-1] // self.bin_ms))

    def _intervals(self, times, ids):
        gaps, owner = self.finder.take(times, ids)
        self.gaps, self.gap_sum = self.gaps + gaps.size, self.gap_sum + float(gaps.sum())
        n = np.bincount(owner, minlength=self.size)
        mean = np.bincount(owner, gaps, self.size) / np.maximum(n, 1)
        spread = np.bincount(owner, (gaps - mean[owner]) ** 2, self.size)
        both, shift = np.maximum(self.n + n, 1), mean - self.mean
        self.spread += spread + np.where(n > 0, shift**2 * self.n * n / both, 0.0)
        self.mean += np.where(n > 0, shift * n / both, 0.0)
        self.n += n

    def _bins(self, complete):
        """Count what lies in the bins before `complete`, which no later spike can reach."""
        times, ids = self.waiting
        bins = (times // self.bin_ms).astype(np.int64)
        done, stop = int(np.searchsorted(bins, complete)), int(np.searchsorted(bins, min(complete, self.n_bins)))
        self.waiting = times[done:], ids[done:]
        bins, ids = bins[:stop], ids[:stop]
        if not bins.size:
            return
        filled = np.bincount(np.cumsum(np.diff(bins, prepend=bins[0]) > 0))
        self.rate_sum, self.rate_square = self.rate_sum + int(filled.sum()), self.rate_square + int((filled**2).sum())
        self.rate_most = max(self.rate_most, int(filled.max()))
        self._products(bins, self.row[ids])

    def _products(self, bins, rows):
        from scipy.sparse import csr_array

        bins, rows = bins[rows >= 0], rows[rows >= 0]
        if bins.size:
            columns = np.cumsum(np.diff(bins, prepend=bins[0]) > 0)
            shape = (self.shown.size, int(columns[-1]) + 1)
            counts = csr_array((np.ones(bins.size), (rows, columns)), shape=shape)
            self.sums += np.bincount(rows, minlength=shape[0])
            self.products += (counts @ counts.T).toarray()

    def _end(self, sample):
        """Finish a sample."""
        self._bins(self.n_bins + 1)
        usable = (self.n >= self.least) & (self.mean > 0)
        cv = np.sqrt(self.spread[usable] / self.n[usable]) / self.mean[usable]
        self.cv_sum, self.cv_count = self.cv_sum + float(cv.sum()), self.cv_count + int(cv.size)
        self.sample = sample
        self._begin()

    def result(self):
        """Return the statistics; nothing may be added afterwards.

        Returns
        -------
        dict
            rate_hz, rate_sd_hz, rate_min_hz, rate_max_hz, silent; isi_mean_ms, isi_cv, isi_cv_neurons (neurons and samples
            that have one); population_rate {bin_ms, mean_hz, sd_hz, max_hz}; correlation {mean, pairs, neurons, bin_ms}.
            None where nothing is known.
        """
        self._end(self.n_samples)
        seconds = 1e-3 * self.duration * self.n_samples
        rates = self.counts / seconds if seconds else np.zeros(self.size)
        return {
            "rate_hz": float(rates.mean()), "rate_sd_hz": float(rates.std()),
            "rate_min_hz": float(rates.min()), "rate_max_hz": float(rates.max()),
            "silent": int(np.count_nonzero(self.counts == 0)),
            "isi_mean_ms": self.gap_sum / self.gaps if self.gaps else None,
            "isi_cv": self.cv_sum / self.cv_count if self.cv_count else None,
            "isi_cv_neurons": self.cv_count, "isi_cv_least_intervals": self.least,
            "population_rate": self._population_rate(),
            "correlation": self._correlation(),
        }  # fmt: skip

    def _population_rate(self):
        bins = self.n_bins * self.n_samples
        if not bins:
            return None
        unit = self.size * self.bin_ms * 1e-3
        mean = self.rate_sum / bins
        spread = np.sqrt(max(self.rate_square / bins - mean**2, 0.0))
        return {"bin_ms": self.bin_ms, "mean_hz": mean / unit, "sd_hz": float(spread) / unit, "max_hz": self.rate_most / unit}

    def _correlation(self):
        bins = self.n_bins * self.n_samples
        mean = self.sums / max(bins, 1)
        covariance = self.products / max(bins, 1) - np.outer(mean, mean)
        variance = np.diag(covariance)
        vary = variance > 1e-12 * np.maximum(np.diag(self.products) / max(bins, 1), 1e-300)
        n = int(vary.sum())
        if n < 2:
            return None
        sd = np.sqrt(variance[vary])
        table = covariance[np.ix_(vary, vary)] / np.outer(sd, sd)
        pairs = n * (n - 1) // 2
        mean = float(table[np.triu_indices(n, 1)].sum() / pairs)
        return {"mean": mean, "pairs": pairs, "neurons": int(self.shown.size), "bin_ms": self.bin_ms}


def of_raster(raster, **options):
    """Return the statistics of a whole raster.

    Parameters
    ----------
    raster : SpikeRaster
    **options
        bin_ms, least, subset of `TrainStatistics`.

    Returns
    -------
    dict
        As `TrainStatistics.result`.
    """
    found = TrainStatistics(raster.size, raster.duration_ms, raster.n_samples, **options)
    for k in range(raster.n_samples):
        part = raster.sample(k)
        found.add(k, part.times_ms, part.ids)
    return found.result()
