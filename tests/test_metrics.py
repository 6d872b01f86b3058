"""Metrics against counts made by hand."""

import numpy as np
import pytest

from eventsnn import metrics
from eventsnn.analysis import intervals, operations
from eventsnn.errors import DataError
from eventsnn.network import Input, Network, Population, Projection
from eventsnn.projections import Conv2d, Dense
from eventsnn.raster import SpikeRaster

GRID = SpikeRaster.from_events([0, 2, 6, 1, 0, 1, 2, 3], [0, 0, 0, 1, 2, 2, 2, 2], samples=[0, 0, 0, 0, 1, 1, 1, 1],
                               size=3, duration=8, dt_ms=0.5, n_samples=2)  # fmt: skip


def test_classes():
    assert metrics.accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75
    assert metrics.agreement([0, 1], [1, 1]) == 0.5
    assert metrics.confusion_matrix([0, 1, 2, 2], [0, 1, 1, 2], 3).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    for bad in (([0], [0, 1]), ([], []), ([0.5], [1]), ([[0]], [[1]])):
        with pytest.raises(DataError):
            metrics.accuracy(np.array(bad[0]), np.array(bad[1]))
    with pytest.raises(DataError, match="confusion"):
        metrics.confusion_matrix([3], [0], 3)


def test_spikes_per_neuron():
    quiet = SpikeRaster([], [], size=5, duration=8, dt_ms=0.5, offsets=[0, 0, 0])
    found = metrics.spikes_per_neuron({"a": GRID, "b": quiet})
    assert found == {"total": 8 / (2 * 8), "populations": {"a": 8 / 6, "b": 0.0}}
    assert metrics.spikes_per_neuron({"a": {"spikes": 8, "neurons": 3, "updates": 1}}, n_samples=2)["total"] == 8 / 6
    assert metrics.silent_populations({"a": GRID, "b": quiet}) == ["b"]
    with pytest.raises(DataError, match="n_samples"):
        metrics.spikes_per_neuron({"a": {"spikes": 1, "neurons": 1}})


def test_saturation():
    assert metrics.saturation({"spikes": 40, "neurons": 4}, 1, steps=10) == 1
    assert metrics.saturation({"spikes": 40, "neurons": 4}, 2, steps=10) == 0.5
    assert metrics.saturation({"spikes": 8, "neurons": 4, "early": 2}, 2) == 0.25
    assert metrics.saturation({"spikes": 0, "neurons": 4, "early": 0}, 2) == 0
    assert metrics.saturation({"spikes": 9, "neurons": 4}, 2) == 0


def test_intervals():
    assert sorted(intervals.intervals(GRID)) == [0.5, 0.5, 0.5, 1.0, 2.0]
    assert intervals.intervals(SpikeRaster([], [], size=2, duration=4, dt_ms=1.0)).size == 0


@pytest.mark.parametrize(("errors", "n"), [(0, 10), (3, 10), (7, 1000), (10, 10)])
def test_error_bound_is_where_so_few_errors_are_improbable(errors, n):
    from math import comb

    share = metrics.error_bound(errors, n)
    if errors == n:
        assert share == 1
    else:
        assert np.isclose(sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(errors + 1)), 0.05)


def test_latency_to_accuracy():
    assert metrics.latency_to_accuracy([1, 2, 3], [0.5, 0.9, 0.8], 0.85) == 2
    assert metrics.latency_to_accuracy([1, 2, 3], [0.5, 0.9, 0.8], 0.95) is None
    assert metrics.latency_to_accuracy([1, 2, 3], [0.9, 0.5, 0.8], 0.75, stays=True) == 3
    assert metrics.latency_to_accuracy([1, 2, 3], [0.5, 0.9, 0.8], 0.85, stays=True) is None


def test_operations():
    network = Network(
        [Input("in", (3, 3, 1))],
        [Population("c", (3, 3, 2)), Population("d", 4)],
        [Projection("in", "c", Conv2d(np.ones((3, 3, 1, 2)))), Projection("c", "d", Dense(np.ones((18, 4))))],
        dt_ms=1.0,
    )
    corner_and_centre = SpikeRaster([0, 1], [0, 4], size=9, duration=3, dt_ms=1.0)
    three = SpikeRaster([0, 1, 1], [0, 4, 17], size=18, duration=3, dt_ms=1.0)
    found = operations.synaptic_events(network, {"in": corner_and_centre, "c": three})
    assert found == {"total": 8 + 18 + 12, "projections": {"in -> c": 26, "c -> d": 12}}
    assert operations.dense_operations(network) == 2 * (4 * 4 + 4 * 6 + 9) + 72
    with pytest.raises(DataError, match="'c'"):
        operations.synaptic_events(network, {"in": corner_and_centre})
