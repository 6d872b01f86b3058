"""One sample on the grid clock: components stream slabs of time, recurrent ones interleave their own spikes.

The event engine and its time-stepped twin are the same walk; `everything` is the whole difference: the twin evaluates
every neuron at every instant, the event engine those at which something arrived or which asked to be woken.
"""

from itertools import pairwise

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines.grid_population import PopulationState
from eventsnn.engines.noise import NOISE, noise_on_grid
from eventsnn.engines.plan import is_input
from eventsnn.engines.points import read_spikes
from eventsnn.engines.spikes import SpikeList
from eventsnn.errors import NetworkError
from eventsnn.network import Population
from eventsnn.network_checks import edges
from eventsnn.relays import kernels as pools

CELL_BUDGET = 2**20  # bytes of cells per population and slab: a typical L2 cache; shorter slabs ask more neurons when to wake


class GridRun:
    """Arrays of one worker; runs one sample after another. A worker whose run was broken off by an error is of no more use.

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
        Name of a population -> (period in steps with which its state is looked at, ids or None: all).
    points : ndarray of int64
        Recording points, ascending; the last one is `steps`.
    exit_rule : callable, optional
        Takes (steps done, steps, readout) at recording points; True ends the sample there.
    seed : int
        Of the random numbers that relays draw.

    Attributes
    ----------
    sample : int
        Number of the sample to run next: random numbers are keyed by it.
    """

    def __init__(self, plan, steps, *, everything=False, interleaved=False, slab=None, traced=None, points=(),
                 exit_rule=None, seed=0):
        self.traced = traced or {}
        self.seed, self.sample = seed, 0
        self.plan, self.steps, self.everything = plan, steps, everything
        self.points, self.exit_rule = np.asarray(points, np.int64), exit_rule
        asked = plan.network.readout
        self.watched = asked.population if self.points.size and asked is not None and asked.kind == "membrane" else None
        # a jitter may send a spike to an earlier step: it needs all of its source's spikes, layer after layer
        streamed = not interleaved or any(r.kind.kind == "jitter" for r in plan.network.relays)
        self.groups = plan.components if streamed else [plan.order]
        self.windows = [self._window(group, slab) for group in self.groups]
        self.cuts = [self._cuts(group, window) for group, window in zip(self.groups, self.windows)]
        widest = {name: w for group, w in zip(self.groups, self.windows) for name in group}
        self.populations = {n: PopulationState(plan.nodes[n], widest[n]) for n in plan.order
                            if isinstance(plan.nodes[n].node, Population)}
        self.counters = dict.fromkeys(("synaptic_events", "instants"), 0)
        self.spikes = {}
        # which row of a source's spikes arrives in the instant t after a delay d: entry t - d + longest, -1 for none
        self.longest = min(steps, max([0, *(link.delay for node in plan.nodes.values() for link in node.links)]))
        self.rows = np.maximum(np.arange(-self.longest, steps), -1)

    def _window(self, group, slab):
        """Return how many instants the group may take at a time: no spike may be needed before its slab is done."""
        nodes, position = self.plan.nodes, {name: k for k, name in enumerate(group)}
        largest = max([1, *(n.units * n.ports * n.padded * n.dtype.itemsize for n in map(nodes.get, group) if n.links)])
        window = max(1, min(CELL_BUDGET // largest, 1024)) if slab is None else int(slab)
        for source, target, delay, _ in edges(self.plan.network):
            if source in position and target in position and position[source] >= position[target]:
                window = min(window, delay)
        return max(1, min(window, self.steps))

    def _cuts(self, group, window):
        """Return where the slabs of a group begin and end; they end where somebody looks."""
        edges = [np.arange(0, self.steps, window), [self.steps]]
        if self.exit_rule is not None or self.watched in group:
            edges.append(self.points)
        edges += [np.arange(0, self.steps, self.traced[name][0]) for name in group if name in self.traced]
        return np.unique(np.concatenate(edges).astype(np.int64))

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
            Name -> SpikeList of everything that spiked, until the next sample.
        """
        self.schedules, self.drive_rows, self.relay_states = {}, {}, {}
        for name, node in self.plan.nodes.items():
            if is_input(node):
                self._fill_input(node, inputs[name])
            else:
                self._empty_list(node, self.steps, node.size + 1024)
        for population in self.populations.values():
            population.reset()
        self.traces, self.readouts, self.done = {name: [] for name in self.traced}, {}, 0
        for end in [self.steps] if self.exit_rule is None else self.points.tolist():
            for group, cuts in zip(self.groups, self.cuts):
                for t0, t1 in pairwise(cuts[(cuts >= self.done) & (cuts <= end)].tolist()):
                    for name in group:
                        self._advance(self.plan.nodes[name], t0, t1 - t0)
                    if stop is not None and stop():
                        raise KeyboardInterrupt
            self.done = end
            if end < self.steps and self.exit_rule is not None and self.exit_rule(end, self.steps, self.read(end)):
                self._cut_short(end)
                break
        for population in self.populations.values():
            population.settle(self.done)
        return self.spikes

    def read(self, step):
        """Return the readout (n,) in float64 as it is after `step` steps: a recording point, or where the run ended."""
        asked, network = self.plan.network.readout, self.plan.network
        if asked.kind != "membrane":
            return read_spikes(asked.kind, self.plan.nodes[asked.population].size, self.spikes[asked.population], step,
                               network.dt_ms)
        seen = self.readouts.get(step)
        return self.populations[asked.population].variable(0).astype(np.float64) if seen is None else seen

    def _cut_short(self, end):
        """Forget everything at and after step `end`, input spikes included."""
        for name in self.spikes.keys() - self.schedules.keys():
            found = self.spikes[name]
            found.n = int(found.row_ptr[end])
            found.row_ptr[end:] = found.n

    def _fill_input(self, node, given):
        if len(given) == 3:
            self._empty_list(node, self.steps, 1).fill(*given)
            return
        values, scheduled = given
        ids = np.flatnonzero(values)
        self._empty_list(node, 1, 1).fill(np.array([0, ids.size]), ids, values[ids])
        self.schedules[node.name] = scheduled
        self.drive_rows[node.name] = np.concatenate([np.full(self.longest, -1), np.where(scheduled, 0, -1)])

    def _empty_list(self, node, rows, capacity):
        """Return the node's spike list without spikes; its arrays are those of the sample before, where they fit."""
        found = self.spikes.get(node.name)
        if found is None or found.row_ptr.size != rows + 1:
            found = self.spikes[node.name] = SpikeList(node, rows, capacity)
        found.n, found.rounded = 0, {}
        return found

    def _advance(self, node, t0, rows):
        if isinstance(node.node, Population):
            self._deliver(node, t0, rows)
            self._evaluate(node, t0, rows)
            self._look(node, t0 + rows)
        elif not is_input(node):
            self._pool(node, t0, rows)

    def _look(self, node, step):
        """Keep what somebody wants to see of a population after `step` steps."""
        period, ids = self.traced.get(node.name, (0, None))
        if period and step % period == 0:
            seen = self.populations[node.name].peek(step)
            self.traces[node.name].append(seen if ids is None else seen[:, ids])
        if node.name == self.watched and step in self.points:
            self.readouts[step] = self.populations[node.name].peek(step)[0].astype(np.float64)

    def _deliver(self, node, t0, rows):
        state = self.populations[node.name]
        for link in node.links:
            source, first = self.spikes[link.source], max(t0 - link.delay, -self.longest)
            at = self.drive_rows.get(link.source, self.rows)[first + self.longest:][:rows]
            if link.source not in self.drive_rows and source.row_ptr[max(first, 0)] == source.row_ptr[max(first + rows, 0)]:
                continue
            self.counters["synaptic_events"] += link.deliver(source, source.amplitudes_as(node.dtype), at, state.flat,
                                                             state.marks)
        for port, values, when in node.drives:
            for r in np.flatnonzero(scheduled_steps(when, t0 + rows)[t0:]):
                state.cells[r, :, port] += values
                state.marks[r, :node.units] = 1

    def _evaluate(self, node, t0, rows):
        state, spikes, row = self.populations[node.name], self.spikes[node.name], 0
        while True:
            row, spikes.n = node.kernels["evaluate"](
                state.state, state.last, state.cells, state.marks, self.everything, node.maps, node.p,
                state.shape, t0, row, rows, state.calendar, spikes.out, spikes.n, state.counters)
            if row == rows:
                return
            spikes.reserve(2 * spikes.ids.size + node.size)

    def _pool(self, node, t0, rows):
        relay, spikes, source = node.node.kind, self.spikes[node.name], self.spikes[node.node.source]
        if node.node.source in self.schedules:
            raise NetworkError(f"relay {node.name}: a pool takes spikes, its input was given a drive; pool the values before "
                               "the run")
        if relay.kind in NOISE:
            noise_on_grid(self, node, t0, rows)
            return
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
            elif relay.kind == "step_max":
                made = ()
            elif relay.kind == "gated_max":
                made = (np.zeros(source.size, node.dtype),)
            else:
                signs = np.ones(node.shape[2], np.int64) if relay.signs is None else np.array(relay.signs)
                made = (signs, np.zeros((relay.size ** 2, node.size), np.uint8), np.zeros(node.size, np.uint8))
            self.relay_states[node.name] = made
        return self.relay_states[node.name]


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
