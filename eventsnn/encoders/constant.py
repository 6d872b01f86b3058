"""Constant drive: the value itself arrives at every scheduled instant ("real" or "direct" coding)."""

import numpy as np

from eventsnn.encoders.base import Drive, as_values, sample_numbers
from eventsnn.errors import DataError
from eventsnn.random import key, uniform
from eventsnn.settings import check_number


def encode(x, *, gain=1.0, schedule="every", noise=0.0, seed=0, name="input", sample_ids=None):
    """Turn values into constant drive.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Finite values, any sign.
    gain : float, optional
        Factor on every value, finite and not 0.
    schedule : "every", "first", int or array of bool, optional
        When the drive arrives; see :class:`~eventsnn.encoders.base.Drive`.
    noise : float, optional
        In [0, 2]: each value is multiplied by 1 + u, u uniform in [-noise/2, noise/2), once for all steps.
    seed, name, sample_ids : optional
        Of the random numbers, as in :func:`eventsnn.encoders.poisson.encode`.

    Returns
    -------
    Drive

    Raises
    ------
    DataError
        If a value, the gain, the noise or the schedule is not allowed.

    Notes
    -----
    d_i(t) = gain x_i at every scheduled step t; with noise r, gain x_i (1 + r (uniform(seed, name, sample, 0, i) - 1/2))
    (all-integer-snn 2.9).

    Examples
    --------
    >>> encode([[0.25, 0.5]]).values
    array([[0.25, 0.5 ]])
    """
    _check_gain(gain)
    flat, shape = as_values(x, "constant")
    check_number(noise, "[0, 2]", "encoder 'constant': noise", error=DataError)
    if noise:
        ids = sample_numbers(sample_ids, len(flat), "constant")
        flat = flat * (1 + noise * (uniform(key(seed, "encoder", "constant", name), ids, 0, flat.shape[1]) - 0.5))
    with np.errstate(over="ignore"):  # Drive refuses what is not finite
        return Drive(flat * gain, schedule, shape)


def _check_gain(gain):
    check_number(gain, "(-inf, inf)", "encoder 'constant': gain", error=DataError)
    if gain == 0:
        raise DataError(f"encoder 'constant': gain must be finite and not 0, got {gain}")


def decode(drive, *, gain=1.0):
    """Return the values (n_samples, n) that :func:`encode` was given."""
    _check_gain(gain)
    return drive.values / gain
