"""Batch norm folded wherever it can stand: the same function to 1e-12 in float64, or a refusal that says why."""

import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.conversion.fold import fold_batch_norm, fuse_input_range
from eventsnn.conversion.parts import relay_chain
from eventsnn.conversion.segments import cut
from eventsnn.errors import ModelError
from eventsnn.relays import GatedMaxPool

RNG = np.random.default_rng(3)


def norm(name, channels, low=0.3, epsilon=1e-3):
    """A batch norm far from the identity; gamma is negative where ``low`` is."""
    gamma = RNG.uniform(low, 2, channels)
    if low < 0:
        gamma[0] = -0.7
    return BatchNorm(name, gamma, RNG.normal(size=channels), RNG.normal(size=channels), RNG.uniform(0.01, 2, channels), epsilon)


def conv(name, c_in, c_out, kernel=3, padding="same", stride=1, bias=True):
    """A float64 convolution."""
    shape = (kernel, kernel, c_in, c_out)
    return Conv2d(name, RNG.normal(size=shape), RNG.normal(size=c_out) if bias else None, stride, padding)


def dense(name, n_in, n_out):
    """A float64 dense layer."""
    return Dense(name, RNG.normal(size=(n_in, n_out)), RNG.normal(size=n_out))


def equal_after_folding(layers, shape=(9, 8, 2), convertible=True):
    """Fold, compare in float64 and float32, return the folded graph."""
    graph = LayerGraph(shape, layers)
    x = RNG.normal(size=(6, *shape))
    folded = fold_batch_norm(graph)
    assert not any(isinstance(layer, (BatchNorm, Dropout)) for layer in folded.layers)
    expected = graph.forward(x)
    assert np.abs(folded.forward(x) - expected).max() <= 1e-12 * np.abs(expected).max()
    small = fold_batch_norm(graph.astype(np.float32))
    assert small.dtype == np.float32
    assert np.abs(small.forward(x) - expected).max() <= 1e-4 * np.abs(expected).max()
    if convertible:
        cut(folded)
    return folded


def test_before_relu():
    equal_after_folding([
        conv("c1", 2, 4), norm("n1", 4, -1), ReLU("r1"), MaxPool2d("p1"), conv("c2", 4, 3, bias=False), norm("n2", 3, -1),
        Dropout("o", 0.3), ReLU("r2"), Flatten("f"), dense("d1", 48, 5), norm("n3", 5, -1), ReLU("r3"), dense("d2", 5, 3),
        norm("n4", 3, -1),
    ])  # fmt: skip


@pytest.mark.parametrize("pool", [None, MaxPool2d("p"), AveragePool2d("p")])
@pytest.mark.parametrize(("padding", "kernel", "stride"), [("same", 3, 1), ("same", 2, 2), ("valid", 3, 1), ("same", 1, 1)])
def test_after_relu_into_the_next_convolution(pool, padding, kernel, stride):
    low = -1 if not isinstance(pool, MaxPool2d) else 0.3
    pools = [] if pool is None else [pool]
    next_conv = conv("c2", 4, 3, kernel, padding, stride)
    layers = [conv("c1", 2, 4), ReLU("r1"), norm("n1", 4, low), *pools, next_conv, ReLU("r2"), Flatten("f")]
    size = LayerGraph((9, 8, 2), layers).output_shape[0]
    folded = equal_after_folding([*layers, dense("d", size, 3)])
    bias = folded.layers[folded.index("c2")].bias
    assert bias.ndim == (3 if padding == "same" else 1)
    if padding == "same" and kernel == 3:
        # The nine border classes of the published rule: every inner position has the same bias, corners have others.
        inner, corner = bias[1:-1, 1:-1], bias[0, 0]
        assert np.allclose(inner, inner[0, 0]) and not np.allclose(corner, inner[0, 0])
        classes = {bias[y, x].round(9).tobytes() for y in range(bias.shape[0]) for x in range(bias.shape[1])}
        assert len(classes) == 9


def test_after_relu_through_flatten_and_several_in_a_row():
    equal_after_folding([
        norm("n0", 2, -1), AveragePool2d("p0", 1), conv("c1", 2, 4), norm("n1", 4, -1), norm("n1b", 4, -1), ReLU("r1"),
        norm("n2", 4), norm("n3", 4), MaxPool2d("p1"), AveragePool2d("p2"), Flatten("f"), norm("n4", 16, -1),
        Dropout("o", 0.5), dense("d1", 16, 5), ReLU("r2"), norm("n5", 5, -1), dense("d2", 5, 3),
    ])  # fmt: skip


def test_back_across_pools_without_a_relu():
    folded = equal_after_folding([
        conv("c1", 2, 4), MaxPool2d("p1"), norm("n1", 4), ReLU("r1"), conv("c2", 4, 3), AveragePool2d("p2"), norm("n2", 3, -1),
        Flatten("f"), dense("d", 12, 3),
    ], convertible=False)  # fmt: skip
    assert [layer.name for layer in folded.layers] == ["c1", "p1", "r1", "c2", "p2", "f", "d"]


def test_a_bias_map_takes_further_norms_on_both_sides():
    layers = [
        conv("c1", 2, 2), ReLU("r1"), norm("n1", 2, -1), conv("c2", 2, 2), norm("n2", 2, -1), ReLU("r2"), norm("n3", 2, -1),
        conv("c3", 2, 2), ReLU("r3"), Flatten("f"), dense("d", 144, 3),
    ]  # fmt: skip
    folded = equal_after_folding(layers)
    again = fold_batch_norm(LayerGraph((9, 8, 2), [norm("n0", 2, -1), *folded.layers]))
    assert again.layers[0].bias.ndim == 3 and again.layers[1].name == "r1"


def test_epsilon_counts():
    graph = LayerGraph((3,), [dense("d", 3, 2), norm("n", 2, epsilon=0.5)])
    weights = fold_batch_norm(graph).layers[0].weights
    n = graph.layers[1]
    assert np.allclose(weights, graph.layers[0].weights * n.gamma / np.sqrt(n.variance + 0.5), rtol=1e-14)


@pytest.mark.parametrize("place", ["before_relu", "after_relu"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_whole_networks_of_both_kinds(place, padding):
    graph = conv_net((12, 12, 2), [4, 3, "P", 5], [6], 3, batch_norm=True, norm_place=place, padding=padding, dropout=0.2,
                     feature_dropout=0.1, seed=2).astype(np.float64)  # fmt: skip
    values = {k: RNG.uniform(0.3, 2, v.shape) if "norm" in k else v + 0.1 for k, v in graph.parameters().items()}
    graph = graph.with_parameters(values)
    kinds = [type(layer).__name__ for layer in graph.layers[:3]]
    assert kinds == ["Conv2d", *(("BatchNorm", "ReLU") if place == "before_relu" else ("ReLU", "BatchNorm"))]
    equal_after_folding(graph.layers, (12, 12, 2))


def negative(name, channels):
    """A batch norm with one negative gamma."""
    return BatchNorm(name, [1.0] * (channels - 1) + [-1.0], *[np.ones(channels)] * 3)


@pytest.mark.parametrize("order", ["behind the ReLU", "before the ReLU", "around the pool"])
def test_a_negative_factor_turns_a_max_pool_into_a_min_pool(order):
    pool, first, last = MaxPool2d("p"), negative("n1", 3), negative("n2", 3)
    middle = {"behind the ReLU": [ReLU("r"), first, pool], "before the ReLU": [pool, first, ReLU("r")],
              "around the pool": [ReLU("r"), first, pool, last]}[order]  # fmt: skip
    layers = [conv("c", 2, 3), *middle, conv("c2", 3, 2)]
    folded = equal_after_folding(layers, (6, 7, 2), convertible=False)
    (turned,) = [x for x in folded.layers if isinstance(x, MaxPool2d)]
    assert turned.signs == (1, 1, -1)
    with pytest.raises(ModelError, match=r"'p'.*minimum in 1 channels"):
        relay_chain("c", [turned], GatedMaxPool)
    with pytest.raises(ModelError, match=r"signs must be \+1 or -1, got 3"):
        MaxPool2d("p", 2, (1, 3))
    with pytest.raises(ModelError, match="has 3 signs"):
        LayerGraph((4, 4, 2), [turned])


@pytest.mark.parametrize(("layers", "message"), [
    ([conv("c", 2, 2), ReLU("r"), norm("late", 2), ReLU("r2"), Flatten(), dense("d", 8, 3)], "'late'.*ReLU 'r2' follows"),
    ([norm("first", 2), ReLU("r"), conv("c", 2, 2)], "'first'.*ReLU 'r' follows"),
    ([conv("c", 2, 2), ReLU("r"), norm("late", 2)], "'late'.*no weights follow"),
    ([conv("c", 2, 2), Flatten(), norm("late", 8), ReLU("r"), dense("d", 8, 3)], "'late'.*ReLU 'r' follows"),
    ([Dropout("o", 0.5)], "no layers but dropout"),
])  # fmt: skip
def test_what_cannot_be_folded_is_refused(layers, message):
    with pytest.raises(ModelError, match=message):
        fold_batch_norm(LayerGraph((2, 2, 2), layers))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("with_pool", [False, True])
def test_fusing_the_input_range(padding, kernel, with_pool):
    layers = [conv("c1", 2, 4, kernel, padding), norm("n1", 4, -1), ReLU("r1")]
    if with_pool:
        layers = [AveragePool2d("p0", 2), MaxPool2d("p1", 1), *layers]
    graph = LayerGraph((18, 16, 2), layers)
    x = RNG.uniform(-3, 5, (6, 18, 16, 2))
    fused = fuse_input_range(fold_batch_norm(graph), -3, 5)
    assert np.allclose(fused.forward((x + 3) / 8), graph.forward(x), rtol=1e-12, atol=1e-12)
    assert fused.layers[2 if with_pool else 0].bias.ndim == (3 if padding == "same" else 1)
    assert fuse_input_range(graph, 0, 1) is graph
    assert fuse_input_range(fold_batch_norm(graph.astype(np.float32)), -3, 5).dtype == np.float32
    for p, q in ((1, 1), (2, 0), (0, np.inf)):
        with pytest.raises(ModelError, match="finite p < q"):
            fuse_input_range(graph, p, q)


def test_fusing_a_dense_layer():
    graph = LayerGraph((2, 2, 1), [Flatten(), Dense("d", RNG.normal(size=(4, 3)))])
    x = RNG.uniform(-1, 3, (5, 2, 2, 1))
    assert np.allclose(fuse_input_range(graph, -1, 3).forward((x + 1) / 4), graph.forward(x), atol=1e-13)
