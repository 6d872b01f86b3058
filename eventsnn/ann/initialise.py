"""Initial weights of source networks, from the counter-based generator: the same on every machine."""

import math

import numpy as np

from eventsnn.random import key, uniform


def he_normal(seed, name, shape, dtype=np.float32):
    """Draw weights for a layer followed by a ReLU.

    Parameters
    ----------
    seed : int
        Seed of the network.
    name : str
        Layer name: every layer has its own stream.
    shape : tuple of int
        Shape of the weights; the last axis is the output.
    dtype : optional
        float32 or float64.

    Returns
    -------
    numpy.ndarray
        Normal with standard deviation sqrt(2 / fan_in), by the Box-Muller transform.

    Notes
    -----
    He et al., "Delving deep into rectifiers", ICCV 2015, eq. 10.
    """
    drawn = normal(seed, name, shape, np.float64)
    return (drawn * math.sqrt(2 / math.prod(shape[:-1]))).astype(dtype)


def normal(seed, name, shape, dtype=np.float32):
    """Draw standard normal numbers by the Box-Muller transform.

    Parameters
    ----------
    seed : int
        Seed of the network.
    name : str
        Layer name: every layer has its own stream.
    shape : tuple of int
        Shape of the result.
    dtype : optional
        float32 or float64.

    Returns
    -------
    numpy.ndarray
    """
    n, stream = math.prod(shape), key(seed, "initialise", name)
    radius = np.sqrt(-2 * np.log1p(-uniform(stream, 0, 0, n)))
    return (radius * np.cos(2 * np.pi * uniform(stream, 0, 1, n))).reshape(shape).astype(dtype)
