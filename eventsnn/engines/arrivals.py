"""Put the arrivals of a window in an order in which they may be delivered one by one, without sorting them.

What counts is the order at each target: (time, rank). Arrivals are first spread over short spans of time, by counting: what
comes later in another span stands later. Only arrivals of one target within one span may then stand in the wrong order; that is
rare, and seen by linking every arrival to the one before it at the same target. Simultaneous ones are summed at last.
"""

import numpy as np

from eventsnn.engines.borrow import borrowed
from eventsnn.neurons.continuous import ContinuousModel
from eventsnn.projections.rowsum import aligned_zeros

SPAN_BITS = 5  # arrivals per span: 32
T, G, X, WHO, ROW = (np.uint64(k) for k in range(5))  # columns of an arrival: time, `instant`, amount, target and rank
HALF = np.uint64(32)  # `WHO` holds the target in its upper half
NOBODY = np.uint64(2**64 - 1)  # the `WHO` of an arrival that is part of another one
instant = ContinuousModel.instant  # replaced when compiled
NUMBER = True  # replaced when compiled: `instant` returns a number, then it is found for all arrivals at once


class Arrivals:
    """Room for the arrivals of a window at a population of `size` neurons.

    Attributes
    ----------
    when, what, who : ndarray
        As they are collected: times; amount, and target and rank, of each by turns (two views of one memory).
    rows, words : ndarray
        As they are delivered, from row 1 on (two views of one memory).
    """

    def __init__(self, size):
        self.marks = np.zeros(size, np.uint32)
        self.grow(1024, 0)

    def grow(self, room, keep):
        """Make room for `room` arrivals; the first `keep` of those collected stay."""
        old = (self.when, self.what) if keep else ()
        self.when, self.what, self.rows = np.empty(room), np.empty(2 * room), aligned_zeros(int(ROW) * (room + 1), np.float64)
        self.shared, self.before = np.empty(room), np.empty(room + 1, np.uint32)
        self.places = np.empty((room >> SPAN_BITS) + 2, np.uint32)
        self.who, self.words = self.what.view(np.uint64), self.rows.view(np.uint64)
        for new, kept, each in zip((self.when, self.what), old, (1, 2)):
            new[:each * keep] = kept[:each * keep]


def line_up(count, when, what, who, begin, end, origin, p, shared, places, before, marks, rows, words):
    """Write the arrivals in [begin, end) to rows 1, 2, … in an order for delivery; returns how many are left of `count`."""
    return _line_up(count, borrowed(when), borrowed(what), borrowed(who), begin, end, origin, p, borrowed(shared),
                    borrowed(places), borrowed(before), borrowed(marks), borrowed(rows), borrowed(words))


def _line_up(count, when, what, who, begin, end, origin, p, shared, places, before, marks, rows, words):
    if NUMBER:
        for k in range(count):
            shared[k] = instant(when[k] - origin, p)
    _spread(count, when, what, who, begin, end, shared, places, before, rows, words)
    marks[:] = 0
    if _link(count, rows, words, marks, before):
        count = _sum_ties(count, rows, words, before)
    return count


def _spread(count, when, what, who, begin, end, shared, places, before, rows, words):
    """Sort by span of time, keeping the order within a span."""
    spans = max(1, count >> SPAN_BITS)
    scale = min(spans / (end - begin), 1e300)
    places[:spans + 1] = 0
    for k in range(np.uint64(count)):  # a loop of its own: what is written here must not wait for what is written below
        span = np.uint64((when[k] - begin) * scale)
        before[k] = places[span]
        places[span] += np.uint32(1)
    total = np.uint32(1)
    for span in range(spans + 1):
        n = places[span]
        places[span] = total
        total += n
    for k in range(np.uint64(count)):
        span = np.uint64((when[k] - begin) * scale)
        a, b = ROW * np.uint64(places[span] + before[k]), np.uint64(2) * np.uint64(k)
        rows[a], rows[a + G], rows[a + X], words[a + WHO] = when[k], shared[k], what[b], who[b + np.uint64(1)]


def _link(count, rows, words, marks, before):
    """Link every arrival to the one before it at its target, in the right order; returns whether some are simultaneous."""
    tied = False
    rows[T] = -np.inf  # row 0: before the first
    for k in range(np.uint64(1), np.uint64(count + 1)):
        a = ROW * np.uint64(k)
        target = words[a + WHO] >> HALF
        m = marks[target]
        marks[target] = k
        before[k] = m
        if rows[ROW * np.uint64(m)] >= rows[a]:
            tied |= _insert(a, m, rows, words, before)
    return tied


def _insert(a, m, rows, words, before):
    """Exchange the arrival of row `a` with later ones of its target; returns whether another one is simultaneous."""
    t, g, x, who = rows[a], rows[a + G], rows[a + X], words[a + WHO]
    b, tied = ROW * np.uint64(m), False
    while rows[b] > t or (rows[b] == t and words[b + WHO] > who):
        tied |= rows[b] == t
        _copy_row(rows, words, b, a)
        a, m = b, before[m]
        b = ROW * np.uint64(m)
    rows[a], rows[a + G], rows[a + X], words[a + WHO] = t, g, x, who
    return tied or rows[b] == t


def _copy_row(rows, words, b, a):
    rows[a], rows[a + G], rows[a + X], words[a + WHO] = rows[b], rows[b + G], rows[b + X], words[b + WHO]


def _sum_ties(count, rows, words, before):
    """Add every arrival to a simultaneous one that follows it at its target; returns how many are left."""
    for k in range(1, count + 1):
        a, b = ROW * np.uint64(k), ROW * np.uint64(before[k])
        if rows[b] == rows[a]:
            rows[a + X] = rows[b + X] + rows[a + X]
            words[b + WHO] = NOBODY
    left = 0
    for k in range(1, count + 1):
        b = ROW * np.uint64(k)
        if words[b + WHO] != NOBODY:
            left += 1
            a = ROW * np.uint64(left)
            _copy_row(rows, words, b, a)
    return left
