"""Networks of gated populations: every window opens once, after all of its input; samples are the rows.

The event engine delivers the spikes; its dense twin delivers every source in the same order, silent ones with
amplitude 0, which changes no bit.
"""

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines.plan import is_input
from eventsnn.engines.spikes import SpikeList
from eventsnn.errors import RunError
from eventsnn.network import Population
from eventsnn.relays import kernels as pools


class GatedRun:
    """Arrays of one worker; runs up to `samples` samples at a time.

    Parameters
    ----------
    plan : Plan
    samples : int
        The most samples of one call.
    everything : bool
        True: the dense twin.
    """

    def __init__(self, plan, samples, *, everything=False):
        self.plan, self.samples, self.everything = plan, samples, everything
        self.cells, self.states, self.marks, self.lists = {}, {}, {}, {}
        for name, node in plan.nodes.items():
            self.lists[name] = SpikeList(node, samples, 1 if is_input(node) else samples * node.size + 8, timed=True)
            if isinstance(node.node, Population):
                self.cells[name] = np.zeros((samples, node.units, node.ports, node.padded), node.dtype)
                self.states[name] = np.zeros((samples, node.units, node.initial.shape[0], node.padded), node.dtype)
                self.marks[name] = np.zeros((samples, node.units), np.uint8)
        self.counters = dict.fromkeys(("synaptic_events", "instants", "neuron_updates", "queue_pushes", "queue_pops"), 0)
        self.updates = dict.fromkeys(self.cells, 0)

    def run(self, inputs, count):
        """Run `count` samples; `inputs` gives (row offsets, ids, amplitudes, times) per input, sorted by (row, id)."""
        for name in self.plan.order:
            node = self.plan.nodes[name]
            self.lists[name].rounded = {}
            if is_input(node):
                self.lists[name].adopt(*inputs[name])
                self.lists[name].index_units()
            elif isinstance(node.node, Population):
                self._open(node, count)
            else:
                self._pool(node, count)
        return self.lists

    def _open(self, node, count):
        """Deliver everything held for the window, then open it: two queue entries a sample, one per held spike."""
        cells, rows, spikes = self.cells[node.name], np.arange(count), self.lists[node.name]
        for link in node.links:
            source = self.lists[link.source]
            held = int(source.row_ptr[count])
            source = densify(source, self.plan.nodes[link.source], count) if self.everything else source
            events = link.deliver(source, source.amplitudes_as(node.dtype), rows, cells.reshape(-1), self.marks[node.name])
            self.counters["synaptic_events"] += int(events)
            self.counters["queue_pushes"] += held
            self.counters["queue_pops"] += held
        t_open = float(node.node.parameters["t_open"])
        spikes.n, refused = node.kernels["open_gate"](self.states[node.name], cells, node.maps, node.p,
                                                      np.array([node.lanes, node.units]), t_open, spikes.out,
                                                      spikes.times, 0, count)
        if refused:
            raise RunError(f"population {node.name}: {refused} spikes were due before the window opened at {t_open} ms; "
                           "widen its window (convert with a larger zeta), or let them saturate (early: saturate)")
        self.updates[node.name] += count * node.size
        self.counters["neuron_updates"] += count * node.size
        self.counters["instants"] += count
        self.counters["queue_pushes"] += count
        self.counters["queue_pops"] += count

    def _pool(self, node, count):
        relay, source, spikes = node.node.kind, self.lists[node.node.source], self.lists[node.name]
        spikes.reserve(int(source.row_ptr[count]) * (-(-relay.size // relay.stride)) ** 2 + 8)
        signs = np.ones(node.shape[2], np.int64)
        if relay.kind == "earliest" and relay.signs is not None:
            signs = np.array(relay.signs)
        geometry = (*self.plan.nodes[node.node.source].shape, *node.shape[:2], relay.size, relay.stride)
        spikes.n = specialise(pools.pool_values)(source.ids, source.amps, source.times, source.unit_ptr, (0, count),
                                                 geometry, signs, relay.kind == "average", spikes.out, spikes.times, 0)


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
