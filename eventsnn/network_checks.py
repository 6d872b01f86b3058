"""The order of a network's nodes, and every way in which its parts may not fit together."""

import numpy as np

from eventsnn.encoders.base import check_schedule
from eventsnn.errors import NetworkError, did_you_mean
from eventsnn.settings import as_numbers, check_choice, check_number

MOST_DELAY = 2**31 - 1  # steps


def check_network(network):
    """Raise NetworkError for the first part that does not fit."""
    from eventsnn.network import Population

    seen = set()
    for node in (*network.inputs, *network.populations, *network.relays):
        if node.name in seen:
            raise NetworkError(f"two nodes are called {node.name!r}: names must differ")
        seen.add(node.name)
    if network.dt_ms is not None:
        check_number(network.dt_ms, "(0, inf)", "dt_ms", error=NetworkError)
    _check_clock(network)
    for relay in network.relays:
        _known(network, relay.source, f"relay {relay.name}.source")
        if not hasattr(relay.kind, "output_shape"):
            raise NetworkError(f"relay {relay.name}: kind must be a pool or noise of eventsnn.relays, got {relay.kind!r}")
    for projection in network.projections:
        _check_ends(network, projection)
    depths(network)  # refuses cycles without delay, relays in a ring among them
    _check_jitter(network)
    for relay in network.relays:
        _refuse(f"relay {relay.name}", relay.kind.check(network.shape_of(relay.source)))
    for projection in network.projections:
        _check_projection(network, projection)
    for drive in network.drives:
        if not isinstance(_known(network, drive.target, "drive.target"), Population):
            raise NetworkError(f"drive to {drive.target}: only populations can be driven")
        _check_drive(network.nodes[drive.target], drive, f"drive to {drive.target}")
    if network.readout is not None:
        _check_readout(network, network.readout)


def _check_readout(network, readout):
    from eventsnn.network import READOUTS, Population, Readout

    if not isinstance(readout, Readout):
        raise NetworkError(f"readout: must be a Readout(population, kind), got {readout!r}")
    node = _known(network, readout.population, "readout.population")
    check_choice(readout.kind, READOUTS, "readout.kind:", NetworkError)
    if readout.kind == "vote" and network.clock != "grid":
        raise NetworkError("readout.kind: 'vote' counts steps and needs the grid clock; use count or first_spike")
    if readout.kind == "membrane" and not isinstance(node, Population):
        raise NetworkError(f"readout.population: {readout.population!r} has no membrane")
    if readout.kind != "membrane" and isinstance(node, Population) and not node.model.fires:
        raise NetworkError(f"readout.kind: {readout.kind!r} reads spikes, and population {readout.population!r} (model "
                           f"'{node.model.name}') never spikes; use membrane, or another population")


def _refuse(where, problem):
    if problem:
        raise NetworkError(f"{where}: {problem}")


def _known(network, name, where):
    if not isinstance(name, str) or name not in network.nodes:
        raise NetworkError(f"{where}: unknown node {name!r}, allowed {', '.join(network.nodes) or 'none'}"
                           f"{did_you_mean(name, network.nodes)}")
    return network.nodes[name]


def _check_clock(network):
    models = {p.model.clock for p in network.populations}
    for population in network.populations:
        if (population.model.clock == "grid") != (network.clock == "grid"):
            raise NetworkError(f"population {population.name}: model '{population.model.name}' runs on the "
                               f"{'grid' if population.model.clock == 'grid' else 'continuous'} clock, this network on the "
                               f"{network.clock} clock; {'give' if network.clock == 'continuous' else 'set no'} dt_ms")
    if len(models) > 1:
        raise NetworkError("a network on the continuous clock has either gated populations or none, got "
                           f"{', '.join(f'{p.name}: {p.model.clock}' for p in network.populations)}")
    if network.clock == "continuous":
        if network.drives:
            raise NetworkError("drives need the grid clock: on the continuous clock use the model's bias")
        for relay in network.relays:
            if not network.gated:
                raise NetworkError(f"relay {relay.name}: relays need the grid clock or gated populations")
            if relay.kind.kind in ("mask", "flip"):
                raise NetworkError(f"relay {relay.name}: {type(relay.kind).__name__} needs the grid clock")
            if relay.kind.kind in ("gated_max", "step_max"):
                raise NetworkError(f"relay {relay.name}: {type(relay.kind).__name__} needs the grid clock; the earliest "
                                   "spike is the largest value here: use EarliestPool")
            if relay.kind.kind in ("deletion", "jitter") and relay.kind.dt_ms is None:
                raise NetworkError(f"relay {relay.name}: on the continuous clock noise needs dt_ms, the length of a step")


def _check_drive(population, drive, where):
    check_choice(drive.port, population.model.ports, f"{where}: port of model '{population.model.name}'", NetworkError)
    values = as_numbers(drive.values, f"{where}: values", error=NetworkError)
    if not np.isfinite(values).all():
        raise NetworkError(f"{where}: values must be finite")
    if values.size not in (1, population.size) and values.shape != (population.shape[-1],):
        raise NetworkError(f"{where}: values must be one number, one per channel ({population.shape[-1]}) or one per neuron "
                           f"({population.size}), got {values.shape}")
    check_schedule(drive.schedule, where, NetworkError)


def _check_ends(network, projection):
    from eventsnn.network import Population

    _known(network, projection.source, f"{projection.label}: source")
    target = _known(network, projection.target, f"{projection.label}: target")
    if not isinstance(target, Population):
        raise NetworkError(f"{projection.label}: only populations can be the target of a projection")
    check_choice(projection.port, target.model.ports, f"{projection.label}: port of model '{target.model.name}'", NetworkError)
    if not hasattr(projection.synapses, "fan_out"):
        raise NetworkError(f"{projection.label}: synapses must be Dense, Conv2d, Sparse or SparseMs, got "
                           f"{type(projection.synapses).__name__}")
    interval, unit = (f"[0, {MOST_DELAY}]", "steps") if network.clock == "grid" else ("[0, inf)", "ms")
    check_number(projection.delay, interval, f"{projection.label}: delay in {unit}", error=NetworkError)


def _check_projection(network, projection):
    source, target = network.nodes[projection.source], network.nodes[projection.target]
    _refuse(projection.label, projection.synapses.check(network.shape_of(projection.source), target.shape))
    weights = projection.synapses.weights
    if not np.isfinite(weights).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(weights))[0])
        raise NetworkError(f"{projection.label}: weight {at} is {weights[at]}; weights must be finite")
    if target.dtype.startswith("int"):
        _refuse(projection.label, _not_integer(weights, target.dtype))
    elif max(weights.max(initial=0), -weights.min(initial=0)) > np.finfo(target.dtype).max:
        raise NetworkError(f"{projection.label}: a weight of {np.abs(weights).max()} does not fit {target.dtype}")
    _check_delay(network, projection)
    if network.gated:
        if projection.delay or projection.synapses.delays is not None:
            raise NetworkError(f"{projection.label}: gated populations take no delays (all spikes are due when the window opens)")
        _check_windows(source, target, projection.label)


def _check_delay(network, projection):
    delay, listed = projection.delay, type(projection.synapses).__name__
    if network.clock == "grid":
        if delay != int(delay):
            raise NetworkError(f"{projection.label}: delay must be a whole number of steps >= 0, got {delay!r}")
        if listed == "SparseMs":
            raise NetworkError(f"{projection.label}: SparseMs has delays in ms and needs the continuous clock; use Sparse")
    elif not network.gated and listed == "Sparse" and projection.synapses.delays is not None:
        raise NetworkError(f"{projection.label}: delays in whole steps need the grid clock; use SparseMs with delays_ms")


def _not_integer(weights, dtype):
    if (weights != np.round(weights)).any():
        return f"weights must be whole numbers for a population of dtype {dtype}"
    if np.abs(weights).max(initial=0) > np.iinfo(dtype).max:
        return f"a weight of {np.abs(weights).max()} does not fit {dtype}"
    return None


def _check_windows(source, target, label):
    parameters = getattr(source, "parameters", None)
    if not isinstance(parameters, dict):
        return
    closes = parameters["t_open"] + parameters.get("window", 0.0)
    if closes > target.parameters["t_open"]:
        raise NetworkError(f"{label}: the source may fire until {closes} ms, but the target's window opens at "
                           f"{target.parameters['t_open']} ms; it must not open before {closes} ms")


def _check_jitter(network):
    for relay in network.relays:
        if relay.kind.kind == "jitter" and any(relay.name in group and len(group) > 1 for group in components(network)):
            raise NetworkError(f"relay {relay.name}: a jitter may send spikes to earlier steps, which cannot be in a recurrent "
                               "part of a network")


def edges(network):
    """Return (source, target, smallest delay, largest delay) of all projections and relays."""
    found = [(r.source, r.name, 0, 0) for r in network.relays]
    for projection in network.projections:
        low = high = projection.delay
        if projection.synapses.delays is not None and projection.synapses.delays.size:
            low, high = low + projection.synapses.delays.min(), high + projection.synapses.delays.max()
        found.append((projection.source, projection.target, low, high))
    return found


def depths(network):
    """Return node names in topological order of the connections without delay (ties: declared order).

    Raises
    ------
    NetworkError
        If connections without delay form a cycle; it is named.
    """
    names = list(network.nodes)
    waits = {name: set() for name in names}
    for source, target, delay, _ in edges(network):
        if delay == 0 and source in waits and target in waits:
            waits[target].add(source)
    order, placed = [], set()
    while len(order) < len(names):
        ready = [n for n in names if n not in placed and waits[n] <= placed]
        if not ready:
            raise NetworkError("connections without delay form a cycle: "
                               f"{' -> '.join(_cycle(waits, placed))}; give one of them a delay (a step at least, or some "
                               "ms on the continuous clock)")
        order += ready
        placed.update(ready)
    return order


def _cycle(waits, placed):
    node = next(n for n in waits if n not in placed)
    path = []
    while node not in path:
        path.append(node)
        node = next(iter(waits[node] - placed))
    return [*path[path.index(node):], node][::-1]


def components(network):
    """Return the strongly connected components as lists of names, sources first.

    Within a component the names are in the order of `depths`.
    """
    order = depths(network)
    position = {name: k for k, name in enumerate(order)}
    reach = {name: {name} for name in order}
    after = {name: {t for s, t, *_ in edges(network) if s == name} for name in order}
    changed = True
    while changed:  # transitive closure: networks have few populations
        changed = False
        for name in order:
            wider = set().union(reach[name], *(reach[t] for t in after[name]))
            changed, reach[name] = changed or wider != reach[name], wider
    groups, done = [], set()
    for name in order:
        if name not in done:
            group = [other for other in order if other in reach[name] and name in reach[other]]
            groups.append(group)
            done.update(group)
    # a component comes after all components that reach it
    return sorted(groups, key=lambda g: (sum(any(g[0] in reach[n] for n in other) for other in groups), position[g[0]]))
