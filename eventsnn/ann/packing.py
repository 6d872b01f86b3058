"""Ternary weights at 2 bits each: what a file of a quantised network holds."""

import numpy as np


def pack(weights):
    """Return weights -1, 0, +1 as bytes, four in each.

    Parameters
    ----------
    weights : ndarray
        Of any shape; every value -1, 0 or +1.

    Returns
    -------
    ndarray of uint8 (ceil(size / 4),)
        Weight k is in byte k // 4, at bit 2 (k % 4): 0 stands for 0, 1 for +1, 2 for -1; row-major.
    """
    codes = np.where(weights.ravel() < 0, 2, weights.ravel() > 0).astype(np.uint8)
    codes = np.pad(codes, (0, -codes.size % 4)).reshape(-1, 4)
    return (codes << np.arange(0, 8, 2, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)


def unpack(packed, shape):
    """Return the weights that :func:`pack` packed.

    Parameters
    ----------
    packed : ndarray of uint8
    shape : tuple of int

    Returns
    -------
    ndarray of float32

    Raises
    ------
    ValueError
        If the number of bytes does not fit the shape, or a code is unknown.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if packed.dtype != np.uint8 or packed.ndim != 1 or packed.size != -(-size // 4):
        raise ValueError(f"packed ternary weights of shape {tuple(shape)} need {-(-size // 4)} bytes, "
                         f"got {packed.dtype} {packed.shape}")  # fmt: skip
    codes = (packed[:, None] >> np.arange(0, 8, 2, dtype=np.uint8) & 3).ravel()
    if (codes == 3).any() or codes[size:].any():
        raise ValueError("packed ternary weights hold a code that means nothing; the file is damaged")
    return np.array([0, 1, -1], np.float32)[codes[:size]].reshape(shape)
