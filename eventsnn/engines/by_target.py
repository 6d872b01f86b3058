"""Delivery target by target: the walker for synapses that have delays of their own.

Within a window no neuron of a population influences another, so only the order of each target's own arrivals matters. A spike
is its own queue: its synapses are sorted by delay, and a cursor says how far they have been delivered. Per window:
collect the arrivals of all live spikes, sort them by target (counting), sort each target's few by (time, rank), deliver.
Ranks number the synapses by (projection, delay, source): the canonical order at one instant.
"""

import numpy as np

from eventsnn.engines.borrow import borrowed
from eventsnn.engines.ordering import insert_events, sort_events
from eventsnn.engines.touch import EVENT, ITEM, SPIKES, SPIKES_FULL, close_window, touch
from eventsnn.neurons.continuous import ContinuousModel

SHORT = 12  # lists up to this length are sorted by insertion
instant = ContinuousModel.instant  # replaced when compiled, like the hooks of `touch`
SCALED = False  # replaced when compiled: spikes have amplitudes


def collect_arrivals(times, ids, amps, cursors, live, n, indptr, targets, weights, delays, ranks, tend, out_t, out_target,
                     out_x, out_rank, counts, count):
    """Append arrivals before `tend` of live spikes (synapses sorted by delay); returns (first live spike, new count).

    One weight, delay or rank may stand for all (arrays of length 1; a single rank: the rank is base + source). A negative count
    says how much room is needed: call again.
    """
    return _collect(borrowed(times), borrowed(ids), borrowed(amps), borrowed(cursors), live, n, borrowed(indptr),
                    borrowed(targets), borrowed(weights), borrowed(delays), borrowed(ranks), tend, borrowed(out_t),
                    borrowed(out_target), borrowed(out_x), borrowed(out_rank), borrowed(counts), count)


def _collect(times, ids, amps, cursors, live, n, indptr, targets, weights, delays, ranks, tend, out_t, out_target, out_x,
             out_rank, counts, count):
    w_stride, d_stride = 1 if weights.size > 1 else 0, 1 if delays.size > 1 else 0
    by_source = ranks.size == 1
    start = count
    for k in range(live, n):  # is there room? nothing is changed before it is known
        if times[k] + delays[0] * (1 - d_stride) >= tend:
            break
        s = ids[k]
        start += np.int64(indptr[s + 1]) - np.int64(indptr[s]) - cursors[k]
    if start > out_t.size:
        return live, -start
    first = n
    for k in range(live, n):
        t, s = times[k], ids[k]
        if t >= tend:
            first = min(first, k)
            break
        begin, end = np.int64(indptr[s]), np.int64(indptr[s + 1])
        j = begin + cursors[k]
        amp = amps[k] if SCALED else 1.0
        while j < end:
            arrival = t + delays[j * d_stride]
            if arrival >= tend:
                break
            i = targets[j]
            w = weights[j * w_stride]
            out_t[count] = arrival
            out_target[count] = i
            out_x[count] = w * amp if SCALED else w
            out_rank[count] = ranks[0] + np.uint32(s) if by_source else ranks[j]
            counts[i] += np.uint32(1)
            count += 1
            j += 1
        cursors[k] = j - begin
        if j < end:
            first = min(first, k)
    return first, count


def sort_by_target(size, count, t, target, x, rank, counts, starts, by_t, by_x, by_rank):
    """Sort entries by target, keeping their order; `counts` become 0 again."""
    total = np.uint32(0)
    for i in range(size):
        starts[i] = total
        total += counts[i]
        counts[i] = 0
    starts[size] = total
    for k in range(count):
        i = target[k]
        place = starts[i]
        starts[i] = place + np.uint32(1)
        by_t[place], by_x[place], by_rank[place] = t[k], x[k], rank[k]


def advance_by_target(size, ends, by_t, by_x, by_rank, spare_t, spare_x, spare_rank, S, p, block_min, span,
                      out_t, out_id, progress, counters):
    """Deliver the arrivals of a window, target by target; returns a status. ``ends[i]`` is where target i's list ends."""
    return _advance(size, borrowed(ends), borrowed(by_t), borrowed(by_x), borrowed(by_rank), borrowed(spare_t),
                    borrowed(spare_x), borrowed(spare_rank), borrowed(S), p, borrowed(block_min), borrowed(span), borrowed(out_t),
                    borrowed(out_id), borrowed(progress), borrowed(counters))


def _advance(size, ends, by_t, by_x, by_rank, spare_t, spare_x, spare_rank, S, p, block_min, span, out_t, out_id, progress,
             counters):
    origin = span[0]
    n = progress[SPIKES]
    for i in range(progress[EVENT], size):
        first = np.int64(ends[i - 1]) if i > 0 else 0
        last = np.int64(ends[i])
        if last - first > 1 and progress[ITEM] == 0:
            if last - first > SHORT:
                sort_events(by_t, by_rank, by_x, first, last, spare_t, spare_rank, spare_x)
            else:
                insert_events(by_t, by_rank, by_x, first, last)
        k = first + progress[ITEM]
        while k < last:
            t = by_t[k]
            x = by_x[k]
            after = k + 1
            while after < last and by_t[after] == t:
                x += by_x[after]
                after += 1
            rel = t - origin
            n = touch(S, np.uint32(i), x, t, rel, instant(rel, p), origin, p, block_min, out_t, out_id, n, progress)
            if n < 0:
                progress[SPIKES], progress[EVENT], progress[ITEM] = -1 - n, i, k - first
                return SPIKES_FULL
            counters[1] += 1
            k = after
        progress[ITEM] = 0
        counters[0] += last - first
    progress[SPIKES], progress[EVENT] = n, size
    return close_window(size, S, p, block_min, span, out_t, out_id, progress)
