"""Named source networks: perceptrons and convolutional stacks with fresh weights."""

from dataclasses import replace

import numpy as np

from eventsnn.ann.base import image_shape
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.hybrid_nets import hybrid_net
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
    conv_dropout=(), seed=0, name="conv_net",
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
    padding : {"same", "valid"} or sequence of them, optional
        Border rule: one for all convolutions, or one each.
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
    conv_dropout : sequence of float, optional
        Dropout rates behind the convolutions that no pool follows, in order; empty: none.
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
    layers, channels, counts = [], image_shape(input_shape, f"'{name}'")[2], {"conv": 0, "pool": 0, "relu": 0, "norm": 0}

    def count(kind):
        counts[kind] += 1
        return f"{kind}{counts[kind]}"

    def activate(width):
        pair = ([_batch_norm(count("norm"), width)] if batch_norm else []) + [ReLU(count("relu"))]
        return pair if norm_place == "before_relu" else pair[::-1]

    rates = dict(zip(_inner(features, conv_dropout), conv_dropout))
    for place, feature in enumerate(features):
        if feature == "P":
            layers.append(pools[pool](count("pool")))
            continue
        shape = (kernel, kernel, channels, _whole(feature, "features"))
        label, channels = count("conv"), int(feature)
        border = padding if isinstance(padding, str) else padding[counts["conv"] - 1]
        layers += [Conv2d(label, he_normal(seed, label, shape), np.zeros(channels, np.float32), 1, border), *activate(channels)]
        layers += [Dropout(f"dropout_{label}", rates[place])] if rates.get(place) else []
    layers.append(Flatten("flatten"))
    layers += [Dropout("dropout0", feature_dropout)] if feature_dropout else []
    size = LayerGraph(input_shape, layers).output_shape[0]
    for i, width in enumerate(hidden, start=1):
        layers += [_dense(seed, f"dense{i}", size, _whole(width, "hidden")), *activate(int(width))]
        layers += [Dropout(f"dropout{i}", dropout)] if dropout else []
        size = int(width)
    layers.append(_dense(seed, "output", size, _whole(n_out, "n_out")))
    return LayerGraph(input_shape, layers, name)


def _inner(features, rates):
    """Return the places of the convolutions that no pool follows; there must be one for each rate."""
    after = [*features[1:], None]
    places = [i for i, feature in enumerate(features) if feature != "P" and after[i] != "P"]
    if len(rates) not in (0, len(places)):
        raise ModelError(f"architecture: conv_dropout must have {len(places)} rates, one for each convolution that no pool "
                         f"follows, got {len(rates)}")  # fmt: skip
    return places


def vgg16(input_shape=(32, 32, 3), n_out=10, *, hidden=(512,), seed=0, **options):
    """Make VGG16: 13 convolutions, five pools, dense layers.

    Parameters
    ----------
    input_shape : tuple of int, optional
        (y, x, channel).
    n_out : int, optional
        Number of classes.
    hidden : sequence of int, optional
        Widths of the dense hidden layers: (512,) for CIFAR, (4096, 4096) for images of 224 x 224.
    seed : int, optional
        Seed of the initial weights.
    **options
        batch_norm (default True), norm_place, dropout, feature_dropout, conv_dropout: see :func:`conv_net`.

    Returns
    -------
    LayerGraph
    """
    return replace(conv_net(input_shape, VGG16, hidden, n_out, **{"batch_norm": True, **options}, seed=seed), name="vgg16")


def lenet5(
    input_shape=(28, 28, 1), n_out=10, *, batch_norm=True, norm_place="before_relu", pool="max", dropout=0.08, seed=0,
):  # fmt: skip
    """Make LeNet5 with kernels of 5 x 5: 6 same, pool, 16 valid, pool, 120 valid, dense 84 (ttfs-relu-equivalence L8).

    Parameters
    ----------
    input_shape : tuple of int, optional
        (y, x, channel); at least 28 x 28.
    n_out : int, optional
        Number of classes.
    batch_norm, norm_place, pool
        See :func:`conv_net`.
    dropout : float, optional
        Dropout rate behind the last convolution and the dense hidden layer, in [0, 1).
    seed : int, optional
        Seed of the initial weights.

    Returns
    -------
    LayerGraph
    """
    return conv_net(
        input_shape, (6, "P", 16, "P", 120), (84,), n_out, kernel=5, padding=("same", "valid", "valid"), batch_norm=batch_norm,
        norm_place=norm_place, pool=pool, dropout=dropout, feature_dropout=dropout, seed=seed, name="lenet5",
    )  # fmt: skip


ARCHITECTURES = {"mlp": mlp, "conv_net": conv_net, "vgg16": vgg16, "lenet5": lenet5, "quantised": quantised, "hybrid": hybrid_net}


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
