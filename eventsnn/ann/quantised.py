"""Layers of quantised source networks: ternary weights, rectifiers whose values are multiples of 2^-k or of a trained step."""

from dataclasses import dataclass, replace

import numpy as np

from eventsnn.ann.base import Layer, parameter
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


def k_bit(weights, bits):
    """Return weights on a grid of so many bits.

    Parameters
    ----------
    weights : ndarray
    bits : int
        1 .. 32.

    Returns
    -------
    ndarray
        Same shape and dtype. 32: as they are; 1: the sign; else clipped to [-1, 1] and rounded to multiples of 2^-bits, halves
        to even (all-integer-snn A13).
    """
    if bits == 32:
        return weights
    if bits == 1:
        return np.sign(weights)
    return np.round(np.clip(weights, -1, 1) * weights.dtype.type(2**bits)) / weights.dtype.type(2**bits)


@dataclass(frozen=True, eq=False)
class QuantConv2d(Conv2d):
    """Convolution that multiplies with rounded weights; `weights` are the floats behind them, which training moves."""

    @property
    def grid(self):
        """Distance of neighbouring weights: divided by it they are whole numbers; None for floats."""
        return None

    def used(self):
        """Return the weights that the convolution multiplies with."""
        return self.weights

    def plain(self):
        """Return the convolution with the weights that are used."""
        return Conv2d(self.name, self.used(), self.bias, self.stride, self.padding)

    def apply(self, x):
        """Return the convolution with the weights that are used."""
        return self.plain().apply(x)


@dataclass(frozen=True, eq=False)
class TernaryConv2d(QuantConv2d):
    """Convolution whose weights are used as -1, 0, +1, see :func:`ternary`."""

    @property
    def grid(self):
        """1: weights are whole numbers."""
        return 1.0

    def used(self):
        """Return the weights that the convolution multiplies with."""
        return ternary(self.weights)


def ternarised(graph):
    """Make the hidden weights of a network ternary that was trained with floats.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    LayerGraph
        Every convolution but the first is a TernaryConv2d (all-integer-snn B2).
    """
    convolutions = [layer for layer in graph.layers if isinstance(layer, Conv2d)]
    hidden = {x.name: TernaryConv2d(x.name, x.weights, x.bias, x.stride, x.padding) for x in convolutions[1:]}
    return replace(graph, layers=tuple(hidden.get(layer.name, layer) for layer in graph.layers))


@dataclass(frozen=True, eq=False)
class KBitConv2d(QuantConv2d):
    """Convolution whose weights are used on a grid of `bits` bits, see :func:`k_bit`."""

    bits: int = 1

    def __post_init__(self):
        """Check shapes and options."""
        super().__post_init__()
        if isinstance(self.bits, bool) or not isinstance(self.bits, int) or not (1 <= self.bits <= 16 or self.bits == 32):
            self.complain(f"bits must be a whole number from 1 to 16, or 32 for floats, got {self.bits!r}")

    @property
    def grid(self):
        """Distance of neighbouring weights; None for floats."""
        return None if self.bits == 32 else (1.0 if self.bits == 1 else 2.0**-self.bits)

    def used(self):
        """Return the weights that the convolution multiplies with."""
        return k_bit(self.weights, self.bits)


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


@dataclass(frozen=True, eq=False)
class Qcfs(Layer):
    """Clip-floor-shift activation: top clip(floor(x levels / top + 1/2) / levels, 0, 1), with a trained `top`.

    Its values are what an integrate-and-fire neuron with threshold `top` and half of it as initial charge sends in `levels`
    steps of constant drive, per step (Bu et al., ICLR 2022, equation 15).
    """

    top: np.ndarray = None
    levels: int = 8

    ARRAYS = ("top",)

    def __post_init__(self):
        """Check the range and the number of levels."""
        object.__setattr__(self, "top", parameter(self.top, f"layer '{self.name}' (Qcfs): top", 1, (1,)))
        if not self.top[0] > 0:
            self.complain(f"top must be > 0, got {self.top[0]}")
        if isinstance(self.levels, bool) or not isinstance(self.levels, int) or not 1 <= self.levels <= 65535:
            self.complain(f"levels must be a whole number from 1 to 65535, got {self.levels!r}")

    def apply(self, x):
        """Return the rounded activation."""
        top, levels = x.dtype.type(self.top[0]), x.dtype.type(self.levels)
        return np.floor(np.clip(x / top, 0, 1) * levels + x.dtype.type(0.5)) / levels * top
