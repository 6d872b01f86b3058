"""Phase code ("weighted spikes"): the binary digits of a value, the largest first, in every period."""

import numpy as np

from eventsnn.encoders.base import as_values, need_grid, refuse_outside, whole_steps
from eventsnn.raster import SpikeRaster


def encode(x, *, steps, period=8, dt_ms=1.0):
    """Turn each value into the spikes of its binary digits.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values in [0, 1].
    steps : int
        Duration in steps, >= 1.
    period : int, optional
        Digits, and steps until they are repeated, from 1 to 32.
    dt_ms : float, optional
        Length of a step, ms.

    Returns
    -------
    SpikeRaster
        Grid clock; amplitude 2^-(1 + t mod period).

    Raises
    ------
    DataError
        If a value is not finite or outside of [0, 1], or an option is out of range.

    Notes
    -----
    In a period v = x at first; in step k of it a spike of amplitude 2^-(1+k) and v -= 2^-(1+k) where v >= 2^-(1+k).  Their sum
    is floor(2^period x) / 2^period, for x = 1 one unit less (Kim et al., Neurocomputing, 2018; neural-coding 2.2).

    Examples
    --------
    >>> encode([[0.7]], steps=8).amplitudes
    array([0.5       , 0.125     , 0.0625    , 0.0078125 , 0.00390625])
    """
    steps, period = whole_steps(steps, "phase"), whole_steps(period, "phase", "period", 32)
    flat, shape = as_values(x, "phase")
    refuse_outside(flat, "phase")
    digits = np.minimum(np.floor(flat * 2.0**period), 2.0**period - 1).astype(np.int64)
    times, neurons, samples = [], [], []
    for sample, row in enumerate(digits):
        k, ids = np.nonzero(row >> np.arange(period - 1, -1, -1)[:, None] & 1)
        t = (np.arange(0, steps, period)[:, None] + k).reshape(-1)
        kept = t < steps
        times.append(t[kept])
        neurons.append(np.tile(ids, t.size // max(1, k.size))[kept])
        samples.append(np.full(times[-1].size, sample))
    times = np.concatenate([np.empty(0, np.int64), *times])
    return SpikeRaster.from_events(
        times, np.concatenate([np.empty(0, np.int64), *neurons]), 2.0 ** -(1 + times % period),
        np.concatenate([np.empty(0, np.int64), *samples]),
        size=flat.shape[1], duration=steps, dt_ms=dt_ms, n_samples=len(flat), shape=shape,
    )  # fmt: skip


def decode(raster, *, period=8):
    """Turn the digits back into values.

    Parameters
    ----------
    raster : SpikeRaster
        Grid clock.
    period : int, optional
        As given to :func:`encode`.

    Returns
    -------
    numpy.ndarray of float64, shape (n_samples, n)
        Mean over whole periods of the summed amplitudes (over the part of one where the raster is shorter).
    """
    period = whole_steps(period, "phase", "period", 32)
    need_grid(raster, "phase")
    periods = max(1, raster.duration // period)
    whole = raster.times < periods * period
    amplitudes = np.where(whole, 1.0 if raster.amplitudes is None else raster.amplitudes, 0.0)
    cells = raster.sample_of_spike() * raster.size + raster.ids
    sums = np.bincount(cells, weights=amplitudes, minlength=raster.n_samples * raster.size)
    return sums.reshape(raster.n_samples, raster.size) / periods
