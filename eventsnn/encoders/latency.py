"""Latency of a leaky neuron under a constant current: the larger the value, the earlier its one spike; small ones never fire."""

import numpy as np

from eventsnn.encoders.base import as_values
from eventsnn.errors import DataError
from eventsnn.raster import SpikeRaster
from eventsnn.settings import check_number


def _check(tau, threshold, duration, dt_ms):
    for name, value in (("tau", tau), ("threshold", threshold), ("duration", duration), ("dt_ms", 1 if dt_ms is None else dt_ms)):
        check_number(value, "(0, inf)", f"encoder 'latency': {name}", error=DataError)


def encode(x, *, tau=20.0, threshold=0.2, duration=1000.0, dt_ms=None):
    """Turn each value into at most one spike.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values.
    tau : float, optional
        Time constant of the membrane, ms.
    threshold : float, optional
        The value that would fire at infinity; at and below it: silent.
    duration : float, optional
        Length of the raster, ms; later spikes are left out.
    dt_ms : float, optional
        Length of a step, ms: the grid clock, times rounded down to whole steps. None: the continuous clock.

    Returns
    -------
    SpikeRaster

    Raises
    ------
    DataError
        If a value is not finite or an option is not positive.

    Notes
    -----
    t = tau ln(x / (x - threshold)): when a membrane with resistance 1 reaches the threshold under the current x.

    Examples
    --------
    >>> encode([[0.4, 0.1]], dt_ms=1.0).times
    array([13])
    """
    _check(tau, threshold, duration, dt_ms)
    flat, shape = as_values(x, "latency")
    samples, ids = np.nonzero(flat > threshold)
    values = flat[samples, ids]
    times = tau * -np.log1p(-threshold / values)
    if dt_ms is not None:
        duration, times = max(1, int(duration / dt_ms)), np.floor(times / dt_ms).astype(np.int64)
    early = times < duration
    return SpikeRaster.from_events(
        times[early], ids[early], None, samples[early],
        size=flat.shape[1], duration=duration, dt_ms=dt_ms, n_samples=len(flat), shape=shape,
    )  # fmt: skip


def decode(raster, *, tau=20.0, threshold=0.2):
    """Turn first-spike times back into values.

    Parameters
    ----------
    raster : SpikeRaster
    tau, threshold : float, optional
        As given to :func:`encode`.

    Returns
    -------
    numpy.ndarray of float64, shape (n_samples, n)
        x = threshold / (1 - exp(-t / tau)); 0 where silent, infinite at t = 0.
    """
    _check(tau, threshold, 1.0, raster.dt_ms)
    times = raster.first_times()
    fired = np.isfinite(times)
    with np.errstate(divide="ignore"):
        values = threshold / -np.expm1(-np.where(fired, times, 1.0) / tau)
    return np.where(fired, values, 0.0)
