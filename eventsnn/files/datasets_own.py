"""A user's own data set in a .npz."""

import numpy as np

from eventsnn.disk import read_npz
from eventsnn.errors import DataError

MOST_CLASSES = 100_000  # a label is the number of a class, not any number


def read_own(path, split):
    """Read a user's .npz: x, y, or x_train, y_train, x_test, y_test.

    Returns
    -------
    tuple of ndarray
        Values (uint8 as they are, other numbers as float64; three dimensions get a channel) and integer labels.
    """
    arrays = read_npz(path, DataError, ["x", "y", f"x_{split}", f"y_{split}"])
    x, y = (arrays.get(f"{name}_{split}", arrays.get(name)) for name in ("x", "y"))
    if x is None or y is None:
        raise DataError(f"{path}: needs the arrays x and y, or x_{split} and y_{split}")
    if x.ndim not in (2, 3, 4) or x.dtype.kind not in "uifb":
        raise DataError(f"{path}: x must be numbers (n, features), (n, y, x) or (n, y, x, c), got {x.dtype}, {x.shape}")
    if y.shape != (len(x),) or y.dtype.kind not in "ui" or (y.size and int(y.min()) < 0):
        raise DataError(f"{path}: y must be {len(x)} integer labels >= 0, one for each of x, got {y.dtype}, {y.shape}")
    if y.size and int(y.max()) >= MOST_CLASSES:
        raise DataError(f"{path}: y must be labels from 0 to {MOST_CLASSES - 1}, got {int(y.max())}")
    if x.dtype != np.uint8:
        x = x.astype(np.float64)
        good = np.abs(x) <= np.finfo(np.float32).max  # networks compute in float32; False for NaN
        if not good.all():
            first = int((~good.reshape(len(x), -1)).any(axis=1).argmax())
            raise DataError(f"{path}: x holds a value that is not finite in float32 (first in sample {first})")
    return (x[..., None] if x.ndim == 3 else x), y
