"""Quantised source networks: the rounding rules, the architectures, and PyTorch's twin with straight-through gradients."""

import numpy as np
import pytest

from eventsnn.ann import packing
from eventsnn.ann.architectures import build
from eventsnn.ann.files import load_graph, read_arrays, save_graph
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import Conv2d
from eventsnn.ann.quantised import QuantReLU, TernaryConv2d, ternary
from eventsnn.ann.quantised_nets import LENET, VGG_NET, parameter_list, with_parameter_list
from eventsnn.errors import ModelError


def test_ternary():
    weights = np.array([1.0, -0.7, 0.3, -0.4, 0.0, 2.0])
    limit = 0.7 * np.abs(weights).mean()
    np.testing.assert_array_equal(ternary(weights), np.where(np.abs(weights) >= limit, np.sign(weights), 0))
    drawn = np.random.default_rng(0).normal(size=(50, 50)).astype(np.float32)
    assert ternary(drawn).dtype == np.float32 and abs((ternary(drawn) != 0).mean() - 0.58) < 0.02  # the reference's figure
    np.testing.assert_array_equal(ternary(ternary(drawn)), ternary(drawn))


def test_rounding():
    y = np.array([-1.0, 0.2, 0.49999, 0.5, 1.5, 2.4, 9.0])
    assert QuantReLU("q").apply(y).tolist() == [0, 0, 0, 1, 2, 2, 9]  # halves go up, thanks to the 1e-5
    assert QuantReLU("q", 1).apply(y).tolist() == [0, 0, 0.5, 0.5, 1.5, 2.5, 9]
    assert QuantReLU("q", 0, 4.0).apply(y).tolist() == [0, 0, 0, 1, 2, 2, 4]
    for bad in ({"k": -1}, {"k": 1.5}, {"k": 0, "top": 0.5}, {"k": 0, "top": -1.0}):
        with pytest.raises(ModelError, match="must be"):
            QuantReLU("q", **bad)


def test_architectures():
    lenet = build("quantised", input_shape=(28, 28, 1), layers=LENET, n_out=10)
    hidden = [shape for layer, shape in zip(lenet.layers, lenet.shapes) if isinstance(layer, TernaryConv2d)]
    assert sum(np.prod(s) for s in hidden) == 10_728
    assert sum(layer.weights.size for layer in lenet.layers if hasattr(layer, "weights")) == 1_106_480
    vgg = build("quantised", input_shape=(24, 24, 3), layers=VGG_NET, n_out=10, padding="same", k=1)
    hidden = [shape for layer, shape in zip(vgg.layers, vgg.shapes) if isinstance(layer, TernaryConv2d)]
    assert sum(np.prod(s) for s in hidden) == 280_832
    assert sum(layer.weights.size for layer in vgg.layers if hasattr(layer, "weights")) == 7_852_576
    plain = build("quantised", input_shape=(28, 28, 1), layers=LENET, n_out=10, k=None)
    assert not any(isinstance(x, QuantReLU | TernaryConv2d) for x in plain.layers)
    with pytest.raises(ModelError, match="32C5"):
        build("quantised", input_shape=(28, 28, 1), layers="32C5-Q2", n_out=10)


def small(k=1):
    return build("quantised", input_shape=(8, 8, 1), layers="4C3-P2-6", n_out=3, k=k)


def test_files_keep_quantised_layers(tmp_path):
    graph = small()
    save_graph(tmp_path / "w.h5", graph)
    read = load_graph(tmp_path / "w.h5")
    x = np.random.default_rng(0).random((3, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(read.forward(x), graph.forward(x))
    assert isinstance(read.layers[3], TernaryConv2d) and read.layers[5].k == 1 and read.layers[2].top == 4.0


@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_ternary_weights_at_two_bits(tmp_path, suffix):
    graph = build("quantised", input_shape=(12, 12, 1), layers="8C3-P2-16C3-6", n_out=3)
    save_graph(tmp_path / f"w.{suffix}", graph, pack=True)
    save_graph(tmp_path / f"wide.{suffix}", graph)
    read = load_graph(tmp_path / f"w.{suffix}")
    x = np.random.default_rng(0).random((3, 12, 12, 1)).astype(np.float32)
    np.testing.assert_array_equal(read.forward(x), graph.forward(x))
    for layer, packed in zip(graph.layers, read.layers):
        if isinstance(layer, TernaryConv2d):
            assert isinstance(packed, TernaryConv2d)
            np.testing.assert_array_equal(packed.weights, ternary(layer.weights))
    assert (tmp_path / f"w.{suffix}").stat().st_size < (tmp_path / f"wide.{suffix}").stat().st_size
    bytes_ = packing.pack(ternary(graph.layers[3].weights))
    assert bytes_.size == -(-graph.layers[3].weights.size // 4)
    np.testing.assert_array_equal(read_arrays(tmp_path / f"w.{suffix}")["conv2.weights"], bytes_)
    for bad in (bytes_[:-1], bytes_.astype(np.int64), np.full_like(bytes_, 255)):
        with pytest.raises(ValueError, match="packed ternary weights"):
            packing.unpack(bad, graph.layers[3].weights.shape)


def test_published_order_of_parameters(tmp_path):
    graph, other = small(), build("quantised", input_shape=(8, 8, 1), layers="4C3-P2-6", n_out=3, k=1, seed=5)
    arrays = parameter_list(graph)
    assert [a.shape for a in arrays[:6]] == [(3, 3, 1, 4), (4,), (4,), (4,), (4,), (2, 2, 4, 4)] and arrays[-1].shape == (6, 3)
    assert set(np.unique(arrays[5])) == {-1, 0, 1} and arrays[2].mean() > 0.9 > abs(arrays[1].mean())  # gamma, beta
    np.savez(tmp_path / "model.npz", *arrays)
    with np.load(tmp_path / "model.npz") as file:
        read = with_parameter_list(other, [file[f"arr_{k}"] for k in range(len(arrays))])
    x = np.random.default_rng(0).random((3, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(read.forward(x), graph.forward(x))
    for bad, message in ((arrays[:-1], "has 16 arrays, got 15"), ([*arrays[:-1], arrays[-1].T], "output.weights")):
        with pytest.raises(ModelError, match=message):
            with_parameter_list(other, bad)


def test_torch_twin():
    torch = pytest.importorskip("torch")
    from eventsnn.ann.torch_net import TorchNet

    graph = small().astype(np.float64)
    x = np.random.default_rng(1).random((5, 8, 8, 1)) * 4
    net = TorchNet(graph, torch.float64).eval()
    np.testing.assert_allclose(net(torch.as_tensor(x)).detach().numpy(), graph.forward(x), atol=1e-12)


def test_straight_through():
    torch = pytest.importorskip("torch")
    from eventsnn.ann.torch_net import TorchNet

    layers = [TernaryConv2d("t", np.array([0.9, -0.1, -0.8]).reshape(1, 1, 3, 1), None), QuantReLU("q", 1, 2.0)]
    net = TorchNet(LayerGraph((1, 1, 3), layers), torch.float64)
    x = torch.tensor([1.3, 5.0, 0.2], dtype=torch.float64).reshape(1, 1, 1, 3)
    out = net(x)
    assert out.item() == 1.0  # 1.3 - 0.2 = 1.1, rounded to halves
    out.backward()
    gradient = net.stack[0].weight.grad.ravel()
    np.testing.assert_allclose(gradient, 2 * x.ravel())  # two nested signs: twice the plain gradient
    net.zero_grad()
    net(3 * x).backward()  # 3.3 is above the top: no gradient
    assert net.stack[0].weight.grad.abs().max() == 0
    assert isinstance(layers[0], Conv2d)
