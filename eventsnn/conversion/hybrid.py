"""Hybrid networks: a ReLU network with a threshold and a leak per layer, which training and the event engine share."""

from dataclasses import dataclass, replace

import numpy as np

from eventsnn.ann.graph import LayerGraph
from eventsnn.conversion.hybrid_build import build, nodes_of, spiking_layers
from eventsnn.errors import DataError, ModelError
from eventsnn.settings import as_numbers, check_choice, check_choices, check_number

FLAGS = (False, True)
CHOICES = {"propagation": ("pipelined", "same_step"), "input": ("poisson", "direct"), "v_init": (0, 0.5), "clip": FLAGS,
           "strict": FLAGS}  # fmt: skip
META = "hybrid"


@dataclass(frozen=True, eq=False)
class HybridNet:
    """A feed-forward network of soft-reset integrate-and-fire neurons: weights, thresholds, leaks, and how spikes travel.

    Parameters
    ----------
    graph : LayerGraph
        Weights and architecture: Conv2d and Dense layers with ReLU, average pools, dropout, residual blocks; the last layer
        is Dense, without ReLU. Biases, where a layer has one, are added in every step.
    thresholds : sequence of float
        One per spiking layer, in the order of `spiking_layers`; > 0.
    leaks : sequence of float, optional
        Factor on the membrane per step, one per spiking layer, in [0, 1]; default 1. The output layer has none.
    v_init : {0, 0.5}, optional
        Membrane before the first step, as a fraction of the threshold.
    propagation : {"pipelined", "same_step"}, optional
        pipelined: a neuron fires from its membrane of the step before, so that a spike takes one step per layer; same_step: a
        spike crosses all layers in its step.
    input : {"poisson", "direct"}, optional
        Signed Bernoulli spikes, or the value itself at every step.
    gain : float, optional
        Poisson: probability of a spike per step at |x| = 1; > 0.
    clip : bool, optional
        Poisson: let values with |x| gain above 1 spike at every step, instead of refusing them.
    strict : bool, optional
        Fire above the threshold only; False: at it, too, as rounding does, which takes a half up.

    Raises
    ------
    ModelError
        If the graph has a layer that has no place in such a network, or a number is out of range.

    Notes
    -----
    v = u[t-1] / theta - 1, s[t] = (v > 0), u[t] = lambda u[t-1] + W z[t] - theta s[t] (pipelined), or
    u[t] = lambda u[t-1] + W z[t] - theta s[t-1], s[t] = (u[t] > theta) (same_step); y[t] = y[t-1] + W_out z_L[t]
    (hybrid-stdb 2.2 - 2.4, 2.9); >= for > where not strict.
    """

    graph: object
    thresholds: tuple
    leaks: tuple | None = None
    v_init: float = 0.0
    propagation: str = "pipelined"
    input: str = "poisson"
    gain: float = 1.0
    clip: bool = False
    strict: bool = True

    def __post_init__(self):
        """Check every number against the layers."""
        if not isinstance(self.graph, LayerGraph):
            raise ModelError(f"hybrid network: graph must be a LayerGraph, got {type(self.graph).__name__}")
        names = spiking_layers(self.graph)
        leaks = [1.0] * len(names) if self.leaks is None else self.leaks
        object.__setattr__(self, "thresholds", _numbers(self.thresholds, "thresholds", names))
        object.__setattr__(self, "leaks", _numbers(leaks, "leaks", names))
        for name, threshold, leak in zip(names, self.thresholds, self.leaks):
            if threshold <= 0:
                raise ModelError(f"hybrid network: the threshold of layer '{name}' must be > 0, got {threshold}; with 0 every "
                                 "positive membrane fires for ever, and u / theta is not a number")  # fmt: skip
            if not 0 <= leak <= 1:
                raise ModelError(f"hybrid network: the leak of layer '{name}' must be in [0, 1], got {leak}")
        check_choices(self, CHOICES, "hybrid network")
        check_number(self.gain, "(0, inf)", "hybrid network: gain")

    @property
    def layers(self):
        """Names of the spiking layers, in the order of thresholds and leaks."""
        return spiking_layers(self.graph)

    @property
    def depth(self):
        """Number of steps that a spike takes from the input to the output at the most."""
        return len(self.thresholds) if self.propagation == "pipelined" else 0

    @property
    def shortest(self):
        """Number of steps after which something can reach the output at the earliest: shortcuts leave out a layer."""
        inner = sum(node.in_block and node.shortcut is None for node in nodes_of(self.graph))
        return self.depth - inner if self.depth else 0

    def settings(self):
        """Return everything but the graph as plain data."""
        return {"thresholds": list(self.thresholds), "leaks": list(self.leaks), "v_init": float(self.v_init),
                "propagation": self.propagation, "input": self.input, "gain": float(self.gain), "clip": bool(self.clip),
                "strict": bool(self.strict)}  # fmt: skip


def _numbers(values, what, names):
    """Return a tuple of finite numbers, one per spiking layer."""
    array = np.atleast_1d(as_numbers(values, f"hybrid network: {what}")).astype(np.float64)
    if array.shape != (len(names),):
        raise ModelError(f"hybrid network: needs {len(names)} {what}, one per spiking layer ({', '.join(names)}), got "
                         f"{array.size}")  # fmt: skip
    if not np.isfinite(array).all():
        at = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ModelError(f"hybrid network: {what} of layer '{names[at]}' must be a finite number, got {array[at]}")
    return tuple(float(v) for v in array)


def check_net(hybrid):
    """Refuse what is no hybrid network; a source network becomes one by HybridNet or balancing."""
    if not isinstance(hybrid, HybridNet):
        raise ModelError(f"hybrid network: must be a HybridNet, got {type(hybrid).__name__}; make one of a source network and "
                         "thresholds")  # fmt: skip


def to_network(hybrid, *, dtype="float32", dt_ms=1.0, masks=False):
    """Make the network that the engines run.

    Parameters
    ----------
    hybrid : HybridNet
    dtype : {"float32", "float64"}, optional
        Precision of populations and weights.
    dt_ms : float, optional
        Length of a step, ms.
    masks : bool, optional
        Put every dropout layer to work as a frozen mask, drawn once per sample (as in training); default: ones.

    Returns
    -------
    Network
        Grid clock, one input ``input``; populations carry the names of the spiking layers and of the output layer, whose
        membrane is the readout.
    """
    check_net(hybrid)
    check_choice(masks, FLAGS, "hybrid network: masks")
    return build(hybrid, dtype, dt_ms, masks)


def encode(hybrid, x, *, steps, seed=0, dt_ms=1.0, sample_ids=None):
    """Turn images into the network's input.

    Parameters
    ----------
    hybrid : HybridNet
    x : array_like, shape (n, *input_shape)
        In [-1, 1] / gain for Poisson input, unless it clips; any finite values for direct input.
    steps : int
        Duration.
    seed, dt_ms, sample_ids : optional
        See `eventsnn.encoders.poisson.encode`.

    Returns
    -------
    SpikeRaster or Drive
    """
    from eventsnn.encoders import ENCODERS

    check_net(hybrid)
    x = hybrid.graph.as_inputs(x)
    if hybrid.input == "direct":
        return ENCODERS["constant"].encode(x)
    return ENCODERS["poisson"].encode(x, steps=steps, gain=hybrid.gain, seed=seed, dt_ms=dt_ms, sample_ids=sample_ids,
                                      clip=hybrid.clip)  # fmt: skip


def save_hybrid(path, hybrid, *, dtype=None):
    """Write a hybrid network, whole or not at all: a file of the source network with thresholds beside the weights.

    Parameters
    ----------
    path : str or Path
        Name ending in .h5, .npz or .safetensors.
    hybrid : HybridNet
    dtype : optional
        How weights are stored; see `eventsnn.ann.files.save_graph`.
    """
    from eventsnn.ann.files import save_graph

    check_net(hybrid)
    graph = hybrid.graph
    save_graph(path, replace(graph, meta={**graph.meta, META: hybrid.settings()}), dtype=dtype)


def load_hybrid(path):
    """Read a network written by `save_hybrid`.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    HybridNet

    Raises
    ------
    DataError
        If the file is damaged or hostile, or holds no thresholds.
    """
    from eventsnn.ann.files import load_graph

    try:
        return hybrid_of(load_graph(path))
    except ModelError as error:
        raise DataError(f"{path}: {error}") from error


def hybrid_of(graph):
    """Return the hybrid network in the graph of a file that `save_hybrid` wrote.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    HybridNet

    Raises
    ------
    ModelError
        If its ``meta`` holds no thresholds, or some that are not valid.
    """
    found = graph.meta.get(META)
    if not isinstance(found, dict):
        raise ModelError("is a source network without thresholds; balance it first (convert: to: hybrid)")
    rest = {key: value for key, value in graph.meta.items() if key != META}
    try:
        return HybridNet(replace(graph, meta=rest), **found)
    except (TypeError, ValueError) as error:
        raise ModelError(f"the thresholds inside are not valid: {error}") from error
