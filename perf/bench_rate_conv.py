"""A rate-coded convolutional network of integrate-and-fire neurons, 100 steps: a whole run of the prepared network.

64C3-64C3-P2-128C3-128C3-P2-256-10, Poisson-like input at 10 %, one thread. Yardsticks: the time-stepped twin on the same network,
and PyTorch stepping it densely (channels last, inference mode), spike for spike up to the rounding of its convolutions.
Bound: one addition per synaptic event plus one update per neuron and step where something arrived. `dense_per_event` is how
many multiply-adds PyTorch does for each of our additions.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from common import emit
from torch.nn import functional
from yardsticks import cpu_seconds

from eventsnn import (
    Conv2d,
    Dense,
    GatedMaxPool,
    Input,
    Network,
    Population,
    Projection,
    Readout,
    Relay,
    SpikeRaster,
    prepare,
    run,
)
from eventsnn.engines.feed import grid_rows
from eventsnn.engines.grid import GridRun
from eventsnn.engines.plan import make_plan

torch.set_num_threads(1)

STEPS = 100


def make(samples=2, threshold=1.8):
    """Return (network, raster) with random weights; the threshold sets the activity."""
    rng = np.random.default_rng(1)

    def conv(inside, outside):
        return Conv2d((rng.normal(size=(3, 3, inside, outside)) * np.sqrt(2 / (9 * inside))).astype(np.float32))

    def population(name, shape):
        return Population(name, shape, "if", {"v_threshold": threshold})

    def dense(inside, outside, gain):
        return Dense((rng.normal(size=(inside, outside)) * gain).astype(np.float32))

    network = Network(
        inputs=[Input("x", (32, 32, 3))],
        populations=[population("c1", (32, 32, 64)), population("c2", (32, 32, 64)), population("c3", (16, 16, 128)),
                     population("c4", (16, 16, 128)), population("f", 256), Population("o", 10, "accumulator")],
        relays=[Relay("p1", "c2", GatedMaxPool(2)), Relay("p2", "c4", GatedMaxPool(2))],
        projections=[Projection("x", "c1", conv(3, 64)), Projection("c1", "c2", conv(64, 64)),
                     Projection("p1", "c3", conv(64, 128)), Projection("c3", "c4", conv(128, 128)),
                     Projection("p2", "f", dense(8192, 256, 0.02)), Projection("f", "o", dense(256, 10, 1.0))],
        readout=Readout("o"), dt_ms=1.0)
    fired = rng.random((samples, STEPS, 3072)) < 0.1
    rows, times, ids = np.nonzero(fired)
    return network, SpikeRaster.from_events(times, ids, samples=rows, size=3072, duration=STEPS, dt_ms=1.0, n_samples=samples)


class TorchTwin:
    """The network by dense steps in PyTorch."""

    def __init__(self, network, threshold):
        self.threshold, self.weights = threshold, []
        for projection in network.projections:
            w = torch.from_numpy(np.asarray(projection.synapses.weights))
            self.weights.append(w.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last) if w.ndim == 4 else w)

    def __call__(self, frames):
        """Return spikes of all hidden neurons, and the potentials of the output."""
        self.state, self.total = {}, 0
        with torch.inference_mode():
            for x in frames:
                for k, w in enumerate(self.weights):
                    x = functional.conv2d(x, w, padding=1) if w.ndim == 4 else x @ w
                    if k == len(self.weights) - 1:
                        self.state[k] = self.state.get(k, 0) + x
                        break
                    x = self.fire(k, x)
                    if k in (1, 3):
                        x = self.pool(k, x)
                    if k == 3:  # ids are channels last
                        x = x.permute(0, 2, 3, 1).reshape(1, -1)
            return int(self.total), self.state[k][0].numpy()

    def fire(self, k, x):
        u = self.state[k] + x if k in self.state else x
        spikes = (u >= self.threshold).to(x.dtype)
        self.state[k] = u - self.threshold * spikes
        self.total += spikes.sum()
        return spikes

    def pool(self, k, x):
        """Gated max pool: the position with the largest count passes its spike, the first among equals."""
        counts = self.state["pool", k] = self.state.get(("pool", k), 0) + x
        _, where = functional.max_pool2d(counts, 2, return_indices=True)
        return x.flatten(2).gather(2, where.flatten(2)).reshape(where.shape).contiguous(memory_format=torch.channels_last)


def main():
    """Print one line per activity."""
    for threshold in (1.2, 1.8, 2.6):
        network, raster = make(samples=1, threshold=threshold)
        event, stepped = (run(network, {"x": raster}, engine=e, record=()) for e in ("event", "stepped"))
        assert event.counters["spikes"] == stepped.counters["spikes"] and (event.readout == stepped.readout).all()
        twin = TorchTwin(network, threshold)
        frames = torch.from_numpy(raster.to_dense()[0].reshape(STEPS, 1, 32, 32, 3).astype(np.float32)).permute(0, 1, 4, 2, 3)
        spikes, _ = twin(frames)
        assert abs(spikes - event.counters["spikes"]) <= 0.01 * spikes  # rounding decides some spikes, and they spread
        plan = make_plan(network)
        steps, feed = grid_rows(plan, {"x": raster}, None)
        worker = GridRun(plan, steps)
        ready = prepare(network)
        works = {"run": lambda: run(ready, {"x": raster}, record=()), "engine": lambda: worker.run(feed(0)),
                 "stepped": lambda: run(ready, {"x": raster}, engine="stepped", record=()), "torch": lambda: twin(frames)}
        times = {name: median for name, (median, _) in cpu_seconds(works, rounds=5, inner=1).items()}
        neurons = sum(p["neurons"] for p in event.per_population.values())
        events, dense = event.counters["synaptic_events"], plan.dense_events * STEPS
        emit("rate_conv", seconds=times["run"], clock="CPU time of the thread", engine_seconds=times["engine"],
             yardstick="time-stepped twin", yardstick_seconds=times["stepped"], ratio=times["stepped"] / times["run"],
             torch_seconds=times["torch"], torch_ratio=times["torch"] / times["run"], dense_per_event=dense / events,
             torch_ratio_per_dense_per_event=times["torch"] / times["run"] / (dense / events), torch_spikes=spikes,
             activity=event.counters["spikes"] / STEPS / neurons, spikes=event.counters["spikes"],
             synaptic_events=events, events_per_second=events / times["run"])


if __name__ == "__main__":
    main()
