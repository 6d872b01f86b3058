"""Stage `run`: samples in batches through the engine, each kept as soon as it is done: a kill loses one batch."""

import json
from dataclasses import dataclass, field

import numpy as np

from eventsnn import disk
from eventsnn.errors import RunError
from eventsnn.raster import SpikeRaster

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
        _run_slices(job, maker, folder, parts, target)
    return _gather(folder, len(parts), target)


def _finished(target, job, folder, count):
    """Whether a killed run had already written its whole raster."""
    if not target.exists() or count_slices(folder) < count:
        return False
    from eventsnn.files.raster_h5 import read_rasters

    return read_rasters(target)[1].get("run_sha256") == job.digests["run"]


def _open_writer(job, folder, target):
    """A raster writer that goes on with what is there, if it belongs to this very run."""
    from eventsnn.files.raster_h5 import RasterWriter

    loaded, network = job.loaded, job.results["network"]
    meta = {"scenario": loaded.text, "scenario_sha256": loaded.sha256, "run_sha256": job.digests["run"],
            "seed": loaded.spec.seed, "title": loaded.spec.title,
            "nodes": list(network.nodes), "windows": _windows(network)}  # fmt: skip
    writer = RasterWriter(target, meta, resume=True)
    if writer.n_slices > count_slices(folder):  # slices of another run: their numbers are not here
        writer.abort()
        writer = RasterWriter(target, meta)
    return writer


def _windows(network):
    """Opening and closing of the window of each input and gated population, ms."""
    found = {p.name: p.parameters for p in network.populations if "window" in p.parameters}
    windows = {name: [float(v["t_open"]), float(v["t_open"] + v["window"])] for name, v in found.items()}
    first = min((opens for opens, _ in windows.values()), default=None)
    return {node.name: [0.0, first] for node in network.inputs if windows} | windows


def _run_slices(job, maker, folder, parts, target):
    with _open_writer(job, folder, target) as writer:
        engine = job.spec.run.engine
        if writer.n_slices:
            engine = read_slice(folder, 0)[1]["engine"]
        for index, (start, stop) in enumerate(parts):
            if index >= writer.n_slices:
                engine = _run_slice(job, maker, folder, index, start, stop, engine, writer)
            job.progress("run", stop, maker.n_samples)
        writer.meta["engine"] = engine


def _run_slice(job, maker, folder, index, start, stop, engine, writer):
    """Run one batch; its numbers are on the disk before its spikes are, so that spikes never lack numbers."""
    from eventsnn import run

    network, spec = job.results["network"], job.spec.run
    given = maker.batch(start, stop)
    result = run(
        network, given, duration=maker.steps, engine=engine, schedule=spec.schedule,
        threads=spec.threads, seed=job.spec.seed, record=spec.record, slab=spec.slab,
        progress=lambda done, total: job.progress("run", start + done, maker.n_samples),
    )  # fmt: skip
    arrays = {"prediction": result.prediction, "latency": result.latency, "readout": result.readout}
    arrays["source"] = _source_prediction(job, start, stop)
    reason = result.engine_reason
    if index and spec.engine == "auto":
        reason = read_slice(folder, 0)[1]["engine_reason"]
    numbers = {
        "counters": {k: int(v) for k, v in result.counters.items()},
        "populations": _populations(network, result),
        "inputs": {name: len(raster) for name, raster in given.items() if isinstance(raster, SpikeRaster)},
        "engine": result.engine, "engine_reason": reason,
        "seconds": result.seconds, "compile_seconds": result.compile_seconds,
    }  # fmt: skip
    text = np.frombuffer(json.dumps(numbers).encode(), np.uint8)
    kept = {name: np.asarray(value) for name, value in arrays.items() if value is not None}
    with disk.finished(folder / f"slice-{index:06d}.npz") as part, open(part, "wb") as file:
        np.savez(file, numbers=text, **kept)
    writer.append(result.rasters)
    return result.engine


def _source_prediction(job, start, stop):
    graph, samples = job.relu_graph, job.results.get("data")
    if graph is None or samples is None or samples.x is None:
        return None
    return np.argmax(graph.forward(graph.as_inputs(samples.x[start:stop])), axis=1)


def _populations(network, result):
    """Counts of each population; spikes at the very opening of a window are activations that did not fit into it."""
    table = {}
    for population in network.populations:
        row = {k: int(v) for k, v in result.per_population[population.name].items()}
        row["neurons"], row["fires"] = population.size, bool(population.model.fires)
        opens, raster = population.parameters.get("t_open"), result.rasters.get(population.name)
        if opens is not None and raster is not None:
            row["early"] = int(np.count_nonzero(raster.times <= opens))
        table[population.name] = row
    return table


def count_slices(folder):
    """Return how many slices of a run are whole, counted from the first.

    Parameters
    ----------
    folder : Path
        Of the stage.

    Returns
    -------
    int
    """
    count = 0
    while (folder / f"slice-{count:06d}.npz").exists():
        count += 1
    return count


def read_slice(folder, index):
    """Return (arrays, numbers) of one slice.

    Parameters
    ----------
    folder : Path
        Of the stage.
    index : int

    Returns
    -------
    arrays : dict of ndarray
    numbers : dict
    """
    arrays = disk.read_npz(folder / f"slice-{index:06d}.npz", RunError)
    return arrays, json.loads(arrays.pop("numbers").tobytes())


def _gather(folder, count, target):
    """Put the slices together, in the order of samples."""
    from eventsnn.files.raster_h5 import read_rasters

    slices = [read_slice(folder, index) for index in range(count)]
    outcome = Outcome()
    for name in ARRAYS:
        if all(name in arrays for arrays, _ in slices):
            setattr(outcome, name, np.concatenate([arrays[name] for arrays, _ in slices]))
    for _, numbers in slices:
        _add(outcome.counters, numbers["counters"])
        _add(outcome.inputs, numbers["inputs"])
        for name, row in numbers["populations"].items():
            _add(outcome.populations.setdefault(name, {}), row)
        outcome.seconds += numbers["seconds"]
        outcome.compile_seconds += numbers["compile_seconds"]
    outcome.engine, outcome.engine_reason = slices[0][1]["engine"], slices[0][1]["engine_reason"]
    outcome.raster_sha256 = read_rasters(target)[1]["raster_sha256"]
    return outcome


def _add(total, more):
    for name, value in more.items():
        total[name] = value if name in ("neurons", "fires") else total.get(name, 0) + value
