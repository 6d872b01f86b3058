"""The options of `run`, checked before anything is laid out."""

import numpy as np

from eventsnn.errors import NetworkError, did_you_mean
from eventsnn.network import Network, Population

ENGINES = ("event", "stepped", "analytic", "auto")
SCHEDULES = ("streamed", "interleaved")


def check_choices(network, engine, schedule, threads, record, record_state, slab):
    """Raise NetworkError for an unknown engine, schedule or node, or a number out of range."""
    if not isinstance(network, Network):
        raise NetworkError(f"run needs a Network, got {type(network).__name__}")
    for name, value, allowed in (("engine", engine, ENGINES), ("schedule", schedule, SCHEDULES)):
        if value not in allowed:
            raise NetworkError(f"{name}: must be one of {', '.join(allowed)}, got {value!r}{did_you_mean(value, allowed)}")
    for name, value in (("threads", threads), ("slab", slab)):
        if value is not None and (not isinstance(value, int | np.integer) or value < 1):
            raise NetworkError(f"{name}: must be a whole number >= 1, got {value!r}")
    for name in (*(record or ()), *record_state):
        if name not in network.nodes:
            raise NetworkError(f"record: unknown node {name!r}, allowed {', '.join(network.nodes)}"
                               f"{did_you_mean(name, network.nodes)}")
    for name in record_state:
        if not isinstance(network.nodes[name], Population):
            raise NetworkError(f"record_state: {name!r} has no state")
    if engine == "analytic" and network.clock == "grid":
        raise NetworkError("engine: 'analytic' needs gated populations (a closed form); use event or stepped on the grid clock")


def check_traces(network, trace_state):
    """Return {population: (period in steps, ids or None)} of what `trace_state` asks for."""
    found = {}
    for name, asked in (trace_state or {}).items():
        period, ids = asked if isinstance(asked, tuple) else (asked, None)
        if network.clock != "grid":
            raise NetworkError("trace_state: needs the grid clock (a gated population's state is its potential: record_state)")
        if not _whole(period):
            raise NetworkError(f"trace_state.{name}: must be a whole number of steps >= 1, got {period!r}")
        size = network.nodes[name].size
        ids = None if ids is None else np.asarray(ids)
        if ids is not None and not (ids.ndim == 1 and ids.dtype.kind in "iu" and ((ids >= 0) & (ids < size)).all()):
            raise NetworkError(f"trace_state.{name}: neurons must be whole numbers from 0 to {size - 1}, got {asked[1]!r}")
        found[name] = (int(period), ids)
    return found


def _whole(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1


def check_points(network, every, exit_rule, traced):
    """Raise NetworkError where recording points or an early exit do not fit the network."""
    if every is not None and not _whole(every):
        raise NetworkError(f"record_every: must be a whole number of steps >= 1, got {every!r}")
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
    ids = np.asarray(ids)
    if ids.shape != (samples,) or ids.dtype.kind not in "iu" or (samples and not (ids.min() >= 0 and ids.max() < 2**32)):
        raise NetworkError(f"sample_ids: must be {samples} whole numbers in [0, 2**32), one per sample, got {ids.dtype} "
                           f"{ids.shape}")
    return ids
