"""VGG16 on 32 x 32 images as a gated TTFS network, one image, one thread, against one forward pass of its own ANN.

    python perf/bench_vgg16_ttfs.py [--weights data/cifar10_vgg16.h5] [--model ramp|ttfs] [--images N]

Without weights the network is random and its biases are set, layer by layer, so that a given share of all neurons spikes.
Everything is included: the input raster's rows, every layer, the answer; spikes are checked against the ANN's units
above 0 (ramps: the same up to rounding). `float16` rows have weights rounded to float16 numbers (ramps: in the ANN too); the
engine then keeps large layers in 16 bits, with the same result. Bound: one addition per synaptic event at the speed of an
L2-resident row add, and each weight row that is used read from memory once (59 MB of float32 weights do not fit the L3 cache).
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from dataclasses import replace

import numpy as np
from bench_conv2d import yardstick as row_add_per_second
from common import emit
from yardsticks import activations, cpu_seconds, dense_step_seconds, onnx_forward, torch_forward

from eventsnn.ann.architectures import vgg16
from eventsnn.ann.files import load_graph
from eventsnn.ann.layers import Conv2d, Dense, Flatten
from eventsnn.ann.torch_net import TorchNet, torch
from eventsnn.conversion.float16 import to_float16
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.t2fsnn import to_t2fsnn
from eventsnn.conversion.ttfs import to_ramps
from eventsnn.encoders import ttfs, ttfs_kernel
from eventsnn.engines.feed import gated_rows
from eventsnn.engines.gated import GatedRun
from eventsnn.engines.plan import make_plan
from eventsnn.files.datasets import load

DENSE_STEPS, SAMPLED = 680, 6


def random_network(image, share):
    """Return a random VGG16 in which that share of each hidden layer's units is above 0 for this image."""
    graph, layers = vgg16(hidden=(512, 512), batch_norm=False), []
    x = torch.from_numpy(image[None]).permute(0, 3, 1, 2)
    for layer in graph.layers:
        if isinstance(layer, Conv2d | Dense):
            channels = layer.weights.shape[-1]
            layer = replace(layer, bias=np.zeros(channels, np.float32))
        module = TorchNet(replace(graph, layers=(layer,), input_shape=_shape(x))).stack[0] if not isinstance(
            layer, Flatten) else torch.nn.Flatten()
        with torch.inference_mode():
            x = module(x)
            if isinstance(layer, Conv2d | Dense):  # every layer in the same range, as batch norm would have it
                gain = 1 / float(x.std())
                layer, x = replace(layer, weights=layer.weights * np.float32(gain)), x * gain
            if isinstance(layer, Conv2d | Dense) and channels != 10:
                bias = -float(np.quantile(x.numpy(), 1 - share))
                layer, x = replace(layer, bias=np.full(channels, bias, np.float32)), x + bias
        layers.append(layer)
    return replace(graph, layers=tuple(layers))


def _shape(x):
    return tuple(x.shape[1:]) if x.ndim == 2 else (x.shape[2], x.shape[3], x.shape[1])


def half(graph):
    """Return the network with weights rounded to float16 numbers."""
    return replace(graph, layers=tuple(replace(layer, weights=layer.weights.astype(np.float16).astype(np.float32))
                                       if isinstance(layer, Conv2d | Dense) else layer for layer in graph.layers))


def spiking(graph, images, model):
    """Return (network, raster) of a model."""
    if model == "ramp":
        return to_ramps(graph, images)[0], ttfs.encode(images)
    network, report = to_t2fsnn(graph, images, tau=16.0, half_step=True, output=False)  # as cifar10_vgg16_ttfs.yml
    return network, ttfs_kernel.encode(images, **report["input"])


class Ours:
    """The engine on one image after another, each call on its own."""

    def __init__(self, network, raster):
        self.plan, self.input = make_plan(network), network.inputs[0].name
        self.raster, self.worker, self.answer = raster, GatedRun(self.plan, 1), network.readout.population

    def __call__(self, k):
        self.worker.run(gated_rows(self.plan, {self.input: self.raster}, k, k + 1), 1)
        return self.worker.states[self.answer][0, 0, 0, :10]

    def counts(self, k):
        """Return spikes of each hidden population, synaptic events of one image, and bytes held per sample."""
        self.worker.counters["synaptic_events"] = 0
        self(k)
        worker = self.worker
        held = [a for d in (worker.cells, worker.states, worker.marks) for a in d.values()]
        held += [a for s in worker.lists.values() for a in (*s.out, s.times)]
        return ([worker.lists[name].n for name in worker.cells][:-1], int(worker.counters["synaptic_events"]),
                sum(a.nbytes for a in held))


def bench(graph, images, model, weights, asked):
    """Print one line: means over the images, which all three take one by one."""
    network, raster = spiking(graph, images, model)
    network = to_float16(network)[0] if weights == "float16" else network
    ours, theirs, onnx = Ours(network, raster), torch_forward(graph), onnx_forward(graph)
    spikes = events = agree = 0
    for k, image in enumerate(images):
        counted, delivered, held = ours.counts(k)
        above, logits = activations(graph, image)
        spikes, events, agree = spikes + sum(counted), events + delivered, agree + (ours(k).argmax() == logits.argmax())
        if model == "ramp":  # a unit within rounding of 0 may differ
            assert abs(sum(counted) - sum(above)) <= 1e-3 * sum(above), (counted, above)
            # a random network amplifies rounding from layer to layer (PyTorch's own by 4e4); float64 agrees to 1e-8
            assert np.abs(ours(k) - logits).max() <= 0.05 * np.abs(logits).max()
    count = len(images)
    works = {"ours": lambda: [ours(k) for k in range(count)], "torch": lambda: [theirs(image) for image in images],
             "onnx": lambda: [onnx(image) for image in images]}
    times = cpu_seconds(works, inner=4 if count == 1 else 1)
    (seconds, best), (beside, best_torch), (runtime, best_onnx) = (
        tuple(t / count for t in times[name]) for name in ("ours", "torch", "onnx"))
    dense = dense_step_seconds(graph, SAMPLED) * DENSE_STEPS
    neurons = sum(node.size for node in ours.plan.nodes.values() if node.links) - 10
    emit("vgg16_ttfs", model=model, weights=weights, asked=asked, images=count, seconds=seconds, best_seconds=best,
         clock="CPU time of the thread", spikes=spikes // count, neurons=neurons, activity=spikes / count / neurons,
         synaptic_events=events // count, events_per_second=events / count / seconds,
         row_add_per_second=row_add_per_second(time.thread_time),
         torch_seconds=beside, torch_ratio=beside / seconds, torch_best_ratio=best_torch / best,
         onnx_seconds=runtime, onnx_ratio=runtime / seconds, onnx_best_ratio=best_onnx / best,
         dense_680_steps_seconds=dense, dense_steps_sampled=SAMPLED, dense_ratio=dense / seconds,
         sample_mb=held / 2**20, weight_mb=sum(link.weight_bytes for n in ours.plan.nodes.values() for link in n.links) / 2**20,
         same_answers=agree / count)


def main():
    """Print one line per activity and precision of the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights")
    parser.add_argument("--model", choices=("ramp", "ttfs"), default="ramp")
    parser.add_argument("--images", type=int, default=16)
    asked = parser.parse_args()
    if asked.weights:
        images = load("cifar10", "test", limit=asked.images).images.astype(np.float32) / 255
        graphs = {"trained": (fold_batch_norm(load_graph(asked.weights)), images)}
    else:
        image = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
        graphs = {share: (random_network(image, share), image[None]) for share in (0.25, 0.1)}
    for name, (graph, images) in graphs.items():
        for weights, prepared in (("float32", graph), ("float16", half(graph))):
            bench(prepared, images, asked.model, weights, name)


if __name__ == "__main__":
    main()
