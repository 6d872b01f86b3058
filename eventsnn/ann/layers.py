"""Layers of a dense source network: frozen data, a shape rule, a NumPy forward; images are (sample, y, x, channel)."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.base import Layer, checked_padding, parameter, same_padding


@dataclass(frozen=True, eq=False)
class Conv2d(Layer):
    """Convolution (cross-correlation): weights (ky, kx, c_in, c_out), bias (c_out,) or a map (y, x, c_out).

    Padding is "same", "valid", or so many rows and columns of zeros on every side: a number, or a pair (rows, columns).
    """

    weights: np.ndarray = None
    bias: np.ndarray = None
    stride: int = 1
    padding: object = "same"

    ARRAYS = ("weights", "bias")

    def __post_init__(self):
        """Check shapes and options."""
        what = f"layer '{self.name}' (Conv2d)"
        object.__setattr__(self, "weights", parameter(self.weights, f"{what}: weights (ky, kx, c_in, c_out)", 4))
        if self.bias is not None:
            object.__setattr__(self, "bias", parameter(self.bias, f"{what}: bias (c_out,) or (y, x, c_out)", (1, 3)))
            if self.bias.shape[-1] != self.weights.shape[3]:
                self.complain(f"bias is for {self.bias.shape[-1]} channels, weights make {self.weights.shape[3]}")
        if not isinstance(self.stride, int) or self.stride < 1:
            self.complain(f"stride must be a whole number >= 1, got {self.stride!r}")
        object.__setattr__(self, "padding", checked_padding(self.padding, f"{what}: padding"))

    def pads(self, shape):
        """Return ((before, after), (before, after)) for an input shape (y, x, channel)."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding != "same":
            rows, columns = np.broadcast_to(self.padding, 2).tolist()
            return (rows, rows), (columns, columns)
        return tuple(same_padding(shape[a], self.weights.shape[a], self.stride) for a in (0, 1))

    def out_shape(self, shape):
        """Return (y, x, c_out)."""
        if len(shape) != 3:
            self.complain(f"needs an image (y, x, channel), got shape {shape}")
        if shape[2] != self.weights.shape[2]:
            self.complain(f"weights are for {self.weights.shape[2]} input channels, the layer before makes {shape[2]}")
        pads = self.pads(shape)
        size = [(shape[a] + sum(pads[a]) - self.weights.shape[a]) // self.stride + 1 for a in (0, 1)]
        if min(size) < 1:
            self.complain(f"kernel {self.weights.shape[:2]} is larger than its input {shape[:2]}")
        out = (*size, self.weights.shape[3])
        if self.bias is not None and self.bias.ndim == 3 and self.bias.shape != out:
            self.complain(f"bias map must have shape {out}, got {self.bias.shape}")
        return out

    def apply(self, x):
        """Return the convolution by gathering patches (im2col) and one matrix product."""
        oy, ox, cout = self.out_shape(x.shape[1:])
        (ky, kx), s = self.weights.shape[:2], self.stride
        if self.padding != "valid":
            x = np.pad(x, ((0, 0), *self.pads(x.shape[1:]), (0, 0)))
        views = np.lib.stride_tricks.sliding_window_view(x, (ky, kx), axis=(1, 2))[:, ::s, ::s]
        patches = views.transpose(0, 1, 2, 4, 5, 3).reshape(x.shape[0] * oy * ox, -1)
        out = (patches @ self.weights.reshape(-1, cout)).reshape(x.shape[0], oy, ox, cout)
        return out if self.bias is None else out + self.bias


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """Fully connected layer: weights (n_in, n_out), bias (n_out,) or None."""

    weights: np.ndarray = None
    bias: np.ndarray = None

    ARRAYS = ("weights", "bias")

    def __post_init__(self):
        """Check shapes."""
        what = f"layer '{self.name}' (Dense)"
        object.__setattr__(self, "weights", parameter(self.weights, f"{what}: weights (n_in, n_out)", 2))
        if self.bias is not None:
            bias = parameter(self.bias, f"{what}: bias", 1, (self.weights.shape[1],))
            object.__setattr__(self, "bias", bias)

    def out_shape(self, shape):
        """Return (n_out,)."""
        if len(shape) != 1:
            self.complain(f"needs a vector, got shape {shape}; put a Flatten layer before it")
        if shape[0] != self.weights.shape[0]:
            self.complain(f"weights are for {self.weights.shape[0]} inputs, the layer before makes {shape[0]}")
        return (self.weights.shape[1],)

    def apply(self, x):
        """Return x W + b."""
        out = x @ self.weights
        return out if self.bias is None else out + self.bias


@dataclass(frozen=True, eq=False)
class BatchNorm(Layer):
    """Batch normalisation with frozen statistics: gamma (x - mean) / sqrt(variance + epsilon) + beta, per channel."""

    gamma: np.ndarray = None
    beta: np.ndarray = None
    mean: np.ndarray = None
    variance: np.ndarray = None
    epsilon: float = 1e-5

    ARRAYS = ("gamma", "beta", "mean", "variance")

    def __post_init__(self):
        """Check shapes and that variance + epsilon is positive."""
        size = (np.size(self.gamma),)
        for key in self.ARRAYS:
            checked = parameter(getattr(self, key), f"layer '{self.name}' (BatchNorm): {key}", 1, size)
            object.__setattr__(self, key, checked)
        if not (np.isfinite(self.epsilon) and self.epsilon >= 0 and (self.variance + self.epsilon > 0).all()):
            self.complain("variance + epsilon must be > 0 in every channel")

    def factors(self):
        """Return (kappa, shift), float64: the layer is kappa x + shift per channel."""
        gamma, beta, mean, variance = (getattr(self, key).astype(np.float64) for key in self.ARRAYS)
        kappa = gamma / np.sqrt(variance + self.epsilon)
        return kappa, beta - mean * kappa

    def out_shape(self, shape):
        """Return the shape unchanged."""
        if shape[-1] != self.gamma.shape[0]:
            self.complain(f"is for {self.gamma.shape[0]} channels, the layer before makes {shape[-1]}")
        return shape

    def apply(self, x):
        """Return the normalised batch."""
        kappa, shift = self.factors()
        return x * kappa.astype(x.dtype) + shift.astype(x.dtype)


@dataclass(frozen=True, eq=False)
class ReLU(Layer):
    """Rectifier max(x, 0)."""

    def apply(self, x):
        """Return max(x, 0)."""
        return np.maximum(x, 0)


@dataclass(frozen=True, eq=False)
class Pool(Layer):
    """Base of the pools: square cells of ``size``, stride equal to size, a remainder at the border is left out."""

    size: int = 2

    def __post_init__(self):
        """Check the size."""
        if not isinstance(self.size, int) or self.size < 1:
            self.complain(f"size must be a whole number >= 1, got {self.size!r}")

    def out_shape(self, shape):
        """Return (y // size, x // size, channel)."""
        if len(shape) != 3:
            self.complain(f"needs an image (y, x, channel), got shape {shape}")
        if min(shape[:2]) < self.size:
            self.complain(f"cells of {self.size} x {self.size} do not fit its input {shape[:2]}")
        return (shape[0] // self.size, shape[1] // self.size, shape[2])

    def cells(self, x):
        """Return the batch as (n, y, size, x, size, channel)."""
        y, w, c = self.out_shape(x.shape[1:])
        return x[:, : y * self.size, : w * self.size].reshape(x.shape[0], y, self.size, w, self.size, c)


@dataclass(frozen=True, eq=False)
class MaxPool2d(Pool):
    """Largest value of each cell; in channels whose entry of ``signs`` is -1 the smallest (no signs: all +1)."""

    signs: tuple = ()

    def __post_init__(self):
        """Check the size and the signs."""
        super().__post_init__()
        for sign in self.signs:
            if sign not in (-1, 1):
                self.complain(f"signs must be +1 or -1, got {sign!r}")
        signs = tuple(map(int, self.signs))
        object.__setattr__(self, "signs", signs if -1 in signs else ())

    def options(self):
        """Return the options; `signs` only where there are some."""
        return {"size": self.size} | ({"signs": self.signs} if self.signs else {})

    def out_shape(self, shape):
        """Return (y // size, x // size, channel)."""
        if len(shape) == 3 and self.signs and len(self.signs) != shape[2]:
            self.complain(f"has {len(self.signs)} signs, the layer before makes {shape[2]} channels")
        return super().out_shape(shape)

    def apply(self, x):
        """Return the maximum (sign -1: the minimum) over each cell."""
        if not self.signs:
            return self.cells(x).max(axis=(2, 4))
        signs = np.asarray(self.signs, x.dtype)
        return signs * (signs * self.cells(x)).max(axis=(2, 4))


@dataclass(frozen=True, eq=False)
class AveragePool2d(Pool):
    """Mean of each cell."""

    def apply(self, x):
        """Return the mean over each cell."""
        return self.cells(x).mean(axis=(2, 4), dtype=x.dtype)


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """Image to vector in row-major (y, x, channel) order."""

    def out_shape(self, shape):
        """Return (prod(shape),)."""
        return (int(np.prod(shape)),)

    def apply(self, x):
        """Return the batch as (n, prod(shape))."""
        return x.reshape(x.shape[0], -1)


@dataclass(frozen=True, eq=False)
class Dropout(Layer):
    """Random silencing with probability ``rate`` while training; the identity in ``forward``."""

    rate: float = 0.5

    def __post_init__(self):
        """Check the rate."""
        if not 0 <= self.rate < 1:
            self.complain(f"rate must lie in [0, 1), got {self.rate!r}")


WEIGHTED = (Conv2d, Dense)
