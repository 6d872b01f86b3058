"""Convolution of an instant with many spikes, one per source: laid out as an image, and every weight times its pixel.

A window whose spikes are listed costs more than its additions: where a third of a small window spikes, as in first layers,
multiplying by the zeros, too, is faster. Sums are the same bits: they go on in ascending source, product and sum rounded, and
a zero added to them, of either sign, changes nothing (a sum that begins at +0 is never -0).
"""

import numpy as np

from eventsnn.compile import lowered
from eventsnn.projections.rowsum import LANE


def _emit_pixels(builder, vector, cells, pixels, weight, stride, places, count):
    """Emit: for every weight row, cell_p = cell_p + w * pixel_p for some targets p, their sums in registers."""
    import llvmlite.ir as ir

    i64, lanes = ir.IntType(64), ir.VectorType(ir.IntType(32), LANE)
    first = [builder.load(cell, align=1) for cell in cells]
    before = builder.block
    loop, done = builder.append_basic_block("weights"), builder.append_basic_block("weights.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    r = builder.phi(i64)
    sums = [builder.phi(vector) for _ in cells]
    place = builder.sext(builder.load(builder.gep(places, [r])), i64)
    row = builder.gep(weight, [builder.mul(r, stride)])
    w = builder.load(builder.bitcast(row, vector.as_pointer()), align=1)
    new = []
    for so_far, pixel in zip(sums, pixels):
        value = builder.load(builder.gep(pixel, [place]))
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
        value = builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(lanes, [0] * LANE))
        new.append(builder.fadd(so_far, builder.fmul(w, value)))
    following = builder.add(r, i64(1))
    builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
    for phi, initial, updated in [(r, i64(0), following), *zip(sums, first, new)]:
        phi.add_incoming(initial, before)
        phi.add_incoming(updated, loop)
    builder.position_at_end(done)
    for value, cell in zip(new, cells):
        builder.store(value, cell, align=1)


def _build():
    """Return the intrinsic: up to eight targets, 16 channels each, are held in vector registers over all weights."""
    import llvmlite.binding
    import llvmlite.ir as ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    wide = "avx512f" in {k for k, on in llvmlite.binding.get_host_cpu_features().items() if on}

    @intrinsic
    def pixels(typing, cells, cell0, step, frame, frame0, hop, places, weights, column, stride, count):
        signature = types.void(cells, cell0, step, frame, frame0, hop, places, weights, column, stride, count)

        def codegen(context, builder, sig, arguments):
            i64 = ir.IntType(64)

            def array(k):
                return context.make_array(sig.args[k])(context, builder, arguments[k])

            def number(k):
                return context.cast(builder, arguments[k], sig.args[k], types.int64)

            vector = ir.VectorType(context.get_value_type(sig.args[0].dtype), LANE)
            cell, frame, weight = (builder.gep(array(k).data, [number(k + 1)]) for k in (0, 3, 7))
            places, rows = array(6).data, cgutils.unpack_tuple(builder, array(6).shape)[0]
            done = builder.alloca(i64)
            builder.store(i64(0), done)
            for many in (8, 4, 2, 1) if wide else (2, 1):
                test, body, end = (builder.append_basic_block(f"pixels{many}.{part}") for part in ("test", "body", "end"))
                builder.branch(test)
                builder.position_at_end(test)
                here = builder.load(done)
                following = builder.add(here, i64(many))
                builder.cbranch(builder.icmp_signed("<=", following, number(10)), body, end)
                builder.position_at_end(body)
                targets = [builder.add(here, i64(k)) for k in range(many)]
                cells = [builder.bitcast(builder.gep(cell, [builder.mul(k, number(2))]), vector.as_pointer()) for k in targets]
                pixels = [builder.gep(frame, [builder.mul(k, number(5))]) for k in targets]
                _emit_pixels(builder, vector, cells, pixels, weight, number(9), places, rows)
                builder.store(following, done)
                builder.branch(test)
                builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return pixels


@lowered(_build)
def add_pixels(cells, cell0, step, frame, frame0, hop, places, weights, column, stride, count):
    """Add all weights, times the pixels they lie on, to 16 channels of each of `count` neighbouring targets.

    Parameters
    ----------
    cells : ndarray of float
        Flat sums, of the type of `frame` and `weights`; target k has ``cells[cell0 + k * step :][:16]``.
    frame : ndarray
        Flat pixels; weight row r of target k lies on ``frame[frame0 + k * hop + places[r]]``.
    places : ndarray of int32
        At least one.
    weights : ndarray
        Flat; 16 channels of row r are ``weights[column + r * stride :][:16]``.
    """
    for k in range(count):
        for r in range(places.size):
            w, at = weights[column + r * stride:][:LANE], cell0 + k * step
            cells[at:at + LANE] += w * frame[frame0 + k * hop + places[r]]


def lay_out(synapses, source_shape, target_shape):
    """Return (size of a frame, its (row length, place of the first pixel), places of a window) of a convolution."""
    kernel_y, kernel_x, channels, _ = synapses.weights.shape
    pads = synapses.pads(*source_shape[:2])
    sizes = []
    for axis, kernel in enumerate((kernel_y, kernel_x)):
        sizes.append(max(pads[axis] + source_shape[axis], (target_shape[axis] - 1) * synapses.stride[axis] + kernel))
    row = sizes[1] * channels
    places = np.add.outer(np.arange(kernel_y) * row, np.arange(kernel_x * channels)).ravel().astype(np.int32)
    return sizes[0] * row, (row, pads[0] * row + pads[1] * channels), places


def frame_pays(spikes, pixels, kernel, channels, blocks):
    """Whether an instant with so many spikes is delivered faster as an image (measured; AVX-512, in cycles a window)."""
    listed = spikes * kernel / pixels
    return kernel * channels * blocks < 50 + max(3.0, 1.2 * blocks) * listed


def deliver_frame(ids, amps, unit_ptr, weights, cells, marks, geometry, frame, places):
    """Deliver one instant as `deliver_conv2d` does; `frame` is zero between calls. Returns synaptic events."""
    units, ports, port, padded, out_channels = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
    height, width, channels, out_width = geometry[5], geometry[6], geometry[7], geometry[8]
    kernel_y, kernel_x, stride_y, stride_x = geometry[9], geometry[10], geometry[11], geometry[12]
    pad_y, pad_x, frame_row, frame_first = geometry[13], geometry[14], geometry[15], geometry[16]
    for y in range(height):
        base = frame_first + y * (frame_row - width * channels)
        for k in range(unit_ptr[y * width], unit_ptr[y * width + width]):
            frame[np.uint64(base + ids[np.uint64(k)])] = amps[np.uint64(k)] if SCALED else 1
    left, right, listed = np.empty(out_width, np.uint32), np.empty(out_width, np.uint32), np.empty(out_width, np.int32)
    for x in range(out_width):
        left[x] = min(max(x * stride_x - pad_x, 0), width)
        right[x] = max(min(x * stride_x - pad_x + kernel_x, width), left[x])
    events = 0
    for y in range(units // out_width):
        at = (y * out_width * ports + port) * padded
        for column in range(0, padded, LANE):
            add_pixels(cells, at + column, ports * padded, frame, y * stride_y * frame_row, stride_x * channels, places, weights,
                       column, padded, out_width)
        listed[:] = 0
        for row in range(max(0, y * stride_y - pad_y), min(height, y * stride_y - pad_y + kernel_y)):
            ends = unit_ptr[row * width:]
            for x in range(out_width):
                listed[x] += ends[right[x]] - ends[left[x]]
        for x in range(out_width):
            marks[np.uint64(y * out_width + x)] |= listed[x] != 0
            events += listed[x]
    frame[:] = 0
    return events * out_channels


SCALED = False  # replaced when compiled: whether spikes have amplitudes
