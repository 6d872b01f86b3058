"""SpikeRaster: an immutable set of (time, neuron[, amplitude]); the input and the output of everything."""

import numpy as np

from eventsnn import raster_checks as checks
from eventsnn.errors import RasterError
from eventsnn.settings import as_numbers, check_number


class SpikeRaster:
    """Spikes of `size` neurons during one or more samples, sorted by (time, id) within each sample.

    Parameters
    ----------
    times : array (n_spikes,)
        With `dt_ms`: integer steps in [0, duration). Without: ms in [0, duration] (a spike at exactly `duration` is a
        forced or last one).
    ids : array of int (n_spikes,)
        Neuron ids in [0, size), row-major (y, x, channel).
    amplitudes : array of float (n_spikes,), optional
        What a weight is multiplied by; None (also stored for an array of ones) means 1. Never 0 on the grid clock.
    size : int
        Number of neurons, silent ones included.
    duration : int or float
        Length of every sample: steps on the grid clock, ms on the continuous one.
    dt_ms : float, optional
        Milliseconds per step: its presence makes the clock a grid.
    offsets : array of int (n_samples + 1,), optional
        Sample k owns `times[offsets[k]:offsets[k + 1]]`; None is one sample.
    shape : tuple of int, optional
        (y, x, channel) or (n,) with product `size`; default (size,). Not part of equality.

    Raises
    ------
    RasterError
        Naming the first spike that is unsorted, repeated (grid clock), out of range or not a number.
    """

    __slots__ = ("amplitudes", "dt_ms", "duration", "ids", "offsets", "shape", "size", "times")

    def __init__(self, times, ids, amplitudes=None, *, size, duration, dt_ms=None, offsets=None, shape=None):
        size, duration, dt_ms, shape = checks.header(size, duration, dt_ms, shape)
        times, ids, amplitudes = checks.columns(times, ids, amplitudes, size, duration, dt_ms)
        offsets = checks.sample_offsets(offsets, times.size)
        checks.order(times, ids, offsets, dt_ms is not None)
        self._fill(times, ids, amplitudes, size, duration, dt_ms, offsets, shape)

    def _fill(self, times, ids, amplitudes, size, duration, dt_ms, offsets, shape):
        columns = {"times": times, "ids": ids, "amplitudes": amplitudes, "offsets": offsets}
        scalars = {"size": size, "duration": duration, "dt_ms": dt_ms, "shape": shape}
        for name, value in (columns | scalars).items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def _trusted(cls, *fields):
        """Make a raster of columns known to be good (order of `_fill`): slices of a raster need no second look."""
        raster = object.__new__(cls)
        raster._fill(*fields)
        return raster

    def _like(self, times, ids, amplitudes, offsets):
        if amplitudes is not None and (amplitudes == 1).all():
            amplitudes = None
        return self._trusted(times, ids, amplitudes, self.size, self.duration, self.dt_ms, offsets, self.shape)

    def __setattr__(self, name, value=None):
        raise AttributeError(f"a SpikeRaster is immutable: cannot change {name!r}; build a new raster instead")

    __delattr__ = __setattr__

    def __reduce__(self):
        # for process executors: the default would set attributes one by one
        fields = (self.times, self.ids, self.amplitudes, self.size)
        return SpikeRaster._trusted, (*fields, self.duration, self.dt_ms, self.offsets, self.shape)

    @classmethod
    def from_events(
        cls, times, ids, amplitudes=None, samples=None, *, size, duration, dt_ms=None, n_samples=None, shape=None
    ):
        """Build a raster from spikes in any order; equal (sample, time, id) keep theirs.

        Parameters
        ----------
        times, ids, amplitudes, size, duration, dt_ms, shape
            As for SpikeRaster, unsorted.
        samples : array of int (n_spikes,), optional
            The sample of each spike; None is all in sample 0.
        n_samples : int, optional
            Number of samples; default the largest of `samples` plus one (at least 1).

        Returns
        -------
        SpikeRaster

        Raises
        ------
        RasterError
            As for SpikeRaster; also where a sample is out of range.
        """
        head = checks.header(size, duration, dt_ms, shape)
        return cls._trusted(*checks.sort_events(times, ids, amplitudes, samples, n_samples, head))

    @classmethod
    def from_dense(cls, array, *, dt_ms=1.0, shape=None):
        """Build a grid raster of the nonzero entries of `array` (samples, steps, size), finite numbers or bool."""
        array = as_numbers(array, "raster: from_dense: the array", "iufb", RasterError)
        if array.ndim != 3:
            raise RasterError(f"raster: from_dense needs numbers (sample, step, id), got shape {array.shape}")
        samples, times, ids = np.nonzero(array)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(samples, minlength=array.shape[0]))])
        values = array[samples, times, ids]
        size, steps = array.shape[2], array.shape[1]
        return cls(times, ids, values, size=size, duration=steps, dt_ms=dt_ms, offsets=offsets, shape=shape)

    def to_dense(self):
        """Return the amplitudes as float64 (samples, steps, size), 0 where silent; grid clock only."""
        if self.dt_ms is None:
            raise RasterError("raster: to_dense needs the grid clock; this raster has continuous times (dt_ms is None)")
        dense = np.zeros((self.n_samples, self.duration, self.size))
        values = 1.0 if self.amplitudes is None else self.amplitudes
        dense[self.sample_of_spike(), self.times, self.ids] = values
        return dense

    @classmethod
    def concatenate(cls, rasters):
        """Lay the samples of a list of rasters after one another; sizes, durations and clocks must agree."""
        rasters = list(rasters) if hasattr(rasters, "__iter__") else [rasters]
        checks.same_kind(rasters)
        amplitudes = [np.ones(r.n_spikes) if r.amplitudes is None else r.amplitudes for r in rasters]
        starts = np.cumsum([0] + [r.n_spikes for r in rasters])
        offsets = np.concatenate([[0]] + [r.offsets[1:] + s for r, s in zip(rasters, starts)]).astype(np.int64)
        times, ids = np.concatenate([r.times for r in rasters]), np.concatenate([r.ids for r in rasters])
        return rasters[0]._like(times, ids, np.concatenate(amplitudes), offsets)

    n_samples = property(lambda self: self.offsets.size - 1, doc="Number of samples.")
    n_spikes = property(lambda self: self.times.size, doc="Number of spikes in all samples.")
    clock = property(lambda self: "continuous" if self.dt_ms is None else "grid", doc="'grid' or 'continuous'.")
    times_ms = property(lambda self: self.times * (self.dt_ms or 1.0), doc="Spike times in ms, float64 (n_spikes,).")
    duration_ms = property(lambda self: self.duration * (self.dt_ms or 1.0), doc="Length of a sample in ms.")

    def sample_of_spike(self):
        """Return the sample of every spike, int64 (n_spikes,)."""
        return np.repeat(np.arange(self.n_samples), np.diff(self.offsets))

    def sample(self, k):
        """Return sample `k` (negative from the end) as a raster of one sample, without copying."""
        n = self.n_samples
        k = checks.whole("sample", k, -n, n - 1) % n if n else checks.whole("sample of an empty raster", k, 0, -1)
        part = slice(self.offsets[k], self.offsets[k + 1])
        amplitudes = None if self.amplitudes is None else self.amplitudes[part]
        times = self.times[part]
        return self._like(times, self.ids[part], amplitudes, np.array([0, times.size]))

    def select(self, samples):
        """Return the given samples (a slice, indices or a mask) in the given order."""
        try:
            index = samples if isinstance(samples, slice) else np.asarray(samples, None if np.size(samples) else np.int64)
            chosen = np.atleast_1d(np.arange(self.n_samples)[index])
        except (IndexError, ValueError) as error:
            raise RasterError(f"raster: select from {self.n_samples} samples: {error}") from None
        lengths = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        spikes = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        amplitudes = None if self.amplitudes is None else self.amplitudes[spikes]
        return self._like(self.times[spikes], self.ids[spikes], amplitudes, offsets)

    def _cells(self):
        return self.sample_of_spike() * self.size + self.ids

    def counts(self):
        """Return the spikes of every neuron, int64 (n_samples, size)."""
        cells = self.n_samples * self.size
        return np.bincount(self._cells(), minlength=cells).reshape(self.n_samples, self.size).astype(np.int64)

    def amplitude_sums(self):
        """Return the summed amplitudes of every neuron, float64 (n_samples, size), added in order of time."""
        sums = np.bincount(self._cells(), weights=self.amplitudes, minlength=self.n_samples * self.size)
        return sums.reshape(self.n_samples, self.size).astype(np.float64)

    def first_times(self):
        """Return each neuron's first spike in ms, float64 (n_samples, size), inf where it is silent."""
        first = np.full(self.n_samples * self.size, np.inf)
        first[self._cells()[::-1]] = self.times_ms[::-1]  # the last write wins, and that is the earliest spike
        return first.reshape(self.n_samples, self.size)

    def shifted(self, delta):
        """Return the raster `delta` later (steps or ms; negative: earlier); the duration grows by `delta`."""
        if self.dt_ms is not None:
            delta = checks.whole("delta (in steps)", delta, -self.duration)
        else:
            check_number(delta, "(-inf, inf)", "raster: delta, ms,", error=RasterError)
        return SpikeRaster(self.times + delta, self.ids, self.amplitudes, size=self.size, duration=self.duration + delta,
                           dt_ms=self.dt_ms, offsets=self.offsets, shape=self.shape)  # fmt: skip

    def permuted(self, order):
        """Return the raster whose neuron i is this one's neuron `order[i]` (as `array[:, order]`)."""
        order = as_numbers(order, "raster: order", "iu", RasterError)
        if order.shape != (self.size,) or not np.array_equal(np.sort(order), np.arange(self.size)):
            raise RasterError(f"raster: order must hold each id of [0, {self.size}) once")
        place = np.empty(self.size, np.int32)
        place[order] = np.arange(self.size)
        return SpikeRaster.from_events(
            self.times, place[self.ids], self.amplitudes, self.sample_of_spike(), size=self.size, duration=self.duration,
            dt_ms=self.dt_ms, n_samples=self.n_samples, shape=self.shape)  # fmt: skip

    def digest(self):
        """Return the SHA-256 (hex) over the little-endian columns, size, duration and dt; the shape is not in it."""
        scalars = (self.size, self.duration, self.dt_ms)
        return checks.digest(*scalars, self.offsets, self.times, self.ids, self.amplitudes)

    def __eq__(self, other):
        if not isinstance(other, SpikeRaster):
            return NotImplemented
        scalars = all(getattr(self, n) == getattr(other, n) for n in ("size", "duration", "dt_ms", "n_spikes"))
        if not scalars or (self.amplitudes is None) != (other.amplitudes is None):
            return False
        names = ("offsets", "times", "ids") if self.amplitudes is None else ("offsets", "times", "ids", "amplitudes")
        return all(np.array_equal(getattr(self, n), getattr(other, n)) for n in names)

    def __hash__(self):
        return hash((self.size, self.duration, self.dt_ms, self.n_spikes, self.times[:64].tobytes()))

    def __len__(self):
        return self.n_spikes

    def __repr__(self):
        unit = "ms" if self.dt_ms is None else f"steps of {self.dt_ms:g} ms"
        length = f"{self.n_samples} x {self.duration} {unit}"
        return f"SpikeRaster({self.n_spikes} spikes, {self.size} neurons, {length})"

    def to_npz(self, path):
        """Write the raster as a compressed .npz that `from_npz` and plain NumPy read."""
        from eventsnn.raster_io import to_npz

        to_npz(self, path)

    @classmethod
    def from_npz(cls, path):
        """Read a raster written by `to_npz`; raises RasterError where the file is damaged or not a raster."""
        from eventsnn.raster_io import from_npz

        return from_npz(path)

    def to_csv(self, path):
        """Write one line per spike: sample,time_ms,neuron,amplitude; the floats read back equal."""
        from eventsnn.raster_io import to_csv

        to_csv(self, path)
