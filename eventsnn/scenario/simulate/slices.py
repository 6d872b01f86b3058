"""What the stage `run` keeps while it runs: numbers of each slice, and the raster that grows beside them."""

import json

import numpy as np

from eventsnn import disk
from eventsnn.errors import RunError


def open_writer(job, folder, target, whole=None):
    """Return a raster writer that goes on with what is there, if it belongs to this very run.

    Parameters
    ----------
    job : Job
    folder : Path
        Of the stage.
    target : Path
        Final name of the raster.
    whole : int, optional
        Slices without which the file is of no use; absent: a file may end after any slice whose numbers are here.

    Returns
    -------
    RasterWriter
    """
    from eventsnn.files.raster_h5 import RasterWriter

    loaded, network = job.loaded, job.results["network"]
    meta = {"scenario": loaded.text, "scenario_sha256": loaded.sha256, "run_sha256": job.digests["run"],
            "seed": loaded.spec.seed, "title": loaded.spec.title,
            "nodes": list(network.nodes), "windows": _windows(network)}  # fmt: skip
    writer = RasterWriter(target, meta, resume=True)
    useless = writer.n_slices > count_slices(folder) if whole is None else writer.n_slices != whole
    if useless:  # slices of another run, or spikes without their numbers
        writer.abort()
        writer = RasterWriter(target, meta)
    return writer


def _windows(network):
    """Opening and closing of the window of each input and gated population, ms."""
    found = {p.name: p.parameters for p in network.populations if "window" in p.parameters}
    unit = network.dt_ms or 1.0  # on the grid windows are given in steps
    windows = {name: [float(v["t_open"] * unit), float((v["t_open"] + v["window"]) * unit)] for name, v in found.items()}
    first = min((opens for opens, _ in windows.values()), default=None)
    return {node.name: [0.0, first] for node in network.inputs if windows} | windows


def population_rows(network, result):
    """Return the counts of each population; spikes at the very opening of a window are activations that did not fit into it.

    Parameters
    ----------
    network : Network
    result : RunResult

    Returns
    -------
    dict
        Name -> {"neurons", "spikes", "updates", "fires", "early"}.
    """
    table = {}
    for population in network.populations:
        row = {k: int(v) for k, v in result.per_population[population.name].items()}
        row["neurons"], row["fires"] = population.size, bool(population.model.fires and not population.model.graded)
        opens, raster = population.parameters.get("t_open"), result.rasters.get(population.name)
        if opens is not None and raster is not None and getattr(population.model, "carries_time", False):
            row["early"] = int(np.count_nonzero(raster.times <= opens))
        table[population.name] = row
    return table


def write_slice(folder, index, arrays, numbers):
    """Write the numbers of one slice, whole or not at all.

    Parameters
    ----------
    folder : Path
        Of the stage.
    index : int
    arrays : dict of ndarray or None
        None is left out.
    numbers : dict
        Plain data.
    """
    text = np.frombuffer(json.dumps(numbers).encode(), np.uint8)
    kept = {name: np.asarray(value) for name, value in arrays.items() if value is not None}
    with disk.finished(folder / f"slice-{index:06d}.npz") as part, open(part, "wb") as file:
        np.savez(file, numbers=text, **kept)


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
    path = folder / f"slice-{index:06d}.npz"
    with disk.kept(path):
        arrays = disk.read_npz(path, RunError)
        return arrays, json.loads(arrays.pop("numbers").tobytes())
