"""Stage `run`: samples in batches through the engine, each kept as soon as it is done: a kill loses one batch."""

from dataclasses import dataclass, field

import numpy as np

from eventsnn.errors import RasterError
from eventsnn.raster import SpikeRaster
from eventsnn.scenario.measure import integer_logs
from eventsnn.scenario.simulate import over_time
from eventsnn.scenario.simulate.slices import count_slices, open_writer, population_rows, read_slice, write_slice
from eventsnn.scenario.simulate.stream import run_streamed, streams

ARRAYS = ("prediction", "latency", "readout", "source")


@dataclass
class Outcome:
    """What the run of all samples gave.

    Attributes
    ----------
    prediction, latency, readout : ndarray or None
        Per sample: class, ms until the answer stands, values of the readout.
    source : ndarray or None
        Class that the ReLU network gives to the same sample.
    counters : dict
        Summed over all samples.
    populations : dict
        Name -> {"neurons", "spikes", "updates", "early"}; `early`: spikes at the opening of a window.
    inputs : dict
        Name of an input -> number of spikes.
    points : list of float
        Recording points, ms.
    over_time : dict of ndarray
        What they hold, and early exits: see `over_time.EACH` and `over_time.SUMS`.
    whole : dict
        Spikes, synaptic events and seconds of the same samples without early exit, where they were run too.
    engine, engine_reason : str
    seconds, compile_seconds : float
    raster_sha256 : str
    """

    prediction: np.ndarray | None = None
    latency: np.ndarray | None = None
    readout: np.ndarray | None = None
    source: np.ndarray | None = None
    counters: dict = field(default_factory=dict)
    populations: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    points: list = field(default_factory=list)
    over_time: dict = field(default_factory=dict)
    whole: dict = field(default_factory=dict)
    engine: str = ""
    engine_reason: str = ""
    seconds: float = 0.0
    compile_seconds: float = 0.0
    raster_sha256: str = ""


def simulate(job):
    """Run all samples, or go on where a killed run stopped.

    Parameters
    ----------
    job : Job
        With the stages network and encode done.

    Returns
    -------
    Outcome
    """
    maker, folder = job.results["encode"], job.own_folder("run")
    size = job.spec.run.batch
    parts = [(start, min(start + size, maker.n_samples)) for start in range(0, maker.n_samples, size)]
    target = job.folder / "raster.h5"
    if not _finished(target, job, folder, len(parts)):
        folder.mkdir(parents=True, exist_ok=True)
        every = over_time.points_every(job.loaded, job.results["network"])
        if streams(job.results["network"], maker):
            run_streamed(job, maker, folder, target)
        else:
            points = {"record_every": every, "exit_rule": over_time.exit_rule(job, maker, folder, every)}
            _run_slices(job, maker, folder, parts, target, points)
    return _gather(folder, len(parts), target)


def _finished(target, job, folder, count):
    """Whether a killed run had already written its whole raster."""
    if not target.exists() or count_slices(folder) < count:
        return False
    from eventsnn.files.raster_h5_blocks import read_meta

    try:
        return read_meta(target).get("run_sha256") == job.digests["run"]
    except RasterError:  # damaged since: its slices are run again
        return False


def _run_slices(job, maker, folder, parts, target, points):
    with open_writer(job, folder, target) as writer:
        engine = job.spec.run.engine
        if writer.n_slices:
            engine = read_slice(folder, 0)[1]["engine"]
        for index, (start, stop) in enumerate(parts):
            if index >= writer.n_slices:
                engine = _run_slice(job, maker, folder, index, start, stop, engine, writer, points)
            job.progress("run", stop, maker.n_samples)
        writer.meta["engine"] = engine


def _run_slice(job, maker, folder, index, start, stop, engine, writer, points):
    """Run one batch; its numbers are on the disk before its spikes are, so that spikes never lack numbers."""
    from eventsnn import run

    network, spec = job.results["network"], job.spec.run
    record = spec.record
    if record is not None:  # counting needs more spikes at hand than the file keeps
        record = list(dict.fromkeys([*record, *(p.source for p in integer_logs.counted(job))]))
    given = maker.batch(start, stop)
    how = {"duration": maker.duration, "schedule": spec.schedule, "threads": spec.threads, "slab": spec.slab,
           "seed": job.spec.seed, "sample_ids": maker.ids(start, stop)}  # fmt: skip
    result = run(
        network, given, **how, engine=engine, record=record, **points,
        progress=lambda done, total: job.progress("run", start + done, maker.n_samples),
    )  # fmt: skip
    whole = None
    if spec.exit is not None and spec.exit.compare:
        whole = run(network, given, **how, engine=result.engine, record=[], record_every=points["record_every"])
    seen, told = over_time.slice_arrays(network, result, whole)
    arrays = seen | {"prediction": result.prediction, "latency": result.latency, "readout": result.readout}
    arrays["source"] = _source_prediction(job, start, stop)
    arrays |= integer_logs.slice_arrays(job, result)
    reason = result.engine_reason
    if index and spec.engine == "auto":
        reason = read_slice(folder, 0)[1]["engine_reason"]
    numbers = {
        "counters": {k: int(v) for k, v in result.counters.items()},
        "populations": population_rows(network, result),
        "inputs": {name: len(result.rasters.get(name, raster)) for name, raster in _spikes(given, result)
                   if isinstance(raster, SpikeRaster)},  # an early exit leaves later spikes out
        "engine": result.engine, "engine_reason": reason,
        "seconds": result.seconds, "compile_seconds": result.compile_seconds, **told,
    }  # fmt: skip
    write_slice(folder, index, arrays, numbers)
    writer.append({name: raster for name, raster in result.rasters.items() if spec.record is None or name in spec.record})
    return result.engine


def _spikes(given, result):
    """Pairs (name, raster or drive) of the inputs; Poisson trains are in the result, if they are recorded."""
    return [(name, result.rasters.get(name) if hasattr(made, "rates_hz") else made) for name, made in given.items()]


def _source_prediction(job, start, stop):
    from eventsnn.conversion.qcfs import SCALED

    graph, samples = job.relu_graph, job.results.get("data")
    if graph is None or SCALED in graph.meta or samples is None or samples.x is None:
        return None
    return np.argmax(graph.forward(graph.as_inputs(samples.x[start:stop])), axis=1)


def _gather(folder, count, target):
    """Put the slices together, in the order of samples."""
    from eventsnn.files.raster_h5_blocks import read_meta

    slices = [read_slice(folder, index) for index in range(count)]
    outcome = Outcome()
    for name in ARRAYS:
        if all(name in arrays for arrays, _ in slices):
            setattr(outcome, name, np.concatenate([arrays[name] for arrays, _ in slices]))
    for name, put in [*((n, np.concatenate) for n in over_time.EACH), *((n, sum) for n in over_time.SUMS)]:
        if name in slices[0][0]:
            outcome.over_time[name] = put([arrays[name] for arrays, _ in slices])
    outcome.points = slices[0][1].get("points", [])
    for _, numbers in slices:
        _add(outcome.whole, numbers.get("whole", {}))
        _add(outcome.counters, numbers["counters"])
        _add(outcome.inputs, numbers["inputs"])
        for name, row in numbers["populations"].items():
            _add(outcome.populations.setdefault(name, {}), row)
        outcome.seconds += numbers["seconds"]
        outcome.compile_seconds += numbers["compile_seconds"]
    outcome.engine, outcome.engine_reason = slices[0][1]["engine"], slices[0][1]["engine_reason"]
    outcome.raster_sha256 = read_meta(target)["raster_sha256"]
    return outcome


def _add(total, more):
    for name, value in more.items():
        total[name] = value if name in ("neurons", "fires") else total.get(name, 0) + value
