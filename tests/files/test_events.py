"""Event-camera and audio events <-> rasters, and N-MNIST's five-byte format."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn.errors import RasterError
from eventsnn.files.events import (
    AUDIO_DTYPE,
    CAMERA_DTYPE,
    NMNIST_SHAPE,
    decode_nmnist,
    encode_nmnist,
    from_events_array,
    read_nmnist_bin,
    to_events_array,
)
from eventsnn.raster import SpikeRaster


def camera(rows):
    """Rows of (x, y, t in us, p)."""
    return np.array(rows, CAMERA_DTYPE)


@st.composite
def recordings(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        events = np.zeros(draw(st.integers(0, 60)), CAMERA_DTYPE)
        events["x"], events["y"] = rng.integers(0, 5, (2, events.size))
        events["p"], events["t"] = rng.integers(0, 2, events.size), np.sort(rng.integers(0, 3000, events.size))
        found.append(events)
    return found


def canonical(events):
    return np.sort(events, order=["t", "y", "x", "p"])


def test_ids_are_row_major():
    raster = from_events_array(camera([(1, 0, 500, 1), (0, 2, 1000, 0)]), (3, 4, 2), duration_ms=2)
    assert raster.ids.tolist() == [(0 * 4 + 1) * 2 + 1, (2 * 4 + 0) * 2]
    assert raster.times.tolist() == [0.5, 1.0]
    assert (raster.clock, raster.shape, raster.size) == ("continuous", (3, 4, 2), 24)


@given(recordings())
def test_continuous_round_trip_is_exact(found):
    back = to_events_array(from_events_array(found, (5, 5, 2)))
    assert len(back) == len(found)
    assert all(np.array_equal(canonical(a), canonical(b)) for a, b in zip(found, back))


@given(recordings(), st.sampled_from([0.1, 0.25, 1.0]))
def test_binning_counts_every_event(found, dt_ms):
    counted = from_events_array(found, (5, 5, 2), dt_ms=dt_ms, duration_ms=3)
    once = from_events_array(found, (5, 5, 2), dt_ms=dt_ms, duration_ms=3, several="once")
    dense = np.zeros((len(found), round(3 / dt_ms), 50))
    for k, events in enumerate(found):
        ids = (events["y"].astype(int) * 5 + events["x"]) * 2 + events["p"]
        np.add.at(dense, (k, events["t"] // round(dt_ms * 1000), ids), 1)
    assert np.array_equal(counted.to_dense(), dense) and np.array_equal(once.to_dense(), dense > 0)
    assert sum(map(len, to_events_array(counted))) == sum(map(len, found))


def test_default_duration_and_crop():
    events = camera([(0, 0, 999, 0), (0, 0, 2500, 0)])
    assert from_events_array(events, (1, 1, 1), dt_ms=1.0).duration == 3
    assert from_events_array(events, (1, 1, 1)).duration == 2.5
    for options in ({}, {"dt_ms": 1.0}):
        with pytest.raises(RasterError, match=r"times\[1\]"):
            from_events_array(events, (1, 1, 1), duration_ms=2, **options)
        assert len(from_events_array(events, (1, 1, 1), duration_ms=2, crop=True, **options)) == 1
    assert from_events_array(camera([]), (2, 2, 2), dt_ms=1).duration == 0
    assert from_events_array([], (2, 2, 2), dt_ms=1).n_samples == 0


def test_audio():
    events = np.array([(5, 3, 1), (0, 1, 1)], AUDIO_DTYPE)
    raster = from_events_array(events, (4,))
    assert raster.ids.tolist() == [1, 3] and raster.shape == (4,)
    assert np.array_equal(to_events_array(raster)[0], np.sort(events, order="t"))
    bare = np.array([(5, 3)], [("t", "i8"), ("x", "i8")])
    assert from_events_array(bare, (4,)).n_spikes == 1


@pytest.mark.parametrize(
    ("events", "options", "message"),
    [
        (camera([(0, 0, 0, 0), (4, 0, 0, 0)]), {}, r"recording 0: event 1: x = 4 not in \[0, 4\)"),
        (camera([(0, 3, 0, 0)]), {}, r"y = 3 not in \[0, 3\)"),
        (camera([(0, 0, -1, 0)]), {}, r"t = -1"),
        (np.zeros(3), {}, "structured array with fields x, y, t, p"),
        (np.zeros(1, [("x", "f8"), ("y", "i4"), ("t", "i8"), ("p", "i1")]), {}, "field x must hold whole numbers"),
        (camera([]), {"several": "sum"}, "must be one of count, once"),
        (camera([]), {"dt_ms": 0.0005}, "whole number of microseconds"),
        (camera([]), {"dt_ms": 0.3333}, "whole number of microseconds"),
        (camera([]), {"dt_ms": np.nan}, "whole number of microseconds"),
        (camera([]), {"shape": (2, 2)}, r"\(y, x, channels\)"),
    ],
)
def test_refusals(events, options, message):
    with pytest.raises(RasterError, match=message):
        from_events_array(events, **({"shape": (3, 4, 2)} | options))


def test_rasters_that_are_no_events():
    with pytest.raises(RasterError, match=r"amplitude 0\.5"):
        to_events_array(SpikeRaster([0], [0], [0.5], size=1, duration=1, dt_ms=1))
    with pytest.raises(RasterError, match="shape"):
        to_events_array(SpikeRaster([0], [0], size=3, duration=1, dt_ms=1, shape=(1, 1, 3)))


@given(recordings())
def test_nmnist_bytes_round_trip(found):
    for events in found:
        assert np.array_equal(decode_nmnist(encode_nmnist(events)), events)


def test_nmnist_bytes_by_hand():
    events = decode_nmnist(bytes([33, 2, 0x80 | 0x7F, 0xFF, 0xFE, 0, 1, 0x01, 0x02, 0x03]))
    assert events.tolist() == [(33, 2, 0x7FFFFE, True), (0, 1, 0x010203, False)]


def test_nmnist_files(tmp_path):
    path = tmp_path / "00001.bin"
    path.write_bytes(encode_nmnist(camera([(1, 2, 1500, 1)])))
    raster = read_nmnist_bin(path, dt_ms=1.0)
    assert raster.shape == NMNIST_SHAPE
    assert raster.times.tolist() == [1] and raster.ids.tolist() == [(2 * 34 + 1) * 2 + 1]
    path.write_bytes(b"1234567")
    with pytest.raises(RasterError, match=r"00001.bin: 7 bytes are no multiple of 5"):
        read_nmnist_bin(path)
    path.write_bytes(bytes([34, 0, 0, 0, 0]))
    with pytest.raises(RasterError, match="event 0 lies at x = 34"):
        read_nmnist_bin(path)
    with pytest.raises(RasterError, match="cannot be read"):
        read_nmnist_bin(tmp_path / "absent.bin")
    with pytest.raises(RasterError, match="t in"):
        encode_nmnist(camera([(0, 0, 2**23, 0)]))
