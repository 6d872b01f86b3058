"""What a population on the continuous clock does with an arrival, and with the end of a window.

`progress` is where a kernel stands, so that it can return when an array is full and be called again:
spikes so far, event, item within the event, targets of the event, burst. A kernel that begins, or goes on, finds at least
RESERVE slots free.
"""

import numpy as np

from eventsnn.neurons.continuous import ContinuousModel

BLOCK_BITS = 6  # neurons per entry of block_min: 64
RESERVE = 1024  # slots kept free for spikes of one neuron at one instant
SPIKES, EVENT, ITEM, TOUCHED, BURST = range(5)
PROGRESS = 5
CALM, OWN, SET_OFF = 0, 1, 2  # after a delivery: no spike; an own spike comes first; the delivery sets off a spike
DONE, SPIKES_FULL = 0, 1  # what a kernel returns
# layout and hooks of the model, replaced when compiled
WIDTH, DUE = 4, 3
instant, receive, guard, predict = (ContinuousModel.instant, ContinuousModel.receive, ContinuousModel.guard,
                                    ContinuousModel.predict)
approach, next_spike, reset, rebase, potential = (ContinuousModel.approach, ContinuousModel.next_spike, ContinuousModel.reset,
                                                  ContinuousModel.rebase, ContinuousModel.potential)


def emit_own(S, b, i, until, inclusive, origin, p, out_t, out_id, n):
    """Append the spikes that neuron `i` makes by itself before `until` (or at it); returns the new count.

    Where the list is full, ``S[b + DUE]`` stays at or before `until`: call again.
    """
    room = out_t.size - RESERVE
    while n < room:
        due = origin + approach(S, b, S[b + DUE] - origin, p)  # most bounds that are reached are no spikes yet
        if due > until:
            S[b + DUE] = due
            break
        t = origin + next_spike(S, b, p)
        if not (t < until or (inclusive and t == until)):
            S[b + DUE] = t
            break
        out_t[n] = t
        out_id[n] = i
        n += 1
        rel = t - origin
        reset(S, b, rel, p)
        due = origin + predict(S, b, rel, instant(rel, p), p)
        S[b + DUE] = due
        if due > until or (due == until and not inclusive):
            break
    return n


def hear(S, i, x, t, rel, g, origin, p, block_min):
    """Deliver `x` to neuron `i` at `t`; returns CALM, or what `fire` has to do: OWN (nothing is delivered yet) or SET_OFF.

    What nearly always happens stands here, and alone in the loops of the walkers: what is rare would take their registers.
    """
    b = np.uint64(i) * np.uint64(WIDTH)
    if S[b + np.uint64(DUE)] <= t:
        return OWN
    receive(S, b, x, rel, g, p)
    if guard(S, b, rel, g, p):
        return SET_OFF
    look_ahead(S, b, i, rel, g, origin, p, block_min)
    return CALM


def look_ahead(S, b, i, rel, g, origin, p, block_min):
    """Note when neuron `i` has to be looked at again if nothing arrives."""
    due = origin + predict(S, b, rel, g, p)
    S[b + np.uint64(DUE)] = due
    block = np.uint64(i) >> np.uint64(BLOCK_BITS)
    if due < block_min[block]:
        block_min[block] = due


def fire(state, S, i, x, t, rel, g, origin, p, block_min, out_t, out_id, n, progress):
    """Go on where `hear` returned OWN or SET_OFF; returns the new count of spikes, or -1 - count where the list is full."""
    b = np.uint64(i) * np.uint64(WIDTH)
    if state == OWN:
        n = emit_own(S, b, i, t, True, origin, p, out_t, out_id, n)
        if S[b + np.uint64(DUE)] <= t:
            return -1 - n
        receive(S, b, x, rel, g, p)
    while guard(S, b, rel, g, p):
        if n >= out_t.size:
            progress[BURST] = 1
            break
        out_t[n] = t
        out_id[n] = i
        n += 1
        reset(S, b, rel, p)
    look_ahead(S, b, i, rel, g, origin, p, block_min)
    return n


def close_window(size, S, p, block_min, span, out_t, out_id, progress):
    """Append own spikes before the end of the window; returns a status. Restartable from the start.

    ``span[2]`` becomes the time before which no neuron spikes by itself.
    """
    origin, tend = span[0], span[1]
    n, soonest = progress[SPIKES], np.inf
    for block in range(block_min.size):
        if block_min[block] < tend:
            least = np.inf
            for i in range(block << BLOCK_BITS, min((block + 1) << BLOCK_BITS, size)):
                b = np.int64(i) * WIDTH
                if S[b + DUE] < tend:
                    n = emit_own(S, b, np.uint32(i), tend, False, origin, p, out_t, out_id, n)
                    if S[b + DUE] < tend:
                        progress[SPIKES] = n
                        return SPIKES_FULL
                least = min(least, S[b + DUE])
            block_min[block] = least
        soonest = min(soonest, block_min[block])
    progress[SPIKES], span[2] = n, soonest
    return DONE


def prepare(size, S, p, block_min, origin):
    """Fill the engine's column and `block_min` at the instant `origin`."""
    block_min[:] = np.inf
    g = instant(0.0, p)
    for i in range(size):
        b = np.int64(i) * WIDTH
        S[b + DUE] = origin + predict(S, b, 0.0, g, p)
        block = i >> BLOCK_BITS
        block_min[block] = min(block_min[block], S[b + DUE])


def move_origin(size, S, p, dt):
    """Count time from an origin that lies `dt` ms later; `due` is absolute and stands."""
    for i in range(size):
        rebase(S, np.int64(i) * WIDTH, dt, p)


def potentials(size, S, p, t, out):
    """Write the membrane potentials at `t` (since the origin) into `out`."""
    for i in range(size):
        out[i] = potential(S, np.int64(i) * WIDTH, t, p)
