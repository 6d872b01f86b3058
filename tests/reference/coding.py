"""Plain twin of the neural codings: section 2.1 of the reference, one step after another, one layer after another.

A network is a list of `Layer`s on an input that is a table of amplitudes (step, neuron), 0 where silent. Sums follow
docs/semantics.md section 2: sources ascending, the amplitude rounded to the layer's dtype, the product rounded, then
added; the bias last. All targets of one source are one NumPy operation, as each target has its own cell.
"""

from dataclasses import dataclass, field

import numpy as np

from tests.reference.coding_inputs import first_crossing, kernel
from tests.reference.coding_pools import Pool
from tests.reference.grid import list_synapses, spread

# ---- hidden codes: one population each; step(cell, t) -> amplitudes


@dataclass
class Neurons:
    """Integration common to all codes: leak, then the sum, then the floor; theta and v may be arrays (one per neuron)."""

    theta: object = 1.0
    v_init: object = 0.0
    leak: float = 1.0
    floor: float | None = None
    once: bool = False
    dtype: type = np.float32

    def start(self, n):
        """Go back to the state before a sample."""
        self.v = np.broadcast_to(np.asarray(self.v_init, self.dtype), n).copy()
        self.theta0 = np.broadcast_to(np.asarray(self.theta, self.dtype), n).copy()
        self.now = self.theta0.copy()
        self.locked = np.zeros(n, bool)

    def integrate(self, cell):
        kept = self.v if self.leak == 1 else self.dtype(self.leak) * self.v
        self.v = kept + cell
        if self.floor is not None:
            self.v = np.maximum(self.v, self.dtype(self.floor))

    def step(self, cell, t):
        self.integrate(cell)
        fired = (self.v >= self.threshold(t)) & ~self.locked
        sent = np.where(fired, self.amplitude(), self.dtype(0))
        self.v = np.where(fired, self.v - sent, self.v)
        self.after(fired)
        if self.once:
            self.locked |= fired
        return sent

    def threshold(self, t):
        return self.now

    def amplitude(self):
        return self.now

    def after(self, fired):
        pass


@dataclass
class Rate(Neurons):
    """v >= theta: emit A and subtract A, whatever theta is (2.3)."""

    height: float = 1.0

    def amplitude(self):
        return np.full_like(self.v, self.height)


@dataclass
class Phase(Neurons):
    """The threshold halves at every step of a period and is the amplitude (2.4); theta is that of phase 0."""

    period: int = 8

    def threshold(self, t):
        self.now = self.theta0.copy() if t % self.period == 0 else self.now / self.dtype(2)
        return self.now


@dataclass
class Burst(Neurons):
    """The threshold grows after a spike, falls back after a silent step, and is the amplitude (2.5)."""

    growth: float = 2.0

    def after(self, fired):
        self.now = np.where(fired, self.dtype(self.growth) * self.now, self.theta0)


@dataclass
class Readout(Neurons):
    """Integrates and never fires."""

    def step(self, cell, t):
        self.integrate(cell)
        return np.zeros_like(self.v)


@dataclass
class Ttfs(Neurons):
    """One spike within [opens, opens + window): when the falling kernel theta exp(-(n - delay) / tau) meets v (2.6)."""

    opens: int = 0
    window: int = 20
    tau: float = 5.0
    delay: float = 0.0
    later: float = 0.0  # 0.5: the threshold is looked at half a step later
    tau_out: float | None = None  # kernel that the spike carries, where it is not the threshold's
    delay_out: float | None = None

    def start(self, n):
        """Tables: computed in float64, rounded once."""
        super().start(n)
        self.table = (self.theta * kernel(self.window, self.tau, self.delay, self.later)).astype(self.dtype)
        tau, delay = (self.tau, self.delay) if self.tau_out is None else (self.tau_out, self.delay_out)
        self.decoded = kernel(self.window, tau, delay).astype(self.dtype)

    def step(self, cell, t):
        """Early firing: the sum of the instant, then the check."""
        self.integrate(cell)
        sent, n = np.zeros_like(self.v), t - self.opens
        if 0 <= n < self.window:
            fired = (self.v >= self.table[n]) & ~self.locked
            sent[fired] = self.decoded[n]
            self.v[fired] = 0
            self.locked |= fired
        return sent

    def gated(self, cell):
        """The window opens after all input: one potential decides. Returns [(neuron, time, amplitude), ...]."""
        self.v, sent = cell, []
        for i in range(cell.size):
            n = first_crossing(cell[i], self.table)
            if n is not None:
                sent.append((i, self.opens + n, self.decoded[n]))
        return sent


# ---- a network


@dataclass
class Layer:
    """Optional pool, synapses, bias, neurons.

    `schedule` tells at which steps the bias is on; `synapses` is anything `list_synapses` reads.
    """

    neurons: Neurons
    synapses: object
    source_shape: tuple
    shape: tuple
    bias: object = 0.0
    schedule: object = field(default=lambda t: True)
    pool: Pool | None = None

    def start(self):
        """Go back to the state before a sample."""
        dtype = self.neurons.dtype
        if not hasattr(self, "rows"):
            self.rows = collect(self.synapses, self.source_shape, self.shape, dtype)
        self.biases = spread(self.bias, self).astype(dtype)
        self.neurons.start(int(np.prod(self.shape)))
        if self.pool is not None:
            self.pool.start()

    def add(self, cell, source, amplitude):
        targets, weights = self.rows.get(source, (slice(0, 0), np.empty(0, cell.dtype)))
        cell[targets] += weights * cell.dtype.type(amplitude)

    def step(self, sent, t):
        """One step: pooled amplitudes in, amplitudes out."""
        cell = np.zeros(int(np.prod(self.shape)), self.neurons.dtype)
        for source in np.flatnonzero(sent):
            self.add(cell, source, sent[source])
        return self.neurons.step(cell + self.biases if self.schedule(t) and self.biases.any() else cell, t)

    def gated(self, spikes):
        """All steps at once: everything is due when the window opens, by source, of one source in the order of the list."""
        cell = np.zeros(int(np.prod(self.shape)), self.neurons.dtype)
        for source, _, amplitude in sorted(spikes, key=lambda spike: spike[0]):
            self.add(cell, source, amplitude)
        cell = cell + self.biases
        if isinstance(self.neurons, Ttfs):
            return self.neurons.gated(cell)
        self.neurons.v = cell
        return []


def collect(synapses, source_shape, shape, dtype):
    """Return {source: (targets, weights)}; no target twice."""
    rows = {}
    for source, target, weight, _ in list_synapses(synapses, source_shape, shape):
        rows.setdefault(source, ([], []))[0].append(target)
        rows[source][1].append(weight)
    return {s: (np.array(t), np.array(w).astype(dtype)) for s, (t, w) in rows.items()}


def simulate(layers, frames):
    """Run one sample on the grid.

    Returns
    -------
    sent : list of array (step, neuron)
        Amplitudes of every layer, 0 where silent.
    passed : list of array
        What the pool before every layer let through.
    v : list of array
        Membranes after the last step.
    """
    for layer in layers:
        layer.start()
    sent = [np.zeros((len(frames), int(np.prod(layer.shape)))) for layer in layers]
    passed = [[] for _ in layers]
    for t, now in enumerate(frames):
        for layer, table, through in zip(layers, sent, passed):
            through.append(now if layer.pool is None else layer.pool.step(now))
            now = table[t] = layer.step(through[-1], t)
    return sent, [np.array(p) for p in passed], [layer.neurons.v for layer in layers]


def simulate_gated(layers, frames):
    """Run one sample whose windows follow one another; as `simulate`, with lists of (neuron, time, amplitude)."""
    sent, passed = [[(i, t, x) for t, i, x in spikes(frames)]], []
    for layer in layers:
        layer.start()
        passed.append(sent[-1] if layer.pool is None else layer.pool.gated_clock(sent[-1]))
        sent.append(layer.gated(passed[-1]))
    return sent[1:], passed, [layer.neurons.v for layer in layers]


def read_out(kind, spikes, v):
    """The answer of the last layer: `membrane`, `count` (summed amplitudes) or `first_spike` (steps, inf: none)."""
    if kind == "membrane":
        return v.astype(np.float64)
    found = np.zeros(v.size) if kind == "count" else np.full(v.size, np.inf)
    for t, i, amplitude in sorted(spikes):
        found[i] = found[i] + amplitude if kind == "count" else min(found[i], t)
    return found


def spikes(sent):
    """List (time, neuron, amplitude), sorted, of a table of amplitudes or of a list of (neuron, time, amplitude)."""
    if isinstance(sent, np.ndarray):
        return [(int(t), int(i), float(sent[t, i])) for t, i in np.argwhere(sent)]
    return sorted((t, i, float(x)) for i, t, x in sent)
