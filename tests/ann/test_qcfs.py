"""Clip-floor-shift networks: values, files, PyTorch's twin and its gradients, fine-tuning, conversion to few steps."""

import numpy as np
import pytest

from eventsnn import run
from eventsnn.ann.architectures import build
from eventsnn.ann.files import load_graph, save_graph
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, BatchNorm, Dense, MaxPool2d, ReLU
from eventsnn.ann.qcfs import to_qcfs
from eventsnn.ann.quantised import Qcfs
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.hybrid import encode, to_network
from eventsnn.conversion.qcfs import from_qcfs
from eventsnn.errors import ModelError


def net(batch_norm=True, levels=4):
    """A small convolutional network with max pools, made ready for fine-tuning."""
    graph = build("conv_net", input_shape=(8, 8, 2), features=[6, "P", 8, 8, "P"], hidden=[12], n_out=3, batch_norm=batch_norm)
    return to_qcfs(graph, images(40), levels=levels)


def images(n, seed=0):
    return np.random.default_rng(seed).random((n, 8, 8, 2)).astype(np.float32)


def test_values():
    layer = Qcfs("q", [2.0], 4)
    x = np.array([-1.0, 0.0, 0.2499, 0.25, 0.7499, 0.75, 1.7499, 1.75, 2.0, 9.0])
    assert layer.apply(x).tolist() == [0, 0, 0, 0.5, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    for bad in ({"top": [0.0]}, {"top": [1.0, 2.0]}, {"top": [1.0], "levels": 0}, {"top": [np.nan]}):
        with pytest.raises(ModelError, match=r"top|levels"):
            Qcfs("q", **bad)


def test_a_relu_network_becomes_one():
    graph = net()
    kinds = [type(layer) for layer in graph.layers]
    assert kinds.count(Qcfs) == 4 and kinds.count(AveragePool2d) == 2 and not {ReLU, MaxPool2d} & set(kinds)
    values = graph.forward(images(40), keep=True)
    for layer in graph.layers:
        if isinstance(layer, BatchNorm):  # its statistics are those of these samples
            normed = values[layer.name].reshape(-1, layer.gamma.size)
            np.testing.assert_allclose(normed.mean(0), layer.beta, atol=1e-4)
            np.testing.assert_allclose(normed.std(0), np.abs(layer.gamma), rtol=1e-3)
        if isinstance(layer, Qcfs):
            assert set(np.unique(np.round(values[layer.name] / layer.top * 4))) <= {0, 1, 2, 3, 4}
            assert 0 < (values[layer.name] == layer.top).mean() < 0.1
    with pytest.raises(ModelError, match="no ReLU"):
        to_qcfs(graph, images(3))
    with pytest.raises(ModelError, match="silent"):
        to_qcfs(LayerGraph((2,), [Dense("d", -np.ones((2, 2))), ReLU("r"), Dense("o", np.ones((2, 2)))]), np.ones((3, 2)))


@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_files_keep_the_tops(tmp_path, suffix):
    graph = net()
    save_graph(tmp_path / f"w.{suffix}", graph, dtype="float16")
    read = load_graph(tmp_path / f"w.{suffix}")
    tops = [[(x.top[0], x.levels) for x in g.layers if isinstance(x, Qcfs)] for g in (graph, read)]
    assert tops[0] == tops[1] and len(tops[0]) == 4


def test_torch_twin_and_its_gradients():
    torch = pytest.importorskip("torch")
    from eventsnn.ann.torch_net import TorchNet

    graph = net().astype(np.float64)
    x = images(5, 1).astype(np.float64)
    np.testing.assert_allclose(TorchNet(graph).eval()(torch.as_tensor(x)).detach().numpy(), graph.forward(x), atol=1e-12)
    module = TorchNet(LayerGraph((6,), [Qcfs("q", np.array([2.0]), 4)]), torch.float64)
    given = torch.tensor([[-1.0, 0.1, 0.3, 1.6, 1.9, 5.0]], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]], dtype=torch.float64)
    (module(given) * weights).sum().backward()
    assert given.grad.ravel().tolist() == [0, 2, 4, 8, 16, 0]
    wanted = 2 * (0 - 0.05) + 4 * (0.25 - 0.15) + 8 * (0.75 - 0.8) + 16 * (1 - 0.95) + 32
    np.testing.assert_allclose(module.stack[0].top.grad.item(), wanted, rtol=1e-12)


def test_fine_tuning_moves_the_tops():
    pytest.importorskip("torch")
    from eventsnn.ann.train import train

    x, labels = images(60), np.arange(60) % 3
    x[labels == 1, :4] += 0.5
    x[labels == 2, 4:] += 0.5
    settings = {"epochs": 6, "batch_size": 20, "learning_rate": 1e-2, "threads": 1}
    result = train(net(), (x, labels), settings)
    assert result.curve[-1]["train_accuracy"] > 0.9
    tops = [[x.top[0] for x in g.layers if isinstance(x, Qcfs)] for g in (net(), result.graph)]
    assert all(a != b and b > 0 for a, b in zip(*tops))
    hybrid, right = from_qcfs(result.graph), {}
    for steps in (2, 4, 16):
        found = run(to_network(hybrid), {"input": encode(hybrid, x, steps=steps)}, duration=steps)
        right[steps] = (found.prediction == labels).mean()
    exact = (result.graph.forward(x).argmax(1) == labels).mean()
    assert right[16] >= right[4] - 0.1 and right[16] > exact - 0.1 > 0.7


def test_a_rate_that_is_too_high_leaves_a_network():
    """Steps beyond a top of 0 are stopped there: the weights of a long training are not lost for one number."""
    pytest.importorskip("torch")
    from eventsnn.ann.train import train

    x, labels = images(60), np.arange(60) % 3
    start = net()
    result = train(start, (x, labels), {"epochs": 2, "batch_size": 20, "learning_rate": 2.0, "threads": 1})
    tops = [[layer.top[0] for layer in g.layers if isinstance(layer, Qcfs)] for g in (start, result.graph)]
    assert min(b / a for a, b in zip(*tops)) == pytest.approx(1e-3)


@pytest.mark.parametrize("steps", [4, 8])
def test_the_first_layer_says_its_activation_exactly(steps):
    """Constant drive for as many steps as there are levels: the spike count is the level, neuron by neuron."""
    graph = net(levels=steps).astype(np.float64)
    hybrid, x = from_qcfs(graph), images(6, 2).astype(np.float64)
    found = run(to_network(hybrid, dtype="float64"), {"input": encode(hybrid, x, steps=steps)}, duration=steps)
    first = next(layer for layer in graph.layers if isinstance(layer, Qcfs))
    wanted = fold_batch_norm(graph).forward(x, upto=first.name)
    counts = found.rasters["conv1"].amplitude_sums().reshape(wanted.shape)
    np.testing.assert_array_equal(counts, np.round(wanted / first.top[0] * steps))
    assert hybrid.v_init == 0.5 and hybrid.thresholds[0] == first.top[0] and 0 < counts.mean() < steps


@pytest.mark.parametrize("levels", [1, 4, 8])
def test_halves_are_rounded_up_by_neurons_too(levels):
    """Drives that lie on the halves between two levels, exactly: the spike count is the level, in the engine and the learner."""
    pytest.importorskip("torch")
    from eventsnn.learning.stdb.training import predict

    one = np.ones((1, 1))
    graph = LayerGraph((1,), [Dense("a", one), Qcfs("q", [2.0], levels), Dense("o", one)]).astype(np.float64)
    x = (np.arange(-1, 2 * levels + 2) / levels)[:, None]  # halves and whole levels, from below 0 to above the top
    hybrid, wanted = from_qcfs(graph), graph.forward(x)
    assert not hybrid.strict and set((wanted * levels / 2).ravel()) == set(range(levels + 1))
    found = run(to_network(hybrid, dtype="float64"), {"input": encode(hybrid, x, steps=levels)}, duration=levels)
    np.testing.assert_array_equal(found.readout / levels, wanted)
    logits, _ = predict(hybrid, x, {"steps": levels, "precision": "float64"})
    np.testing.assert_array_equal(logits, found.readout)


def test_where_the_drive_is_even_the_network_is_exact():
    """The first layer says 0 or all: every later drive is constant, so T = L steps give the logits of the source network."""
    rng = np.random.default_rng(0)
    middle = Dense("b", rng.normal(size=(8, 7)), rng.normal(size=7))
    layers = [Dense("a", rng.normal(size=(5, 8)) * 9), Qcfs("q1", [0.5], 1), middle, Qcfs("q2", [1.5], 4),
              Dense("out", rng.normal(size=(7, 3)), rng.normal(size=3))]  # fmt: skip
    graph, x = LayerGraph((5,), layers), rng.normal(size=(20, 5))
    x = x[(np.abs(graph.forward(x, upto="a")) > 0.6).all(1)]  # beyond the threshold: one spike in every step, or none
    assert len(x) >= 5
    hybrid = from_qcfs(graph)
    found = run(to_network(hybrid, dtype="float64"), {"input": encode(hybrid, x, steps=4)}, duration=4)
    np.testing.assert_allclose(found.readout / 4, graph.forward(x), rtol=1e-9, atol=1e-9)


def test_refusals():
    graph = build("conv_net", input_shape=(8, 8, 2), features=[4, "P"], hidden=[5], n_out=3)
    with pytest.raises(ModelError, match="Qcfs"):
        from_qcfs(graph)
    mixed = to_qcfs(graph, images(8))
    mixed = LayerGraph(mixed.input_shape, [ReLU(x.name) if x.name == "relu1" else x for x in mixed.layers])
    with pytest.raises(ModelError, match="relu1"):
        from_qcfs(mixed)
    with pytest.raises(ModelError, match=r"'block1' \(Residual\).*two layers of different range"):
        to_qcfs(build("hybrid", input_shape=(8, 8, 2), net="resnet8", n_out=3, width=0.1), images(3))
    for options in ({"percentile": 0}, {"percentile": 101}):
        with pytest.raises(ModelError, match="percentile"):
            to_qcfs(graph, images(3), **options)
