"""DECOLLE layers in plain NumPy: traces, forward, local errors, gradients and updates, step by step, width by width.

The shortest route from the published equations: real numbers everywhere, a rounding where a width is set. Arrays have the order
(sample, channel, y, x); `widths` is a dict with the eleven widths, None for those that are not quantised.
"""

import numpy as np


def levels(bits):
    """S_b = 2^(b-1)."""
    return 2.0 ** (bits - 1)


def clip(x, bits):
    """Clamp to the symmetric range of `bits`."""
    return np.clip(x, 1 / levels(bits) - 1, 1 - 1 / levels(bits))


def fixed(x, bits):
    """Clip, then round to the grid of `bits` (half to even); None: as it is."""
    return x if bits is None else np.round(clip(x, bits) * levels(bits)) / levels(bits)


def unit(x, bits):
    """Round a number in [0, 1] to 2^bits + 1 levels; None: as it is."""
    return x if bits is None else np.round(x * 2.0**bits) / 2.0**bits


def shift(v):
    """Power of two nearest to v on the logarithmic scale; 1 for 0."""
    return 2.0 ** np.round(np.log2(v)) if v > 0 else 1.0


def error(e, bits):
    """Quantise an error after renormalising it."""
    return e if bits is None else fixed(e / shift(np.abs(e).max()), bits)


def stochastic(g, widths, rate, random):
    """Return the update in whole steps of the gradient grid."""
    n = rate * g / shift(np.abs(g).max())
    whole, s = np.floor(np.abs(n)), levels(widths["rb"])
    fraction, draw = np.round((np.abs(n) - whole) * s) / s, np.round(random * s) / s
    return np.sign(n) * (whole + (fraction >= draw))


def windows(x, size, padding):
    """All `size` x `size` windows of zero-padded images: (sample, channel, y, x, ky, kx)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))


def convolve(x, w, padding):
    """Cross-correlate, in the dtype of the arguments (whole numbers stay whole)."""
    return np.einsum("bcyxij,ocij->boyx", windows(x, w.shape[-1], padding), w)


def pool(x, size):
    """Return (largest value of each window, its place in the window: the first among equals)."""
    b, c, h, w = x.shape
    cut = x[:, :, : h // size * size, : w // size * size].reshape(b, c, h // size, size, w // size, size)
    cells = cut.transpose(0, 1, 2, 4, 3, 5).reshape(b, c, h // size, w // size, size * size)
    return cells.max(-1), cells.argmax(-1)


def unpool(values, places, size, shape):
    """Put each value back to its place in its window."""
    out = np.zeros(shape)
    for b, c, y, x in np.ndindex(values.shape):
        place = places[b, c, y, x]
        out[b, c, y * size + place // size, x * size + place % size] = values[b, c, y, x]
    return out


class Layer:
    """One layer with its traces; the constants are attributes set by the caller.

    alpha, beta: (channel, y, x) decays; gamma: of R; w, b: weights in units of `weight_unit`; scale; readout (class, n);
    feedback (class, n); rscale; padding; pool; cap; widths; threshold and ternary for the double-threshold variant; bound:
    where U saturates, in units of 8.
    """

    ternary, threshold, bound, l1, l2, swapped = False, 0.0, 1.0, 0.0, 0.0, False

    def __init__(self, **constants):
        self.__dict__.update(constants)
        self.tau_mem, self.tau_syn = 1 / (1 - self.alpha), 1 / (1 - self.beta)
        self.q_most = (self.tau_syn / (1 - self.beta)).max()
        self.p_most = (self.tau_mem * self.q_most / (1 - self.alpha)).max()
        self.r_most = 1 / (1 - self.gamma)

    def start(self, samples):
        """Forget everything."""
        self.p, self.q = np.zeros((2, samples, *self.alpha.shape))
        self.r = 0.0

    def limit(self, x, most, bits):
        """Cap and quantise a trace."""
        most = most * self.cap
        if self.cap != 1:
            x = np.clip(x, 0, most)
        return x if bits is None else most * unit(np.clip(x / most, 0, 1), bits)

    def forward(self, spikes):
        """One step; returns what the layer hands on."""
        k = self.widths
        if k["gb"] is not None:
            self.w, self.b = clip(self.w, k["gb"]), clip(self.b, k["gb"])
        if k["rfb"] is not None:
            self.r = self.r_most * unit(self.r / self.r_most, k["rfb"])
        self.p, self.r, self.q = (
            self.alpha * self.p + self.tau_mem * self.q,
            self.gamma * self.r,
            self.beta * self.q + self.tau_syn * spikes,
        )
        self.p, self.q = self.limit(self.p, self.p_most, k["pb"]), self.limit(self.q, self.q_most, k["qb"])
        wq, bq = self.weight_unit * fixed(self.w, k["wb"]), self.weight_unit * fixed(self.b, k["wb"])
        u = (convolve(self.p, wq, self.padding) + bq[:, None, None]) / self.scale - self.r
        if k["ub"] is not None:
            steps = levels(k["ub"]) - 1
            u = 8 * np.round(np.clip(u / 8, -self.bound, self.bound) * steps) / steps
        self.u = u
        if self.ternary:
            self.s = (u >= self.threshold).astype(float) - (u <= -self.threshold)
            self.r = self.r + self.threshold * self.s
        else:
            self.s = (u >= 0).astype(float)
            self.r = self.r + self.s
        return pool(self.s, self.pool)[0]

    def read(self):
        """Return the class scores y^."""
        k = self.widths
        self.sigmoid = 1 / (1 + np.exp(-self.u))
        a, self.places = pool(self.sigmoid, self.pool)
        self.a, self.pooled = a.reshape(len(a), -1), a.shape
        return (fixed(unit(self.a, k["sig"]) @ self.readout.T / self.rscale, k["ab"]) + 1) / 2

    def loss(self, target, mask):
        """Return the local loss."""
        r = self.read() * mask
        if self.widths["eb"] is None:
            value = np.mean((target - r) ** 2)
        else:
            value = 0.5 * np.sum((target - r) ** 2)
        much, little = (self.a, self.u) if self.swapped else (self.u, self.a)
        return value + 20 * self.l1 * np.maximum(much + 0.01, 0).mean() + 0.1 * self.l2 * max(0.1 - little.mean(), 0)

    def gradients(self, target, mask):
        """Return (dw, db) of the rule, per unit of physical weight, the layer's scale ignored."""
        k = self.widths
        e = mask * (self.read() * mask - target)
        if k["eb"] is None:
            e = 2 * e / e.size
        da = error(error(e, k["eb"]) @ self.feedback, k["eb"])
        du = np.zeros(self.u.shape)
        much, little = (self.a, self.u) if self.swapped else (self.u, self.a)
        push = 20 * self.l1 * (much + 0.01 > 0) / much.size
        pull = -0.1 * self.l2 * (little.mean() < 0.1) / little.size
        if self.swapped:
            da, du = da + push, du + pull
        else:
            da, du = da + pull, du + push
        du = du + unpool(da.reshape(self.pooled), self.places, self.pool, self.u.shape) * self.sigmoid * (1 - self.sigmoid)
        du = error(du, k["eb"])
        seen = windows(self.p, self.w.shape[-1], self.padding)
        return np.einsum("bcyxij,boyx->ocij", seen, du), du.sum((0, 2, 3))

    def update(self, target, mask, rate, random):
        """One learning step in whole steps of the gradient grid; returns how many weights moved."""
        moved = 0
        for name, g, u in zip("wb", self.gradients(target, mask), random):
            step = stochastic(g, self.widths, rate, u)
            setattr(self, name, getattr(self, name) - step / levels(self.widths["gb"]))
            moved += np.count_nonzero(step)
        return moved


def vote(scores, burn_in):
    """Return each sample's class: argmax of every step after the burn-in, then the most frequent (lowest id among equals).

    `scores` is (step, sample, class); the steps t > burn_in count.
    """
    winners = scores[burn_in + 1 :].argmax(-1)
    return np.array([np.bincount(column, minlength=scores.shape[-1]).argmax() for column in winners.T])


def memory_bits(weights, inputs, outputs, refractory, classes, k):
    """Bits of the published footprint formula, summed over layers (lists of sizes)."""
    total = 0
    for n_w, n_in, n_out, n_r in zip(weights, inputs, outputs, refractory):
        total += n_w * (k["wb"] + k["gb"]) + n_in * (k["pb"] + k["qb"]) + n_r * (k["rfb"] + k["ub"])
        total += 2 * classes * n_out * k["sb"] + classes * k["ab"] + (classes + n_out) * k["eb"]
    return total
