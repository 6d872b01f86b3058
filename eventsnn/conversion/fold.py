"""Preparing a source network: batch norm folded into weights, dropout removed, the input range fused."""

from dataclasses import replace

import numpy as np

from eventsnn.ann.layers import WEIGHTED, AveragePool2d, BatchNorm, Conv2d, Dropout, Flatten, MaxPool2d
from eventsnn.errors import ModelError


def fold_batch_norm(graph):
    """Fold every batch norm that follows its weights directly into those weights; leave dropout out.

    Parameters
    ----------
    graph : LayerGraph
        Trained network.

    Returns
    -------
    LayerGraph
        Same function to rounding, without BatchNorm and Dropout layers; computed in float64, stored in the graph's
        dtype.

    Raises
    ------
    ModelError
        If a batch norm stands elsewhere (after a ReLU, a pool, at the input); the message names the layer.

    Notes
    -----
    kappa = gamma / sqrt(variance + epsilon);  w' = kappa w per output channel;  b' = kappa (b - mean) + beta
    (ttfs-relu-equivalence 2.7, neural-coding 2.9).
    """
    layers = []
    for layer in graph.layers:
        if isinstance(layer, Dropout):
            continue
        if not isinstance(layer, BatchNorm):
            layers.append(layer)
            continue
        if not layers or not isinstance(layers[-1], WEIGHTED):
            before = f"after '{layers[-1].name}' ({type(layers[-1]).__name__})" if layers else "at the input"
            layer.complain(f"stands {before}; it can be folded only directly after a Conv2d or Dense layer")
        layers[-1] = _folded(layers[-1], layer, graph.dtype)
    if not layers:
        raise ModelError("conversion: the network has no layers but dropout")
    return replace(graph, layers=tuple(layers))


def _folded(weighted, norm, dtype):
    """Return the weighted layer with a batch norm folded in."""
    kappa, shift = norm.factors()
    bias = 0.0 if weighted.bias is None else weighted.bias.astype(np.float64)
    weights = weighted.weights.astype(np.float64) * kappa
    return replace(weighted, weights=weights.astype(dtype), bias=(bias * kappa + shift).astype(dtype))


def fuse_input_range(graph, p, q):
    """Rewrite a network for inputs in [p, q] as one for inputs in [0, 1].

    Parameters
    ----------
    graph : LayerGraph
        Network that takes x.
    p, q : float
        Input range, p < q.

    Returns
    -------
    LayerGraph
        Network that takes (x - p) / (q - p) and computes the same; (0, 1) returns the graph itself.

    Raises
    ------
    ModelError
        If a layer other than a pool or Flatten stands before the first weights, or the range is not one.

    Notes
    -----
    w' = (q - p) w,  b'_i = b_i + p times the sum of the taps inside the image (ttfs-relu-equivalence 2.7, M6, M7).
    With ``same`` padding that sum depends on the position, so the bias becomes a map (y, x, c_out).
    """
    if not (np.isfinite(p) and np.isfinite(q) and p < q):
        raise ModelError(f"conversion: the input range needs finite p < q, got p = {p}, q = {q}")
    if (p, q) == (0, 1):
        return graph
    index = next((i for i, x in enumerate(graph.layers) if isinstance(x, WEIGHTED)), None)
    if index is None:
        raise ModelError("conversion: the network has no Conv2d or Dense layer")
    for before in graph.layers[:index]:
        if not isinstance(before, (MaxPool2d, AveragePool2d, Flatten, Dropout)):
            before.complain("stands before the first weights, so the input range cannot be fused into them")
    layer = graph.layers[index]
    weights = layer.weights.astype(np.float64)
    if isinstance(layer, Conv2d):
        # The layer itself, with weights only, sums the taps inside the image when the image is all ones.
        shape = graph.shapes[index - 1] if index else graph.input_shape
        ones = np.ones((1, *shape))
        taps = Conv2d(layer.name, weights, None, layer.stride, layer.padding).apply(ones)[0]
        taps = taps if layer.padding == "same" else taps[0, 0]
    else:
        taps = weights.sum(axis=0)
    bias = p * taps + (0.0 if layer.bias is None else layer.bias.astype(np.float64))
    new = replace(layer, weights=((q - p) * weights).astype(graph.dtype), bias=bias.astype(graph.dtype))
    return replace(graph, layers=(*graph.layers[:index], new, *graph.layers[index + 1 :]))
