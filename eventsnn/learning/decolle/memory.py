"""How much memory on-line learning needs: the published footprint of a DECOLLE network in bits, and its corrections."""

from eventsnn import quantise

FORMULAS = ("published", "pooled", "unpooled")
TYPED = {14_400: 1_440}  # outputs of the published first layer, and the number that its script has for them


def memory_bits(plans, bits, formula="unpooled"):
    """Return the bits that weights, states, readouts, gradients and errors take.

    Parameters
    ----------
    plans : list of LayerPlan
    bits : dict
        Widths by published name; None counts as 32.
    formula : {"published", "pooled", "unpooled"}
        published: with the slip of its script, 1,440 for 14,400 outputs; pooled: without; unpooled: R and U at the size that they
        have, before the pool.

    Returns
    -------
    int

    Notes
    -----
    Per layer: Nw wb + Nin (pb + qb) + Nr (rfb + ub) + 2 Nclass Nout sb + Nclass ab + Nw gb + (Nclass + Nout) eb, with Nout
    outputs after the pool and Nr = Nout, or the neurons themselves. Schaefer & Joshi, ICONS 2020, and its public code.
    """
    k = {name: bits[name] if quantise.is_on(bits[name]) else 32 for name in bits}
    total = 0
    for plan in plans:
        weights, ins, outs, neurons = (_size(s) for s in (plan.weight_shape, plan.in_shape, plan.pooled, plan.shape))
        outs = TYPED.get(outs, outs) if formula == "published" and plan.number == 1 else outs
        refractory, classes = neurons if formula == "unpooled" else outs, len(plan.readout)
        total += weights * (k["wb"] + k["gb"]) + ins * (k["pb"] + k["qb"]) + refractory * (k["rfb"] + k["ub"])
        total += 2 * classes * outs * k["sb"] + classes * k["ab"] + (classes + outs) * k["eb"]
    return total


def footprint(plans, bits):
    """Return, for each formula, the bits with these widths, in floating point, and the share saved.

    Parameters
    ----------
    plans : list of LayerPlan
    bits : dict

    Returns
    -------
    dict
        Formula -> {"bits", "float_bits", "saving"}.
    """
    found = {}
    for formula in FORMULAS:
        own, full = memory_bits(plans, bits, formula), memory_bits(plans, dict.fromkeys(bits), formula)
        found[formula] = {"bits": own, "float_bits": full, "saving": 1 - own / full}
    return found


def _size(shape):
    n = 1
    for side in shape:
        n *= side
    return n
