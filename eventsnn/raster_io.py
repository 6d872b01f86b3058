"""A raster as .npz (in and out) and CSV (out)."""

import itertools

import numpy as np

from eventsnn.disk import finished, read_npz
from eventsnn.errors import RasterError

_LINES = 1 << 16


def to_npz(raster, path):
    """Write `raster` to `path` (see SpikeRaster.to_npz); equal rasters give equal bytes."""
    arrays = {"times": raster.times, "ids": raster.ids, "offsets": raster.offsets, "size": raster.size}
    arrays |= {"duration": raster.duration, "shape": np.array(raster.shape, np.int64)}
    if raster.amplitudes is not None:
        arrays["amplitudes"] = raster.amplitudes
    if raster.dt_ms is not None:
        arrays["dt_ms"] = raster.dt_ms
    with finished(path) as part, open(part, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def from_npz(path):
    """Read a raster from `path` (see SpikeRaster.from_npz)."""
    from eventsnn.raster import SpikeRaster

    arrays = read_npz(path, RasterError)
    missing = [n for n in ("times", "ids", "size", "duration") if n not in arrays]
    if missing:
        raise RasterError(f"{path}: not a raster: lacks {missing}; needs times, ids, size and duration")
    options = {}
    for name in ("size", "duration", "dt_ms"):
        if name in arrays:
            if arrays[name].size != 1:
                raise RasterError(f"{path}: {name} must be one number, got shape {arrays[name].shape}")
            options[name] = arrays[name].reshape(-1)[0].item()
    for name in ("offsets", "shape", "amplitudes"):
        options[name] = arrays.get(name)
    try:
        return SpikeRaster(arrays["times"], arrays["ids"], **options)
    except RasterError as error:
        raise RasterError(f"{path}: {error}") from None


def to_csv(raster, path):
    """Write `raster` to `path` (see SpikeRaster.to_csv); Python's shortest float text reads back to the same bits."""
    samples, times, amplitudes = raster.sample_of_spike(), raster.times_ms, raster.amplitudes
    with finished(path) as part, open(part, "w", encoding="ascii", newline="\n") as stream:
        stream.write("sample,time_ms,neuron,amplitude\n")
        for start in range(0, raster.n_spikes, _LINES):
            block = slice(start, start + _LINES)
            factors = itertools.repeat(1.0) if amplitudes is None else amplitudes[block].tolist()
            rows = zip(samples[block].tolist(), times[block].tolist(), raster.ids[block].tolist(), factors)
            stream.writelines(f"{sample},{time!r},{neuron},{factor!r}\n" for sample, time, neuron, factor in rows)
