"""Stage `encode`: samples become spikes, a batch at a time and the same in any batch."""

from dataclasses import replace

import numpy as np

from eventsnn.encoders.base import refuse_above
from eventsnn.errors import DataError
from eventsnn.raster import SpikeRaster
from eventsnn.scenario.network import coding


class InputMaker:
    """Makes the inputs of a network for any range of samples.

    Parameters
    ----------
    loaded : LoadedScenario
    network : Network
    samples : Samples or None
        None where all inputs are given rasters.
    rasters : dict of str to SpikeRaster
        Inputs that are there already: what a network was taught with.
    code : dict
        What the conversion says about the code of its input.
    """

    def __init__(self, loaded, network, samples, rasters=None, code=None):
        from eventsnn.scenario.rules.sections import encoders

        self.loaded, self.network, self.samples = loaded, network, samples
        given = encoders(loaded.spec)
        rasters, self.code = rasters or {}, code or {}
        self.codes = {n.name: given.get(n.name, given.get(None)) for n in network.inputs if n.name not in rasters}
        self.given = {n: _given(loaded, network, n, c) for n, c in self.codes.items() if c.code == "raster"} | rasters
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
        for name in self.given:
            made[name] = self.given[name].select(np.arange(start, stop))
        for name in self.codes.keys() - self.given.keys():
            with self.loaded.at("encode", *([name] if isinstance(self.loaded.spec.encode, dict) else [])):
                made[name] = ENCODERS[self.codes[name].code](self, name, self.codes[name], part)
        return made

    def ids(self, start, stop):
        """Return the numbers of samples start .. stop - 1 in their data set: random numbers are keyed by them."""
        return np.arange(start, stop) if self.samples is None else self.samples.ids[start:stop]

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
    options = {"gain": code.gain, "amplitude": code.amplitude, "clip": code.clip, "seed": maker.loaded.spec.seed, "name": name}
    ids = maker.samples.ids[part]
    return encode(maker.values(part), steps=maker.steps, dt_ms=maker.network.dt_ms, sample_ids=ids, **options)


def _poisson_times(maker, name, code, part):
    from eventsnn.engines.continuous_spikes import PoissonTimes

    return PoissonTimes(np.asarray(code.rate, np.float64))


def _constant(maker, name, code, part):
    from eventsnn.encoders.constant import encode

    if maker.steps is None:
        raise maker.loaded.error(("run", "duration"), "required: a constant drive needs a duration, for example 100 ms")
    drive = encode(maker.values(part), gain=code.gain, schedule=code.schedule, noise=code.noise, seed=maker.loaded.spec.seed,
                   name=name, sample_ids=maker.samples.ids[part])  # fmt: skip
    if "scale" not in maker.code:
        return drive
    whole = np.round(drive.values * maker.code["scale"])
    refuse_above(np.abs(whole), maker.code["largest"], "constant, in whole numbers", "set a smaller convert.input_scale")
    return replace(drive, values=whole)


def _events(maker, name, code, part):
    recordings = maker.samples.recordings
    if recordings is None:
        raise DataError(f"{maker.samples.name}: holds values, not recordings; use code ttfs, poisson or constant")
    dt = maker.network.dt_ms
    if maker.loaded.spec.run.duration is None:
        raise maker.loaded.error(("run", "duration"), "required: recordings differ in length, say how long to run")
    options = {"duration_ms": maker.loaded.spec.run.duration, "several": code.several, "crop": True}
    return recordings.rasters(maker.samples.ids[part], dt_ms=dt, **options)


def _ttfs_kernel(maker, name, code, part):
    from eventsnn.encoders.ttfs_kernel import analog, encode

    given, values = maker.code or _written_kernel(maker, code), maker.values(part)
    if maker.network.clock == "grid" and maker.steps is not None:
        if maker.steps < given["duration"]:
            needed = given["duration"] * given["dt_ms"]
            raise maker.loaded.error(("run", "duration"), f"the answer stands after {needed:g} ms; remove it, or take as long")
        given = given | {"duration": maker.steps}
    if code.analog:
        _refuse_analog_pools(maker, name)
        return analog(values, **{key: given[key] for key in ("dt_ms", "grid", "duration")})
    return encode(values, clip=code.clip, **given)


def _written_kernel(maker, code):
    """Arguments of the encoder for a network that the scenario writes out."""
    dt, window = maker.network.dt_ms, code.window or 80
    return {"tau": code.tau or 20.0, "td": code.td or 0.0, "window": window, "half_step": bool(code.half_step),
            "dt_ms": code.dt or 1.0 if dt is None else dt, "grid": dt is not None, "duration": window}  # fmt: skip


def _latency(maker, name, code, part):
    from eventsnn.encoders.latency import encode

    if maker.loaded.spec.run.duration is None:
        raise maker.loaded.error(("run", "duration"), "required: latencies have no end, for example 250 ms")
    options = {"duration": maker.loaded.spec.run.duration, "dt_ms": maker.network.dt_ms}
    return encode(maker.values(part), tau=code.tau, threshold=code.threshold, **options)


def _refuse_analog_pools(maker, name):
    pools = [r.name for r in maker.network.relays if r.source == name and r.kind.kind == "earliest"]
    if pools and maker.network.clock == "grid":
        raise DataError(f"encode: analog values of input '{name}' arrive at once, and the max pool '{pools[0]}' takes the "
                        "earliest spike; pool the images before, or let spikes carry the values (analog: false)")  # fmt: skip


ENCODERS = {"ttfs_kernel": _ttfs_kernel, "ttfs": _ttfs, "poisson": _poisson, "poisson_times": _poisson_times,
            "constant": _constant, "latency": _latency, "phase": coding.phase, "burst": coding.burst,
            "events": _events}  # fmt: skip
"""A new code: a class with its tag in schema/scenario.py, an entry here."""


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
    return read_raster(loaded, code.file, code.population, name)


def read_raster(loaded, file, population, name):
    """Read one raster that a scenario names.

    Parameters
    ----------
    loaded : LoadedScenario
    file : str
        raster.h5 or .npz.
    population : str or None
        Which raster of a raster.h5; None: the only one, or the one called `name`.
    name : str

    Returns
    -------
    SpikeRaster

    Raises
    ------
    DataError
        If there is no such population; RasterError if the file is damaged.
    """
    path = loaded.file(file)
    if path.suffix == ".npz":
        return SpikeRaster.from_npz(path)
    from eventsnn.files.raster_h5 import read_rasters

    rasters, _ = read_rasters(path)
    wanted = population or (next(iter(rasters)) if len(rasters) == 1 else name)
    if wanted not in rasters:
        raise DataError(f"{path}: has no population '{wanted}', allowed {', '.join(rasters)}; say which: population")
    return rasters[wanted]
