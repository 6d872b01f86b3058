"""A training step by the adjoint: forward run and gradient of 784-340-10 ungated ramps, batch of 100; the general way beside it.

Yardstick in the same run: a naive Numba loop over events, forward and backward, as one would write it. Seconds are those of the
processor, which other work on the machine does not lengthen. Bounds: forward and backward, each input spike takes a row of 340
multiplications and additions; the gradient of the first layer is 2.1 MB that are written anew.
"""

import sys
import time

import numpy as np
from bench_continuous import naive_ramps
from common import emit, median_seconds

from eventsnn import Dense, Input, Network, Population, Projection, Readout, SpikeRaster, run
from eventsnn.compile import specialise
from eventsnn.gradients import adjoint
from eventsnn.gradients.adjoint import gradient
from eventsnn.gradients.spike_losses import potential_cross_entropy

R = 8.0


def naive_back(times, ids, starts, w1, w2, hidden, labels, t_open, dw1, dw2, back):
    """Backward over events, sample by sample: readout, then every fired neuron over the arrivals before its window opened."""
    n, classes, samples = w1.shape[1], w2.shape[1], starts.size - 1
    v, p = np.zeros(classes), np.zeros(classes)
    for sample in range(samples):
        v[:] = 0.0
        for i in range(n):
            if hidden[sample, i] < np.inf:
                for k in range(classes):
                    v[k] += w2[i, k] * (t_open + R - hidden[sample, i])
        p[:] = np.exp(v - v.max())
        p /= p.sum()
        p[labels[sample]] -= 1.0
        p /= samples
        for i in range(n):
            if hidden[sample, i] == np.inf:
                continue
            slope = 0.0
            for k in range(classes):
                dw2[i, k] += p[k] * (t_open + R - hidden[sample, i])
                slope -= p[k] * w2[i, k]
            back[i] = slope
        for q in range(starts[sample], starts[sample + 1]):
            row, left = ids[q], t_open - times[q]
            for i in range(n):
                if hidden[sample, i] < np.inf:
                    dw1[row, i] -= back[i] * left


def main(samples=100):
    """Print one line."""
    rng = np.random.default_rng(1)
    w1, w2, labels = rng.normal(size=(784, 340)) * 0.05, rng.normal(size=(340, 10)) * 0.1, rng.integers(0, 10, samples)
    x = rng.random((samples, 784)) * (rng.random((samples, 784)) < 0.193)
    rows, ids = np.nonzero(x)
    raster = SpikeRaster.from_events(1 - x[rows, ids], ids, None, rows, size=784, duration=1.0, n_samples=samples)
    network = Network([Input("x", 784)],
                      [Population("h", 340, "ramp_ungated", {"t_open": 1.0, "window": R}, dtype="float64"),
                       Population("o", 10, "ramp_ungated_readout", {"t_open": 1.0 + R}, dtype="float64")],
                      [Projection("x", "h", Dense(w1)), Projection("h", "o", Dense(w2))],
                      readout=Readout("o", "membrane"))  # fmt: skip

    def step():
        result = run(network, {"x": raster}, duration=1.0 + R)
        return result, gradient(network, {"x": raster}, result, potential_cross_entropy(result, "o", labels), of_inputs=False)

    forward, back = specialise(naive_ramps), specialise(naive_back)
    theta, hidden, order = np.full(340, R), np.empty((samples, 340)), np.empty(784, np.int64)
    starts, where, times = np.searchsorted(rows, np.arange(samples + 1)), ids.astype(np.int64), 1 - x[rows, ids]

    def naive():
        dw1, dw2 = np.zeros_like(w1), np.zeros_like(w2)
        forward(order, times, where, starts, w1, theta, 1.0, 1.0 + R, 1.0, hidden)
        back(times, where, starts, w1, w2, hidden, labels, 1.0, dw1, dw2, np.empty(340))
        return dw1, dw2

    (result, found), theirs = step(), naive()
    for ours, other in zip(found.weights, theirs):
        if np.abs(ours - other).max() > 1e-12 * np.abs(other).max():
            sys.exit("the naive gradient and the adjoint differ")
    clock = time.process_time
    seconds, naive_seconds = median_seconds(step, 25, clock), median_seconds(naive, 25, clock)
    forward_seconds = median_seconds(lambda: run(network, {"x": raster}, duration=1.0 + R), 25, clock)
    chain, adjoint.takes_dense_chain = adjoint.takes_dense_chain, lambda *a: False
    general_seconds = median_seconds(step, 3, clock)
    adjoint.takes_dense_chain = chain
    events = result.counters["synaptic_events"]
    emit("adjoint_784_340_10", seconds=seconds, forward_seconds=forward_seconds, samples=samples,
         spikes=result.counters["spikes"], synaptic_events=events, naive_seconds=naive_seconds,
         times_naive=naive_seconds / seconds, bar=2.0, general_seconds=general_seconds,
         general_ns_per_event=general_seconds / events * 1e9)  # fmt: skip


if __name__ == "__main__":
    main()
