"""From a ReLU network to one with clip-floor-shift activations, whose outputs few steps of integrate-and-fire can say."""

from dataclasses import replace

import numpy as np

from eventsnn.ann.layers import WEIGHTED, AveragePool2d, BatchNorm, Dropout, MaxPool2d, ReLU
from eventsnn.ann.quantised import Qcfs
from eventsnn.ann.residual import Residual
from eventsnn.errors import ModelError

PIECE_BYTES = 2**26


def to_qcfs(graph, x, *, levels=8, percentile=99.7):
    """Replace every ReLU by a Qcfs layer and every max pool by an average pool, ready for fine-tuning.

    Parameters
    ----------
    graph : LayerGraph
        Trained or fresh.
    x : array_like, shape (n, *input_shape)
        A few hundred training samples, as the network takes them.
    levels : int, optional
        L: the activation has L + 1 values.
    percentile : float, optional
        Initial `top` of a layer: this percentile of its positive inputs, in (0, 100].

    Returns
    -------
    LayerGraph
        Batch norm has the statistics of these samples behind rounded activations and average pools; training refines them, and
        `top`.

    Raises
    ------
    ModelError
        If there is no ReLU, or a residual block, a layer is silent on all samples, or an option is out of range.

    Notes
    -----
    Source: Bu et al., ICLR 2022 (hybrid-stdb 6). An average of spikes is a spike's amplitude; a maximum over spike trains is
    not the maximum of their rates, which is why pools change.
    """
    if not 0 < percentile <= 100:
        raise ModelError(f"qcfs: percentile must be in (0, 100], got {percentile!r}")
    value, layers = graph.as_inputs(x).astype(graph.dtype), []
    if not len(value):
        raise ModelError("qcfs: needs at least one sample to set the range of each activation")
    if not any(isinstance(layer, ReLU) for layer in graph.layers):
        raise ModelError("qcfs: the network has no ReLU to replace")
    for layer in graph.layers:
        if isinstance(layer, Residual):
            layer.complain("adds two layers of different range, whose spikes would need two sizes: clip-floor-shift networks "
                           "have no residual blocks")  # fmt: skip
        if isinstance(layer, ReLU):
            layer = Qcfs(layer.name, _top(layer, value, percentile), levels)
        elif isinstance(layer, MaxPool2d):
            layer = AveragePool2d(layer.name, layer.size)
        elif isinstance(layer, BatchNorm):
            axes = tuple(range(value.ndim - 1))
            mean, variance = value.mean(axes, dtype=np.float64), value.var(axes, dtype=np.float64)
            layer = replace(layer, mean=mean.astype(graph.dtype), variance=variance.astype(graph.dtype))
        layers.append(layer)
        value = _applied(layer, value)
    return replace(graph, layers=tuple(layers), meta={**graph.meta, "qcfs": {"levels": levels, "samples": len(value)}})


def _top(layer, value, percentile):
    positive = value[value > 0]
    if not positive.size:
        layer.complain("is silent on all samples: no range can be set; train the network first, or give other samples")
    return np.array([np.percentile(positive, percentile)], value.dtype)


def _applied(layer, value):
    """Apply a layer, weights in pieces whose patches fit in memory."""
    if not isinstance(layer, WEIGHTED):
        return value if isinstance(layer, Dropout) else layer.apply(value)
    patch = int(np.prod(layer.out_shape(value.shape[1:])[:-1])) * int(np.prod(layer.weights.shape[:-1])) * value.itemsize
    size = max(1, PIECE_BYTES // patch)
    return np.concatenate([layer.apply(value[k : k + size]) for k in range(0, len(value), size)])
