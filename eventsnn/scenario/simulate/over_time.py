"""Recording points and early exits: what a run looks at while it goes on, and keeps of each slice."""

import json

import numpy as np

from eventsnn import disk

RULE = "exit.json"
EACH = ("point_prediction", "point_amplitudes", "residual", "exit_steps", "whole_prediction")  # a row for each sample
SUMS = ("point_spikes", "point_events")  # whole numbers, summed over samples


def points_every(loaded, network):
    """Return `run.every` in steps, or None.

    Parameters
    ----------
    loaded : LoadedScenario
    network : Network

    Returns
    -------
    int or None
        1 for gated networks, whose only point is the end.

    Raises
    ------
    ScenarioError
        If it is not a whole number of steps, or the network may spike at any time.
    """
    every = loaded.spec.run.every
    if every is None:
        return None
    if network.clock == "continuous":
        if not network.gated:
            raise loaded.error(("run", "every"), "needs network.dt or gated populations; at any time, raster.h5 has it all")
        return 1
    steps = round(every / network.dt_ms)
    if steps < 1 or abs(steps * network.dt_ms - every) > 1e-9 * every:
        raise loaded.error(("run", "every"), f"must be whole steps of {network.dt_ms} ms, got {every} ms")
    return steps


def exit_rule(job, maker, folder, every):
    """Return the rule of `run.exit`, or None; a margin is calibrated once and kept in the folder of the stage.

    Parameters
    ----------
    job : Job
    maker : InputMaker
        Of the scenario's own samples.
    folder : Path
        Of the stage.
    every : int
        Steps between recording points.

    Returns
    -------
    callable or None
    """
    from eventsnn.analysis.anytime import Margin
    from eventsnn.analysis.anytime_bound import ProvenBound

    spec = job.spec.run.exit
    if spec is None:
        return None
    if spec.rule == "proven":
        with job.loaded.at("run", "exit"):
            return ProvenBound(job.results["network"])
    if not (folder / RULE).exists():
        margin = _calibrate(job, maker, every)
        with disk.finished(folder / RULE) as part:
            part.write_text(json.dumps({"margin": margin}), "utf-8")
    return Margin(read_margin(folder))


def read_margin(folder):
    """Return the margin that calibration has found, from the folder of the stage run."""
    with disk.kept(folder / RULE):
        return float(json.loads((folder / RULE).read_text("utf-8"))["margin"])


def _calibrate(job, maker, every):
    from eventsnn import run
    from eventsnn.analysis.anytime import calibrate
    from eventsnn.engines.points import Points
    from eventsnn.scenario.simulate.encode import InputMaker

    spec, network = job.spec.run, job.results["network"]
    samples = job.load(spec.exit.calibration.data)
    other, parts = InputMaker(job.loaded, network, samples, job.learned_inputs, job.input_code), []
    for start in range(0, other.n_samples, spec.batch):
        stop = min(start + spec.batch, other.n_samples)
        how = {"duration": other.duration, "threads": spec.threads, "seed": job.spec.seed, "sample_ids": other.ids(start, stop)}
        parts.append(run(network, other.batch(start, stop), **how, record=[], record_every=every).points)
        job.progress("calibrate", stop, other.n_samples)
    points = Points(parts[0].times, np.concatenate([p.readout for p in parts]), np.concatenate([p.prediction for p in parts]))
    with job.loaded.at("run", "exit"):
        return calibrate(points, spec.exit.tolerance).margin


def slice_arrays(network, result, whole):
    """Return what one slice keeps of a run over time.

    Parameters
    ----------
    network : Network
    result : RunResult
    whole : RunResult or None
        Of the same samples without early exit.

    Returns
    -------
    arrays : dict of ndarray
        Named as in `EACH` and `SUMS`.
    numbers : dict
        Plain data.
    """
    points = (whole or result).points
    if points is None:
        return {}, {}
    names = [p.name for p in network.populations]
    fires = [p.name for p in network.populations if p.model.fires]
    arrays = {
        "point_prediction": None if points.prediction is None else points.prediction.astype(np.int32),
        "point_amplitudes": sum((points.amplitudes[n] for n in fires), np.zeros(points.spikes[names[0]].shape)),
        "residual": np.stack([points.residual[n] for n in names], axis=1),
        "point_spikes": np.stack([points.spikes[n].sum(axis=0) for n in names]),
        "point_events": np.stack([points.synaptic_events[n].sum(axis=0) for n in names]),
        "point_signed": np.stack([points.amplitudes[n].sum(axis=0) for n in names]),
        "exit_steps": result.exit_steps, "whole_prediction": None if whole is None else whole.prediction,
    }  # fmt: skip
    numbers = {"points": [t * (network.dt_ms or 1.0) for t in points.times.tolist()]}
    if whole is not None:
        numbers["whole"] = {"seconds": whole.seconds, **{k: int(whole.counters[k]) for k in ("spikes", "synaptic_events")}}
    return arrays, numbers
