"""Plain twin of the grid engines, written from docs/semantics.md alone: dense loops over steps, nodes and spikes.

Reads the attributes of a Network and its inputs; shares no line with eventsnn's neurons, projections, relays or engines.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Twin:
    """What the twin found: everything a RunResult can be compared with."""

    spikes: dict  # node name -> list of (sample, time, id, amplitude)
    states: dict = field(default_factory=dict)  # population -> (samples, n) final membranes
    readout: np.ndarray | None = None
    synaptic_events: int = 0


def simulate(network, inputs, duration):
    """Simulate a grid network step by step."""
    samples = next(iter(inputs.values())).n_samples
    order = topological(network)
    paths = {p.name: [Path(network, q) for q in network.projections if q.target == p.name] for p in network.populations}
    twin = Twin({name: [] for name in order})
    finals = []
    for sample in range(samples):
        feeds = {name: input_spikes(given, sample, duration) for name, given in inputs.items()}
        cells = {p.name: Neurons(p) for p in network.populations}
        pools = {r.name: Pool(r.kind, network.shape_of(r.source)) for r in network.relays}
        history = {name: [] for name in order}  # history[name][t] = [(id, amplitude), ...] ascending in id
        for t in range(duration):
            for name in order:
                if name in feeds:
                    fired = feeds[name].get(t, [])
                elif name in pools:
                    source = next(r.source for r in network.relays if r.name == name)
                    fired = pools[name].step(history[source][t])
                else:
                    neurons = cells[name]
                    cell = np.zeros(neurons.n, neurons.dtype)
                    for path in paths[name]:
                        twin.synaptic_events += path.deliver(cell, history[path.source], t)
                    for drive in network.drives:
                        if drive.target == name and scheduled(drive.schedule, t):
                            cell = cell + spread(drive.values, neurons.population).astype(neurons.dtype)
                    fired = neurons.step(cell)
                history[name].append(fired)
        for name in order:
            twin.spikes[name] += [(sample, t, i, float(a)) for t, now in enumerate(history[name]) for i, a in now]
        finals.append({name: neurons.v.copy() for name, neurons in cells.items()})
    twin.states = {p.name: np.array([f[p.name] for f in finals]) for p in network.populations}
    twin.readout = read_out(network, twin, samples)
    return twin


def read_out(network, twin, samples):
    """Read the answer as section 7 says."""
    if network.readout is None:
        return None
    name, kind = network.readout.population, network.readout.kind
    if kind == "membrane":
        return twin.states[name].astype(np.float64)
    size = int(np.prod(network.shape_of(name)))
    found = np.zeros((samples, size)) if kind == "count" else np.full((samples, size), np.inf)
    for sample, t, i, amplitude in sorted(twin.spikes[name]):
        if kind == "count":
            found[sample, i] += amplitude
        else:
            found[sample, i] = min(found[sample, i], t * network.dt_ms)
    return found


def topological(network):
    """Order nodes so that everything without delay comes after its source."""
    waits = {n.name: set() for n in (*network.inputs, *network.populations, *network.relays)}
    for relay in network.relays:
        waits[relay.name].add(relay.source)
    for projection in network.projections:
        own = getattr(projection.synapses, "synapse_delays", None)
        if projection.delay + (own.min() if own is not None and own.size else 0) == 0:
            waits[projection.target].add(projection.source)
    order = []
    while len(order) < len(waits):
        order.append(next(name for name in waits if name not in order and waits[name] <= set(order)))
    return order


def scheduled(schedule, t):
    """Tell whether a drive acts at step t."""
    if isinstance(schedule, str):
        return schedule == "every" or t == 0
    if np.ndim(schedule):
        return bool(np.asarray(schedule)[t])
    return t % int(schedule) == 0


def input_spikes(given, sample, duration):
    """Return {step: [(id, amplitude), ...]} of one sample of a raster or a drive."""
    found = {}
    if hasattr(given, "schedule"):
        active = [(i, float(x)) for i, x in enumerate(given.values[sample]) if x != 0]
        return {t: active for t in range(duration) if scheduled(given.schedule, t)}
    for k in range(given.offsets[sample], given.offsets[sample + 1]):
        if given.times[k] < duration:
            amplitude = 1.0 if given.amplitudes is None else float(given.amplitudes[k])
            found.setdefault(int(given.times[k]), []).append((int(given.ids[k]), amplitude))
    return found


def spread(values, population):
    """Return a number, one per channel or one per neuron as one per neuron."""
    values = np.asarray(values, dtype=np.float64)
    n = int(np.prod(population.shape))
    if values.ndim == 0:
        return np.full(n, float(values))
    return values.reshape(-1) if values.size == n else np.tile(values.reshape(-1), n // values.size)


class Path:
    """A projection as lists: synapses[delay][source] = [(target, weight), ...] in canonical order."""

    def __init__(self, network, projection):
        self.source = projection.source
        population = next(p for p in network.populations if p.name == projection.target)
        self.dtype = np.dtype(population.dtype).type
        self.synapses = {}
        shapes = network.shape_of(projection.source), population.shape
        for source, target, weight, delay in list_synapses(projection.synapses, *shapes):
            by_source = self.synapses.setdefault(projection.delay + delay, {})
            by_source.setdefault(source, []).append((target, self.dtype(weight)))

    def deliver(self, cell, history, t):
        """Add everything due at step t to the cell; return the number of deliveries."""
        count = 0
        for delay in sorted(self.synapses):
            for source, amplitude in history[t - delay] if t >= delay else []:
                for target, weight in self.synapses[delay].get(source, []):
                    cell[target] += weight * self.dtype(amplitude)
                    count += 1
        return count


def list_synapses(synapses, source_shape, target_shape):
    """Yield (source, target, weight, delay) with sources ascending."""
    kind = type(synapses).__name__
    if kind == "Dense":
        for i, j in np.ndindex(*synapses.weights.shape):
            yield i, j, synapses.weights[i, j], 0
    elif kind == "Sparse":
        delays = synapses.synapse_delays
        for k in np.argsort(synapses.sources, kind="stable"):
            own = 0 if delays is None else int(delays[k])
            yield int(synapses.sources[k]), int(synapses.targets[k]), synapses.weights[k], own
    else:
        yield from conv_synapses(synapses, source_shape, target_shape)


def conv_synapses(conv, source_shape, target_shape):
    """Yield the synapses of a convolution: output (y, x) looks at input (y * stride - padding + ky, ...)."""
    kh, kw, c_in, c_out = conv.weights.shape
    (height, width, _), (rows, columns, _) = source_shape, target_shape
    top, left = before(conv, 0, height, kh, rows), before(conv, 1, width, kw, columns)
    for y, x, c in np.ndindex(height, width, c_in):
        for row, column in np.ndindex(rows, columns):
            ky, kx = y - (row * conv.stride[0] - top), x - (column * conv.stride[1] - left)
            if 0 <= ky < kh and 0 <= kx < kw:
                for k in range(c_out):
                    yield (y * width + x) * c_in + c, (row * columns + column) * c_out + k, conv.weights[ky, kx, c, k], 0


def before(conv, axis, size, kernel, out):
    """Return the silent rows above (columns left of) the input; an odd surplus of `same` goes below and right."""
    if conv.padding == "valid":
        return 0
    if conv.padding == "same":
        return max((out - 1) * conv.stride[axis] + kernel - size, 0) // 2
    return conv.padding[axis]


class Neurons:
    """One population of integrate-and-fire neurons or accumulators, section 3."""

    def __init__(self, population):
        self.population, self.n = population, int(np.prod(population.shape))
        self.dtype = dtype = np.dtype(population.dtype).type
        p = population.parameters
        self.fires = population.model.name != "accumulator"
        self.v = spread(p.get("v_init", 0.0), population).astype(dtype)
        self.bias = spread(p.get("bias", 0.0), population).astype(dtype)
        self.leak = dtype(p.get("leak", 1.0))
        self.owed = np.zeros(self.n, bool)  # fired, reset not yet taken
        self.rest = np.zeros(self.n, int)  # steps of refractoriness left
        if self.fires:
            self.theta = spread(p["v_threshold"], population).astype(dtype)
            self.v_reset = spread(p["v_reset"], population).astype(dtype)
            floor = spread(p["v_floor"], population)
            self.floor = [dtype(x) if np.isfinite(x) else None for x in floor]

    def step(self, cell):
        """Take one step of all neurons; return the spikes."""
        return [(i, 1.0) for i in range(self.n) if self.one(i, cell[i])]

    def one(self, i, cell):
        """Take one step of neuron i; tell whether it fired."""
        if not self.fires:
            self.v[i] = self.kept(i) + self.drive(i, cell)
            return False
        if self.rest[i] > 0:
            self.rest[i] -= 1
            return False
        p = self.population.parameters
        fired = getattr(self, p["reset_at"])(i, self.drive(i, cell), p["reset"] == "subtract")
        if fired:
            self.rest[i] = int(p["refractory"])
        return fired

    def drive(self, i, cell):
        return cell + self.bias[i] if self.bias.any() else cell

    def kept(self, i):
        return self.leak * self.v[i] if self.leak != 1 else self.v[i]

    def above(self, i, u):
        return bool(u > self.theta[i] if self.population.parameters["strict"] else u >= self.theta[i])

    def floored(self, i, u):
        return u if self.floor[i] is None else max(u, self.floor[i])

    def integrate(self, i, drive, subtract, reset):
        """Integrate, taking a reset that is due at the same time."""
        if reset and not subtract:
            return self.floored(i, self.v_reset[i] + drive)
        u = self.kept(i) + drive
        return self.floored(i, u - self.theta[i] if reset else u)

    def now(self, i, drive, subtract):
        u = self.integrate(i, drive, subtract, reset=False)
        fired = self.above(i, u)
        self.v[i] = ((u - self.theta[i]) if subtract else self.v_reset[i]) if fired else u
        return fired

    def next(self, i, drive, subtract):
        self.v[i] = self.integrate(i, drive, subtract, reset=self.owed[i])
        self.owed[i] = self.above(i, self.v[i])
        return bool(self.owed[i])

    def pipelined(self, i, drive, subtract):
        fired = self.above(i, self.v[i])
        self.v[i] = self.integrate(i, drive, subtract, reset=fired)
        return fired


class Pool:
    """A pooling relay on the grid, section 5."""

    def __init__(self, kind, shape):
        self.kind, self.name = kind, type(kind).__name__
        self.windows = windows(kind, shape)
        self.counters = np.zeros(int(np.prod(shape)))
        self.seen = set()  # sources that have spiked
        self.done = set()  # windows that have passed their spike

    def step(self, spikes):
        """Take the spikes of an instant, hand on those that pass."""
        now = dict(spikes)
        for source, amplitude in spikes:
            self.counters[source] += amplitude
        seen_before, self.seen = self.seen, self.seen | set(now)
        choose = {"AveragePool": self.average, "GatedMaxPool": self.gated, "EarliestPool": self.earliest,
                  "StepMaxPool": self.largest}[self.name]
        passed = []
        for out, sources in enumerate(self.windows):
            active = [s for s in sources if s in now]
            amplitude = choose(out, sources, active, now, seen_before) if active else None
            if amplitude:
                passed.append((out, amplitude))
        return passed

    def average(self, out, sources, active, now, seen_before):
        total = 0.0
        for source in active:
            total += now[source]
        return total / self.kind.size**2

    def gated(self, out, sources, active, now, seen_before):
        best = max(sources, key=lambda s: self.counters[s])  # max keeps the first among equals
        return now.get(best)

    def largest(self, out, sources, active, now, seen_before):
        return max(now.get(s, 0.0) for s in sources)

    def earliest(self, out, sources, active, now, seen_before):
        signs = self.kind.signs
        if out in self.done:
            return None
        if signs is None or signs[out % len(signs)] > 0:
            self.done.add(out)
            return now[active[0]]
        if not set(sources) <= self.seen:
            return None
        self.done.add(out)  # of several that complete the window in this instant, the last position's
        return now[[s for s in active if s not in seen_before][-1]]


def windows(kind, shape):
    """Return for each output id the ids of its window, row-major."""
    height, width, channels = shape
    found = []
    for y in range(0, height - kind.size + 1, kind.stride):
        for x in range(0, width - kind.size + 1, kind.stride):
            for c in range(channels):
                places = [(y + dy, x + dx) for dy in range(kind.size) for dx in range(kind.size)]
                found.append([(py * width + px) * channels + c for py, px in places])
    return found
