"""From a hybrid network to populations: which layers fire, what feeds them, residual blocks as two ports of one population."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.layers import WEIGHTED, AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, ReLU
from eventsnn.ann.quantised import Qcfs
from eventsnn.ann.residual import Residual
from eventsnn.conversion.parts import synapses
from eventsnn.conversion.segments import INPUT
from eventsnn.errors import ModelError
from eventsnn.network import Input, Network, Population, Projection, Readout, Relay
from eventsnn.projections import Sparse
from eventsnn.relays import AveragePool, FrozenMask

RESET_AT = {"pipelined": "pipelined", "same_step": "next"}


@dataclass(frozen=True, eq=False)
class Node:
    """One population of the network to be.

    Parameters
    ----------
    name : str
        Of the weighted layer; in a residual block ``<block>_<layer>`` and, for the neurons that receive the sum, the block's.
    shape : tuple of int
    layer : Conv2d or Dense
        Weights on what comes from ``source``.
    source : str
        The input, a population or a relay.
    shortcut : tuple or None
        Of a block's last population: (source, Conv2d or None) of its second port; None is the identity.
    fires : bool
        False for the output.
    in_block : bool
        Whether it belongs to a residual block.
    """

    name: str
    shape: tuple
    layer: object
    source: str
    shortcut: tuple | None = None
    fires: bool = True
    in_block: bool = False


class _Plan:
    """One walk through the layers: populations, relays, and what the next layer takes its input from."""

    def __init__(self, graph):
        self.nodes, self.relays, self.source, self.waiting = [], [], INPUT, None
        for layer, before, after in zip(graph.layers, (graph.input_shape, *graph.shapes), graph.shapes):
            if layer.name == INPUT:
                layer.complain(f"the name '{INPUT}' is taken by the network's input; rename the layer")
            self._take(layer, before, after)
        last = self.nodes.pop() if self.waiting is not None else None
        if last is None or not isinstance(last.layer, Dense) or last.shortcut is not None:
            raise ModelError("hybrid network: the last layer must be Dense, without ReLU: its sums over time are the logits")
        self.nodes.append(Node(last.name, last.shape, last.layer, last.source, None, False))

    def _take(self, layer, before, after):
        """Add one layer; shapes are those of its input and output."""
        if isinstance(layer, Flatten):
            return
        if isinstance(layer, ReLU):
            if self.waiting is None:
                layer.complain("must stand right behind weights or a residual block: there the neurons are")
            self.source, self.waiting = self.waiting, None
            return
        if isinstance(layer, BatchNorm):
            layer.complain("is for dense networks; fold it first (conversion.fold.fold_batch_norm)")
        if isinstance(layer, Qcfs):
            layer.complain("has a range of its own, which is the neurons' threshold: use balance.rule qcfs (conversion.qcfs)")
        if self.waiting is not None:
            layer.complain(f"stands behind '{self.waiting}', which needs its ReLU first: the neurons that spike")
        if isinstance(layer, WEIGHTED):
            self._add(Node(layer.name, after, layer, self.source))
        elif isinstance(layer, Residual):
            self._block(layer, before, after)
        elif isinstance(layer, AveragePool2d | Dropout):
            self.relays.append((layer.name, self.source, layer))
            self.source = layer.name
        else:
            layer.complain("has no counterpart in a hybrid network, which takes Conv2d, Dense, ReLU, AveragePool2d, Dropout, "
                           "Flatten and Residual")  # fmt: skip

    def _add(self, node):
        self.nodes.append(node)
        self.waiting = node.name

    def _block(self, block, before, after):
        """Add a basic block: two populations, the second with a port for the shortcut."""
        start, body = self.source, [x for x in block.body if not isinstance(x, Dropout)]
        kinds = [type(x) for x in body]
        if kinds != [Conv2d, ReLU, Conv2d] or isinstance(block.body[-1], Dropout):
            block.complain("a basic block's body is Conv2d, ReLU, (Dropout,) Conv2d, got "
                           + ", ".join(type(x).__name__ for x in block.body))  # fmt: skip
        if [type(x) for x in block.shortcut] not in ([], [Conv2d]) or any(x.bias is not None for x in block.shortcut):
            block.complain("the shortcut must be the identity or one Conv2d without bias")
        middle = tuple(body[0].out_shape(before))
        self._add(Node(f"{block.name}_{body[0].name}", middle, body[0], start, in_block=True))
        for layer in block.body[1:-1]:
            self._take(layer if isinstance(layer, ReLU) else _renamed(layer, f"{block.name}_{layer.name}"), middle, middle)
        beside = (start, block.shortcut[0] if block.shortcut else None)
        self._add(Node(block.name, after, body[2], self.source, beside, in_block=True))


def _renamed(layer, name):
    return Dropout(name, layer.rate)


def nodes_of(graph):
    """Return the populations of a network in order, the output last.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    list of Node

    Raises
    ------
    ModelError
        If a layer has no place in a hybrid network; the message names it.
    """
    return _Plan(graph).nodes


def relays_of(graph):
    """Return the pools and dropout layers of a network in order, as (name, source, layer); sources are as in `nodes_of`."""
    return _Plan(graph).relays


def spiking_layers(graph):
    """Return the names of the populations that fire, in order: where thresholds and leaks belong."""
    return tuple(node.name for node in nodes_of(graph)[:-1])


def build(hybrid, dtype, dt_ms, masks, peak=None):
    """Make the network of a HybridNet; see `eventsnn.conversion.hybrid.to_network`.

    Parameters
    ----------
    hybrid : HybridNet
    dtype : str
    dt_ms : float
    masks : bool
    peak : int, optional
        Cut the network behind this spiking layer, and let its population remember its largest drive instead of firing.

    Returns
    -------
    Network
    """
    plan = _Plan(hybrid.graph)
    nodes = plan.nodes if peak is None else plan.nodes[: peak + 1]
    passes = {} if masks else {name: source for name, source, layer in plan.relays if isinstance(layer, Dropout)}

    def end(name):
        while name in passes:
            name = passes[name]
        return name

    populations, projections, settings = [], [], iter(zip(hybrid.thresholds, hybrid.leaks))
    for node in nodes:
        setting = next(settings) if node.fires and (peak is None or node is not nodes[-1]) else None
        populations.append(_population(node, hybrid, setting, dtype, "accumulator" if peak is None else "peak"))
        projections.append(Projection(end(node.source), node.name, synapses(node.layer, node.layer.weights)))
        if node.shortcut is not None:
            source, layer = node.shortcut
            beside = _identity(node.shape) if layer is None else synapses(layer, layer.weights)
            projections.append(Projection(end(source), node.name, beside, port="shortcut"))
    relays = [Relay(name, end(source), AveragePool(x.size) if isinstance(x, AveragePool2d) else FrozenMask(x.rate))
              for name, source, x in plan.relays if name not in passes]  # fmt: skip
    if peak is not None:  # without the pools of layers that are not there
        known = {INPUT, *(p.name for p in populations)}
        relays = [r for r in relays if r.source in known and not known.add(r.name)]
    return Network([Input(INPUT, hybrid.graph.input_shape)], populations, projections, relays,
                   readout=Readout(nodes[-1].name, "membrane"), dt_ms=dt_ms)  # fmt: skip


def _population(node, hybrid, setting, dtype, silent):
    """Make one population; setting is (threshold, leak), None for one of the model `silent`."""
    values = {} if node.layer.bias is None else {"bias": node.layer.bias}
    if setting is None:
        return Population(node.name, node.shape, silent, values, dtype)
    threshold, leak = setting
    values |= {"v_threshold": threshold, "leak": leak, "v_init": hybrid.v_init * threshold, "strict": hybrid.strict,
               "reset": "subtract", "reset_at": RESET_AT[hybrid.propagation]}  # fmt: skip
    return Population(node.name, node.shape, "lif" if node.shortcut is None else "lif_shortcut", values, dtype)


def _identity(shape):
    """Return one synapse of weight 1 from every neuron to its own."""
    every = np.arange(int(np.prod(shape)))
    return Sparse(every, every, 1.0)
