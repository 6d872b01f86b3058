"""Whether an all-integer network, run until nothing spikes any more, says the levels of its quantised ANN."""

from itertools import pairwise

import numpy as np

AT_ONCE = 20  # samples: the memory of a VGG-Net's levels


def measure(job):
    """Run every sample until it is silent and compare every neuron's count with its level.

    Parameters
    ----------
    job : Job
        With the stage encode done.

    Returns
    -------
    dict
        Plain data, for result.json; {} where it is not asked for.
    """
    asked = job.spec.measure.integer_levels
    if asked is None:
        return {}
    prepared = _prepared(job, asked.steps)
    maker, tick = job.results["encode"], job.ticker("measure")
    hidden = [p.name for p in prepared.network.populations if p.model.name in ("signed", "thermometer")]
    found = {name: {"wrong": 0, "largest_level": 0} for name in hidden}
    totals = {"levels": 0, "wrong_samples": 0, "agreeing_answers": 0, "settled_samples": 0, "last_spike": 0, "sops_of_levels": 0}
    cuts = [*range(0, maker.n_samples, AT_ONCE), maker.n_samples]
    for start, stop in pairwise(cuts):
        _compare(job, prepared, asked.steps, maker.batch(start, stop), found, totals)
        tick(stop, maker.n_samples)
    return {"integer_levels": _result(totals, found, maker.n_samples, asked.steps)}


def _prepared(job, steps):
    """The scenario's network once more, with as many steps and levels as the measurement has, ready to run."""
    from eventsnn.conversion.integer import to_integer
    from eventsnn.engines.prepared import prepare

    options = job.spec.convert.model_dump(include={"thresholds", "dt"})
    dt = options.pop("dt")
    return prepare(to_integer(job.relu_graph, steps=steps, dt_ms=dt, **options)[0])


def _compare(job, prepared, steps, given, found, totals):
    """Add some samples to the sums."""
    from eventsnn import run
    from eventsnn.conversion.integer_levels import levels

    network = prepared.network
    drive = next(iter(given.values()))
    wanted, logits = levels(job.relu_graph, drive.values.reshape(-1, *network.inputs[0].shape))
    result = run(prepared, given, duration=steps, record=list(found), threads=job.spec.run.threads)
    wrong, late = np.zeros(len(logits), np.int64), np.zeros(len(logits), np.int64)
    for population, projection in zip(network.populations, network.projections[1:]):
        raster, name = result.rasters[population.name], population.name
        unit = population.parameters.get("amplitude", 1)
        counts = raster.amplitude_sums() / unit
        differ = counts != wanted[name]
        found[name]["wrong"] += int(differ.sum())
        found[name]["largest_level"] = max(found[name]["largest_level"], int(wanted[name].max()))
        wrong += differ.sum(axis=1)
        last = np.zeros(len(logits), np.int64)
        np.maximum.at(last, raster.sample_of_spike(), raster.times + 1)
        late = np.maximum(late, last)
        totals["levels"] += wanted[name].size
        if projection.target in found or _counts_classifier(job.spec):
            reach = projection.synapses.fan_out(network.shape_of(name), network.shape_of(projection.target))
            totals["sops_of_levels"] += int((wanted[name].sum(axis=0) * reach).sum() * unit)
    totals["wrong_samples"] += int((wrong > 0).sum())
    totals["agreeing_answers"] += int((result.prediction == logits.argmax(axis=1)).sum())
    totals["settled_samples"] += int((late < steps).sum())  # a step in which nothing spikes is followed by silence
    totals["last_spike"] = max(totals["last_spike"], int(late.max()))


def _counts_classifier(spec):
    return spec.measure.integer_logs is None or spec.measure.integer_logs.classifier


def _result(totals, found, n, steps):
    wrong = sum(row["wrong"] for row in found.values())
    return {
        "steps": steps, "samples": n, "levels_compared": totals["levels"], "wrong_levels": wrong,
        "equal_share": 1 - wrong / totals["levels"], "samples_with_wrong_levels": totals["wrong_samples"],
        "settled_samples": totals["settled_samples"], "silent_after_steps": totals["last_spike"],
        "same_answer_share": totals["agreeing_answers"] / n, "sops_of_levels_per_sample": totals["sops_of_levels"] / n,
        "per_population": found,
    }  # fmt: skip
