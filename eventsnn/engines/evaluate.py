"""The loops over neurons: what happens to a population in an instant, once everything has arrived.

A population is stored in units: one image position with all its channels, a whole flat population, or (where only
listed synapses arrive) single neurons. The neurons of a unit are evaluated together, so that the model's `step`
vectorises. Arrays: `state` (units, variables, lanes padded to 16), `cells` (rows, units, ports, padded), `maps`
(units or 1, maps, padded), `marks` (rows, units padded to 64).

In an instant the units to evaluate are listed; then, some at a time, stepped, their spikes collected, asked when to wake:
each stage is a loop of its own, with little in it to hold it up.
"""

import numpy as np

from eventsnn.bits import append_flagged, row_of
from eventsnn.compile import apart
from eventsnn.engines.queue import DUE, IDLE_NODE, schedule, take_due
from eventsnn.neurons.base import EARLY, NEVER, SILENT, GatedModel, GridModel

# hooks and constants of the model, replaced when compiled
step, wake, fire = GridModel.step, GridModel.wake, GatedModel.fire
IDLE, UNIT_AMPLITUDE, FIRES = False, True, True

CHUNK = 2048  # neurons, but at least 16 units, in a stage at a time: the next stage finds them in the nearest cache


def evaluate(state, last, cells, marks, everything, maps, p, shape, t0, row, rows, calendar, out, n, counters):
    """Evaluate instants ``t0 + row .. t0 + rows`` of one population; returns (rows done, spikes so far).

    `shape` is (lanes, units); `calendar` and `out` are the tuples of `new_calendar` and of a spike list (ids, amps,
    row_ptr, unit_ptr). Returns early, before the row that might not fit, when the spike list is nearly full.
    """
    head, nodes = calendar
    ids, amps, row_ptr, unit_ptr = out
    lanes, units = shape[0], shape[1]
    by_row, by_unit = cells.reshape((cells.shape[0], -1)), cells.reshape((cells.shape[0] * units, -1))
    nothing = np.zeros(cells.shape[2:], cells.dtype)
    chunk = max(16, CHUNK // lanes)
    listed, taken, asked = np.empty(units + 4, np.int32), np.empty(units, np.int32), np.empty(chunk, np.int32)
    emitted = np.zeros((min(chunk, units), cells.shape[3]), cells.dtype)
    flags = np.zeros((emitted.shape[0], -(-cells.shape[3] // 64) * 64), np.uint8)
    for r in range(row, rows):
        t = t0 + r
        if n + units * lanes + 16 > ids.size:  # 16: what delivery may read behind the last spike
            break
        due = take_due(head, nodes, t, taken)
        counters[1] += due
        for k in range(due):
            marks[r, taken[k]] = 1
        if everything or t == 0:  # before the first instant nobody has been asked when to wake
            for unit in range(units):
                marks[r, unit] = 1
        count = _list_marked(row_of(marks, r), listed)
        behind = 0  # units whose spikes, or silence, are in the list
        for first in range(0, count, chunk):
            here = listed[first:min(first + chunk, count)]
            _step_units(here, state, last, row_of(cells, r), nothing, maps, p, lanes, t, emitted, flags)
            if FIRES:
                n = _append_units(here, emitted, flags, lanes, ids, amps, unit_ptr, t * units, behind, n)
                behind = here[-1] + 1
            if not everything:
                _ask_units(here, asked, state, maps, p, lanes, t, head, nodes, marks, r + 1, rows, counters)
        if unit_ptr.size > 1:
            for unit in range(behind, units):
                unit_ptr[t * units + unit + 1] = n
        if 2 * count > units:  # one sweep
            _clear(row_of(by_row, r))
        else:
            for k in range(count):
                _clear(row_of(by_unit, r * units + listed[k]))
        counters[2] += count * lanes
        row_ptr[t + 1] = n
        row = r + 1
    return row, n


@apart
def _clear(values):
    for i in range(values.size):
        values[i] = 0


@apart
def _list_marked(marks, listed):
    """List the marked units, ascending, and take their marks away; returns how many there are."""
    count = append_flagged(marks, marks.size, 0, listed, 0)
    _clear(marks)
    return count


@apart
def _step_units(listed, state, last, cells, nothing, maps, p, lanes, t, emitted, flags):
    """Step the neurons of the listed units; leave in `emitted` what they emit, in `flags` which do."""
    map_stride = 1 if maps.shape[0] > 1 else 0
    for k in range(listed.size):
        unit, sent, flag = listed[k], row_of(emitted, k), row_of(flags, k)
        here, inputs, parameters = row_of(state, unit), row_of(cells, unit), row_of(maps, unit * map_stride)
        if not IDLE and last[unit] + 1 < t:
            pass_silently(here, nothing, last[unit] + 1, t, lanes, p, parameters)
        last[unit] = t
        for i in range(lanes):
            amplitude = emitted.dtype.type(step(here, i, inputs, t, p, parameters))
            flag[i] = amplitude != 0
            if not UNIT_AMPLITUDE:
                sent[i] = amplitude


@apart
def _append_units(listed, emitted, flags, lanes, ids, amps, unit_ptr, base, behind, n):
    """Append the spikes of the listed units in ascending id; returns the new count."""
    for k in range(listed.size):
        unit, flag, before = listed[k], row_of(flags, k), n
        n = append_flagged(flag, lanes, unit * lanes, ids, n)
        if not UNIT_AMPLITUDE:
            sent = row_of(emitted, k)
            for j in range(before, n):
                amps[j] = sent[ids[j] - unit * lanes]
        if unit_ptr.size > 1:
            for silent in range(behind, unit):
                unit_ptr[base + silent + 1] = before
            unit_ptr[base + unit + 1] = n
            behind = unit + 1
    return n


@apart
def _ask_units(listed, asked, state, maps, p, lanes, t, head, nodes, marks, row, rows, counters):
    """Ask the neurons of the listed units when to wake: mark units in the next row of the slab, or put them in the calendar.

    Units where something arrives in the next row are not asked: they are evaluated there anyway, and a calendar may be early.
    """
    count = 0
    for k in range(listed.size):
        asked[count] = listed[k]
        count += row == rows or marks[row, listed[k]] == 0
    map_stride = 1 if maps.shape[0] > 1 else 0
    t = np.int64(np.uint32(t))  # tells the compiler that no instant is NEVER
    pushed = popped = 0
    for k in range(count):
        unit = asked[k]
        here, parameters = row_of(state, unit), row_of(maps, unit * map_stride)
        soon = some = False
        for i in range(lanes):  # two bits vectorise as wide as the state does, instants do not
            when = wake(here, i, t, p, parameters)
            soon = soon | (when == t + 1)
            some = some | (when != NEVER)
        when = NEVER  # no branch here on what cannot be foretold: which units are wanted at once
        if some != soon:
            for i in range(lanes):
                when = min(when, wake(here, i, t, p, parameters))
        if row < rows:
            marks[row, unit] |= soon
            popped += soon
        elif soon:
            when = t + 1
        pushed += some
        if when != NEVER or nodes[unit, DUE] != IDLE_NODE:
            schedule(head, nodes, unit, when)
    counters[0] += pushed
    counters[1] += popped


@apart
def pass_silently(state, nothing, start, stop, lanes, p, maps):
    """Take the silent steps start .. stop - 1 of a unit, one rounded step each."""
    for t in range(start, stop):
        for i in range(lanes):
            step(state, i, nothing, t, p, maps)


def settle(state, last, stop, lanes, ports, p, maps):
    """Bring all units of a population to the end of step ``stop - 1`` (nothing else arrives)."""
    map_stride = 1 if maps.shape[0] > 1 else 0
    nothing = np.zeros((ports, state.shape[2]), state.dtype)
    for unit in range(state.shape[0]):
        if last[unit] + 1 < stop:
            pass_silently(row_of(state, unit), nothing, last[unit] + 1, stop, lanes, p,
                          row_of(maps, unit * map_stride))
            last[unit] = stop - 1


def guard(state, i, inputs, p, maps):
    """Whether a gated neuron spikes, for models that do not say it in a cheaper way than by `fire`."""
    return fire(state, i, inputs, p, maps)[0] != SILENT


def open_gate(state, cells, maps, p, shape, t_open, out, times, rows):
    """Fire the window of a gated population for each row (sample); returns (spikes, refused early spikes).

    `state` is (rows, units, variables, padded); the spike list must have room for every neuron of every row. All neurons
    of a unit are asked whether they spike, in a loop that vectorises; then those that do are fired.
    """
    ids, amps, row_ptr, unit_ptr = out
    lanes, units = shape[0], shape[1]
    map_stride = 1 if maps.shape[0] > 1 else 0
    n = refused = 0
    padded = cells.shape[3]
    flags = np.zeros(padded + 64, np.uint8)
    for r in range(rows):
        for unit in range(units):
            inputs, parameters = row_of(row_of(cells, r), unit), row_of(maps, unit * map_stride)
            here = row_of(row_of(state, r), unit)
            for i in range(lanes):
                flags[i] = guard(here, i, inputs, p, parameters)
            if FIRES:
                before = n
                n = append_flagged(flags, lanes, unit * lanes, ids, n)
                for k in range(before, n):
                    outcome, delay, amps[k] = fire(here, ids[k] - unit * lanes, inputs, p, parameters)
                    times[k] = t_open + max(0.0, np.float64(delay))
                    refused += outcome == EARLY
            for port in range(inputs.shape[0]):
                for i in range(padded):
                    inputs[port, i] = 0
            if unit_ptr.size > 1:
                unit_ptr[r * units + unit + 1] = n
        row_ptr[r + 1] = n
    return n, refused
