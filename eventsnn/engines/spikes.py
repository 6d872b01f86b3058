"""Growing lists of spikes, sorted by (row, id), with offsets per row and per unit.

A row is an instant of one sample (grid clock) or a whole sample (gated networks).
"""

import numpy as np

from eventsnn.bits import append_places
from eventsnn.compile import specialise
from eventsnn.errors import RunError

SLACK = 16  # entries that may be read behind the end of a list


class SpikeList:
    """The spikes that a node emits in a run.

    Parameters
    ----------
    node : NodePlan
    rows : int
        Instants, or samples.
    capacity : int
        Room for that many spikes at first.
    timed : bool
        Whether every spike has a time of its own (continuous clock).
    """

    def __init__(self, node, rows, capacity, *, timed=False):
        self.name, self.units, self.lanes = node.name, node.units, node.lanes
        self.unit_amplitude = node.unit_amplitude
        self.ids = np.empty(capacity + SLACK, np.int32)
        self.amps = np.zeros(capacity + SLACK if node.stores_amplitudes else 1, node.dtype)
        self.times = np.empty(capacity + SLACK if timed else 1, np.float64)
        self.row_ptr = np.zeros(rows + 1, np.int64)
        self.unit_ptr = np.zeros(rows * node.units + 1 if node.wants_units else 1, np.int32)
        self.n = 0
        self.rounded = {}  # dtype -> (amplitudes, how many of them are rounded so far)
        self.window = {}  # dtype -> scratch of delivery: rows, amplitudes
        self.frames = {}  # dtype, size -> scratch of delivery: an image

    @property
    def out(self):
        """The arrays that kernels fill."""
        return self.ids, self.amps, self.row_ptr, self.unit_ptr

    def reserve(self, capacity):
        """Make room for `capacity` spikes in all."""
        for name in ("ids", "amps", "times"):
            old = getattr(self, name)
            if old.size > 1 and old.size < capacity + SLACK:
                new = np.zeros(capacity + SLACK, old.dtype)
                new[:self.n] = old[:self.n]
                setattr(self, name, new)

    def fill(self, row_ptr, ids, amps):
        """Put given spikes in, sorted by (row, id); row r owns ``row_ptr[r] : row_ptr[r + 1]``."""
        self.adopt(row_ptr, with_slack(ids, np.int32), with_slack(amps, self.amps.dtype), self.times)
        self.index_units()

    def adopt(self, row_ptr, ids, amps, times):
        """Take over arrays of spikes (with slack behind them) as they are."""
        self.n, self.rounded = int(row_ptr[-1]), {}
        self.row_ptr, self.ids, self.amps, self.times = row_ptr, ids, amps, times

    def index_units(self):
        """Find the offsets per unit, where somebody needs them."""
        if self.unit_ptr.size > 1:
            specialise(count_units)(self.ids, self.row_ptr, self.unit_ptr, self.units, self.lanes)

    def amplitudes_as(self, dtype):
        """Return amplitudes, each rounded to a target's dtype; only those that are new are rounded now."""
        if self.amps.dtype == dtype or self.amps.size == 1:
            return self.amps if self.amps.dtype == dtype else np.ones(1, dtype)
        rounded, done = self.rounded.get(dtype, (None, 0))
        if dtype.kind == "i":
            self._check_whole(self.amps[done:self.n], dtype)
        if rounded is None:
            rounded, done = self.amps.astype(dtype), self.n
        elif rounded.size < self.amps.size:
            wider = np.zeros(self.amps.size, dtype)
            wider[:done] = rounded[:done]
            rounded = wider
        rounded[done:self.n] = self.amps[done:self.n]
        self.rounded[dtype] = (rounded, self.n)
        return rounded

    def _check_whole(self, amps, dtype):
        limits = np.iinfo(dtype)
        wrong = amps[(amps != np.round(amps)) | (amps < limits.min) | (amps > limits.max)]
        if wrong.size:
            raise RunError(f"{self.name}: a spike of amplitude {wrong[0]} reaches a population of dtype {dtype}, which takes "
                           f"whole numbers from {limits.min} to {limits.max}; scale it and the weights, or give the population "
                           "a float dtype")

    def scratch(self, dtype):
        """Return room for the rows and amplitudes of all spikes of a window, and the slack."""
        if dtype not in self.window or self.window[dtype][0].size < self.n + SLACK:
            room = self.n + self.n // 4 + SLACK
            self.window[dtype] = np.zeros(room, np.int32), np.zeros(room, dtype)
        return self.window[dtype]

    def frame(self, size, dtype):
        """Return zeros for an instant of spikes laid out as an image; who uses them leaves them zero."""
        if (dtype, size) not in self.frames:
            self.frames[dtype, size] = np.zeros(size, dtype)
        return self.frames[dtype, size]


def with_slack(values, dtype):
    """Return a copy with SLACK zeros behind it: delivery reads in blocks of that many."""
    copy = np.zeros(len(values) + SLACK, dtype)
    copy[:len(values)] = values
    return copy


def count_units(ids, row_ptr, unit_ptr, units, lanes):
    """Fill the offsets per (row, unit) of a sorted spike list."""
    share = 1.0 / lanes  # (id + 1/2) / lanes is far enough from whole numbers for a product, which is faster than a quotient
    for r in range(row_ptr.size - 1):
        ends = unit_ptr[r * units + 1:(r + 1) * units + 1]
        ends[:] = row_ptr[r]
        for k in range(row_ptr[r], row_ptr[r + 1]):
            ends[np.uint32((ids[np.uint64(k)] + 0.5) * share)] = k + 1
        last = np.int32(row_ptr[r])
        for unit in range(np.uint64(units)):  # no branches: which units have spikes cannot be foretold
            last = max(last, ends[unit])
            ends[unit] = last


def order_by_id(offsets, first, last, ids, times, amps, row_ptr, new_ids, new_times, new_amps, slots, words, places):
    """Sort the spikes of samples first .. last - 1 by id; several spikes of one id stay in their order.

    `words` (one bit per id, all 0) and `slots` (one per id) are scratch, `places` has room for the ids of one sample + 8.
    """
    n = 0
    for sample in range(first, last):
        a, b = offsets[sample], offsets[sample + 1]
        repeated = False
        for k in range(a, b):
            word, bit = ids[k] >> 6, np.uint64(1) << np.uint64(ids[k] & 63)
            repeated = repeated or (words[word] & bit) != 0
            words[word] |= bit
            slots[ids[k]] = k
        m = 0
        for word in range(words.size):
            m = append_places(words[word], word * 64, places, m)
            words[word] = 0
        if repeated:
            for k in a + np.argsort(ids[a:b], kind="mergesort"):
                new_ids[n], new_times[n], new_amps[n] = ids[k], times[k], amps[k]
                n += 1
        else:
            for j in range(m):
                k = slots[places[j]]
                new_ids[n + j], new_times[n + j], new_amps[n + j] = places[j], times[k], amps[k]
            n += m
        row_ptr[sample - first + 1] = n
