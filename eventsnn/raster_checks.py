"""What makes a spike raster well formed: vectorised checks that name the first offender, order and digest."""

import hashlib
import math
from numbers import Integral, Real

import numpy as np

from eventsnn.errors import RasterError

MAX_SIZE = 2**31 - 1
_BLOCK = 1 << 20


def whole(name, value, low, high=2**62):
    """Return `value` as a Python int in [low, high], or raise RasterError naming it."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise RasterError(f"raster: {name} must be a whole number in [{low}, {high}], got {value!r}")
    return int(value)


def real(name, value, *, positive):
    """Return `value` as a finite Python float, positive or merely not negative, or raise RasterError."""
    number = float(value) if isinstance(value, (Real, np.number)) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        raise RasterError(f"raster: {name} must be a finite number {'>' if positive else '>='} 0 ms, got {value!r}")
    return number + 0.0


def header(size, duration, dt_ms, shape):
    """Check the four scalars of a raster and return them as plain Python values.

    Returns
    -------
    tuple
        (size, duration, dt_ms, shape); `duration` is int on the grid clock and float on the continuous one.
    """
    size = whole("size", size, 0, MAX_SIZE)
    if dt_ms is None:
        duration = real("duration", duration, positive=False)
    else:
        dt_ms = real("dt_ms", dt_ms, positive=True)
        duration = whole("duration (in steps, since dt_ms is given)", duration, 0)
    if shape is None:
        return size, duration, dt_ms, (size,)
    entries = tuple(shape) if isinstance(shape, tuple | list | np.ndarray) else (shape,)
    shape = tuple(whole("shape entry", n, 0, MAX_SIZE) for n in entries)
    if len(shape) not in (1, 2, 3) or math.prod(shape) != size:
        raise RasterError(
            f"raster: shape {shape} has product {math.prod(shape)} but size is {size}; "
            "give (n,) or (y, x, channel) with product = size, or leave shape out"
        )
    return size, duration, dt_ms, shape


def frozen(array, dtype):
    """Return `array` as a read-only C-contiguous array of `dtype`, copied only if someone could still write to it."""
    array = np.asarray(array)
    result = np.ascontiguousarray(array, dtype=dtype)
    owner = result
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            result = result.copy()
            break
        owner = owner.base
    result.flags.writeable = False
    return result


def _column(name, values, kinds, what):
    try:
        array = np.asarray(values)
    except ValueError:
        raise RasterError(f"raster: {name} must be one flat list of {what}, got a ragged one") from None
    if array.ndim != 1:
        raise RasterError(f"raster: {name} must have one dimension (one entry per spike), got shape {array.shape}")
    if array.size and array.dtype.kind not in kinds:
        raise RasterError(f"raster: {name} must be {what}, got dtype {array.dtype}")
    return array


def _first(mask, message):
    """Raise with `message(index)` at the first True of `mask`."""
    if mask.any():
        raise RasterError(message(int(mask.argmax())))


def columns(times, ids, amplitudes, size, duration, dt_ms):
    """Check types and ranges of the three columns and return them frozen; order is not looked at.

    Returns
    -------
    tuple of ndarray
        times (int64 steps or float64 ms), ids (int32), amplitudes (float64, or None when all are 1).

    Raises
    ------
    RasterError
        Naming the first spike that is out of range or not a number.
    """
    grid = dt_ms is not None
    times = _column("times", times, "iu" if grid else "iuf", "integer steps (dt_ms is given)" if grid else "numbers")
    ids = _column("ids", ids, "iu", "integers")
    if times.size != ids.size:
        raise RasterError(f"raster: times has {times.size} entries and ids has {ids.size}; both need one per spike")
    low, high = (times < 0, times >= duration) if grid else (~(times >= 0), ~(times <= duration))
    unit, end = ("steps", ")") if grid else ("ms", "]")
    _first(
        low | high,
        lambda k: f"raster: times[{k}] = {times[k]} lies outside [0, {duration}{end} {unit}; "
        "raise duration or drop the spike",
    )
    _first(
        (ids < 0) | (ids >= size),
        lambda k: f"raster: ids[{k}] = {ids[k]} lies outside [0, {size}); raise size or drop the spike",
    )
    # + 0.0 turns the float -0.0 into 0.0: equal rasters must have equal bytes
    times = frozen(times, np.int64) if grid else frozen(times + 0.0, np.float64)
    return times, frozen(ids, np.int32), _amplitudes(amplitudes, times.size, grid)


def _amplitudes(amplitudes, count, grid):
    if amplitudes is None:
        return None
    array = _column("amplitudes", amplitudes, "iufb", "numbers")
    if array.size != count:
        raise RasterError(f"raster: amplitudes has {array.size} entries for {count} spikes; give one per spike or None")
    array = array.astype(np.float64)
    _first(~np.isfinite(array), lambda k: f"raster: amplitudes[{k}] = {array[k]} is not finite")
    if grid:
        _first(array == 0, lambda k: f"raster: amplitudes[{k}] is 0, which on the grid clock is no spike; drop it")
    return None if (array == 1).all() else frozen(array + 0.0, np.float64)


def sample_offsets(offsets, count):
    """Check `offsets` (None: one sample) against `count` spikes and return them as frozen int64."""
    if offsets is None:
        return frozen(np.array([0, count]), np.int64)
    array = _column("offsets", offsets, "iu", "integers")
    if array.size < 1 or array[0] != 0 or array[-1] != count:
        ends = f"[{array[0]}, ..., {array[-1]}]" if array.size else "an empty list"
        raise RasterError(f"raster: offsets must run from 0 to the number of spikes ({count}), got {ends}")
    _first(
        array[1:] < array[:-1],
        lambda k: f"raster: offsets[{k + 1}] = {array[k + 1]} is smaller than offsets[{k}] = {array[k]}",
    )
    return frozen(array, np.int64)


def order(times, ids, offsets, grid):
    """Raise RasterError at the first spike that breaks the order (time, id) within its sample.

    Notes
    -----
    A pair (time, id) may repeat only on the continuous clock, where a neuron can spike twice at one instant.
    """
    later, earlier = times[1:], times[:-1]
    same = later == earlier
    repeated = (ids[1:] <= ids[:-1]) if grid else (ids[1:] < ids[:-1])
    bad = (later < earlier) | (same & repeated)
    borders = offsets[1:-1]
    bad[borders[(borders > 0) & (borders < times.size)] - 1] = False
    if not bad.any():
        return
    k = int(bad.argmax()) + 1
    sample = int(np.searchsorted(offsets, k, side="right")) - 1
    twice = grid and same[k - 1] and ids[k] == ids[k - 1]
    what = "repeats the one before it" if twice else "comes before the one before it"
    raise RasterError(
        f"raster: spike {k} (sample {sample}, time {times[k]}, id {ids[k]}) {what} "
        f"(time {times[k - 1]}, id {ids[k - 1]}); spikes must be sorted by (time, id) within a sample"
        + ("; a neuron spikes at most once per step" if twice else "; SpikeRaster.from_events sorts for you")
    )


def sort_events(times, ids, amplitudes, samples, n_samples, head):
    """Sort spikes in any order by (sample, time, id), stably; return the fields of `SpikeRaster._trusted`."""
    size, duration, dt_ms, shape = head
    times, ids, amplitudes = columns(times, ids, amplitudes, size, duration, dt_ms)
    samples = np.zeros(times.size, np.int64) if samples is None else _column("samples", samples, "iu", "integers")
    if samples.size != times.size:
        raise RasterError(f"raster: samples has {samples.size} entries for {times.size} spikes; give one per spike")
    largest = int(samples.max()) if samples.size else 0
    n_samples = whole("n_samples", largest + 1 if n_samples is None else n_samples, 0, MAX_SIZE)
    _first(
        (samples < 0) | (samples >= n_samples),
        lambda k: f"raster: samples[{k}] = {samples[k]} lies outside [0, {n_samples})",
    )
    if dt_ms is not None and n_samples * duration * size < 2**62:
        key = (samples.astype(np.int64) * duration + times) * size + ids
        new = np.argsort(key, kind="stable")  # one key sorts three times as fast as three
    else:
        new = np.lexsort((ids, times, samples))
    counts = np.bincount(samples.astype(np.int64), minlength=n_samples)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    amplitudes = None if amplitudes is None else amplitudes[new]
    order(times[new], ids[new], offsets, dt_ms is not None)
    return times[new], ids[new], amplitudes, size, duration, dt_ms, offsets, shape


def same_kind(rasters):
    """Raise RasterError unless there is a raster and all have the size, duration and clock of the first."""
    if not rasters:
        raise RasterError("raster: concatenate needs at least one raster, got none")
    for k, other in enumerate(rasters):
        if not all(hasattr(other, name) for name in ("size", "duration", "dt_ms", "offsets")):
            raise RasterError(f"raster: concatenate needs SpikeRasters, number {k} is of type {type(other).__name__}")
        for name in ("size", "duration", "dt_ms"):
            got, want = getattr(other, name), getattr(rasters[0], name)
            if got != want:
                raise RasterError(f"raster: cannot concatenate: raster {k} has {name} {got}, raster 0 has {want}")


def digest(size, duration, dt_ms, offsets, times, ids, amplitudes):
    """SHA-256 over the little-endian columns and the scalars of a raster, in blocks.

    Parameters
    ----------
    size, duration, dt_ms
        As in SpikeRaster.
    offsets, times, ids, amplitudes : array-like
        Anything sliceable, so that a file too large for memory is hashed as well; `amplitudes` may be None.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    grid = dt_ms is not None
    scalars = f"steps {duration} of {dt_ms.hex()}" if grid else f"ms {duration.hex()}"
    sha = hashlib.sha256(f"eventsnn raster 1: size {size}, {scalars}, spikes {len(times)}".encode())
    parts = [("<i8", offsets), ("<i8" if grid else "<f8", times), ("<i4", ids), ("<f8", amplitudes)]
    for dtype, part in parts:
        for start in range(0, 0 if part is None else len(part), _BLOCK):
            sha.update(np.ascontiguousarray(part[start : start + _BLOCK], dtype=dtype))
    return sha.hexdigest()
