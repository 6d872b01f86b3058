"""A population of a continuous model while a run goes on: what arrives in a window, and the spikes that it sets off."""

import enum

import numpy as np

from eventsnn.engines.arrivals import Arrivals
from eventsnn.engines.continuous_spikes import SpikeLog
from eventsnn.engines.touch import BLOCK_BITS, BURST, EVENT, ITEM, PROGRESS, RESERVE, SPIKES, TOUCHED
from eventsnn.errors import RunError
from eventsnn.projections.rowsum import aligned_zeros

CROWDED = 16  # arrivals per neuron in a window above which windows are made shorter (walker by synapse)


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
        self.S = aligned_zeros(plan.initial.size, np.float64)
        self.S[:] = plan.initial.reshape(-1)
        self.block_min = np.empty(-(-size // (1 << BLOCK_BITS)))
        self.progress, self.counters = np.zeros(PROGRESS, np.int64), np.zeros(2, np.int64)
        self.progress[TOUCHED] = -1
        self.now, self.origin, self.next_epoch, self.span = 0.0, 0.0, plan.epoch, np.zeros(3)
        self.seen = [0] * len(plan.links)  # per link: spikes of the source that are delivered (by synapse: fully)
        if plan.walker == "time":
            self.cells, self.touched = np.full(size, -0.0), np.zeros(size + 1, np.uint32)
            self.events = (np.empty(256), np.empty(256, np.uint32), np.ones(256))
            self.spare = tuple(np.empty_like(a) for a in self.events)
        else:
            self.arrivals = Arrivals(size)
            self.cursors = [np.zeros(0, np.int64) for _ in plan.links]
        plan.kernels["prepare"](size, self.S, plan.p, self.block_min, 0.0)
        self.next_due = float(self.block_min.min())

    def advance(self, tend):
        """Bring the population to `tend`: deliver what arrives before, keep the spikes sorted; returns how much arrived."""
        by_time = self.plan.walker == "time"
        count = self._events(tend) if by_time else self._collect(tend)
        begin, self.now = self.now, tend
        if count == 0 and not self.next_due < tend:
            return count
        left = count if by_time or count == 0 else self._line_up(count, begin, tend)
        first, log = self.log.n, self.log
        self.progress[SPIKES], self.progress[EVENT], self.progress[ITEM] = first, 0, 0
        span = self.span
        span[0], span[1] = self.origin, tend
        while self._kernel(left, span) == Status.SPIKES_FULL:
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
            status = plan.kernels["advance"](plan.size, *self.events, count, *plan.rows, *common, self.cells,
                                             self.cells.view(np.int64), self.touched, self.progress, self.counters)
        else:
            status = plan.kernels["advance"](plan.size, count, self.arrivals.rows, self.arrivals.words, *common, self.progress)
        if self.progress[BURST]:
            raise RunError(f"population {plan.name}: a neuron spikes more than {RESERVE} times at one instant "
                           f"(near {span[1]} ms); its weights are too large for its threshold, or its reset too small")
        return status

    def _events(self, tend):
        """List (time, row) of all arrivals before `tend` in canonical order; returns their number."""
        count, sources = 0, 0
        for k, link in enumerate(self.plan.links):
            source, delay, first = self.logs[link.source], link.delay, self.seen[k]
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

    def _collect(self, tend):
        """List all arrivals before `tend`; returns their number."""
        count, room = 0, self.arrivals
        for k, link in enumerate(self.plan.links):
            source = self.logs[link.source]
            if self.seen[k] == source.n:
                continue
            if self.cursors[k].size < source.times.size:
                self.cursors[k] = np.concatenate([self.cursors[k], np.zeros(source.times.size - self.cursors[k].size, np.int64)])
            while True:
                live, total = self.plan.kernels["collect"](
                    source.times, source.ids, source.amps, self.cursors[k], self.seen[k], source.n, link.indptr, link.synapses,
                    link.words, tend, room.when, room.what, room.who, count)
                if total >= 0:
                    break
                room.grow(2 * -total, count)
            self.seen[k], count = live, total
        return count

    def _line_up(self, count, begin, tend):
        """Put the arrivals of a window in order; returns how many are left where simultaneous ones are summed."""
        a = self.arrivals
        left = self.plan.kernels["line_up"](count, a.when, a.what, a.who, begin, tend, self.origin, self.plan.p, a.shared,
                                            a.places, a.before, a.marks, a.rows, a.words)
        self.counters += count, left
        return left

    def move_epoch(self):
        """Move the origin of time to the end of the epoch."""
        self.plan.kernels["move_origin"](self.plan.size, self.S, self.plan.p, self.plan.epoch)
        self.origin, self.next_epoch = self.next_epoch, self.next_epoch + self.plan.epoch

    def forget(self, name, count):
        """Note that the first `count` spikes of a source are dropped."""
        for k, link in enumerate(self.plan.links):
            if link.source == name:
                self.seen[k] -= count
                if self.plan.walker == "synapse":
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
