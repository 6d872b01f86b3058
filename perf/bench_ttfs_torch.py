"""One training step of a TTFS network in PyTorch against the step of its ReLU twin, same threads, precision and batch.

    python perf/bench_ttfs_torch.py [--net vgg16|lenet5] [--batch 8] [--threads 1] [--precision float32]

Ours: closed form of the spike times, exact gradients, Adam, all windows in use. Theirs: the same weights as an ordinary PyTorch
module (convolutions in channels-last memory, autograd, torch.optim.Adam). Steps alternate in one process; medians. Both losses of
the first step are compared, so that a fast wrong step is caught. Peak memory is that of a process which takes our steps, or
theirs, and nothing else.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from common import emit

from eventsnn.ann.architectures import lenet5, vgg16
from eventsnn.ann.torch_net import TorchNet, torch
from eventsnn.learning.ttfs.settings import TtfsSettings
from eventsnn.learning.ttfs.torch_net import TorchTtfs

NETS = {"vgg16": lambda: vgg16(batch_norm=False), "lenet5": lambda: lenet5(batch_norm=False, dropout=0)}
REPEATS = 7


class Ours:
    """A TTFS network and its step."""

    def __init__(self, graph, precision):
        settings = TtfsSettings(window="fixed", windows=1000.0, precision=precision)
        self.backend, self.count = TorchTtfs(graph, settings, "cpu"), 0

    def __call__(self, x, labels):
        """Take one step; return the loss."""
        loss = self.backend.step(x, labels, (0, self.count)).loss
        self.backend.update(1e-4)
        self.count += 1
        return loss


class Theirs:
    """The ReLU twin and its step."""

    def __init__(self, graph, precision):
        self.net = TorchNet(graph, getattr(torch, precision)).to(memory_format=torch.channels_last)
        self.optimiser, self.dtype = torch.optim.Adam(self.net.parameters(), lr=1e-4), getattr(torch, precision)

    def __call__(self, x, labels):
        """Take one step; return the loss."""
        loss = torch.nn.functional.cross_entropy(self.net(torch.as_tensor(x, dtype=self.dtype)), torch.as_tensor(labels))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.item()


KINDS = {"ours": Ours, "theirs": Theirs}


def prepared(asked):
    """Return the network and a batch."""
    graph, rng = NETS[asked.net](), np.random.default_rng(0)
    return graph, rng.random((asked.batch, *graph.input_shape)).astype(np.float32), rng.integers(0, 10, asked.batch)


def peak_mb(asked, kind):
    """Return the peak memory of a process of its own that takes steps of one kind."""
    flags = ["--net", asked.net, "--batch", str(asked.batch), "--threads", str(asked.threads), "--precision", asked.precision]
    done = subprocess.run([sys.executable, os.path.abspath(__file__), *flags, "--peak", kind], capture_output=True, text=True,
                          check=True)  # fmt: skip
    return float(done.stdout)


def main():
    """Print one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=NETS, default="vgg16")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("float32", "float64"), default="float32")
    parser.add_argument("--peak", choices=KINDS, help="take steps of one kind and print the peak memory in MB")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    graph, x, labels = prepared(asked)
    if asked.peak:
        step = KINDS[asked.peak](graph, asked.precision)
        for _ in range(3):
            step(x, labels)
        # What the kernel notes for this program: ru_maxrss starts from the parent's.
        notes = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        print(int(notes["VmHWM"].split()[0]) / 1024)
        return
    works = {name: kind(graph, asked.precision) for name, kind in KINDS.items()}
    losses = {name: work(x, labels) for name, work in works.items()}
    assert abs(losses["ours"] - losses["theirs"]) <= 1e-4 * abs(losses["theirs"]), losses
    times = {name: [] for name in works}
    for _ in range(REPEATS):
        for name, work in works.items():
            start = time.process_time()
            work(x, labels)
            times[name].append((time.process_time() - start) / asked.threads)
    ours, theirs = (statistics.median(times[name]) for name in ("ours", "theirs"))
    emit("ttfs_torch_step", net=asked.net, batch=asked.batch, threads=asked.threads, precision=asked.precision, seconds=ours,
         torch_seconds=theirs, ratio_to_torch=ours / theirs, clock="CPU time of the process / threads",
         best_ratio=min(times["ours"]) / min(times["theirs"]), loss=losses["ours"], torch_loss=losses["theirs"],
         own_peak_mb=peak_mb(asked, "ours"), torch_peak_mb=peak_mb(asked, "theirs"))  # fmt: skip


if __name__ == "__main__":
    main()
