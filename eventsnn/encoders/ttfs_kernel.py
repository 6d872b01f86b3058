"""Time to first spike under a falling exponential threshold: the input code of T2FSNN."""

import numpy as np

from eventsnn.encoders.base import as_values, refuse_above, whole_steps
from eventsnn.errors import DataError
from eventsnn.neurons.ttfs import kernel_tables
from eventsnn.raster import SpikeRaster
from eventsnn.settings import check_choice, check_number


def encode(x, *, tau=20.0, td=0.0, window=80, theta0=1.0, half_step=False, dt_ms=1.0, grid=False, duration=None,
           clip=False, dtype="float32"):  # fmt: skip
    """Turn each value into at most one spike, whose amplitude is the kernel value at its time.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values, at most 1; 0 and below are silent.
    tau, td : float, optional
        Time constant (> 0) and delay of the kernel, steps.
    window : int, optional
        Length T_fd of the fire window, steps.
    theta0 : float, optional
        Threshold at n = td, > 0.
    half_step : bool, optional
        Look at the threshold half a step later: round to nearest in time.
    dt_ms : float, optional
        Length of a step, ms.
    grid : bool, optional
        Make a raster of the grid clock (for `ttfs_early`) instead of the continuous one (for `ttfs`).
    duration : int, optional
        Steps of the raster, at least ``window`` (default): on the grid the whole run takes that long.
    clip : bool, optional
        Let values above 1 count as 1, instead of refusing them.
    dtype : {"float32", "float64"}, optional
        Precision of thresholds and amplitudes.

    Returns
    -------
    SpikeRaster
        Spikes at step n (continuous clock: n dt_ms), amplitude exp(-(n - td) / tau).

    Raises
    ------
    DataError
        If a value is not finite or above 1, or an option is out of range.

    Notes
    -----
    n = the smallest integer in [0, window) with x >= theta0 exp(-(n + h - td) / tau), h = 0.5 with half_step, else 0;
    none: silent (neural-coding 2.2 TEMPORAL, 2.6, F49).

    Examples
    --------
    >>> encode([[0.5, 1.0, 0.01]]).times
    array([ 0., 14.])
    """
    for name, value in (("half_step", half_step), ("grid", grid), ("clip", clip)):
        check_choice(value, (True, False), f"encoder 'ttfs_kernel': {name}", DataError)
    threshold, amplitude = _tables(tau, td, window, theta0, half_step, dtype)
    duration = _duration(duration, window)
    flat, shape = as_values(x, "ttfs_kernel", np.dtype(dtype))
    if not clip:
        refuse_above(flat, 1.0, "ttfs_kernel", "scale the values into [0, 1], or clip")
    flat = np.minimum(flat, flat.dtype.type(1))
    samples, ids = np.nonzero((flat >= threshold[-1]) & (flat > 0))
    # thresholds fall, so the first one not above x is the number of those above it
    n = window - np.searchsorted(threshold[::-1], flat[samples, ids], side="right")
    return _raster(n, ids, amplitude[n], samples, flat, shape, dt_ms, grid, duration)


def analog(x, *, dt_ms=1.0, grid=False, duration=80):
    """Let each value itself arrive once, at the first step, as the amplitude of a spike (REAL input of TTFS networks).

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values, any sign; 0 is silent.
    dt_ms, grid
        As for :func:`encode`.
    duration : int, optional
        Steps of the raster.

    Returns
    -------
    SpikeRaster
        Spikes at time 0, amplitude x.

    Raises
    ------
    DataError
        If a value is not finite.
    """
    flat, shape = as_values(x, "ttfs_kernel")
    samples, ids = np.nonzero(flat)
    n = np.zeros(ids.size, np.int64)
    return _raster(n, ids, flat[samples, ids], samples, flat, shape, dt_ms, grid, _duration(duration, 1))


def decode(raster):
    """Turn spikes back into values.

    Parameters
    ----------
    raster : SpikeRaster
        Of :func:`encode`.

    Returns
    -------
    numpy.ndarray of float64, shape (n_samples, n)
        The kernel value at the spike's time, which is what the next layer hears; 0 where silent. With theta0 = 1 and
        without half_step it is x, rounded down by less than a factor e^(1/tau).
    """
    return raster.amplitude_sums()


def _tables(tau, td, window, theta0, half_step, dtype):
    check_choice(dtype, ("float32", "float64"), "encoder 'ttfs_kernel': dtype", DataError)
    whole_steps(window, "ttfs_kernel", "window", most=2**22)  # that of the neurons
    for name, value, interval in (("tau", tau, "(0, inf)"), ("theta0", theta0, "(0, inf)"), ("td", td, "(-inf, inf)")):
        check_number(value, interval, f"encoder 'ttfs_kernel': {name}", error=DataError)
    threshold, amplitude = kernel_tables(window, tau, td, theta0, half_step)
    if not (threshold[-1] >= 1e-35 and amplitude[0] <= 1e35):
        raise DataError(f"encoder 'ttfs_kernel': tau = {tau} and td = {td} give amplitudes from {amplitude[0]:g} to "
                        f"{amplitude[-1]:g}, which a float32 cannot hold; take a longer tau or a shorter window")  # fmt: skip
    return threshold.astype(dtype), amplitude.astype(dtype)


def _duration(duration, window):
    duration = window if duration is None else duration
    if isinstance(duration, bool) or not isinstance(duration, int | np.integer) or duration < window:
        raise DataError(f"encoder 'ttfs_kernel': duration must be a whole number of steps >= {window}, got {duration!r}")
    return int(duration)


def _raster(n, ids, amplitudes, samples, flat, shape, dt_ms, grid, duration):
    check_number(dt_ms, "(0, inf)", "encoder 'ttfs_kernel': dt_ms", error=DataError)
    times, clock = (n, {"dt_ms": dt_ms}) if grid else (n * float(dt_ms), {})
    return SpikeRaster.from_events(
        times, ids, amplitudes.astype(np.float64), samples, size=flat.shape[1],
        duration=duration if grid else duration * float(dt_ms), n_samples=len(flat), shape=shape, **clock,
    )  # fmt: skip
