"""Recordings of event cameras and artificial cochleas: tonic-style arrays and N-MNIST .bin files <-> SpikeRaster.

Notes
-----
Times of events are whole microseconds. On the continuous clock an event keeps its time (t_ms = t_us / 1000, which
rounds once and is undone exactly); on the grid it falls into step floor(t_us / dt_us).
N-MNIST (G. Orchard et al., Frontiers in Neuroscience 9:437, 2015): five bytes per event: x, y, then one bit of polarity
(1 = ON) and 23 bits of time in microseconds, most significant byte first.
"""

import math
from pathlib import Path

import numpy as np

from eventsnn.errors import RasterError
from eventsnn.raster import SpikeRaster

CAMERA_DTYPE = np.dtype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
AUDIO_DTYPE = np.dtype([("t", "<i8"), ("x", "<i2"), ("p", "?")])
NMNIST_SHAPE = (34, 34, 2)
SEVERAL = ("count", "once")
_BIN_BYTES = 5
_BIN_LONGEST = 2**23


def from_events_array(events, shape, *, dt_ms=None, duration_ms=None, several="count", crop=False):
    """Turn tonic-style event arrays into a raster, one sample per array.

    Parameters
    ----------
    events : structured array, or list of them
        Fields x, y, t (microseconds), p for a camera; t, x, p or t, x for audio. Any order of fields and events.
    shape : tuple of int
        (y, x, channels) of a camera, the channel being p; (n,) of audio, the channel being x.
    dt_ms : float, optional
        Step of the grid, a whole number of microseconds; None keeps the continuous clock.
    duration_ms : float, optional
        Length of every sample; default up to the last event of all.
    several : {'count', 'once'}
        Events of one pixel in one step (grid only): one spike with their number as amplitude, or with amplitude 1.
    crop : bool
        Drop events after `duration_ms` instead of refusing them.

    Returns
    -------
    SpikeRaster

    Raises
    ------
    RasterError
        Naming the recording and the first event outside the sensor or the duration.
    """
    recordings = [events] if isinstance(events, np.ndarray) else list(events)
    shape = _check_request(shape, several)
    columns = [_columns(recording, shape, k) for k, recording in enumerate(recordings)]
    times, ids = (np.concatenate(column) for column in zip((np.zeros(0, np.int64),) * 2, *columns))
    samples = np.repeat(np.arange(len(columns)), [t.size for t, _ in columns])
    if crop and duration_ms is not None:
        inside = times < duration_ms * 1000
        times, ids, samples = times[inside], ids[inside], samples[inside]
    options = {"size": math.prod(shape), "shape": shape, "n_samples": len(columns)}
    if dt_ms is None:
        duration = times.max(initial=0) / 1000 if duration_ms is None else duration_ms
        return SpikeRaster.from_events(times / 1000, ids, None, samples, duration=duration, **options)
    return _binned(times, ids, samples, dt_ms, duration_ms, several, options)


def _check_request(shape, several):
    shape = tuple(int(n) for n in shape)
    if several not in SEVERAL:
        raise RasterError(f"events: several must be one of {', '.join(SEVERAL)}, got {several!r}")
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise RasterError(f"events: shape must be (y, x, channels) or (n,), got {shape}")
    return shape


def _columns(events, shape, k):
    """Check one recording and return its times (us) and row-major ids."""
    events = np.asarray(events)
    fields = events.dtype.names or ()
    needed = ("x", "y", "t", "p") if len(shape) == 3 else ("x", "t")
    missing = [name for name in needed if name not in fields]
    if missing or events.ndim != 1:
        raise RasterError(
            f"events: recording {k} must be a flat structured array with fields {', '.join(needed)} for shape {shape}, "
            f"got fields {', '.join(fields) or 'none'}, shape {events.shape}"
        )
    limits = dict(zip(("y", "x", "p") if len(shape) == 3 else ("x",), shape)) | {"t": 2**62}
    for name, limit in limits.items():
        values = events[name]
        if values.dtype.kind not in "iub":
            raise RasterError(f"events: recording {k}: field {name} must hold whole numbers, got {values.dtype}")
        bad = (values < 0) | (values >= limit)
        if bad.any():
            first = int(bad.argmax())
            raise RasterError(f"events: recording {k}: event {first}: {name} = {values[first]} not in [0, {limit})")
    x, t = events["x"].astype(np.int64), events["t"].astype(np.int64)
    if len(shape) == 1:
        return t, x
    return t, (events["y"].astype(np.int64) * shape[1] + x) * shape[2] + events["p"]


def _binned(times, ids, samples, dt_ms, duration_ms, several, options):
    """Bin events to steps; events of one pixel in one step become one spike."""
    dt_us = round(dt_ms * 1000) if np.isfinite(dt_ms) else 0
    if dt_us < 1 or not math.isclose(dt_us, dt_ms * 1000, rel_tol=1e-9):
        raise RasterError(f"events: dt_ms must be a whole number of microseconds, at least 0.001, got {dt_ms}")
    steps = times // dt_us
    last = int(steps.max()) + 1 if steps.size else 0
    duration = last if duration_ms is None else math.ceil(round(duration_ms * 1000) / dt_us)
    order = np.lexsort((ids, steps, samples))
    steps, ids, samples = steps[order], ids[order], samples[order]
    new = np.ones(steps.size, bool)
    new[1:] = (np.diff(steps) != 0) | (np.diff(ids) != 0) | (np.diff(samples) != 0)
    amplitudes = np.diff(np.append(np.flatnonzero(new), steps.size)) if several == "count" else None
    columns = (steps[new], ids[new], amplitudes, samples[new])
    return SpikeRaster.from_events(*columns, duration=duration, dt_ms=dt_ms, **options)


def to_events_array(raster):
    """Turn a raster into tonic-style arrays, one per sample.

    Parameters
    ----------
    raster : SpikeRaster
        Shape (y, x, channels) gives x, y, t, p; shape (n,) gives t, x, p. Amplitudes that are whole and positive
        repeat the event; times are rounded to microseconds.

    Returns
    -------
    list of structured array
        Sorted by time.

    Raises
    ------
    RasterError
        An amplitude is no positive whole number, or there are more than two channels.
    """
    shape = raster.shape
    camera = len(shape) == 3
    if len(shape) == 2 or (camera and shape[2] > 2):
        raise RasterError(f"events: the shape must be (y, x, 1 or 2) or (n,), got {shape}")
    repeats = np.ones(raster.n_spikes) if raster.amplitudes is None else raster.amplitudes
    bad = (repeats < 1) | (repeats != np.rint(repeats))
    if bad.any():
        k = int(bad.argmax())
        raise RasterError(f"events: spike {k} has the amplitude {repeats[k]}; events keep whole counts only")
    repeats = repeats.astype(np.int64)
    events = np.empty(int(repeats.sum()), CAMERA_DTYPE if camera else AUDIO_DTYPE)
    ids = np.repeat(raster.ids.astype(np.int64), repeats)
    events["t"] = np.repeat(np.rint(raster.times_ms * 1000).astype(np.int64), repeats)
    events["p"] = ids % shape[2] if camera else 1
    events["x"] = ids // shape[2] % shape[1] if camera else ids
    if camera:
        events["y"] = ids // (shape[2] * shape[1])
    ends = np.concatenate([[0], np.cumsum(repeats)])[raster.offsets]
    return np.split(events, ends[1:-1]) if raster.n_samples else []


def decode_nmnist(data, where="N-MNIST data"):
    """Decode the bytes of one N-MNIST .bin.

    Parameters
    ----------
    data : bytes
        Five bytes per event.
    where : str
        What to name in an error.

    Returns
    -------
    structured array of CAMERA_DTYPE
        In the order of the file.

    Raises
    ------
    RasterError
        The length is no multiple of five, or an event lies outside the 34 x 34 sensor.
    """
    if len(data) % _BIN_BYTES:
        raise RasterError(f"{where}: {len(data)} bytes are no multiple of 5; the recording is cut short, copy it again")
    raw = np.frombuffer(data, np.uint8).reshape(-1, _BIN_BYTES).astype(np.int64)
    events = np.empty(len(raw), CAMERA_DTYPE)
    events["x"], events["y"], events["p"] = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    events["t"] = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    height, width, _ = NMNIST_SHAPE
    bad = (events["x"] >= width) | (events["y"] >= height)
    if bad.any():
        k = int(bad.argmax())
        x, y = events["x"][k], events["y"][k]
        raise RasterError(f"{where}: event {k} lies at x = {x}, y = {y}, outside the 34 x 34 sensor; is this N-MNIST?")
    return events


def encode_nmnist(events):
    """Return the five-byte-per-event form of a camera array (x, y < 256, t < 2**23 microseconds)."""
    events = np.asarray(events)
    for name, limit in (("x", 256), ("y", 256), ("t", _BIN_LONGEST)):
        if events.size and not 0 <= int(events[name].min()) <= int(events[name].max()) < limit:
            raise RasterError(f"events: N-MNIST needs {name} in [0, {limit}), got up to {events[name].max()}")
    raw = np.empty((len(events), _BIN_BYTES), np.uint8)
    t = events["t"].astype(np.int64)
    raw[:, 0], raw[:, 1] = events["x"], events["y"]
    raw[:, 2] = events["p"].astype(np.int64) << 7 | t >> 16
    raw[:, 3], raw[:, 4] = t >> 8 & 255, t & 255
    return raw.tobytes()


def read_nmnist_bin(path, **options):
    """Read one N-MNIST .bin as a raster of shape (34, 34, 2); options as in `from_events_array`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise RasterError(f"{path}: cannot be read: {error.strerror}") from None
    return from_events_array(decode_nmnist(data, str(path)), NMNIST_SHAPE, **options)
