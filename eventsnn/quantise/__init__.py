"""Quantisers on stated grids: numbers become multiples of a power of two, by rounding, clipping and, where named, chance.

With S = 2**(b-1), the levels per unit of b bits, c = 1 - 1/S and R rounding half to even::

    to_grid   Q(x, b)     = R(x S) / S              b = 1: sign(x)
    clip      clip(x, b)  = x held to [-c, c]       b = 1: to [-1, 1]
    shift     Shift(v)    = 2 ** R(log2 v)          Shift(0) = 1
    weights   Wq          = Q(clip(W, b), b) / scale
    states    A(x)        = Q(clip(x, b), b)
    errors    E(e)        = Q(clip(e / Shift(max |e|), b), b)
    gradients G(g)        = sign(n) (floor|n| + [f >= u]) / S,   n = lr g / Shift(max |g|)

f is the fraction of |n| and u a uniform random number, both rounded to the grid of `rb` bits. E does not multiply its scale back:
every call brings a tensor to about +-1. A width of `OFF` (33) bits or more, or None, switches a quantiser off.

The functions take arrays (of float32 or float64, which they keep) or numbers; `shift` takes numbers.

Sources: WAGE, Wu et al., ICLR 2018 (the quantisers); Schaefer & Joshi, ICONS 2020, doi 10.1145/3407197.3407203 (their use here).
"""

from eventsnn.quantise.grid import OFF, bound, check_width, clip, is_on, levels, shift, symmetric, to_grid, unit
from eventsnn.quantise.tensors import errors, gradients, layer_scale, random_words, states, weights

__all__ = ["OFF", "bound", "check_width", "clip", "errors", "gradients", "is_on", "layer_scale", "levels", "random_words",
           "shift", "states", "symmetric", "to_grid", "unit", "weights"]  # fmt: skip
