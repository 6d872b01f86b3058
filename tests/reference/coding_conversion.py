"""Plain twins of what prepares a coded network: normalisation (reference 2.9) and kernel optimisation (2.7)."""

import numpy as np

# ---- normalisation: activations of one layer (sample, neuron) -> its scale


def percentile(values, q):
    """Percentile by linear interpolation between order statistics, of a flat list."""
    ordered = sorted(float(v) for v in np.ravel(values) if not np.isnan(v))
    place = q / 100 * (len(ordered) - 1)
    low = int(np.floor(place))
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def per_neuron(a, q=99.9):
    """Percentile over samples of every neuron."""
    return np.array([percentile(a[:, i], q) for i in range(a.shape[1])])


def layer_scale(a, q=99.9):
    """The published rule: the largest of the neurons' percentiles."""
    return per_neuron(a, q).max()


def pooled_scale(a, q=99.9):
    """Percentile of all activations of the layer together (Rueckauer 2017)."""
    return percentile(a, q)


def channel_scale(a, channels, q=99.9):
    """Largest percentile of every channel (channel is the last axis), 1 where that is 0."""
    scale = per_neuron(a, q).reshape(-1, channels).max(axis=0)
    return np.where(scale > 0, scale, 1.0)


def diehl_scale(a, weights):
    """The larger of the largest weight and the largest activation (Diehl 2015)."""
    return max(0.0, float(np.max(weights)), float(np.max(a)))


def model_scale(weights):
    """Largest sum of positive weights into one output (last axis)."""
    return np.maximum(weights, 0).reshape(-1, weights.shape[-1]).sum(axis=0).max()


def scaled(weights, bias, before, after):
    """W before / after and b / after; scales are numbers or one per input and output channel (last two axes of W)."""
    before = np.asarray(before)[:, None] if np.ndim(before) else before
    return weights * before / after, bias / after


def thresholds(a, q=99.9):
    """Per-neuron thresholds: the neuron's percentile over the layer's scale."""
    return per_neuron(a, q) / layer_scale(a, q)


# ---- kernel optimisation: activations x (sample, neuron), first spikes s relative to the window, -1 where silent


def decoded(s, tau, td):
    """Decoded values, 0 where silent."""
    return np.where(s >= 0, np.exp(-(s - td) / tau), 0.0)


def loss_precision(x, s, tau, td):
    """Half the mean squared error of the decoded values."""
    return 0.5 * np.mean((x - decoded(s, tau, td)) ** 2)


def loss_minimum(x_min, tau, td, last):
    """Half the mean squared distance of the smallest activation to the smallest code value; x_min (sample,)."""
    return 0.5 * np.mean((x_min - np.exp(-(last - td) / tau)) ** 2)


def largest(s, tau, td):
    """Code value of the earliest spike of every sample, 0 where none spiked."""
    return np.array([np.exp(-(row[row >= 0].min() - td) / tau) if (row >= 0).any() else 0.0 for row in s])


def loss_maximum(x_max, tau, td):
    """Half the mean squared distance of the largest value to the largest code value; x_max (sample,)."""
    return 0.5 * np.mean((x_max - np.exp(td / tau)) ** 2)


def tau_steps(x, s, x_min, tau, td, last):
    """Return (g1, g2): the descent steps of tau from the precision and the minimum loss."""
    z = decoded(s, tau, td)
    slope = (x - z) * z * (s - td)
    positive = slope[slope > 0]
    g1 = positive.mean() / tau**2 if positive.size else 0.0
    z_min = np.exp(-(last - td) / tau)
    return g1, (np.mean(x_min) - z_min) * z_min * (last - td) / tau**2


def td_step(x_max, tau, td):
    """Return the descent step of td from the maximum loss."""
    z = np.exp(td / tau)
    return np.mean((x_max - z) * z / tau)


def smallest(x, outlier=False, silent=False):
    """Target of the minimum loss of every sample: the smallest activation or the 2nd percentile, of those above 0 or of all."""
    found = []
    for row in np.maximum(x, 0):
        row = row if silent else row[row > 0]
        found.append(0.0 if not row.size else percentile(row, 2) if outlier else row.min())
    return np.array(found)
