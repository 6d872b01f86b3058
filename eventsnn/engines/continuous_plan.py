"""A network on the continuous clock as arrays and kernels: order of populations, longest window, rows, synapses."""

from dataclasses import dataclass, field

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines import arrivals, by_synapse, by_time, touch
from eventsnn.errors import NetworkError
from eventsnn.network import Population
from eventsnn.projections import Dense, Sparse
from eventsnn.projections.sparse_ms import SparseMs

HOOKS = ("instant", "receive", "guard", "predict", "approach", "next_spike", "reset", "rebase", "potential")
MOST_DELAYS = 256  # the walker by time takes at most so many distinct delays per projection
ROW = 8  # targets per row below which the walker by synapse is faster


@dataclass(frozen=True, eq=False)
class ContinuousNetwork:
    """Inputs, populations of continuous models, and projections with delays in ms.

    Parameters
    ----------
    inputs, populations, projections : sequence
        `Input`, `Population` and `Projection` of eventsnn.network; ``Projection.delay`` is in ms.
    readout : str, optional
        A population whose potential at the end is the result.
    """

    inputs: tuple = ()
    populations: tuple = ()
    projections: tuple = ()
    readout: str | None = None

    @property
    def nodes(self):
        """All inputs and populations by name."""
        return {n.name: n for n in (*self.inputs, *self.populations)}


@dataclass(eq=False)
class Link:
    """Synapses of one projection; for the walker by time, those of one delay."""

    source: str
    delay: float = 0.0
    offset: int = 0
    indptr: np.ndarray | None = None
    synapses: np.ndarray | None = None
    words: np.ndarray | None = None


@dataclass(eq=False)
class PopulationPlan:
    """A population laid out: parameters, rows at t = 0, kernels, incoming links."""

    name: str
    population: object
    size: int
    width: int
    p: object
    initial: np.ndarray
    epoch: float
    walker: str
    links: list = field(default_factory=list)
    rows: tuple = ()  # walker by time: (indptr, targets, weights) of all links, one after another
    uniform: bool = False
    scaled: bool = False
    kernels: dict = field(default_factory=dict)


def check_continuous(network):
    """Raise NetworkError for the first part of a network that does not fit the continuous clock."""
    if len(network.nodes) != len(network.inputs) + len(network.populations):
        raise NetworkError("two nodes have one name: names must differ")
    for population in network.populations:
        if population.model.clock != "continuous":
            raise NetworkError(f"population {population.name}: model '{population.model.name}' runs on the "
                               f"{population.model.clock} clock, this network on the continuous clock")
    for projection in network.projections:
        for name in (projection.source, projection.target):
            if name not in network.nodes:
                raise NetworkError(f"{projection.label}: unknown node {name!r}, allowed {', '.join(network.nodes)}")
        source, target = network.nodes[projection.source], network.nodes[projection.target]
        if not isinstance(target, Population) or projection.port not in target.model.ports:
            raise NetworkError(f"{projection.label}: the target must be a population with a port {projection.port!r}")
        if not (np.isfinite(projection.delay) and projection.delay >= 0):
            raise NetworkError(f"{projection.label}: delay must be ms >= 0, got {projection.delay}")
        problem = projection.synapses.check(source.shape, target.shape)
        if isinstance(projection.synapses, Sparse) and projection.synapses.delays is not None:
            problem = "delays in whole steps need the grid clock: use SparseMs with delays_ms"
        if problem:
            raise NetworkError(f"{projection.label}: {problem}")
    if network.readout is not None and network.readout not in {p.name for p in network.populations}:
        raise NetworkError(f"readout: {network.readout!r} is not a population")


def listed(projection, source, target):
    """Return a projection's synapses as SparseMs, delays without the projection's own."""
    synapses = projection.synapses
    if isinstance(synapses, SparseMs):
        return synapses
    if isinstance(synapses, Dense):
        indptr = np.arange(source.size + 1) * target.size
        targets = np.tile(np.arange(target.size, dtype=np.uint32), source.size)
        return SparseMs(indptr, targets, np.asarray(synapses.weights, np.float64).reshape(-1))
    if isinstance(synapses, Sparse):
        return SparseMs.from_lists(synapses.sources, synapses.targets, synapses.weights, n_sources=source.size)
    raise NetworkError(f"{projection.label}: {type(synapses).__name__} synapses are not known on the continuous clock: use "
                       "Dense or SparseMs")


def order_and_window(network, synapses):
    """Return (population names, longest window in ms): sources first; within a cycle, connections without delay decide.

    A window must not be longer than any delay within a cycle: what a window emits then arrives after it.
    """
    names = [p.name for p in network.populations]
    edges = [(p.source, p.target, p.delay + float(s.delays.min() if s.size else 0.0))
             for p, s in zip(network.projections, synapses) if p.source in names]
    reach = {n: {n} for n in names}
    changed = True
    while changed:
        changed = False
        for source, target, _ in edges:
            wider = reach[source] | reach[target]
            changed, reach[source] = changed or wider != reach[source], wider
    window = min([np.inf, *(d for s, t, d in edges if s in reach[t] and d > 0)])
    waits = {n: {s for s, t, d in edges if t == n and (d == 0 or s not in reach[t])} for n in names}
    order = []
    while len(order) < len(names):
        ready = [n for n in names if n not in order and waits[n] <= set(order)]
        if not ready:
            stuck = [n for n in names if n not in order]
            raise NetworkError(f"connections without delay form a cycle among {', '.join(stuck)}; give one of them a delay")
        order.append(ready[0])
    return order, window


def make_plans(network, scaled_inputs, walker):
    """Return (plans by name in order, longest window).

    Parameters
    ----------
    network : ContinuousNetwork
    scaled_inputs : set of str
        Inputs whose spikes have amplitudes.
    walker : {"auto", "time", "synapse"}
    """
    check_continuous(network)
    nodes = network.nodes
    synapses = [listed(p, nodes[p.source], nodes[p.target]) for p in network.projections]
    order, window = order_and_window(network, synapses)
    plans = {}
    for name in order:
        incoming = [(p, s) for p, s in zip(network.projections, synapses) if p.target == name]
        plans[name] = _plan(nodes[name], incoming, scaled_inputs, walker)
    return plans, window


def _plan(population, incoming, scaled_inputs, walker):
    model, values = population.model, dict(population.parameters)
    scalars, constants = model.derive(values)
    width = constants.get("WIDTH", model.WIDTH)
    record = np.zeros(1, [(n, np.float64) for n in scalars] or [("none", np.float64)])
    for name, value in scalars.items():
        record[name] = value
    initial = np.ascontiguousarray(model.rows(values, population.size, width), dtype=np.float64)
    rows = [s.distinct_delays for _, s in incoming]
    if walker == "auto":
        synapses = sum(s.size for _, s in incoming)
        walker = "time" if not incoming or (max(rows) <= MOST_DELAYS and synapses >= ROW * sum(
            s.indptr.size * r for (_, s), r in zip(incoming, rows))) else "synapse"
    if walker == "time" and max(rows, default=0) > MOST_DELAYS:
        raise NetworkError(f"population {population.name}: more than {MOST_DELAYS} distinct delays need walker='synapse'")
    scaled = model.scaled and any(p.source in scaled_inputs for p, _ in incoming)
    plan = PopulationPlan(population.name, population, population.size, width, record.view(np.recarray)[0], initial,
                          float(model.epoch(values)), walker, scaled=scaled)
    (_rows_by_time if walker == "time" else _links_by_synapse)(plan, incoming)
    hooks = {h: getattr(model, h) for h in HOOKS} | {**constants, "WIDTH": width, "DUE": width - 1}
    advance = by_time.advance_by_time if walker == "time" else by_synapse.advance_by_synapse
    number = isinstance(model.instant(0.0, plan.p), float)
    uniform = {"UNIFORM": plan.uniform} if walker == "time" else {"NUMBER": number}
    plan.kernels = {"advance": specialise(advance, SCALED=scaled, **uniform, **hooks),
                    "take": specialise(by_time.take, SCALED=scaled),
                    "collect": specialise(by_synapse.collect_arrivals, SCALED=scaled),
                    "line_up": specialise(arrivals.line_up, instant=model.instant, NUMBER=number),
                    "sort": specialise(by_time.sort_window),
                    **{n: specialise(getattr(touch, n), **hooks) for n in ("prepare", "move_origin", "potentials")}}
    return plan


def _links_by_synapse(plan, incoming):
    base = 0
    for projection, s in incoming:
        delays = s.delays + float(projection.delay)  # rounded once: the delay of a synapse
        if s.delays.size == 1:
            ranks, count = np.array([base], np.uint32), s.indptr.size - 1
        else:
            ranks, count = s.ranks
            ranks = ranks + np.uint32(base)
        synapses = np.empty(s.size * int(by_synapse.RECORD))
        words = synapses.view(np.uint64)
        specialise(by_synapse.pack_synapses)(s.indptr, s.targets, s.synapse_weights(), delays, ranks, synapses, words)
        plan.links.append(Link(projection.source, indptr=s.indptr.astype(np.uint32), synapses=synapses, words=words))
        base += count
    if base >= 2**32:
        raise NetworkError(f"population {plan.name}: more than 2**32 - 1 incoming (delay, source) pairs")


def _rows_by_time(plan, incoming):
    parts, offset, place = [], 0, 0
    for projection, s in incoming:
        for delay in np.unique(s.delays):
            indptr, targets, weights, per_row = _rows_of(s, delay)
            parts.append((indptr, targets, weights, per_row, place))
            plan.links.append(Link(projection.source, delay + float(projection.delay), offset))
            offset += indptr.size - 1
            place += targets.size
    if place >= 2**32 or offset >= 2**32:
        raise NetworkError(f"population {plan.name}: more than 2**32 - 1 incoming synapses")
    plan.uniform = all(part[3] for part in parts)
    starts = np.concatenate([*(i[:-1] + first for i, _, _, _, first in parts), [place]]).astype(np.uint32)
    weights = [w if per_row == plan.uniform else np.repeat(w, np.diff(i)) for i, _, w, per_row, _ in parts]  # or per synapse
    plan.rows = (starts, _joined([part[1] for part in parts], np.uint32), _joined(weights, np.float64))


def _joined(arrays, dtype):
    return arrays[0] if len(arrays) == 1 else np.concatenate([np.zeros(0, dtype), *arrays])


def _rows_of(s, delay):
    """Return (indptr, targets, weights, per row) of the synapses with that delay; one weight per row where they agree."""
    if s.delays.size > 1:
        chosen = s.delays == delay
        counts = np.concatenate(([0], np.cumsum(chosen)))
        weights = s.weights[chosen] if s.weights.size > 1 else s.weights
        s = SparseMs(counts[s.indptr], s.targets[chosen], weights)
    return (s.indptr, s.targets, s.weights, False) if s.row_weights is None else (s.indptr, s.targets, s.row_weights, True)
