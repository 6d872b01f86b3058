"""Closed form of gated networks: one matrix product a layer, by BLAS; equal to the event engine to rounding.

A gated ramp is silent or carries x = max(0, D + V / B), so a layer is a product of the amplitudes with the weights. BLAS
adds in an order of its own and fuses multiply and add: spike times agree to rounding, and a neuron within rounding of
its threshold may differ in being silent.
"""

import numpy as np

from eventsnn.engines.collect import COUNTERS, gated_duration, winners
from eventsnn.engines.feed import gated_rows
from eventsnn.engines.points import Points
from eventsnn.errors import NetworkError, RunError
from eventsnn.network import Population, Relay
from eventsnn.projections import Conv2d, Dense
from eventsnn.raster import SpikeRaster

CHUNK = 256  # samples per matrix product
CLOSED = ("ramp", "ramp_readout")


def has_closed_form(network):
    """Return whether `run_analytic` can run a network."""
    return all(p.model.name in CLOSED for p in network.populations) and all(r.kind.kind == "earliest" for r in network.relays)


def run_analytic(job, result):
    """Fill in the RunResult of a gated network, in closed form.

    Raises
    ------
    NetworkError
        If a population is not a ramp, or the readout is not of a membrane.
    RunError
        If early spikes are refused and there are some.
    """
    network = job.plan.network
    for population in network.populations:
        if population.model.name not in CLOSED:
            raise NetworkError(f"population {population.name}: model '{population.model.name}' has no closed form here; "
                               "use engine event")
    for relay in network.relays:
        if relay.kind.kind != "earliest":
            raise NetworkError(f"relay {relay.name}: its spikes have no closed form here; use engine event")
    parts = []
    for first in range(0, job.samples, CHUNK):
        last = min(first + CHUNK, job.samples)
        parts.append(_layers(job, first, last))
        job.advance(last - first)
    return _collect(job, parts, result)


def _layers(job, first, last):
    """Return {name: (amplitude, delay or time, potential)} of one chunk, each (samples, n)."""
    plan, count = job.plan, last - first
    given, values = gated_rows(plan, job.inputs, first, last), {}
    for name in plan.order:
        node = plan.nodes[name].node
        if isinstance(node, Relay):
            values[name] = _pool(node.kind, *values[node.source][:2], plan.nodes[node.source].shape)
        elif isinstance(node, Population):
            values[name] = _population(plan, node, values, count)
        else:
            row_ptr, *columns = given[name]
            ids, amps, times = (c[:row_ptr[-1]] for c in columns)
            rows = np.repeat(np.arange(count), np.diff(row_ptr))
            x, t = np.zeros((count, node.size), plan.nodes[name].dtype), np.zeros((count, node.size))
            np.add.at(x, (rows, ids), amps.astype(x.dtype))
            t[rows, ids] = times
            values[name] = (x, t, None)
    return values


def _population(plan, node, values, count):
    dtype, p = np.dtype(node.dtype), node.parameters
    v = np.zeros((count, node.size), dtype)
    for projection in plan.network.projections:
        if projection.target == node.name:
            x = values[projection.source][0].astype(dtype, copy=False)
            v += _product(projection.synapses, x, plan.nodes[projection.source].shape, node.size, dtype)
    if not node.model.fires:
        return np.zeros_like(v), np.zeros(v.shape), v + np.asarray(p["bias"], dtype)
    theta = (p["slope"] * (p["window"] - np.asarray(p["bias"], np.float64))).astype(dtype)
    tau = (theta - v) / dtype.type(p["slope"])
    x = np.maximum(dtype.type(p["window"]) - np.maximum(tau, 0), 0)
    early = int(np.count_nonzero(tau < 0))
    if early and p["early"] == "refuse":
        raise RunError(f"population {node.name}: {early} spikes were due before the window opened at {p['t_open']} ms; "
                       "widen its window, or let them saturate (early: saturate)")
    return x, p["t_open"] + np.maximum(tau, 0).astype(np.float64), v


def _product(synapses, x, shape, size, dtype):
    weights = synapses.weights.astype(dtype)
    if isinstance(synapses, Dense):
        return x @ weights
    if isinstance(synapses, Conv2d):
        return _convolve(synapses, weights, x.reshape(-1, *shape)).reshape(len(x), -1)
    from scipy.sparse import coo_array

    matrix = coo_array((weights, (synapses.sources, synapses.targets)), (x.shape[1], size))
    return x @ matrix.tocsr()


def _convolve(synapses, weights, images):
    kernel = weights.shape[:2]
    rows, columns, _ = synapses.output_shape(images.shape[1:])
    top, left = synapses.pads(*images.shape[1:3])
    reach = [(n - 1) * s + k for n, s, k in zip((rows, columns), synapses.stride, kernel)]
    pads = [(0, 0), (top, max(0, reach[0] - top - images.shape[1])), (left, max(0, reach[1] - left - images.shape[2])), (0, 0)]
    padded = np.pad(images, pads)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    windows = windows[:, ::synapses.stride[0], ::synapses.stride[1]][:, :rows, :columns]
    return np.tensordot(windows, weights, axes=([4, 5, 3], [0, 1, 2]))


def _pool(kind, x, t, shape):
    images, times = x.reshape(-1, *shape), t.reshape(-1, *shape)
    rows, columns, channels = kind.output_shape(shape)
    stack = [(y, c) for y in range(kind.size) for c in range(kind.size)]

    def windows(a):
        return np.stack([a[:, y:y + rows * kind.stride:kind.stride, c:c + columns * kind.stride:kind.stride][:, :rows, :columns]
                         for y, c in stack])

    seen = windows(images)
    signs = np.ones(channels) if kind.signs is None else np.array(kind.signs)
    chosen = np.where(signs > 0, seen.argmax(axis=0), seen.argmin(axis=0))[None]
    amplitude, time = (np.take_along_axis(a, chosen, 0)[0].reshape(len(x), -1) for a in (seen, windows(times)))
    return amplitude, time, None


def _collect(job, parts, result):
    plan, readout = job.plan, job.plan.network.readout
    result.counters = dict.fromkeys(COUNTERS, 0)
    for population in plan.network.populations:
        spikes = sum(int(np.count_nonzero(p[population.name][0])) for p in parts)
        result.per_population[population.name] = {"neurons": population.size, "spikes": spikes,
                                                  "updates": job.samples * population.size}
    result.counters["spikes"] = sum(p["spikes"] for p in result.per_population.values())
    result.counters["neuron_updates"] = sum(p["updates"] for p in result.per_population.values())
    result.counters["synaptic_events"] = plan.dense_events * job.samples
    for name in job.record:
        x, t = (np.concatenate([p[name][k] for p in parts]) for k in (0, 1))
        rows, ids = np.nonzero(x)
        result.rasters[name] = SpikeRaster.from_events(t[rows, ids], ids, x[rows, ids].astype(np.float64), rows,
                                                       size=x.shape[1], duration=gated_duration(plan),
                                                       n_samples=job.samples, shape=plan.nodes[name].shape)
    for name in job.record_state:
        result.states[name] = {"v": np.concatenate([p[name][2] for p in parts])}
    if readout is not None:
        if readout.kind != "membrane":
            raise NetworkError("readout: the closed form reads membranes only; use engine event")
        result.readout = np.concatenate([p[readout.population][2] for p in parts]).astype(np.float64)
        result.prediction = winners(result.readout, readout.kind)
        result.latency = np.full(job.samples, float(plan.nodes[readout.population].node.parameters["t_open"]))
    if job.every is not None:
        result.points = _points(job, parts, result)
    return result


def _points(job, parts, result):
    """The only recording point: the end. Synaptic events are those of spikes, as in the other engines; the product does all."""
    point = Points(np.array([gated_duration(job.plan)]))
    for population in job.plan.network.populations:
        x, v = (np.concatenate([p[population.name][k] for p in parts]).astype(np.float64) for k in (0, 2))
        events = np.zeros(len(x), np.int64)
        for link in job.plan.nodes[population.name].links:
            events += np.concatenate([p[link.source][0] != 0 for p in parts]) @ link.fan_out
        point.spikes[population.name] = np.count_nonzero(x, axis=1)[:, None]
        point.amplitudes[population.name] = x.sum(axis=1)[:, None]
        point.synaptic_events[population.name] = events[:, None]
        point.residual[population.name] = np.abs(v).sum(axis=1)
    if result.readout is not None:
        point.readout, point.prediction = result.readout[:, None], result.prediction[:, None]
    return point
