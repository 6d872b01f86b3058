"""Numbers on the grid of a width in bits: its levels and its range, rounding and clipping, powers of two."""

import math

import numpy as np

from eventsnn.errors import ModelError

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
    return np.minimum(np.maximum(x, like(x, -bound(width))), like(x, bound(width)))


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
    return np.sign(x) if width == 1 else np.rint(x * like(x, levels(width))) / like(x, levels(width))


def like(x, value):
    """Return a value in the dtype of x: a Python number leaves the dtype of arrays alone."""
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


def unit(x, width):
    """Quantise numbers of [0, 1] to multiples of 2**-b: 2**b + 1 levels, no clipping."""
    return np.rint(x * 2.0**width) / 2.0**width


def symmetric(x, width):
    """Quantise numbers of [-1, 1] to multiples of 1 / (S - 1), both ends included, no clipping."""
    return np.rint(x * (levels(width) - 1)) / (levels(width) - 1)
