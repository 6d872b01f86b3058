"""Which of 64 neurons fired: bytes to a bit mask, and the bits of a mask in ascending order."""

import numpy as np

from eventsnn.compile import lowered


def _build(body, returns):
    """Return an intrinsic on (array or word, ...) whose LLVM code `body` emits."""
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def operation(typing, first, second):
        signature = getattr(types, returns)(first, second)

        def codegen(context, builder, sig, arguments):
            return body(context, builder, sig, arguments)

        return signature, codegen

    return operation


def _mask_code(context, builder, sig, arguments):
    import llvmlite.ir as ir
    from numba.core import types

    data = context.make_array(sig.args[0])(context, builder, arguments[0]).data
    offset = context.cast(builder, arguments[1], sig.args[1], types.int64)
    vector = ir.VectorType(ir.IntType(8), 64)
    value = builder.load(builder.bitcast(builder.gep(data, [offset]), vector.as_pointer()), align=1)
    return builder.bitcast(builder.icmp_unsigned("!=", value, ir.Constant(vector, None)), ir.IntType(64))


def _bit_code(name):
    def emit(context, builder, sig, arguments):
        import llvmlite.ir as ir
        from numba.core import types

        word = context.cast(builder, arguments[0], sig.args[0], types.uint64)
        i64 = ir.IntType(64)
        if name == "ctpop":
            return builder.call(builder.module.declare_intrinsic("llvm.ctpop", [i64]), [word])
        kind = ir.FunctionType(i64, [i64, ir.IntType(1)])
        return builder.call(builder.module.declare_intrinsic("llvm.cttz", [i64], kind), [word, ir.IntType(1)(0)])

    return emit


@lowered(lambda: _build(_mask_code, "uint64"))
def byte_mask(flags, offset):
    """Return the mask of the non-zero bytes among ``flags[offset : offset + 64]``; bit k is byte k."""
    word = 0
    for k in range(64):
        word |= int(flags[offset + k] != 0) << k
    return np.uint64(word)


@lowered(lambda: _build(_bit_code("ctpop"), "int64"))
def count_bits(word, unused):
    """Return how many bits of a 64-bit word are set."""
    return int(word).bit_count()


@lowered(lambda: _build(_bit_code("cttz"), "int64"))
def lowest_bit(word, unused):
    """Return the place of the lowest set bit of a 64-bit word (64 for an empty word)."""
    word = int(word)
    return (word & -word).bit_length() - 1 if word else 64


def append_places(mask, first, places, n):
    """Append ``first + k`` for every set bit k of `mask`, ascending; four at a time, up to four slots are overwritten."""
    count = count_bits(mask, 0)
    one = np.uint64(1)
    for q in range(0, max(count, 1), 4):  # whether there is one cannot be foretold: four are written in any case
        for k in range(4):
            places[np.uint64(n + q + k)] = first + lowest_bit(mask, 0)
            mask &= mask - one
    return n + count


def append_flagged(flags, size, first, places, n):
    """Append ``first + k`` for every non-zero ``flags[k]``, k < size, ascending; flags behind are 0 up to a multiple of 64."""
    for k in range(0, size, 64):
        n = append_places(byte_mask(flags, k), first + k, places, n)
    return n


def _build_row():
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    @intrinsic
    def row(typing, array, index):
        view = types.Array(array.dtype, array.ndim - 1, "C")
        signature = view(array, index)

        def codegen(context, builder, sig, arguments):
            whole = context.make_array(sig.args[0])(context, builder, arguments[0])
            part = context.make_array(view)(context, builder)
            index = context.cast(builder, arguments[1], sig.args[1], types.int64)
            shape = cgutils.unpack_tuple(builder, whole.shape)
            strides = cgutils.unpack_tuple(builder, whole.strides)
            data = cgutils.pointer_add(builder, whole.data, builder.mul(index, strides[0]), whole.data.type)
            size = shape[1]
            for extent in shape[2:]:
                size = builder.mul(size, extent)
            part.data, part.itemsize, part.nitems = data, whole.itemsize, size
            part.shape = cgutils.pack_array(builder, shape[1:])
            part.strides = cgutils.pack_array(builder, strides[1:])
            # no owner: the view lives inside one loop, and atomic reference counts would cost more than the neurons
            part.meminfo = context.get_constant_null(types.MemInfoPointer(array.dtype))
            part.parent = context.get_constant_null(types.pyobject)
            return part._getvalue()

        return signature, codegen

    return row


@lowered(_build_row)
def row_of(array, index):
    """Return ``array[index]`` of a C-contiguous array as a view without an owner (valid while `array` is)."""
    return array[index]
