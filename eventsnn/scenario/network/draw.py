"""Weights and delays of a scenario, drawn from the counter-based generator or read."""

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError
from eventsnn.random import key, uniform
from eventsnn.scenario.schema.synapses import ConstantWeights, FileWeights, NormalWeights, UniformDelays


def weights(loaded, name, spec, shape):
    """Make the weights of a projection: element k of the stream (seed, "weights", projection name).

    Parameters
    ----------
    loaded : LoadedScenario
    name : str
        Of the projection.
    spec : Weights
        How they are initialised.
    shape : tuple of int

    Returns
    -------
    ndarray
        Of that shape; weights from a file come as they are.
    """
    if isinstance(spec, ConstantWeights):
        return np.full(shape, spec.value)
    if isinstance(spec, FileWeights):
        path = loaded.file(spec.file)
        arrays = disk.read_npz(path, DataError)
        if spec.array not in arrays:
            raise DataError(f"{path}: has no array '{spec.array}', allowed {', '.join(arrays) or 'none'}")
        return arrays[spec.array]
    count, stream = int(np.prod(shape)), key(loaded.spec.seed, "weights", name)
    if isinstance(spec, NormalWeights):
        values = spec.mean + spec.std * _normal(stream, count)
    else:
        values = spec.low + (spec.high - spec.low) * uniform(stream, 0, 0, count)
    if spec.step is not None:
        values = np.rint(values / spec.step) * spec.step
    return values.reshape(shape)


def delays(loaded, name, spec, count, *, steps):
    """Make the delays of a projection: element k of the stream (seed, "delays", projection name).

    Parameters
    ----------
    loaded : LoadedScenario
    name : str
        Of the projection.
    spec : number or UniformDelays
    count : int
        Number of synapses.
    steps : bool
        Whether delays are whole steps: low, low + 1 ... high with equal probability. Otherwise times in [low, high).

    Returns
    -------
    common : number
        Delay of the projection.
    own : ndarray, shape (count,), or None
        What each synapse adds to it.
    """
    if not isinstance(spec, UniformDelays):
        return spec, None
    low, high = spec.uniform
    drawn = uniform(key(loaded.spec.seed, "delays", name), 0, 0, count)
    if steps:
        return 0, low + np.floor((high - low + 1) * drawn).astype(np.int64)
    return 0.0, low + (high - low) * drawn


def _normal(stream, count):
    """Standard normal numbers by Box and Muller: two uniform numbers each."""
    first, second = uniform(stream, 0, 0, count), uniform(stream, 0, 1, count)
    return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
