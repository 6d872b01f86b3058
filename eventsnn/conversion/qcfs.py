"""From a clip-floor-shift network to integrate-and-fire neurons: thresholds are its tops, membranes start half full."""

from dataclasses import replace

import numpy as np

from eventsnn.ann.layers import WEIGHTED, ReLU
from eventsnn.ann.quantised import Qcfs
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.hybrid import HybridNet
from eventsnn.errors import ModelError

SCALED = "scaled_by_tops"  # in the meta of a graph whose weights carry the tops: with ReLU it is not the network that was trained


def from_qcfs(graph, *, charge=0.5):
    """Convert a trained clip-floor-shift network.

    Parameters
    ----------
    graph : LayerGraph
        With Qcfs activations; batch norm is folded, dropout left out.
    charge : {0.5, 0}, optional
        Membrane before the first step, as a fraction of the threshold; 0.5 makes the rounding of `levels` steps that of the
        activation.

    Returns
    -------
    HybridNet
        Same-step neurons without leak on direct input, one spike of amplitude 1 per step at the most; the weights behind a
        layer carry its top.

    Raises
    ------
    ModelError
        If a hidden activation is not Qcfs, or a layer cannot be converted.

    Notes
    -----
    After T steps of constant drive x a neuron has sent clip(floor(x T / top + 1/2), 0, T) spikes: top / T times that is the
    activation with T levels (Bu et al., ICLR 2022, theorem 2). It fires at the threshold, too, so that a half goes up here as
    there; sums that are rounded themselves may miss it. Deeper layers see uneven trains, which is all that remains of an error
    where T equals the levels.
    """
    tops = [layer for layer in graph.layers if isinstance(layer, Qcfs)]
    if not tops:
        raise ModelError("conversion: thresholds 'qcfs' need a network with Qcfs activations; make one with train: qcfs:")
    return HybridNet(scaled_graph(graph), [float(layer.top[0]) for layer in tops], v_init=charge, propagation="same_step",
                     input="direct", strict=False)  # fmt: skip


def scaled_graph(graph):
    """Return the network that binary spikes run: batch norm folded, the weights behind a Qcfs layer times its top.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    LayerGraph
        With ReLU in the places of Qcfs, which stand for neurons: marked in ``meta``, for it computes nothing by itself. A network
        without Qcfs as it is.

    Raises
    ------
    ModelError
        If ReLU stands among Qcfs activations.
    """
    if not any(isinstance(layer, Qcfs) for layer in graph.layers):
        return graph
    folded, layers, scale = fold_batch_norm(graph), [], 1.0
    for layer in folded.layers:
        if isinstance(layer, ReLU):
            layer.complain("is a ReLU among Qcfs activations: it has no range; train it as Qcfs, too")
        if isinstance(layer, Qcfs):
            scale, layer = float(layer.top[0]), ReLU(layer.name)
        elif isinstance(layer, WEIGHTED) and scale != 1:
            layer = replace(layer, weights=(layer.weights.astype(np.float64) * scale).astype(layer.weights.dtype))
        layers.append(layer)
    return replace(folded, layers=tuple(layers), meta={**folded.meta, SCALED: True})
