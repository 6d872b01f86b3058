"""Copies of short pieces of a list, in whole vectors."""

from eventsnn.compile import lowered
from eventsnn.projections.rowsum import LANE


def _build_copy():
    """Return the intrinsic of `copy_plus`: whole vectors of 16, at least one, whatever the count."""
    import llvmlite.ir as ir
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def copy(typing, source, a, target, m, count, base):
        signature = types.void(source, a, target, m, count, base)

        def codegen(context, builder, sig, arguments):
            i64 = ir.IntType(64)
            element = context.get_value_type(sig.args[0].dtype)
            vector = ir.VectorType(element, LANE)
            numbers = [context.cast(builder, arguments[k], sig.args[k], types.int64) for k in (1, 3, 4)]
            read = builder.gep(context.make_array(sig.args[0])(context, builder, arguments[0]).data, [numbers[0]])
            write = builder.gep(context.make_array(sig.args[2])(context, builder, arguments[2]).data, [numbers[1]])
            plus = None
            if isinstance(sig.args[0].dtype, types.Integer):
                one = context.cast(builder, arguments[5], sig.args[5], sig.args[0].dtype)
                filled = builder.insert_element(ir.Constant(vector, ir.Undefined), one, ir.IntType(32)(0))
                mask = ir.Constant(ir.VectorType(ir.IntType(32), LANE), [0] * LANE)
                plus = builder.shuffle_vector(filled, ir.Constant(vector, ir.Undefined), mask)
            before = builder.block
            loop, done = builder.append_basic_block("copy"), builder.append_basic_block("copied")
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(i64)
            value = builder.load(builder.bitcast(builder.gep(read, [k]), vector.as_pointer()), align=1)
            value = value if plus is None else builder.add(value, plus)
            builder.store(value, builder.bitcast(builder.gep(write, [k]), vector.as_pointer()), align=1)
            following = builder.add(k, i64(LANE))
            builder.cbranch(builder.icmp_signed("<", following, numbers[2]), loop, done)
            k.add_incoming(i64(0), before)
            k.add_incoming(following, loop)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, codegen

    return copy


@lowered(_build_copy)
def copy_plus(source, a, target, m, count, base):
    """Write ``source[a : a + count] + base`` to ``target[m:]``, in blocks of 16 (short loops of random length cost more).

    Up to 16 elements behind the end are read and written; `base` is added to integers only.
    """
    whole = max(LANE, -(-count // LANE) * LANE)
    plus = base if source.dtype.kind == "i" else 0
    target[m:m + whole] = source[a:a + whole] + source.dtype.type(plus)
