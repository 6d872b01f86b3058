"""One presentation of the quantised pattern learner in dense NumPy, from the published equations by the shortest route.

Rasters are (time, neuron). States, weights, errors and gradients are float32, the loss float64; wherever a sum could be rounded
its terms are added one after another in ascending source (forward), target (backward) or time (gradient). `bits` is a dict
wb, ab, gb, eb, rb; None is not quantised.
"""

import numpy as np

from eventsnn.random import bits as random_bits

F = np.float32


def in_turn(terms, shape):
    """Add terms one after another, each sum rounded to float32."""
    total = np.zeros(shape, F)
    for term in terms:
        total = total + term
    return total


def clip(x, b):
    c = F(1 - 2.0 ** (1 - b))
    return np.clip(x, -c, c)


def q(x, b):
    s = F(2.0 ** (b - 1))
    return np.round(x * s) / s


def shift(x):
    """2 ** round(log2 of the largest magnitude), 1 for nothing."""
    top = np.abs(x.astype(np.float64)).max(initial=0)
    return F(1) if top == 0 else F(2.0 ** np.round(np.log2(top)))


def state(x, b):
    """A(x) and its mask."""
    return (x, x == x) if b is None else (q(clip(x, b), b), clip(x, b) == x)


def error(e, b):
    """E(e)."""
    return e if b is None else q(clip(e / shift(e), b), b)


def quantised(w, b, scale):
    """Wq."""
    return w if b is None else q(clip(w, b), b) / F(scale)


class Layer:
    """Forward pass of one layer, with what the backward pass needs."""

    def __init__(self, x, w, bits, alpha, beta, threshold=0.9, reset=1.0):
        steps, n = len(x), w.shape[1]
        self.x, self.w, self.alpha, self.beta = x, w, F(alpha), F(beta)
        s, m = np.zeros(n, F), np.zeros(n, F)
        self.z, self.th = np.zeros((steps, n), F), np.zeros((steps, n), F)
        self.m, self.masks = np.zeros((steps, n), F), np.zeros((3, steps, n), bool)
        for t in range(steps):
            h = in_turn([w[i] for i in np.flatnonzero(x[t])], n)
            self.th[t], self.masks[0, t] = state(m - F(threshold), bits["ab"])
            self.z[t] = self.th[t] > 0
            new_s, self.masks[1, t] = state(self.alpha * s + h, bits["ab"])
            m, self.masks[2, t] = state((self.beta * m + s) - self.z[t] * F(reset), bits["ab"])
            s = new_s
            self.m[t] = m
        self.s = s
        if bits["eb"] is None:
            self.masks[:] = True

    def backward(self, gz, eb):
        """Return err = E(gh) for the gradient of the loss in the layer's spikes."""
        steps, n = self.z.shape
        lm, ls, gh = np.zeros(n, F), np.zeros(n, F), np.zeros((steps, n), F)
        slope = F(100) * np.abs(self.th) + F(1)
        for t in reversed(range(steps)):
            dm, ds = error(lm, eb) * self.masks[2, t], error(ls, eb) * self.masks[1, t]
            dth = error(gz[t].astype(F) * (F(1) / (slope[t] * slope[t])), eb) * self.masks[0, t]
            gh[t] = ds
            ls, lm = self.alpha * ds + dm, self.beta * dm + dth
        return error(gh, eb)

    def weight_gradient(self, err):
        """Sum over time of presynaptic spike times error."""
        return np.array([in_turn(err[np.flatnonzero(self.x[:, i])], err.shape[1]) for i in range(self.x.shape[1])])

    def to_input(self, err):
        """Error handed to the layer below."""
        return np.array([in_turn([err[t, j] * self.w[:, j] for j in range(err.shape[1])], len(self.w)) for t in range(len(err))])


def loss(z, y, kappa, tau):
    """L and its gradient in the spikes, reverse filtered."""
    d, trace = np.zeros(z.shape), np.zeros((2, z.shape[1]))
    per_neuron = np.zeros(z.shape[1])
    for t in range(len(z)):
        trace = kappa * trace + np.stack([z[t], y[t]]).astype(np.float64)
        d[t] = trace[0] - trace[1]
        per_neuron = per_neuron + d[t] * d[t]
    total = 0.0
    for one in per_neuron:
        total += one
    value = np.sqrt(total / tau)
    gz, after = np.zeros(z.shape), np.zeros(z.shape[1])
    for t in reversed(range(len(z))):
        after = (d[t] / (tau * value) if value > 0 else 0 * d[t]) + kappa * after
        gz[t] = after
    return value, gz


def stochastic(g, bits, rate, key, step):
    """G(g); the weight (i, j) takes the 32-bit word j of the stream's sample i."""
    if bits["gb"] is None:
        return g * F(rate)
    n = g * F(rate) / shift(g)
    pairs = random_bits(key, np.arange(len(g)), step, (g.shape[1] + 1) // 2)
    words = np.array([[w for pair in row for w in (pair % 2**32, pair // 2**32)] for row in pairs.tolist()], np.float64)
    whole = np.floor(np.abs(n))
    f, u = (np.abs(n) - whole).astype(np.float64), words[:, : g.shape[1]] / 2**32
    if bits["rb"] is not None:
        r = 2.0 ** (bits["rb"] - 1)
        f, u = np.round(f * r) / r, np.round(u * r) / r
    return (np.sign(n) * (whole + (f >= u)) / F(2.0 ** (bits["gb"] - 1))).astype(F)


class Twin:
    """The learner: call `present` once for each presentation."""

    def __init__(self, x, y, w, scales, bits, keys, *, alpha, beta, kappa, tau, rate, lr, adamax):
        self.x, self.y, self.w, self.scales, self.bits, self.keys = x, y, [a.astype(F) for a in w], scales, bits, keys
        self.alpha, self.beta, self.kappa, self.tau = alpha, beta, kappa, tau
        self.rate, self.lr, self.adamax, self.step = rate, lr, adamax, 0
        self.mean, self.top = [np.zeros_like(a) for a in self.w], [np.zeros_like(a) for a in self.w]

    def forward(self):
        """Clip the weights and run both layers."""
        self.w = [np.clip(a, F(-1), F(1)) if self.bits["wb"] is None else clip(a, self.bits["wb"]) for a in self.w]
        wq = [quantised(a, self.bits["wb"], s) for a, s in zip(self.w, self.scales)]
        hidden = Layer(self.x, wq[0], self.bits, self.alpha, self.beta)
        return hidden, Layer(hidden.z, wq[1], self.bits, self.alpha, self.beta)

    def present(self):
        """One presentation and one update; returns L before the update."""
        hidden, out = self.forward()
        value, gz = loss(out.z, self.y, self.kappa, self.tau)
        err_out = out.backward(gz, self.bits["eb"])
        err_hidden = hidden.backward(out.to_input(err_out), self.bits["eb"])
        self.errors, self.hidden, self.out = (err_hidden, err_out), hidden, out
        for k, (layer, err) in enumerate(((hidden, err_hidden), (out, err_out))):
            self.move(k, stochastic(layer.weight_gradient(err), self.bits, self.rate, self.keys[k], self.step))
        self.step += 1
        return value

    def move(self, k, g):
        if not self.adamax:
            self.w[k] = self.w[k] - F(self.lr) * g
            return
        self.mean[k] = F(0.9) * self.mean[k] + F(0.1) * g
        self.top[k] = np.maximum(F(0.999) * self.top[k], np.abs(g) + F(1e-8))
        self.w[k] = self.w[k] - F(self.lr / (1 - 0.9 ** (self.step + 1))) * (self.mean[k] / self.top[k])


def half_even(value, shift_by):
    """value / 2**shift_by of integers, rounded half to even."""
    down, rest, half = value >> shift_by, value & ((1 << shift_by) - 1), 1 << (shift_by - 1)
    return down + ((rest > half) | ((rest == half) & (down & 1 == 1)))


def integer_layer(x, w, weight_bits, scale, state_bits):
    """The same layer in integers alone: 3/4 and 7/8 are shifts and adds, states are multiples of 1 / 2**(ab - 1).

    Returns spikes and membranes (in those multiples); `w` is the stored weight as multiples of 1 / 2**(wb - 1).
    """
    one = 1 << (state_bits - 1)
    fine = max(3, int(np.log2(scale)) + weight_bits - state_bits)  # bits behind the state's point that sums are carried with
    quantum = one * (1 << fine) // ((1 << (weight_bits - 1)) * int(scale))
    s = np.zeros(w.shape[1], np.int64)
    m, found = s.copy(), []
    for now in x.astype(np.int64):
        z = half_even((m << 20) - (9 * one << 20) // 10, 20) > 0  # m - 0.9, rounded to the state's grid
        h = (now @ w) * quantum
        new_s = np.clip(((3 * s) << fine >> 2) + h, -(one - 1) << fine, (one - 1) << fine)
        new_m = np.clip(((7 * m) << fine >> 3) + ((s - z * one) << fine), -(one - 1) << fine, (one - 1) << fine)
        s, m = half_even(new_s, fine), half_even(new_m, fine)
        found.append((z, m))
    return np.array([z for z, _ in found]), np.array([m for _, m in found])
