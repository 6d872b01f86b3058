"""Read a finished raster.h5 a block of spikes at a time, so that memory does not grow with the file."""

import h5py
import numpy as np

from eventsnn import raster_checks
from eventsnn.errors import RasterError
from eventsnn.files import raster_h5_layout as layout
from eventsnn.files.h5_safe import opened
from eventsnn.files.raster_h5_read import _meta
from eventsnn.raster import SpikeRaster

BLOCK = 2**20


def read_meta(path):
    """Return what the writer of a raster.h5 was given, and `raster_sha256`, without reading a spike.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict
    """
    with opened(path, RasterError) as source:
        return _meta(source, source.group(source.h5, "eventsnn"))


def read_heads(path):
    """Return {population: (Head, number of samples, number of spikes)} of a raster.h5 that eventsnn wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict
    """
    with opened(path, RasterError) as source:
        return {name: _head(source, name)[:3] for name in source.group(source.h5, "spikes")}


def read_blocks(path, name, block=BLOCK, *, amplitudes=False, samples=None):
    """Go through the spikes of one population, a block of one sample at a time.

    Parameters
    ----------
    path : str or Path
        A finished raster.h5 that eventsnn wrote; its digest is not checked (`read_rasters` does).
    name : str
        Population.
    block : int
        Most spikes at a time.
    amplitudes : bool
        Whether amplitudes come too (None where all are 1).
    samples : int, optional
        Stop after so many samples.

    Yields
    ------
    sample : int
        Ascending; samples without spikes do not come.
    times_ms : ndarray of float64
        Ascending within a sample.
    ids : ndarray of int64
    amplitudes : ndarray of float64 or None
        If asked for.
    """
    with opened(path, RasterError) as source:
        head, n_samples, _, offsets = _head(source, name)
        spikes, ours = source.group(source.group(source.h5, "spikes"), name), source.group(source.h5, "eventsnn")
        stamps, ids = (source.child(spikes, column, h5py.Dataset) for column in ("timestamps", "node_ids"))
        exact = source.child(source.group(ours, name), "times", h5py.Dataset)
        amps = source.child(source.group(ours, name), "amplitudes", h5py.Dataset) if amplitudes else None
        for sample in range(n_samples if samples is None else min(samples, n_samples)):
            for start in range(int(offsets[sample]), int(offsets[sample + 1]), block):
                stop = min(start + block, int(offsets[sample + 1]))
                times = layout.steps_or_times(stamps[start:stop], sample, head) if exact is None else exact[start:stop]
                columns = sample, times * (head.dt_ms or 1.0), ids[start:stop].astype("int64")
                yield (*columns, None if amps is None else amps[start:stop]) if amplitudes else columns


def read_first(path, name, samples):
    """Return the first samples of one population of a raster.h5 that eventsnn wrote.

    Parameters
    ----------
    path : str or Path
        Its digest is not checked (`read_rasters` does).
    name : str
        Population.
    samples : int
        How many; fewer where the file has fewer.

    Returns
    -------
    SpikeRaster
    """
    with opened(path, RasterError) as source:
        head, n_samples, _, _ = _head(source, name)
    n, parts = min(samples, n_samples), list(read_blocks(path, name, amplitudes=True, samples=samples))
    owner = np.repeat(np.array([p[0] for p in parts], np.int64), [p[1].size for p in parts])
    times, ids = (np.concatenate([np.empty(0), *(p[k] for p in parts)]) for k in (1, 2))
    amps = np.concatenate([p[3] for p in parts]) if parts and parts[0][3] is not None else None
    times = times if head.dt_ms is None else np.rint(times / head.dt_ms).astype(np.int64)
    return SpikeRaster.from_events(times, ids.astype(np.int32), amps, owner, size=head.size, duration=head.duration,
                                   dt_ms=head.dt_ms, n_samples=n, shape=head.shape)  # fmt: skip


def _head(source, name):
    """Return (Head, samples, spikes, offsets)."""
    own = source.group(source.group(source.h5, "eventsnn"), name)
    offsets = source.column(own, "sample_offsets", "i")
    stamps = source.child(source.group(source.group(source.h5, "spikes"), name), "timestamps", h5py.Dataset)
    if offsets is None or not offsets.size or stamps is None or offsets[-1] != stamps.shape[0]:
        raise source.fail(own.name, "sample_offsets do not end at the number of spikes; the file is damaged")
    grid = source.attribute(own, "clock") == "grid"
    values = [source.attribute(own, key) for key in ("size", "duration", "dt_ms", "shape")]
    values[2] = values[2] if grid else None
    return layout.Head(*raster_checks.header(*values)), offsets.size - 1, int(offsets[-1]), offsets
