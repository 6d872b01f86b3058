"""Read a finished raster.h5 a block of spikes at a time, so that memory does not grow with the file."""

import h5py

from eventsnn import raster_checks
from eventsnn.errors import RasterError
from eventsnn.files import raster_h5_layout as layout
from eventsnn.files.h5_safe import opened
from eventsnn.files.raster_h5_read import _meta

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


def read_blocks(path, name, block=BLOCK):
    """Go through the spikes of one population, a block of one sample at a time.

    Parameters
    ----------
    path : str or Path
        A finished raster.h5 that eventsnn wrote; its digest is not checked (`read_rasters` does).
    name : str
        Population.
    block : int
        Most spikes at a time.

    Yields
    ------
    sample : int
        Ascending; samples without spikes do not come.
    times_ms : ndarray of float64
        Ascending within a sample.
    ids : ndarray of int64
    """
    with opened(path, RasterError) as source:
        head, n_samples, _, offsets = _head(source, name)
        spikes, ours = source.group(source.group(source.h5, "spikes"), name), source.group(source.h5, "eventsnn")
        stamps, ids = (source.child(spikes, column, h5py.Dataset) for column in ("timestamps", "node_ids"))
        exact = source.child(source.group(ours, name), "times", h5py.Dataset)
        for sample in range(n_samples):
            for start in range(int(offsets[sample]), int(offsets[sample + 1]), block):
                stop = min(start + block, int(offsets[sample + 1]))
                times = layout.steps_or_times(stamps[start:stop], sample, head) if exact is None else exact[start:stop]
                yield sample, times * (head.dt_ms or 1.0), ids[start:stop].astype("int64")


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
