"""A layer graph as a PyTorch module and back; importing this file needs PyTorch (``pip install eventsnn[ann]``)."""

import numpy as np

from eventsnn.ann.layers import AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.ann.quantised import KBitConv2d, Qcfs, QuantReLU, TernaryConv2d
from eventsnn.ann.residual import Residual
from eventsnn.ann.torch_quantised import ClipFloorShift, RoundedReLU, functional, k_bit_weights, nn, ternary_weights, torch

# Batch norm while training: new = 0.9 old + 0.1 batch, PyTorch's default.
NORM_MOMENTUM = 0.1
LEAST_TOP = 1e-3  # trained ranges of activations stay above it, times their initial value


def _tensor(array, dtype):
    return torch.tensor(np.asarray(array), dtype=dtype)


class _Conv(nn.Module):
    """Convolution with the graph's padding rule; weights are held as PyTorch's (c_out, c_in, ky, kx)."""

    def __init__(self, layer, shape, dtype):
        super().__init__()
        self.weight = nn.Parameter(_tensor(layer.weights, dtype).permute(3, 2, 0, 1).contiguous())
        self.bias = None
        if layer.bias is not None:
            bias = _tensor(layer.bias, dtype)
            self.bias = nn.Parameter(bias.permute(2, 0, 1).contiguous() if bias.ndim == 3 else bias)
        self.stride, self.pads = layer.stride, layer.pads(shape)
        self.symmetric = all(before == after for before, after in self.pads)

    def used(self):
        """Return the weights that the convolution multiplies with."""
        return self.weight

    def forward(self, x):
        (top, bottom), (left, right) = self.pads
        bias = self.bias if self.bias is not None and self.bias.ndim == 1 else None
        if self.symmetric:
            x = functional.conv2d(x, self.used(), bias, self.stride, (top, left))
        else:
            x = functional.conv2d(functional.pad(x, (left, right, top, bottom)), self.used(), bias, self.stride)
        return x if bias is not None or self.bias is None else x + self.bias

    def arrays(self):
        out = {"weights": self.weight.permute(2, 3, 1, 0)}
        if self.bias is not None:
            out["bias"] = self.bias.permute(1, 2, 0) if self.bias.ndim == 3 else self.bias
        return out


class _TernaryConv(_Conv):
    """Convolution that multiplies with -1, 0, +1 and moves the floats behind them."""

    def used(self):
        return ternary_weights(self.weight)


class _KBitConv(_Conv):
    """Convolution that multiplies with weights of few bits and moves the floats behind them."""

    def __init__(self, layer, shape, dtype):
        super().__init__(layer, shape, dtype)
        self.bits = layer.bits

    def used(self):
        return k_bit_weights(self.weight, self.bits)


class ClipFloorShiftLayer(nn.Module):
    """Twin of a Qcfs layer."""

    def __init__(self, layer, shape, dtype):
        super().__init__()
        self.top, self.levels = nn.Parameter(_tensor(layer.top, dtype)), layer.levels
        self.least = LEAST_TOP * float(layer.top[0])

    def keep_in_range(self):
        """Lift a top that a step of training has taken to 0 or below, where there is no such activation."""
        with torch.no_grad():
            self.top.clamp_(min=self.least)

    def forward(self, x):
        return ClipFloorShift.apply(x.to(self.top.dtype), self.top, self.levels)

    def arrays(self):
        return {"top": self.top}


class _Dense(nn.Linear):
    """Fully connected layer; weights are held as PyTorch's (n_out, n_in)."""

    def __init__(self, layer, shape, dtype):
        super().__init__(*layer.weights.shape, bias=layer.bias is not None, dtype=dtype)
        with torch.no_grad():
            self.weight.copy_(_tensor(layer.weights, dtype).T)
            if layer.bias is not None:
                self.bias.copy_(_tensor(layer.bias, dtype))

    def arrays(self):
        out = {"weights": self.weight.T}
        return out if self.bias is None else {**out, "bias": self.bias}


class _Norm(nn.BatchNorm2d):
    """Batch normalisation over vectors or images."""

    def __init__(self, layer, shape, dtype):
        super().__init__(layer.gamma.shape[0], eps=layer.epsilon, momentum=NORM_MOMENTUM, dtype=dtype)
        with torch.no_grad():
            for own, key in ((self.weight, "gamma"), (self.bias, "beta"), (self.running_mean, "mean")):
                own.copy_(_tensor(getattr(layer, key), dtype))
            self.running_var.copy_(_tensor(layer.variance, dtype))

    def _check_input_dim(self, x):
        """Accept (n, channel) beside (n, channel, y, x)."""

    def arrays(self):
        return {"gamma": self.weight, "beta": self.bias, "mean": self.running_mean, "variance": self.running_var}


class _Flatten(nn.Module):
    """Image to vector in (y, x, channel) order, free of copies when the memory is channels-last."""

    def forward(self, x):
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).flatten(1)


class _Residual(nn.Module):
    """Two chains whose outputs are added; an empty shortcut is the identity."""

    def __init__(self, layer, shape, dtype):
        super().__init__()
        self.names = [x.name for x in layer.inner]
        self.body, self.shortcut = (nn.ModuleList(_chain(part, shape, dtype)) for part in (layer.body, layer.shortcut))

    def forward(self, x):
        out, beside = x, x
        for module in self.body:
            out = module(out)
        for module in self.shortcut:
            beside = module(beside)
        return out + beside

    def arrays(self):
        return _arrays(self.names, (*self.body, *self.shortcut))


def _chain(layers, shape, dtype):
    """Yield the modules of layers that follow each other."""
    for layer in layers:
        yield module_of(layer, shape, dtype)
        shape = layer.out_shape(shape)


def _arrays(names, modules):
    """Return {"layer.field": tensor} of named modules."""
    pairs = ((name, module) for name, module in zip(names, modules) if hasattr(module, "arrays"))
    return {f"{name}.{key}": value for name, module in pairs for key, value in module.arrays().items()}


class _SignedPool(nn.MaxPool2d):
    """Max pool that takes the minimum in channels of sign -1."""

    def __init__(self, layer, dtype):
        super().__init__(layer.size)
        self.register_buffer("signs", torch.tensor(layer.signs, dtype=dtype).reshape(-1, 1, 1), persistent=False)

    def forward(self, x):
        return self.signs * super().forward(self.signs * x)


def module_of(layer, shape, dtype):
    """Return the module of a layer whose input has the given shape (y, x, channel) or (n,)."""
    if isinstance(layer, MaxPool2d) and layer.signs:
        return _SignedPool(layer, dtype)
    if isinstance(layer, (MaxPool2d, AveragePool2d)):
        return (nn.MaxPool2d if isinstance(layer, MaxPool2d) else nn.AvgPool2d)(layer.size)
    if isinstance(layer, Dropout):
        return nn.Dropout(layer.rate)
    if isinstance(layer, (ReLU, Flatten)):
        return nn.ReLU() if isinstance(layer, ReLU) else _Flatten()
    if isinstance(layer, QuantReLU):
        return RoundedReLU(layer)
    if isinstance(layer, Residual):
        return _Residual(layer, shape, dtype)
    return _MODULES[type(layer)](layer, shape, dtype)


_MODULES = {Conv2d: _Conv, TernaryConv2d: _TernaryConv, KBitConv2d: _KBitConv, Dense: _Dense, BatchNorm: _Norm,
            Qcfs: ClipFloorShiftLayer}  # fmt: skip


class TorchNet(nn.Module):
    """PyTorch twin of a layer graph: same names, same numbers to rounding.

    Parameters
    ----------
    graph : LayerGraph
        Network with its present weights.
    dtype : torch.dtype, optional
        Default the graph's own.

    Notes
    -----
    ``forward`` takes (n, *input_shape) with the channel last, as everywhere in eventsnn, and returns logits.
    """

    def __init__(self, graph, dtype=None):
        super().__init__()
        dtype = dtype or getattr(torch, graph.dtype.name)
        shapes = (graph.input_shape, *graph.shapes[:-1])
        # PyTorch forbids dots in module names; a layer may have one.
        self.names = [layer.name for layer in graph.layers]
        self.stack = nn.ModuleList(module_of(layer, s, dtype) for layer, s in zip(graph.layers, shapes))

    def forward(self, x):
        """Return logits (n, n_classes)."""
        if x.ndim == 4:
            x = x.permute(0, 3, 1, 2)
        for module in self.stack:
            x = module(x)
        return x.permute(0, 2, 3, 1) if x.ndim == 4 else x

    def arrays(self):
        """Return {"layer.field": array} of all parameters in the graph's layout."""
        found = _arrays(self.names, self.stack)
        return {key: value.detach().to("cpu", copy=True).contiguous().numpy() for key, value in found.items()}
