"""From rasters and drives to the rows that engines read."""

import numpy as np

from eventsnn.compile import specialise
from eventsnn.encoders.base import Drive
from eventsnn.engines.grid import scheduled_steps
from eventsnn.engines.spikes import SLACK, order_by_id
from eventsnn.errors import NetworkError, did_you_mean
from eventsnn.raster import SpikeRaster
from eventsnn.settings import check_number


def check_inputs(network, inputs):
    """Return the number of samples; raise NetworkError where an input does not fit."""
    names = {i.name: i for i in network.inputs}
    for name in inputs:
        if name not in names:
            raise NetworkError(f"inputs: the network has no input {name!r}, allowed {', '.join(names) or 'none'}"
                               f"{did_you_mean(name, names)}")
    counts = {}
    for name, node in names.items():
        if name not in inputs:
            raise NetworkError(f"inputs: nothing given for input {name!r}; give a SpikeRaster or a Drive")
        given = inputs[name]
        if isinstance(given, Drive):
            size, counts[name] = given.values.shape[1], given.values.shape[0]
            if network.clock == "continuous":
                raise NetworkError(f"input {name}: a drive needs the grid clock; encode the values as spikes (ttfs)")
        elif isinstance(given, SpikeRaster):
            size, counts[name] = given.size, given.n_samples
            _check_clock(network, name, given)
        else:
            raise NetworkError(f"input {name}: must be a SpikeRaster or a Drive, got {type(given).__name__}")
        if size != node.size:
            raise NetworkError(f"input {name}: has {node.size} channels, the given one has {size}")
    if len(set(counts.values())) > 1:
        raise NetworkError(f"inputs: all must have the same number of samples, got {counts}")
    return next(iter(counts.values()), 1)


def _check_clock(network, name, raster):
    if raster.clock != network.clock:
        raise NetworkError(f"input {name}: the raster is on the {raster.clock} clock, the network on the {network.clock} clock")
    if network.clock == "grid" and raster.dt_ms != network.dt_ms:
        raise NetworkError(f"input {name}: steps of {raster.dt_ms} ms, the network has steps of {network.dt_ms} ms")
    if network.clock == "continuous" and len(raster):
        for projection in network.projections:
            if projection.source == name:
                opens = network.nodes[projection.target].parameters["t_open"]
                if raster.times.max() > opens:
                    raise NetworkError(f"input {name}: a spike at {raster.times.max()} ms, but the window of "
                                       f"{projection.target} opens at {opens} ms, after which nothing arrives any more")


def grid_rows(plan, inputs, duration):
    """Return (steps, feed): feed(sample) gives each input's (step offsets, ids, amplitudes) or (values, scheduled)."""
    rasters = [r for r in inputs.values() if isinstance(r, SpikeRaster)]
    if duration is None:
        if not rasters:
            raise NetworkError("duration: say how many steps to run (no input raster tells it)")
        duration = max(r.duration for r in rasters)
    check_number(duration, f"[1, {2**31 - 1}]", "duration, in steps,", error=NetworkError)
    if int(duration) != duration:
        raise NetworkError(f"duration: must be a whole number of steps >= 1, got {duration}")
    steps = int(duration)
    schedules = {n: scheduled_steps(d.schedule, steps) for n, d in inputs.items() if isinstance(d, Drive)}

    def feed(sample):
        given = {}
        for name, source in inputs.items():
            if isinstance(source, Drive):
                given[name] = (source.values[sample].ravel(), schedules[name])
                continue
            a, b = source.offsets[sample], source.offsets[sample + 1]
            times = source.times[a:b]
            b = a + int(np.searchsorted(times, steps))  # a run covers [0, t_stop)
            amps = np.ones(b - a) if source.amplitudes is None else source.amplitudes[a:b]
            row_ptr = np.searchsorted(source.times[a:b], np.arange(steps + 1))
            given[name] = (row_ptr, source.ids[a:b], amps)
        return given

    return steps, feed


def gated_rows(plan, inputs, first, last):
    """Return each input's (row offsets, ids, amplitudes, times) for a span of samples, sorted by (row, id), with slack.

    A raster without amplitudes carries what the model that hears it takes: the time that is left until the raster ends,
    x = duration - t, or 1.
    """
    given = {}
    for name, raster in inputs.items():
        a, b = int(raster.offsets[first]), int(raster.offsets[last])
        ids, times = raster.ids[a:b], raster.times[a:b]
        if raster.amplitudes is None:
            amps = raster.duration - times if _carries_time(plan.network, name) else np.ones(times.size)
        else:
            amps = raster.amplitudes[a:b]
        row_ptr = np.zeros(last - first + 1, np.int64)
        room, words = b - a + SLACK, -(-raster.size // 64)
        new_ids, new_times, new_amps = np.zeros(room, np.int32), np.empty(room), np.zeros(room)
        if b > a:
            specialise(order_by_id)(raster.offsets - a, first, last, ids, times, amps, row_ptr, new_ids, new_times,
                                    new_amps, np.empty(raster.size, np.int64), np.zeros(words, np.uint64),
                                    np.empty(raster.size + 8, np.int32))
        given[name] = (row_ptr, new_ids, new_amps, new_times)
    return given


def _carries_time(network, name):
    """Tell whether a spike of an input without amplitude is its time to the populations that hear it, pools between or not."""
    heard = {name}
    for _ in network.relays:  # declared in any order
        heard |= {r.name for r in network.relays if r.source in heard}
    models = {network.nodes[p.target].model for p in network.projections if p.source in heard}
    if len({model.carries_time for model in models}) > 1:
        raise NetworkError(f"input {name}: its raster has no amplitudes, which mean the time left to "
                           f"{', '.join(sorted(m.name for m in models if m.carries_time))} and 1 to "
                           f"{', '.join(sorted(m.name for m in models if not m.carries_time))}; give it amplitudes")
    return any(model.carries_time for model in models)
