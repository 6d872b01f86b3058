"""What weights, states, errors and gradients become at a width in bits, and the scale of a layer's weights."""

import math

import numpy as np

from eventsnn.quantise.grid import clip, is_on, levels, like, shift, to_grid
from eventsnn.random import bits as random_bits


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
    return to_grid(clip(w, width), width) / like(w, scale) if is_on(width) else w


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
    return to_grid(clip(e / like(e, shift(float(np.max(np.abs(e), initial=0.0)))), width), width)


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
    n = g * rate / like(g, shift(float(np.max(np.abs(g), initial=0.0))))
    whole = np.floor(np.abs(n))
    fraction, chance = (np.abs(n) - whole).astype(np.float64), words * 2.0**-32
    if is_on(random_width):
        fraction, chance = np.rint(fraction * levels(random_width)), np.rint(chance * levels(random_width))
    return np.sign(n) * (whole + (fraction >= chance)) / like(g, levels(width))


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
