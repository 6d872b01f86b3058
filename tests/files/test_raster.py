"""SpikeRaster: what it accepts, what it refuses and how it says so, and the ways in and out."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.errors import RasterError
from eventsnn.raster import SpikeRaster


@st.composite
def rasters(draw, grid=None):
    """Rasters on either clock, with and without amplitudes, with empty samples."""
    grid = draw(st.booleans()) if grid is None else grid
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    samples, size, steps = (draw(st.integers(1, 5)) for _ in range(3))
    if grid:
        dense = rng.choice([0, 0, 1, -0.5, 2.25] if draw(st.booleans()) else [0, 1], (samples, steps, size))
        return SpikeRaster.from_dense(dense, dt_ms=draw(st.sampled_from([1.0, 0.1, 0.25])))
    count, duration = draw(st.integers(0, 40)), draw(st.floats(0.1, 1e3))
    amplitudes = rng.normal(size=count) if draw(st.booleans()) else None
    columns = (rng.random(count) * duration, rng.integers(0, size, count), amplitudes, rng.integers(0, samples, count))
    return SpikeRaster.from_events(*columns, size=size, duration=duration, n_samples=samples)


def test_grid_fields():
    raster = SpikeRaster([0, 1, 1], [2, 0, 1], [1, -1, 2.5], size=3, duration=2, dt_ms=0.5, shape=(1, 1, 3))
    assert (raster.clock, raster.n_samples, raster.n_spikes, len(raster)) == ("grid", 1, 3, 3)
    assert raster.times.dtype == np.int64 and raster.ids.dtype == np.int32 and raster.amplitudes.dtype == np.float64
    assert raster.times_ms.tolist() == [0, 0.5, 0.5] and raster.duration_ms == 1.0
    assert raster.shape == (1, 1, 3) and "3 spikes" in repr(raster) and "0.5 ms" in repr(raster)


def test_continuous_fields():
    raster = SpikeRaster([0.5, 0.5, 2.0], [1, 1, 0], size=2, duration=2)
    assert (raster.clock, raster.dt_ms, raster.amplitudes) == ("continuous", None, None)
    assert raster.shape == (2,) and raster.duration == 2.0


def test_ones_are_no_amplitudes():
    assert SpikeRaster([0], [0], [1.0], size=1, duration=1).amplitudes is None
    assert SpikeRaster([], [], [], size=1, duration=1, dt_ms=1).amplitudes is None


BAD = [
    ({"times": [3, 1], "ids": [0, 0]}, r"spike 1 .*before the one before it.*from_events"),
    ({"times": [1, 1], "ids": [1, 0]}, r"spike 1 "),
    ({"times": [1, 1], "ids": [0, 0]}, r"repeats.*at most once per step"),
    ({"times": [1, 5], "ids": [0, 0]}, r"times\[1\] = 5 .*\[0, 5\)"),
    ({"times": [-1], "ids": [0]}, r"times\[0\] = -1"),
    ({"times": [0.5], "ids": [0]}, r"integer steps"),
    ({"times": [1], "ids": [2]}, r"ids\[0\] = 2 .*\[0, 2\)"),
    ({"times": [1], "ids": [-1]}, r"ids\[0\] = -1"),
    ({"times": [1], "ids": [0.0]}, r"ids must be integers"),
    ({"times": [1, 2], "ids": [0]}, r"2 entries and ids has 1"),
    ({"times": [[1]], "ids": [0]}, r"one dimension"),
    ({"times": [[1], [1, 2]], "ids": [0]}, r"ragged"),
    ({"times": [1], "ids": [0], "amplitudes": [np.nan]}, r"amplitudes\[0\] is nan|amplitudes\[0\] = nan"),
    ({"times": [1], "ids": [0], "amplitudes": [0]}, r"amplitudes\[0\] is 0"),
    ({"times": [1], "ids": [0], "amplitudes": [1, 2]}, r"2 entries for 1"),
    ({"times": [1], "ids": [0], "amplitudes": ["a"]}, r"must be numbers"),
    ({"times": [1], "ids": [0], "offsets": [0, 2]}, r"offsets must run from 0"),
    ({"times": [1], "ids": [0], "offsets": []}, r"offsets must run from 0"),
    ({"times": [1], "ids": [0], "offsets": [0, 1, 0, 1]}, r"offsets\[2\] = 0"),
    ({"times": [1], "ids": [0], "shape": (3,)}, r"product 3 but size is 2"),
    ({"times": [1], "ids": [0], "size": -1}, r"size must be a whole number"),
    ({"times": [1], "ids": [0], "size": 2**31}, r"size must be"),
    ({"times": [1], "ids": [0], "duration": 2.5}, r"duration \(in steps"),
    ({"times": [1], "ids": [0], "dt_ms": 0}, r"dt_ms must be a finite number > 0"),
    ({"times": [1], "ids": [0], "dt_ms": np.nan}, r"dt_ms"),
    ({"times": [np.nan], "ids": [0], "dt_ms": None}, r"times\[0\] = nan"),
    ({"times": [np.inf], "ids": [0], "dt_ms": None}, r"times\[0\] = inf"),
    ({"times": [5.1], "ids": [0], "dt_ms": None}, r"times\[0\] = 5.1 .*\[0, 5.0\]"),
    ({"times": [1.0], "ids": [0], "dt_ms": None, "duration": np.inf}, r"duration must be a finite"),
    ({"times": [1.0], "ids": [0], "dt_ms": None, "duration": "long"}, r"duration must be a finite"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_refusals(change, message):
    options = {"size": 2, "duration": 5, "dt_ms": 1.0} | change
    with pytest.raises(RasterError, match=message):
        SpikeRaster(**options)


def test_order_is_per_sample():
    raster = SpikeRaster([4, 0, 2, 0], [0, 0, 0, 0], size=1, duration=5, dt_ms=1, offsets=[0, 1, 1, 3, 4, 4])
    assert raster.n_samples == 5 and raster.sample(-2).times.tolist() == [0]
    with pytest.raises(RasterError, match=r"spike 2 \(sample 2, time 0"):
        SpikeRaster([4, 2, 0, 0], [0, 0, 0, 0], size=1, duration=5, dt_ms=1, offsets=[0, 1, 1, 3, 4])


def test_immutable_and_independent_of_the_callers_arrays():
    times, ids = np.array([0, 1]), np.array([0, 0], np.int32)
    raster = SpikeRaster(times, ids, size=1, duration=2, dt_ms=1)
    times[0] = ids[0] = 9
    assert raster.times.tolist() == [0, 1] and raster.ids.tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        raster.times[0] = 1
    with pytest.raises(AttributeError, match="immutable"):
        raster.size = 3
    with pytest.raises(AttributeError, match="immutable"):
        del raster.size
    view = np.arange(2, dtype=np.int32)
    locked = view[:]
    locked.flags.writeable = False
    raster = SpikeRaster(locked, locked, size=2, duration=2, dt_ms=1)
    view[:] = 7
    assert raster.ids.tolist() == [0, 1]


def test_negative_zero_is_zero():
    minus, plus = (SpikeRaster([zero], [0], size=1, duration=1) for zero in (-0.0, 0.0))
    assert minus.digest() == plus.digest()


def test_digest_and_equality_see_every_field():
    base = {"times": [1, 2], "ids": [0, 1], "size": 2, "duration": 5, "dt_ms": 1.0}
    changes = [{}, {"ids": [0, 0]}, {"times": [1, 3]}, {"size": 3}, {"duration": 6}, {"dt_ms": 2.0}, {"dt_ms": None}]
    changes += [{"amplitudes": [1, 2]}, {"offsets": [0, 1, 2]}, {"offsets": [0, 2, 2]}]
    made = [SpikeRaster(**(base | change)) for change in changes]
    assert len({raster.digest() for raster in made}) == len(made)
    assert all((a == b) == (a is b) for a in made for b in made)
    assert made[0] == SpikeRaster(**base, shape=(2, 1, 1)) and hash(made[0]) == hash(SpikeRaster(**base))
    assert made[0] != "raster"


def test_digest_is_fixed():
    """The digest is part of files: it must not change with NumPy, the platform or this package's version."""
    raster = SpikeRaster([0, 1], [1, 0], [1, 0.5], size=2, duration=3, dt_ms=0.1)
    assert raster.digest() == "15cc7ae8bdf158ae007d612522138ef3f50474ad0592bcacf4dc67091a216483"


def test_counts_sums_and_first_times():
    raster = SpikeRaster([0, 1, 1, 2], [1, 0, 1, 1], [1, 2, 3, 4], size=3, duration=4, dt_ms=0.5, offsets=[0, 3, 4])
    assert raster.counts().tolist() == [[1, 2, 0], [0, 1, 0]]
    assert raster.amplitude_sums().tolist() == [[2, 4, 0], [0, 4, 0]]
    assert raster.first_times().tolist() == [[0.5, 0.0, np.inf], [np.inf, 1.0, np.inf]]
    empty = SpikeRaster([], [], size=2, duration=1, dt_ms=1)
    assert empty.counts().tolist() == [[0, 0]] and empty.first_times().tolist() == [[np.inf, np.inf]]
    assert empty.amplitude_sums().dtype == np.float64


@given(rasters(grid=True))
def test_dense_round_trip(raster):
    dense = raster.to_dense()
    assert SpikeRaster.from_dense(dense, dt_ms=raster.dt_ms) == raster
    assert np.array_equal(dense.sum(axis=1), raster.amplitude_sums())
    assert np.array_equal((dense != 0).sum(axis=1), raster.counts())


def test_dense_refusals():
    with pytest.raises(RasterError, match="grid clock"):
        SpikeRaster([0.0], [0], size=1, duration=1).to_dense()
    with pytest.raises(RasterError, match="sample, step, id"):
        SpikeRaster.from_dense(np.zeros((2, 2)))


@given(rasters(), st.randoms(use_true_random=False))
def test_from_events_sorts_and_is_stable(raster, random):
    order = list(range(raster.n_spikes))
    random.shuffle(order)
    if raster.clock == "continuous":
        order.sort(key=lambda k: (raster.sample_of_spike()[k], raster.times[k]))
    amplitudes = None if raster.amplitudes is None else raster.amplitudes[order]
    columns = (raster.times[order], raster.ids[order], amplitudes, raster.sample_of_spike()[order])
    options = {"size": raster.size, "duration": raster.duration, "dt_ms": raster.dt_ms, "n_samples": raster.n_samples}
    assert SpikeRaster.from_events(*columns, **options) == raster


def test_from_events_keeps_equal_spikes_in_order():
    raster = SpikeRaster.from_events([1.0, 1.0, 0.0], [0, 0, 0], [5, 6, 7], size=1, duration=1)
    assert raster.amplitudes.tolist() == [7, 5, 6]
    with pytest.raises(RasterError, match="at most once per step"):
        SpikeRaster.from_events([1, 1], [0, 0], size=1, duration=2, dt_ms=1)
    with pytest.raises(RasterError, match=r"samples\[1\] = 2"):
        SpikeRaster.from_events([1, 1], [0, 0], samples=[0, 2], size=1, duration=2, n_samples=2)
    with pytest.raises(RasterError, match="one per spike"):
        SpikeRaster.from_events([1, 1], [0, 0], samples=[0], size=1, duration=2)


@given(rasters())
def test_samples_select_concatenate(raster):
    parts = [raster.sample(k) for k in range(raster.n_samples)]
    assert SpikeRaster.concatenate(parts) == raster
    backwards = raster.select(slice(None, None, -1))
    assert backwards == SpikeRaster.concatenate(parts[::-1])
    assert raster.select([0, 0]) == SpikeRaster.concatenate([parts[0], parts[0]])
    mask = np.arange(raster.n_samples) % 2 == 0
    assert raster.select(mask) == SpikeRaster.concatenate(parts[::2])


def test_sample_and_concatenate_refusals():
    raster = SpikeRaster([0], [0], size=1, duration=1, dt_ms=1)
    for k in (1, -2, 0.5):
        with pytest.raises(RasterError, match="sample must be a whole number"):
            raster.sample(k)
    with pytest.raises(RasterError, match="select from 1 samples"):
        raster.select([3])
    with pytest.raises(RasterError, match="at least one"):
        SpikeRaster.concatenate([])
    with pytest.raises(RasterError, match="raster 1 has duration 2, raster 0 has 1"):
        SpikeRaster.concatenate([raster, SpikeRaster([0], [0], size=1, duration=2, dt_ms=1)])


@given(rasters(grid=True), st.integers(0, 7), st.randoms(use_true_random=False))
def test_shift_and_permutation(raster, delta, random):
    shifted = raster.shifted(delta)
    assert shifted.duration == raster.duration + delta and shifted.shifted(-delta) == raster
    order = list(range(raster.size))
    random.shuffle(order)
    assert np.array_equal(raster.permuted(order).to_dense(), raster.to_dense()[:, :, order])


def test_shift_and_permutation_refusals():
    raster = SpikeRaster([0, 1], [0, 1], size=2, duration=2, dt_ms=1)
    with pytest.raises(RasterError, match=r"times\[0\] = -1"):
        raster.shifted(-1)
    with pytest.raises(RasterError, match="whole number"):
        raster.shifted(0.5)
    with pytest.raises(RasterError, match="each id"):
        raster.permuted([0, 0])


@settings(max_examples=30, deadline=None)
@given(rasters())
def test_npz_and_pickle_round_trip(tmp_path_factory, raster):
    path = tmp_path_factory.mktemp("npz") / "raster.npz"
    raster.to_npz(path)
    back = SpikeRaster.from_npz(path)
    assert back == raster and back.shape == raster.shape and back.digest() == raster.digest()
    again = pickle.loads(pickle.dumps(raster))  # what a process executor does with an argument
    assert again == raster and not again.times.flags.writeable


def test_npz_refusals(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, times=[1])
    with pytest.raises(RasterError, match=r"bad.npz: not a raster: lacks \['ids', 'size', 'duration'\]"):
        SpikeRaster.from_npz(path)
    np.savez(path, times=[3, 1], ids=[0, 0], size=1, duration=5.0)
    with pytest.raises(RasterError, match=r"bad.npz: raster: spike 1"):
        SpikeRaster.from_npz(path)
    np.savez(path, times=np.array([{}], object), ids=[0], size=1, duration=5.0)
    with pytest.raises(RasterError, match="Python objects"):
        SpikeRaster.from_npz(path)
    np.savez(path, times=[1], ids=[0], size=[1, 2], duration=5.0)
    with pytest.raises(RasterError, match="size must be one number"):
        SpikeRaster.from_npz(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RasterError, match="damaged or truncated"):
        SpikeRaster.from_npz(path)
    with pytest.raises(RasterError, match="no such file"):
        SpikeRaster.from_npz(tmp_path / "absent.npz")


def test_csv_reads_back_to_the_bit(tmp_path):
    raster = SpikeRaster([0.1, 1 / 3], [1, 0], [1, -0.3], size=2, duration=1, offsets=[0, 1, 2])
    raster.to_csv(tmp_path / "r.csv")
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines[0] == "sample,time_ms,neuron,amplitude" and lines[1] == "0,0.1,1,1.0"
    assert float(lines[2].split(",")[1]) == 1 / 3
    assert not list(tmp_path.glob("*.part"))


def test_ten_thousand_samples():
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 50, 10**6)
    samples = rng.integers(0, 10**4, 10**6)
    ids = rng.integers(0, 1000, 10**6)
    cells = np.unique((samples * 50 + steps) * 1000 + ids)
    columns = (cells // 1000 % 50, cells % 1000)
    offsets = np.searchsorted(cells // 50_000, np.arange(10**4 + 1))
    raster = SpikeRaster(*columns, size=1000, duration=50, dt_ms=1, offsets=offsets)
    assert raster.n_spikes == cells.size and raster.counts().sum() == cells.size
    assert raster.select(np.arange(10**4)) == raster
