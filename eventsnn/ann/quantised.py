"""Layers of quantised source networks: ternary weights, and a ReLU whose values are whole multiples of 2^-k."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.base import Layer
from eventsnn.ann.layers import Conv2d

TERNARY_SHARE = 0.7
# Lets exact halves go up, as far as float32 resolves it; part of the published quantiser.
ROUND_UP = 1e-5


def ternary(weights):
    """Return weights as -1, 0, +1.

    Parameters
    ----------
    weights : ndarray
        All weights of a layer.

    Returns
    -------
    ndarray
        Same shape and dtype: the sign where abs(w) >= t, else 0; t = 0.7 mean(abs(w)) (all-integer-snn 2.2). Ternary
        weights are left as they are.
    """
    limit = weights.dtype.type(TERNARY_SHARE) * np.abs(weights).mean(dtype=np.float64).astype(weights.dtype)
    return np.sign(weights) * (np.abs(weights) >= limit)


@dataclass(frozen=True, eq=False)
class TernaryConv2d(Conv2d):
    """Convolution whose weights are used as -1, 0, +1; `weights` are the floats behind them, which training moves."""

    def plain(self):
        """Return the convolution with the weights that are used."""
        return Conv2d(self.name, ternary(self.weights), self.bias, self.stride, self.padding)

    def apply(self, x):
        """Return the convolution with ternary weights."""
        return self.plain().apply(x)


@dataclass(frozen=True, eq=False)
class QuantReLU(Layer):
    """Rectifier rounded to multiples of 2^-k: round(2^k max(y, 0) + 1e-5) / 2^k, halves to even, at most `top`."""

    k: int = 0
    top: float | None = None

    def __post_init__(self):
        """Check the options."""
        if isinstance(self.k, bool) or not isinstance(self.k, int) or not 0 <= self.k <= 16:
            self.complain(f"k must be a whole number from 0 to 16, got {self.k!r}")
        if self.top is not None and not (np.isfinite(self.top) and self.top > 0 and self.top * 2**self.k % 1 == 0):
            self.complain(f"top must be a positive multiple of 2^-k, got {self.top!r}")

    def levels(self, y):
        """Return the whole-numbered level of each value: 2^k times the activation."""
        y = np.maximum(y, 0)
        y = y if self.top is None else np.minimum(y, y.dtype.type(self.top))
        return np.round(y * y.dtype.type(2**self.k) + y.dtype.type(ROUND_UP))

    def apply(self, x):
        """Return the rounded activation."""
        return self.levels(x) / x.dtype.type(2**self.k)
