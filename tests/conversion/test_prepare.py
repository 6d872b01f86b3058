"""Folding, fusing, cutting and scaling against the forward pass of the network they start from."""

import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net, mlp
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.conversion import normalise
from eventsnn.conversion.fold import fold_batch_norm, fuse_input_range
from eventsnn.conversion.segments import cut
from eventsnn.errors import ModelError

RNG = np.random.default_rng(3)


def random_net(**options):
    """A float64 network whose batch norms and biases are far from the identity."""
    graph = conv_net((9, 8, 2), [4, "P", 5], [6], 3, batch_norm=True, dropout=0.2, seed=2, **options).astype(np.float64)
    values = {k: RNG.uniform(0.3, 2, v.shape) if "norm" in k else v + 0.1 for k, v in graph.parameters().items()}
    return graph.with_parameters(values)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("with_pool", [False, True])
def test_folding_and_fusing_keep_the_function(padding, kernel, with_pool):
    graph = random_net(padding=padding, kernel=kernel)
    if with_pool:
        first = [AveragePool2d("p0", 2), MaxPool2d("p1", 1)]
        graph = LayerGraph((18, 16, 2), [*first, *graph.layers])
    x = RNG.uniform(-3, 5, (6, *graph.input_shape))
    folded = fold_batch_norm(graph)
    assert not any(isinstance(layer, (BatchNorm, Dropout)) for layer in folded.layers)
    assert np.allclose(folded.forward(x), graph.forward(x), rtol=1e-11, atol=1e-11)
    fused = fuse_input_range(folded, -3, 5)
    assert np.allclose(fused.forward((x + 3) / 8), graph.forward(x), rtol=1e-11, atol=1e-11)
    assert fuse_input_range(folded, 0, 1) is folded
    conv = fused.layers[2 if with_pool else 0]
    assert conv.bias.ndim == (3 if padding == "same" else 1)


def test_fusing_a_dense_layer():
    graph = LayerGraph((2, 2, 1), [Flatten(), Dense("d", RNG.normal(size=(4, 3)))])
    x = RNG.uniform(-1, 3, (5, 2, 2, 1))
    assert np.allclose(fuse_input_range(graph, -1, 3).forward((x + 1) / 4), graph.forward(x), atol=1e-13)


W = np.ones((3, 3, 2, 2))
D = np.ones((8, 3))
NORM = BatchNorm("late", [1, 1], [0, 0], [0, 0], [1, 1])


@pytest.mark.parametrize(("layers", "message"), [
    ([Conv2d("c", W), ReLU("r"), NORM, Flatten(), Dense("d", D)], r"'late' \(BatchNorm\).*after 'r'"),
    ([NORM, Conv2d("c", W), ReLU("r"), Flatten(), Dense("d", D)], "'late'.*at the input"),
    ([ReLU("r0"), Conv2d("c", W), ReLU("r"), Flatten(), Dense("d", D)], "'r0'.*before the first weights"),
    ([Conv2d("c", W), Flatten(), Dense("d", D)], "'c'.*no ReLU"),
    ([Conv2d("c", W), ReLU("r"), Flatten(), Dense("d", D), ReLU("last")], "'last'.*logits"),
    ([Conv2d("c", W), AveragePool2d("a", 1), ReLU("r"), Flatten(), Dense("d", D)], "'a'.*commute"),
    ([Conv2d("c", W), ReLU("r"), Conv2d("out", W)], "'out'.*must be Dense"),
    ([Conv2d("input", W), ReLU("r"), Flatten(), Dense("d", D)], "'input'.*taken"),
    ([ReLU("r")], "no Conv2d or Dense"),
])  # fmt: skip
def test_what_cannot_be_converted_is_named(layers, message):
    with pytest.raises(ModelError, match=message):
        cut(fold_batch_norm(LayerGraph((2, 2, 2), layers)))


def test_segments():
    graph = LayerGraph((8, 8, 2), [
        MaxPool2d("p0"), Conv2d("c1", W), MaxPool2d("p1"), ReLU("r1"), AveragePool2d("p2"), Flatten("f"),
        Dense("d1", np.ones((2, 5)), np.ones(5)), ReLU("r2"), Dropout("o", 0.1), Dense("d2", np.ones((5, 2))),
    ])  # fmt: skip
    head, segments = cut(graph)
    assert [p.name for p in head] == ["p0"]
    assert [(s.name, s.source, s.shape, s.source_shape, [p.name for p in s.pools], s.is_output) for s in segments] == [
        ("c1", "p0", (4, 4, 2), (4, 4, 2), ["p1", "p2"], False),
        ("d1", "p2", (5,), (1, 1, 2), [], False),
        ("d2", "d1", (2,), (5,), [], True),
    ]
    assert segments[0].bias().tolist() == [0, 0] and segments[1].bias().tolist() == [1] * 5


@pytest.mark.parametrize("batch_bytes", [2**26, 30000])
def test_scales(monkeypatch, batch_bytes):
    monkeypatch.setattr("eventsnn.ann.graph.BATCH_BYTES", batch_bytes)
    graph = fold_batch_norm(random_net())
    x = RNG.uniform(-1, 1, (40, 9, 8, 2))
    values = graph.forward(x, keep=True)
    hidden = {name: np.maximum(values[name], 0) for name in ("conv1", "conv2", "dense1")}
    for percentile in (99.9, 99, 50, 3, 100):
        found = normalise.layer_scales(graph, x, rule="percentile", percentile=percentile)
        expected = {name: np.percentile(v, percentile) or 1.0 for name, v in hidden.items()}
        assert found == pytest.approx(expected, rel=1e-12)
    assert normalise.layer_scales(graph, x) == pytest.approx({n: v.max() for n, v in hidden.items()}, rel=1e-12)
    channel = normalise.layer_scales(graph, x, rule="channel")
    for name, v in hidden.items():
        top = v.reshape(-1, v.shape[-1]).max(0)
        assert np.allclose(channel[name], np.where(top > 0, top, 1))


def test_scales_of_a_dead_layer_and_bad_options():
    graph = mlp(3, [4], 2)
    dead = graph.with_parameters({"hidden1.weights": np.zeros((3, 4)), "hidden1.bias": -np.ones(4)})
    for rule in normalise.RULES:
        assert np.all(normalise.layer_scales(dead, np.ones((2, 3)), rule=rule)["hidden1"] == 1)
    for options in ({"rule": "layer_mx"}, {"rule": "percentile", "percentile": 0}):
        with pytest.raises(ModelError, match="normalisation"):
            normalise.layer_scales(graph, np.ones((2, 3)), **options)
    with pytest.raises(ModelError, match="at least one"):
        normalise.layer_scales(graph, np.ones((0, 3)))


def test_calibration_record_is_a_hash_of_the_data():
    x = RNG.random((4, 3))
    first = normalise.calibration_record("train", x)
    assert first["samples"] == 4 and first["name"] == "train" and len(first["sha256"]) == 64
    assert normalise.calibration_record("train", x.astype(">f8"))["sha256"] == first["sha256"]
    assert normalise.calibration_record("train", np.asfortranarray(x))["sha256"] == first["sha256"]
    for other in (x.astype(np.float32), x.reshape(2, 6), x + 1):
        assert normalise.calibration_record("train", other)["sha256"] != first["sha256"]
