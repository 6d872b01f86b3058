"""The all-integer network once more, from the published rules alone, dense and step by step in int64 and float64.

A network is a list of blocks, the encoder first, each a dict: `kernel` (kh, kw, cin, cout), `stride`, `same` (border rule),
`gamma`, `beta`, `mean`, `var`, `eps`; then `output` (n, classes). Nothing here imports the package's network parts.
"""

import math
from fractions import Fraction

import numpy as np

SCALE, TOP, UP = 10_000, 4, 1e-5


def patches(x, block):
    """Return (n, y, x, kh * kw * cin), zeros beyond the border."""
    kh, kw, cin, _ = block["kernel"].shape
    stride = block["stride"]
    if block["same"]:
        pads = []
        for size, kernel in zip(x.shape[1:3], (kh, kw)):
            whole = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads.append((whole // 2, whole - whole // 2))
        x = np.pad(x, ((0, 0), *pads, (0, 0)))
    rows, columns = (x.shape[1] - kh) // stride + 1, (x.shape[2] - kw) // stride + 1
    found = np.empty((len(x), rows, columns, kh * kw * cin), x.dtype)
    for i in range(rows):
        for j in range(columns):
            found[:, i, j] = x[:, i * stride : i * stride + kh, j * stride : j * stride + kw].reshape(len(x), -1)
    return found


def conv(x, block):
    """Return the convolution (n, y, x, cout) in the dtype of x."""
    kernel = block["kernel"]
    kernel = kernel.astype(x.dtype) if (kernel % 1 == 0).all() else kernel
    return patches(x, block) @ kernel.reshape(-1, kernel.shape[3])


def ann_levels(blocks, x, k):
    """Return the level of every activation of the quantised network, block by block: activation x 2^k, encoder: x 1."""
    found, x = [], np.asarray(x, np.float64)
    for i, block in enumerate(blocks):
        sigma = np.sqrt(block["var"] + block["eps"])
        y = block["gamma"] * (conv(x, block) - block["mean"]) / sigma + block["beta"]
        bits = 0 if i == 0 else k
        y = np.clip(y, -TOP, TOP) if i == 0 else y
        levels = np.round(2**bits * np.maximum(y, 0) + UP)
        found.append(levels.astype(np.int64))
        x = levels / 2**bits
    return found


class Layer:
    """Thresholds of one block under a rule; `offers` answers which levels are reached from below and left from above."""

    def __init__(self, block, k, rule, encoder=False):
        gamma, beta = np.asarray(block["gamma"], float), np.asarray(block["beta"], float)
        self.sign = np.where(gamma < 0, -1, 1)
        bits, scale = (0, 2**k) if encoder else (k, 1)
        self.rule, self.encoder = rule, encoder
        self.flat = gamma == 0
        self.constant = np.maximum(0, np.round(2**bits * beta + UP)).astype(np.int64)
        if encoder:
            self.constant = np.minimum(self.constant, TOP)
        delta = scale * np.sqrt(block["var"] + block["eps"]) / np.where(self.flat, 1.0, np.abs(gamma))
        mean = self.sign * np.asarray(block["mean"], float) * 2**k
        self.delta, self.first = delta, (0.5 - 2**bits * beta) * delta + mean
        self.block = dict(block, kernel=block["kernel"] * self.sign)

    def moves(self, v, c):
        """Return +1, -1, 0 of hidden neurons with membranes v (whole numbers) at counts c."""
        if self.rule == "float":
            bound = self.first - self.delta
            u = np.maximum(v, bound)
            return (u > bound + (c + 1) * self.delta) * 1 - (u < bound + c * self.delta - UP)
        if self.rule == "published":
            step = np.round(SCALE * self.delta).astype(np.int64)
            first = SCALE * np.round(self.first).astype(np.int64)
            u = np.maximum(SCALE * v, first - step)
            return (u > first + c * step) * 1 - (u < first + (c - 1) * step)
        if self.rule == "fixed":
            step = np.round(SCALE * self.delta).astype(np.int64)
            first = np.ceil(SCALE * (self.first - UP * self.delta)).astype(np.int64) - 1
            return (SCALE * v > first + c * step) * 1 - ((c >= 1) & (SCALE * v <= first + (c - 1) * step))
        up, down = self.table(c + 1), self.table(c)
        return (v >= up) * 1 - ((c >= 1) & (v < down))

    def table(self, level):
        """Return tau of a level: the smallest whole membrane that reaches it."""
        return np.ceil(self.first - UP * self.delta + (level - 1) * self.delta)

    def step(self, v, c):
        """Return the spikes of this step."""
        moved = self.moves(v, c)
        return np.where(self.flat, (c < self.constant) * 1, moved).astype(np.int64)

    def encode(self, x, k, t):
        """Return which encoder neurons spike in step t."""
        v = conv(2**k * np.asarray(x, np.float64), self.block)
        first = self.first - UP * self.delta if self.rule in ("exact", "fixed") else self.first
        fires = np.maximum(v, self.first - self.delta) >= first + t * self.delta
        return np.where(self.flat, t < self.constant, fires) & (t < TOP)


def run(blocks, output, x, *, k, rule, steps, labels=None, classifier=True):
    """Run the network.

    Returns
    -------
    spikes : list of int64 (n, steps, y, x, cout), one for each block, amplitudes included
    logits : float64 (n, steps, classes)
    logs : dict of list, one entry for each step: the six published logs of these samples
    """
    layers = [Layer(block, k, rule, i == 0) for i, block in enumerate(blocks)]
    v, c, spikes = [0] * len(blocks), [0] * len(blocks), [[] for _ in blocks]
    logits, logs = [], {name: [] for name in ("accuracy", "sop_num", "spike_num", "spike_collect", "abs_spike", "sum_spike")}
    sops = number = collected = 0
    for t in range(steps):
        passed = layers[0].encode(x, k, t).astype(np.int64) * 2**k
        spikes[0].append(passed)
        now = net = 0
        for i, layer in enumerate(layers[1:], start=1):
            sops += int(np.abs(patches(passed, layer.block)).sum()) * layer.block["kernel"].shape[3]
            v[i] = v[i] + conv(passed, layer.block)
            passed = layer.step(v[i], c[i])
            c[i] = c[i] + passed
            spikes[i].append(passed)
            now, net = now + int(np.abs(passed).sum()), net + int(passed.sum())
        sops += output.shape[1] * int(np.abs(passed).sum()) if classifier else 0
        number, collected = number + now, collected + net
        logits.append(c[-1].reshape(len(x), -1) @ np.asarray(output, np.float64))
        right = 0 if labels is None else int((logits[-1].argmax(axis=1) == labels).sum())
        for name, value in zip(logs, (right, sops, number, collected, now, net)):
            logs[name].append(value)
    return [np.stack(s, axis=1) for s in spikes], np.stack(logits, axis=1), logs


def exact_table(delta, first, levels):
    """Return tau_1 .. tau_levels of one channel in rational arithmetic: no rounding at all."""
    delta, first = Fraction(delta), Fraction(first)
    return [math.ceil(first + (j - Fraction(1, 100_000)) * delta) for j in range(levels)]
