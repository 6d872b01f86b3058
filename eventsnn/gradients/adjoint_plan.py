"""A continuous network laid out for its adjoint: parts in order, synapses, kernels; the state of one sample's way back."""

import itertools
from dataclasses import dataclass

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines.continuous_plan import ContinuousNetwork, check_continuous, listed, order_and_window
from eventsnn.errors import ModelError
from eventsnn.gradients import adjoint_kernels as kernels
from eventsnn.gradients.adjoint_kernels import REPORT
from eventsnn.gradients.van_rossum_kernels import order_by_neuron

HOOKS = ("instant", "receive", "next_spike", "reset", "rebase")


@dataclass(eq=False)
class AdjointPlan:
    """A population with the synapses that reach it.

    Attributes
    ----------
    population : Population
    width, adjoints : int
        Columns of the model's rows and of the adjoint rows.
    p, rows, epoch
        Parameters, rows at t = 0 (flat), length of an epoch.
    links : list of (str, int, int, int)
        Source, first row in `row_ptr`, number of the projection, first synapse.
    row_ptr, targets, weights, delays : ndarray
        Synapses by (projection, source); delays with the projection's own.
    kernels : dict
    """

    population: object
    width: int
    adjoints: int
    p: object
    rows: np.ndarray
    epoch: float
    links: list
    row_ptr: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    delays: np.ndarray
    kernels: dict


def make_plans(network, scaled_inputs):
    """Return ({population: plan}, parts): parts are lists of names in order, each with the window it needs (inf: none).

    Parameters
    ----------
    network : Network
    scaled_inputs : set of str
        Inputs whose spikes have amplitudes.

    Raises
    ------
    ModelError
        If a model has no adjoint.
    """
    mirror = ContinuousNetwork(network.inputs, network.populations, network.projections)
    check_continuous(mirror)
    for population in network.populations:
        check_model(population)
    nodes = mirror.nodes
    synapses = [listed(p, nodes[p.source], nodes[p.target]) for p in network.projections]
    order, window = order_and_window(mirror, synapses)
    plans = {name: _plan(nodes[name], network.projections, synapses, scaled_inputs) for name in order}
    # a little less than the smallest delay: what a window emits arrives after it, whatever is rounded
    return plans, _parts(network, order, window * (1.0 - 1e-9))


def check_model(population):
    """Raise ModelError if a population's model has no adjoint."""
    model = population.model
    lacks = [n for n in ("adjoint_flow", *(["adjoint_jump"] if model.fires else [])) if getattr(model, n) is None]
    if not model.adjoints or lacks:
        missing = " and ".join([*(["adjoints"] if not model.adjoints else []), *lacks])
        raise ModelError(f"population {population.name}: model '{model.name}' has no adjoint, it lacks {missing}; "
                         "docs/your_own_neuron.md says how to write them")  # fmt: skip


def _parts(network, order, window):
    """Return [(names, window)]: populations that depend on one another are one part."""
    edges = [(p.source, p.target) for p in network.projections if p.source in order]
    reach = {n: {n} for n in order}
    for _ in order:
        for source, target in edges:
            reach[source] = reach[source] | reach[target]
    parts, left = [], list(order)
    while left:
        loops = {n: [m for m in left if m in reach[n] and n in reach[m]] for n in left}
        name = next(n for n in left if all(s not in left or s in loops[n] for s, t in edges if t in loops[n]))
        cyclic = len(loops[name]) > 1 or (name, name) in edges
        parts.append((loops[name], window if cyclic else np.inf))
        left = [n for n in left if n not in loops[name]]
    return parts


def _plan(population, projections, synapses, scaled_inputs):
    model, values = population.model, dict(population.parameters)
    scalars, constants = model.derive(values)
    width = constants.get("WIDTH", model.WIDTH)
    record = np.zeros(1, [(n, np.float64) for n in scalars] or [("none", np.float64)])
    for name, value in scalars.items():
        record[name] = value
    incoming = [(k, p, s) for k, (p, s) in enumerate(zip(projections, synapses)) if p.target == population.name]
    links, ptr, place = [], [np.zeros(1, np.int64)], 0
    for k, projection, s in incoming:
        links.append((projection.source, sum(a.size for a in ptr) - 1, k, place))
        ptr.append(s.indptr[1:] + place)
        place += s.size
    spread = [np.broadcast_to(a, s.size) for _, _, s in incoming for a in (s.synapse_weights(),)]
    delays = [np.broadcast_to(s.delays + float(p.delay), s.size) for _, p, s in incoming]
    scaled = model.scaled and any(p.source in scaled_inputs for _, p, _ in incoming)
    hooks = {h: getattr(model, h) for h in HOOKS} | {**constants, "WIDTH": width, "SCALED": scaled}
    back = {"adjoint_flow": model.adjoint_flow, "ADJOINTS": len(model.adjoints)}
    back |= {"adjoint_jump": model.adjoint_jump} if model.adjoint_jump is not None else {}
    made = {"count": specialise(kernels.count_arrivals), "list": specialise(kernels.list_arrivals),
            "sweep": specialise(kernels.sweep, **hooks, **back)}  # fmt: skip
    rows = np.ascontiguousarray(model.rows(values, population.size, width), dtype=np.float64).reshape(-1)
    targets = [s.targets.astype(np.int64) for _, _, s in incoming]
    # rows of different projections follow one another: the end of one is the beginning of the next
    return AdjointPlan(population, width, len(model.adjoints), record.view(np.recarray)[0], rows, float(model.epoch(values)),
                       links, _joined(ptr, np.int64), _joined(targets, np.int64), _joined(spread, np.float64),
                       _joined(delays, np.float64), made)  # fmt: skip


def _joined(arrays, dtype):
    return np.concatenate([np.zeros(0, dtype), *arrays])


class PopulationBack:
    """What one population heard and did in one sample, and its adjoint.

    Parameters
    ----------
    plan : AdjointPlan
    spikes : dict
        times, ids, amps of all spikes of the sample, one node after another, and ``span``: {node: (first, last)}.
    duration : float
    looks : tuple of ndarray
        Times (k,) and dloss/dv (k, n) at them.
    """

    def __init__(self, plan, spikes, duration, looks):
        self.plan, self.spikes, self.duration, self.looks = plan, spikes, duration, looks
        size, span = plan.population.size, spikes["span"]
        links = np.array([(*span[source], row) for source, row, _, _ in plan.links], np.int64).reshape(-1, 3)
        stop = np.nextafter(duration, np.inf) if plan.population.model.closes else duration
        counts, self.starts = np.zeros(size, np.int64), np.zeros(size + 1, np.int64)
        heard = (links, spikes["times"], spikes["ids"], plan.row_ptr, plan.targets, plan.delays, stop, counts)
        room = plan.kernels["count"](*heard)
        longest = int(counts.max(initial=0))
        self.by = np.empty(room), np.empty(room, np.int64), np.empty(room, np.int64)
        plan.kernels["list"](size, *heard, self.starts, *self.by, np.empty(longest))
        first, last = span[plan.population.name]
        self.own_ptr, own = np.zeros(size + 1, np.int64), np.empty(last - first, np.int64)
        specialise(order_by_neuron)(spikes["ids"][first:last].astype(np.int64), self.own_ptr, own)
        self.own = own + first
        epochs = 0 if plan.epoch == np.inf else int(duration // plan.epoch) + 1
        events = longest + int(np.diff(self.own_ptr).max(initial=0)) + looks[0].size + epochs + 1
        self.R, self.what, self.at = np.empty(events * plan.width), np.empty((3, events), np.int64), np.empty((2, events))
        self.L = np.zeros(size * plan.adjoints)

    def _origin(self, t):
        """Return the origin of the epoch of `t`."""
        return 0.0 if self.plan.epoch == np.inf else float(t // self.plan.epoch) * self.plan.epoch

    def checkpoints(self, edges):
        """Return the rows at the beginning of every window, from the run's first to its last."""
        rows, nothing = self.plan.rows.copy(), np.zeros(0)
        kept = [rows.copy()]
        self.cursors, self.own_cursors = self.starts[:-1].copy(), self.own_ptr[:-1].copy()
        for begin, end in itertools.pairwise(edges[:-1]):
            self._go(True, begin, end, rows, (0, 0), nothing, nothing, nothing, np.zeros(REPORT))
            kept.append(rows.copy())
        self.cursors, self.own_cursors = self.starts[1:].copy(), self.own_ptr[1:].copy()
        return kept

    def back(self, begin, end, rows, e, dw, dd, report):
        """Take the adjoint back from `end` to `begin`; ``rows`` are those at `begin`."""
        looks = np.searchsorted(self.looks[0], [begin, end if end < self.duration else np.inf])
        self._go(False, begin, end, rows, tuple(looks.tolist()), e, dw, dd, report)

    def _go(self, forward, begin, end, rows, looks, e, dw, dd, report):
        plan = self.plan
        plan.kernels["sweep"](
            plan.population.size, forward, begin, end, self._origin(begin), self._origin(end), rows, plan.p, plan.epoch, self.L,
            self.starts, self.cursors, *self.by, plan.weights, self.spikes["amps"], self.own_ptr, self.own_cursors, self.own,
            self.spikes["times"], looks, *self.looks, e, dw, dd, self.R, self.what, self.at, report,
        )  # fmt: skip
