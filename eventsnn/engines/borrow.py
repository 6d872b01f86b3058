"""Arrays without an owner: in long loops with many exits, reference counts would cost more than the work."""

from eventsnn.compile import lowered


def _build():
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def borrow(typing, array):
        def codegen(context, builder, signature, arguments):
            whole = context.make_array(signature.args[0])(context, builder, arguments[0])
            part = context.make_array(signature.args[0])(context, builder)
            for name in ("data", "itemsize", "nitems", "shape", "strides"):
                setattr(part, name, getattr(whole, name))
            part.meminfo = context.get_constant_null(types.MemInfoPointer(array.dtype))
            part.parent = context.get_constant_null(types.pyobject)
            return part._getvalue()

        return array(array), codegen

    return borrow


@lowered(_build)
def borrowed(array):
    """Return the array itself, not counted as a reference: valid while the caller holds it."""
    return array


def _build_prefetch():
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def fetch(typing, array, index):
        def codegen(context, builder, signature, arguments):
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            place = context.cast(builder, arguments[1], signature.args[1], types.int64)
            pointer = builder.bitcast(builder.gep(data, [place]), ir.IntType(8).as_pointer())
            i32 = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), i32, i32, i32])
            function = builder.module.declare_intrinsic("llvm.prefetch", [ir.IntType(8).as_pointer()], kind)
            builder.call(function, [pointer, i32(0), i32(3), i32(1)])
            return context.get_dummy_value()

        return types.void(array, index), codegen

    return fetch


@lowered(_build_prefetch)
def prefetch(array, index):
    """Ask for ``array[index]`` to be brought into the cache; changes nothing."""
