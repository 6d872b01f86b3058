"""Ramp layers in PyTorch: the closed form of their spike times and its exact transpose, formula by formula, without a tape.

    V_i = D_i + sum_j J_ij x_j,   x_i = R - (t_i - t_open) = V_i clipped to [0, R]
    dL/dJ_ij = d_i x_j,  dL/dD_i = d_i,  dL/dx_j = sum_i J_ij d_i      d_i = dL/dx_i = -dL/dt_i where i spiked, else 0

Images are (sample, channel, y, x) in channels-last memory, so that Flatten is free of copies; no patches are built.
Importing this file needs PyTorch (``pip install eventsnn[ann]``).

Source: ttfs-relu-equivalence 2.1, 2.3, 2.5.
"""

import numpy as np

from eventsnn.ann.layers import Conv2d, MaxPool2d
from eventsnn.ann.torch_net import torch
from eventsnn.learning.ttfs.rounding import WeightGrid

functional, aten = torch.nn.functional, torch.ops.aten


def to_channels_first(x):
    """Return a batch (n, y, x, channel) as (n, channel, y, x) in channels-last memory; vectors as they are."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def outward(tensor):
    """Return a tensor of PyTorch's layout, without samples, as an array of the graph's."""
    order = {4: (2, 3, 1, 0), 3: (1, 2, 0), 2: (1, 0), 1: (0,)}[tensor.ndim]
    return tensor.detach().permute(order).to("cpu", copy=True).contiguous().numpy()


def inward(array, like):
    """Copy an array of the graph's layout into a tensor of PyTorch's."""
    order = {4: (3, 2, 0, 1), 3: (2, 0, 1), 2: (1, 0), 1: (0,)}[like.ndim]
    like.copy_(torch.as_tensor(np.ascontiguousarray(array)).permute(order))


class MaxPool:
    """Earliest spike of each cell (sign -1: the latest, silent while any is); among equals the first has the gradient."""

    def __init__(self, layer, dtype, device):
        self.size = (layer.size, layer.size)
        self.signs = None
        if layer.signs:
            self.signs = torch.tensor(layer.signs, dtype=dtype, device=device).reshape(-1, 1, 1)

    def forward(self, x):
        """Return the pooled batch and what `backward` needs."""
        signed = x if self.signs is None else x * self.signs
        out, chosen = functional.max_pool2d(signed, self.size, return_indices=True)
        return (out if self.signs is None else out * self.signs), (signed, chosen)

    def backward(self, gradient, kept):
        """Return the gradient of the input."""
        signed, chosen = kept
        gradient = gradient if self.signs is None else gradient * self.signs
        out = aten.max_pool2d_with_indices_backward(gradient, signed, self.size, self.size, (0, 0), (1, 1), False, chosen)
        return out if self.signs is None else out * self.signs


class AveragePool:
    """Each spike of a cell passes, its activation divided by the cell's area."""

    def __init__(self, layer, dtype, device):
        self.size = (layer.size, layer.size)

    def forward(self, x):
        """Return the pooled batch and what `backward` needs."""
        return functional.avg_pool2d(x, self.size), x

    def backward(self, gradient, x):
        """Return the gradient of the input."""
        return aten.avg_pool2d_backward(gradient, x, self.size, self.size, (0, 0), False, True, None)


def pools_of(layers, dtype, device):
    """Return the pools of a chain of pool layers."""
    return [(MaxPool if isinstance(layer, MaxPool2d) else AveragePool)(layer, dtype, device) for layer in layers]


class Synapses:
    """Weights J and offsets D of one layer, and what learning changes beside them.

    Parameters
    ----------
    segment : Segment
        Layer, shapes, pools.
    settings : TtfsSettings
    dtype : torch.dtype
    device : torch.device
    """

    def __init__(self, segment, settings, dtype, device):
        self.segment, self.name, layer = segment, segment.name, segment.layer
        self.is_conv = isinstance(layer, Conv2d)
        self.grid = None if segment.is_output else WeightGrid.of(settings, layer.weights.astype(settings.precision))
        weights, bias = (torch.tensor(np.asarray(a), dtype=dtype, device=device) for a in (layer.weights, segment.bias()))
        # PyTorch's (out, in) and (c_out, c_in, ky, kx), the channel innermost in memory
        conv = weights.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last) if self.is_conv else None
        self.weights = weights.T.contiguous() if conv is None else conv
        self.bias = bias.permute(2, 0, 1).contiguous() if bias.ndim == 3 else bias
        self.pads = layer.pads(segment.source_shape) if self.is_conv else None
        self.even = self.is_conv and all(before == after for before, after in self.pads)
        self.pools = pools_of(segment.pools, dtype, device)
        self.gradients = None

    def arrays(self):
        """Return {"weights": J, "bias": D} in the graph's layout."""
        return {"weights": outward(self.weights), "bias": outward(self.bias)}

    def used(self):
        """Return the weights that are multiplied with: on their grid where there is one."""
        return self.weights if self.grid is None else self.grid.round(self.weights, torch.floor)

    def potential(self, x):
        """Return V at the end of the integration phase, threshold offset included, and the input as it was multiplied."""
        if not self.is_conv:
            x = x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x
            return torch.addmm(self.bias, x, self.used().T), x
        (top, bottom), (left, right) = self.pads
        if not self.even:
            x = functional.pad(x, (left, right, top, bottom))
        bias = self.bias if self.bias.ndim == 1 else None
        v = functional.conv2d(x, self.used(), bias, self.segment.layer.stride, (top, left) if self.even else 0)
        return (v if bias is not None else v.add_(self.bias)), x

    def backward(self, x, gradient, wanted):
        """Keep the gradients of J and D; return that of the input where it is wanted.

        Parameters
        ----------
        x : Tensor
            As `potential` returned it.
        gradient : Tensor
            dL/dV, 0 where a neuron is silent or saturated.
        wanted : bool

        Returns
        -------
        Tensor or None
        """
        used = self.used()
        if self.is_conv:
            (top, bottom), (left, right) = self.pads
            stride, pad = (self.segment.layer.stride,) * 2, (top, left) if self.even else (0, 0)
            plain = self.bias.ndim == 1
            back, weights, bias = aten.convolution_backward(
                gradient, x, used, [len(self.bias)], stride, pad, (1, 1), False, (0, 0), 1, (wanted, True, plain))  # fmt: skip
            bias = bias if plain else gradient.sum(0)
            if wanted and not self.even:
                back = back[:, :, top : back.shape[2] - bottom, left : back.shape[3] - right]
        else:
            weights, bias = gradient.T @ x, gradient.sum(0)
            back = gradient @ used if wanted else None
            if wanted and len(self.segment.source_shape) == 3:
                back = to_channels_first(back.reshape(-1, *self.segment.source_shape))
        if self.grid is not None:
            weights = weights * self.grid.inside(self.weights)
        self.gradients = [weights, bias]
        return back
