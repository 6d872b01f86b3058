"""Delivery in order of time: the walker for synapses that share delays (rows of many targets per spike).

Events of a window are (time, row), sorted; a row holds the targets of one source through one projection and delay. Rows are
numbered by (projection, delay, source), so that ascending rows at one instant are the canonical order.
"""

import numpy as np

from eventsnn.engines.borrow import borrowed, prefetch
from eventsnn.engines.ordering import sort_events
from eventsnn.engines.touch import (
    CALM,
    DONE,
    EVENT,
    ITEM,
    RESERVE,
    SPIKES,
    SPIKES_FULL,
    TOUCHED,
    close_window,
    fire,
    hear,
)
from eventsnn.neurons.continuous import ContinuousModel

AHEAD, ROWS_AHEAD, LINES = 12, 2, 4  # how far ahead memory is asked for: targets, spikes, and lines of each spike's row
WIDTH, instant = 4, ContinuousModel.instant  # replaced when compiled, like those of `touch`
EMPTY = -(2**63)  # the bits of -0.0, which no sum that begins with 0.0 can be: a cell that nothing has reached
UNIFORM = SCALED = False  # replaced when compiled: one weight per row; spikes have amplitudes


def take(times, ids, amps, first, n, delay, offset, tend, out_t, out_row, out_amp, count):
    """Append arrivals before `tend` of the spikes from `first` on; returns (next spike, new count), count -1 where full."""
    k = first
    while k < n:
        t = times[k] + delay
        if t >= tend:
            break
        if count == out_t.size:
            return first, -1
        out_t[count] = t
        out_row[count] = offset + ids[k]
        out_amp[count] = amps[k] if SCALED else 1.0
        count += 1
        k += 1
    return k, count


def weight_of(weights, amps, k, row, j):
    """Return what synapse `j` of event `k` delivers."""
    w = weights[row] if UNIFORM else weights[j]
    return w * amps[k] if SCALED else w


def ask_for_row(targets, indptr, er, k, n_events):
    """Ask for the first lines of the row of event `k`."""
    first = np.int64(indptr[er[min(k, n_events - 1)]])
    for line in range(LINES):
        prefetch(targets, first + 16 * line)


def sum_in_cells(ea, er, first, last, indptr, targets, weights, cells, bits, touched):
    """Add simultaneous arrivals to empty cells in ascending row, list their targets; returns the number of targets."""
    count = np.uint64(0)
    end = np.uint64(targets.size - 1)
    for k in range(np.uint64(first), np.uint64(last)):
        row = er[k]
        ask_for_row(targets, indptr, er, np.int64(k) + ROWS_AHEAD, np.int64(last))
        for j in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            prefetch(cells, targets[min(j + np.uint64(AHEAD), end)])
            i = targets[j]
            touched[count] = i  # no branch: whether a target is new cannot be foretold
            count += np.uint64(bits[i] == EMPTY)
            cells[i] = (cells[i] + 0.0) + weight_of(weights, ea, k, row, j)
    return np.int64(count)


def advance_by_time(size, et, er, ea, n_events, indptr, targets, weights, S, p, block_min, span, out_t, out_id, cells, bits,
                    touched, progress, counters):
    """Deliver the events of a window, then emit own spikes before its end; returns a status.

    ``bits`` is ``cells`` as integers.
    """
    return _advance(size, borrowed(et), borrowed(er), borrowed(ea), n_events, borrowed(indptr), borrowed(targets),
                    borrowed(weights), borrowed(S), p, borrowed(block_min), borrowed(span), borrowed(out_t), borrowed(out_id),
                    borrowed(cells), borrowed(bits), borrowed(touched), borrowed(progress), borrowed(counters))


def _advance(size, et, er, ea, n_events, indptr, targets, weights, S, p, block_min, span, out_t, out_id, cells, bits, touched,
             progress, counters):
    origin = span[0]
    n, k = progress[SPIKES], progress[EVENT]
    while k < n_events:
        t = et[k]
        g = instant(t - origin, p)
        last = k + 1
        while last < n_events and et[last] == t:
            last += 1
        ask_for_row(targets, indptr, er, k + ROWS_AHEAD, n_events)
        row = er[k]
        first, count = np.int64(indptr[row]), np.int64(indptr[row + 1]) - np.int64(indptr[row])
        among, summed = targets, last > k + 1
        if summed:
            if progress[TOUCHED] < 0:
                progress[TOUCHED] = sum_in_cells(ea, er, k, last, indptr, targets, weights, cells, bits, touched)
            among, first, count = touched, 0, progress[TOUCHED]
        n = _deliver(summed, k, row, first, count, among, t, g, ea, weights, S, p, block_min, origin, out_t, out_id, cells, n,
                     progress)
        if n < 0:
            progress[SPIKES], progress[EVENT] = -1 - n, k
            return SPIKES_FULL
        for m in range(k, last):
            counters[0] += np.int64(indptr[er[m] + 1]) - np.int64(indptr[er[m]])
        counters[1] += count
        progress[TOUCHED], progress[ITEM] = -1, 0
        k = last
    progress[SPIKES], progress[EVENT] = n, k
    return close_window(size, S, p, block_min, span, out_t, out_id, progress)


def _deliver(summed, k, row, first, count, targets, t, g, amps, weights, S, p, block_min, origin, out_t, out_id, cells, n,
             progress):
    """Deliver event `k`, or the cells of simultaneous ones, to its targets; returns the new count of spikes like `fire`."""
    rel, end, room = t - origin, np.uint64(targets.size - 1), out_t.size - RESERVE
    first, j, last = np.uint64(first), np.uint64(first + progress[ITEM]), np.uint64(first + count)
    while j < last:
        state = CALM
        while j < last:
            i = targets[j]
            prefetch(S, np.uint64(targets[min(j + np.uint64(AHEAD), end)]) * np.uint64(WIDTH))
            x = cells[i] if summed else weight_of(weights, amps, k, row, j)
            if summed:
                cells[i] = -0.0
            state = hear(S, i, x, t, rel, g, origin, p, block_min)
            if state != CALM:
                break
            j += np.uint64(1)
        if state != CALM:
            n = fire(state, S, i, x, t, rel, g, origin, p, block_min, out_t, out_id, n, progress)
            if n < 0 and summed:
                cells[i] = x
            j += np.uint64(n >= 0)
            if n < 0 or n > room:
                progress[ITEM] = j - first
                return n if n < 0 else -1 - n
    return n


def sort_window(times, ids, amps, first, last, spare_t, spare_id, spare_amp):
    """Sort the spikes of a window by (time, id)."""
    sort_events(times, ids, amps, first, last, spare_t, spare_id, spare_amp)
    return DONE
