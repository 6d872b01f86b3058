"""Time to first spike, linear: the larger the value, the earlier its one spike."""

import numpy as np

from eventsnn.encoders.base import as_values, refuse_above
from eventsnn.errors import DataError
from eventsnn.raster import SpikeRaster
from eventsnn.settings import check_choice, check_number


def _check(p, q, window):
    """Check the input range and the window."""
    for name, value in (("p", p), ("q", q)):
        check_number(value, "(-inf, inf)", f"encoder 'ttfs': {name}", error=DataError)
    if not p < q:
        raise DataError(f"encoder 'ttfs': the input range needs finite p < q, got p = {p}, q = {q}")
    check_number(window, "(0, inf)", "encoder 'ttfs': window, ms,", error=DataError)


def encode(x, *, p=0.0, q=1.0, window=1.0, dtype="float32", clip=False, silent=True):
    """Turn each value into at most one spike.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values, at most q.
    p, q : float, optional
        Input range: p (and below) is silent, q spikes at time 0.
    window : float, optional
        Length R of the input window, ms.
    dtype : {"float32", "float64"}, optional
        Precision of the amplitudes (times are always float64).
    clip : bool, optional
        Let values above q spike at time 0 as q does, instead of refusing them.
    silent : bool, optional
        Whether p (and below) is silent; False: it spikes last, at R with amplitude 0 (alpha-1 ramps need a spike of every
        input).

    Returns
    -------
    SpikeRaster
        Continuous clock, duration R; amplitude a = R - t.

    Raises
    ------
    DataError
        If a value is not finite or above q, or an option is out of range.

    Notes
    -----
    a_i = R (x_i - p) / (q - p),  t_i = R - a_i; silent (or last) if a_i <= 0 (ttfs-relu-equivalence D7: R = 1).

    Examples
    --------
    >>> encode([[0.25, 0.0, 1.0]]).times
    array([0.  , 0.75])
    """
    _check(p, q, window)
    check_choice(dtype, ("float32", "float64"), "encoder 'ttfs': dtype", DataError)
    flat, shape = as_values(x, "ttfs", np.dtype(dtype))
    if not clip:
        refuse_above(flat, q, "ttfs", "raise q to the largest value, or clip")
    amplitudes = window * ((flat - flat.dtype.type(p)) / flat.dtype.type(q - p))
    samples, ids = np.nonzero(amplitudes > (0 if silent else -np.inf))
    amplitudes = np.clip(amplitudes[samples, ids], 0, window).astype(np.float64)
    return SpikeRaster.from_events(
        window - amplitudes, ids, amplitudes, samples,
        size=flat.shape[1], duration=float(window), n_samples=len(flat), shape=shape,
    )  # fmt: skip


def decode(raster, *, p=0.0, q=1.0, window=1.0):
    """Turn first-spike times back into values.

    Parameters
    ----------
    raster : SpikeRaster
        Continuous clock.
    p, q, window : float, optional
        As given to :func:`encode`.

    Returns
    -------
    numpy.ndarray of float64, shape (n_samples, n)
        x_i = p + (q - p) (R - t_i) / R; p where silent.
    """
    _check(p, q, window)
    left = np.maximum(window - raster.first_times(), 0.0)
    return p + (q - p) * (left / window)
