"""Layout of raster.h5: SONATA spikes, and beside them under /eventsnn what makes a raster recoverable bit for bit.

Notes
-----
Samples lie after one another on SONATA's time axis: sample k is shifted by k * duration, so that `sorting = by_time` is
true of the whole file. Grid clock: timestamp = n * dt with the whole number n = k * duration + step. Two roundings
change n by less than n * 2**-52, so n = rint(timestamp / dt) is exact for n < 2**51, and larger n are refused.
Continuous clock: where the shift rounds, the true times are stored under /eventsnn/<population>/times.
"""

import hashlib
import json
from dataclasses import dataclass

import h5py
import numpy as np

from eventsnn import disk, raster_checks
from eventsnn.errors import RasterError
from eventsnn.files.h5_safe import new_file

MAGIC = 0x0A7A
FORMAT = 1
CHUNK = 1 << 16
SORTING = {"none": 0, "by_id": 1, "by_time": 2}
# every object header and superblock of this range carries a checksum, and HDF5 1.8 still reads it
FINAL_FORMAT = ("v108", "v110")
# these never move a chunk once it is written: what was flushed survives a kill
GROWING_FORMAT = ("earliest", "v110")
OURS = ("format", "complete", "raster_sha256")
META, SLICES = "meta.json", "slices.table"
_GRID_LIMIT = 2**51
_ATTRIBUTE_BYTES = 4096


@dataclass(frozen=True)
class Head:
    """The scalars of a raster."""

    size: int
    duration: int | float
    dt_ms: float | None
    shape: tuple

    @classmethod
    def of(cls, raster):
        """Take the scalars from `raster`."""
        return cls(raster.size, raster.duration, raster.dt_ms, raster.shape)


@dataclass(frozen=True)
class Columns:
    """The columns of a population: NumPy arrays or HDF5 data sets (only sliced); `amplitudes` may be None."""

    times: object
    ids: object
    amplitudes: object
    offsets: np.ndarray


def owners(offsets, start, stop):
    """Return the sample of each spike in [start, stop)."""
    return np.repeat(np.arange(offsets.size - 1), np.diff(np.clip(offsets, start, stop)))


def timestamps(times, samples, head):
    """Shift times of the given samples onto SONATA's time axis, ms float64, never decreasing."""
    if head.dt_ms is not None:
        return (samples * head.duration + times) * head.dt_ms
    # rounding may lift the end of a sample above the start of the next one; min keeps the order
    return np.minimum(samples * head.duration + times, (samples + 1) * head.duration)


def steps_or_times(stamps, samples, head):
    """Undo `timestamps`: exact on the grid, exact on the continuous clock unless the shift rounded."""
    if head.dt_ms is None:
        return stamps - samples * head.duration
    return np.rint(stamps / head.dt_ms).astype(np.int64) - samples * head.duration


def check_axis(name, head, n_samples):
    """Raise RasterError where so many samples of this length do not fit on one exact time axis."""
    length = n_samples * head.duration
    if head.dt_ms is not None and length >= _GRID_LIMIT:
        raise RasterError(f"population '{name}': {n_samples} samples of {head.duration} steps exceed 2**51 steps")
    if not np.isfinite(length * (head.dt_ms or 1.0)):
        raise RasterError(f"population '{name}': {n_samples} samples of {head.duration} end beyond all numbers")


def check_name(name):
    """Raise RasterError unless `name` can name an HDF5 group."""
    if not isinstance(name, str) or not name or name in (".", "..", META, SLICES) or "/" in name or "\0" in name:
        raise RasterError(f"population name {name!r} cannot be stored; use a text without '/', e.g. 'hidden1'")


def check_rasters(rasters):
    """Check the names and return the rasters in the order in which they are written."""
    for name in rasters:
        check_name(name)
    return dict(sorted(rasters.items()))


def start_file(h5):
    """Write the root attributes and groups; `complete` stays 0 until the very end."""
    h5.attrs.create("magic", MAGIC, dtype="<u4")
    h5.attrs.create("version", np.array([0, 1]), dtype="<u4")
    h5.create_group("spikes")
    ours = h5.create_group("eventsnn")
    ours.attrs.create("format", FORMAT, dtype="<i8")
    ours.attrs.create("complete", 0, dtype="<i8")


def start_population(h5, name, head):
    """Create the two groups of a population with their attributes and return them."""
    spikes, ours = h5["spikes"].create_group(name), h5["eventsnn"].create_group(name)
    spikes.attrs.create("sorting", SORTING["by_time"], dtype=h5py.enum_dtype(SORTING, basetype="u1"))
    clock = "continuous" if head.dt_ms is None else "grid"
    ours.attrs["clock"] = np.bytes_(clock)
    ours.attrs["size"] = head.size
    ours.attrs["shape"] = np.array(head.shape, "<i8")
    ours.attrs["duration"] = head.duration
    ours.attrs["sample_duration_ms"] = head.duration * (head.dt_ms or 1.0)
    if head.dt_ms is not None:
        ours.attrs["dt_ms"] = head.dt_ms
    return spikes, ours


def _column(group, name, dtype, count, block, *, packed=True):
    """Write `count` rows in whole chunks: the same calls in the same order give the same bytes.

    SONATA's own two columns are not `packed`: the HDF5 inside libsonata's wheels (0.2.2) is built without zlib.
    """
    options = {"chunks": (min(CHUNK, count),), "fletcher32": True}
    options |= {"compression": "gzip", "compression_opts": 4, "shuffle": True} if packed else {}
    data = group.create_dataset(name, (count,), dtype, track_times=False, **(options if count else {}))
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        data[start:stop] = block(start, stop)
    return data


def _write_population(h5, name, head, columns):
    """Write one finished population in blocks and return the digest of its raster."""
    offsets, count = np.asarray(columns.offsets, np.int64), len(columns.times)
    check_axis(name, head, offsets.size - 1)
    spikes, ours = start_population(h5, name, head)

    def stamps(start, stop):
        return timestamps(columns.times[start:stop], owners(offsets, start, stop), head)

    def rounded(start, stop):
        back = steps_or_times(stamps(start, stop), owners(offsets, start, stop), head)
        return not np.array_equal(back, columns.times[start:stop])

    _column(spikes, "timestamps", "<f8", count, stamps, packed=False).attrs["units"] = np.bytes_("ms")
    _column(spikes, "node_ids", "<u8", count, lambda a, b: columns.ids[a:b], packed=False)
    _column(ours, "sample_offsets", "<i8", offsets.size, lambda a, b: offsets[a:b])
    if head.dt_ms is None and any(rounded(a, min(a + CHUNK, count)) for a in range(0, count, CHUNK)):
        _column(ours, "times", "<f8", count, lambda a, b: columns.times[a:b])
    if columns.amplitudes is not None:
        _column(ours, "amplitudes", "<f8", count, lambda a, b: columns.amplitudes[a:b])
    parts = (offsets, columns.times, columns.ids, columns.amplitudes)
    digest = raster_checks.digest(head.size, head.duration, head.dt_ms, *parts)
    ours.attrs["sha256"] = np.bytes_(digest)
    return digest


def _write_meta(h5, meta):
    """Store short texts and numbers of `meta` as attributes of /eventsnn, the rest as JSON in /eventsnn/meta.json."""
    ours, rest = h5["eventsnn"], {}
    for key in sorted(meta):
        value = meta[key]
        if not isinstance(key, str) or key in OURS or not key or "\0" in key:
            raise RasterError(f"meta key {key!r} cannot be stored; use a text other than {', '.join(OURS)}")
        if type(value) is float or (type(value) is int and -(2**63) <= value < 2**63):
            ours.attrs[key] = value
        elif type(value) is str and value.isascii() and 0 < len(value) <= _ATTRIBUTE_BYTES and "\0" not in value:
            ours.attrs[key] = np.bytes_(value)
        else:
            rest[key] = value
    try:
        text = json.dumps(rest, sort_keys=True, ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise RasterError(f"meta of a raster file must be texts, numbers, lists and dicts: {error}") from None
    data = np.frombuffer(text.encode("ascii"), np.uint8)
    _column(ours, META, "u1", data.size, lambda a, b: data[a:b])


def _finish_file(h5, digests):
    """Write the digest over all populations and, last of all, `complete = 1`."""
    lines = "".join(f"{name} {digests[name]}\n" for name in sorted(digests))
    h5["eventsnn"].attrs["raster_sha256"] = np.bytes_(hashlib.sha256(lines.encode()).hexdigest())
    h5.flush()
    h5["eventsnn"].attrs.modify("complete", np.int64(1))


def write_file(path, populations, meta, suffix=".part"):
    """Write {name: (Head, Columns)} under the temporary name `path + suffix` and rename it to `path`."""
    with disk.finished(path, suffix) as part, new_file(part, FINAL_FORMAT) as h5:
        start_file(h5)
        digests = {name: _write_population(h5, name, *parts) for name, parts in populations.items()}
        _write_meta(h5, meta)
        _finish_file(h5, digests)
