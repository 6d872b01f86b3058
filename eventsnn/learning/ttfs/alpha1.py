"""Alpha-1 neurons in closed form: exactly one spike of every neuron, and why their training is another one than that of B1.

The slope of a neuron is alpha plus the weights that have arrived, and stays so while its window is open. With R' the window
before, and theta = alpha (R + R') + D, D being trained::

    B = alpha + sum J,  V = alpha R' + J x_before,  t = (theta - V) / B,  forced at R where t >= R or B <= 0

    dL/dx_before = J^T d / B,  dL/dJ = (d / B) (x_before + R - x)^T,  dL/dD = -d / B

d = dL/dx where a spike came by itself inside its window, else 0. The ReLU network that it computes has w = J / B and
b = (R sum J - D) / B: a step on J is not a step on w. Weights J drawn as a ReLU network's make B a random number near 0, and
gradients grow by 1 / B from layer to layer; "smart" weights J = alpha w / (1 - sum w) start from the ReLU network.

Source: Stanojevic et al., Neural Networks (2023), and Nature Communications 15:6793 (2024); ttfs-relu-equivalence 2.1, 2.5, 2.8.
"""

from dataclasses import replace

import numpy as np

from eventsnn.conversion.free_ramps import alpha_weights, free_layers, rescale
from eventsnn.errors import ModelError
from eventsnn.learning.ttfs.dense import DenseTtfs


class Alpha1Ttfs(DenseTtfs):
    """A network of dense alpha-1 layers while it is trained; see `DenseTtfs`.

    Parameters
    ----------
    graph : LayerGraph
        ReLU network to start from; with ``alpha_initial`` "standard" its weights are taken as J.
    settings : TtfsSettings
        With ``neuron`` "alpha1" and fixed windows.

    Notes
    -----
    parameters "LAYER.bias" are the D of the equations in hidden layers.
    """

    def _initial(self):
        """Return J and D: those of the ReLU network rescaled, or its weights as J; biases stay."""
        alpha = self.settings.alpha
        layers = free_layers((), self.segments)
        if self.settings.alpha_initial == "smart":
            layers = rescale(layers)
        found = {}
        for n, layer in enumerate(layers):
            weights, bias = layer.synapses.weights, layer.bias
            if not layer.is_output:
                if self.settings.alpha_initial == "smart":
                    weights = alpha_weights(layer, alpha).weights
                sums = weights.sum(axis=0)
                bias = self.windows[n] * sums - (alpha + sums) * bias
            found[f"{layer.name}.weights"] = np.array(weights, self.dtype, order="C")
            found[f"{layer.name}.bias"] = np.array(bias, self.dtype, order="C")
        return found

    def slope(self, n):
        """Return B of hidden layer n, its noise included: ndarray (neurons,)."""
        name = self.hidden[n]
        slope = self.settings.alpha + self.parameters[f"{name}.weights"].sum(axis=0)
        return slope if self.slopes[name] is None else slope + self.slopes[name]

    def _fire(self, n, given, weights, before):
        """Return (x, where gradients pass, lack) of hidden layer n."""
        name, window, alpha = self.hidden[n], self.windows[n], self.settings.alpha
        slope = self.slope(n)
        start = before * (alpha if self.slopes[name] is None else alpha + self.slopes[name])
        theta = alpha * (window + before) + self.parameters[f"{name}.bias"]
        rises = slope > 0
        times = np.where(rises, (theta - start - given @ weights) / np.where(rises, slope, 1), np.inf)
        passes = times < window
        x = np.where(passes, window - np.where(passes, times, 0), 0)
        if self.settings.early == "saturate":
            early = times < 0
            x, passes = np.where(early, window, x), passes & ~early
        return x.astype(self.dtype, copy=False), passes, times - window

    def _slope_back(self, n, given, x, d):
        """Fill dL/dJ and dL/dD of hidden layer n; returns d / B, which goes back through J."""
        name, slope = self.hidden[n], self.slope(n)
        d = d / np.where(slope > 0, slope, 1)
        np.matmul(given.T, d, out=self.gradients[f"{name}.weights"])
        self.gradients[f"{name}.weights"] += (d * (self.windows[n] - x)).sum(axis=0)
        self.gradients[f"{name}.bias"][...] = -d.sum(axis=0)
        return d

    def activity(self, x):
        """Return, for each hidden layer, how often each neuron spikes over the samples: once in each, by itself or forced."""
        return [np.full(int(np.prod(s.shape)), len(x), np.int64) for s in self.segments[:-1]]

    def graph(self):
        """Return the ReLU network that is computed: w = J / B, b = (R sum J - D) / B.

        Raises
        ------
        ModelError
            If a slope is not above 0: such a neuron has no equivalent.
        """
        arrays = {}
        for n, s in enumerate(self.segments):
            weights, bias = self.parameters[f"{s.name}.weights"], self.parameters[f"{s.name}.bias"]
            if not s.is_output:
                sums = weights.sum(axis=0)
                slope = self.settings.alpha + sums
                if (slope <= 0).any():
                    raise ModelError(f"layer '{s.name}': {int((slope <= 0).sum())} of {slope.size} neurons have a slope "
                                     "alpha + sum J <= 0 and compute no ReLU; start from alpha_initial: smart, at a lower "
                                     "learning_rate")  # fmt: skip
                weights, bias = weights / slope, (self.windows[n] * sums - bias) / slope
            arrays[s.name] = replace(s.layer, weights=weights, bias=bias)
        return replace(self.source, layers=tuple(arrays.get(layer.name, layer) for layer in self.source.layers))
