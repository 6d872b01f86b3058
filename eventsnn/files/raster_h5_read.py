"""Read raster.h5 and other SONATA spike files without trusting a byte of them."""

import hashlib
import json

import h5py
import numpy as np

from eventsnn import raster_checks
from eventsnn.errors import RasterError
from eventsnn.files import raster_h5_layout as layout
from eventsnn.files.h5_safe import opened
from eventsnn.raster import SpikeRaster

_UNITS = {"ms": 1.0, "milliseconds": 1.0, "s": 1000.0, "seconds": 1000.0, "us": 1e-3, "microseconds": 1e-3}


def read_rasters(path, *, sizes=None, partial=False):
    """Read all populations of a raster.h5 or of another program's SONATA spike file.

    Parameters
    ----------
    path : str or Path
        The file. Nothing outside it is opened and no size it declares is believed.
    sizes : dict of str to int, optional
        Number of neurons where the file does not say (no /eventsnn); default the largest id plus one.
    partial : bool
        Accept the `.part` of a writer that was stopped and read its whole slices.

    Returns
    -------
    rasters : dict of str to SpikeRaster
        Files without /eventsnn come on the continuous clock, with the last spike as duration.
    meta : dict
        What the writer was given, and `raster_sha256`.

    Raises
    ------
    RasterError
        With the file, the path inside it, what is wrong and what to do.
    """
    with opened(path, RasterError) as source:
        spikes = source.group(source.h5, "spikes")
        ours = source.child(source.h5, "eventsnn", h5py.Group)
        if ours is None:
            return {name: _foreign(source, source.group(spikes, name), name, sizes) for name in spikes}, {}
        meta, complete = _meta(source, ours), source.attribute(ours, "complete", 0)
        if complete != 1 and not partial:
            problem = "is not 1: the writer was stopped; resume the run, or read with partial=True"
            raise source.fail("/eventsnn@complete", problem)
        slices = _slices(source, ours, sorted(spikes)) if complete != 1 else None
        if complete != 1 and slices is None:
            return {}, meta
        rasters = {name: _population(source, spikes, ours, name, slices) for name in spikes}
        if complete == 1:
            _check_digest(source, rasters, meta)
        return rasters, meta


def _check_digest(source, rasters, meta):
    lines = "".join(f"{name} {rasters[name].digest()}\n" for name in sorted(rasters))
    if hashlib.sha256(lines.encode()).hexdigest() != meta.get("raster_sha256"):
        raise source.fail("/eventsnn@raster_sha256", "differs from the spikes: the file was damaged or edited")


def last_slice(path):
    """Return (slices, samples, {name: Head}, {name: spikes}) of a `.part` file, or None where no slice is whole."""
    with opened(path, RasterError) as source:
        spikes, ours = source.group(source.h5, "spikes"), source.group(source.h5, "eventsnn")
        found = None if source.attribute(ours, "complete", 0) == 1 else _slices(source, ours, sorted(spikes))
        if found is None:
            return None
        rasters = {name: _population(source, spikes, ours, name, found) for name in spikes}
        count, samples, rows = found
        return count, samples, {name: layout.Head.of(r) for name, r in rasters.items()}, rows


def _slices(source, ours, names):
    """Return (slices, samples, {name: spikes}) of the last whole slice, or None."""
    table = source.column(ours, layout.SLICES, "i", rank=2)
    if table is None or table.shape[1] != len(names) + 1:
        return None
    whole = np.minimum.accumulate((table >= 0).all(axis=1)) if len(table) else np.zeros(0, bool)
    count = int(whole.sum())
    if not count:
        return None
    samples, *spikes = table[count - 1].tolist()
    return count, samples, dict(zip(names, spikes))


def _meta(source, ours):
    version = source.attribute(ours, "format")
    if version != layout.FORMAT:
        raise source.fail("/eventsnn@format", f"must be {layout.FORMAT}, got {version!r}; use a matching eventsnn")
    meta = {name: source.attribute(ours, name) for name in ours.attrs if name not in ("format", "complete")}
    data = source.column(ours, layout.META, "u")
    rest = {} if data is None else json.loads(data.astype(np.uint8).tobytes())
    if not isinstance(rest, dict):
        raise source.fail(f"/eventsnn/{layout.META}", "must be a JSON object")
    return rest | meta


def _population(source, spikes, ours, name, slices):
    """Read one population written by eventsnn; `slices` cuts a `.part` back to its last whole slice."""
    group, own = source.group(spikes, name), source.group(ours, name)
    stamps_rows, sample_rows = (slices[2][name], slices[1] + 1) if slices else (None, None)
    stamps, ids = _stamps(source, group, stamps_rows)
    offsets = source.column(own, "sample_offsets", "i", sample_rows)
    if offsets is None or not offsets.size or offsets[0] != 0 or (np.diff(offsets) < 0).any():
        raise source.fail(f"{own.name}/sample_offsets", "must start at 0 and never decrease; the file is damaged")
    if slices:
        offsets[-1] = stamps.size
    size, duration = source.attribute(own, "size"), source.attribute(own, "duration")
    dt_ms, shape = source.attribute(own, "dt_ms"), source.attribute(own, "shape")
    grid = source.attribute(own, "clock") == "grid"
    try:
        head = layout.Head(*raster_checks.header(size, duration, dt_ms if grid else None, shape))
        layout.check_axis(name, head, offsets.size - 1)
        times = source.column(own, "times", "if", stamps_rows)
        if offsets[-1] != stamps.size or (grid and dt_ms is None):
            raise RasterError("sample_offsets do not end at the number of spikes, or dt_ms is missing")
        samples = layout.owners(offsets, 0, stamps.size)
        if times is None:
            times = layout.steps_or_times(stamps, samples, head)
        if not np.array_equal(layout.timestamps(times, samples, head), stamps):
            raise RasterError("timestamps do not lie where dt_ms, duration and sample_offsets say")
        options = {"size": size, "duration": head.duration, "dt_ms": head.dt_ms, "offsets": offsets, "shape": shape}
        return SpikeRaster(times, ids, source.column(own, "amplitudes", "f", stamps_rows), **options)
    except RasterError as error:
        message = str(error)
        raise error if message.startswith(str(source.path)) else source.fail(group.name, message) from None


def _stamps(source, group, rows=None):
    """Read timestamps and node ids of a population and check that they are finite and belong together."""
    stamps = source.column(group, "timestamps", "fiu", rows)
    ids = source.column(group, "node_ids", "iu", rows)
    if stamps is None or ids is None:
        raise source.fail(group.name, "needs the data sets timestamps and node_ids")
    if stamps.size != ids.size:
        raise source.fail(group.name, f"timestamps has {stamps.size} rows, node_ids {ids.size}; they belong together")
    stamps = stamps.astype(np.float64)
    bad = ~(np.isfinite(stamps) & (stamps >= 0))
    if bad.any():
        k = int(bad.argmax())
        raise source.fail(f"{group.name}/timestamps", f"entry {k} is {stamps[k]}; must be a finite time >= 0")
    if source.attribute(group, "sorting", "none") == "by_time" and (stamps[1:] < stamps[:-1]).any():
        k = int((stamps[1:] < stamps[:-1]).argmax()) + 1
        raise source.fail(f"{group.name}/timestamps", f"entry {k} ({stamps[k]}) is earlier than the one before it")
    return stamps, ids


def _foreign(source, group, name, sizes):
    """Read a population of another program's file: continuous clock, sorted here."""
    stamps, ids = _stamps(source, group)
    unit = source.attribute(source.child(group, "timestamps", h5py.Dataset), "units", "ms")
    if unit not in _UNITS:
        raise source.fail(f"{group.name}/timestamps@units", f"is {unit!r}; allowed: {', '.join(_UNITS)}")
    stamps = stamps * _UNITS[unit]
    size = (sizes or {}).get(name, int(ids.max()) + 1 if ids.size else 0)
    duration = float(stamps.max()) if stamps.size else 0.0
    try:
        return SpikeRaster.from_events(stamps, ids, size=size, duration=duration)
    except RasterError as error:
        raise source.fail(group.name, str(error)) from None
