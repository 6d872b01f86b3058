"""Small hybrid networks for tests, as the package builds them and as the twin wants them."""

import numpy as np

from eventsnn.ann.architectures import build
from eventsnn.ann.layers import AveragePool2d, Conv2d, Dense, Dropout, Flatten, ReLU
from eventsnn.ann.residual import Residual
from eventsnn.conversion.hybrid import HybridNet
from eventsnn.conversion.hybrid_build import spiking_layers
from tests.reference import hybrid as twin


def graph_of(net, seed, shape=(6, 6, 2), dropout=0.2, grid=None):
    """A VGG5 or ResNet8 of few channels; weights grow so that the small network spikes, on a grid of 2^-grid if asked."""
    graph = slim(build("hybrid", input_shape=shape, net=net, n_out=4, hidden=(9,), dropout=dropout, seed=seed), 16)
    rng, new = np.random.default_rng(seed), {}
    for name, value in graph.parameters().items():
        spread = 1.2 / np.sqrt(np.prod(value.shape[:-1]))
        drawn = spread * (rng.standard_normal(value.shape) + 0.3)
        new[name] = (drawn if grid is None else np.round(drawn * 2**grid) / 2**grid).astype(np.float32)
    return graph.with_parameters(new)


def slim(graph, divisor):
    """The same network with its channels divided."""

    def conv(layer, c_in):
        return Conv2d(layer.name, layer.weights[:, :, :c_in, : max(2, layer.weights.shape[3] // divisor)], None, layer.stride)

    layers, shape = [], graph.input_shape
    for layer in graph.layers:
        if isinstance(layer, Conv2d):
            layer = conv(layer, shape[2])
        elif isinstance(layer, Residual):
            first = conv(layer.body[0], shape[2])
            last = conv(layer.body[-1], first.weights.shape[3])
            beside = tuple(conv(x, shape[2]) for x in layer.shortcut)
            layer = Residual(layer.name, (first, *layer.body[1:-1], last), beside)
        elif isinstance(layer, Dense):
            layer = Dense(layer.name, layer.weights[: shape[0]])
        layers.append(layer)
        shape = layer.out_shape(shape)
    return type(graph)(graph.input_shape, layers, graph.name)


def hybrid_of(graph, seed, leak, propagation, **options):
    """Thresholds of several sizes, not on the grid of the weights."""
    n = len(spiking_layers(graph))
    thresholds = np.random.default_rng(seed).uniform(0.25, 0.8, n)
    return HybridNet(graph, thresholds, [leak] * n, propagation=propagation, **options)


def nodes_for_twin(hybrid, masks=None):
    """The network as the twin wants it, written by its own walk through the layers."""
    nodes, source, shape, k = [], "input", hybrid.graph.input_shape, 0

    def spiking(name, layer, source, shape, k, **more):
        theta = hybrid.thresholds[k]
        matrix = unrolled(layer, shape)
        nodes.append({"name": name, "kind": "spiking", "source": source, "matrix": matrix, "theta": theta,
                      "leak": hybrid.leaks[k], "u0": hybrid.v_init * theta, **biased(layer, matrix), **more})  # fmt: skip

    layers = list(hybrid.graph.layers)
    for index, layer in enumerate(layers):
        if isinstance(layer, Conv2d | Dense):
            if index == len(layers) - 1:
                matrix = unrolled(layer, shape)
                nodes.append({"name": layer.name, "kind": "output", "source": source, "matrix": matrix, **biased(layer, matrix)})
            else:
                spiking(layer.name, layer, source, shape, k)
                source, k = layer.name, k + 1
        elif isinstance(layer, Residual):
            first, last, middle = layer.body[0], layer.body[-1], layer.body[0].out_shape(shape)
            inner = f"{layer.name}_{first.name}"
            spiking(inner, first, source, shape, k)
            if masks and f"{layer.name}_dropout" in masks:
                nodes.append({"name": "m" + inner, "kind": "mask", "source": inner, "factors": masks[f"{layer.name}_dropout"]})
                inner = "m" + inner
            beside = unrolled(layer.shortcut[0], shape) if layer.shortcut else np.eye(int(np.prod(shape)))
            spiking(layer.name, last, inner, middle, k + 1, shortcut=(source, beside))
            source, k = layer.name, k + 2
        elif isinstance(layer, AveragePool2d):
            nodes.append({"name": layer.name, "kind": "pool", "source": source, "shape": shape})
            source = layer.name
        elif isinstance(layer, Dropout) and masks:
            nodes.append({"name": layer.name, "kind": "mask", "source": source, "factors": masks[layer.name]})
            source = layer.name
        else:
            assert isinstance(layer, ReLU | Flatten | Dropout)
        shape = layer.out_shape(shape)
    return nodes


def unrolled(layer, shape):
    """The matrix of a layer."""
    return twin.conv_matrix(layer.weights, shape, layer.stride) if isinstance(layer, Conv2d) else layer.weights


def biased(layer, matrix):
    """The bias of a layer per neuron, if it has one."""
    return {} if layer.bias is None else {"bias": np.tile(layer.bias, matrix.shape[1] // layer.bias.size)}
