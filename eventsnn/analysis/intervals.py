"""Inter-spike intervals: the one place where they are found."""

import numpy as np


class Gaps:
    """Intervals between successive spikes of a neuron, from consecutive parts of one sample.

    Parameters
    ----------
    size : int
        Number of neurons.
    """

    def __init__(self, size):
        self.last = np.full(size, np.nan)

    def begin(self):
        """Begin a sample: no neuron has spiked."""
        self.last[:] = np.nan

    def take(self, times, ids):
        """Return (intervals, their neurons) that end with the spikes of a part; sorted by neuron, then time.

        Parameters
        ----------
        times : ndarray (n,)
            Ascending, not before those of the part before.
        ids : ndarray of int (n,)
        """
        order = np.argsort(ids, kind="stable")
        times, ids = times[order], ids[order]
        before = np.empty(times.size)
        before[1:] = times[:-1]
        first = np.ones(ids.size, bool)
        first[1:] = ids[1:] != ids[:-1]
        before[first] = self.last[ids[first]]
        ends = np.append(first[1:], True) if ids.size else first
        self.last[ids[ends]] = times[ends]
        known = ~np.isnan(before)
        return (times - before)[known], ids[known]


def intervals(raster):
    """Return all inter-spike intervals, pooled over samples and neurons.

    Parameters
    ----------
    raster : SpikeRaster

    Returns
    -------
    ndarray of float64
        ms.
    """
    gaps, found = Gaps(raster.size), [np.empty(0)]
    for k in range(raster.n_samples):
        part = raster.sample(k)
        gaps.begin()
        found.append(gaps.take(part.times_ms, part.ids)[0])
    return np.concatenate(found)
