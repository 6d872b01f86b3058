"""The pattern learner against the same recursion in PyTorch, and the van Rossum matrix against elephant, in one run.

Bounds: 10,000 presentations of 700-400-250 neurons and 250 steps in 60 s on two cores, at least 30 x PyTorch; 250 trains of 25
spikes in 0.5 ms, at least 1,000 x elephant; distance, loss and gradients linear in spikes. Needs torch; elephant is left out
where it is not installed. Of the learner the ratio is that of processor times (mean of ours against the best of PyTorch's),
which a busy machine changes least; other seconds are the best of several calls.
"""

import importlib.util
import time

import numpy as np
import torch
from common import emit

from eventsnn import SpikeRaster
from eventsnn.gradients.van_rossum import distance_gradient, distances, grid_loss, raster_distance
from eventsnn.learning.patterns.data import graded_input, smiley, thinned
from eventsnn.learning.patterns.learner import PatternLearner, PatternSettings

SAMPLE = 300  # presentations measured of 10,000
ALPHA, BETA, KAPPA, TAU = 0.75, 0.875, 0.875, 0.005


def best_seconds(work, repeats):
    """Return the shortest wall time and the shortest processor time of some calls."""
    wall, own = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start[0])
        own.append(time.process_time() - start[1])
    return min(wall), min(own)


class TorchLearner:
    """The same presentation the straightforward way: dense tensors, a loop over steps, no autograd; 2, 8, 8, 8 bits."""

    def __init__(self, x, y, weights, scales):
        self.x, self.y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
        self.w, self.scales, self.rng = [torch.tensor(w) for w in weights], scales, torch.Generator().manual_seed(0)

    @staticmethod
    def grid(x, bits):
        levels = 2.0 ** (bits - 1)
        held = x.clamp(1 / levels - 1, 1 - 1 / levels)
        return torch.round(held * levels) / levels, held == x

    def error(self, e):
        top = e.abs().max()
        return self.grid(e / 2.0 ** torch.round(torch.log2(top)), 8)[0] if top > 0 else e

    def forward(self, x, w):
        h, steps = x @ w, len(x)
        s = m = torch.zeros(w.shape[1])
        z, th = torch.zeros(steps, w.shape[1]), torch.zeros(steps, w.shape[1])
        masks = torch.zeros(3, steps, w.shape[1])
        for t in range(steps):
            th[t], masks[0, t] = self.grid(m - 0.9, 8)
            z[t] = th[t] > 0
            new_s, masks[1, t] = self.grid(ALPHA * s + h[t], 8)
            m, masks[2, t] = self.grid(BETA * m + s - z[t], 8)
            s = new_s
        return z, th, masks

    def backward(self, gz, th, masks):
        lm = ls = torch.zeros(th.shape[1])
        gh = torch.zeros_like(th)
        slope = 1 / (100 * th.abs() + 1) ** 2
        for t in range(len(th) - 1, -1, -1):
            dm, ds = self.error(lm) * masks[2, t], self.error(ls) * masks[1, t]
            dth = self.error(gz[t] * slope[t]) * masks[0, t]
            gh[t], ls, lm = ds, ALPHA * ds + dm, BETA * dm + dth
        return self.error(gh)

    def present(self):
        self.w = [w.clamp(-0.5, 0.5) for w in self.w]
        used = [torch.round(w * 2) / 2 / scale for w, scale in zip(self.w, self.scales)]
        hidden = self.forward(self.x, used[0])
        out = self.forward(hidden[0], used[1])
        d, trace = torch.zeros_like(self.y), torch.zeros(self.y.shape[1])
        for t in range(len(d)):
            trace = KAPPA * trace + out[0][t] - self.y[t]
            d[t] = trace
        value = torch.sqrt((d * d).sum() / TAU)
        gz, after = torch.zeros_like(d), torch.zeros(d.shape[1])
        for t in range(len(d) - 1, -1, -1):
            after = d[t] / (TAU * value) + KAPPA * after
            gz[t] = after
        err_out = self.backward(gz, *out[1:])
        err_hidden = self.backward(err_out @ used[1].T, *hidden[1:])
        for k, (pre, err) in enumerate(((self.x, err_hidden), (hidden[0], err_out))):
            g = pre.T @ err
            n = g / 2.0 ** torch.round(torch.log2(g.abs().max()))
            whole = n.abs().floor()
            up = torch.round((n.abs() - whole) * 2**15) >= torch.round(torch.rand(n.shape, generator=self.rng) * 2**15)
            self.w[k] = self.w[k] - n.sign() * (whole + up) / 128
        return float(value)


def learning():
    """Print the line of the learner."""
    x, y = graded_input(), thinned(smiley())
    torch.set_num_threads(1)  # its operations are small: more threads cost more than they bring
    ours = PatternLearner(x, y, PatternSettings())
    theirs = TorchLearner(x.to_dense()[0], y.to_dense()[0], [layer.stored_weights.copy() for layer in ours.layers],
                          [float(layer.p.layer_scale) for layer in ours.layers])  # fmt: skip
    first = ours.present(), theirs.present()
    assert abs(first[0] / first[1] - 1) < 1e-5, first
    best = best_seconds(ours.present, 50)[0]
    start = time.process_time()
    for _ in range(SAMPLE):
        ours.present()
    mean = (time.process_time() - start) / SAMPLE
    theirs_best, theirs_own = best_seconds(theirs.present, 4)
    spikes = {name: raster.n_spikes for name, raster in ours.rasters().items()}
    assert spikes["output"] > 1000 and ours.losses[-1] < ours.losses[0]
    emit("pattern_presentation", seconds=best, processor_seconds=mean, processor_seconds_of_10000=1e4 * mean,
         yardstick="PyTorch, dense, one step at a time", yardstick_seconds=theirs_best, yardstick_processor_seconds=theirs_own,
         ratio=theirs_own / mean, loss=ours.losses[-1], **{f"spikes_{k}": v for k, v in spikes.items()})  # fmt: skip


def matrix():
    """Print the line of the distance matrix."""
    rng = np.random.default_rng(0)
    times, ids = np.sort(rng.random((250, 25)) * 1000, axis=1), np.repeat(np.arange(250), 25)
    raster = SpikeRaster.from_events(times.ravel(), ids, size=250, duration=1000.0)
    found = distances(raster, 20.0, normalisation="elephant")
    seconds = best_seconds(lambda: distances(raster, 20.0), 200)[0]
    figures = {}
    if importlib.util.find_spec("elephant"):
        import neo
        import quantities as pq
        from elephant.spike_train_dissimilarity import van_rossum_distance

        trains = [neo.SpikeTrain(t * pq.ms, 1000 * pq.ms) for t in times]
        start = time.perf_counter()
        theirs = van_rossum_distance(trains, 20.0 * pq.ms)
        figures = {"yardstick": "elephant", "yardstick_seconds": time.perf_counter() - start}
        figures["ratio"] = figures["yardstick_seconds"] / seconds
        assert np.allclose(found, theirs, atol=1e-6)
    emit("van_rossum_matrix", seconds=seconds, trains=250, spikes=times.size, **figures)


def linear():
    """Print seconds per spike as the number of spikes grows: the same if the work is linear."""
    rng = np.random.default_rng(1)
    kinds = {"distance": lambda a, b: raster_distance(a, b, 5.0), "gradient": lambda a, b: distance_gradient(a, b, 5.0),
             "grid_loss_and_gradient": lambda a, b: grid_loss(a, b, 0.875)}  # fmt: skip
    for name, work in kinds.items():
        for steps in (2_500, 25_000, 250_000):
            a, b = (SpikeRaster.from_dense((rng.random((1, steps, 40)) < 0.02) * 1.0, dt_ms=1.0) for _ in range(2))
            work(a, b)
            spikes, own = a.n_spikes + b.n_spikes, best_seconds(lambda: work(a, b), 5)[1]
            emit(f"van_rossum_{name}", spikes=spikes, processor_nanoseconds_per_spike=1e9 * own / spikes)


if __name__ == "__main__":
    learning()
    matrix()
    linear()
