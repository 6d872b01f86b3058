"""Loops of the adjoint of event simulation: who heard what, a neuron's events once more, and the way back through them.

A neuron's events in a window of time are its arrivals (simultaneous ones together), its own spikes, ends of epochs, and
instants at which the loss looks at its potential. `replay` steps forward through them with the model's own functions, so that
every row is the one that the run had; spikes are taken from the record, nothing is solved again. Then the adjoint row goes back.
"""

import numpy as np

from eventsnn.engines.borrow import borrowed
from eventsnn.engines.ordering import sort_events
from eventsnn.neurons.continuous import ContinuousModel

ARRIVAL, OWN, SET_OFF, EPOCH, LOOK, START = range(6)  # kinds of events
SLOPE, NEURON, WHEN, TIES = range(4)  # of the report: smallest slope, whose, when; spikes set off by several arrivals
REPORT = 4
# layout and hooks of the model, replaced when compiled
WIDTH, ADJOINTS, SCALED = 4, 1, False
instant, receive, next_spike, reset, rebase = (ContinuousModel.instant, ContinuousModel.receive, ContinuousModel.next_spike,
                                               ContinuousModel.reset, ContinuousModel.rebase)


def adjoint_flow(L, a, S, b, t, until, x, p):
    """Stand for the model's function of this name, which replaces it."""
    return 0.0, 0.0


def adjoint_jump(L, a, S, b, t, e, own, p):
    """Stand for the model's function of this name; that of a model that never fires."""
    return np.inf, 0.0


def count_arrivals(links, times, ids, row_ptr, targets, delays, stop, counts):
    """Count the arrivals before `stop` of every neuron; returns their sum.

    ``links[k]`` holds the first and last spike of the source (in the list of all spikes) and its first row in `row_ptr`.
    """
    counts[:] = 0
    total = 0
    for k in range(links.shape[0]):
        for spike in range(links[k, 0], links[k, 1]):
            row = links[k, 2] + np.int64(ids[spike])
            for j in range(row_ptr[row], row_ptr[row + 1]):
                if times[spike] + delays[j] < stop:
                    counts[targets[j]] += 1
                    total += 1
    return total


def list_arrivals(size, links, times, ids, row_ptr, targets, delays, stop, counts, starts, by_t, by_spike, by_synapse, spare):
    """List the arrivals before `stop` target by target in order of time; ``counts`` as `count_arrivals` left them."""
    total = 0
    for i in range(size):
        starts[i] = total
        total += counts[i]
        counts[i] = starts[i]
    starts[size] = total
    for k in range(links.shape[0]):
        for spike in range(links[k, 0], links[k, 1]):
            row = links[k, 2] + np.int64(ids[spike])
            for j in range(row_ptr[row], row_ptr[row + 1]):
                t = times[spike] + delays[j]
                if t < stop:
                    i = targets[j]
                    place = counts[i]
                    counts[i] = place + 1
                    by_t[place], by_spike[place], by_synapse[place] = t, spike, j
    for i in range(size):
        _arrange(starts[i], starts[i + 1], by_t, by_spike, by_synapse, spare)


def _arrange(first, last, by_t, by_spike, by_synapse, spare):
    """Sort one neuron's arrivals by time, equal ones as they stand."""
    rises = True
    for k in range(first + 1, last):
        rises = rises and by_t[k] >= by_t[k - 1]
    if rises:
        return
    order, count = np.arange(last - first), last - first
    sort_events(by_t[first:last], order, spare[:count], 0, count, np.empty(count), np.empty(count, np.int64), np.empty(count))
    moved_spikes, moved_synapses = by_spike[first:last].copy(), by_synapse[first:last].copy()
    for k in range(count):
        by_spike[first + k], by_synapse[first + k] = moved_spikes[order[k]], moved_synapses[order[k]]


def copy_row(R, n):
    """Begin row n as a copy of the one before."""
    for c in range(WIDTH):
        R[n * WIDTH + c] = R[(n - 1) * WIDTH + c]


def replay(S, i, p, epoch, origin, a0, a1, s0, s1, l0, l1, by_t, by_spike, by_synapse, weights, amps, own, times, look_t, R, what,
           at):
    """Step neuron `i` through its arrivals a0 ... a1, spikes s0 ... s1 and looks l0 ... l1; returns the number of events.

    Row n of `R` becomes the state after event n, row 0 that before all; ``what[:, n]`` is (kind, first, last),
    ``at[:, n]`` (time, origin of the row).
    """
    for c in range(WIDTH):
        R[c] = S[i * WIDTH + c]
    at[1, 0] = origin
    n = 0
    while a0 < a1 or s0 < s1 or l0 < l1:
        arrives = by_t[a0] if a0 < a1 else np.inf
        spikes = times[own[s0]] if s0 < s1 else np.inf
        t = min(arrives, spikes, look_t[l0] if l0 < l1 else np.inf)
        n += 1
        copy_row(R, n)
        if t >= origin + epoch:
            origin += epoch
            rebase(R, n * WIDTH, epoch, p)
            what[0, n], at[0, n], at[1, n] = EPOCH, origin, origin
            continue
        at[0, n], at[1, n] = t, origin
        if spikes == t and (spikes < arrives or origin + next_spike(R, n * WIDTH, p) <= t):
            what[0, n], what[1, n] = OWN, own[s0]
            reset(R, n * WIDTH, t - origin, p)
            s0 += 1
        elif arrives == t:
            what[0, n], what[1, n] = ARRIVAL, a0
            x = 0.0
            while a0 < a1 and by_t[a0] == t:
                x += weights[by_synapse[a0]] * (amps[by_spike[a0]] if SCALED else 1.0)
                a0 += 1
            what[2, n] = a0
            receive(R, n * WIDTH, x, t - origin, instant(t - origin, p), p)
            while s0 < s1 and times[own[s0]] == t:
                n += 1
                copy_row(R, n)
                what[0, n], what[1, n], at[0, n], at[1, n] = SET_OFF, own[s0], t, origin
                reset(R, n * WIDTH, t - origin, p)
                s0 += 1
        else:
            what[0, n], what[1, n] = LOOK, l0
            l0 += 1
    return n


def sweep(size, forward, begin, end, origin, new_origin, S, p, epoch, L, starts, cursors, by_t, by_spike, by_synapse, weights,
          amps, own_ptr, own_cursors, own, times, looks, look_t, look_d, e, dw, dd, R, what, at, report):
    """Take all neurons of a population through a window: forward their rows, or backward their adjoint.

    Forward, `S` (rows at `begin`) becomes the rows at `end`, relative to `new_origin`; nothing else changes but the cursors.
    Backward, `S` holds the rows at `begin`, and `L` the adjoint at `end`, which becomes that at `begin`; `e` (dloss/dt of every
    spike), `dw` and `dd` (per synapse) are added to. ``cursors[i]`` and ``own_cursors[i]`` say where the arrivals and spikes of
    later windows begin.
    """
    _sweep(size, forward, begin, end, origin, new_origin, borrowed(S), p, epoch, borrowed(L), borrowed(starts), borrowed(cursors),
           borrowed(by_t), borrowed(by_spike), borrowed(by_synapse), borrowed(weights), borrowed(amps), borrowed(own_ptr),
           borrowed(own_cursors), borrowed(own), borrowed(times), looks, borrowed(look_t), borrowed(look_d), borrowed(e),
           borrowed(dw), borrowed(dd), borrowed(R), borrowed(what), borrowed(at), borrowed(report))


def _sweep(size, forward, begin, end, origin, new_origin, S, p, epoch, L, starts, cursors, by_t, by_spike, by_synapse, weights,
           amps, own_ptr, own_cursors, own, times, looks, look_t, look_d, e, dw, dd, R, what, at, report):
    for i in range(size):
        a, until = i * ADJOINTS, end
        a0 = a1 = cursors[i]
        s0 = s1 = own_cursors[i]
        l0, l1 = looks[0], looks[1]
        if forward:
            a1, l1 = _first(by_t, a0, starts[i + 1], end), l0
            while s1 < own_ptr[i + 1] and times[own[s1]] < end:
                s1 += 1
            cursors[i], own_cursors[i] = a1, s1
        else:
            a0 = _first(by_t, starts[i], a1, begin)
            while s0 > own_ptr[i] and times[own[s0 - 1]] >= begin:
                s0 -= 1
            cursors[i], own_cursors[i] = a0, s0
            quiet = True
            for c in range(ADJOINTS):
                quiet = quiet and L[a + c] == 0.0
            if quiet:  # what comes after the last thing that the loss depends on plays no part
                until = -np.inf
                while l1 > l0 and look_d[l1 - 1, i] == 0.0:
                    l1 -= 1
                if l1 > l0:
                    until = look_t[l1 - 1]
                k = s1
                while k > s0 and e[own[k - 1]] == 0.0:
                    k -= 1
                if k > s0:
                    until = max(until, times[own[k - 1]])
                if until == -np.inf:
                    continue
                while s1 > s0 and times[own[s1 - 1]] > until:
                    s1 -= 1
                a1 = _first(by_t, a0, a1, np.nextafter(until, np.inf))
        n = replay(S, i, p, epoch, origin, a0, a1, s0, s1, l0, l1, by_t, by_spike, by_synapse, weights, amps, own, times, look_t,
                   R, what, at)
        if forward:
            while at[1, n] < new_origin:
                rebase(R, n * WIDTH, epoch, p)
                at[1, n] += epoch
            for c in range(WIDTH):
                S[i * WIDTH + c] = R[n * WIDTH + c]
            continue
        carry = 0.0  # dloss/dt of spikes that the arrival before them set off
        for k in range(n, -1, -1):
            kind, t, zero = what[0, k] if k > 0 else START, at[0, k] if k > 0 else begin, at[1, k]
            first, last = (what[1, k], what[2, k]) if kind == ARRIVAL else (np.int64(0), np.int64(1))
            share = carry / (last - first)
            for m in range(last - 1, first - 1, -1):
                amp, x = 1.0, 0.0
                if kind == ARRIVAL:
                    amp = amps[by_spike[m]] if SCALED else 1.0
                    x = weights[by_synapse[m]] * amp
                per_x, per_t = adjoint_flow(L, a, R, k * WIDTH, t - zero, until - zero, x, p)
                until = t
                if kind == ARRIVAL:
                    dw[by_synapse[m]] += per_x * amp
                    dd[by_synapse[m]] += per_t + share
                    e[by_spike[m]] += per_t + share
            if kind == ARRIVAL:
                report[TIES] += 1.0 if carry != 0.0 and last - first > 1 else 0.0
                carry = 0.0
            elif kind == LOOK:
                L[a] += look_d[what[1, k], i]
            elif kind in (OWN, SET_OFF):
                slope, per_t = adjoint_jump(L, a, R, (k - 1) * WIDTH, t - zero, e[what[1, k]], kind == OWN, p)
                carry += per_t
                if slope < report[SLOPE]:
                    report[SLOPE], report[NEURON], report[WHEN] = slope, i, t


def _first(by_t, low, high, t):
    """Return the first of the sorted places low ... high whose time is at least `t`."""
    while low < high:
        middle = (low + high) // 2
        if by_t[middle] < t:
            low = middle + 1
        else:
            high = middle
    return low
