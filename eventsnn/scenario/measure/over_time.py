"""Runs over time: the curves and early exits that result.json tells of."""

import math

from eventsnn.metrics import accuracy, agreement, latency_to_accuracy
from eventsnn.scenario.simulate.over_time import read_margin


def measure(job, outcome, samples, n_samples):
    """Return accuracy, spikes and work over time, residual membranes and early exits, as far as the run recorded them.

    Parameters
    ----------
    job : Job
    outcome : Outcome
    samples : Samples or None
    n_samples : int

    Returns
    -------
    dict
        `over_time`, `residual_membrane`, `early_exit`; plain data.
    """
    if not outcome.points:
        return {}
    network, labels = job.results["network"], None if samples is None else samples.labels
    names, kept = [p.name for p in network.populations], outcome.over_time
    fires = [k for k, p in enumerate(network.populations) if p.model.fires]
    spikes, events = kept["point_spikes"], kept["point_events"]
    curve = {
        "times_ms": outcome.points,
        "spikes": (spikes[fires].sum(axis=0) / n_samples).tolist(),
        "amplitudes": [math.fsum(column) / n_samples for column in kept["point_amplitudes"].T],
        "synaptic_events": (events.sum(axis=0) / n_samples).tolist(),
        "spikes_per_population": {names[k]: (spikes[k] / n_samples).tolist() for k in fires},
    }
    if "point_prediction" in kept:
        at = kept["point_prediction"].T
        if labels is not None:
            curve["accuracy"] = [accuracy(p, labels) for p in at]
        if outcome.source is not None:
            curve["agreement"] = [agreement(p, outcome.source) for p in at]
    found = {"over_time": curve}
    target = job.spec.measure.target
    if target is not None and "accuracy" in curve:
        first, stays = (latency_to_accuracy(outcome.points, curve["accuracy"], target, stays=s) for s in (False, True))
        found["latency_to_accuracy"] = {"target": target, "reached_ms": first, "kept_from_ms": stays}
    found["residual_membrane"] = {n: math.fsum(kept["residual"][:, k]) / n_samples for k, n in enumerate(names)}
    if "exit_steps" in kept:
        found["early_exit"] = _exits(job, outcome, labels, fires)
    return found


def _exits(job, outcome, labels, fires):
    from eventsnn.analysis.anytime import outcome as costs

    network, kept, spec = job.results["network"], outcome.over_time, job.spec.run.exit
    steps, dt = round(outcome.points[-1] / network.dt_ms), network.dt_ms
    exits, found = kept["exit_steps"], {"rule": spec.rule}
    if spec.rule == "margin":
        found |= {"margin": read_margin(job.own_folder("run")), "tolerance": spec.tolerance}
    if "whole_prediction" not in kept:
        return found | {"mean_ms": float(exits.mean() * dt), "time_saved": float(1 - exits.mean() / steps),
                        "left_early": float((exits < steps).mean())}  # fmt: skip
    found |= costs(exits, outcome.prediction, kept["whole_prediction"], steps, dt, labels)
    names = [p.name for p in network.populations]
    spikes = sum(outcome.populations[names[k]]["spikes"] for k in fires)
    whole = outcome.whole
    found["spikes_saved"] = 1 - spikes / whole["spikes"] if whole["spikes"] else 0.0
    found["synaptic_events_saved"] = 1 - outcome.counters["synaptic_events"] / max(whole["synaptic_events"], 1)
    return found
