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


def uniform_weights(seed, name, shape, rule, dtype=np.float32):
    """Draw uniform weights for a layer.

    Parameters
    ----------
    seed : int
        Seed of the network.
    name : str
        Layer name: every layer has its own stream.
    shape : tuple of int
        Shape of the weights: (kernel, ..., n_in, n_out).
    rule : {"he_uniform", "glorot_uniform"}
        Limit sqrt(6 / fan_in), or sqrt(6 / (fan_in + fan_out)).
    dtype : optional
        float32 or float64.

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    He et al., ICCV 2015; Glorot and Bengio, AISTATS 2010, eq. 16. With kernels a fan is its area times the channels.
    """
    fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
    limit = math.sqrt(6 / (fan_in if rule == "he_uniform" else fan_in + fan_out))
    drawn = uniform(key(seed, "initialise", name), 0, 2, math.prod(shape))
    return (limit * (2 * drawn - 1)).reshape(shape).astype(dtype)


def normal(seed, name, shape, dtype=np.float32):
    """Draw standard normal numbers by the Box-Muller transform.

    Parameters
    ----------
    seed : int or None
        Seed of the network; None: zeros, which are quick, for a network of which the shapes alone are of interest.
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
    if seed is None:
        return np.zeros(shape, dtype)
    n, stream = math.prod(shape), key(seed, "initialise", name)
    radius = np.sqrt(-2 * np.log1p(-uniform(stream, 0, 0, n)))
    return (radius * np.cos(2 * np.pi * uniform(stream, 0, 1, n))).reshape(shape).astype(dtype)
