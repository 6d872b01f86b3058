"""A user's own data set in a .npz."""

import numpy as np

from eventsnn.disk import read_npz
from eventsnn.errors import DataError


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
    if x.dtype != np.uint8:
        x = x.astype(np.float64)
        if not np.isfinite(x).all():
            raise DataError(f"{path}: x holds a value that is not finite (first in sample {_first_bad(x)})")
    return (x[..., None] if x.ndim == 3 else x), y


def _first_bad(x):
    return int((~np.isfinite(x.reshape(len(x), -1))).any(axis=1).argmax())
