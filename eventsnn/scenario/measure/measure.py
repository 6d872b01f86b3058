"""Stage `measure`: from predictions and counters to the figures of result.json, and warnings about odd populations."""

import numpy as np

from eventsnn.metrics import accuracy, agreement, saturation, silent_populations, spikes_per_neuron
from eventsnn.scenario.measure import energy, integer_levels, integer_logs, over_time, spikes_seen
from eventsnn.scenario.measure.source_only import evaluate_source
from eventsnn.scenario.network import hybrid

SATURATED = 0.9  # spikes per neuron and step
QUEUE = ("queue_pushes", "queue_pops", "instants")
EARLY = 0.001  # share of spikes at the opening of their window


def measure(job):
    """Compute the metrics of a run.

    Parameters
    ----------
    job : Job

    Returns
    -------
    dict
        `metrics` and `warnings`, plain data; free of timings, so that equal runs give equal text.
    """
    metrics, warnings = {}, []
    if "train" in job.results:
        metrics["training"] = _training(job)
    if "learn" in job.results:
        metrics |= job.results["learn"].metrics
    if "run" in job.results:
        outcome, maker = job.results["run"], job.results["encode"]
        metrics |= _classification(outcome, job.results.get("data"))
        metrics |= _activity(outcome, maker.n_samples)
        metrics |= over_time.measure(job, outcome, job.results.get("data"), maker.n_samples)
        metrics |= spikes_seen.measure(job, outcome)
        metrics |= energy.measure(job)
        metrics |= integer_logs.measure(job)
        metrics |= integer_levels.measure(job)
        if unlabelled(job):
            metrics["spike_trains"] = _spike_trains(job, outcome)
        warnings = _warnings(job, outcome, maker)
    elif "data" in job.results:
        found, warnings = evaluate_source(job.relu_graph, job.results["data"])
        metrics |= found
    return {"metrics": metrics, "warnings": warnings}


def unlabelled(job):
    """Return whether a run is judged by its spike trains: nothing is classified.

    Parameters
    ----------
    job : Job
        With the stage run done.

    Returns
    -------
    bool
    """
    return "run" in job.results and "data" not in job.results and job.results["run"].prediction is None


def _spike_trains(job, outcome):
    """Statistics of each population whose spikes are in the file, a block of spikes at a time."""
    from eventsnn.analysis.trains import TrainStatistics
    from eventsnn.files.raster_h5_blocks import read_blocks, read_heads

    path, found = job.folder / "raster.h5", {}
    heads = read_heads(path)
    for name in (name for name, row in outcome.populations.items() if row["fires"] and name in heads):
        head, n_samples, _ = heads[name]
        trains = TrainStatistics(head.size, head.duration * (head.dt_ms or 1.0), n_samples)
        for part in read_blocks(path, name):
            trains.add(*part)
        found[name] = trains.result()
    return found


def _training(job):
    curve = job.results["train"]["curve"]
    return {"epochs": len(curve), "last": curve[-1] if curve else {}}


def _classification(outcome, samples):
    found = {}
    labels = None if samples is None else samples.labels
    if outcome.prediction is not None and labels is not None:
        found["accuracy"] = accuracy(outcome.prediction, labels)
    if outcome.source is not None and labels is not None:
        found["source_accuracy"] = accuracy(outcome.source, labels)
    if outcome.source is not None and outcome.prediction is not None:
        found["agreement"] = agreement(outcome.prediction, outcome.source)
    if outcome.latency is not None:
        finite = outcome.latency[np.isfinite(outcome.latency)]
        mean, most = (float(finite.mean()), float(finite.max())) if finite.size else (None, None)
        found["latency"] = {"mean_ms": mean, "max_ms": most, "undecided": int(outcome.latency.size - finite.size)}
    return found


def _activity(outcome, n_samples):
    """Spikes per neuron and sample, of all neurons that can spike, and the work of the engine."""
    firing = {name: row for name, row in outcome.populations.items() if row["fires"]}
    rates = spikes_per_neuron(firing, n_samples)
    counters = outcome.counters
    return {
        "samples": n_samples,
        "spikes_per_neuron": {"total": rates["total"], "per_population": rates["populations"]},
        "spikes": {
            "total": sum(row["spikes"] for row in firing.values()), "inputs": outcome.inputs,
            "per_population": {n: row["spikes"] for n, row in firing.items()},
        },
        "synaptic_events": counters.get("synaptic_events", 0),
        "synaptic_events_per_sample": counters.get("synaptic_events", 0) / n_samples,
        "neuron_updates": counters.get("neuron_updates", 0),
        "queue": {k.removeprefix("queue_"): counters[k] for k in QUEUE if k in counters},
        "engine": outcome.engine,
        "engine_reason": outcome.engine_reason,
        "raster_sha256": outcome.raster_sha256,
        "populations": outcome.populations,
    }


def _warnings(job, outcome, maker):
    """Name populations that never spike, and those that spike as much as they can."""
    found = []
    network = job.results["network"]
    firing = {name: row for name, row in outcome.populations.items() if row["fires"]}
    silent = silent_populations(firing)
    steps = outcome.counters["instants"] / maker.n_samples if network.clock == "grid" else None
    for name, row in firing.items():
        used = saturation(row, maker.n_samples, steps)
        if name in silent:
            found.append(f"population '{name}' is silent: none of its {row['neurons']} neurons spiked in any sample")
        elif "early" in row and used > EARLY:
            found.append(f"population '{name}' is saturated: {used:.1%} of its spikes came as the window opened; "
                         "raise convert.zeta or calibrate on more samples")  # fmt: skip
        elif "early" not in row and used > SATURATED:
            found.append(f"population '{name}' is saturated: {used:.2f} spikes per neuron and step; "
                         "lower its weights or raise its threshold")  # fmt: skip
    found += hybrid.warnings(job.results["convert"]["report"]) if "convert" in job.results else []
    found += [f"input '{name}' is silent: nothing entered the network" for name, n in outcome.inputs.items() if not n]
    return found
