"""The continuous clock: delta LIF, CUBA LIF, delays of their own, ungated ramps; ns per synaptic event.

Yardsticks in the same run: a naive Numba loop (exponential and logarithm on every touch, no windows), and a gather-add of the
same number of events over targets that live in the L2 cache. Bounds: one touch per synaptic event; a touch reads and writes
one row of 32 bytes (delta) or 64 bytes (CUBA).
"""

import sys
import time

import numpy as np
from common import emit, median_seconds

from eventsnn import Dense, Input, Population, Projection, SpikeRaster
from eventsnn.compile import specialise
from eventsnn.engines.continuous import run_continuous
from eventsnn.engines.continuous_plan import ContinuousNetwork
from eventsnn.neurons.cuba_lif import CubaLif
from eventsnn.neurons.lif_delta import LifDelta
from eventsnn.neurons.ramp_continuous import RampUngated, RampUngatedReadout
from eventsnn.projections.sparse_ms import SparseMs
from eventsnn.wiring import fixed_in_degree


def naive_lif(indptr, targets, weights, v, e, theta, v_reset, tau, refractory, delay, duration, out_t, out_id, n, first):
    """Event loop as one would write it: a list of spikes as queue, decay and prediction at every touch."""
    last, free, due = np.zeros(v.size), np.zeros(v.size), np.full(v.size, np.inf)
    for i in range(v.size):
        due[i] = tau * np.log((v[i] - e[i]) / (theta - e[i])) if e[i] > theta else np.inf
    events = 0
    window = 0.0
    while window < duration:
        window = min(window + delay, duration)
        start = n
        while first < n and out_t[first] + delay < window:
            t = out_t[first] + delay
            for j in range(indptr[out_id[first]], indptr[out_id[first] + 1]):
                i = targets[j]
                events += 1
                if due[i] <= t:
                    out_t[n], out_id[n] = due[i], i
                    n += 1
                    v[i], last[i], free[i] = v_reset, due[i] + refractory, due[i] + refractory
                if t >= free[i]:
                    v[i] = e[i] + (v[i] - e[i]) * np.exp(-(t - last[i]) / tau) + weights[j]
                    last[i] = t
                    if v[i] >= theta:
                        out_t[n], out_id[n] = t, i
                        n += 1
                        v[i], last[i], free[i] = v_reset, t + refractory, t + refractory
                due[i] = last[i] + tau * np.log((v[i] - e[i]) / (theta - e[i])) if e[i] > theta else np.inf
            first += 1
        for i in range(v.size):
            while due[i] < window:
                out_t[n], out_id[n] = due[i], i
                n += 1
                v[i], last[i], free[i] = v_reset, due[i] + refractory, due[i] + refractory
                due[i] = last[i] + tau * np.log((v[i] - e[i]) / (theta - e[i]))
        order = np.argsort(out_t[start:n])
        out_t[start:n], out_id[start:n] = out_t[start:n][order], out_id[start:n][order]
    return n, events


def gather_add(targets, cells, repeats):
    """cells[target] += 1 for all targets, `repeats` times."""
    for _ in range(repeats):
        for j in range(targets.size):
            cells[targets[j]] += 1.0


def yardstick(n=10_000, count=1_000_000):
    """Return ns per event of the gather-add over `n` cells."""
    targets, cells = np.random.default_rng(0).integers(0, n, count).astype(np.uint32), np.zeros(n)
    kernel = specialise(gather_add)
    return median_seconds(lambda: kernel(targets, cells, 5)) / (5 * count) * 1e9


def delta_parts(n, k, low, high, delays=0.0):
    """Return (synapses, parameters) of the random network of the notes."""
    rng = np.random.default_rng(1)
    wired = fixed_in_degree(n, n, k, weight=1.0, seed=1, name="bench")
    if np.ndim(delays) == 1:
        delays = rng.uniform(*delays, wired.size)
    sources = np.where(np.arange(n) < 0.8 * n, 0.3, -1.5) * 100 / k
    synapses = SparseMs(wired.indptr, wired.targets, 1.0, delays, source_weights=sources)
    parameters = {"tau_mem": 20.0, "v_rest": rng.uniform(low, high, n), "v_threshold": -50.0, "v_reset": -60.0, "refractory": 5.0,
                  "v_init": rng.uniform(-60, -50.001, n)}
    return synapses, parameters


def delta(name, n, k, low, high, delays=0.0, delay=1.5, bar=None, walker="auto", naive=False, constant=None):
    """Run a delta LIF network for a second and report."""
    synapses, parameters = delta_parts(n, k, low, high, delays)
    network = ContinuousNetwork(populations=(Population("n", n, LifDelta, parameters, dtype="float64"),),
                                projections=(Projection("n", "n", synapses, delay=delay),))
    run_continuous(network, {}, 5.0, walker=walker)
    found = []
    for _ in range(5):
        found.append(run_continuous(network, {}, 1000.0, walker=walker))
    seconds = float(np.median([r.seconds for r in found]))
    events, spikes = found[0].counters["synaptic_events"], found[0].counters["spikes"]
    extra = {}
    if naive:
        extra = {"naive_ns_per_event": naive_ns(synapses, parameters, n, spikes)}
    if constant:
        extra = {"constant_ns_per_event": constant, "ratio_to_constant": seconds / events * 1e9 / constant}
    emit(name, seconds=seconds, spikes=spikes, synaptic_events=events, rate_hz=spikes / n, ns_per_event=seconds / events * 1e9,
         bar=bar, gather_add_ns=yardstick(n), **extra)
    return seconds / events * 1e9


def naive_ns(synapses, parameters, n, spikes):
    """Return ns per event of the naive loop; its spikes must be about as many."""
    kernel = specialise(naive_lif)
    weights = np.broadcast_to(synapses.synapse_weights(), synapses.targets.shape).copy()

    def go(duration):
        out_t, out_id = np.empty(4 * spikes + 10_000), np.empty(4 * spikes + 10_000, np.int64)
        start = time.perf_counter()
        v_init = parameters["v_init"].copy()
        count, events = kernel(synapses.indptr, synapses.targets, weights, v_init, parameters["v_rest"], -50.0, -60.0, 20.0, 5.0,
                               1.5, duration, out_t, out_id, 0, 0)
        return time.perf_counter() - start, count, events

    go(2.0)
    runs = [go(1000.0) for _ in range(3)]
    if abs(runs[0][1] - spikes) > 0.1 * spikes:  # it tests between simultaneous arrivals
        sys.exit(f"the naive loop has {runs[0][1]} spikes, the engine {spikes}")
    return float(np.median([r[0] for r in runs])) / runs[0][2] * 1e9


def cuba(name, n, k, scale, bar):
    """Run a CUBA network for a second and report."""
    rng = np.random.default_rng(2)
    wired = fixed_in_degree(n, n, k, weight=1.0, seed=2, name="bench")
    sources = np.where(np.arange(n) < 0.8 * n, 0.3, -1.5) * scale * 100 / k
    synapses = SparseMs(wired.indptr, wired.targets, 1.0, source_weights=sources)
    parameters = {"tau_mem": 20.0, "tau_syn": 5.0, "v_rest": rng.uniform(-55.5, -49, n), "v_threshold": -50.0, "v_reset": -60.0,
                  "refractory": 5.0, "v_init": rng.uniform(-60, -50.001, n)}
    network = ContinuousNetwork(populations=(Population("n", n, CubaLif, parameters, dtype="float64"),),
                                projections=(Projection("n", "n", synapses, delay=1.5),))
    run_continuous(network, {}, 5.0)
    found = [run_continuous(network, {}, 1000.0) for _ in range(5)]
    seconds = float(np.median([r.seconds for r in found]))
    events, spikes = found[0].counters["synaptic_events"], found[0].counters["spikes"]
    emit(name, seconds=seconds, spikes=spikes, synaptic_events=events, rate_hz=spikes / n, ns_per_event=seconds / events * 1e9,
         bar=bar, gather_add_ns=yardstick(n))


def naive_ramps(order, times, ids, starts, w, theta, t_open, t_close, slope, out):
    """Per sample: sort; per spike v += s dt, s += w, test; then the window."""
    n = w.shape[1]
    v, s, fired = np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    for sample in range(starts.size - 1):
        a, b = starts[sample], starts[sample + 1]
        order[:b - a] = np.argsort(times[a:b])
        v[:], s[:], fired[:] = 0.0, 0.0, False
        last = 0.0
        for q in range(b - a + 1):
            t = times[a + order[q]] if q < b - a else t_open
            dt = t - last
            for i in range(n):
                old = v[i]
                v[i] = old + s[i] * dt
                if v[i] >= theta[i] and not fired[i]:
                    fired[i] = True
                    out[sample, i] = last + (theta[i] - old) / s[i]
            if q < b - a:
                row = ids[a + order[q]]
                for i in range(n):
                    s[i] += w[row, i]
            last = t
        for i in range(n):
            t = t_open + (theta[i] - v[i]) / slope
            if not fired[i]:
                out[sample, i] = t if t < t_close else np.inf


def ramps(samples=1000):
    """Run an ungated ramp network 784-340-10, 20 % active, and the naive loop of the same."""
    rng = np.random.default_rng(1)
    w1, w2 = rng.normal(size=(784, 340)).astype(np.float32) * 0.05, rng.normal(size=(340, 10)).astype(np.float32) * 0.1
    x = (rng.random((samples, 784)) * (rng.random((samples, 784)) < 0.2))
    rows, ids = np.nonzero(x)
    raster = SpikeRaster.from_events(1 - x[rows, ids], ids, x[rows, ids], rows, size=784, duration=1.0, n_samples=samples)
    network = ContinuousNetwork(
        (Input("x", 784),), (Population("h", 340, RampUngated, {"t_open": 1.0, "window": 8.0}, dtype="float64"),
                             Population("o", 10, RampUngatedReadout, {"t_open": 9.0}, dtype="float64")),
        (Projection("x", "h", Dense(w1)), Projection("h", "o", Dense(w2))), readout="o")
    run_continuous(network, {"x": raster}, 9.0)
    found = [run_continuous(network, {"x": raster}, 9.0) for _ in range(3)]
    seconds = float(np.median([r.seconds for r in found]))
    kernel, theta, out = specialise(naive_ramps), np.full(340, 8.0), np.empty((samples, 340))
    w, order, times, where = w1.astype(np.float64), np.empty(784, np.int64), 1 - x[rows, ids], ids.astype(np.int64)
    starts = np.searchsorted(rows, np.arange(samples + 1))

    def naive():
        kernel(order, times, where, starts, w, theta, 1.0, 9.0, 1.0, out)
        hidden = np.minimum(out, 9.0)
        return (9.0 - hidden) @ w2.astype(np.float64)

    naive_seconds = median_seconds(naive, 3)
    mine = found[0].rasters["h"].first_times()
    if not np.array_equal(np.isinf(mine), np.isinf(out)) or np.abs(naive() - found[0].readout).max() > 1e-9:
        sys.exit("the naive ramp loop and the engine differ")
    emit("ramp_ungated_784_340_10", seconds=seconds, samples=samples, synaptic_events=found[0].counters["synaptic_events"],
         spikes=found[0].counters["spikes"], naive_seconds=naive_seconds, times_naive=naive_seconds / seconds, bar=2.0)


def main():
    """Print one line per bench; arguments choose among delta, sparse, delays, cuba, ramp."""
    chosen = set(sys.argv[1:]) or {"delta", "sparse", "delays", "cuba", "ramp"}
    constant = None
    if chosen & {"delta", "delays"}:
        constant = delta("delta_10k_x_100", 10_000, 100, -55.5, -49, bar=8.0, naive=True)
    if "delays" in chosen:
        delta("delays_10k_x_100", 10_000, 100, -55.5, -49, delays=(0.0, 8.0), bar=1.5, constant=constant)
    if "cuba" in chosen:
        cuba("cuba_10k_x_100", 10_000, 100, 4.0, 25.0)
        cuba("cuba_100k_x_100", 100_000, 100, 4.0, 25.0)
    if "ramp" in chosen:
        ramps()
    if "sparse" in chosen:
        delta("delta_100k_x_100_sparse", 100_000, 100, -69, -49.9, bar="0.05 s, 400 MB")
    if "delta" in chosen:
        delta("delta_100k_x_100", 100_000, 100, -55.5, -49, bar=10.0)


if __name__ == "__main__":
    main()
