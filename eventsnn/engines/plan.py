"""A network as arrays and kernels, ready to run: what all engines share."""

from dataclasses import dataclass, field

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines import evaluate as loops
from eventsnn.engines.links import make_links
from eventsnn.errors import NetworkError
from eventsnn.network import Input, Population, Relay
from eventsnn.network_checks import components, depths
from eventsnn.projections import Conv2d, Sparse
from eventsnn.projections.rowsum import LANE


@dataclass(eq=False)
class NodePlan:
    """A node laid out in units of `lanes` neurons, padded to `padded` array elements."""

    name: str
    node: object
    shape: tuple
    dtype: np.dtype
    lanes: int
    units: int
    padded: int
    wants_units: bool
    unit_amplitude: bool
    ports: int = 1
    links: list = field(default_factory=list)
    kernels: dict = field(default_factory=dict)
    maps: np.ndarray | None = None
    p: object = None
    initial: np.ndarray | None = None
    drives: list = field(default_factory=list)

    @property
    def size(self):
        """Number of neurons."""
        return self.lanes * self.units

    @property
    def variables(self):
        """State variables of a population: pairs of name and initial value."""
        return self.node.model.variables_of(self.node.parameters)

    @property
    def stores_amplitudes(self):
        """Whether its spike list keeps amplitudes (a pool's kernel always writes them)."""
        return not self.unit_amplitude or isinstance(self.node, Relay)


@dataclass(eq=False)
class Plan:
    """All nodes in topological order, grouped in components."""

    network: object
    nodes: dict
    order: list
    components: list

    @property
    def dense_events(self):
        """Synaptic events of one instant in which every source spikes: the multiply-adds of the dense network."""
        return sum(int(link.fan_out.sum()) for node in self.nodes.values() for link in node.links)


def make_plan(network):
    """Lay out a network.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Plan
    """
    nodes = {name: _layout(network, name) for name in depths(network)}
    for node in nodes.values():
        if isinstance(node.node, Population):
            _prepare_population(node)
        if isinstance(node.node, Relay):
            source, kind = nodes[node.node.source], node.node.kind.kind
            same = kind not in ("average", "jitter", "mask") and getattr(node.node.kind, "amplitude", 1.0) == 1
            node.unit_amplitude = source.unit_amplitude and same
            if kind == "earliest":  # hands amplitudes on as they are
                node.dtype = source.dtype
    for projection in network.projections:
        node = nodes[projection.target]
        node.links += make_links(projection, nodes[projection.source], node)
    for drive in network.drives:
        node = nodes[drive.target]
        node.drives.append((node.node.model.ports.index(drive.port), _per_lane(node, drive.values, "drive"), drive.schedule))
    return Plan(network, nodes, list(nodes), components(network))


def _layout(network, name):
    node, shape = network.nodes[name], network.shape_of(name)
    arriving = [p.synapses for p in network.projections if p.target == name]
    leaving = [p.synapses for p in network.projections if p.source == name]
    pooled = isinstance(node, Relay) or any(r.source == name for r in network.relays)
    imaged = len(shape) == 3 and (pooled or any(isinstance(s, Conv2d) for s in (*arriving, *leaving)))
    listed = bool(arriving) and all(isinstance(s, Sparse) for s in arriving) and not imaged
    size = int(np.prod(shape))
    lanes = shape[2] if imaged else (1 if listed else size)
    padded = 1 if listed else -(-lanes // LANE) * LANE
    unit_amplitude = isinstance(node, Population) and node.model.sends_ones(node.parameters)
    dtype = np.dtype(getattr(node, "dtype", "float64"))  # amplitudes outside of populations are float64
    return NodePlan(name, node, shape, dtype, lanes, size // lanes, padded, imaged, unit_amplitude)


def _per_lane(node, values, what):
    """Return values as (units or 1, padded) in the population's dtype."""
    values = np.asarray(values, dtype=np.float64)
    if values.size == 1:
        values = np.full(node.lanes, values.item()).reshape(1, -1)
    elif values.size == node.size:
        values = values.reshape(node.units, node.lanes)
    elif values.shape == (node.shape[-1],):
        values = np.tile(values, node.size // values.size).reshape(node.units, node.lanes)
    else:
        raise NetworkError(f"{node.name}: {what} must be one number, one per channel or one per neuron, got {values.shape}")
    if values.shape[0] > 1 and (values == values[0]).all():
        values = values[:1]
    padded = np.zeros((values.shape[0], node.padded), node.dtype)
    padded[:, :node.lanes] = _cast(node, values, what)
    return padded


def _cast(node, values, what):
    values = np.asarray(values)
    if node.dtype.kind == "i":
        limits = np.iinfo(node.dtype)
        finite = np.clip(values, limits.min, limits.max)
        if (finite != np.round(finite)).any():
            raise NetworkError(f"{node.name}: {what} must be whole numbers for dtype {node.dtype}, got {values.ravel()[0]}")
        return finite.astype(node.dtype)
    with np.errstate(over="ignore"):  # entries of tables beyond the range become its limits
        return values.astype(node.dtype)


def _check_range(node):
    limits = np.iinfo(node.dtype) if node.dtype.kind == "i" else np.finfo(node.dtype)
    for parameter in node.node.model.parameters:
        values = np.asarray(node.node.parameters[parameter.name])
        beyond = values[np.isfinite(values) & ((values < limits.min) | (values > limits.max))]
        if beyond.size and not parameter.table:
            raise NetworkError(f"population {node.name}.{parameter.name}: {beyond[0]} does not fit {node.dtype}, allowed "
                               f"{limits.min} to {limits.max}; choose a wider dtype")


def _prepare_population(node):
    model = node.node.model
    _check_range(node)
    values, constants = model.derive(dict(node.node.parameters))
    names = model.map_names(values)
    rows = [_per_lane(node, values[name], name) for name in names]
    units = max([1, *(r.shape[0] for r in rows)])
    node.maps = np.zeros((units, max(1, len(rows)), node.padded), node.dtype)
    for k, row in enumerate(rows):
        node.maps[:, k] = row
    scalars = {n: v for n, v in values.items() if n not in names and isinstance(v, int | float) and not isinstance(v, bool)}
    scalars |= {n: values[n] for n in model.arrays}
    record = np.zeros(1, [(n, node.dtype, np.shape(v)) for n, v in scalars.items()] or [("none", node.dtype)])
    for name, value in scalars.items():
        record[name] = _cast(node, value, name)
    node.p = record.view(np.recarray)[0]
    node.ports = len(model.ports)
    variables = node.variables
    node.initial = np.zeros((len(variables), node.padded), node.dtype)
    for k, (variable, default) in enumerate(variables):
        node.initial[k, :node.lanes] = _cast(node, values.get(f"{variable}_init", default), variable)
    shared = {"FIRES": model.fires, **constants}
    if model.clock == "gated":
        guard = loops.guard if model.guard is None else model.guard
        node.kernels["open_gate"] = specialise(loops.open_gate, fire=model.fire, guard=guard, **shared)
        return
    hooks = {"step": model.step, "IDLE": model.IDLE, **shared}
    node.kernels["evaluate"] = specialise(loops.evaluate, wake=model.wake, UNIT_AMPLITUDE=node.unit_amplitude, **hooks)
    if not hooks["IDLE"]:  # else silent steps change nothing, none is ever owed
        node.kernels["settle"] = specialise(loops.settle, **hooks)


def is_input(node):
    """Tell whether a planned node is an input of the network."""
    return isinstance(node.node, Input)
