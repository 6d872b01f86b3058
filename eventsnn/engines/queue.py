"""The calendar of wake-ups: a ring of buckets, one intrusive doubly linked list each.

Every unit of a population has at most one wake-up, so its list node is its own: nothing is ever allocated, nothing
goes stale, and a push or a removal is a handful of writes to one 16-byte row. An instant further away than the ring is
long stays in its bucket until its turn comes round. Plain functions; the engine's kernels inline them.
"""

import numpy as np

from eventsnn.neurons.base import NEVER

AFTER, BEFORE, DUE = range(3)  # columns of a node
IDLE_NODE = 2**31 - 1  # the `DUE` of a unit without a wake-up


def new_calendar(units, buckets=1024):
    """Return (head, nodes) of an empty calendar.

    Parameters
    ----------
    units : int
        How many there are.
    buckets : int
        A power of two.
    """
    head, nodes = np.empty(buckets, np.int32), np.empty((units, 4), np.int32)
    clear(head, nodes)
    return head, nodes


def clear(head, nodes):
    """Take all wake-ups out of the calendar."""
    head[:] = -1
    nodes[:, DUE] = IDLE_NODE


def cancel(head, nodes, unit):
    """Take a unit's wake-up out of the calendar, if it has one."""
    if nodes[unit, DUE] != IDLE_NODE:
        after, before = nodes[unit, AFTER], nodes[unit, BEFORE]
        if before >= 0:
            nodes[before, AFTER] = after
        else:
            head[nodes[unit, DUE] & (head.size - 1)] = after
        if after >= 0:
            nodes[after, BEFORE] = before
        nodes[unit, DUE] = IDLE_NODE


def schedule(head, nodes, unit, t):
    """Wake `unit` at `t` and at no other instant; `NEVER` (or beyond 2**31 steps) takes its wake-up away."""
    if nodes[unit, DUE] == t:
        return
    cancel(head, nodes, unit)
    if t < IDLE_NODE:
        bucket = t & (head.size - 1)
        first = head[bucket]
        nodes[unit, AFTER], nodes[unit, BEFORE], nodes[unit, DUE] = first, -1, t
        if first >= 0:
            nodes[first, BEFORE] = unit
        head[bucket] = unit


def take_due(head, nodes, t, taken):
    """Take all units due at `t` out of the calendar, into `taken`; returns how many."""
    count = 0
    bucket = t & (head.size - 1)
    unit = head[bucket]
    kept = NEVER  # the last unit of the bucket that stays, for a later round of the ring
    while unit >= 0:
        after = nodes[unit, AFTER]
        if nodes[unit, DUE] == t:
            nodes[unit, DUE] = IDLE_NODE
            taken[count] = unit
            count += 1
        else:
            if kept == NEVER:
                head[bucket] = unit
                nodes[unit, BEFORE] = -1
            else:
                nodes[kept, AFTER] = unit
                nodes[unit, BEFORE] = kept
            kept = unit
        unit = after
    if kept == NEVER:
        head[bucket] = -1
    else:
        nodes[kept, AFTER] = -1
    return count
