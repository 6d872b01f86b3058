"""The innermost loop of delivery: add weight rows to the cells of contiguous targets, in order, in registers.

For each target the additions happen one after another in the order of `rows`; vectorisation is across targets, so
every form (this one, the plain twin below, a scalar loop) gives the same bits. No fused multiply-add is formed: the
product of weight and amplitude is rounded before it is added.
"""

import numpy as np

from eventsnn.compile import lowered

LANE = 16  # targets are padded to a multiple of this
AHEAD = 8  # rows fetched in advance: rows of large layers come from beyond the L2 cache, in no order a processor guesses


def _operations(cell, weight):
    """Return the LLVM operations of a cell type and a weight type: add, mul, splat a scalar, widen a weight."""
    import llvmlite.ir as ir
    from numba.core import types

    real = isinstance(cell, types.Float)

    def splat(builder, scalar, vector):
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANE), [0] * LANE)
        return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)

    def widen(builder, value, vector):
        if cell == weight:
            return value
        if weight == types.uint16:
            return builder.fpext(builder.bitcast(value, ir.VectorType(ir.HalfType(), LANE)), vector)
        return builder.sitofp(value, vector) if real else builder.sext(value, vector)

    return {"splat": splat, "widen": widen, "weight_size": weight.bitwidth // 8,
            "add": lambda b, x, y: b.fadd(x, y) if real else b.add(x, y),
            "mul": lambda b, x, y: b.fmul(x, y) if real else b.mul(x, y)}


def _fetch(builder, start, size):
    """Emit prefetches of `size` bytes."""
    import llvmlite.ir as ir

    i32, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, i32, i32, i32])
    fetch = builder.module.globals.get("llvm.prefetch.p0") or ir.Function(builder.module, kind, "llvm.prefetch.p0")
    for line in range(0, size, 64):
        place = builder.gep(builder.bitcast(start, pointer), [ir.IntType(64)(line)])
        builder.call(fetch, [place, i32(0), i32(3), i32(1)])  # to read, keep in all caches, data


def _emit_block(builder, count, ops, cell_type, weight_type, pointers, m, weighted, near):
    """Emit: for r in rows: acc_k = acc_k + w[row][k] (* amplitude), for `count` vectors of 16 targets."""
    import llvmlite.ir as ir

    cell, weights, rows, amps, stride = pointers
    vector, weight_vector, i64 = ir.VectorType(cell_type, LANE), ir.VectorType(weight_type, LANE), ir.IntType(64)
    at = [builder.bitcast(builder.gep(cell, [i64(k * LANE)]), vector.as_pointer()) for k in range(count)]
    first = [builder.load(a, align=1) for a in at]
    before = builder.block
    loop, done = builder.append_basic_block("rows"), builder.append_basic_block("rows.done")
    builder.cbranch(builder.icmp_signed(">", m, i64(0)), loop, done)
    builder.position_at_end(loop)
    r = builder.phi(i64)
    sums = [builder.phi(vector) for _ in range(count)]
    row = builder.sext(builder.load(builder.gep(rows, [r])), i64)
    start = builder.gep(weights, [builder.mul(row, stride)])
    if not near:
        later = builder.sext(builder.load(builder.gep(rows, [builder.add(r, i64(AHEAD))])), i64)
        _fetch(builder, builder.gep(weights, [builder.mul(later, stride)]), count * LANE * ops["weight_size"])
    amp = ops["splat"](builder, builder.load(builder.gep(amps, [r])), vector) if weighted else None
    new = []
    for k in range(count):
        w = builder.load(builder.bitcast(builder.gep(start, [i64(k * LANE)]), weight_vector.as_pointer()), align=1)
        w = ops["widen"](builder, w, vector)
        new.append(ops["add"](builder, sums[k], ops["mul"](builder, w, amp) if weighted else w))
    following = builder.add(r, i64(1))
    builder.cbranch(builder.icmp_signed("<", following, m), loop, done)
    for phi, initial, updated in [(r, i64(0), following), *zip(sums, first, new)]:
        phi.add_incoming(initial, before)
        phi.add_incoming(updated, loop)
    builder.position_at_end(done)
    results = [builder.phi(vector) for _ in range(count)]
    for k, result in enumerate(results):
        result.add_incoming(first[k], before)
        result.add_incoming(new[k], loop)
    for result, address in zip(results, at):
        builder.store(result, address, align=1)


def _build(weighted, near=False):
    """Return the intrinsic: blocks of up to 256 targets are held in vector registers over all rows."""
    import llvmlite.binding
    import llvmlite.ir as ir
    from numba.core import types
    from numba.extending import intrinsic

    wide = "avx512f" in {k for k, on in llvmlite.binding.get_host_cpu_features().items() if on}
    blocks = (16, 8, 4, 2, 1) if wide else (4, 2, 1)

    @intrinsic
    def rowsum(typing, cells, cell0, weights, column0, stride, rows, amps, m, width):
        signature = types.void(cells, cell0, weights, column0, stride, rows, amps, m, width)

        def codegen(context, builder, sig, arguments):
            ops = _operations(sig.args[0].dtype, sig.args[2].dtype)
            i64 = ir.IntType(64)

            def data(k):
                return context.make_array(sig.args[k])(context, builder, arguments[k]).data

            def number(k):
                return context.cast(builder, arguments[k], sig.args[k], types.int64)

            cell_type, weight_type = (context.get_value_type(sig.args[k].dtype) for k in (0, 2))
            cell, weight = builder.gep(data(0), [number(1)]), builder.gep(data(2), [number(3)])
            stride, m, width = number(4), number(7), number(8)
            column = builder.alloca(i64)
            builder.store(i64(0), column)
            for count in blocks:
                test = builder.append_basic_block(f"block{count}.test")
                body = builder.append_basic_block(f"block{count}")
                end = builder.append_basic_block(f"block{count}.end")
                builder.branch(test)
                builder.position_at_end(test)
                here = builder.load(column)
                fits = builder.icmp_signed("<=", builder.add(here, i64(count * LANE)), width)
                builder.cbranch(fits, body, end)
                builder.position_at_end(body)
                pointers = (builder.gep(cell, [here]), builder.gep(weight, [here]), data(5), data(6), stride)
                _emit_block(builder, count, ops, cell_type, weight_type, pointers, m, weighted, near)
                builder.store(builder.add(here, i64(count * LANE)), column)
                builder.branch(test)
                builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return rowsum


def aligned_zeros(shape, dtype):
    """Return zeros that begin at a cache line: a vector that straddles two lines costs up to 1.4 times as much to load."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start:start + size].view(dtype).reshape(shape)


def narrowed(weights):
    """Return weights in a narrower type where it holds every one: int8 for whole numbers, else the bits of float16 numbers."""
    if weights.dtype.kind != "f":
        least, most = (int(f(initial=0)) for f in (weights.min, weights.max))
        return weights.astype(np.int8) if least >= -128 and most <= 127 else weights
    for some in (weights[:4096], weights):  # most weights are not, and the first ones tell
        with np.errstate(over="ignore"):
            half = some.astype(np.float16)
        if not np.array_equal(half, some):
            return weights
    return half.view(np.uint16)


def widened(weights, dtype):
    """Return weights in the type of the cells."""
    return (weights.view(np.float16) if weights.dtype == np.uint16 else weights).astype(dtype)


@lowered(lambda: _build(weighted=False))
def add_rows(cells, cell0, weights, column0, stride, rows, amps, m, width):
    """Add weight rows to contiguous cells, one rounded addition per row and target, in the order of `rows`.

    Parameters
    ----------
    cells : ndarray
        Flat sums; ``cells[cell0 : cell0 + width]`` is added to.
    weights : ndarray
        Flat weights; row r begins at ``column0 + r * stride``. Of the cells' type, a narrower integer, or, as uint16, the
        bits of float16 numbers.
    rows : ndarray of int32
        The first `m` entries say which rows; 8 more may be read.
    amps : ndarray
        Not used here; see `add_scaled_rows`.
    width : int
        A multiple of 16.
    """
    for r in range(m):
        start = column0 + int(rows[r]) * stride
        cells[cell0:cell0 + width] += widened(weights[start:start + width], cells.dtype)


@lowered(lambda: _build(weighted=True))
def add_scaled_rows(cells, cell0, weights, column0, stride, rows, amps, m, width):
    """Like `add_rows`, each row multiplied by the amplitude of its spike (rounded) before it is added."""
    for r in range(m):
        start = column0 + int(rows[r]) * stride
        cells[cell0:cell0 + width] += np.multiply(widened(weights[start:start + width], cells.dtype), amps[r])


@lowered(lambda: _build(weighted=False, near=True))
def add_near_rows(cells, cell0, weights, column0, stride, rows, amps, m, width):
    """Like `add_rows`, of weights that stay in a cache nearby: no row is fetched in advance."""
    add_rows(cells, cell0, weights, column0, stride, rows, amps, m, width)


@lowered(lambda: _build(weighted=True, near=True))
def add_near_scaled_rows(cells, cell0, weights, column0, stride, rows, amps, m, width):
    """Like `add_scaled_rows`, of weights that stay in a cache nearby."""
    add_scaled_rows(cells, cell0, weights, column0, stride, rows, amps, m, width)
