"""Cutting a folded network into the populations of a spiking one."""

import numpy as np
import pytest

from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.segments import cut
from eventsnn.errors import ModelError

W = np.ones((3, 3, 2, 2))
D = np.ones((8, 3))


@pytest.mark.parametrize(("layers", "message"), [
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
