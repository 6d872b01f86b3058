"""Arrivals of a window in an order for delivery: at each target as sorted by (time, rank), simultaneous ones summed."""

import numpy as np
import pytest

from eventsnn.compile import specialise
from eventsnn.engines.arrivals import HALF, ROW, WHO, Arrivals, G, T, X, line_up


def twice(t, p):
    """Stand for the `instant` of a model."""
    return 2.0 * t


@pytest.mark.parametrize("size", [1, 7, 300])
@pytest.mark.parametrize("grid", [None, 3, 40])
def test_delivery_is_as_sorted_at_every_target(size, grid):
    rng = np.random.default_rng(size)
    kernel = specialise(line_up, instant=twice, NUMBER=True)
    room, begin, end = Arrivals(size), 5.0, 6.5
    for count in (1, 2, 31, 400, 1500):
        times = rng.uniform(begin, end, count) if grid is None else begin + 1.5 * rng.integers(0, grid, count) / grid
        times[0] = begin
        targets, ranks, x = rng.integers(0, size, count), rng.permutation(count), rng.normal(size=count)
        if room.when.size < count:
            room.grow(count, 0)
        room.when[:count], room.what[:2 * count:2] = times, x
        room.who[1:2 * count:2] = (targets.astype(np.uint64) << HALF) | ranks.astype(np.uint64)
        left = kernel(count, room.when, room.what, room.who, begin, end, 1.0, None, room.shared, room.places, room.before,
                      room.marks, room.rows, room.words)
        rows, words = (a.reshape(-1, int(ROW))[1:left + 1] for a in (room.rows, room.words))
        found = [(int(who >> HALF), t, v) for who, t, v in zip(words[:, WHO], rows[:, T], rows[:, X])]
        assert (rows[:, G] == 2.0 * (rows[:, T] - 1.0)).all()
        assert (np.diff(rows[:, T]) > -3.0 * 1.5 / max(1, count // 32)).all()  # in order of time, but for a span
        expected = {}
        for k in np.lexsort((ranks, times, targets)):
            at = (int(targets[k]), times[k])
            expected[at] = 0.0 + expected[at] + x[k] if at in expected else x[k]
        assert sorted(found) == sorted((i, t, v) for (i, t), v in expected.items())
        for i in range(size):
            assert (np.diff([t for j, t, _ in found if j == i]) > 0).all()


def test_arrivals_stay_when_there_is_more_room():
    room = Arrivals(3)
    room.when[:5], room.what[:10] = np.arange(5), np.arange(10)
    room.grow(5000, 5)
    assert room.when[:5].tolist() == list(range(5)) and room.what[:10].tolist() == list(range(10))
    assert room.rows.ctypes.data % 64 == 0
