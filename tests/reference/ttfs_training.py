"""Twin of TTFS training, straight from the equations: absolute spike times, one sample and one neuron at a time, plain Adam.

ttfs-relu-equivalence 2.1 - 2.6. Layers are lists of (J, D), J with sources by rows; windows chain from [0, 1] on.
"""

import math

import numpy as np


def spike_times(t, window_before, opens, length, weights, offsets, alpha=None):
    """Return the spike time of every neuron, its end of the window where it has no own spike, and its slope."""
    times, slopes = [], []
    for i in range(weights.shape[1]):
        if alpha is None:  # B1: the slope is 1 while the window is open, theta = R - D
            slope, start, theta = 1.0, 0.0, length - offsets[i]
        else:  # theta = alpha (R + R') + D, slope alpha + sum J
            slope = alpha + sum(weights[:, i])
            start, theta = alpha * window_before, alpha * (length + window_before) + offsets[i]
        v = start + sum(weights[j, i] * (opens - t[j]) for j in range(len(t)))
        spike = opens + (theta - v) / slope if slope > 0 else math.inf
        times.append(spike if spike < opens + length else opens + length)
        slopes.append(slope)
    return times, slopes


def sample(x, label, layers, windows, alpha=None):
    """Return (loss, logits, gradients [(dJ, dD)], earliest spike of each hidden layer) of one sample."""
    t, opens, before = [1.0 - value for value in x], 1.0, 1.0
    passed = []
    for (weights, offsets), length in zip(layers[:-1], windows):
        out, slopes = spike_times(t, before, opens, length, weights, offsets, alpha)
        passed.append((t, opens, length, out, slopes))
        t, opens, before = out, opens + length, length
    weights, offsets = layers[-1]
    logits = [offsets[k] + sum(weights[j, k] * (opens - t[j]) for j in range(len(t))) for k in range(weights.shape[1])]
    top = max(logits)
    total = sum(math.exp(v - top) for v in logits)
    loss = math.log(total) - (logits[label] - top)
    delta = [math.exp(v - top) / total - (k == label) for k, v in enumerate(logits)]
    gradients = [(np.array([[d * (opens - t[j]) for d in delta] for j in range(len(t))]), np.array(delta))]
    e = [-sum(delta[k] * weights[j, k] for k in range(len(delta))) for j in range(len(t))]
    for (t, opens, length, out, slopes), (weights, offsets) in zip(passed[::-1], layers[-2::-1]):
        dj, dd, e_before = np.zeros_like(weights), np.zeros_like(offsets), [0.0] * len(t)
        for i, spike in enumerate(out):
            if spike >= opens + length:
                continue  # silent, or forced
            lam = e[i] / slopes[i]
            dd[i] = -lam if alpha is None else lam
            for j in range(len(t)):
                dj[j, i] = -lam * (opens - t[j])
                if alpha is not None:  # B holds J, too
                    dj[j, i] -= lam * (spike - opens)
                e_before[j] += lam * weights[j, i]
        gradients.append((dj, dd))
        e = e_before
    return loss, logits, gradients[::-1], [min(row[3]) for row in passed]


def batch(x, labels, layers, windows, alpha=None):
    """Return (mean loss, logits, mean gradients, greatest activation of each hidden layer)."""
    found = [sample(row, label, layers, windows, alpha) for row, label in zip(x, labels)]
    n, ends = len(x), 1.0 + np.cumsum(windows)
    gradients = [tuple(sum(one[2][layer][k] for one in found) / n for k in (0, 1)) for layer in range(len(layers))]
    largest = [ends[k] - min(one[3][k] for one in found) for k in range(len(windows))]
    return sum(one[0] for one in found) / n, np.array([one[1] for one in found]), gradients, largest


class Adam:
    """tf.keras.optimizers.Adam with the rate a 0.9^(step / 5000)."""

    def __init__(self, layers):
        self.layers, self.t = layers, 0
        self.m = [[np.zeros_like(p) for p in layer] for layer in layers]
        self.v = [[np.zeros_like(p) for p in layer] for layer in layers]

    def update(self, gradients, rate):
        """Take one step, in place."""
        rate *= 0.9 ** (self.t / 5000)
        self.t += 1
        rate *= math.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        for layer, own, m, v in zip(self.layers, gradients, self.m, self.v):
            for k in (0, 1):
                m[k][...] = 0.9 * m[k] + (1 - 0.9) * own[k]
                v[k][...] = 0.999 * v[k] + (1 - 0.999) * own[k] ** 2
                layer[k][...] -= rate * m[k] / (np.sqrt(v[k]) + 1e-7)


def grown(windows, largest, gamma=10.0):
    """Return the windows after a step: at least gamma times the greatest activation, never shorter."""
    return [max(length, gamma * most) for length, most in zip(windows, largest)]


def fake_quantised(w, bits, low, high):
    """Return a weight on the published grid: 2^bits levels, shifted until 0 is one of them (in float32)."""
    top = 2**bits - 1
    step = (np.float32(high) - np.float32(low)) / np.float32(top)
    zero = min(max(math.floor(-np.float32(low) / step + np.float32(0.5)), 0), top)
    lowest, highest = -zero * float(step), (top - zero) * float(step)
    held = min(max(w, lowest), highest)
    return float(step) * math.floor((held - lowest) / float(step) + 0.5) + lowest
