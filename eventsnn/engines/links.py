"""Projections made ready to deliver: weights in the layout of their kernel, one link per delay."""

from dataclasses import dataclass

import numpy as np

from eventsnn.compile import specialise
from eventsnn.projections import Conv2d, Dense, rowsum
from eventsnn.projections.conv2d import deliver_conv2d
from eventsnn.projections.dense import deliver_dense
from eventsnn.projections.frames import lay_out
from eventsnn.projections.rowsum import aligned_zeros, narrowed
from eventsnn.projections.sparse import deliver_sparse

LARGE = 2**20  # bytes: weights beyond a typical L2 cache are worth keeping in fewer bits; others are faster as they are


@dataclass(eq=False)
class Link:
    """One projection with one delay, ready to deliver."""

    source: str
    delay: int
    label: str
    deliver: object  # (spikes of the source, their amplitudes, source rows, cells, marks) -> synaptic events
    weight_bytes: int
    fan_out: np.ndarray


def make_links(projection, source, target):
    """Return one link per distinct delay, in ascending delay."""
    synapses, delay = projection.synapses, int(projection.delay)
    fan_out = synapses.fan_out(source.shape, target.shape)
    port = target.node.model.ports.index(projection.port)
    scaled = not source.unit_amplitude
    if isinstance(synapses, Dense):
        deliver, size = _dense(synapses, target, port, scaled)
    elif isinstance(synapses, Conv2d):
        deliver, size = _conv2d(synapses, source, target, port, scaled)
    else:
        return _sparse_links(projection, source, target, port, scaled)
    return [Link(projection.source, delay, projection.label, deliver, size, fan_out)]


def _dense(synapses, target, port, scaled):
    count = synapses.weights.shape[0]
    weights = aligned_zeros((count, target.units, target.padded), target.dtype)
    weights[:, :, :target.lanes] = synapses.weights.reshape(count, target.units, target.lanes)
    flat, geometry = _stored(weights), np.array([target.units, target.ports, port, target.padded])
    kernel = specialise(deliver_dense, add_spikes=_row_sum(flat, scaled))

    def deliver(spikes, amps, rows, cells, marks):
        return target.size * kernel(spikes.ids, amps, spikes.row_ptr, rows, flat, cells, marks, geometry)

    return deliver, flat.nbytes


def _conv2d(synapses, source, target, port, scaled):
    kernel_y, kernel_x, channels, out_channels = synapses.weights.shape
    weights = aligned_zeros((kernel_y, kernel_x, channels, target.padded), target.dtype)
    weights[..., :out_channels] = synapses.weights
    flat = _stored(weights)
    frame, first, places = lay_out(synapses, source.shape, target.shape)
    # on the grid a source spikes at most once in an instant; narrow weights are those of large windows
    framed = target.node.model.clock == "grid" and flat.dtype == target.dtype and flat.dtype.kind == "f"
    geometry = np.array([target.units, target.ports, port, target.padded, out_channels, *source.shape[:2], channels,
                         target.shape[1], kernel_y, kernel_x, *synapses.stride, *synapses.pads(*source.shape[:2]), *first])
    kernel = specialise(deliver_conv2d, add_spikes=_row_sum(flat, scaled), SCALED=scaled, FRAMED=framed)

    def deliver(spikes, amps, rows, cells, marks):
        return kernel(spikes.ids, amps, spikes.unit_ptr, rows, flat, cells, marks, geometry, *spikes.scratch(target.dtype),
                      spikes.frame(frame if framed else 1, target.dtype), places)

    return deliver, flat.nbytes


def _row_sum(weights, scaled):
    """Return the innermost loop of delivery for these weights."""
    if weights.nbytes > LARGE:
        return rowsum.add_scaled_rows if scaled else rowsum.add_rows
    return rowsum.add_near_scaled_rows if scaled else rowsum.add_near_rows


def _stored(weights):
    """Return weights flat; large ones in a narrower type where it holds all of them exactly."""
    flat = weights.reshape(-1)
    return narrowed(flat) if flat.nbytes > LARGE else flat


def _sparse_links(projection, source, target, port, scaled):
    synapses = projection.synapses
    delays = np.zeros(synapses.sources.size, np.int64) if synapses.delays is None else synapses.delays
    kernel = specialise(deliver_sparse, SCALED=scaled)
    row_cells = target.units * target.ports * target.padded

    def link(delay):
        chosen = delays == delay
        sources, targets = synapses.sources[chosen], synapses.targets[chosen]
        fan_out = np.bincount(sources, minlength=source.size).astype(np.int64)
        indptr = np.concatenate(([0], np.cumsum(fan_out)))
        units = (targets // target.lanes).astype(np.int32)
        places = (units.astype(np.int64) * target.ports + port) * target.padded + targets % target.lanes
        places, weights = places.astype(np.int32), synapses.weights[chosen].astype(target.dtype)

        def deliver(spikes, amps, rows, cells, marks):
            return kernel(spikes.ids, amps, spikes.row_ptr, rows, indptr, places, units, weights, cells, marks, row_cells)

        return Link(projection.source, int(projection.delay) + int(delay), projection.label, deliver,
                    weights.nbytes + places.nbytes + units.nbytes, fan_out)

    return [link(d) for d in np.unique(delays)] or [link(0)]
