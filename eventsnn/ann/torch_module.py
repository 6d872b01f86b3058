"""A trained PyTorch module as a layer graph; importing this file needs PyTorch (``pip install eventsnn[ann]``)."""

from dataclasses import dataclass, field, replace

import numpy as np

from eventsnn.ann.base import checked_padding
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.ann.torch_quantised import nn, torch
from eventsnn.ann.torch_trace import MODULES, chain_of, is_batch_size, step_of
from eventsnn.errors import ModelError


def from_torch_module(module, input_shape, name=""):
    """Make a layer graph that computes what a PyTorch module computes in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        An nn.Sequential, however nested, or a module whose forward() is one chain of Conv2d, Linear, BatchNorm1d,
        BatchNorm2d, ReLU, MaxPool2d, AvgPool2d, Flatten and Dropout, as modules or (those without weights) functions.
    input_shape : tuple of int
        Shape of one sample as eventsnn has it: (y, x, channel), where PyTorch has (channel, y, x); or (n,).
    name : str, optional
        What the network is called.

    Returns
    -------
    LayerGraph
        Layers have the names of the module's attributes; those of a plain nn.Sequential, which has numbers only, are named by
        kind (``conv1``).  The weights are copies.

    Raises
    ------
    ModelError
        If a layer or an option cannot be said exactly; the message names it, and what is allowed.

    Notes
    -----
    forward() is followed by ``torch.fx``.  PyTorch flattens images as (channel, y, x), eventsnn as (y, x, channel): the
    weights behind a Flatten are reordered.  A pool's stride must be its size.  Dropout1d and Dropout2d do nothing in evaluation
    and are left out.  Softmax is refused: conversions start from logits.
    """
    if not isinstance(module, nn.Module):
        raise ModelError(f"PyTorch network: must be a torch.nn.Module, got {type(module).__name__}; arrays of a state_dict go "
                         "into a network of the same layers with eventsnn.ann.exchange.from_torch(graph, arrays)")  # fmt: skip
    walk = _Walk(LayerGraph(input_shape, (Flatten(),)).input_shape)
    whole = nn.Sequential(module) if type(module) in MODULES else module
    for node in chain_of(whole):
        walk.take(step_of(whole, node))
    if walk.order is not None:
        raise ModelError("PyTorch network: ends with a flattened image, whose order is (channel, y, x) in PyTorch and (y, x, "
                         "channel) here; leave the Flatten out, or put a Linear layer behind it")  # fmt: skip
    return LayerGraph(input_shape, walk.layers, name)


@dataclass
class _Walk:
    """The layers so far, their output shape, and PyTorch's order of a flattened image."""

    shape: tuple
    order: np.ndarray = None
    layers: list = field(default_factory=list)

    def take(self, step):
        """Add one step."""
        layer = getattr(self, f"_{step.kind}")(step)
        if layer is not None:
            self.shape = tuple(int(n) for n in layer.out_shape(self.shape))
            self.layers.append(replace(layer, name=step.name))

    def _nothing(self, step):
        return None

    def _relu(self, step):
        return ReLU(step.path)

    def _dropout(self, step):
        if step.module is None and step.options["training"]:
            step.refuse("is random in evaluation, too; say training=self.training, or use the module nn.Dropout")
        return Dropout(step.path, float(step.options["p"]))

    def _conv(self, step):
        own = step.module
        if own.groups != 1 or tuple(own.dilation) != (1, 1) or own.padding_mode != "zeros" or own.stride[0] != own.stride[1]:
            step.refuse(f"must have groups 1, dilation 1, padding_mode 'zeros' and one stride, got groups {own.groups}, dilation "
                        f"{own.dilation}, padding_mode '{own.padding_mode}', stride {own.stride}")  # fmt: skip
        if len(self.shape) == 3 and self.shape[0] == own.in_channels != self.shape[2]:
            step.refuse(f"takes {own.in_channels} channels, and its input has shape {self.shape}, which is (y, x, channel); "
                        "input_shape is (28, 28, 1) where PyTorch has (1, 28, 28)")  # fmt: skip
        padding = checked_padding(own.padding, f"PyTorch network: layer '{step.path}' (Conv2d): padding")
        if padding == 0:
            padding = "valid"
        elif not isinstance(padding, str) and own.stride == (1, 1) and (2 * np.array(padding) + 1 == own.kernel_size).all():
            padding = "same"
        return Conv2d(step.path, _array(own.weight).transpose(2, 3, 1, 0), _array(own.bias), own.stride[0], padding)

    def _linear(self, step):
        weights = self._reordered(_array(step.module.weight).T)
        self.order = None
        return Dense(step.path, weights, _array(step.module.bias))

    def _norm(self, step):
        own = step.module
        if own.running_mean is None:
            step.refuse("has no running statistics (track_running_stats=False), its output depends on the whole batch")
        mean, variance = _array(own.running_mean), _array(own.running_var)
        gamma = np.ones_like(mean) if own.weight is None else _array(own.weight)
        beta = np.zeros_like(mean) if own.bias is None else _array(own.bias)
        return BatchNorm(step.path, *(self._reordered(x) for x in (gamma, beta, mean, variance)), own.eps)

    def _reordered(self, array):
        """Return an array whose first axis is a vector, in the order of this network."""
        return array if self.order is None or len(array) != len(self.order) else array[self.order]

    def _max_pool2d(self, step):
        return MaxPool2d(step.path, self._cells(step))

    def _avg_pool2d(self, step):
        return AveragePool2d(step.path, self._cells(step))

    def _cells(self, step):
        """Return the size of a pool's cells: square, side by side, whole."""
        options = step.options
        size, stride, padding, dilation = (_pair(options.get(key)) for key in ("kernel_size", "stride", "padding", "dilation"))
        rounded = options["ceil_mode"] and size and any(n % size[0] for n in self.shape[:2])
        plain = stride in (None, size) and padding == (0, 0) and dilation in (None, (1, 1)) and not rounded
        if size is None or size[0] != size[1] or not plain:
            step.refuse("must have square cells, a stride equal to their size, no padding, no dilation, and no ceil_mode where "
                        f"it adds cells, got {', '.join(f'{key} {options[key]}' for key in options)}")  # fmt: skip
        if options.get("return_indices") or options.get("divisor_override") is not None:
            step.refuse("must have neither return_indices nor divisor_override")
        return size[0]

    def _flatten(self, step):
        start, end = step.options["start_dim"], step.options["end_dim"]
        if start != 1 or end not in (-1, len(self.shape)):
            step.refuse(f"must keep the batch and flatten all else (start_dim 1, end_dim -1), got {start} and {end}")
        if len(self.shape) == 1:
            return None
        y, x, c = self.shape
        self.order = np.arange(y * x * c).reshape(c, y, x).transpose(1, 2, 0).ravel() if c > 1 and y * x > 1 else None
        return Flatten(step.path)

    def _reshape(self, step):
        shape = step.options["shape"]
        shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        size, batch = int(np.prod(self.shape)), shape[0] if shape else None
        batch = "n" if is_batch_size(batch) else batch
        if len(shape) != 2 or (batch, shape[1]) not in (("n", -1), ("n", size), (-1, size)):
            step.refuse(f"may only flatten: x.flatten(1), x.view(x.size(0), -1) or x.view(-1, {size}), got {shape}")
        return self._flatten(replace(step, options={"start_dim": 1, "end_dim": -1}))


def _pair(value):
    """Return PyTorch's number or pair as a pair, anything else as None."""
    pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, tuple | list) else ()
    return (pair * 2)[:2] or None


def _array(tensor):
    """Return a parameter as an array, or None."""
    if tensor is None:
        return None
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor).numpy()
