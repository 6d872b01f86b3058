"""Stage `encode`: samples become spikes, a batch at a time and the same in any batch."""

import numpy as np

from eventsnn.errors import DataError
from eventsnn.raster import SpikeRaster


class InputMaker:
    """Makes the inputs of a network for any range of samples.

    Parameters
    ----------
    loaded : LoadedScenario
    network : Network
    samples : Samples or None
        None where all inputs are given rasters.
    """

    def __init__(self, loaded, network, samples):
        from eventsnn.scenario.rules import encoders

        self.loaded, self.network, self.samples = loaded, network, samples
        given = encoders(loaded.spec)
        self.codes = {node.name: given.get(node.name, given.get(None)) for node in network.inputs}
        self.given = {n: _given(loaded, network, n, c) for n, c in self.codes.items() if c.code == "raster"}
        counts = {raster.n_samples for raster in self.given.values()} | ({len(samples)} if samples else set())
        if not counts or any(code.code == "poisson_times" for code in self.codes.values()):
            counts.add(1)
        if len(counts) != 1:
            raise DataError(f"encode: all inputs must have the same number of samples, got {sorted(counts)}")
        self.n_samples = counts.pop()

    @property
    def steps(self):
        """Duration of a run in steps of the grid, or None if only the inputs say it."""
        return steps_of(self.loaded, self.network.dt_ms)

    @property
    def duration(self):
        """What `eventsnn.run` takes as duration: steps, ms where populations may spike at any time, or None."""
        if self.network.clock == "continuous" and not self.network.gated:
            return self.loaded.spec.run.duration
        return self.steps

    def batch(self, start, stop):
        """Encode samples start .. stop - 1.

        Parameters
        ----------
        start, stop : int

        Returns
        -------
        dict
            Name of each input -> SpikeRaster, Drive or PoissonTimes (which is always one sample).
        """
        part = slice(start, stop)
        made = {}
        for name, code in self.codes.items():
            if name in self.given:
                made[name] = self.given[name].select(np.arange(start, stop))
            else:
                made[name] = ENCODERS[code.code](self, name, code, part)
        return made

    def values(self, part):
        """Values of some samples, for the codes of numbers."""
        if self.samples.x is None:
            raise DataError(f"{self.samples.name}: holds recordings, not values; encode them with 'code: events'")
        return self.samples.x[part]


def steps_of(loaded, dt):
    """Return `run.duration` in steps.

    Parameters
    ----------
    loaded : LoadedScenario
    dt : float or None
        Length of a step, ms; None: the continuous clock.

    Returns
    -------
    int or None
        None on the continuous clock, or where the scenario does not say.

    Raises
    ------
    ScenarioError
        If the duration is not a whole number of steps.
    """
    duration = loaded.spec.run.duration
    if duration is None or dt is None:
        return None
    steps = round(duration / dt)
    if steps < 1 or abs(steps * dt - duration) > 1e-9 * duration:
        raise loaded.error(("run", "duration"), f"must be whole steps of {dt} ms, got {duration} ms")
    return steps


def _ttfs(maker, name, code, part):
    from eventsnn.encoders.ttfs import encode

    return encode(maker.values(part), p=code.p, q=code.q, dtype=code.dtype, clip=code.clip, silent=code.silent)


def _poisson(maker, name, code, part):
    from eventsnn.encoders.poisson import encode

    if maker.steps is None:
        raise maker.loaded.error(("run", "duration"), "required: Poisson spikes need a duration, for example 100 ms")
    options = {"gain": code.gain, "clip": code.clip, "seed": maker.loaded.spec.seed, "name": name}
    ids = maker.samples.ids[part]
    return encode(maker.values(part), steps=maker.steps, dt_ms=maker.network.dt_ms, sample_ids=ids, **options)


def _poisson_times(maker, name, code, part):
    from eventsnn.engines.continuous_spikes import PoissonTimes

    return PoissonTimes(np.asarray(code.rate, np.float64))


def _constant(maker, name, code, part):
    from eventsnn.encoders.constant import encode

    if maker.steps is None:
        raise maker.loaded.error(("run", "duration"), "required: a constant drive needs a duration, for example 100 ms")
    return encode(maker.values(part), gain=code.gain)


def _events(maker, name, code, part):
    recordings = maker.samples.recordings
    if recordings is None:
        raise DataError(f"{maker.samples.name}: holds values, not recordings; use code ttfs, poisson or constant")
    dt = maker.network.dt_ms
    if maker.loaded.spec.run.duration is None:
        raise maker.loaded.error(("run", "duration"), "required: recordings differ in length, say how long to run")
    options = {"duration_ms": maker.loaded.spec.run.duration, "several": code.several, "crop": True}
    return recordings.rasters(maker.samples.ids[part], dt_ms=dt, **options)


ENCODERS = {"ttfs": _ttfs, "poisson": _poisson, "poisson_times": _poisson_times, "constant": _constant,
            "events": _events}  # fmt: skip
"""A new code: a class with its tag in schema.py, an entry here."""


def _given(loaded, network, name, code):
    """A raster from a file, or written out in the scenario."""
    node, dt = network.nodes[name], network.dt_ms
    if code.file is None:
        times = np.asarray(code.times, np.float64)
        duration = loaded.spec.run.duration
        if duration is None:
            raise loaded.error(("run", "duration"), "required: times written out do not say how long to run")
        if dt is not None:
            steps, duration = np.rint(times / dt), steps_of(loaded, dt)
            if np.any(np.abs(steps * dt - times) > 1e-9 * (1 + np.abs(times))):
                raise loaded.error(("encode",), f"times must be whole steps of {dt} ms")
            times = steps.astype(np.int64)
        return SpikeRaster.from_events(times, np.asarray(code.neurons, np.int64), size=node.size, duration=duration,
                                       dt_ms=dt, shape=node.shape)  # fmt: skip
    path = loaded.file(code.file)
    if path.suffix == ".npz":
        return SpikeRaster.from_npz(path)
    from eventsnn.files.raster_h5 import read_rasters

    rasters, _ = read_rasters(path)
    wanted = code.population or (next(iter(rasters)) if len(rasters) == 1 else name)
    if wanted not in rasters:
        raise DataError(f"{path}: has no population '{wanted}', allowed {', '.join(rasters)}; say which: population")
    return rasters[wanted]
