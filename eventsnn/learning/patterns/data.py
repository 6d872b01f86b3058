"""Patterns to learn: the graded input and the smiling target of the published task, and any image as a raster."""

import math

import numpy as np

from eventsnn.errors import DataError
from eventsnn.random import key, uniform
from eventsnn.raster import SpikeRaster

DARK = 500  # R + G + B below which a pixel is a spike


def graded_input(neurons=700, steps=250, *, shortest=1.25, increment=0.25, group=5, seed=0, dt_ms=1.0):
    """Make an input whose neurons fire the more seldom, the higher their number.

    Parameters
    ----------
    neurons, steps : int
    shortest : float
        Mean interval of the first group, steps.
    increment : float
        By how much the mean interval grows from group to group, steps.
    group : int
        Neurons with the same mean interval.
    seed : int
    dt_ms : float
        Length of a step, ms.

    Returns
    -------
    SpikeRaster
        One sample.

    Notes
    -----
    Intervals are whole steps, Poisson distributed with the mean ``shortest + increment * (i // group)``; the first spike
    comes after the first of them; an interval of 0 falls on the same spike. Interval k of neuron i is the least number whose
    cumulated probability reaches uniform(key(seed, "patterns", "input"), i, 0, k).
    """
    fires, stream = np.zeros((steps, neurons)), key(seed, "patterns", "input")
    for first in range(0, neurons, group):
        who = np.arange(first, min(first + group, neurons))
        mean = shortest + increment * (first // group)
        drawn = uniform(stream, who, 0, int(4 * steps / mean) + 50)
        times = np.cumsum(np.searchsorted(_cumulated(mean), drawn), axis=1)
        row, k = np.nonzero(times < steps)
        fires[times[row, k], who[row]] = 1
    return SpikeRaster.from_dense(fires[None], dt_ms=dt_ms)


def _cumulated(mean):
    """Cumulated probabilities of 0, 1, 2 ... of a Poisson distribution, up to where nothing is left."""
    k = np.arange(int(mean + 20 * math.sqrt(mean) + 40))
    log_factorial = np.cumsum(np.log(np.maximum(k, 1)))
    return np.cumsum(np.exp(k * math.log(mean) - mean - log_factorial))


def smiley(steps=250, neurons=250):
    """Draw the target: a ring, two eyes and a mouth; rows are steps from top to bottom, columns neurons.

    Parameters
    ----------
    steps, neurons : int
        The drawing is scaled to them; at 250 x 250 its radius is 100.

    Returns
    -------
    array of bool, shape (steps, neurons)
    """
    y = (np.arange(steps)[:, None] - (steps - 1) / 2) * 250 / steps
    x = (np.arange(neurons)[None, :] - (neurons - 1) / 2) * 250 / neurons
    r = np.hypot(x, y)
    eyes = (np.hypot(abs(x) - 35, y + 35)) <= 14
    return (abs(r - 100) <= 4.625) | eyes | ((abs(r - 60) <= 3.93) & (y > 15))


def image_pattern(path, steps, neurons, threshold=DARK):
    """Turn a picture into a pattern: dark pixels are spikes.

    Parameters
    ----------
    path : str or Path
        Any picture that Pillow reads; it is scaled to neurons x steps pixels.
    steps, neurons : int
    threshold : int
        A pixel with R + G + B below it is dark, 0 to 765.

    Returns
    -------
    array of bool, shape (steps, neurons)

    Raises
    ------
    DataError
        If it is missing or no picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > 5e7:
                raise DataError(f"{path}: has {picture.width} x {picture.height} pixels, allowed 50 million in all")
            paper = Image.new("RGBA", picture.size, "white")
            paper.alpha_composite(picture.convert("RGBA"))
            pixels = np.asarray(paper.convert("RGB").resize((neurons, steps)), np.int64)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a picture that can be read: {error}") from None
    return pixels.sum(axis=2) < threshold


def thinned(pattern, keep=0.95, *, seed=0, dt_ms=1.0):
    """Keep every spike of a pattern with a probability, and make it a raster.

    Parameters
    ----------
    pattern : array of bool, shape (steps, neurons)
    keep : float
        Probability, 0 to 1.
    seed : int
    dt_ms : float
        Length of a step, ms.

    Returns
    -------
    SpikeRaster
        One sample.
    """
    drawn = np.random.default_rng(seed).random(pattern.shape)
    return SpikeRaster.from_dense((pattern & (drawn < keep))[None] * 1.0, dt_ms=dt_ms)
