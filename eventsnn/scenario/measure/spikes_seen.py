"""What `measure:` asks about spikes, taken from raster.h5 a block at a time: histograms, first spikes, conversion, traces."""

import csv

import numpy as np

from eventsnn import disk
from eventsnn.errors import did_you_mean
from eventsnn.scenario.measure import integer_logs, ramp_traces


def measure(job, outcome):
    """Return the histograms of all recorded populations, and what the conversion lost.

    Parameters
    ----------
    job : Job
    outcome : Outcome

    Returns
    -------
    dict
        `histograms`, `conversion_loss`; plain data.
    """
    wanted, found = job.spec.measure, {}
    if wanted.histograms:
        found["histograms"] = _histograms(job, outcome)
    if wanted.conversion is not None:
        found["conversion_loss"] = _conversion(job, outcome)
    return found


def recorded(job, outcome):
    """Return the names of populations that can spike and whose spikes are in raster.h5, in the order of the network."""
    from eventsnn.files.raster_h5_blocks import read_heads

    heads = read_heads(job.folder / "raster.h5")
    return [name for name, row in outcome.populations.items() if row["fires"] and name in heads]


def _histograms(job, outcome):
    from eventsnn.analysis.histograms import SpikeHistograms
    from eventsnn.files.raster_h5_blocks import read_blocks, read_heads, read_meta

    path, wanted, found = job.folder / "raster.h5", job.spec.measure, {}
    heads, windows = read_heads(path), read_meta(path).get("windows", {})
    for name in recorded(job, outcome):
        head, n_samples, _ = heads[name]
        tables = SpikeHistograms(head.size, head.duration, head.dt_ms, phases=wanted.phases, words=wanted.words)
        for part in read_blocks(path, name, amplitudes=True):
            tables.add(*part)
        found[name] = tables.result(n_samples) | ({"window_ms": windows[name]} if name in windows else {})
    return found


def _conversion(job, outcome):
    from eventsnn.conversion.report import conversion_report
    from eventsnn.files.raster_h5_blocks import read_first

    samples, report = job.results["data"], job.results["convert"]["report"]
    n = min(job.spec.measure.conversion, len(samples))
    rasters = {name: read_first(job.folder / "raster.h5", name, n) for name in recorded(job, outcome)}
    dt = job.results["network"].dt_ms
    times = [] if dt is None else [round(t / dt) for t in outcome.points]
    with job.loaded.at("measure", "conversion"):
        found = conversion_report(job.relu_graph, samples.x[:n], rasters, report, samples.labels[:n], times)
    return found | ({"times_ms": outcome.points} if times else {})


def write_tables(job, content):
    """Write over_time.csv, integer_logs/*.txt, first_spikes-POPULATION.csv and traces.npz, those that are asked for.

    Parameters
    ----------
    job : Job
    content : dict
        Of result.json.
    """
    curve, wanted = content["metrics"].get("over_time"), job.spec.measure
    if curve is not None:
        _write_curve(job.folder / "over_time.csv", curve, job.results["network"].dt_ms)
    if wanted.integer_logs is not None:
        integer_logs.write(job)
    if wanted.first_spikes:
        for name in recorded(job, job.results["run"]):
            _write_first(job.folder, name, wanted.first_spikes)
    if wanted.traces:
        arrays = trace(job)
        with disk.finished(job.folder / "traces.npz") as part, open(part, "wb") as file:
            np.savez(file, **arrays)


def _write_curve(path, curve, dt_ms):
    columns = {"step": [round(t / dt_ms) for t in curve["times_ms"]]} if dt_ms else {}
    names = ("times_ms", "accuracy", "agreement", "spikes", "amplitudes", "synaptic_events")
    columns |= {name: curve[name] for name in names if name in curve}
    columns |= {f"spikes_{name}": values for name, values in curve["spikes_per_population"].items()}
    _write_csv(path, list(columns), zip(*columns.values()))


def _write_first(folder, name, samples):
    from eventsnn.files.raster_h5_blocks import read_first

    first = read_first(folder / "raster.h5", name, samples).first_times()
    places = np.argwhere(np.isfinite(first)).tolist()
    _write_csv(folder / f"first_spikes-{name}.csv", ["sample", "neuron", "time_ms"], ((*p, first[*p]) for p in places))


def _write_csv(path, names, rows):
    with disk.finished(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(names)
        table.writerows(rows)


def first_sample(job):
    """Return the spikes of the first sample of every node in raster.h5, in the order of the network: dict of SpikeRaster."""
    from eventsnn.files.raster_h5_blocks import read_first, read_heads

    path, nodes = job.folder / "raster.h5", job.results["network"].nodes
    heads = read_heads(path)
    return {name: read_first(path, name, 1) for name in nodes if name in heads}


def check_traces(loaded, network):
    """Refuse populations and neurons to trace that do not exist.

    Parameters
    ----------
    loaded : LoadedScenario
    network : Network

    Raises
    ------
    ScenarioError
        Naming the population.
    """
    sizes = {p.name: p.size for p in network.populations}
    for name, ids in loaded.spec.measure.traces.items():
        if name not in sizes:
            raise loaded.error(("measure", "traces", name), f"no such population, allowed {', '.join(sizes)}"
                               f"{did_you_mean(name, sizes)}")  # fmt: skip
        if max(ids, default=0) >= sizes[name]:
            raise loaded.error(("measure", "traces", name), f"neurons must be from 0 to {sizes[name] - 1}, got {ids}")


def trace(job):
    """Run the first sample once more and keep the state of a few neurons after every step, or gated ramps over their windows.

    Parameters
    ----------
    job : Job

    Returns
    -------
    dict of ndarray
        "POPULATION/VARIABLE" and "POPULATION/count" (steps, neurons); "POPULATION/neurons"; "times_ms" (steps,).

    Raises
    ------
    ScenarioError
        If a population or neuron does not exist, or the network is neither on the grid clock nor of layers of gated ramps.
    """
    from eventsnn import run

    network, maker, wanted = job.results["network"], job.results["encode"], job.spec.measure.traces
    check_traces(job.loaded, network)
    if network.gated and not ramp_traces.supports(job):
        raise job.loaded.error(("measure", "traces"), "follow states from step to step, and neurons of this network integrate at "
                               "once; of a T2FSNN set convert.clock: grid")  # fmt: skip
    with job.loaded.at("measure", "traces"):
        inputs, ramps = maker.batch(0, 1), ramp_traces.supports(job)
        result = run(network, inputs, duration=maker.duration, record=None if ramps else list(wanted), seed=job.spec.seed,
                     sample_ids=maker.ids(0, 1),
                     trace_state=None if ramps else {name: (1, ids) for name, ids in wanted.items()})  # fmt: skip
        if ramps:
            return ramp_traces.trace(job, wanted, result, next(iter(inputs.values())))
    arrays, steps = {}, 0
    for name, ids in wanted.items():
        arrays |= {f"{name}/{variable}": seen[0] for variable, seen in result.traces[name].items()}
        steps = len(next(iter(result.traces[name].values()))[0])
        arrays[f"{name}/count"] = result.rasters[name].to_dense()[0, :, ids].astype(bool).cumsum(axis=1).T
        arrays[f"{name}/neurons"] = np.array(ids, np.int64)
    return arrays | {"times_ms": np.arange(1, steps + 1) * network.dt_ms}
