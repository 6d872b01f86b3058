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

import math

import numpy as np

from eventsnn.errors import ModelError
from eventsnn.random import bits as random_bits

OFF = 33
ROOT_HALF = math.sqrt(0.5)


def is_on(width):
    """Tell whether a width in bits quantises at all (None and widths from 33 on do not)."""
    return width is not None and width < OFF


def check_width(where, width, low=1):
    """Return a width in bits, or None where it switches the quantiser off.

    Parameters
    ----------
    where : str
        Name for messages.
    width : int or None
    low : int
        Smallest allowed width.

    Raises
    ------
    ModelError
        If it is not a whole number from `low` on.
    """
    if width is None:
        return None
    if isinstance(width, bool) or width != int(width) or width < low:
        raise ModelError(f"{where}: must be a whole number of bits from {low} on (from {OFF} on: not quantised), got {width!r}")
    return int(width) if is_on(width) else None


def levels(width):
    """Return S = 2**(b-1), the levels per unit of a width in bits."""
    return 2.0 ** (width - 1)


def bound(width):
    """Return c = 1 - 1/S, the largest number of a width in bits (1 for a single bit)."""
    return 1.0 - 2.0 ** (1 - width) if width > 1 else 1.0


def clip(x, width):
    """Hold numbers to the range of a width.

    Parameters
    ----------
    x : array or number
    width : int
        Bits.

    Returns
    -------
    array or number
        In [-c, c].
    """
    return np.minimum(np.maximum(x, _like(x, -bound(width))), _like(x, bound(width)))


def to_grid(x, width):
    """Round numbers to multiples of 1/S, ties to even; a single bit keeps the sign.

    Parameters
    ----------
    x : array or number
    width : int
        Bits.

    Returns
    -------
    array or number
        Q(x, b).
    """
    return np.sign(x) if width == 1 else np.rint(x * _like(x, levels(width))) / _like(x, levels(width))


def _like(x, value):
    """The value in the dtype of x: a Python number leaves the dtype of arrays alone."""
    return x.dtype.type(value) if isinstance(x, np.generic) else value


def shift(v):
    """Return the power of two that is nearest to v on a logarithmic scale.

    Parameters
    ----------
    v : float
        Not negative.

    Returns
    -------
    float
        2 ** R(log2 v), and 1 for 0; taken from the binary exponent, so that no logarithm is rounded.
    """
    if v == 0:
        return 1.0
    part, exponent = math.frexp(v)
    return math.ldexp(1.0, exponent if part >= ROOT_HALF else exponent - 1)


def weights(w, width, scale=1.0):
    """Quantise weights: clip, round, divide by the layer's scale.

    Parameters
    ----------
    w : array
    width : int or None
        Bits; None: as they are, the scale left out too.
    scale : float
        A power of two, see `layer_scale`.

    Returns
    -------
    array
    """
    return to_grid(clip(w, width), width) / _like(w, scale) if is_on(width) else w


def states(x, width):
    """Quantise states and say which were inside the range.

    Parameters
    ----------
    x : array
    width : int or None
        Bits.

    Returns
    -------
    quantised : array
        A(x).
    inside : array of bool
        Where x was not clipped.
    """
    if not is_on(width):
        return x, np.ones(np.shape(x), bool)
    held = clip(x, width)
    return to_grid(held, width), held == x


def errors(e, width):
    """Quantise an error tensor, renormalised by the power of two nearest to its largest entry.

    Parameters
    ----------
    e : array
    width : int or None
        Bits.

    Returns
    -------
    array
        E(e); all zeros stay zeros.
    """
    if not is_on(width):
        return e
    return to_grid(clip(e / _like(e, shift(float(np.max(np.abs(e), initial=0.0)))), width), width)


def gradients(g, width, random_width, rate, words):
    """Quantise a gradient by stochastic rounding of its renormalised value.

    Parameters
    ----------
    g : array
    width : int or None
        Bits gb of the grid on which weights move; None: rate x g.
    random_width : int or None
        Bits rb of the random number and of the fraction compared with it; None: all there are.
    rate : float
        Gradient rate lr.
    words : array of uint32
        Of g's shape, from `random_words`.

    Returns
    -------
    array
        G(g). With lr = 1: 0, +-1 or +-2 steps of 1/S; zeros stay zeros; the mean over chances is n / S, |n| held to rb bits.
    """
    if not is_on(width):
        return g * rate
    n = g * rate / _like(g, shift(float(np.max(np.abs(g), initial=0.0))))
    whole = np.floor(np.abs(n))
    fraction, chance = (np.abs(n) - whole).astype(np.float64), words * 2.0**-32
    if is_on(random_width):
        fraction, chance = np.rint(fraction * levels(random_width)), np.rint(chance * levels(random_width))
    return np.sign(n) * (whole + (fraction >= chance)) / _like(g, levels(width))


def random_words(stream, step, shape):
    """Return the 32-bit random words of stochastic rounding, one for each weight, the same in any order of use.

    Parameters
    ----------
    stream : numpy.uint64
        From `eventsnn.random.key`: (seed, what it is for).
    step : int
        Number of the update.
    shape : tuple of int
        Of the weights; the last axis counts elements, all others together count samples.

    Returns
    -------
    array of uint32, of that shape
        `eventsnn.random.bits` of (sample, step), taken as two words each, low word first.
    """
    rows = int(np.prod(shape[:-1]))
    pairs = random_bits(stream, np.arange(rows), step, (shape[-1] + 1) // 2)
    words = np.stack([pairs & np.uint64(0xFFFFFFFF), pairs >> np.uint64(32)], -1).astype(np.uint32)
    return words.reshape(rows, -1)[:, : shape[-1]].reshape(shape)


def unit(x, width):
    """Quantise numbers of [0, 1] to multiples of 2**-b: 2**b + 1 levels, no clipping."""
    return np.rint(x * 2.0**width) / 2.0**width


def symmetric(x, width):
    """Quantise numbers of [-1, 1] to multiples of 1 / (S - 1), both ends included, no clipping."""
    return np.rint(x * (levels(width) - 1)) / (levels(width) - 1)


def layer_scale(width, fan_in, beta=None, gain=3.0):
    """Return the power of two that brings quantised weights of a layer to the size of its fan-in.

    Parameters
    ----------
    width : int or None
        Bits of the weights.
    fan_in : int
    beta : float, optional
        The largest initial weight is beta / S; default S - 0.5.
    gain : float
        The wanted limit is sqrt(gain / fan_in).

    Returns
    -------
    limit : float
        Half width of the uniform initial distribution, before scaling.
    scale : float
        max(1, Shift(largest / limit)); 1 where weights are not quantised.
    """
    wanted = math.sqrt(gain / fan_in)
    if not is_on(width):
        return wanted, 1.0
    largest = (levels(width) - 0.5 if beta is None else beta) / levels(width)
    return max(largest, wanted), max(1.0, shift(largest / wanted))
