"""Delivery in order of time: the walker for synapses that share delays (rows of many targets per spike).

Events of a window are (time, row), sorted; a row holds the targets of one source through one projection and delay. Rows are
numbered by (projection, delay, source), so that ascending rows at one instant are the canonical order.
"""

import numpy as np

from eventsnn.engines.borrow import borrowed, prefetch
from eventsnn.engines.ordering import sort_events
from eventsnn.engines.touch import (
    DONE,
    EVENT,
    ITEM,
    SPIKES,
    SPIKES_FULL,
    STAMP,
    TOUCHED,
    close_window,
    touch,
)
from eventsnn.neurons.continuous import ContinuousModel

AHEAD, ROWS_AHEAD = 12, 2  # how far ahead memory is asked for: targets, spikes
WIDTH, instant = 4, ContinuousModel.instant  # replaced when compiled, like those of `touch`
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


def sum_in_cells(ea, er, first, last, indptr, targets, weights, cells, marks, touched, stamp):
    """Add simultaneous arrivals to zeroed cells in ascending row, list their targets; returns the number of targets."""
    count = 0
    end = targets.size - 1
    for k in range(first, last):
        row = er[k]
        prefetch(targets, indptr[er[min(k + ROWS_AHEAD, last - 1)]])
        for j in range(indptr[row], indptr[row + 1]):
            prefetch(cells, targets[min(j + AHEAD, end)])
            w = weights[row] if UNIFORM else weights[j]
            x = w * ea[k] if SCALED else w
            i = targets[j]
            cells[i] += x
            touched[count] = i  # no branch: whether a target is new cannot be foretold
            count += marks[i] != stamp
            marks[i] = stamp
    return count


def advance_by_time(size, et, er, ea, n_events, indptr, targets, weights, S, p, block_min, span, out_t, out_id, cells, marks,
                    touched, progress, counters):
    """Deliver the events of a window, then emit own spikes before its end; returns a status."""
    return _advance(size, borrowed(et), borrowed(er), borrowed(ea), n_events, borrowed(indptr), borrowed(targets),
                    borrowed(weights), borrowed(S), p, borrowed(block_min), borrowed(span), borrowed(out_t), borrowed(out_id),
                    borrowed(cells), borrowed(marks), borrowed(touched), borrowed(progress), borrowed(counters))


def _advance(size, et, er, ea, n_events, indptr, targets, weights, S, p, block_min, span, out_t, out_id, cells, marks, touched,
             progress, counters):
    origin = span[0]
    n, k = progress[SPIKES], progress[EVENT]
    while k < n_events:
        t = et[k]
        rel = t - origin
        g = instant(rel, p)
        last = k + 1
        while last < n_events and et[last] == t:
            last += 1
        if last == k + 1:
            row = er[k]
            first, count = indptr[row], np.int64(indptr[row + 1]) - np.int64(indptr[row])
            end = targets.size - 1
            for j in range(progress[ITEM], count):
                prefetch(S, np.int64(targets[min(first + j + AHEAD, end)]) * WIDTH)
                w = weights[row] if UNIFORM else weights[first + j]
                x = w * ea[k] if SCALED else w
                n = touch(S, targets[first + j], x, t, rel, g, origin, p, block_min, out_t, out_id, n, progress)
                if n < 0:
                    progress[SPIKES], progress[EVENT], progress[ITEM] = -1 - n, k, j
                    return SPIKES_FULL
            counters[0] += count
            counters[1] += count
        else:
            if progress[TOUCHED] < 0:
                progress[STAMP] += 1
                progress[TOUCHED] = sum_in_cells(ea, er, k, last, indptr, targets, weights, cells, marks, touched,
                                                 np.uint32(progress[STAMP]))
            for j in range(progress[ITEM], progress[TOUCHED]):
                i = touched[j]
                prefetch(S, np.int64(touched[min(j + AHEAD, progress[TOUCHED] - 1)]) * WIDTH)
                n = touch(S, i, cells[i], t, rel, g, origin, p, block_min, out_t, out_id, n, progress)
                if n < 0:
                    progress[SPIKES], progress[EVENT], progress[ITEM] = -1 - n, k, j
                    return SPIKES_FULL
                cells[i] = 0.0
            for m in range(k, last):
                counters[0] += np.int64(indptr[er[m] + 1]) - np.int64(indptr[er[m]])
            counters[1] += progress[TOUCHED]
            progress[TOUCHED] = -1
        progress[ITEM] = 0
        k = last
    progress[SPIKES], progress[EVENT] = n, k
    return close_window(size, S, p, block_min, span, out_t, out_id, progress)


def sort_window(times, ids, amps, first, last, spare_t, spare_id, spare_amp):
    """Sort the spikes of a window by (time, id)."""
    sort_events(times, ids, amps, first, last, spare_t, spare_id, spare_amp)
    return DONE
