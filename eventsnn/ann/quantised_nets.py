"""Architectures of quantised networks, written as the field writes them: 32C5-P2-64C5-P2-1000."""

import re

import numpy as np

from eventsnn.ann.base import image_shape
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.initialise import normal
from eventsnn.ann.layers import BatchNorm, Conv2d, Dense, Flatten, ReLU
from eventsnn.ann.quantised import KBitConv2d, QuantConv2d, QuantReLU, TernaryConv2d
from eventsnn.errors import ModelError

LENET = "32C5-P2-64C5-P2-1000"
VGG_NET = "96C3-256C3-P2-384C3-P2-384C3-256C3-P2-1024-1024"
CONV_SPREAD, DENSE_SPREAD, GAMMA_SPREAD = 0.02, 0.1, 0.002
GRID_SPREAD = 0.5  # of weights of few bits: 0.02 would round to 0
PART = re.compile(r"(?P<channels>[1-9]\d*)(C(?P<kernel>[1-9]\d*))?|P(?P<pool>[1-9]\d*)")


def quantised(input_shape, layers, n_out, *, padding="valid", k=0, top=4.0, ternary=True, weight_bits=None, seed=0,
              name="quantised"):  # fmt: skip
    """Make a convolutional network with rounded activations and ternary hidden weights.

    Parameters
    ----------
    input_shape : tuple of int
        (y, x, channel).
    layers : str
        Parts joined by "-": ``32C5`` is a convolution of 32 channels and kernel 5; ``P2`` a learned down-sampling, a 2 x 2
        convolution of stride 2 that keeps the channels; ``1000`` a convolution of 1,000 channels over the whole map.
    n_out : int
        Number of classes.
    padding : {"valid", "same"}, optional
        Border rule of the parts with a C.
    k : int or None, optional
        Fractional bits of hidden activations; None: plain ReLU throughout, the full-precision baseline.
    top : float, optional
        Greatest activation of the first layer, the encoder, whose levels are whole numbers.
    ternary : bool, optional
        Whether the weights of all convolutions but the first are ternary.
    weight_bits : int, optional
        Without ``ternary``: bits of these weights, see :func:`eventsnn.ann.quantised.k_bit`; default floats.
    seed : int, optional
        Seed of the initial weights: normal of 0.02 (convolutions; 0.5 with ``weight_bits``) and 0.1 (dense), gamma normal of
        0.002 about 1.
    name : str, optional
        Name of the graph.

    Returns
    -------
    LayerGraph
        Layers ``conv1``, ``norm1``, ``act1``, ..., ``flatten``, ``output``; no biases, they are in the batch norm.

    Raises
    ------
    ModelError
        If a part is not understood, does not fit its map, or options exclude each other.

    Notes
    -----
    Source: all-integer-snn A2 - A7, 3.1, 3.2: LeNet for MNIST with valid, VGG-Net for 24 x 24 crops with same padding.
    """
    if ternary and weight_bits is not None:
        raise ModelError("architecture 'quantised': weight_bits is for networks with 'ternary: false'")
    made, shape = [], image_shape(input_shape, "'quantised'")
    for i, (channels, kernel, stride, rule) in enumerate(_parts(layers, shape, padding), start=1):
        weights = CONV_SPREAD * normal(seed, f"conv{i}", (kernel, kernel, shape[2], channels))
        conv = Conv2d(f"conv{i}", weights, None, stride, rule)
        if i > 1 and k is not None:
            conv = _rounded(conv, ternary, weight_bits)
        gamma = 1 + GAMMA_SPREAD * normal(seed, f"norm{i}", (channels,))
        zeros = np.zeros(channels, np.float32)
        if k is None:
            act = ReLU(f"act{i}")
        else:
            act = QuantReLU(f"act{i}", 0, top) if i == 1 else QuantReLU(f"act{i}", k)
        made += [conv, BatchNorm(f"norm{i}", gamma, zeros, zeros, np.ones(channels, np.float32)), act]
        shape = conv.out_shape(shape)
    size = int(np.prod(shape))
    made += [Flatten("flatten"), Dense("output", DENSE_SPREAD * normal(seed, "output", (size, n_out)), None)]
    return LayerGraph(input_shape, made, name)


def _rounded(conv, ternary, bits):
    """Return a convolution that multiplies with rounded weights."""
    how = {"stride": conv.stride, "padding": conv.padding}
    if ternary:
        return TernaryConv2d(conv.name, conv.weights, **how)
    if bits is None:
        return conv
    return KBitConv2d(conv.name, conv.weights * np.float32(GRID_SPREAD / CONV_SPREAD), bits=bits, **how)


def _parts(text, shape, padding):
    """Yield (channels, kernel, stride, padding) of each part; needs the running shape, which the caller makes anew."""
    height, width, channels = shape
    for part in text.split("-"):
        found = PART.fullmatch(part.strip())
        if found is None:
            raise ModelError(f"architecture: layers must be parts like 32C5, P2 or 1000 joined by '-', got {part!r} in {text!r}")
        if found["pool"]:
            kernel = stride = int(found["pool"])
            rule = "valid"
        else:
            channels, stride = int(found["channels"]), 1
            kernel, rule = (int(found["kernel"]), padding) if found["kernel"] else (height, "valid")
        if found["channels"] and not found["kernel"] and height != width:
            raise ModelError(f"architecture: part {part!r} covers a whole square map, got {height} x {width}")
        if rule == "valid" and ((height - kernel) % stride or (width - kernel) % stride):
            raise ModelError(f"architecture: part {part!r} does not divide a map of {height} x {width}")
        yield channels, kernel, stride, rule
        if rule == "valid":
            height, width = ((n - kernel) // stride + 1 for n in (height, width))


def parameter_list(graph):
    """Return the parameters in the published order of arrays.

    Parameters
    ----------
    graph : LayerGraph
        Of :func:`quantised`.

    Returns
    -------
    list of ndarray
        Per block weights (y, x, in, out), ternary ones as they are used, beta, gamma, mean, variance; last the weights of the
        dense layer (in, out). ``numpy.savez(path, *arrays)`` writes them as arr_0, arr_1, ... (all-integer-snn A11).
    """
    return [np.array(value) for _, value in _ordered(graph)]


def with_parameter_list(graph, arrays):
    """Return the network with parameters in the published order; see :func:`parameter_list`.

    Parameters
    ----------
    graph : LayerGraph
    arrays : sequence of ndarray

    Returns
    -------
    LayerGraph

    Raises
    ------
    ModelError
        If there are too many, too few, or one has another shape.
    """
    wanted, arrays = _ordered(graph), [np.asarray(value) for value in arrays]
    if len(arrays) != len(wanted):
        raise ModelError(f"parameter list: the network has {len(wanted)} arrays, got {len(arrays)}")
    for (name, own), value in zip(wanted, arrays):
        if value.shape != own.shape:
            raise ModelError(f"parameter list: '{name}' must have shape {own.shape}, got {value.shape}")
    return graph.with_parameters({name: value.astype(own.dtype) for (name, own), value in zip(wanted, arrays)})


def _ordered(graph):
    """Return pairs (name, array) in the published order."""
    found = []
    for layer in graph.layers:
        if isinstance(layer, BatchNorm):
            found += [(f"{layer.name}.{key}", getattr(layer, key)) for key in ("beta", "gamma", "mean", "variance")]
        elif isinstance(layer, Conv2d | Dense):
            used = layer.used() if isinstance(layer, QuantConv2d) else layer.weights
            found.append((f"{layer.name}.weights", used))
    return found
