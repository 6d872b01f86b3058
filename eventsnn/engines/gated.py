"""Networks of gated populations: every window opens once, after all of its input; samples are the rows.

The event engine delivers the spikes; its dense twin delivers every source in the same order, silent ones with
amplitude 0, which changes no bit.
"""

from functools import partial

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines import gated_pools as pools
from eventsnn.engines.noise import NOISE, noise_gated
from eventsnn.engines.plan import is_input
from eventsnn.engines.spikes import SpikeList
from eventsnn.errors import RunError
from eventsnn.network import Population
from eventsnn.projections.rowsum import aligned_zeros


class GatedRun:
    """Arrays of one worker; runs up to `samples` samples at a time.

    Parameters
    ----------
    plan : Plan
    samples : int
        The most samples of one call.
    everything : bool
        True: the dense twin.
    seed : int
        Of the random numbers that relays draw.

    Attributes
    ----------
    sample_ids : ndarray of int
        Numbers of the samples to run next: random numbers are keyed by them.
    """

    def __init__(self, plan, samples, *, everything=False, seed=0):
        self.seed, self.sample_ids = seed, np.arange(samples)
        self.plan, self.samples, self.everything = plan, samples, everything
        self.cells, self.states, self.marks, self.lists, self.acts = {}, {}, {}, {}, {}
        self.rows = np.arange(samples)
        self.held = [link.source for node in plan.nodes.values() for link in node.links]
        for name, node in plan.nodes.items():
            self.lists[name] = SpikeList(node, samples, 1 if is_input(node) else samples * node.size + 8, timed=True)
            if isinstance(node.node, Population):
                self.cells[name] = aligned_zeros((samples, node.units, node.ports, node.padded), node.dtype)
                self.states[name] = np.zeros((samples, node.units, node.initial.shape[0], node.padded), node.dtype)
                self.marks[name] = np.zeros((samples, node.units), np.uint8)
                self.acts[name] = self._opening(node)
            elif not is_input(node):
                self.acts[name] = partial(noise_gated, self, node) if node.node.kind.kind in NOISE else self._pooling(node)
        self.counters = dict.fromkeys(("synaptic_events", "instants", "neuron_updates", "queue_pushes", "queue_pops"), 0)
        self.updates = dict.fromkeys(self.cells, 0)

    def run(self, inputs, count):
        """Run `count` samples; `inputs` gives (row offsets, ids, amplitudes, times) per input, sorted by (row, id)."""
        for name, spikes in self.lists.items():
            if name in self.acts:
                spikes.rounded = {}
                self.acts[name](count)
            else:
                spikes.adopt(*inputs[name])
                spikes.index_units()
        self._count(count)
        return self.lists

    def _count(self, count):
        """Every window is two entries of the queue a sample: one per spike it holds, one for itself."""
        counters, nodes = self.counters, self.plan.nodes
        opened = count * len(self.updates) + sum(self.lists[name].n for name in self.held)
        for name in self.updates:
            self.updates[name] += count * nodes[name].size
            counters["neuron_updates"] += count * nodes[name].size
        counters["instants"] += count * len(self.updates)
        counters["queue_pushes"] += opened
        counters["queue_pops"] += opened

    def _opening(self, node):
        """Return what a population does: take everything held for the window, then open it."""
        cells, states, marks, spikes = (d[node.name] for d in (self.cells, self.states, self.marks, self.lists))
        links = [(link.deliver, self.lists[link.source], self.plan.nodes[link.source]) for link in node.links]
        open_gate, t_open = node.kernels["open_gate"], float(node.node.parameters["t_open"])
        flat, size, out, dtype = cells.reshape(-1), np.array([node.lanes, node.units]), spikes.out, node.dtype

        def act(count):
            rows = self.rows[:count]
            for deliver, source, plan in links:
                source = densify(source, plan, count) if self.everything else source
                self.counters["synaptic_events"] += int(deliver(source, source.amplitudes_as(dtype), rows, flat, marks))
            spikes.n, refused = open_gate(states, cells, node.maps, node.p, size, t_open, out, spikes.times, count)
            if refused:
                raise RunError(f"population {node.name}: {refused} spikes were due before the window opened at {t_open} ms; "
                               "widen its window (convert with a larger zeta), or let them saturate (early: saturate)")

        return act

    def _pooling(self, node):
        """Return what a pool does."""
        relay, source, spikes = node.node.kind, self.lists[node.node.source], self.lists[node.name]
        signs = np.ones(node.shape[2], node.dtype)
        if relay.kind == "earliest" and relay.signs is not None:
            signs[:] = relay.signs
        kernel = specialise(pools.average_values) if relay.kind == "average" else specialise(
            pools.earliest_values, SIGNED=bool((signs < 0).any()))
        geometry = (*self.plan.nodes[node.node.source].shape, *node.shape[:2], relay.size, relay.stride)
        copies = (-(-relay.size // relay.stride)) ** 2 if relay.kind == "average" else 0

        def act(count):
            spikes.reserve(source.n * copies + 8)
            spikes.n = kernel(source.ids, source.amps, source.times, source.unit_ptr, count, geometry, signs, spikes.out,
                              spikes.times, 0)

        return act


def densify(source, node, count):
    """Return a list in which every neuron of every sample spikes, silent ones with amplitude 0.

    A list with several spikes of one neuron (an average pool's) is returned as it is.
    """
    row_ptr = source.row_ptr[:count + 1]
    rows = np.repeat(np.arange(count), np.diff(row_ptr))
    places = rows * node.size + source.ids[:row_ptr[-1]]
    if np.unique(places).size != places.size:
        return source
    amps = np.zeros(count * node.size, source.amps.dtype)
    amps[places] = source.amps[:places.size]
    dense = SpikeList(node, count, 1)
    dense.fill(np.arange(count + 1) * node.size, np.tile(np.arange(node.size), count), amps)
    return dense
