"""The van Rossum distance against its integral, elephant, central differences and the plain recursion on the grid."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import SpikeRaster
from eventsnn.errors import DataError
from eventsnn.gradients.van_rossum import distance, distance_gradient, distances, grid_loss, raster_distance
from tests.properties.settings import examples

TAUS = [0.0, 1e-9, 0.37, 5.0, 80.0, 1e7, np.inf]
trains = st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 7.25, 30.0, 31.0]) | st.floats(0, 40), max_size=9)


def integral(a, b, tau, stop=None):
    """(1/tau) of the integral of (f - g)², by Simpson's rule between events."""
    edges = np.unique([*a, *b, 0.0, stop or max([*a, *b, 0.0]) + 40 * tau])
    total = 0.0
    for lo, hi in pairwise(edges):
        t = np.linspace(lo, hi, 4001)
        d = sum(np.exp(-(t - x) / tau) for x in a if x <= lo) - sum(np.exp(-(t - x) / tau) for x in b if x <= lo) + 0 * t
        weights = np.where(np.arange(t.size) % 2, 4.0, 2.0)
        weights[[0, -1]] = 1.0
        total += (hi - lo) / 4000 / 3 * np.sum(weights * d * d)
    return total / tau


@examples(15)
@given(trains, trains, st.sampled_from([0.9, 5.0]), st.booleans())
def test_it_is_its_integral(a, b, tau, windowed):
    stop = 41.0 if windowed else None
    assert distance(a, b, tau, duration=stop) ** 2 == pytest.approx(integral(a, b, tau, stop), rel=1e-6, abs=1e-9)


@examples(40)
@given(trains, trains, st.sampled_from(TAUS))
def test_equal_trains_are_at_distance_zero_and_the_limits_hold(a, b, tau):
    assert distance(a, a[::-1], tau) == 0.0
    both = distances([a, b, a], tau)
    assert both[0, 2] == 0.0 and not both.diagonal().any() and (both == both.T).all()
    assert both[0, 1] ** 2 == pytest.approx(distance(a, b, tau) ** 2, abs=1e-12)
    assert distance(a, b, np.inf) == pytest.approx(abs(len(a) - len(b)) / np.sqrt(2))
    if len({*a, *b}) == len(a) + len(b):
        assert distance(a, b, 0.0) == pytest.approx(np.sqrt((len(a) + len(b)) / 2))


def test_named_normalisations():
    assert distance([3.0], [], 10.0) ** 2 == pytest.approx(0.5)
    assert distance([3.0], [], 10.0, normalisation="elephant") == pytest.approx(1.0)
    assert distance([3.0], [3.0 + 1e-9], 10.0) == pytest.approx(np.sqrt(1e-10), rel=1e-6)  # nothing cancels
    with pytest.raises(DataError, match="elephant"):
        distance([], [], 1.0, normalisation="elefant")
    with pytest.raises(DataError, match="tau"):
        distance([], [], -1.0)
    with pytest.raises(DataError, match="finite"):
        distance([np.nan], [], 1.0)


def test_it_is_elephants():
    elephant = pytest.importorskip("elephant.spike_train_dissimilarity")
    neo, pq = pytest.importorskip("neo"), pytest.importorskip("quantities")
    rng = np.random.default_rng(2)
    lists = [np.sort(rng.choice(2000, rng.integers(0, 30), replace=False) / 10) for _ in range(12)]
    theirs = elephant.van_rossum_distance([neo.SpikeTrain(x * pq.ms, 250 * pq.ms) for x in lists], 7.0 * pq.ms)
    assert np.allclose(distances(lists, 7.0, normalisation="elephant"), theirs, atol=1e-7)


def rasters(seed, size=5, steps=60, grid=False):
    rng = np.random.default_rng(seed)
    if grid:
        return [SpikeRaster.from_dense((rng.random((1, steps, size)) < p) * 1.0, dt_ms=1.0) for p in (0.1, 0.2)]
    return [SpikeRaster.from_events(rng.random(n) * 50, rng.integers(0, size, n), size=size, duration=50.0) for n in (23, 17)]


def moved(raster, k, by):
    times = raster.times.copy()
    times[k] += by
    return SpikeRaster.from_events(times, raster.ids, size=raster.size, duration=raster.duration)


@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize("tau", [0.7, 12.0])
def test_gradient_in_spike_times_is_central_differences(tau, windowed):
    found, wanted = rasters(1)
    value, gradient = distance_gradient(found, wanted, tau, windowed=windowed)
    assert value == raster_distance(found, wanted, tau, windowed=windowed)
    for k in range(found.n_spikes):
        up, down = (raster_distance(moved(found, k, by), wanted, tau, windowed=windowed) for by in (1e-6, -1e-6))
        assert gradient[k] == pytest.approx((up - down) / 2e-6, abs=2e-7)


def test_ties_have_gradient_zero():
    found = SpikeRaster([1.0, 4.0, 9.0], [0, 0, 0], size=1, duration=20.0)
    wanted = SpikeRaster([4.0], [0], size=1, duration=20.0)
    gradient = distance_gradient(found, wanted, 5.0)[1]
    assert gradient[1] == 0 and gradient[0] != 0 and gradient[2] != 0
    assert not distance_gradient(found, found, 5.0)[1].any()


def test_lines_and_populations():
    a, b = rasters(3)
    each = [distance(a.times[a.ids == k], b.times[b.ids == k], 4.0) for k in range(a.size)]
    pooled = distance(a.times, b.times, 4.0)
    assert raster_distance(a, b, 4.0) == pytest.approx(np.sqrt(np.sum(np.square(each))))
    assert raster_distance(a, b, 4.0, cosine=1.0) == pytest.approx(pooled)
    assert raster_distance(a, b, 4.0, cosine=0.3) == pytest.approx(np.sqrt(0.7 * np.sum(np.square(each)) + 0.3 * pooled**2))


def dense_loss(z, y, kappa, tau):
    u, total = np.zeros(z.shape[1]), 0.0
    for now in z - y:
        u = kappa * u + now
        total += np.sum(u * u)
    return np.sqrt(total / tau)


@pytest.mark.parametrize("kappa", [0.0, 0.75, 0.875])
def test_the_loss_on_the_grid_is_the_recursion_and_its_gradient_the_differences(kappa):
    found, wanted = rasters(4, grid=True)
    z, y = found.to_dense()[0], wanted.to_dense()[0]
    value, gradient = grid_loss(found, wanted, kappa)
    assert value == pytest.approx(dense_loss(z, y, kappa, 0.005), rel=1e-12)
    for k in range(found.n_spikes):
        bump = np.zeros(z.shape)
        bump[found.times[k], found.ids[k]] = 1e-5
        slope = (dense_loss(z + bump, y, kappa, 0.005) - dense_loss(z - bump, y, kappa, 0.005)) / 2e-5
        assert gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)
    assert grid_loss(found, found, kappa)[0] == 0 and not grid_loss(found, found, kappa)[1].any()
