"""Weights of a PyTorch model into a layer graph: names matched in natural order, layouts turned to channel-last."""

import re
from collections.abc import Mapping

import numpy as np

from eventsnn.ann.layers import BatchNorm, Conv2d, Dense, Flatten
from eventsnn.ann.residual import Residual
from eventsnn.errors import DataError

FIELDS = {
    "weights": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "mean": "running_mean",
    "variance": "running_var",
}  # fmt: skip
IGNORED = ("num_batches_tracked",)


def _natural(text):
    """Sort key under which ``features.2`` comes before ``features.10``."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def from_torch(graph, arrays):
    """Fill a network with the ``state_dict`` of a PyTorch model that has the same layers in the same order.

    Parameters
    ----------
    graph : LayerGraph
        Architecture; its own weights are replaced.
    arrays : dict of str to numpy.ndarray
        As read from safetensors: ``features.0.weight`` (c_out, c_in, ky, kx), ``classifier.1.weight`` (n_out, n_in),
        ``running_mean``, ...

    Returns
    -------
    LayerGraph

    Raises
    ------
    DataError
        If the number of layers, an array or a shape does not fit, the message names both sides; or if ``arrays`` is a module.
    ModelError
        If the network has residual blocks, or a convolution that PyTorch cannot have: with a stride, and "same" padding
        that is not alike on both sides.

    Notes
    -----
    PyTorch flattens images as (channel, y, x), eventsnn as (y, x, channel): the rows of the first dense layer after a
    Flatten are reordered accordingly.  A model whose modules are declared in another order than they are used does not
    fit this rule; rename its arrays.  Options (strides, paddings, epsilon) are not in a ``state_dict``: they are those of
    ``graph``.  ``torch_module.from_torch_module`` takes a whole module, options included.
    """
    if not isinstance(arrays, Mapping):
        raise DataError(f"PyTorch weights: must be arrays by name, as a state_dict has them, got {type(arrays).__name__}; a "
                        "module becomes a network with eventsnn.ann.torch_module.from_torch_module(module, input_shape)")
    prefixes = sorted({key.rpartition(".")[0] for key in arrays if key.rpartition(".")[2] not in IGNORED}, key=_natural)
    for layer in graph.layers:
        if isinstance(layer, Residual):
            layer.complain("has two chains, and PyTorch arrays are matched by one order of layers; save the weights by name: "
                           "graph.with_parameters({'block1.conv1.weights': ...})")  # fmt: skip
    for layer, shape in zip(graph.layers, (graph.input_shape, *graph.shapes)):
        if isinstance(layer, Conv2d) and layer.stride > 1 and any(first != last for first, last in layer.pads(shape)):
            layer.complain(f"padding 'same' at stride {layer.stride} is {layer.pads(shape)} rows and columns before and after, "
                           "PyTorch pads both sides alike: say how many, as the PyTorch model does, for example padding=1")
    layers = [(i, layer) for i, layer in enumerate(graph.layers) if layer.arrays()]
    if len(prefixes) != len(layers):
        raise DataError(f"PyTorch weights: the file has {len(prefixes)} layers ({', '.join(prefixes)}), the network "
                        f"has {len(layers)} ({', '.join(x.name for _, x in layers)})")  # fmt: skip
    out = {}
    for (index, layer), prefix in zip(layers, prefixes):
        for key, own in layer.arrays().items():
            name = f"{prefix}.{FIELDS[key]}".lstrip(".")
            if name not in arrays:
                raise DataError(f"PyTorch weights: no array '{name}' for layer '{layer.name}' ({type(layer).__name__})")
            value = _layout(graph, index, np.asarray(arrays[name]))
            if value.shape != own.shape:
                raise DataError(f"PyTorch weights: '{name}' has shape {np.shape(arrays[name])}, which does not fit "
                                f"layer '{layer.name}' with {key} {own.shape}")  # fmt: skip
            out[f"{layer.name}.{key}"] = value
    return graph.with_parameters(out)


def _layout(graph, index, value):
    """Turn one PyTorch array to eventsnn's axis order."""
    layer = graph.layers[index]
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    if value.ndim != 2 or isinstance(layer, BatchNorm):
        return value
    image = _flattened(graph, index)
    if isinstance(layer, Dense) and image is not None and value.shape[1] == int(np.prod(image)):
        y, x, c = image
        return value.reshape(-1, c, y, x).transpose(2, 3, 1, 0).reshape(y * x * c, -1)
    return value.T


def _flattened(graph, index):
    """Return the image shape that a Flatten turned into this dense layer's input, or None."""
    for i in range(index - 1, -1, -1):
        before = graph.shapes[i - 1] if i else graph.input_shape
        if isinstance(graph.layers[i], Flatten):
            return before if len(before) == 3 else None
        if isinstance(graph.layers[i], Dense):
            return None
    return None
