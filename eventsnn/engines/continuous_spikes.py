"""Spikes of one node while a run goes on, and the sources that fill them from outside: rasters and Poisson trains."""

from dataclasses import dataclass

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines.by_time import sort_window
from eventsnn.errors import RunError
from eventsnn.random import key, key_words, uniform_at
from eventsnn.raster import SpikeRaster
from eventsnn.settings import as_numbers, check_number


class SpikeLog:
    """A growing list of spikes, sorted by (time, id); spikes that nobody needs any more may be dropped.

    Attributes
    ----------
    times, ids, amps : ndarray
        Room for more than `n` spikes.
    n : int
        Spikes held.
    told : int
        Spikes that were handed out already (`RunResult` or a callback).
    total : int
        Spikes since the beginning.
    """

    def __init__(self, room=4096):
        self.times, self.ids, self.amps = np.empty(room), np.empty(room, np.uint32), np.ones(room)
        self.spare = (np.empty(0), np.empty(0, np.uint32), np.empty(0))
        self.n = self.told = self.total = 0
        self.kernel = specialise(sort_window)

    def grow(self, room=0):
        """At least double the room."""
        room = max(room, 2 * self.times.size)
        for name in ("times", "ids", "amps"):
            old = getattr(self, name)
            new = np.ones(room) if name == "amps" else np.empty(room, old.dtype)
            new[:old.size] = old
            setattr(self, name, new)

    def sort(self, first):
        """Sort the spikes from `first` on by (time, id)."""
        if self.n - first > 1:
            if self.spare[0].size < self.n - first:
                self.spare = tuple(np.empty(2 * (self.n - first), a.dtype) for a in (self.times, self.ids, self.amps))
            self.kernel(self.times, self.ids, self.amps, first, self.n, *self.spare)

    def drop(self, count):
        """Forget the first `count` spikes."""
        for array in (self.times, self.ids, self.amps):
            array[:self.n - count] = array[count:self.n].copy()
        self.n, self.told = self.n - count, self.told - count


def within(raster, duration):
    """Return what a run of `duration` ms takes of a raster: all where that is its length, else the spikes before it."""
    if raster.duration == duration:
        return raster
    kept, amplitudes = raster.times < duration, raster.amplitudes
    offsets = np.concatenate(([0], np.cumsum(kept)))[raster.offsets]
    return SpikeRaster(raster.times[kept], raster.ids[kept], None if amplitudes is None else amplitudes[kept], size=raster.size,
                       duration=duration, offsets=offsets, shape=raster.shape)


class RasterSource:
    """Spikes of a given raster, all there from the beginning."""

    def __init__(self, raster, sample):
        part = slice(raster.offsets[sample], raster.offsets[sample + 1])
        self.times, self.ids = raster.times[part], raster.ids[part]
        self.amps = None if raster.amplitudes is None else raster.amplitudes[part]

    def fill(self, log, tend):
        """Give all spikes at the first call."""
        if log.total == 0 and self.times.size:
            log.grow(self.times.size)
            log.n = log.total = self.times.size
            log.times[:log.n], log.ids[:log.n] = self.times, self.ids
            if self.amps is not None:
                log.amps[:log.n] = self.amps


@dataclass(frozen=True, eq=False)
class PoissonTimes:
    """Independent Poisson trains with exact times, one per channel of an input.

    Parameters
    ----------
    rates_hz : float or array_like (n,)
        Rate of every channel, Hz, finite, >= 0.
    samples : int
        Independent repetitions, >= 0.

    Raises
    ------
    RunError
        If a rate or the number of samples is out of range.

    Notes
    -----
    Gap k of channel i is -log(1 - u) 1000 / rate with u = uniform(key(seed, "poisson_times", input name), sample, k, i).
    """

    rates_hz: object
    samples: int = 1

    def __post_init__(self):
        rates = as_numbers(self.rates_hz, "PoissonTimes: rates_hz", error=RunError)
        if not (np.isfinite(rates) & (rates >= 0)).all():
            raise RunError(f"PoissonTimes: rates_hz must be finite numbers >= 0, got {rates}")
        check_number(self.samples, "[0, inf)", "PoissonTimes: samples", int, RunError)


class PoissonSource:
    """The trains of `PoissonTimes` for one sample, made window by window; the same for any windows."""

    def __init__(self, poisson, size, seed, name, sample):
        rates = np.asarray(poisson.rates_hz, float)
        if rates.shape not in ((), (size,)):
            raise RunError(f"input {name}: rates_hz must be one number >= 0 or {size} of them")
        self.k0, self.k1 = key_words(key(seed, "poisson_times", name))
        self.sample = sample
        with np.errstate(divide="ignore"):
            self.mean = np.broadcast_to(1000.0 / rates, size).copy()
        self.next, self.draws = np.zeros(size), np.zeros(size, np.int64)
        self.kernel = specialise(poisson_spikes)

    def fill(self, log, tend):
        """Append the spikes before `tend`."""
        first = log.n
        while True:
            log.n = self.kernel(self.k0, self.k1, self.sample, self.mean, self.next, self.draws, tend, log.times, log.ids, log.n)
            if log.n < log.times.size:
                break
            log.grow()
        log.total += log.n - first
        log.sort(first)


def poisson_gap(k0, k1, sample, i, draw, mean):
    """Return gap number `draw` of channel `i`, ms."""
    return -np.log(1.0 - uniform_at(k0, k1, sample, draw, i)) * mean


def poisson_spikes(k0, k1, sample, mean, coming, draws, tend, times, ids, n):
    """Append the spikes of all channels before `tend`; stops where the list is full (call again); returns the new count."""
    for i in range(mean.size):
        if mean[i] == np.inf:
            continue
        if draws[i] == 0:
            coming[i], draws[i] = poisson_gap(k0, k1, sample, i, 0, mean[i]), 1
        while coming[i] < tend:
            if n == times.size:
                return n
            times[n], ids[n] = coming[i], i
            n += 1
            coming[i] += poisson_gap(k0, k1, sample, i, draws[i], mean[i])
            draws[i] += 1
    return n
