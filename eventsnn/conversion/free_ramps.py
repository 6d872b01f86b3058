"""ReLU layers to ramps that may spike at any time: ungated B1, and alpha-1 with one spike of every neuron."""

from dataclasses import dataclass, replace

import numpy as np

from eventsnn.ann.layers import Conv2d
from eventsnn.conversion.segments import INPUT
from eventsnn.errors import ModelError
from eventsnn.network import Input, Network, Population, Projection, Readout
from eventsnn.projections import Dense, Sparse

MOST_LISTED = 2**22  # synapses of a convolution that are written out one by one
BOUNDS = -10.0, 0.99  # of column sums, alpha-1


@dataclass(frozen=True, eq=False)
class FreeLayer:
    """One layer of the network to be, in float64.

    Attributes
    ----------
    name, source : str
        Its own name and that of the population (or input) it hears.
    shape : tuple of int
    synapses : Dense or Sparse
        Weights w of the ReLU network.
    bias, factor : ndarray of float64, (n,)
        Bias b, and what each activation was multiplied by (1 without `rescale`).
    is_output : bool
    """

    name: str
    source: str
    shape: tuple
    synapses: object
    bias: np.ndarray
    factor: np.ndarray
    is_output: bool

    def scaled(self, rows, columns):
        """Return the synapses with row i multiplied by ``rows[i]`` and column j by ``columns[j]``."""
        s = self.synapses
        if isinstance(s, Dense):
            return Dense(s.weights * rows[:, None] * columns)
        return replace(s, weights=s.weights * rows[s.sources] * columns[s.targets])

    def column_sums(self, synapses=None):
        """Return the sum of weights of every neuron, float64 (n,)."""
        s = self.synapses if synapses is None else synapses
        if isinstance(s, Dense):
            return s.weights.sum(axis=0)
        return np.bincount(s.targets, s.weights, minlength=self.bias.size)


def free_layers(head, segments):
    """Write out the layers of a network that has only Dense and small Conv2d layers.

    Parameters
    ----------
    head : tuple of Layer
        Pools in front of the first weights.
    segments : list of Segment

    Returns
    -------
    list of FreeLayer

    Raises
    ------
    ModelError
        If there is a pool, or a convolution with more than 2**22 synapses; it is named.

    Notes
    -----
    A convolution becomes a list of synapses: every neuron then has a column sum of its own, that of the taps inside the
    image, and padding needs no virtual spikes (ttfs-relu-equivalence 2.3).
    """
    for pool in (*head, *(pool for s in segments for pool in s.pools)):
        pool.complain("ungated and alpha-1 ramps take no pools; use gated ramps (model: gated)")
    layers = []
    for s in segments:
        synapses = _listed(s) if isinstance(s.layer, Conv2d) else Dense(s.layer.weights.astype(np.float64))
        bias = np.broadcast_to(s.bias().astype(np.float64), s.shape).reshape(-1)
        layers.append(FreeLayer(s.name, s.source, s.shape, synapses, bias, np.ones(bias.size), s.is_output))
    return layers


def _listed(segment):
    """Return a convolution's synapses one by one, taps outside the image left out."""
    layer, weights = segment.layer, segment.layer.weights.astype(np.float64)
    (high, wide, _), (rows, columns, c_out) = segment.source_shape, segment.shape
    ky, kx, c_in, _ = weights.shape
    count = rows * columns * weights.size
    if count > MOST_LISTED:
        layer.complain(f"has {count} synapses, and ungated and alpha-1 ramps list each, at most {MOST_LISTED}; use gated "
                       "ramps (model: gated)")  # fmt: skip
    (top, _), (left, _) = layer.pads(segment.source_shape)
    y, x, dy, dx, c, k = np.ogrid[:rows, :columns, :ky, :kx, :c_in, :c_out]
    sy, sx = y * layer.stride + dy - top, x * layer.stride + dx - left
    inside = np.broadcast_to((sy >= 0) & (sy < high) & (sx >= 0) & (sx < wide), (rows, columns, ky, kx, c_in, c_out))
    parts = (sy * wide + sx) * c_in + c, (y * columns + x) * c_out + k, weights
    return Sparse(*(np.broadcast_to(part, inside.shape)[inside] for part in parts))


def rescale(layers, bounds=BOUNDS):
    """Bring the column sums of hidden layers within bounds and compensate in the next layer: the same function.

    Parameters
    ----------
    layers : list of FreeLayer
    bounds : (float, float), optional
        Lower (< 0) and upper bound (> 0, < 1).

    Returns
    -------
    list of FreeLayer

    Notes
    -----
    Where the column sum s is above u: incoming w and b times u / s, outgoing w times s / u; below l likewise with l.
    Exact, because relu(c x) = c relu(x) for c > 0.  The output layer has no column sum to keep and nothing behind it
    (ttfs-relu-equivalence 2.1, M3).
    """
    lower, upper = bounds
    done, rows = [], None
    for layer in layers:
        if rows is not None:
            layer = replace(layer, synapses=layer.scaled(rows, np.ones(layer.bias.size)))
        if not layer.is_output:
            sums = layer.column_sums()
            factor = np.where(sums > upper, upper / np.maximum(sums, upper), lower / np.minimum(sums, lower))
            rows = 1.0 / factor
            ones = np.ones(done[-1].bias.size) if done else np.ones(_sources(layer))
            layer = replace(layer, synapses=layer.scaled(ones, factor), bias=layer.bias * factor, factor=factor)
        done.append(layer)
    return done


def _sources(layer):
    s = layer.synapses
    return s.weights.shape[0] if isinstance(s, Dense) else int(s.sources.max(initial=-1)) + 1


def largest_activations(graph, coded, layers):
    """Return {hidden layer: X_n}: its largest activation on calibration data, rescaled; 1 where it never acts.

    Parameters
    ----------
    graph : LayerGraph
        Folded network.
    coded : ndarray, (n, *input_shape)
        Calibration inputs in [0, 1].
    layers : list of FreeLayer

    Returns
    -------
    dict of str to float
    """
    hidden = [layer for layer in layers if not layer.is_output]
    largest = {layer.name: np.zeros(layer.bias.size) for layer in hidden}
    if hidden:
        for _, values in graph.batches(coded, upto=hidden[-1].name):
            for name, most in largest.items():
                np.maximum(most, values[name].reshape(-1, most.size).max(axis=0, initial=0.0), out=most)
    found = {layer.name: float((layer.factor * largest[layer.name]).max(initial=0.0)) for layer in hidden}
    return {name: value if value > 0 else 1.0 for name, value in found.items()}


def build_free(input_shape, layers, windows, latency, alpha=None):
    """Put a network of ungated ramps (``alpha=None``) or alpha-1 ramps together.

    Parameters
    ----------
    input_shape : tuple of int
    layers : list of FreeLayer
    windows : dict
        Hidden layer -> {"t_open", "window"}, ms.
    latency : float
        When the output is read, ms.
    alpha : float, optional
        Slope without input of alpha-1 ramps, 1/ms.

    Returns
    -------
    Network

    Raises
    ------
    ModelError
        If a column sum is 1 or more where alpha-1 needs it below.
    """
    populations, projections, starts = [], [], 0.0
    for layer in layers:
        synapses = layer.synapses
        if layer.is_output:
            model, values = "ramp_ungated_readout", {"t_open": latency, "bias": layer.bias}
        else:
            row = windows[layer.name]
            model, values = "ramp_ungated", {"t_open": row["t_open"], "window": row["window"], "bias": layer.bias}
            if alpha is not None:
                synapses = alpha_weights(layer, alpha)
                slope = alpha + layer.column_sums(synapses)
                model, values = "ramp_alpha1", {**values, "t_start": starts, "alpha": alpha, "slope": slope}
            starts = row["t_open"]
        populations.append(Population(layer.name, layer.shape, model, values, "float64"))
        projections.append(Projection(layer.source, layer.name, synapses))
    return Network([Input(INPUT, input_shape)], populations, projections, readout=Readout(layers[-1].name, "membrane"))


def alpha_weights(layer, alpha):
    """Return the synapses J = alpha w / (1 - sum w) of an alpha-1 layer.

    Raises
    ------
    ModelError
        If a column sum is not below 1.
    """
    sums = layer.column_sums()
    if (sums >= 1).any():
        i = int(np.argmax(sums))
        raise ModelError(f"layer '{layer.name}': the weights of neuron {i} sum to {sums[i]:.4g}, and alpha-1 ramps need sums "
                         "below 1; rescale first")  # fmt: skip
    return layer.scaled(np.ones(_sources(layer)), alpha / (1.0 - sums))
