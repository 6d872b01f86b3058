"""Named source networks: perceptrons and convolutional stacks with fresh weights."""

from dataclasses import replace

import numpy as np

from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.initialise import he_normal
from eventsnn.ann.layers import AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.ann.quantised_nets import quantised
from eventsnn.errors import ModelError, did_you_mean

NORM_PLACES = ("before_relu", "after_relu")
VGG16 = (64, 64, "P", 128, 128, "P", 256, 256, 256, "P", 512, 512, 512, "P", 512, 512, 512, "P")


def _dense(seed, name, n_in, n_out):
    return Dense(name, he_normal(seed, name, (n_in, n_out)), np.zeros(n_out, np.float32))


def _batch_norm(name, channels):
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return BatchNorm(name, ones, zeros, zeros, ones)


def _whole(value, what, least=1):
    """Check a size."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ModelError(f"architecture: {what} must be a whole number >= {least}, got {value!r}")
    return int(value)


def mlp(n_in, hidden, n_out, *, dropout=0.0, input_dropout=0.0, seed=0, name="mlp"):
    """Make a multi-layer perceptron with ReLU hidden layers.

    Parameters
    ----------
    n_in, n_out : int
        Number of inputs and of classes.
    hidden : sequence of int
        Width of each hidden layer.
    dropout, input_dropout : float, optional
        Dropout rate after each hidden layer and on the inputs while training, in [0, 1).
    seed : int, optional
        Seed of the initial weights (He normal, biases 0).
    name : str, optional
        Name of the graph.

    Returns
    -------
    LayerGraph
        Layers ``hidden1``, ``relu1``, ..., ``output``.
    """
    size, layers = _whole(n_in, "n_in"), []
    if input_dropout:
        layers.append(Dropout("dropout0", input_dropout))
    for i, width in enumerate(hidden, start=1):
        layers += [_dense(seed, f"hidden{i}", size, _whole(width, f"hidden[{i - 1}]")), ReLU(f"relu{i}")]
        if dropout:
            layers.append(Dropout(f"dropout{i}", dropout))
        size = int(width)
    layers.append(_dense(seed, "output", size, _whole(n_out, "n_out")))
    return LayerGraph((int(n_in),), layers, name)


def conv_net(
    input_shape, features, hidden, n_out, *,
    kernel=3, padding="same", batch_norm=False, norm_place="before_relu", pool="max", dropout=0.0, feature_dropout=0.0,
    seed=0, name="conv_net",
):  # fmt: skip
    """Make a convolutional stack followed by dense layers.

    Parameters
    ----------
    input_shape : tuple of int
        (y, x, channel).
    features : sequence of int or "P"
        Channels of each convolution; "P" is a 2 x 2 pool.
    hidden : sequence of int
        Widths of the dense hidden layers.
    n_out : int
        Number of classes.
    kernel : int, optional
        Kernel extent.
    padding : {"same", "valid"}, optional
        Border rule.
    batch_norm : bool, optional
        Batch normalisation at each convolution and dense hidden layer.
    norm_place : {"before_relu", "after_relu"}, optional
        Where it stands.
    pool : {"max", "average"}, optional
        Kind of pool.
    dropout : float, optional
        Dropout rate after each dense hidden layer, in [0, 1).
    feature_dropout : float, optional
        Dropout rate on the flattened features, in front of the first dense layer.
    seed : int, optional
        Seed of the initial weights (He normal, biases 0).
    name : str, optional
        Name of the graph.

    Returns
    -------
    LayerGraph
        Layers ``conv1``, ``norm1``, ``relu1``, ``pool1``, ..., ``flatten``, ``dense1``, ..., ``output``.
    """
    pools = {"max": MaxPool2d, "average": AveragePool2d}
    if pool not in pools:
        raise ModelError(f"architecture: pool must be 'max' or 'average', got {pool!r}{did_you_mean(pool, pools)}")
    if norm_place not in NORM_PLACES:
        raise ModelError(f"architecture: norm_place must be 'before_relu' or 'after_relu', got {norm_place!r}"
                         f"{did_you_mean(norm_place, NORM_PLACES)}")  # fmt: skip
    layers, channels, counts = [], int(input_shape[2]), {"conv": 0, "pool": 0, "relu": 0, "norm": 0}

    def count(kind):
        counts[kind] += 1
        return f"{kind}{counts[kind]}"

    def activate(width):
        pair = ([_batch_norm(count("norm"), width)] if batch_norm else []) + [ReLU(count("relu"))]
        return pair if norm_place == "before_relu" else pair[::-1]

    for feature in features:
        if feature == "P":
            layers.append(pools[pool](count("pool")))
            continue
        shape = (kernel, kernel, channels, _whole(feature, "features"))
        label, channels = count("conv"), int(feature)
        bias = np.zeros(channels, np.float32)
        layers += [Conv2d(label, he_normal(seed, label, shape), bias, 1, padding), *activate(channels)]
    layers.append(Flatten("flatten"))
    layers += [Dropout("dropout0", feature_dropout)] if feature_dropout else []
    size = LayerGraph(input_shape, layers).output_shape[0]
    for i, width in enumerate(hidden, start=1):
        layers += [_dense(seed, f"dense{i}", size, _whole(width, "hidden")), *activate(int(width))]
        layers += [Dropout(f"dropout{i}", dropout)] if dropout else []
        size = int(width)
    layers.append(_dense(seed, "output", size, _whole(n_out, "n_out")))
    return LayerGraph(input_shape, layers, name)


def vgg16(input_shape=(32, 32, 3), n_out=10, *, hidden=(512,), batch_norm=True, dropout=0.0, seed=0):
    """Make VGG16 for small images: 13 convolutions, five pools, dense layers; see :func:`conv_net`."""
    graph = conv_net(input_shape, VGG16, hidden, n_out, batch_norm=batch_norm, dropout=dropout, seed=seed)
    return replace(graph, name="vgg16")


ARCHITECTURES = {"mlp": mlp, "conv_net": conv_net, "vgg16": vgg16, "quantised": quantised}


def build(kind, **options):
    """Make a network by the name of its architecture.

    Parameters
    ----------
    kind : str
        One of ``ARCHITECTURES``.
    **options
        Arguments of that function.

    Returns
    -------
    LayerGraph

    Raises
    ------
    ModelError
        If the name is unknown, or an option is missing, unknown or out of range.
    """
    if kind not in ARCHITECTURES:
        raise ModelError(f"architecture: unknown name {kind!r}{did_you_mean(kind, ARCHITECTURES)}; "
                         f"allowed: {', '.join(ARCHITECTURES)}")  # fmt: skip
    try:
        return ARCHITECTURES[kind](**options)
    except TypeError as error:
        raise ModelError(f"architecture '{kind}': {error}") from error
