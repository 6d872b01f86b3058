"""The options of `run`, checked before anything is laid out."""

import numpy as np

from eventsnn.errors import NetworkError, did_you_mean
from eventsnn.network import Network, Population
from eventsnn.settings import as_numbers, check_choice, check_number

ENGINES = ("event", "stepped", "analytic", "auto")
SCHEDULES = ("streamed", "interleaved")


def check_choices(network, inputs, engine, schedule, threads, slab, seed, called):
    """Raise NetworkError for an unknown engine or schedule, or a number out of range."""
    if not isinstance(network, Network):
        raise NetworkError(f"run needs a Network, or what prepare made of one, got {type(network).__name__}")
    if not isinstance(inputs, dict):
        raise NetworkError(f"inputs: must be a dict, name of each input -> SpikeRaster, got {type(inputs).__name__}")
    check_choice(engine, ENGINES, "engine:", NetworkError)
    check_choice(schedule, SCHEDULES, "schedule:", NetworkError)
    check_number(threads, "[1, inf)", "threads:", int, NetworkError)
    check_number(slab, "[1, inf)", "slab:", int | None, NetworkError)
    check_number(seed, "(-inf, inf)", "seed:", int, NetworkError)
    for name, value in called.items():
        if value is not None and not callable(value):
            raise NetworkError(f"{name}: must be a function, got {value!r}")
    if engine == "analytic" and network.clock == "grid":
        raise NetworkError("engine: 'analytic' needs gated populations (a closed form); use event or stepped on the grid clock")


def check_names(network, names, what, state=False):
    """Return names of nodes as a tuple; raise NetworkError for an unknown one, or with `state` for one without."""
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise NetworkError(f"{what}: must be a list of names of nodes, got {names!r}")
    names = tuple(names)
    for name in names:
        if not isinstance(name, str) or name not in network.nodes:
            raise NetworkError(f"{what}: unknown node {name!r}, allowed {', '.join(network.nodes)}"
                               f"{did_you_mean(name, network.nodes)}")
        if state and not isinstance(network.nodes[name], Population):
            raise NetworkError(f"{what}: {name!r} has no state")
    if state and names and network.clock == "continuous" and not network.gated:
        raise NetworkError(f"{what}: needs the grid clock or gated populations; where spikes come at any time, a readout of "
                           "kind membrane gives the potentials at the end")
    return names


def check_traces(network, trace_state):
    """Return {population: (period in steps, ids or None)} of what `trace_state` asks for."""
    found = {}
    if not isinstance(trace_state or {}, dict):
        raise NetworkError(f"trace_state: must be a dict, population -> period or (period, neurons), got {trace_state!r}")
    for name in check_names(network, trace_state or {}, "trace_state", state=True):
        asked, size = trace_state[name], network.nodes[name].size
        period, ids = asked if isinstance(asked, tuple) and len(asked) == 2 else (asked, None)
        if network.clock != "grid":
            raise NetworkError("trace_state: needs the grid clock (of a T2FSNN: clock='grid'); where gated populations integrate "
                               "at once, record_state gives their potentials")
        check_number(period, "[1, inf)", f"trace_state.{name}: period in steps", int, NetworkError)
        ids = None if ids is None else as_numbers(ids, f"trace_state.{name}: neurons", "iu", NetworkError)
        if ids is not None and not (ids.ndim == 1 and ids.dtype.kind in "iu" and ((ids >= 0) & (ids < size)).all()):
            raise NetworkError(f"trace_state.{name}: neurons must be whole numbers from 0 to {size - 1}, got {asked[1]!r}")
        found[name] = (int(period), ids)
    return found


def check_points(network, every, exit_rule, traced):
    """Raise NetworkError where recording points or an early exit do not fit the network."""
    check_number(every, "[1, inf)", "record_every: steps", int | None, NetworkError)
    if every is not None and network.clock == "continuous" and not network.gated:
        raise NetworkError("record_every: needs the grid clock or gated populations; where spikes come at any time, use the "
                           "rasters")
    if exit_rule is None:
        return
    if network.clock != "grid" or network.readout is None or every is None:
        raise NetworkError("exit_rule: needs the grid clock, a readout, and recording points (record_every) to leave at")
    if any(relay.kind.kind == "jitter" for relay in network.relays):
        raise NetworkError("exit_rule: a network with jitter runs layer after layer over the whole sample; it cannot end early")
    if traced:
        raise NetworkError("exit_rule: samples of different length have no common trace_state; use one of the two")


def check_sample_ids(ids, samples):
    """Return the number of each sample as an array; None: 0, 1, ..."""
    if ids is None:
        return np.arange(samples)
    ids = as_numbers(ids, "sample_ids:", "iu", NetworkError)
    if ids.shape != (samples,) or ids.dtype.kind not in "iu" or (samples and not (ids.min() >= 0 and ids.max() < 2**32)):
        raise NetworkError(f"sample_ids: must be {samples} whole numbers in [0, 2**32), one per sample, got {ids.dtype} "
                           f"{ids.shape}")
    return ids
