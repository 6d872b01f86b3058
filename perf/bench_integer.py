"""All-integer LeNet and VGG-Net, one image, one thread, 8 steps, against PyTorch stepping the same network in float32.

    python perf/bench_integer.py [--weights lenet=FILE] [--weights vgg=FILE] [--images N]

Without weights the networks are random, with the batch norm of a first training step. Both sides start from the image and end
with the answer; spikes are asserted: those of the time-stepped twin, for every width, and PyTorch's up to the drift of its
float32 thresholds. Bound: one addition per synaptic event. `bar` is 0.4 dense multiply-adds per addition: so many times faster
than PyTorch the engine should be. The encoder is float64 on our side. `delivery_*` replays the deliveries into the hidden
layers alone.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_conv2d import yardstick as row_add_per_second
from common import emit
from yardsticks import cpu_seconds, torch_forward

from eventsnn import run
from eventsnn.ann.architectures import build
from eventsnn.ann.files import load_graph
from eventsnn.ann.layers import BatchNorm
from eventsnn.ann.quantised import QuantConv2d
from eventsnn.ann.quantised_nets import LENET, VGG_NET
from eventsnn.ann.torch_net import functional, torch
from eventsnn.conversion.integer import to_integer
from eventsnn.conversion.integer_blocks import blocks
from eventsnn.encoders.base import Drive
from eventsnn.engines.grid import GridRun
from eventsnn.engines.plan import make_plan
from eventsnn.errors import DataError
from eventsnn.files.datasets import load
from eventsnn.scenario.samples import middle, scale, standardised

STEPS, ENCODER_STEPS = 8, 4
SHAPES = {"lenet": ((28, 28, 1), LENET, "valid"), "vgg": ((24, 24, 3), VGG_NET, "same")}
WIDTHS = ("int16", "int32", "float32")


def random_graph(name, images):
    """Return a ternary network whose batch norms have the statistics of these images."""
    shape, layers, padding = SHAPES[name]
    graph = build("quantised", input_shape=shape, layers=layers, n_out=10, padding=padding, seed=1)
    x, found = images, []
    for layer in graph.layers:
        if isinstance(layer, BatchNorm):
            layer = replace(layer, mean=x.mean((0, 1, 2)), variance=x.var((0, 1, 2)) + 1e-3)
        x = layer.apply(x)
        found.append(layer)
    return replace(graph, layers=tuple(found))


def with_width(network, width):
    """Return the network with hidden membranes of another type."""
    hidden = {p.name for p in network.populations if p.model.name == "signed"}
    populations = [replace(p, dtype=width) if p.name in hidden else p for p in network.populations]
    projections = [replace(p, synapses=replace(p.synapses, weights=p.synapses.weights.astype(width)))
                   if p.target in hidden else p for p in network.projections]
    return replace(network, populations=populations, projections=projections)


class Ours:
    """The event engine on one image after another."""

    def __init__(self, network, images):
        self.plan = make_plan(network)
        self.worker, self.images = GridRun(self.plan, STEPS), images.reshape(len(images), -1).astype(np.float64)
        self.first = np.arange(STEPS) == 0
        self.hidden = [n for n in self.plan.nodes.values() if getattr(n.node, "model", None) and n.node.model.name == "signed"]

    def __call__(self, k):
        self.worker.run({"input": (self.images[k], self.first)})
        return self.worker.read(STEPS)

    def counts(self, k):
        """Return spikes of the hidden layers, and additions into hidden layers and classifier, of one image."""
        self(k)
        last = self.plan.nodes[self.plan.order[-1]]
        events = sum(int(link.fan_out[(s := self.worker.spikes[link.source]).ids[: s.n]].sum())
                     for node in (*self.hidden, last) for link in node.links)
        return sum(self.worker.spikes[n.name].n for n in self.hidden), events

    def deliveries(self):
        """Return a function that delivers the last image's spikes into the hidden layers, and how many additions that is."""
        rows, parts = np.arange(STEPS), []
        for node in self.hidden:
            source, link = self.worker.spikes[node.links[0].source], node.links[0]
            cells = np.zeros(STEPS * node.units * node.padded, node.dtype)
            marks = np.zeros((STEPS, -(-node.units // 8) * 8), np.uint8)
            parts.append((link.deliver, source, source.amplitudes_as(node.dtype), cells, marks))

        def go():
            return sum(deliver(source, amps, rows, cells, marks) for deliver, source, amps, cells, marks in parts)

        return go, go()

    def bytes(self):
        """Return bytes of the hidden neurons' membranes and counts, and of their thresholds."""
        states = sum(self.worker.populations[n.name].state.nbytes for n in self.hidden)
        return states, sum(n.maps.nbytes for n in self.hidden)


class TorchSteps:
    """Every layer at every step in PyTorch, float32, thresholds that move; layers over the whole map are matrix products."""

    def __init__(self, graph):
        parts = blocks(graph)[0]
        self.amplitude = 2.0 ** (parts[1].before - parts[0].act.k)  # of the encoder's spikes
        self.shapes, self.weights, self.how, self.constants = [b.shape for b in parts], [], [], []
        for part, source in zip(parts, (graph.input_shape, *self.shapes)):
            w, conv = torch.tensor(part.conv.weights, dtype=torch.float32), part.conv
            whole = part.shape[:2] == (1, 1) and w.shape[:2] == source[:2]
            self.weights.append(w.reshape(-1, w.shape[3]).T.contiguous() if whole else
                                w.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last))
            self.how.append(None if whole else (conv.stride, conv.pads(source)[0][0]))
            levels = np.where(part.gamma > 0, part.thresholds(1, 0.0)[0], 0), np.where(part.gamma > 0, part.step(), 1)
            each = (1, -1) if whole else (1, -1, 1, 1)
            self.constants.append([torch.tensor(v, dtype=torch.float32).reshape(each) for v in levels])
        self.output = torch.tensor(np.asarray(graph.layers[-1].weights), dtype=torch.float32)

    def drive(self, k, x):
        """Return the drive of layer k."""
        if self.how[k] is None:
            flat = x.permute(0, 2, 3, 1).reshape(1, -1) if x.ndim == 4 else x
            return functional.linear(flat, self.weights[k])
        return functional.conv2d(x, self.weights[k], None, *self.how[k])

    def __call__(self, image):
        """Return logits and spikes of the hidden layers of one image."""
        with torch.inference_mode():
            first, step = self.constants[0]
            drive = self.drive(0, torch.from_numpy(image[None]).permute(0, 3, 1, 2))
            state, spikes, silent = {}, 0.0, torch.zeros_like(drive)
            for t in range(STEPS):
                s = self.amplitude * (drive >= first + t * step) if t < ENCODER_STEPS else silent
                for k in range(1, len(self.weights)):
                    s = self.fire(state, k, self.drive(k, s))
                    spikes += s.abs().sum()
            logits = state[k][3].permute(0, 2, 3, 1).flatten(1) if s.ndim == 4 else state[k][3]
            return (logits @ self.output)[0].numpy(), float(spikes)

    def fire(self, state, k, z):
        """Return the spikes of layer k: upper threshold `up`, the lower one a step below it."""
        first, step = self.constants[k]
        if k not in state:
            floor = (first - step).expand_as(z)
            state[k] = [z, first.expand_as(z).clone(), floor.clone(), torch.zeros_like(z), floor]
        else:
            state[k][0] += z
        v, up, down, count, floor = state[k]
        u = torch.maximum(v, floor)
        s = (u > up).float() - (u < down - 1e-5).float()
        move = s * step
        up += move
        down += move
        count += s
        return s


def bench(name, graph, images, weights):
    """Print one line: means over the images, which all sides take one by one."""
    network, report = to_integer(graph, steps=STEPS, thresholds="float")
    sides = {width: Ours(with_width(network, width), images) for width in WIDTHS}
    theirs, count = TorchSteps(graph), len(images)
    drive = {"input": Drive(images.reshape(count, -1).astype(np.float64), "first", graph.input_shape)}
    twin = run(with_width(network, "int64"), drive, duration=STEPS, engine="stepped")
    spikes = sum(twin.rasters[n.name].n_spikes for n in sides["int16"].hidden)
    found, torch_spikes, events = dict.fromkeys(WIDTHS, 0), 0.0, 0
    for k, image in enumerate(images):
        for width, ours in sides.items():
            fired, delivered = ours.counts(k)
            found[width] += fired
            assert np.array_equal(ours(k), twin.readout[k])
        events, torch_spikes = events + delivered, torch_spikes + theirs(image)[1]
    assert set(found.values()) == {spikes}, (found, spikes)
    assert abs(torch_spikes - spikes) <= 2e-3 * spikes, (torch_spikes, spikes)
    macs = sum(int(link.fan_out.sum()) for n in (*sides["int16"].hidden, sides["int16"].plan.nodes["output"]) for link in n.links)
    works = {width: lambda ours=ours: [ours(k) for k in range(count)] for width, ours in sides.items()}
    forward = torch_forward(replace(graph, layers=tuple(x.plain() if isinstance(x, QuantConv2d) else x for x in graph.layers)))
    works |= {"torch": lambda: [theirs(image) for image in images], "forward": lambda: [forward(image) for image in images]}
    times = cpu_seconds(works, inner=2)
    adds, delivery = events / count / STEPS, {}
    for width, ours in sides.items():
        go, size = ours.deliveries()
        delivery[width] = size / cpu_seconds({"go": go}, inner=2)["go"][0]
    seconds, beside, pass_ = (times[key][0] / count for key in ("int16", "torch", "forward"))
    emit("integer", network=name, weights=weights, images=count, steps=STEPS, seconds=seconds, torch_seconds=beside,
         clock="CPU time of the thread", seconds_per_step=seconds / STEPS, torch_seconds_per_step=beside / STEPS,
         ratio=beside / seconds, best_ratio=times["torch"][1] / times["int16"][1], macs_per_add=macs / adds,
         bar=0.4 * macs / adds, ann_forward_seconds=pass_, ratio_of_8_forward_passes=STEPS * pass_ / seconds,
         spikes=spikes // count, additions_per_step=adds, dense_macs_per_step=macs,
         additions_per_second=events / count / seconds, torch_macs_per_second=macs * STEPS / beside,
         seconds_int32=times["int32"][0] / count, seconds_float32=times["float32"][0] / count,
         **{f"delivery_{width}": value for width, value in delivery.items()},
         row_add_float32=row_add_per_second(time.thread_time),
         **{f"state_bytes_{width}": ours.bytes()[0] for width, ours in sides.items()},
         threshold_bytes_int16=sides["int16"].bytes()[1], proven=sorted({row["dtype"] for row in report["layers"][1:-1]}))


def pictures(shape, count):
    """Return images as a network of this input takes them: real digits; CIFAR-10 where it is, else noise."""
    if shape[2] == 1:
        images = scale(load("digits", "test").images[2000:2000 + count]).reshape(-1, 28, 28, 1)
    else:
        try:
            images = scale(load("cifar10", "test", limit=count).images)
        except DataError as problem:
            print(f"no CIFAR-10, random images instead: {problem}", flush=True)
            images = np.random.default_rng(0).random((count, 32, 32, 3)).astype(np.float32)
    return images if images.shape[1:] == shape else standardised(middle(images, shape[0], "images"))


def main():
    """Print one line for each network."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", action="append", default=[])
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--only", choices=SHAPES)
    asked = parser.parse_args()
    files = dict(pair.split("=", 1) for pair in asked.weights)
    for name in SHAPES if asked.only is None else (asked.only,):
        given = load_graph(files[name]) if name in files else None
        images = pictures(SHAPES[name][0] if given is None else given.input_shape, asked.images)
        bench(name, given or random_graph(name, images), images, Path(files[name]).name if given else "random")


if __name__ == "__main__":
    main()
