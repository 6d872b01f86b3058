"""The same network by others: ONNX Runtime and PyTorch, one thread; and how to time them beside ours on a busy machine."""

import statistics
import time

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from eventsnn.ann.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
from eventsnn.ann.torch_net import TorchNet

torch.set_num_threads(1)


def cpu_seconds(works, rounds=10, inner=4):
    """Return {name: (median, smallest) CPU seconds of a call}, the works taking turns.

    CPU time of the calling thread, which runs all of the work: what other processes take of the core does not count. Each
    turn begins with a call that is not counted, so that no work pays for what the one before left in the caches.
    """
    taken = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            work()
            for _ in range(inner):
                start = time.thread_time()
                work()
                taken[name].append(time.thread_time() - start)
    return {name: (statistics.median(t), min(t)) for name, t in taken.items()}


def onnx_forward(graph):
    """Return a function image (y, x, c) -> logits by ONNX Runtime; layers as in a VGG whose last pool leaves one pixel."""
    nodes, arrays, name = [], [], "x"
    for k, layer in enumerate(graph.layers):
        out, given, options = f"t{k}", [name], {}
        if isinstance(layer, Conv2d | Dense):
            conv = isinstance(layer, Conv2d)
            weights = layer.weights.transpose(3, 2, 0, 1) if conv else layer.weights
            for key, array in (("w", weights), ("b", layer.bias)):
                arrays.append(numpy_helper.from_array(np.ascontiguousarray(array, np.float32), out + key))
                given.append(out + key)
            options = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]} if conv else {}
            kind = "Conv" if conv else "Gemm"
        elif isinstance(layer, MaxPool2d):
            kind, options = "MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}
        else:
            kind = {ReLU: "Relu", Flatten: "Flatten"}[type(layer)]
        nodes.append(helper.make_node(kind, given, [out], **options))
        name = out
    y, x, c = graph.input_shape
    model = helper.make_model(helper.make_graph(
        nodes, "ann", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, c, y, x])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, graph.layers[-1].weights.shape[-1]])], arrays),
        opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = min(model.ir_version, 10)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"x": np.ascontiguousarray(image.transpose(2, 0, 1)[None])})[0][0]


def torch_forward(graph):
    """Return a function image (y, x, c) -> logits by PyTorch, channels last, inference mode."""
    net = TorchNet(graph, torch.float32).eval().to(memory_format=torch.channels_last)

    def forward(image):
        with torch.inference_mode():
            return net(torch.from_numpy(image[None]))[0].numpy()

    return forward


def activations(graph, image):
    """Return the share of units above 0 behind each ReLU, and the logits."""
    net, seen = TorchNet(graph, torch.float32).eval(), []
    with torch.inference_mode():
        x = torch.from_numpy(image[None]).permute(0, 3, 1, 2)
        for layer, module in zip(graph.layers, net.stack):
            x = module(x)
            if isinstance(layer, ReLU):
                seen.append(int((x > 0).sum()))
    return seen, x[0].numpy()


def dense_step_seconds(graph, steps):
    """Return CPU seconds of one time step of the same spiking network in PyTorch, every layer at every step.

    A step of a layer is its convolution or product over a map of spikes, potential += result, a comparison with a
    threshold, and which neurons have not spiked yet; pools are max pools of the spike map. The mean of `steps` steps.
    """
    net, rng = TorchNet(graph, torch.float32).eval().to(memory_format=torch.channels_last), np.random.default_rng(0)
    frames = torch.from_numpy((rng.random((steps + 1, 1, *graph.input_shape)) < 0.02).astype(np.float32)).permute(0, 1, 4, 2, 3)
    potentials, silent = {}, {}
    with torch.inference_mode():
        for t, frame in enumerate(frames):
            if t == 1:  # the first step allocates
                start = time.thread_time()
            x = frame
            for k, (layer, module) in enumerate(zip(graph.layers, net.stack)):
                if isinstance(layer, ReLU):
                    v = potentials[k] = potentials.get(k, 0) + x
                    fired = (v >= 0.5) & silent.get(k, torch.ones(1, dtype=torch.bool))
                    silent[k] = silent.get(k, torch.ones(1, dtype=torch.bool)) & ~fired
                    x = fired.float()
                else:
                    x = module(x)
        return (time.thread_time() - start) / steps
