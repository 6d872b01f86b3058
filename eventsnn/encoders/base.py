"""What encoders share: checked input values, and Drive, the input that is not spikes."""

import math
from dataclasses import dataclass

import numpy as np

from eventsnn.errors import DataError


def as_values(x, code, dtype=np.float64):
    """Return input values as (n_samples, n) and the shape of one sample.

    Parameters
    ----------
    x : array_like, shape (n_samples, ...)
        Numbers, one row per sample.
    code : str
        Name of the encoder, for messages.
    dtype : optional
        Floating dtype to compute in.

    Returns
    -------
    tuple of numpy.ndarray and tuple of int
        Values (n_samples, n) and the shape (n,) or (y, x, channel); an image without channel axis gets one.

    Raises
    ------
    DataError
        If there is no sample axis, or a value is not finite.
    """
    x = np.asarray(x)
    if x.ndim not in (2, 3, 4) or x.dtype.kind not in "fiub":
        raise DataError(f"encoder '{code}': values must be numbers (samples, n) or (samples, y, x[, channel]), "
                        f"got {x.dtype} {x.shape}")  # fmt: skip
    shape = x.shape[1:] if x.ndim != 3 else (*x.shape[1:], 1)
    flat = x.reshape(x.shape[0], math.prod(x.shape[1:])).astype(dtype)
    bad = np.argwhere(~np.isfinite(flat))
    if len(bad):
        sample, element = (int(i) for i in bad[0])
        raise DataError(f"encoder '{code}': values must be finite, got {flat[sample, element]} in sample {sample}, "
                        f"element {element} ({len(bad)} such values)")  # fmt: skip
    return flat, shape


def refuse_above(flat, limit, code, remedy):
    """Raise DataError if a value of (n_samples, n) exceeds ``limit``; the message ends with ``remedy``."""
    above = np.argwhere(flat > limit)
    if len(above):
        sample, element = (int(i) for i in above[0])
        raise DataError(f"encoder '{code}': values must be at most {limit}, got {flat[sample, element]} in sample "
                        f"{sample}, element {element} ({len(above)} such values); {remedy}")  # fmt: skip


def refuse_outside(flat, code):
    """Raise DataError if a value of (n_samples, n) lies outside of [0, 1]."""
    refuse_above(flat, 1.0, code, "scale the values into [0, 1]")
    below = np.argwhere(flat < 0)
    if len(below):
        sample, element = (int(i) for i in below[0])
        raise DataError(f"encoder '{code}': values must be at least 0, got {flat[sample, element]} in sample {sample}, "
                        f"element {element} ({len(below)} such values); codes with signs are constant and poisson")  # fmt: skip


def whole_steps(value, code, name="steps", most=2**31 - 1):
    """Return a number of steps, from 1 to ``most``, as an int; raise DataError if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= most:
        limit = f" and <= {most}" if most < 2**31 - 1 else ""
        raise DataError(f"encoder '{code}': {name} must be a whole number >= 1{limit}, got {value!r}")
    return int(value)


@dataclass(frozen=True, eq=False)
class Drive:
    """Input that is not spikes: numbers that arrive at every scheduled instant of a run.

    Parameters
    ----------
    values : array_like, shape (n_samples, n)
        Amount per scheduled instant.
    schedule : "every", "first", int or array of bool
        Every step; the first step only; steps with t mod period = 0; a mask over steps.
    shape : tuple of int, optional
        Shape of one sample, (n,) or (y, x, channel); default (n,).

    Raises
    ------
    DataError
        If values are not finite or the schedule is unknown.
    """

    values: np.ndarray
    schedule: object = "every"
    shape: tuple = None

    def __post_init__(self):
        """Check and freeze."""
        values, shape = as_values(self.values, "drive")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        shape = shape if self.shape is None else tuple(int(n) for n in self.shape)
        if math.prod(shape) != values.shape[1]:
            raise DataError(f"drive: shape {shape} has {math.prod(shape)} elements, the values have {values.shape[1]}")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "schedule", _schedule(self.schedule))

    @property
    def n_samples(self):
        """Number of samples."""
        return self.values.shape[0]

    @property
    def size(self):
        """Number of elements of one sample."""
        return self.values.shape[1]

    def select(self, samples):
        """Return the drive of some samples, in the order given."""
        return Drive(self.values[samples], self.schedule, self.shape)


def _schedule(schedule):
    """Check a schedule: "every", "first", a period, or a mask over steps (returned as a read-only array)."""
    if isinstance(schedule, str):
        if schedule in ("every", "first"):
            return schedule
    elif np.ndim(schedule) == 1 and np.asarray(schedule).dtype == bool:
        mask = np.array(schedule)
        mask.setflags(write=False)
        return mask
    elif isinstance(schedule, (int, np.integer)) and not isinstance(schedule, bool) and schedule >= 1:
        return int(schedule)
    raise DataError(f"drive: schedule must be 'every', 'first', a period >= 1 or a mask of bool, got {schedule!r}")
