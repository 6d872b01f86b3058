"""One sample on the grid clock: components stream slabs of time, recurrent ones interleave their own spikes.

The event engine and its time-stepped twin are the same walk; `everything` is the whole difference: the twin evaluates
every neuron at every instant, the event engine those at which something arrived or which asked to be woken.
"""

import math

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines.plan import is_input
from eventsnn.engines.queue import new_calendar
from eventsnn.engines.spikes import SpikeList
from eventsnn.network import Population
from eventsnn.network_checks import edges
from eventsnn.relays import kernels as pools

CELL_BUDGET = 2**19  # bytes of cells per population and slab: half of a typical L2 cache


class GridRun:
    """Arrays of one worker; runs one sample after another.

    Parameters
    ----------
    plan : Plan
    steps : int
        Length of a run.
    everything : bool
        True: the time-stepped twin.
    interleaved : bool
        One group of all components instead of one after another.
    slab : int, optional
        Instants handled at a time; by default as many as keep the cells in cache.
    traced : dict
        Name of a population -> period in steps with which its state is looked at.
    """

    def __init__(self, plan, steps, *, everything=False, interleaved=False, slab=None, traced=None):
        self.traced = traced or {}
        self.plan, self.steps, self.everything = plan, steps, everything
        self.groups = [plan.order] if interleaved else plan.components
        self.windows = [self._window(group, slab) for group in self.groups]
        widest = {name: w for group, w in zip(self.groups, self.windows) for name in group}
        self.populations = {n: _PopulationState(plan.nodes[n], widest[n]) for n in plan.order
                            if isinstance(plan.nodes[n].node, Population)}
        self.counters = dict.fromkeys(("synaptic_events", "instants"), 0)

    def _window(self, group, slab):
        """Return how many instants the group may take at a time: no spike may be needed before its slab is done."""
        nodes, position = self.plan.nodes, {name: k for k, name in enumerate(group)}
        largest = max([1, *(n.units * n.ports * n.padded * n.dtype.itemsize for n in map(nodes.get, group) if n.links)])
        window = max(1, min(CELL_BUDGET // largest, 1024)) if slab is None else int(slab)
        for source, target, delay, _ in edges(self.plan.network):
            if source in position and target in position and position[source] >= position[target]:
                window = min(window, delay)
        window = max(1, min(window, self.steps))
        for name in self.traced.keys() & position.keys():  # slabs end where somebody looks
            window = math.gcd(window, self.traced[name])
        return window

    def run(self, inputs, stop=None):
        """Run one sample.

        Parameters
        ----------
        inputs : dict
            Name of input -> (step offsets, ids, amplitudes) of its spikes, or (values, scheduled) of a drive.
        stop : callable, optional
            Asked between slabs; True ends the run.

        Returns
        -------
        dict
            Name -> SpikeList of everything that spiked.
        """
        self.spikes, self.schedules, self.relay_states = {}, {}, {}
        for name, node in self.plan.nodes.items():
            self.spikes[name] = SpikeList(node, self.steps, node.size + 1024)
            if is_input(node):
                self._fill_input(node, inputs[name])
        for population in self.populations.values():
            population.reset()
        self.traces = {name: [] for name in self.traced}
        for group, window in zip(self.groups, self.windows):
            for t0 in range(0, self.steps, window):
                for name in group:
                    self._advance(self.plan.nodes[name], t0, min(window, self.steps - t0))
                if stop is not None and stop():
                    raise KeyboardInterrupt
        for population in self.populations.values():
            population.settle(self.steps)
        return self.spikes

    def _fill_input(self, node, given):
        if len(given) == 3:
            self.spikes[node.name].fill(*given)
            return
        values, scheduled = given
        ids = np.flatnonzero(values)
        self.spikes[node.name] = SpikeList(node, 1, 1)
        self.spikes[node.name].fill(np.array([0, ids.size]), ids, values[ids])
        self.schedules[node.name] = scheduled

    def _advance(self, node, t0, rows):
        if isinstance(node.node, Population):
            self._deliver(node, t0, rows)
            self._evaluate(node, t0, rows)
            if node.name in self.traced and (t0 + rows) % self.traced[node.name] == 0:
                self.traces[node.name].append(self.populations[node.name].peek(t0 + rows))
        elif not is_input(node):
            self._pool(node, t0, rows)

    def _deliver(self, node, t0, rows):
        state = self.populations[node.name]
        flat = state.cells.reshape(-1)
        for link in node.links:
            source = self.spikes[link.source]
            at = np.arange(t0 - link.delay, t0 - link.delay + rows)
            if link.source in self.schedules:
                scheduled = self.schedules[link.source]
                at = np.where((at >= 0) & scheduled[np.maximum(at, 0)], 0, -1)
            elif source.row_ptr[max(at[0], 0)] == source.row_ptr[max(at[-1] + 1, 0)]:
                continue
            self.counters["synaptic_events"] += link.deliver(source, source.amplitudes_as(node.dtype),
                                                             np.maximum(at, -1), flat, state.marks)
        for port, values, when in node.drives:
            for r in np.flatnonzero(scheduled_steps(when, t0 + rows)[t0:]):
                state.cells[r, :, port] += values
                state.marks[r, :node.units] = 1

    def _evaluate(self, node, t0, rows):
        state, spikes, row = self.populations[node.name], self.spikes[node.name], 0
        while True:
            row, spikes.n = node.kernels["evaluate"](
                state.state, state.last, state.cells, state.marks, state.words, self.everything, node.maps, node.p,
                state.shape, t0, row, rows, state.calendar, spikes.out, spikes.n, state.counters)
            if row == rows:
                return
            spikes.reserve(2 * spikes.ids.size + node.size)

    def _pool(self, node, t0, rows):
        relay, spikes, source = node.node.kind, self.spikes[node.name], self.spikes[node.node.source]
        scheduled = self.schedules.get(node.node.source)
        if scheduled is not None:
            raise_drive_into_pool(node.name)
        arriving = int(source.row_ptr[t0 + rows] - source.row_ptr[t0])
        spikes.reserve(spikes.n + arriving * (-(-relay.size // relay.stride)) ** 2 + 8)
        geometry = (*self.plan.nodes[node.node.source].shape, *node.shape[:2], relay.size, relay.stride)
        scaled = not self.plan.nodes[node.node.source].unit_amplitude
        kind, state = np.ones(1, node.dtype), self._relay_state(node)
        common = (source.ids, source.amps, source.unit_ptr, (t0, t0 + rows), geometry)
        kernel = specialise(getattr(pools, f"{relay.kind}_pool"), SCALED=scaled)
        spikes.n = kernel(*common, *state, spikes.out, spikes.n, kind)

    def _relay_state(self, node):
        if node.name not in self.relay_states:
            relay, source = node.node.kind, self.plan.nodes[node.node.source]
            if relay.kind == "average":
                made = (relay.size ** 2,)
            elif relay.kind == "gated_max":
                made = (np.zeros(source.size, node.dtype),)
            else:
                signs = np.ones(node.shape[2], np.int64) if relay.signs is None else np.array(relay.signs)
                made = (signs, np.zeros((relay.size ** 2, node.size), np.uint8), np.zeros(node.size, np.uint8))
            self.relay_states[node.name] = made
        return self.relay_states[node.name]


def raise_drive_into_pool(name):
    """Explain that a pool cannot take a drive."""
    from eventsnn.errors import NetworkError

    raise NetworkError(f"relay {name}: a pool takes spikes, its input was given a drive; pool the values before the run")


def scheduled_steps(schedule, steps):
    """Return a mask over steps: "every", "first", a period, or a mask (silent where it ends)."""
    if isinstance(schedule, str):
        return np.ones(steps, bool) if schedule == "every" else np.arange(steps) == 0
    if np.ndim(schedule) == 0:
        return np.arange(steps) % int(schedule) == 0
    mask = np.zeros(steps, bool)
    given = np.asarray(schedule, dtype=bool)[:steps]
    mask[:given.size] = given
    return mask


class _PopulationState:
    """State, cells and calendar of one population."""

    def __init__(self, node, window):
        self.node = node
        self.shape = np.array([node.lanes, node.units])
        self.state = np.zeros((node.units, *node.initial.shape), node.dtype)
        self.last = np.zeros(node.units, np.int64)
        self.cells = np.zeros((window, node.units, node.ports, node.padded), node.dtype)
        self.marks = np.zeros((window, -(-node.units // 8) * 8), np.uint8)
        self.words = self.marks.view(np.uint64)
        self.counters = np.zeros(3, np.int64)  # wake-ups pushed, wake-ups popped, neurons updated
        self.reset()

    def reset(self):
        self.state[:] = self.node.initial
        self.last[:] = -1
        self.cells[:] = 0
        self.marks[:] = 0
        self.calendar = new_calendar(self.node.units)

    def peek(self, steps):
        """Return all state variables (variables, n) as they are after `steps` steps; the run goes on as if unseen."""
        kept = self.state.copy(), self.last.copy()
        self.settle(steps)
        seen = self.state[:, :, :self.node.lanes].transpose(1, 0, 2).reshape(self.state.shape[1], -1)
        self.state, self.last = kept
        return seen.copy()

    def settle(self, steps):
        self.node.kernels["settle"](self.state, self.last, steps, self.node.lanes, self.node.ports, self.node.p, self.node.maps)

    def variable(self, k):
        """Return state variable k of all neurons, (n,)."""
        return self.state[:, k, :self.node.lanes].reshape(-1)
