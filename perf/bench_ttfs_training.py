"""TTFS training in closed form: an epoch of 784-340-10 at batch 8; a step at batch 100 against PyTorch and a naive event loop.

Bounds: an epoch of 60,000 images in 10 s on two threads; a step (forward, backward, Adam) at most 1.3 x that of the ReLU twin in
PyTorch, same precision, one thread, same run; forward and backward at least twice as fast as a naive Numba loop over events.
Images are random with a fifth of the pixels on, as MNIST has them. Steps are taken in turn, ratios are of medians, losses and
gradients are compared and spikes bounded, so that a fast wrong step is caught. Needs torch for the step.
"""

import os
import subprocess
import sys
import time

if __name__ == "__main__" and len(sys.argv) == 1:
    for part, threads in (("epoch", "2"), ("epoch", "1"), ("step", "1"), ("events", "1")):
        subprocess.run([sys.executable, __file__, part], check=True,
                       env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads})  # fmt: skip
    sys.exit()

import numpy as np
from bench_adjoint import R, naive_back
from bench_continuous import naive_ramps
from common import emit, median_seconds

from eventsnn.ann.architectures import mlp
from eventsnn.compile import specialise
from eventsnn.learning.ttfs import training as ttfs
from eventsnn.learning.ttfs.backend import make_backend
from eventsnn.learning.ttfs.settings import TtfsSettings


def images(n):
    """Return n random images of 784 pixels, a fifth of them on, and labels that a linear map gives."""
    rng = np.random.default_rng(0)
    x = rng.random((n, 784), dtype=np.float32) * (rng.random((n, 784), dtype=np.float32) < 0.2)
    return x, (x @ rng.standard_normal((784, 10), dtype=np.float32)).argmax(axis=1)


def epoch():
    """Print the line of an epoch in each precision."""
    x, labels = images(60_000)
    for precision in ("float64", "float32"):
        settings = TtfsSettings(epochs=1, batch=8, window="grow", windows=10.0, precision=precision)
        backend = make_backend(mlp(784, [340], 10, seed=0), settings)
        backend.step(x[:8], labels[:8], (0, 0))
        backend.optimiser.update({name: np.zeros_like(g) for name, g in backend.gradients.items()}, 0.0)
        busy = time.process_time()
        result = ttfs.train(backend, x, labels, settings)
        busy = time.process_time() - busy
        spikes = int(backend.activity(x[:1000])[0].sum())
        loss = result.curve[-1]["train_loss"]
        assert 0.05 < spikes / 340_000 < 0.98 and loss < 1.5
        emit("ttfs_epoch", precision=precision, threads=int(os.environ["OMP_NUM_THREADS"]), batch=8, steps=7500,
             seconds=result.seconds, cpu_seconds=busy, bound_seconds=10, train_loss=loss,
             spikes_per_neuron=spikes / 340_000)  # fmt: skip


def naive(x, labels, w1, w2):
    """Return a function that makes the gradients of both weights by a loop over events, sample by sample; biases are 0."""
    forward, back = specialise(naive_ramps), specialise(naive_back)
    rows, ids = np.nonzero(x)
    times, starts = 1.0 - x[rows, ids].astype(np.float64), np.searchsorted(rows, np.arange(len(x) + 1))
    hidden, order, theta = np.empty((len(x), w1.shape[1])), np.empty(x.shape[1], np.int64), np.full(w1.shape[1], R)

    def gradients():
        found = np.zeros_like(w1), np.zeros_like(w2)
        forward(order, times, ids, starts, w1, theta, 1.0, 1.0 + R, 1.0, hidden)
        back(times, ids, starts, w1, w2, hidden, labels, 1.0, *found, np.empty(w1.shape[1]))
        return found

    return gradients


def events():
    """Print the line of forward and backward against the naive loop over events."""
    x, labels = images(100)
    settings = TtfsSettings(batch=100, window="fixed", windows=R)
    backend = make_backend(mlp(784, [340], 10, seed=0), settings)
    theirs = naive(x, labels, *(backend.parameters[f"{name}.weights"] for name in backend.names))
    backend.step(x, labels, (0, 0))
    for name, other in zip(backend.names, theirs()):
        if np.abs(backend.gradients[f"{name}.weights"] - other).max() > 1e-12 * np.abs(other).max():
            sys.exit(f"{name}: the gradients of the closed form and of the loop over events differ")
    seconds = median_seconds(lambda: backend.step(x, labels, (0, 0)), 25)
    naive_seconds = median_seconds(theirs, 9)
    emit("ttfs_step_events", precision="float64", threads=1, batch=100, seconds=seconds, naive_seconds=naive_seconds,
         times_naive=naive_seconds / seconds, bound_times_naive=2.0)  # fmt: skip


def step():
    """Print the line of a step against PyTorch in each precision."""
    import torch

    torch.set_num_threads(1)
    x, labels = images(5_000)
    for precision in ("float64", "float32"):
        settings = TtfsSettings(batch=100, window="fixed", windows=20.0, schedule="constant", precision=precision)
        backend = make_backend(mlp(784, [340], 10, seed=0), settings)
        dtype = getattr(torch, precision)
        layers = [torch.nn.Linear(784, 340), torch.nn.ReLU(), torch.nn.Linear(340, 10)]
        net = torch.nn.Sequential(*layers).to(dtype)
        for layer, name in ((layers[0], "hidden1"), (layers[2], "output")):
            layer.weight.data = torch.tensor(backend.parameters[f"{name}.weights"].T.copy())
            layer.bias.data = torch.tensor(backend.parameters[f"{name}.bias"])
        adam, times, losses = torch.optim.Adam(net.parameters(), lr=5e-4, eps=1e-7), [[], []], [[], []]
        tensors = torch.tensor(x, dtype=dtype), torch.tensor(labels)
        for k in range(60):
            part = slice(100 * (k % 50), 100 * (k % 50) + 100)
            start = time.perf_counter()
            losses[0].append(backend.step(x[part], labels[part], (0, k)).loss)
            backend.update(5e-4)
            middle = time.perf_counter()
            adam.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(tensors[0][part]), tensors[1][part])
            loss.backward()
            adam.step()
            losses[1].append(loss.item())
            times[0].append(middle - start)
            times[1].append(time.perf_counter() - middle)
        assert np.allclose(*losses, rtol=1e-3), losses
        spikes = int(backend.activity(x)[0].sum())
        ours, theirs = (float(np.median(row[10:])) for row in times)
        emit("ttfs_step", precision=precision, threads=1, batch=100, seconds=ours, yardstick="PyTorch step of the ReLU twin",
             yardstick_seconds=theirs, ratio=ours / theirs, bound_ratio=1.3, spikes_per_neuron=spikes / 340 / len(x))  # fmt: skip


if __name__ == "__main__":
    {"epoch": epoch, "step": step, "events": events}[sys.argv[1]]()
