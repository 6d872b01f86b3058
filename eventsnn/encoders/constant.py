"""Constant drive: the value itself arrives at every scheduled instant ("real" or "direct" coding)."""

import numpy as np

from eventsnn.encoders.base import Drive, as_values
from eventsnn.errors import DataError


def encode(x, *, gain=1.0, schedule="every"):
    """Turn values into constant drive.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values, any sign.
    gain : float, optional
        Factor on every value, finite and not 0.
    schedule : "every", "first", int or array of bool, optional
        When the drive arrives; see :class:`~eventsnn.encoders.base.Drive`.

    Returns
    -------
    Drive

    Raises
    ------
    DataError
        If a value, the gain or the schedule is not allowed.

    Notes
    -----
    d_i(t) = gain x_i at every scheduled step t.

    Examples
    --------
    >>> encode([[0.25, 0.5]]).values
    array([[0.25, 0.5 ]])
    """
    if not np.isfinite(gain) or gain == 0:
        raise DataError(f"encoder 'constant': gain must be finite and not 0, got {gain}")
    flat, shape = as_values(x, "constant")
    return Drive(flat * gain, schedule, shape)


def decode(drive, *, gain=1.0):
    """Return the values (n_samples, n) that :func:`encode` was given."""
    return drive.values / gain
