"""Encoders: what they emit, the way back, and what they refuse."""

import numpy as np
import pytest

from eventsnn.encoders import ENCODERS, constant, poisson, ttfs
from eventsnn.encoders.base import Drive
from eventsnn.errors import DataError
from eventsnn.random import key, uniform

RNG = np.random.default_rng(5)
TOLERANCE = {"poisson": 0.3, "phase": 2**-8, "burst": 0.125, "ttfs_kernel": 0.05, "latency": 0.2}
BAD = [np.array([[0.5, np.nan]]), np.array([[np.inf, 0.5]]), np.array([["a", "b"]]), np.array(0.5), np.array([0.5])]


def encode(name, x):
    """Encode with the options a code needs."""
    options = {"poisson": {"steps": 50, "seed": 3}, "phase": {"steps": 50}, "burst": {"steps": 50}}
    return ENCODERS[name].encode(x, **options.get(name, {}))


def test_registry():
    assert sorted(ENCODERS) == ["burst", "constant", "latency", "phase", "poisson", "ttfs", "ttfs_kernel"]
    assert ENCODERS["ttfs"] is ttfs and "real" not in ENCODERS
    with pytest.raises(DataError, match="did you mean 'ttfs'"):
        ENCODERS["ttf"]


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_contract(name):
    x = RNG.random((3, 4, 5, 2))
    x[0, 0] = 0
    out = encode(name, x)
    assert out.n_samples == 3 and out.size == 40 and out.shape == (4, 5, 2)
    back = ENCODERS[name].decode(out)
    assert back.shape == (3, 40) and back.dtype == np.float64
    assert np.abs(back - x.reshape(3, -1)).max() < TOLERANCE.get(name, 1e-6)
    assert (back[0, :10] == 0).all()
    part = encode(name, x[1:2]) if name != "poisson" else poisson.encode(x[1:2], steps=50, seed=3, sample_ids=[1])
    if name == "constant":
        assert (part.values == out.select([1]).values).all()
    else:
        assert part == out.sample(1)


@pytest.mark.parametrize("name", sorted(ENCODERS))
@pytest.mark.parametrize("x", BAD)
def test_bad_values_are_refused(name, x):
    with pytest.raises(DataError, match=name):
        encode(name, x)


def test_ttfs_lets_zeros_spike_last_where_asked():
    x = np.array([[0.25, 0.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    raster = ttfs.encode(x, dtype="float64", silent=False)
    assert (raster.counts() == 1).all() and raster.duration == 1
    assert raster.first_times().tolist() == [[0.75, 1, 0, 1], [1, 1, 1, 1]]
    assert raster.amplitudes.tolist() == [1, 0.25, 0, 0, 0, 0, 0, 0]
    assert np.array_equal(ttfs.decode(raster), np.maximum(x, 0))
    assert ttfs.encode(x[:, :3] + 0.5, q=2.0) == ttfs.encode(x[:, :3] + 0.5, q=2.0, silent=False)


def test_ttfs_formula():
    x = RNG.uniform(-4, 3, (5, 30))
    raster = ttfs.encode(x, p=-3, q=3, dtype="float64")
    fired = x > -3
    coded = (x + 3) / 6
    assert (np.isfinite(raster.first_times()) == fired).all()
    assert np.allclose(raster.first_times()[fired], 1 - coded[fired], rtol=0, atol=1e-15)
    assert np.allclose(raster.amplitudes, 1 - raster.times, rtol=0, atol=1e-15)
    assert np.allclose(ttfs.decode(raster, p=-3, q=3), np.maximum(x, -3), atol=1e-14)
    assert raster.duration == 1 and raster.clock == "continuous"


def test_ttfs_window_and_tiny_values():
    raster = ttfs.encode([[0.5, 1e-30, 0.0, 1.0]], window=4.0)
    assert raster.times.tolist() == [0, 2, 4] and raster.ids.tolist() == [3, 0, 1]
    assert raster.amplitudes[1] == 2
    assert np.allclose(ttfs.decode(raster, window=4.0), [[0.5, 0, 0, 1]])


def test_ttfs_amplitudes_are_float32_numbers():
    raster = ttfs.encode(RNG.random((2, 50)))
    assert (raster.amplitudes == raster.amplitudes.astype(np.float32)).all()


def test_ttfs_refuses_and_clips_above_q():
    with pytest.raises(DataError, match=r"at most 1.0, got 1.5 in sample 1, element 0.*clip"):
        ttfs.encode([[0.5], [1.5]])
    assert ttfs.encode([[0.5], [1.5]], clip=True).amplitude_sums().tolist() == [[0.5], [1.0]]
    for options in ({"p": 1, "q": 1}, {"q": np.nan}, {"window": 0}):
        with pytest.raises(DataError):
            ttfs.encode([[0.5]], **options)


@pytest.mark.parametrize("density", [0.1, 1.0])
def test_poisson_is_the_stated_comparison(density):
    x = RNG.uniform(-1, 1, (3, 40)) * (RNG.random((3, 40)) < density)
    raster = poisson.encode(x, steps=20, gain=0.8, seed=9, name="eye")
    stream = key(9, "encoder", "poisson", "eye")
    draws = uniform(stream, np.arange(3)[:, None], np.arange(20), 40)
    expected = (np.abs(x)[:, None] * 0.8 > draws) * np.sign(x)[:, None]
    assert (raster.to_dense() == expected).all()


def test_poisson_chunks_change_nothing(monkeypatch):
    x = RNG.random((2, 30))
    whole = poisson.encode(x, steps=40, seed=1)
    monkeypatch.setattr(poisson, "CHUNK", 64)
    assert poisson.encode(x, steps=40, seed=1) == whole
    assert poisson.encode(x, steps=40, seed=2) != whole
    assert poisson.encode(x, steps=40, seed=1, name="other") != whole


def test_poisson_rate_and_extremes():
    raster = poisson.encode([[0.0, 1.0, -1.0, 0.3]], steps=4000, seed=0)
    decoded = poisson.decode(raster)[0]
    assert decoded[:3].tolist() == [0, 1, -1]
    assert abs(decoded[3] - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 4000)
    with pytest.raises(DataError, match="scale the values"):
        poisson.encode([[0.6]], steps=3, gain=2, seed=0)
    assert poisson.encode([[0.6]], steps=3, gain=2, seed=0, clip=True).n_spikes == 3
    for options in ({"steps": 0}, {"steps": 2.5}, {"steps": 3, "gain": 0}, {"steps": 3, "sample_ids": [1, 2]}):
        with pytest.raises(DataError):
            poisson.encode([[0.5]], seed=0, **options)


def test_constant_and_drive():
    drive = constant.encode([[1.0, -2.0]], gain=2.0, schedule=4)
    assert drive.values.tolist() == [[2, -4]] and drive.schedule == 4
    assert constant.decode(drive, gain=2.0).tolist() == [[1, -2]]
    with pytest.raises(ValueError, match="read-only"):
        drive.values[0, 0] = 1
    for schedule in ("always", 0, True, 1.5, [1, 2]):
        with pytest.raises(DataError, match="schedule"):
            Drive([[1.0]], schedule)
    assert Drive([[1.0]], [True, False]).schedule.tolist() == [True, False]
    with pytest.raises(DataError, match="gain"):
        constant.encode([[1.0]], gain=0)


def test_noise_is_a_factor_about_one_of_each_sample_and_element():
    x = np.array([[0.5, 0.0, -2.0], [1.0, 0.25, 0.0]])
    found = constant.encode(x, gain=2.0, noise=0.5, seed=7, name="image", sample_ids=[11, 3]).values
    u = uniform(key(7, "encoder", "constant", "image"), np.array([11, 3]), 0, 3)
    assert np.array_equal(found, 2 * (x * (1 + 0.5 * (u - 0.5)))) and (found[x == 0] == 0).all()


def test_latency_is_the_time_to_threshold_under_a_constant_current():
    x = RNG.uniform(0, 2, (3, 20))
    raster = ENCODERS["latency"].encode(x, tau=12.0, threshold=0.3)
    fired = x > 0.3
    assert np.array_equal(np.isfinite(raster.first_times()), fired)
    assert np.allclose((x * (1 - np.exp(-raster.first_times() / 12.0)))[fired], 0.3)
    assert np.allclose(ENCODERS["latency"].decode(raster, tau=12.0, threshold=0.3), np.where(fired, x, 0))
    grid = ENCODERS["latency"].encode(x, tau=12.0, threshold=0.3, dt_ms=0.5, duration=10.0)
    wanted = np.floor(raster.first_times() / 0.5)
    assert grid.duration == 20 and np.array_equal(grid.first_times(), np.where(wanted < 20, 0.5 * wanted, np.inf))
    with pytest.raises(DataError, match="tau"):
        ENCODERS["latency"].encode(x, tau=0)
