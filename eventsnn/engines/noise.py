"""How an engine hands spikes through a noise relay: slab by slab (deletion, flip, mask), or a sample at a time (jitter)."""

import numpy as np

from eventsnn.compile import specialise
from eventsnn.random import key, key_words, uniform
from eventsnn.relays.noise import shifts, survivors

NOISE = ("deletion", "flip", "jitter", "mask")


def noise_on_grid(worker, node, t0, rows):
    """Pass the spikes of steps t0 .. t0 + rows - 1 of one sample; a jitter passes all of them when the first slab asks."""
    relay, source, spikes = node.node.kind, worker.spikes[node.node.source], worker.spikes[node.name]
    whole = relay.kind == "jitter"
    if whole and t0 > 0:
        return
    first, last = (0, worker.steps) if whole else (t0, t0 + rows)
    a, b = int(source.row_ptr[first]), int(source.row_ptr[last])
    ids, amps = source.ids[a:b], _amplitudes(worker.plan, node, source, a, b)
    steps = np.repeat(np.arange(first, last), np.diff(source.row_ptr[first:last + 1]))
    if relay.kind == "flip":
        stream = key(worker.seed, "relay", node.name)
        _append(spikes, *_flipped(relay, stream, worker.sample, steps, ids, amps, node.size, first, last), first, last)
        return
    drawn = _Draw(worker.seed, node.name, np.full(ids.size, worker.sample, np.int64))
    if whole:
        steps, ids, amps = _merged(*_moved(relay, drawn, steps, ids, amps, worker.steps, 1.0)[:3], node.size)
        spikes.fill(np.searchsorted(steps, np.arange(worker.steps + 1)), ids, amps)
        return
    masked = relay.kind == "mask"
    kept = drawn.survivors(relay, np.zeros_like(steps) if masked else steps, ids)
    amps = amps * (1 / (1 - relay.rate)) if masked else amps
    _append(spikes, steps[kept], ids[kept], amps[kept], first, last)


def noise_gated(worker, node, count):
    """Pass the spikes of the first `count` samples of a gated run."""
    relay, source, spikes = node.node.kind, worker.lists[node.node.source], worker.lists[node.name]
    n = int(source.row_ptr[count])
    rows = np.repeat(np.arange(count), np.diff(source.row_ptr[:count + 1]))
    ids, times, amps = source.ids[:n], source.times[:n], _amplitudes(worker.plan, node, source, 0, n)
    steps = np.rint(times / relay.dt_ms).astype(np.int64)
    drawn = _Draw(worker.seed, node.name, np.asarray(worker.sample_ids, np.int64)[rows])
    if relay.kind == "jitter":
        end = np.iinfo(np.int64).max
        _, ids, amps, kept, by = _moved(relay, drawn, steps, ids, amps, end, relay.dt_ms)
        times, rows = times[kept] + by * relay.dt_ms, rows[kept]
    else:
        kept = drawn.survivors(relay, steps, ids)
        ids, times, amps, rows = ids[kept], times[kept], amps[kept], rows[kept]
    row_ptr = np.append(0, np.cumsum(np.bincount(rows, minlength=count)))
    spikes.fill(row_ptr, ids, amps)
    spikes.times = np.append(times, np.zeros(spikes.ids.size - times.size))


class _Draw:
    """Random numbers of one relay for some spikes."""

    def __init__(self, seed, name, samples):
        self.words, self.samples = key_words(key(seed, "relay", name)), samples

    def survivors(self, relay, steps, ids):
        kept = np.zeros(ids.size, bool)
        specialise(survivors)(ids, steps, self.samples, *self.words, float(relay.probability), kept)
        return kept

    def shifts(self, relay, steps, ids):
        moved = np.zeros(ids.size, np.int64)
        specialise(shifts)(ids, steps, self.samples, *self.words, float(relay.std), bool(relay.absolute), moved)
        return moved


def _amplitudes(plan, node, source, a, b):
    """Return the amplitudes of spikes a .. b - 1 of the source in float64."""
    if plan.nodes[node.node.source].stores_amplitudes:
        return source.amps[a:b].astype(np.float64)
    return np.ones(b - a)


def _moved(relay, drawn, steps, ids, amps, end, dt_ms):
    """Return (steps, ids, amplitudes, kept, by): where spikes are after the jitter, without those that left the window."""
    by = drawn.shifts(relay, steps, ids)
    low, high = (0, end) if relay.window is None else relay.window
    kept = (steps + by >= low) & (steps + by < min(high, end))
    if relay.tau is not None:
        amps = amps * np.exp(-by / relay.tau)
    return (steps + by)[kept], ids[kept], amps[kept], kept, by[kept]


def _flipped(relay, stream, sample, steps, ids, amps, size, first, last):
    """Return (steps, ids, amplitudes) of what a flip passes in the steps first .. last - 1."""
    sent = np.zeros((last - first, size))
    sent[steps - first, ids] = amps
    heard = last if relay.steps is None else min(last, relay.steps)
    if heard > first:
        flips = uniform(stream, sample, np.arange(first, heard), size) < relay.probability
        now = sent[: heard - first]
        now[...] = np.where(flips, np.where(now == 0, relay.amplitude, 0.0), now)
    steps, ids = np.nonzero(sent)
    return steps + first, ids, sent[steps, ids]


def _merged(steps, ids, amps, size):
    """Sort by (step, id); spikes of a neuron in one step become one of their summed amplitude."""
    place = steps * size + ids
    order = np.argsort(place, kind="stable")
    unique, inverse = np.unique(place[order], return_inverse=True)
    sums = np.zeros(unique.size)
    np.add.at(sums, inverse, amps[order])
    unique, sums = unique[sums != 0], sums[sums != 0]
    return unique // size, (unique % size).astype(np.int32), sums


def _append(spikes, steps, ids, amps, first, last):
    """Append spikes of steps first .. last - 1 to a list."""
    spikes.reserve(spikes.n + ids.size)
    n = spikes.n
    spikes.ids[n:n + ids.size], spikes.amps[n:n + ids.size] = ids, amps
    spikes.n = n + ids.size
    spikes.row_ptr[first + 1:last + 1] = n + np.searchsorted(steps, np.arange(first, last), side="right")
    if spikes.unit_ptr.size > 1:
        here = (steps - first) * spikes.units + ids // spikes.lanes
        counts = np.bincount(here, minlength=(last - first) * spikes.units)
        spikes.unit_ptr[first * spikes.units + 1:last * spikes.units + 1] = n + np.cumsum(counts)
