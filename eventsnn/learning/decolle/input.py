"""What DECOLLE sees: windows of recordings with crop, jitter, down-sampling and polarity; images as Bernoulli spikes.

Everything random is keyed by (seed, what, epoch, sample), so that any batch can be made at any time, again the same.
"""

import numpy as np

from eventsnn.encoders import poisson
from eventsnn.errors import DataError
from eventsnn.random import key, uniform
from eventsnn.raster import SpikeRaster


class Recordings:
    """Event-camera recordings, decoded once and held as arrays.

    Parameters
    ----------
    events : iterable of structured array
        Fields x, y, t (microseconds), p.
    shape : tuple of int
        (y, x, polarities) of the camera.
    ids : array of int
        Number of each recording in its split; random numbers are keyed by it.
    settings : DecolleSettings
    """

    def __init__(self, events, shape, ids, settings):
        self.settings, self.ids, self.sensor, fine = settings, np.asarray(ids), tuple(shape[:2]), settings.downsample
        self.shape = (-(-shape[0] // fine), -(-shape[1] // fine), 1 if settings.polarity == "signed" else 2)
        small = np.min_scalar_type(shape[0] * shape[1])  # seven bytes for each event: whole data sets are held
        self.pieces = []
        for recording in events:
            events_t = np.asarray(recording["t"], np.int64)
            order = np.argsort(events_t, kind="stable")
            t, y, x = (np.asarray(recording[name], np.int64)[order] for name in ("t", "y", "x"))
            start = t[0] if t.size else 0
            self.pieces.append(
                ((t - start).astype(np.int32), (y * shape[1] + x).astype(small), np.asarray(recording["p"], bool)[order])
            )

    def __len__(self):
        return len(self.pieces)

    def batch(self, members, epoch=None):
        """Return some recordings as a raster on the grid.

        Parameters
        ----------
        members : array of int
            Positions.
        epoch : int or None
            Of training: a random crop with jitter; None: the beginning, as it is tested.

        Returns
        -------
        SpikeRaster
            Shape (y, x, channel); a sample each.
        """
        s = self.settings
        length = s.train_ms if epoch is not None else s.test_ms
        parts = [self._window(k, length, epoch) for k in members]
        steps = s.steps(length)
        columns = [self._merge(np.minimum(t // round(1000 * s.dt_ms), steps - 1), pixel, p) for t, pixel, p in parts]
        samples = np.repeat(np.arange(len(columns)), [len(c[0]) for c in columns])
        times, cells, values = (np.concatenate([c[k] for c in columns]) if columns else np.zeros(0, np.int64) for k in range(3))
        size = int(np.prod(self.shape))
        return SpikeRaster.from_events(times, cells, values if s.polarity != "separate" else None, samples, duration=steps,
                                       dt_ms=s.dt_ms, size=size, shape=self.shape, n_samples=len(parts))  # fmt: skip

    def _window(self, k, length, epoch):
        """Events of one window: microseconds since its start, pixel, polarity."""
        s, (t, pixel, p) = self.settings, self.pieces[k]
        start, span, number = 0, round(1000 * length), int(self.ids[k])
        if epoch is not None and s.crop and t.size:
            room = max(0, (int(t[-1]) - span) // 1000 + 1)
            start = 1000 * int(uniform(key(s.seed, "decolle crop", epoch), number, 0, 1)[0] * (room + 1))
        first, last = np.searchsorted(t, (start, start + span))
        t, pixel, p = t[first:last].astype(np.int64) - start, pixel[first:last], p[first:last]
        y, x = (pixel // self.sensor[1]).astype(np.int64), (pixel % self.sensor[1]).astype(np.int64)
        if epoch is not None and s.shift:
            dy, dx = _offsets(s, number, epoch)
            y, x = y + dy, x + dx
            seen = (y >= 0) & (y < self.sensor[0]) & (x >= 0) & (x < self.sensor[1])
            t, y, x, p = t[seen], y[seen], x[seen], p[seen]
        pixel = y // s.downsample * self.shape[1] + x // s.downsample
        if s.jitter and (epoch is not None or "jitter_in_test" in s.quirks):
            stream = key(s.seed, "decolle jitter", "test" if epoch is None else epoch)
            moved = np.trunc(s.jitter * _normal(stream, number, t.size)).astype(np.int64)
            t = np.clip(t + 1000 * moved, 0, span - 1)
        return t, pixel, p

    def _merge(self, steps, pixel, p):
        """Events of one pixel in one step become one value for each channel; returns (step, cell, value) sorted."""
        channels, kind = self.shape[2], self.settings.polarity
        signed = kind.startswith("signed")
        cell = pixel * channels + (0 if signed else p)
        size = int(np.prod(self.shape))
        found, first = np.unique(steps * size + cell, return_inverse=True)
        values = np.bincount(first, weights=np.where(p, 1.0, -1.0) if signed else None, minlength=len(found))
        values = np.sign(values) if signed else values
        found, values = found[values != 0], values[values != 0].astype(np.float64)
        if kind == "signed_pair":
            found, values = (found[:, None] + [0, 1]).ravel(), np.repeat(values, 2)
        return found // size, found % size, values


def _normal(stream, number, count):
    """Standard normal numbers by Box and Muller's formula."""
    u, v = (uniform(stream, number, 0, count, lane) for lane in (0, 1))
    return np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)


def _offsets(settings, number, epoch):
    """Pixels in y and x by which a sample moves in an epoch."""
    drawn = uniform(key(settings.seed, "decolle shift", epoch), number, 0, 2)
    return (np.floor(drawn * (2 * settings.shift + 1)) - settings.shift).astype(np.int64)


class Images:
    """Images as Bernoulli spikes: in each step a pixel spikes with probability value x rate x dt.

    Parameters
    ----------
    x : ndarray, (n, y, x, channel)
        Values in [0, 1].
    ids : array of int
        Number of each image in its split.
    settings : DecolleSettings
    rate_hz : float
        Of a pixel of value 1.
    """

    def __init__(self, x, ids, settings, rate_hz):
        self.x, self.ids, self.settings = x, np.asarray(ids), settings
        self.shape, self.gain = tuple(x.shape[1:]), rate_hz * settings.dt_ms / 1000
        if len(self.shape) != 3 or not 0 < self.gain <= 1:
            raise DataError(f"decolle: images must be (n, y, x, channel) and rate x dt at most 1, got {x.shape} and {self.gain}")

    def __len__(self):
        return len(self.x)

    def batch(self, members, epoch=None):
        """Return some images as a raster on the grid, with new spikes in every epoch; arguments as in `Recordings.batch`."""
        s = self.settings
        name = "decolle test" if epoch is None else f"decolle epoch {epoch}"
        steps = s.steps(s.test_ms if epoch is None else s.train_ms)
        x = self.x[members]
        if epoch is not None and s.shift:
            x = np.stack([_moved(image, *_offsets(s, int(number), epoch)) for image, number in zip(x, self.ids[members])])
        return poisson.encode(x, steps=steps, dt_ms=s.dt_ms, gain=self.gain, seed=s.seed, name=name,
                              sample_ids=self.ids[members])  # fmt: skip


def _moved(image, dy, dx):
    """An image moved down and right; what comes in from outside is 0."""
    out, (height, width) = np.zeros_like(image), image.shape[:2]
    out[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = (
        image[max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
    )  # fmt: skip
    return out


def by_step(raster):
    """Return a function t -> (sample, cell, value) of what enters at step t.

    Parameters
    ----------
    raster : SpikeRaster
        On the grid.

    Returns
    -------
    callable
    """
    samples = np.repeat(np.arange(raster.n_samples), np.diff(raster.offsets))
    order = np.argsort(raster.times, kind="stable")
    edges = np.searchsorted(raster.times[order], np.arange(raster.duration + 1))
    samples, cells = samples[order], raster.ids[order]
    values = np.ones(len(order)) if raster.amplitudes is None else raster.amplitudes[order]

    def at(t):
        part = slice(edges[t], edges[t + 1])
        return samples[part], cells[part], values[part]

    return at
