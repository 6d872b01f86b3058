"""RasterWriter: rasters written slice by slice, safe against a kill at any instant."""

import contextlib
from pathlib import Path

import h5py
import numpy as np

from eventsnn import disk
from eventsnn.errors import RasterError
from eventsnn.files import raster_h5_layout as layout
from eventsnn.files.h5_safe import SteadyFile
from eventsnn.files.raster_h5_read import last_slice


class RasterWriter:
    """Write rasters slice by slice; every slice is flushed, and the file takes its name when all are there.

    Parameters
    ----------
    path : str or Path
        Final name. Slices go to `path + ".part"`, which `read_rasters(..., partial=True)` reads after a kill.
    meta : dict, optional
        As in `write_rasters`; `writer.meta` may be changed until the end.
    resume : bool
        Go on with the slices of a readable `.part` (see `n_samples`, `n_slices`); otherwise start anew.

    Attributes
    ----------
    n_samples, n_slices : int
        Samples and slices that are safely in the file.

    Notes
    -----
    At the end the slices are copied to a file of their own, so that it has the same bytes however the run was sliced,
    killed or resumed. Leaving a `with` block by an exception keeps the `.part` and touches nothing else.
    """

    def __init__(self, path, meta=None, *, resume=False):
        self.path, self.meta = Path(path), dict(meta or {})
        self.part = Path(f"{path}.part")
        self.n_samples = self.n_slices = 0
        self._heads = None
        try:
            if not (resume and self.part.exists() and self._reopen()):
                self._open("w+b", "w")
                layout.start_file(self._h5)
                self._flush()
        except OSError as error:
            raise disk.disk_error(self.path, error) from error

    def _open(self, mode, h5_mode):
        self._file = SteadyFile(self.part, mode)
        self._h5 = h5py.File(self._file, h5_mode, libver=layout.GROWING_FORMAT)

    def _flush(self):
        self._h5.flush()
        self._file.check()

    def _reopen(self):
        """Open the `.part` of a killed writer and cut it back to its last whole slice; False if it cannot be used."""
        try:
            before = last_slice(self.part)
        except RasterError:
            return False
        if before is None:
            return False
        self._open("r+b", "r+")
        self.n_slices, self.n_samples, self._heads, spikes = before
        self._h5["eventsnn"][layout.SLICES].resize(self.n_slices, axis=0)
        for name, count in spikes.items():
            for data in self._growing(self._h5, name).values():
                data.resize(count, axis=0)
            offsets = self._h5["eventsnn"][name]["sample_offsets"]
            offsets.resize(self.n_samples + 1, axis=0)
            offsets[-1] = count
        self._flush()
        return True

    @staticmethod
    def _growing(h5, name):
        spikes, ours = h5["spikes"][name], h5["eventsnn"][name]
        columns = {"timestamps": spikes["timestamps"], "node_ids": spikes["node_ids"], "times": ours["times"]}
        return columns | ({"amplitudes": ours["amplitudes"]} if "amplitudes" in ours else {})

    @staticmethod
    def _create(group, name, dtype, fill=0):
        options = {"maxshape": (None,), "chunks": (layout.CHUNK,), "fillvalue": fill, "track_times": False}
        return group.create_dataset(name, (0,), dtype, **options)

    def _start(self, rasters):
        """Create the populations of the first slice; later slices must bring the same."""
        self._heads = {name: layout.Head.of(raster) for name, raster in rasters.items()}
        for name, head in self._heads.items():
            spikes, ours = layout.start_population(self._h5, name, head)
            self._create(spikes, "timestamps", "<f8").attrs["units"] = np.bytes_("ms")
            self._create(spikes, "node_ids", "<u8")
            self._create(ours, "times", "<f8" if head.dt_ms is None else "<i8")
            self._create(ours, "sample_offsets", "<i8").resize(1, axis=0)
        table = {"maxshape": (None, len(rasters) + 1), "chunks": (1024, len(rasters) + 1), "fillvalue": -1}
        shape = (0, len(rasters) + 1)
        self._h5["eventsnn"].create_dataset(layout.SLICES, shape, "<i8", track_times=False, **table)

    def _check(self, rasters, continues):
        heads = {name: layout.Head.of(raster) for name, raster in rasters.items()}
        if heads != self._heads:
            differ = sorted(set(heads) ^ set(self._heads)) or [n for n in heads if heads[n] != self._heads[n]]
            raise RasterError(
                f"{self.path}: a slice must hold the populations, sizes and durations of the first; differs in {differ}"
            )
        counts = {raster.n_samples for raster in rasters.values()}
        if len(counts) > 1:
            raise RasterError(f"{self.path}: the populations of a slice have different numbers of samples: {counts}")
        if continues and (counts != {1} or not self.n_samples):
            raise RasterError(f"{self.path}: a slice that continues a sample has one sample and is not the first")
        for name, raster in rasters.items():
            layout.check_axis(name, self._heads[name], self.n_samples + raster.n_samples)
            if continues:
                self._check_later(name, raster)

    def _check_later(self, name, raster):
        columns, begin = self._growing(self._h5, name), int(self._h5["eventsnn"][name]["sample_offsets"][-2])
        if not raster.n_spikes or columns["times"].shape[0] <= begin:
            return
        last = (columns["times"][-1], columns["node_ids"][-1])
        first = (raster.times[0], raster.ids[0])
        if first < last or (first == last and raster.dt_ms is not None):
            raise RasterError(f"{self.path}: population '{name}': slice starts at {first}, last spike was {last}")

    def append(self, rasters, *, continues=False):
        """Append one slice and flush it.

        Parameters
        ----------
        rasters : dict of str to SpikeRaster
            The same populations, sizes and durations in every slice.
        continues : bool
            False: new samples. True: the next stretch of time of the last sample (one sample, later spikes).

        Raises
        ------
        RasterError
            The slice does not fit to those before it; nothing of it is written.
        RunError
            The disk is full.
        """
        rasters = layout.check_rasters(rasters)
        try:
            if self._heads is None:
                self._start(rasters)
            self._check(rasters, continues)
            row = [self._extend(name, raster, continues) for name, raster in rasters.items()]
            self._flush()
            samples = self.n_samples
            if not continues:
                samples += next(iter(rasters.values())).n_samples if rasters else 0
            table = self._h5["eventsnn"][layout.SLICES]
            table.resize(self.n_slices + 1, axis=0)
            table[-1] = [samples, *row]
            self._flush()
        except OSError as error:
            raise disk.disk_error(self.path, error) from error
        self.n_samples, self.n_slices = samples, self.n_slices + 1

    def _extend(self, name, raster, continues):
        ours = self._h5["eventsnn"][name]
        start, first = ours["times"].shape[0], self.n_samples - bool(continues)
        stop = start + raster.n_spikes
        if raster.amplitudes is not None and "amplitudes" not in ours:
            self._create(ours, "amplitudes", "<f8", 1.0)  # what lies before is filled with 1
        values = {"times": raster.times, "node_ids": raster.ids, "amplitudes": raster.amplitudes}
        values["timestamps"] = layout.timestamps(raster.times, raster.sample_of_spike() + first, self._heads[name])
        for column, data in self._growing(self._h5, name).items():
            data.resize(stop, axis=0)
            if values[column] is not None:
                data[start:stop] = values[column]
        ends = raster.offsets[1:] + start
        offsets = ours["sample_offsets"]
        offsets.resize(first + 1 + ends.size, axis=0)
        offsets[first + 1 :] = ends
        return stop

    def close(self):
        """Copy the slices to their final form, rename it to `path` and remove the `.part`."""
        populations = {}
        try:
            for name, head in (self._heads or {}).items():
                columns = self._growing(self._h5, name)
                offsets = self._h5["eventsnn"][name]["sample_offsets"][:]
                parts = (columns["times"], columns["node_ids"], columns.get("amplitudes"), offsets)
                populations[name] = (head, layout.Columns(*parts))
            layout.write_file(self.path, populations, self.meta, ".whole.part")
        finally:
            self.abort()
        self.part.unlink(missing_ok=True)

    def abort(self):
        """Close the file and leave what was flushed as `.part`."""
        with contextlib.suppress(RuntimeError, OSError):
            self._h5.close()
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.close()
        else:
            self.abort()
