"""Layer graphs: forward against plain loops, shapes, messages."""

import numpy as np
import pytest

from eventsnn.ann import graph as graph_module
from eventsnn.ann.architectures import build, conv_net, mlp, vgg16
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.errors import ModelError

RNG = np.random.default_rng(1)


def slow_conv(x, w, b, stride, padding):
    """Convolution by its definition."""
    n, height, width, _ = x.shape
    ky, kx, _, cout = w.shape
    if padding == "same":
        oy, ox = -(-height // stride), -(-width // stride)
        top = max((oy - 1) * stride + ky - height, 0) // 2
        left = max((ox - 1) * stride + kx - width, 0) // 2
    else:
        oy, ox, top, left = (height - ky) // stride + 1, (width - kx) // stride + 1, 0, 0
    out = np.zeros((n, oy, ox, cout)) + b
    for i in range(oy):
        for j in range(ox):
            for a in range(ky):
                for c in range(kx):
                    y, z = i * stride + a - top, j * stride + c - left
                    if 0 <= y < height and 0 <= z < width:
                        out[:, i, j] += x[:, y, z] @ w[a, c]
    return out


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4), (5, 3)])
def test_conv_is_its_definition(padding, stride, kernel):
    x, w, b = RNG.normal(size=(2, 7, 6, 3)), RNG.normal(size=(*kernel, 3, 4)), RNG.normal(size=4)
    graph = LayerGraph((7, 6, 3), [Conv2d("c", w, b, stride, padding)])
    expected = slow_conv(x, w, b, stride, padding)
    assert graph.output_shape == expected.shape[1:]
    assert np.allclose(graph.forward(x), expected, rtol=0, atol=1e-12)


def test_bias_map_pools_norm_and_dense():
    w, bias = RNG.normal(size=(3, 3, 1, 2)), RNG.normal(size=(5, 5, 2))
    norm = BatchNorm("n", [1.0, -2], [0.5, 0], [0.1, 0.2], [4.0, 0.25], epsilon=0)
    dense = RNG.normal(size=(8, 3))
    layers = [Conv2d("c", w, bias), norm, ReLU("r"), MaxPool2d("m"), Flatten("f"), Dropout("o", 0.4), Dense("d", dense)]
    graph = LayerGraph((5, 5, 1), layers)
    x = RNG.normal(size=(4, 5, 5, 1))
    values = graph.forward(x, keep=True)
    conv = slow_conv(x, w, 0, 1, "same") + bias
    relu = np.maximum((conv - [0.1, 0.2]) / [2, 0.5] * [1, -2] + [0.5, 0], 0)
    pooled = relu[:, :4, :4].reshape(4, 2, 2, 2, 2, 2).max((2, 4))
    assert np.allclose(values["m"], pooled, atol=1e-12)
    assert np.allclose(values["d"], pooled.reshape(4, -1) @ dense, atol=1e-12)
    assert (graph.forward(x, upto="m") == values["m"]).all() and (graph.forward(x, upto=3) == values["m"]).all()
    mean = LayerGraph((5, 5, 1), [AveragePool2d(size=2)]).forward(x, dtype="float64")
    assert np.allclose(mean[..., 0], x[:, :4, :4, 0].reshape(4, 2, 2, 2, 2).mean((2, 4)))


def test_batches_are_bounded_and_change_nothing(monkeypatch):
    graph = conv_net((8, 8, 2), [4, "P"], [6], 3).astype(np.float64)
    x = RNG.normal(size=(11, 8, 8, 2))
    whole = graph.forward(x)
    monkeypatch.setattr(graph_module, "BATCH_BYTES", 3 * 8 * 8 * 8 * (18 + 4 + 2))
    assert graph.batch_size() < 11
    assert np.allclose(graph.forward(x), whole, rtol=1e-13)
    assert vgg16().batch_size(4) >= 1


def test_dtype_and_inputs():
    graph = mlp(12, [5], 3)
    assert graph.dtype == np.float32 and graph.forward(np.ones((2, 3, 4))).dtype == np.float32
    assert graph.forward(np.ones((2, 12)), dtype="float64").dtype == np.float64
    assert graph.astype("float64").dtype == np.float64
    image = conv_net((4, 3, 1), [2], [], 2)
    assert image.forward(np.ones((5, 4, 3))).shape == (5, 2)
    for bad in (np.ones((2, 13)), np.ones(12), np.array([["a"] * 12])):
        with pytest.raises(ModelError, match=r"\(n, 12\)"):
            graph.forward(bad)
    with pytest.raises(ModelError, match="inputs"):
        conv_net((4, 3, 2), [2], [], 2).forward(np.ones((5, 2, 4, 3)))


@pytest.mark.parametrize(("layers", "message"), [
    ([Dense("a", np.ones((3, 2)))], "'a'.*3 inputs.*makes 4"),
    ([Dense("a", np.ones((4, 2))), Dense("b", np.ones((3, 2)))], "'b'.*3 inputs.*makes 2"),
    ([Conv2d("c", np.ones((3, 3, 1, 1)))], "'c'.*needs an image"),
    ([MaxPool2d("p")], "'p'.*needs an image"),
    ([Dense("a", np.ones((4, 2))), BatchNorm("n", [1], [1], [1], [1])], "'n'.*1 channels.*makes 2"),
    ([ReLU("r"), ReLU("r")], "already"), ([], "at least one"), ([3], "must be one of"), ([ReLU("a/b")], "without '/'"),
])  # fmt: skip
def test_layers_that_do_not_fit(layers, message):
    with pytest.raises(ModelError, match=message):
        LayerGraph((4,), layers)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Dense("a", [[1.0, np.nan]]), r"'a'.*finite, got nan at \(0, 1\)"),
    (lambda: Dense("a", np.ones(3)), "2 axes"), (lambda: Dense("a", [["x"]]), "numbers"),
    (lambda: Dense("a", np.ones((2, 3)), np.ones(2)), r"shape \(3,\)"),
    (lambda: Conv2d("c", np.ones((3, 3, 1, 2)), np.ones(3)), "3 channels"),
    (lambda: Conv2d("c", np.ones((3, 3, 1, 2)), stride=0), "stride"),
    (lambda: Conv2d("c", np.ones((3, 3, 1, 2)), padding="full"), "padding"),
    (lambda: BatchNorm("n", [1], [1], [1], [-1]), "variance"), (lambda: Dropout("d", 1.0), "rate"),
    (lambda: MaxPool2d("p", 0), "size"),
    (lambda: LayerGraph((2, 2, 1), [Conv2d("c", np.ones((3, 3, 1, 1)), padding="valid")]), "larger than its input"),
    (lambda: LayerGraph((4, 4, 1), [Conv2d("c", np.ones((3, 3, 1, 1)), np.ones((3, 3, 1)))]), "bias map"),
    (lambda: LayerGraph((2, 2), [ReLU()]), "input_shape"),
    (lambda: build("mpl"), "did you mean 'mlp'"), (lambda: build("mlp", n_in=3), "missing"),
    (lambda: mlp(3, [0], 2), "hidden"), (lambda: conv_net((4, 4, 1), [2], [], 2, pool="mean"), "pool"),
])  # fmt: skip
def test_bad_layers(make, message):
    with pytest.raises(ModelError, match=message):
        make()


def test_parameters_in_and_out():
    graph = mlp(4, [3], 2, seed=5)
    arrays = {key: value + 1 for key, value in graph.parameters().items()}
    other = graph.with_parameters(arrays)
    assert list(arrays) == ["hidden1.weights", "hidden1.bias", "output.weights", "output.bias"]
    assert (other.parameters()["output.weights"] == arrays["output.weights"]).all()
    with pytest.raises(ModelError, match=r"did you mean 'output\.bias'"):
        graph.with_parameters({"output.bia": np.zeros(2)})
    with pytest.raises(ModelError, match="shape"):
        graph.with_parameters({"output.bias": np.zeros(3)})
    with pytest.raises(ModelError, match="did you mean 'hidden1'"):
        graph.forward(np.ones((1, 4)), upto="hiden1")


def test_initial_weights_are_he_normal_and_seeded():
    graph = mlp(400, [300], 10, seed=2)
    weights = graph.parameters()["hidden1.weights"]
    assert abs(weights.std() / np.sqrt(2 / 400) - 1) < 0.02 and abs(weights.mean()) < 1e-3
    assert (mlp(400, [300], 10, seed=2).parameters()["hidden1.weights"] == weights).all()
    assert (mlp(400, [300], 10, seed=3).parameters()["hidden1.weights"] != weights).any()
    deep = vgg16()
    assert sum(np.prod(s) for x, s in zip(deep.layers, deep.shapes) if isinstance(x, ReLU)) == 276992
