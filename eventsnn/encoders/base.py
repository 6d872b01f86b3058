"""What encoders share: checked input values, and Drive, the input that is not spikes."""

import math
from dataclasses import dataclass

import numpy as np

from eventsnn.errors import DataError
from eventsnn.settings import as_numbers


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
    x = as_numbers(x, f"encoder '{code}': values", "fiub", DataError)
    if x.ndim not in (2, 3, 4):
        raise DataError(f"encoder '{code}': values must be numbers (samples, n) or (samples, y, x[, channel]), "
                        f"got {x.dtype} {x.shape}")  # fmt: skip
    shape = x.shape[1:] if x.ndim != 3 else (*x.shape[1:], 1)
    with np.errstate(over="ignore"):
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


def sample_numbers(sample_ids, count, code):
    """Return the number of each of ``count`` samples in its data set; None: 0, 1, ...; raise DataError if they are none."""
    ids = as_numbers(np.arange(count) if sample_ids is None else sample_ids, f"encoder '{code}': sample_ids", "iu", DataError)
    if ids.shape != (count,):
        raise DataError(f"encoder '{code}': sample_ids must have one number per sample ({count}), got {ids.shape}")
    return ids


def need_grid(raster, code):
    """Raise DataError unless the raster to decode is on the grid clock."""
    if raster.clock != "grid":
        raise DataError(f"encoder '{code}': decodes rasters of the grid clock, got one of the {raster.clock} clock")


@dataclass(frozen=True, eq=False)
class Drive:
    """Input that is not spikes: numbers that arrive at every scheduled instant of a run.

    Parameters
    ----------
    values : array_like, shape (n_samples, n)
        Amount per scheduled instant, finite; copied.
    schedule : "every", "first", int or array of bool
        Every step; the first step only; steps with t mod period = 0; a mask over steps, silent where it ends.
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
        if self.shape is not None:
            shape = tuple(as_numbers(self.shape, "drive: shape", "iu", DataError).reshape(-1).tolist())
        if math.prod(shape) != values.shape[1]:
            raise DataError(f"drive: shape {shape} has {math.prod(shape)} elements, the values have {values.shape[1]}")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "schedule", check_schedule(self.schedule, "drive", DataError))

    @property
    def n_samples(self):
        """Number of samples."""
        return self.values.shape[0]

    @property
    def size(self):
        """Number of elements of one sample."""
        return self.values.shape[1]

    def select(self, samples):
        """Return the drive of some samples (a slice, indices or a mask), in the order given."""
        try:
            return Drive(np.atleast_2d(self.values[samples]), self.schedule, self.shape)
        except IndexError as error:
            raise DataError(f"drive: select from {self.n_samples} samples: {error}") from None


def check_schedule(schedule, where, error):
    """Return a schedule: "every", "first", a period, or a mask over steps (a read-only copy); raise `error` if it is none."""
    if isinstance(schedule, str):
        if schedule in ("every", "first"):
            return schedule
    elif isinstance(schedule, list | tuple | np.ndarray) and all(isinstance(on, bool | np.bool_) for on in schedule):
        mask = np.array(schedule, bool)
        mask.setflags(write=False)
        return mask
    elif isinstance(schedule, (int, np.integer)) and not isinstance(schedule, bool) and schedule >= 1:
        return int(schedule)
    raise error(f"{where}: schedule must be 'every', 'first', a period >= 1 or a mask of bool, got {schedule!r}")
