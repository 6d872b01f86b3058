"""A source network cut into segments: one weighted layer, its ReLU, and the pools that follow it."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.layers import WEIGHTED, AveragePool2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.ann.residual import Residual
from eventsnn.errors import ModelError

INPUT = "input"


@dataclass(frozen=True, eq=False)
class Segment:
    """One population of the spiking network to be.

    Parameters
    ----------
    layer : Conv2d or Dense
        Weights and bias.
    shape : tuple of int
        Shape of its output, (y, x, channel) or (n,).
    source : str
        Name of what it takes its input from: the input, a population or a pool.
    source_shape : tuple of int
        Shape of that, before any Flatten.
    pools : tuple of Layer
        MaxPool2d and AveragePool2d layers behind it, in order.
    is_output : bool
        Whether it is the last one, which has no ReLU.
    """

    layer: object
    shape: tuple
    source: str
    source_shape: tuple
    pools: tuple
    is_output: bool

    @property
    def name(self):
        """Name of the layer and of the population."""
        return self.layer.name

    def bias(self):
        """Return the bias: one per channel, one per neuron, or a map of the population's shape; zeros where none."""
        own = self.layer
        return np.zeros(own.weights.shape[-1], own.weights.dtype) if own.bias is None else own.bias


def cut(graph):
    """Cut a folded network into segments.

    Parameters
    ----------
    graph : LayerGraph
        Network without batch norm (see ``fold_batch_norm``).

    Returns
    -------
    tuple of tuple and list
        Pools in front of the first weights, and the segments.

    Raises
    ------
    ModelError
        If a layer has no place in a spiking network; the message names it.  Nothing is skipped.
    """
    starts = [i for i, layer in enumerate(graph.layers) if isinstance(layer, WEIGHTED)]
    if not starts:
        raise ModelError("conversion: the network has no Conv2d or Dense layer")
    for layer in graph.layers:
        if isinstance(layer, Residual):
            layer.complain("adds a shortcut to its body, and this conversion makes chains of layers; convert: {to: hybrid} has "
                           "neurons with two ports for it")  # fmt: skip
        if layer.name == INPUT:
            layer.complain(f"the name '{INPUT}' is taken by the network's input; rename the layer")
    head = [x for x in graph.layers[: starts[0]] if not isinstance(x, (Flatten, Dropout))]
    for layer in head:
        if not isinstance(layer, (MaxPool2d, AveragePool2d)):
            layer.complain("cannot stand before the first weights of a spiking network")
    segments, source, shape = [], INPUT, graph.input_shape
    if head:
        source, shape = head[-1].name, graph.shapes[graph.index(head[-1].name)]
    for k, start in enumerate(starts):
        end = starts[k + 1] if k + 1 < len(starts) else len(graph.layers)
        is_output = k + 1 == len(starts)
        pools = _tail(graph.layers[start], graph.layers[start + 1 : end], is_output)
        segments.append(Segment(graph.layers[start], graph.shapes[start], source, shape, pools, is_output))
        last = pools[-1] if pools else graph.layers[start]
        source, shape = last.name, graph.shapes[graph.index(last.name)]
    return tuple(head), segments


def _tail(layer, followers, is_output):
    """Check what follows a weighted layer and return its pools."""
    relus = [x for x in followers if isinstance(x, ReLU)]
    if is_output:
        for follower in followers:
            if not isinstance(follower, (Flatten, Dropout)):
                follower.complain("follows the last weights; the output must be the bare sums (logits), without it")
        if not isinstance(layer, Dense):
            layer.complain("the last weighted layer must be Dense: one output per class")
    elif not relus:
        layer.complain("has no ReLU before the next weights; a spiking population needs one")
    pools = []
    for follower in followers:
        if isinstance(follower, ReLU):
            relus = []
        elif isinstance(follower, AveragePool2d) and relus:
            follower.complain("stands before its ReLU, and the mean does not commute with it; put the ReLU first")
        elif isinstance(follower, (MaxPool2d, AveragePool2d)):
            pools.append(follower)
        elif not isinstance(follower, (Flatten, Dropout)):
            follower.complain("has no counterpart in a spiking network")
    return tuple(pools)
