"""A population of a continuous model while a run goes on: what arrives in a window, and the spikes that it sets off."""

import enum

import numpy as np

from eventsnn.engines.continuous_spikes import SpikeLog
from eventsnn.engines.touch import BLOCK_BITS, BURST, EVENT, ITEM, PROGRESS, RESERVE, SPIKES, STAMP, TOUCHED
from eventsnn.errors import RunError

CROWDED = 16  # arrivals per neuron in a window above which windows are made shorter (walker by target)


class Status(enum.IntEnum):
    """What a kernel returns, and what to do about it."""

    DONE = 0
    SPIKES_FULL = 1  # give the spike list more room and call again: the kernel goes on where it stood


class PopulationRun:
    """State of one population in one sample.

    Parameters
    ----------
    plan : PopulationPlan
    logs : dict
        Name -> SpikeLog of all nodes.
    """

    def __init__(self, plan, logs):
        self.plan, self.log, self.logs = plan, logs[plan.name], logs
        size = plan.size
        self.S = plan.initial.reshape(-1).copy()
        self.block_min = np.empty(-(-size // (1 << BLOCK_BITS)))
        self.progress, self.counters = np.zeros(PROGRESS, np.int64), np.zeros(2, np.int64)
        self.progress[TOUCHED] = -1
        self.origin, self.next_epoch, self.span = 0.0, plan.epoch, np.zeros(3)
        self.seen = [0] * len(plan.links)  # per link: spikes of the source that are delivered (by target: fully)
        self.cells = np.zeros(size)
        if plan.walker == "time":
            self.marks, self.touched = np.zeros(size, np.uint32), np.zeros(size + 1, np.uint32)
            self.events = (np.empty(256), np.empty(256, np.uint32), np.ones(256))
            self.spare = tuple(np.empty_like(a) for a in self.events)
        else:
            self.counts, self.starts = np.zeros(size, np.uint32), np.zeros(size + 1, np.uint32)
            self.cursors = [np.zeros(0, np.int64) for _ in plan.links]
            self._entry_room(1024)
        plan.kernels["prepare"](size, self.S, plan.p, self.block_min, 0.0)
        self.next_due = float(self.block_min.min())

    def _entry_room(self, room, keep=0):
        old = getattr(self, "entries", None)
        self.entries = tuple(np.empty(room, d) for d in (np.float64, np.uint32, np.float64, np.uint32))
        for k in range(4 if keep else 0):
            self.entries[k][:keep] = old[k][:keep]
        self.by = tuple(np.empty(room, d) for d in (np.float64, np.float64, np.uint32))

    def advance(self, tend):
        """Bring the population to `tend`: deliver what arrives before, keep the spikes sorted."""
        count = self._events(tend) if self.plan.walker == "time" else self._entries(tend)
        if count == 0 and not self.next_due < tend:
            return count
        first, log = self.log.n, self.log
        self.progress[SPIKES], self.progress[EVENT], self.progress[ITEM] = first, 0, 0
        span = self.span
        span[0], span[1] = self.origin, tend
        while self._kernel(count, span) == Status.SPIKES_FULL:
            log.grow()
        log.n = int(self.progress[SPIKES])
        log.total += log.n - first
        log.sort(first)
        self.next_due = span[2]
        return count

    def _kernel(self, count, span):
        plan, log = self.plan, self.log
        if log.times.size - log.n <= 2 * RESERVE:
            log.grow()
        common = (self.S, plan.p, self.block_min, span, log.times, log.ids)
        if plan.walker == "time":
            status = plan.kernels["advance"](plan.size, *self.events, count, *plan.rows, *common, self.cells, self.marks,
                                             self.touched, self.progress, self.counters)
        else:
            status = plan.kernels["advance"](plan.size, self.starts, *self.by, self.entries[0], self.entries[2],
                                             self.entries[3], *common, self.progress, self.counters)
        if self.progress[BURST]:
            raise RunError(f"population {plan.name}: a neuron spikes more than {RESERVE} times at one instant "
                           f"(near {span[1]} ms); its weights are too large for its threshold, or its reset too small")
        if self.progress[STAMP] > 2**31:
            self.marks[:] = 0
            self.progress[STAMP] = 0
        return status

    def _events(self, tend):
        """List (time, row) of all arrivals before `tend` in canonical order; returns their number."""
        count, sources = 0, 0
        for k, link in enumerate(self.plan.links):
            source, delay, first = self.logs[link.source], link.delays[0], self.seen[k]
            if first == source.n or source.times[first] + delay >= tend:
                continue
            while True:
                new, total = self.plan.kernels["take"](source.times, source.ids, source.amps, first, source.n, delay,
                                                       link.offset, tend, *self.events, count)
                if total >= 0:
                    break
                room = 2 * (self.events[0].size + source.n - first)
                grown = (np.empty(room), np.empty(room, np.uint32), np.ones(room))
                for a, b in zip(grown, self.events):
                    a[:count] = b[:count]
                self.events, self.spare = grown, tuple(np.empty_like(a) for a in grown)
            self.seen[k], count, sources = new, total, sources + 1
        if count > 1:
            self.plan.kernels["sort"](*self.events, 0, count, *self.spare)
        return count

    def _entries(self, tend):
        """List all arrivals before `tend`, sorted by target; returns their number."""
        count = 0
        for k, link in enumerate(self.plan.links):
            source = self.logs[link.source]
            if self.seen[k] == source.n:
                continue
            if self.cursors[k].size < source.times.size:
                self.cursors[k] = np.concatenate([self.cursors[k], np.zeros(source.times.size - self.cursors[k].size, np.int64)])
            while True:
                live, total = self.plan.kernels["collect"](
                    source.times, source.ids, source.amps, self.cursors[k], self.seen[k], source.n, link.indptr, link.targets,
                    link.weights, link.delays, link.ranks, tend, *self.entries, self.counts, count)
                if total >= 0:
                    break
                self._entry_room(2 * -total, count)
            self.seen[k], count = live, total
        if count:
            self.plan.kernels["sort_by_target"](self.plan.size, count, *self.entries, self.counts, self.starts, *self.by)
        else:
            self.starts[:] = 0
        return count

    def move_epoch(self):
        """Move the origin of time to the end of the epoch."""
        self.plan.kernels["move_origin"](self.plan.size, self.S, self.plan.p, self.plan.epoch)
        self.origin, self.next_epoch = self.next_epoch, self.next_epoch + self.plan.epoch

    def forget(self, name, count):
        """Note that the first `count` spikes of a source are dropped."""
        for k, link in enumerate(self.plan.links):
            if link.source == name:
                self.seen[k] -= count
                if self.plan.walker == "target":
                    room = self.cursors[k]
                    self.cursors[k] = np.concatenate([room[count:], np.zeros(min(count, room.size), np.int64)])

    def potentials(self, t):
        """Return the membrane potentials at `t`, (size,)."""
        out = np.empty(self.plan.size)
        self.plan.kernels["potentials"](self.plan.size, self.S, self.plan.p, t - self.origin, out)
        return out


def new_logs(names):
    """Return an empty SpikeLog per name."""
    return {name: SpikeLog() for name in names}
