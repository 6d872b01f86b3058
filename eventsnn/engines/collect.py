"""What workers leave, put together: rasters, readouts, states and counters of all samples."""

from dataclasses import dataclass

import numpy as np

from eventsnn.engines.feed import grid_rows
from eventsnn.engines.points import gated_points, grid_points, join_points, point_steps
from eventsnn.errors import RunError
from eventsnn.network import Population
from eventsnn.raster import SpikeRaster

COUNTERS = ("spikes", "synaptic_events", "neuron_updates", "queue_pushes", "queue_pops", "instants")


@dataclass
class Part:
    """What one call of an engine leaves: spikes per recorded node, readout, states, counters."""

    samples: int
    spikes: dict
    readout: np.ndarray | None
    latency: np.ndarray | None
    states: dict
    traces: dict
    counters: dict
    per_population: dict
    points: dict | None = None
    exit_step: int | None = None


def _check_finite(node, state, where):
    """Raise RunError where the state (..., variables, padded) holds NaN, or its first variable is infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if node.dtype.kind != "f" or np.isfinite(state.sum()):  # one pass, and nearly always the last one
            return
    state = state[..., :node.lanes]
    if not np.isfinite(state[..., 0, :]).all() or np.isnan(state).any():
        raise RunError(f"population {node.name}, {where}: the state is no longer finite; weights or inputs are too large for "
                       f"{node.dtype}")


def grid_part(job, worker, lists, before, steps):
    """Return the Part of one sample on the grid clock."""
    spikes = {}
    for name in job.record:
        node, found = job.plan.nodes[name], lists[name]
        if name in worker.schedules:  # a drive is no spikes: its raster is empty
            spikes[name] = (np.zeros(0, np.int64), np.zeros(0, np.int32), None)
            continue
        times = np.repeat(np.arange(steps), np.diff(found.row_ptr))
        spikes[name] = (times, found.ids[:found.n].copy(), found.amps[:found.n].copy() if node.stores_amplitudes else None)
    for name, state in worker.populations.items():
        _check_finite(job.plan.nodes[name], state.state, f"sample {worker.sample}")
    deltas = {n: s.counters - before[n] for n, s in worker.populations.items()}
    per = {n: {"spikes": lists[n].n, "updates": int(d[2])} for n, d in deltas.items()}
    counters = {**worker.counters, "queue_pushes": sum(int(d[0]) for d in deltas.values()),
                "queue_pops": sum(int(d[1]) for d in deltas.values())}
    states = {n: {v: worker.populations[n].variable(k)[None].copy() for k, (v, _) in enumerate(
        job.plan.nodes[n].variables)} for n in job.record_state}
    readout, latency = None, None
    if job.plan.network.readout is not None:
        readout = worker.read(worker.done)[None]
        first = job.plan.network.readout.kind == "first_spike"
        latency = readout.min(axis=1) if first else np.array([worker.done * job.plan.network.dt_ms])
    points = grid_points(worker) if worker.points.size else None
    return Part(1, spikes, readout, latency, states, _traces(job, worker), counters, per, points,
                None if worker.exit_rule is None else worker.done)


def _traces(job, worker):
    traces = {}
    for name, seen in worker.traces.items():
        node = job.plan.nodes[name]
        shown = node.size if job.traced[name][1] is None else job.traced[name][1].size
        stack = np.array(seen).reshape(len(seen), len(node.variables), shown)
        traces[name] = {variable: stack[None, :, k] for k, (variable, _) in enumerate(node.variables)}
    return traces


def gated_part(job, worker, lists, count):
    """Return the Part of one call of the gated engine."""
    spikes = {}
    for name in job.record:
        found = lists[name]
        n = int(found.row_ptr[count])
        rows = np.repeat(np.arange(count), np.diff(found.row_ptr[:count + 1]))
        order = np.lexsort((found.ids[:n], found.times[:n], rows))
        spikes[name] = (found.times[:n][order], found.ids[:n][order], found.amps[:n][order], rows)
    per = {n: {"spikes": int(lists[n].row_ptr[count]), "updates": u} for n, u in worker.updates.items()}
    where = f"a sample from {worker.sample_ids[0]} to {worker.sample_ids[count - 1]}"
    for name, state in worker.states.items():
        _check_finite(job.plan.nodes[name], state[:count], where)

    def variable(name, k):
        node = job.plan.nodes[name]
        return worker.states[name][:count, :, k, :node.lanes].reshape(count, -1).copy()

    states = {n: {v: variable(n, k) for k, (v, _) in enumerate(job.plan.nodes[n].variables)}
              for n in job.record_state}
    readout = latency = None
    asked = job.plan.network.readout
    if asked is not None and asked.kind == "membrane":
        readout = variable(asked.population, 0).astype(np.float64)
        latency = np.full(count, float(job.plan.nodes[asked.population].node.parameters["t_open"]))
    elif asked is not None:
        readout, latency = _read_gated(job.plan, asked, lists[asked.population], count)
    points = gated_points(job.plan, worker, lists, readout, count) if job.every is not None else None
    return Part(count, spikes, readout, latency, states, {}, dict(worker.counters), per, points)


def _read_gated(plan, asked, found, count):
    size, n = plan.nodes[asked.population].size, int(found.row_ptr[count])
    rows = np.repeat(np.arange(count), np.diff(found.row_ptr[:count + 1]))
    if asked.kind == "count":
        amounts = np.zeros((count, size))
        np.add.at(amounts, (rows, found.ids[:n]), found.amps[:n])
        return amounts, np.full(count, gated_duration(plan))
    first = np.full((count, size), np.inf)
    np.minimum.at(first, (rows, found.ids[:n]), found.times[:n])
    return first, first.min(axis=1)


def gated_duration(plan):
    """Return when the last window of a gated network closes, ms."""
    ends = [p.parameters["t_open"] + p.parameters.get("window", 0.0) for p in plan.network.populations]
    return float(max(ends, default=1.0))


def collect(job, parts, result):
    """Put the parts of all samples into a RunResult."""
    result.counters = dict.fromkeys(COUNTERS, 0)
    for part in parts:
        for name, value in part.counters.items():
            result.counters[name] += int(value)
    for name, node in job.plan.nodes.items():
        if isinstance(node.node, Population):
            mine = {k: sum(p.per_population[name][k] for p in parts) for k in ("spikes", "updates")}
            result.per_population[name] = {"neurons": node.size, **mine}
    updates = sum(p["updates"] for p in result.per_population.values())
    result.counters["spikes"] = sum(p["spikes"] for p in result.per_population.values())
    result.counters["neuron_updates"] = updates
    for name in job.record:
        result.rasters[name] = _raster(job, name, parts)
    asked = job.plan.network.readout
    if asked is not None:
        result.readout = np.concatenate([np.zeros((0, job.plan.nodes[asked.population].size)), *(p.readout for p in parts)])
        result.latency = np.concatenate([np.zeros(0), *(p.latency for p in parts)])
        result.prediction = winners(result.readout, asked.kind)
    for name in job.record_state:
        node = job.plan.nodes[name]
        none = np.zeros((0, node.size), node.dtype)
        result.states[name] = {v: np.concatenate([none, *(p.states[name][v] for p in parts)]) for v, _ in node.variables}
    for name in job.traced if parts else ():
        result.traces[name] = {v: np.concatenate([p.traces[name][v] for p in parts]) for v in parts[0].traces[name]}
    if job.every is not None:
        result.points = _points(job, parts)
    if parts and parts[0].exit_step is not None:
        result.exit_steps = np.array([p.exit_step for p in parts], np.int64)
    return result


def _points(job, parts):
    network = job.plan.network
    grid = network.clock == "grid"
    steps = grid_rows(job.plan, job.inputs, job.duration)[0] if grid else None
    times = point_steps(steps, job.every) if grid else np.array([gated_duration(job.plan)])
    kind = network.readout.kind if network.readout is not None else ""
    return join_points([p.points for p in parts], times, lambda readout: winners(readout, kind), grid)


def winners(readout, kind):
    """Return the winner of each sample; the lowest id among equals."""
    return (readout.argmin(axis=1) if kind == "first_spike" else readout.argmax(axis=1)).astype(np.int64)


def _raster(job, name, parts):
    node, grid = job.plan.nodes[name], job.plan.network.clock == "grid"
    pieces = [p.spikes[name] for p in parts]
    counts = []
    for part, piece in zip(parts, pieces):
        counts.append([piece[0].size] if grid else np.bincount(piece[3], minlength=part.samples))
    offsets = np.concatenate([[0], *counts]).cumsum().astype(np.int64)
    times = np.concatenate([p[0] for p in pieces]) if pieces else np.zeros(0)
    ids = np.concatenate([p[1] for p in pieces]) if pieces else np.zeros(0, np.int32)
    amps = None
    if pieces and all(p[2] is not None for p in pieces):
        amps = np.concatenate([p[2] for p in pieces]).astype(np.float64)
    if grid:
        duration = grid_rows(job.plan, job.inputs, job.duration)[0]
        return SpikeRaster(times, ids, amps, size=node.size, duration=duration, dt_ms=job.plan.network.dt_ms,
                           offsets=offsets, shape=node.shape)
    return SpikeRaster(times, ids, amps, size=node.size, duration=gated_duration(job.plan), offsets=offsets, shape=node.shape)
