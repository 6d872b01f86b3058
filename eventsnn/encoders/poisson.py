"""Poisson (Bernoulli per step) rate code with signs, from counter-based random numbers."""

import numpy as np

from eventsnn.encoders.base import as_values, refuse_above, sample_numbers, whole_steps
from eventsnn.errors import DataError
from eventsnn.random import key, uniform
from eventsnn.raster import SpikeRaster
from eventsnn.settings import check_choice, check_number

# Random numbers held at once, in elements.
CHUNK = 2**20


def encode(x, *, steps, dt_ms=1.0, gain=1.0, amplitude=1.0, seed, name="input", sample_ids=None, clip=False):
    """Turn each value into a random spike train whose rate is proportional to it.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values; ``|x| gain`` at most 1.
    steps : int
        Duration in steps, >= 1.
    dt_ms : float, optional
        Length of a step, ms.
    gain : float, optional
        Spike probability per step of |x| = 1, > 0.
    amplitude : float, optional
        What a spike carries, > 0.
    seed : int
        Seed of the run.
    name : str, optional
        Name of the input: inputs of different names get independent numbers.
    sample_ids : array_like of int, shape (n_samples,), optional
        Number of each sample in the whole data set, so that any part of it gets the spikes it gets in the whole;
        default 0, 1, ...
    clip : bool, optional
        Let values with ``|x| gain`` above 1 spike at every step, instead of refusing them.

    Returns
    -------
    SpikeRaster
        Grid clock; amplitude sign(x) ``amplitude``.

    Raises
    ------
    DataError
        If a value is not finite or too large, or an option is out of range.

    Notes
    -----
    Element i spikes at step t iff |x_i| gain > r, r = uniform(seed, name, sample, t, i) in [0, 1), so that 0 never
    spikes and 1 always does (hybrid-stdb S-rows; neural-coding 2.2 POISSON has ``x >= r``, which differs on ties only).

    Examples
    --------
    >>> encode([[0.0, 1.0]], steps=3, seed=0).times
    array([0, 1, 2])
    """
    steps = whole_steps(steps, "poisson")
    _check_factors(gain, amplitude)
    check_choice(clip, (True, False), "encoder 'poisson': clip", DataError)
    flat, shape = as_values(x, "poisson")
    if not clip:
        refuse_above(np.abs(flat) * gain, 1.0, "poisson", "scale the values into [-1, 1], lower gain, or clip")
    ids = sample_numbers(sample_ids, len(flat), "poisson")
    stream = key(seed, "encoder", "poisson", name)
    parts = [_spikes(row, stream, int(sample), steps, gain) for row, sample in zip(flat, ids)]
    offsets = np.concatenate([[0], np.cumsum([len(times) for times, _ in parts])]).astype(np.int64)
    times = np.concatenate([np.empty(0, np.int64), *(t for t, _ in parts)])
    neurons = np.concatenate([np.empty(0, np.int64), *(i for _, i in parts)])
    samples = np.repeat(np.arange(len(flat)), np.diff(offsets))
    amplitudes = np.where(flat[samples, neurons] < 0, -amplitude, amplitude)
    return SpikeRaster(
        times, neurons, amplitudes, size=flat.shape[1], duration=steps, dt_ms=dt_ms, offsets=offsets, shape=shape
    )


def _spikes(row, stream, sample, steps, gain):
    """Return (times, ids) of one sample, sorted; values of 0 draw no numbers."""
    active = np.flatnonzero(row)
    level = np.abs(row[active]) * gain
    # Where most elements are active it is cheaper to draw all of them in one sweep of counters.
    elements = active if 2 * active.size < row.size else row.size
    rows = max(1, CHUNK // max(1, row.size))
    times, ids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first in range(0, steps, rows):
        draw = uniform(stream, sample, np.arange(first, min(first + rows, steps)), elements)
        fired = level > (draw if elements is active else draw[:, active])
        t, k = np.nonzero(fired)
        times.append(t + first)
        ids.append(active[k])
    return np.concatenate(times), np.concatenate(ids)


def _check_factors(gain, amplitude):
    for option, value in (("gain", gain), ("amplitude", amplitude)):
        check_number(value, "(0, inf)", f"encoder 'poisson': {option}", error=DataError)


def decode(raster, *, gain=1.0, amplitude=1.0):
    """Estimate the values from spike rates.

    Parameters
    ----------
    raster : SpikeRaster
        Grid clock.
    gain, amplitude : float, optional
        As given to :func:`encode`.

    Returns
    -------
    numpy.ndarray of float64, shape (n_samples, n)
        Mean signed amplitude per step, divided by gain and amplitude; standard error
        sqrt(|x| gain (1 - |x| gain) / steps) / gain.
    """
    _check_factors(gain, amplitude)
    return raster.amplitude_sums() / (raster.duration * gain * amplitude)
