"""Plain-Python twin of the continuous clock: one priority queue of single synaptic events and own spikes.

Written from the membrane equations and docs/semantics.md: nothing here knows of windows, rows, epochs or bounds. Membranes
are decayed from event to event, crossings of two exponentials are found by bisection between points known to bracket them.
"""

import heapq
import math

OWN, ARRIVAL = 0, 1  # at one instant a neuron's own spike comes before what arrives


class Lif:
    """tau dv/dt = e - v; arrivals move v; input is lost while refractory."""

    def __init__(self, tau, rest, threshold, v_reset, v, refractory=0.0, subtract=False):
        self.tau, self.e, self.threshold, self.v_reset, self.v = tau, rest, threshold, v_reset, v
        self.refractory, self.subtract, self.last, self.free = refractory, subtract, 0.0, 0.0

    def advance(self, t):
        start = max(self.last, self.free)
        if t > start:
            self.v = self.e + (self.v - self.e) * math.exp(-(t - start) / self.tau)
        self.last = t

    def receive(self, x, t):
        if t >= self.free:
            self.v += x

    def fires(self, t):
        return t >= self.free and self.v >= self.threshold

    def reset(self, t):
        self.v = self.v - (self.threshold - self.v_reset) if self.subtract else self.v_reset
        self.free = t + self.refractory

    def next_spike(self):
        start = max(self.last, self.free)
        if self.v >= self.threshold:
            return start
        if self.e <= self.threshold:
            return math.inf
        return start + self.tau * math.log((self.e - self.v) / (self.e - self.threshold))


class Cuba:
    """tau_mem dv/dt = e - v + i, tau_syn di/dt = -i; arrivals move i; after a spike v stands at v_reset for a while."""

    def __init__(self, tau_mem, tau_syn, rest, threshold, v_reset, v, refractory=0.0):
        self.tm, self.ts, self.e, self.threshold, self.v_reset = tau_mem, tau_syn, rest, threshold, v_reset
        self.v, self.i, self.refractory, self.last, self.free = v, 0.0, refractory, 0.0, 0.0

    def after(self, v, i, x):
        """Return (v - e, i) x ms after (v - e, i)."""
        a, b = math.exp(-x / self.tm), math.exp(-x / self.ts)
        if self.tm == self.ts:
            return v * a + i * x / self.tm * a, i * b
        return v * a + i * self.ts / (self.ts - self.tm) * (b - a), i * b

    def advance(self, t):
        start = max(self.last, min(self.free, t))
        self.i *= math.exp(-(start - self.last) / self.ts)
        v, self.i = self.after(self.v - self.e, self.i, t - start)
        self.v, self.last = (v + self.e if t > start else self.v), t

    def receive(self, x, t):
        self.i += x

    def fires(self, t):
        return False  # v does not jump

    def reset(self, t):
        self.v, self.free = self.v_reset, t + self.refractory

    def next_spike(self):
        start, i = self.last, self.i
        if self.free > start:
            i *= math.exp(-(self.free - start) / self.ts)
            start = self.free
        v, theta = self.v - self.e, self.threshold - self.e
        low, high, step = 0.0, None, min(self.tm, self.ts) / 64
        x = 0.0
        while x < 40 * max(self.tm, self.ts):  # the peak lies between points where v rises and falls
            here, current = self.after(v, i, x)
            if here >= theta:
                high = x
                break
            if here > current:  # falls from here on, unless it is drawn up by the resting potential
                low_peak, high_peak = max(0.0, x - step), x
                for _ in range(200):
                    middle = 0.5 * (low_peak + high_peak)
                    here, current = self.after(v, i, middle)
                    low_peak, high_peak = (middle, high_peak) if here < current else (low_peak, middle)
                if self.after(v, i, low_peak)[0] >= theta:
                    high = low_peak
                    break
                if theta >= 0:
                    return math.inf
            low, x = x, x + step
        if high is None:
            return math.inf
        for _ in range(200):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.after(v, i, middle)[0] < theta else (low, middle)
        return start + high


def simulate(neurons, projections, inputs, duration):
    """Simulate populations of neuron objects.

    Parameters
    ----------
    neurons : dict
        Population -> list of neuron objects, populations in topological order of the connections without delay.
    projections : list of (source, target, [(source id, target id, weight, delay), ...])
        Twins merged.
    inputs : dict
        Name -> sorted list of (time, id, amplitude).
    duration : float

    Returns
    -------
    dict
        Population -> list of (time, id), sorted; and under ``None`` the number of synaptic events.
    """
    depth = {name: k for k, name in enumerate(neurons)}
    spikes, heap, version, events = {name: [] for name in neurons}, [], {}, 0
    outgoing = {}
    for rank, (source, target, synapses) in enumerate(projections):
        for s, t, w, d in synapses:
            outgoing.setdefault((source, s), []).append((target, rank, d, t, w))

    def send(source, s, t, amplitude):
        for target, rank, d, i, w in outgoing.get((source, s), ()):
            heapq.heappush(heap, (t + d, depth[target], ARRIVAL, target, i, rank, d, s, w * amplitude))

    def plan(name, i):
        version[name, i] = version.get((name, i), 0) + 1
        t = neurons[name][i].next_spike()
        if t < duration:
            heapq.heappush(heap, (t, depth[name], OWN, name, i, version[name, i], 0.0, 0, 0.0))

    def spike(name, i, t):
        spikes[name].append((t, i))
        neurons[name][i].reset(t)
        send(name, i, t, 1.0)

    for name, found in inputs.items():
        for t, s, amplitude in found:
            send(name, s, t, amplitude)
    for name in neurons:
        for i in range(len(neurons[name])):
            plan(name, i)
    while heap and heap[0][0] < duration:
        t, _, kind, name, i, number, *_ = heap[0]
        if kind == OWN:
            heapq.heappop(heap)
            if number == version[name, i]:
                neurons[name][i].advance(t)
                spike(name, i, t)
                plan(name, i)
            continue
        cells = {}
        while heap and heap[0][:4] == (t, depth[name], ARRIVAL, name):  # pops in order of target, projection, delay, source
            entry = heapq.heappop(heap)
            cells[entry[4]] = cells.get(entry[4], 0.0) + entry[8]
            events += 1
        for i, x in cells.items():
            neuron = neurons[name][i]
            neuron.advance(t)
            neuron.receive(x, t)
            while neuron.fires(t):
                spike(name, i, t)
            plan(name, i)
    result = {name: sorted(found) for name, found in spikes.items()}
    result[None] = events
    return result


class Ramp:
    """dV/dt = slope; arrivals add to the slope; one spike. With a switch (B1): from t_open the slope is B, come what may."""

    def __init__(self, threshold, slope, t_start, t_close, switch=None, forced=False):
        self.threshold, self.slope, self.last, self.t_close = threshold, slope, t_start, t_close
        self.switch, self.forced, self.v, self.done = switch, forced, 0.0, False

    def advance(self, t):
        if self.switch is not None and self.last < self.switch[0] <= t:
            self.v += self.slope * (self.switch[0] - self.last)
            self.last, self.slope = self.switch
        self.v += self.slope * (t - self.last)
        self.last = t

    def receive(self, x, t):
        if self.switch is None or t < self.switch[0]:
            self.slope += x

    def fires(self, t):
        return False  # V does not jump

    def reset(self, t):
        self.done = True

    def next_spike(self):
        if self.done:
            return math.inf
        legs = [(self.last, self.v, self.slope)]
        if self.switch is not None and self.last < self.switch[0]:
            legs.append((self.switch[0], self.v + self.slope * (self.switch[0] - self.last), self.switch[1]))
        for k, (start, v, slope) in enumerate(legs):
            end = legs[k + 1][0] if k + 1 < len(legs) else self.t_close
            t = start if v >= self.threshold else (start + (self.threshold - v) / slope if slope > 0 else math.inf)
            if t < end:
                return t
        return self.t_close if self.forced else math.inf
