"""Quantised source networks: the rounding rules, the architectures, and PyTorch's twin with straight-through gradients."""

import numpy as np
import pytest

from eventsnn.ann import packing
from eventsnn.ann.architectures import build
from eventsnn.ann.files import load_graph, read_arrays, save_graph
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import Conv2d
from eventsnn.ann.quantised import KBitConv2d, QuantReLU, TernaryConv2d, k_bit, ternary
from eventsnn.ann.quantised_nets import LENET, VGG_NET, parameter_list, with_parameter_list
from eventsnn.errors import ModelError


def test_ternary():
    weights = np.array([1.0, -0.7, 0.3, -0.4, 0.0, 2.0])
    limit = 0.7 * np.abs(weights).mean()
    np.testing.assert_array_equal(ternary(weights), np.where(np.abs(weights) >= limit, np.sign(weights), 0))
    drawn = np.random.default_rng(0).normal(size=(50, 50)).astype(np.float32)
    assert ternary(drawn).dtype == np.float32 and abs((ternary(drawn) != 0).mean() - 0.58) < 0.02  # the reference's figure
    np.testing.assert_array_equal(ternary(ternary(drawn)), ternary(drawn))


def test_weights_of_few_bits():
    weights = np.array([-3.0, -0.6, -0.125, 0.0, 0.1, 0.375, 0.9, 2.0])
    assert k_bit(weights, 32) is weights
    assert k_bit(weights, 1).tolist() == [-1, -1, -1, 0, 1, 1, 1, 1]
    assert k_bit(weights, 2).tolist() == [-1, -0.5, 0, 0, 0, 0.5, 1, 1]  # multiples of 1/4, halves to even
    layer = KBitConv2d("c", weights.reshape(1, 1, 8, 1), None, bits=2)
    assert (layer.used() / layer.grid % 1 == 0).all() and KBitConv2d("c", layer.weights, None, bits=32).grid is None
    assert KBitConv2d("c", layer.weights, None, bits=1).grid == TernaryConv2d("c", layer.weights, None).grid == 1
    for bad in (0, 17, True):
        with pytest.raises(ModelError, match="bits must be"):
            KBitConv2d("c", layer.weights, None, bits=bad)


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
    empty = [({"layers": f"{part}-10"}, f"got '{part}'") for part in ("0C3", "4C0", "P0")]
    for options, message in (({"layers": "32C5-Q2"}, "32C5"), *empty, ({"layers": "32C6-P2"}, "does not divide a map of 23 x 23"),
                             ({"layers": "8C5-P2", "weight_bits": 2}, "ternary: false")):  # fmt: skip
        with pytest.raises(ModelError, match=message):
            build("quantised", input_shape=(28, 28, 1), n_out=10, **options)
    perceptron = build("quantised", input_shape=(28, 28, 1), layers="40-30", n_out=10)  # ternary dense layers
    assert [x.weights.shape for x in perceptron.layers if isinstance(x, Conv2d)] == [(28, 28, 1, 40), (1, 1, 40, 30)]
    few = build("quantised", input_shape=(28, 28, 1), layers="4C5-P2-10", n_out=10, ternary=False, weight_bits=3)
    assert [type(x).__name__ for x in few.layers if isinstance(x, Conv2d)] == ["Conv2d", "KBitConv2d", "KBitConv2d"]
    assert few.layers[3].bits == 3 and len(np.unique(few.layers[3].used())) > 8


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


@pytest.mark.parametrize("bits", [None, 1, 3])
def test_torch_twin(bits, tmp_path):
    torch = pytest.importorskip("torch")
    from eventsnn.ann.torch_net import TorchNet

    few = {} if bits is None else {"ternary": False, "weight_bits": bits}
    graph = build("quantised", input_shape=(8, 8, 1), layers="4C3-P2-6", n_out=3, k=1, **few)
    save_graph(tmp_path / "w.h5", graph, pack=True)
    read = load_graph(tmp_path / "w.h5").astype(np.float64)
    graph = graph.astype(np.float64)
    np.testing.assert_array_equal(read.layers[3].used(), graph.layers[3].used())
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


def test_straight_through_few_bits():
    torch = pytest.importorskip("torch")
    from eventsnn.ann.torch_net import TorchNet

    weights = np.array([0.9, -0.1, -1.8]).reshape(1, 1, 3, 1)
    x = torch.tensor([1.5, 5.0, 0.25], dtype=torch.float64).reshape(1, 1, 1, 3)
    for bits, out, clipped in ((2, 1.5 - 0.25, True), (1, 1.5 - 5 - 0.25, False), (32, 1.35 - 0.5 - 0.45, False)):
        net = TorchNet(LayerGraph((1, 1, 3), [KBitConv2d("b", weights, None, bits=bits)]), torch.float64)
        found = net(x)
        assert found.item() == pytest.approx(out)
        found.backward()
        gradient = net.stack[0].weight.grad.ravel().tolist()
        assert gradient == [1.5, 5.0, 0.0 if clipped else 0.25]  # the clip passes none outside of [-1, 1]
