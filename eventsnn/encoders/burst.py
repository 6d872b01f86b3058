"""Burst code: a value as runs of growing spikes, presented again and again."""

import numpy as np

from eventsnn.encoders.base import as_values, need_grid, refuse_outside, whole_steps
from eventsnn.errors import DataError, did_you_mean
from eventsnn.raster import SpikeRaster
from eventsnn.settings import check_number

RELOADS = ("sample", "batch")


def _check(threshold, beta, reload):
    if isinstance(reload, str) and reload not in RELOADS:
        raise DataError(f"encoder 'burst': reload must be a number of steps or one of {', '.join(RELOADS)}, got {reload!r}"
                        f"{did_you_mean(reload, RELOADS)}")  # fmt: skip
    if not isinstance(reload, str):
        whole_steps(reload, "burst", "reload")
    check_number(threshold, "[1e-6, inf)", "encoder 'burst': threshold", error=DataError)
    check_number(beta, "[1, inf)", "encoder 'burst': beta", error=DataError)


def encode(x, *, steps, threshold=0.125, beta=2.0, reload=8, dt_ms=1.0):
    """Turn each value into bursts of spikes.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values in [0, 1]; those below ``threshold`` never spike.
    steps : int
        Duration in steps, >= 1.
    threshold : float, optional
        Amplitude of the first spike of a burst, >= 1e-6.
    beta : float, optional
        Factor from one spike of a burst to the next, >= 1.
    reload : int or {"sample", "batch"}, optional
        When values are presented again: after so many steps (8 are enough for every value, with the default threshold and
        beta); after a step in which the whole sample was silent; or, as in published code, all samples given here, so that
        what a sample becomes depends on its company. Biases can keep in step with the first of these only.
    dt_ms : float, optional
        Length of a step, ms.

    Returns
    -------
    SpikeRaster
        Grid clock; amplitudes threshold, threshold beta, threshold beta^2, ...

    Raises
    ------
    DataError
        If a value is not finite or outside of [0, 1], or an option is out of range.

    Notes
    -----
    v = x, theta = threshold at first.  In every step: v >= theta: a spike of amplitude theta, v -= theta, theta *= beta; else
    theta = threshold.  When values are presented again v = x, theta = threshold: what was left of v is dropped (Park et al.,
    DAC, 2019; neural-coding 2.2).

    Examples
    --------
    >>> encode([[0.5]], steps=8).amplitudes
    array([0.125, 0.25 , 0.125])
    """
    steps = whole_steps(steps, "burst")
    _check(threshold, beta, reload)
    flat, shape = as_values(x, "burst")
    refuse_outside(flat, "burst")
    v, theta = flat.copy(), np.full(flat.shape, float(threshold))
    found = [(np.empty(0, np.int64),) * 3 + (np.empty(0),)]
    for t in range(steps):
        fired = v >= theta
        samples, ids = np.nonzero(fired)
        sent = theta[samples, ids]
        found.append((np.full(ids.size, t), ids, samples, sent))
        v[samples, ids] -= sent
        theta = np.where(fired, theta * beta, threshold)
        again = _presented(fired, t, reload)
        v[again], theta[again] = flat[again], threshold
    times, ids, samples, sent = (np.concatenate(column) for column in zip(*found))
    return SpikeRaster.from_events(times, ids, sent, samples, size=flat.shape[1], duration=steps, dt_ms=dt_ms,
                                   n_samples=len(flat), shape=shape)  # fmt: skip


def _presented(fired, t, reload):
    """Return which samples are presented again after step t, (n_samples,) of bool; fired (n_samples, n) or (n_samples, 1)."""
    if reload == "sample":
        return ~fired.any(axis=1)
    return np.full(len(fired), not fired.any() if reload == "batch" else (t + 1) % reload == 0)


def decode(raster, *, reload=8):
    """Turn bursts back into values.

    Parameters
    ----------
    raster : SpikeRaster
        Grid clock.
    reload : int or {"sample", "batch"}, optional
        As given to :func:`encode`.

    Returns
    -------
    numpy.ndarray of float64, shape (n_samples, n)
        Mean over finished presentations of the summed amplitudes; 0 where none was finished.
    """
    _check(1.0, 1.0, reload)
    need_grid(raster, "burst")
    busy, samples = np.zeros((raster.n_samples, raster.duration), bool), raster.sample_of_spike()
    busy[samples, raster.times] = True
    ends = np.array([_presented(busy[:, t : t + 1], t, reload) for t in range(raster.duration)], bool)
    ends = ends.reshape(raster.duration, raster.n_samples).T
    last = (ends * np.arange(1, raster.duration + 1)).max(axis=1, initial=0)
    amplitudes = np.ones(raster.n_spikes) if raster.amplitudes is None else raster.amplitudes
    sums = np.bincount(samples * raster.size + raster.ids, weights=np.where(raster.times < last[samples], amplitudes, 0.0),
                       minlength=raster.n_samples * raster.size)  # fmt: skip
    return sums.reshape(raster.n_samples, raster.size) / np.maximum(ends.sum(axis=1), 1)[:, None]
