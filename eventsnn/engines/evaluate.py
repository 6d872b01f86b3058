"""The loops over neurons: what happens to a population in an instant, once everything has arrived.

A population is stored in units: one image position with all its channels, a whole flat population, or (where only
listed synapses arrive) single neurons. The neurons of a unit are evaluated together, so that the model's `step`
vectorises. Arrays: `state` (units, variables, lanes padded to 16), `cells` (rows, units, ports, padded), `maps`
(units or 1, maps, padded), `marks` (rows, units padded to 8) with `words` its view as 8-byte words.
"""

import numpy as np

from eventsnn.engines.bits import append_places, byte_mask, row_of
from eventsnn.engines.queue import DUE, IDLE_NODE, schedule, take_due
from eventsnn.neurons.base import EARLY, NEVER, SILENT, GatedModel, GridModel

# hooks and constants of the model, replaced when compiled
step, wake, fire = GridModel.step, GridModel.wake, GatedModel.fire
IDLE, UNIT_AMPLITUDE, FIRES = False, True, True


def evaluate(state, last, cells, marks, words, everything, maps, p, shape, t0, row, rows, calendar, out, n, counters):
    """Evaluate instants ``t0 + row .. t0 + rows`` of one population; returns (rows done, spikes so far).

    `shape` is (lanes, units); `calendar` and `out` are the tuples of `new_calendar` and of a spike list (ids, amps,
    row_ptr, unit_ptr). Returns early, before the row that might not fit, when the spike list is nearly full.
    """
    head, nodes = calendar
    ids, amps, row_ptr, unit_ptr = out
    lanes, units = shape[0], shape[1]
    map_stride = 1 if maps.shape[0] > 1 else 0
    pushed = popped = updated = 0
    taken = np.empty(units, np.int32)
    nothing = np.zeros(cells.shape[2:], cells.dtype)
    emitted, flags = np.zeros(cells.shape[3], cells.dtype), np.zeros(cells.shape[3] + 64, np.uint8)
    for r in range(row, rows):
        t = t0 + r
        if n + units * lanes + 16 > ids.size:  # 16: what delivery may read behind the last spike
            break
        whole = everything or t == 0  # before the first instant nobody has been asked when to wake
        due = take_due(head, nodes, t, taken)
        popped += due
        for k in range(due):
            marks[r, taken[k]] = 1
        for word in range(words.shape[1]):
            if words[r, word] != 0 or whole:
                for unit in range(word * 8, min(word * 8 + 8, units)):
                    if marks[r, unit] != 0 or whole:
                        here, parameters = row_of(state, unit), row_of(maps, unit * map_stride)
                        if not IDLE and last[unit] + 1 < t:
                            pass_silently(here, nothing, last[unit] + 1, t, lanes, p, parameters)
                        inputs = row_of(row_of(cells, r), unit)
                        n = _one_unit(here, inputs, parameters, p, lanes, t, unit, emitted, flags, ids, amps, n)
                        last[unit] = t
                        marks[r, unit] = 0
                        updated += lanes
                        if not everything:
                            when = _next_wake(here, lanes, t, p, parameters)
                            if when < NEVER or nodes[unit, DUE] != IDLE_NODE:  # seldom: most units sleep on
                                schedule(head, nodes, unit, when)
                            pushed += when < NEVER
                    if unit_ptr.size > 1:
                        unit_ptr[t * units + unit + 1] = n
            elif unit_ptr.size > 1:
                for unit in range(word * 8, min(word * 8 + 8, units)):
                    unit_ptr[t * units + unit + 1] = n
        row_ptr[t + 1] = n
        row = r + 1
    counters[0] += pushed
    counters[1] += popped
    counters[2] += updated
    return row, n


def _one_unit(state, inputs, maps, p, lanes, t, unit, emitted, flags, ids, amps, n):
    """Step the neurons of a unit, append their spikes in ascending id, clear their cells; returns the new count."""
    for i in range(lanes):
        emitted[i] = step(state, i, inputs, t, p, maps)
        flags[i] = emitted[i] != 0
    for port in range(inputs.shape[0]):
        for i in range(inputs.shape[1]):
            inputs[port, i] = 0
    if FIRES:
        before = n
        for first in range(0, lanes, 64):
            n = append_places(byte_mask(flags, first), unit * lanes + first, ids, n)
        if not UNIT_AMPLITUDE:
            for k in range(before, n):
                amps[k] = emitted[ids[k] - unit * lanes]
    return n


def _next_wake(state, lanes, t, p, maps):
    when = NEVER
    for i in range(lanes):
        when = min(when, wake(state, i, t, p, maps))
    return when


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
        if not IDLE and last[unit] + 1 < stop:
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
                for first in range(0, lanes, 64):
                    n = append_places(byte_mask(flags, first), unit * lanes + first, ids, n)
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
