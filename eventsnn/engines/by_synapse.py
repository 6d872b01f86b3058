"""Delivery synapse by synapse: the walker for synapses that have delays of their own.

A spike is its own queue: its synapses are sorted by delay, and a cursor says how far they have been delivered. Per window:
collect the arrivals of all live spikes, put them in order (eventsnn.engines.arrivals), deliver one after another.
Ranks number the synapses by (projection, delay, source): the canonical order at one instant.
"""

import numpy as np

from eventsnn.engines.arrivals import HALF, NUMBER, ROW, WHO, G, T, X
from eventsnn.engines.borrow import borrowed, prefetch
from eventsnn.engines.touch import CALM, EVENT, RESERVE, SPIKES, SPIKES_FULL, close_window, fire, hear
from eventsnn.neurons.continuous import ContinuousModel

LIVE_AHEAD, LINES, ROWS_AHEAD = 6, 8, np.uint64(12)  # how far ahead memory is asked for: spikes, and lines of each; arrivals
DELAY, WEIGHT, TO, RECORD = (np.uint64(k) for k in range(4))  # columns of a synapse; `TO` holds target and rank
ONE = np.uint64(1)
WIDTH, instant = 4, ContinuousModel.instant  # replaced when compiled, like those of `touch`
SCALED = False  # replaced when compiled: spikes have amplitudes


def pack_synapses(indptr, targets, weights, delays, ranks, synapses, words):
    """Write every synapse's record; one weight, delay or rank may stand for all (a single rank: that of source 0).

    ``words`` is ``synapses`` as integers.
    """
    one_weight, one_delay, by_source = weights.size == 1, delays.size == 1, ranks.size == 1
    for s in range(indptr.size - 1):
        for j in range(indptr[s], indptr[s + 1]):
            a = RECORD * np.uint64(j)
            synapses[a + DELAY] = delays[0 if one_delay else j]
            synapses[a + WEIGHT] = weights[0 if one_weight else j]
            rank = np.uint64(ranks[0]) + np.uint64(s) if by_source else np.uint64(ranks[j])
            words[a + TO] = (np.uint64(targets[j]) << HALF) | rank


def collect_arrivals(times, ids, amps, cursors, live, n, indptr, synapses, words, tend, when, what, who, count):
    """Append arrivals before `tend` of live spikes; returns (first live spike, new count).

    A negative count says how much room is needed: call again.
    """
    return _collect(borrowed(times), borrowed(ids), borrowed(amps), borrowed(cursors), live, n, borrowed(indptr),
                    borrowed(synapses), borrowed(words), tend, borrowed(when), borrowed(what), borrowed(who), count)


def _collect(times, ids, amps, cursors, live, n, indptr, synapses, words, tend, when, what, who, count):
    room = count
    for k in range(live, n):  # is there room? nothing is changed before it is known
        if times[k] >= tend:
            break
        room += np.int64(indptr[ids[k] + 1]) - np.int64(indptr[ids[k]]) - cursors[k]
    if room > when.size:
        return live, -room
    first = n
    for k in range(live, n):
        t = times[k]
        if t >= tend:
            first = min(first, k)
            break
        later = min(k + LIVE_AHEAD, n - 1)
        begin = np.int64(indptr[ids[later]]) + cursors[later]
        for line in range(min(LINES, 1 + ((np.int64(indptr[ids[later] + 1]) - begin) * 3 >> 3))):
            prefetch(synapses, begin * 3 + 8 * line)
        begin, end = np.int64(indptr[ids[k]]), np.int64(indptr[ids[k] + 1])
        j = begin + cursors[k]
        while j < end:
            a, c = RECORD * np.uint64(j), np.uint64(count)
            arrival = t + synapses[a + DELAY]
            if arrival >= tend:
                break
            w = synapses[a + WEIGHT]
            when[c] = arrival
            what[c + c], who[c + c + ONE] = w * amps[k] if SCALED else w, words[a + TO]
            count += 1
            j += 1
        cursors[k] = j - begin
        if j < end:
            first = min(first, k)
    return first, count


def advance_by_synapse(size, count, rows, words, S, p, block_min, span, out_t, out_id, progress):
    """Deliver the arrivals of a window, then emit own spikes before its end; returns a status."""
    return _advance(size, count, borrowed(rows), borrowed(words), borrowed(S), p, borrowed(block_min), borrowed(span),
                    borrowed(out_t), borrowed(out_id), borrowed(progress))


def _advance(size, count, rows, words, S, p, block_min, span, out_t, out_id, progress):
    origin, room, n = span[0], out_t.size - RESERVE, progress[SPIKES]
    k, last = np.uint64(progress[EVENT]) + ONE, np.uint64(count)
    while k <= last:
        state = CALM
        while k <= last:
            a = ROW * k
            prefetch(S, (words[ROW * min(k + ROWS_AHEAD, last) + WHO] >> HALF) * np.uint64(WIDTH))
            i, t, x = words[a + WHO] >> HALF, rows[a + T], rows[a + X]
            g = rows[a + G] if NUMBER else instant(t - origin, p)
            state = hear(S, i, x, t, t - origin, g, origin, p, block_min)
            if state != CALM:
                break
            k += ONE
        if state != CALM:
            n = fire(state, S, i, x, t, t - origin, g, origin, p, block_min, out_t, out_id, n, progress)
            k += np.uint64(n >= 0)
            if n < 0 or n > room:
                progress[SPIKES], progress[EVENT] = n if n >= 0 else -1 - n, k - ONE
                return SPIKES_FULL
    progress[SPIKES], progress[EVENT] = n, count
    return close_window(size, S, p, block_min, span, out_t, out_id, progress)
