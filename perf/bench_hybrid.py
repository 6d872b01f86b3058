"""A hybrid network trained on CIFAR-10 at its measured activity: one image, one thread, the whole run.

The slim VGG5 of data/cifar10_vgg5_slim_ann.h5, converted with balanced thresholds, pipelined, behind signed Poisson input.
Yardstick: PyTorch stepping the same network densely (channels last, inference mode). `dense_per_addition` is how many
multiply-adds PyTorch does for each of our additions, the dense first layer included on both sides; the aim is a ratio of at
least 0.4 times that.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path

import numpy as np
import torch
from common import emit
from yardsticks import cpu_seconds

from eventsnn import run
from eventsnn.analysis.operations import dense_operations
from eventsnn.ann.files import load_graph
from eventsnn.ann.layers import ReLU
from eventsnn.ann.torch_net import TorchNet
from eventsnn.conversion.balance import balance
from eventsnn.conversion.hybrid import HybridNet, encode, to_network
from eventsnn.conversion.hybrid_build import spiking_layers
from eventsnn.engines import prepare
from eventsnn.files.datasets import load

torch.set_num_threads(1)
WEIGHTS = Path(__file__).parent.parent / "data" / "cifar10_vgg5_slim_ann.h5"
STEPS, AIM = 100, 0.4


class TorchTwin:
    """The network by dense steps in PyTorch: every layer fires from its membrane of the step before."""

    def __init__(self, hybrid):
        self.net = TorchNet(hybrid.graph, torch.float32).eval().to(memory_format=torch.channels_last)
        places = [k for k, layer in enumerate(hybrid.graph.layers) if isinstance(layer, ReLU)]
        self.thresholds = dict(zip(places, hybrid.thresholds))

    def __call__(self, frames):
        """Return the number of spikes, and the logits."""
        membranes, total, logits = {}, torch.zeros(()), 0
        with torch.inference_mode():
            for x in frames:
                for k, module in enumerate(self.net.stack):
                    if k in self.thresholds:
                        u = membranes.get(k)
                        spikes = torch.zeros_like(x) if u is None else (u > self.thresholds[k]).to(x.dtype)
                        membranes[k] = x if u is None else u + x - self.thresholds[k] * spikes
                        total += spikes.sum()
                        x = spikes
                    else:
                        x = module(x)
                logits = logits + x
        return int(total), logits[0].numpy()


def main():
    """Print one line per factor on the thresholds."""
    graph, test, train = load_graph(WEIGHTS), load("cifar10", "test", limit=1), load("cifar10", "train", limit=32)
    x, calibration = (np.float32(2 / 255) * d.images - 1 for d in (test, train))
    start = HybridNet(graph, [1.0] * len(spiking_layers(graph)))
    for scale in (1.0, 0.7):
        hybrid, _ = balance(start, calibration, steps=STEPS, batch=32, scale=scale)
        network, raster = to_network(hybrid), encode(hybrid, x, steps=STEPS)
        event, stepped = (run(network, {"input": raster}, engine=e, record=()) for e in ("event", "stepped"))
        assert event.counters["spikes"] == stepped.counters["spikes"] and (event.readout == stepped.readout).all()
        twin = TorchTwin(hybrid)
        frames = np.zeros((STEPS, raster.size), np.float32)
        frames[raster.times, raster.ids] = raster.amplitudes
        frames = torch.from_numpy(frames.reshape(STEPS, 1, 32, 32, 3)).permute(0, 1, 4, 2, 3)
        spikes, _ = twin(frames)
        assert abs(spikes - event.counters["spikes"]) <= 0.02 * spikes  # rounding decides some spikes, and they spread
        ready = prepare(network)
        works = {"run": lambda: run(ready, {"input": raster}, record=()), "torch": lambda: twin(frames)}
        times = {name: median for name, (median, _) in cpu_seconds(works, rounds=5, inner=1).items()}
        additions, dense = event.counters["synaptic_events"], dense_operations(network) * STEPS
        neurons, ratio = sum(p["neurons"] for p in event.per_population.values()), times["torch"] / times["run"]
        emit("hybrid", seconds=times["run"], clock="CPU time of the thread", yardstick="PyTorch, dense steps",
             yardstick_seconds=times["torch"], ratio=ratio, dense_per_addition=dense / additions,
             ratio_per_dense_per_addition=ratio / (dense / additions), aim=AIM, scale=scale, steps=STEPS,
             spikes=event.counters["spikes"], activity=event.counters["spikes"] / STEPS / neurons, input_spikes=len(raster.ids),
             synaptic_events=additions, events_per_second=additions / times["run"])


if __name__ == "__main__":
    main()
