"""Logs of all-integer networks: accuracy, synaptic operations and signed spikes of every batch after every step."""

import numpy as np

from eventsnn import disk
from eventsnn.scenario.simulate.slices import count_slices, read_slice

LOGS = ("accuracy", "sop_num", "spike_num", "spike_collect", "abs_spike", "sum_spike")


def batches(job):
    """Return the six logs of every batch.

    Parameters
    ----------
    job : Job
        With the stage run done.

    Returns
    -------
    list of dict of list
        One for each batch of `run.batch` samples: log -> a whole number for each step, summed over the batch.

    Notes
    -----
    accuracy: samples that are right if read out after the step. sop_num: synaptic operations so far, abs(amplitude) times the
    synapses that a spike crosses, zero weights included, into the hidden layers and, if asked for, the classifier.
    spike_num, spike_collect: spikes of the hidden layers so far, and their signed sum. abs_spike, sum_spike: those of this
    step alone. The encoder's spikes are not counted (all-integer-snn 1.3).
    """
    network, folder = job.results["network"], job.own_folder("run")
    labels, found, start = job.results["data"].labels, [], 0
    hidden = [k for k, p in enumerate(network.populations) if p.model.name == "signed"]
    unit = network.populations[0].parameters["amplitude"]
    for index in range(count_slices(folder)):
        arrays, _ = read_slice(folder, index)
        at, events = arrays["point_prediction"], arrays["point_events"]
        right = (at == labels[start : start + len(at), None]).sum(axis=0)
        sops = events[hidden].sum(axis=0) + (unit - 1) * (events[hidden[0]] if hidden else 0)
        if job.spec.measure.integer_logs.classifier:
            sops = sops + events[-1]
        spikes, signed = arrays["point_spikes"][hidden].sum(axis=0), arrays["point_signed"][hidden].sum(axis=0)
        columns = (right, sops, spikes, signed, np.diff(spikes, prepend=0), np.diff(signed, prepend=0))
        found.append({name: np.asarray(c, np.int64).tolist() for name, c in zip(LOGS, columns)})
        start += len(at)
    return found


def counted(job):
    """Return the projections whose synaptic operations are counted: into hidden layers and, if asked for, the classifier.

    Parameters
    ----------
    job : Job

    Returns
    -------
    list of Projection
        [] where the logs are not asked for.
    """
    asked, network = job.spec.measure.integer_logs, job.results["network"]
    if asked is None:
        return []
    left_out = {network.populations[0].name} | (set() if asked.classifier else {network.populations[-1].name})
    return [p for p in network.projections if p.target not in left_out]


def slice_arrays(job, result):
    """Return what one slice keeps for the logs: operations through weights that are not 0.

    Parameters
    ----------
    job : Job
    result : RunResult
        With the spikes of every source of :func:`counted`.

    Returns
    -------
    dict
        nonzero_operations, int64 (steps,): so far, summed over the slice; {} where the logs are not asked for.
    """
    network, found = job.results["network"], counted(job)
    total = 0
    for projection in found:
        raster = result.rasters[projection.source]
        reach = nonzero_fan_out(projection.synapses, network.shape_of(projection.source), network.shape_of(projection.target))
        size = reach[raster.ids] * (1 if raster.amplitudes is None else np.abs(raster.amplitudes))
        total = total + np.bincount(raster.times, weights=size, minlength=raster.duration)
    return {"nonzero_operations": np.cumsum(total).astype(np.int64)} if found else {}


def measure(job):
    """Return the logs summed over all batches, spikes of both signs, operations and an energy estimate.

    Parameters
    ----------
    job : Job

    Returns
    -------
    dict
        Plain data, for result.json; {} where the logs are not asked for.
    """
    asked = job.spec.measure.integer_logs
    if asked is None:
        return {}
    network, n, folder = job.results["network"], job.results["encode"].n_samples, job.own_folder("run")
    rows = batches(job)
    steps = {name: np.sum([row[name] for row in rows], axis=0).tolist() for name in LOGS}
    parts = [read_slice(folder, index)[0]["nonzero_operations"] for index in range(count_slices(folder))]
    steps["sop_num_nonzero_weights"] = np.sum(parts, axis=0).tolist()
    spikes, signed, sops, nonzero = (steps[name][-1] for name in ("spike_num", "spike_collect", "sop_num",
                                                                  "sop_num_nonzero_weights"))  # fmt: skip
    macs = sum(int(p.synapses.fan_out(network.shape_of(p.source), network.shape_of(p.target)).sum()) for p in counted(job))
    return {"integer": {
        "per_step": steps,
        "per_sample": {
            "sops": sops / n, "sops_nonzero_weights": nonzero / n, "spikes": spikes / n,
            "positive": (spikes + signed) / 2 / n, "negative": (spikes - signed) / 2 / n, "dense_macs": macs,
        },
        "classifier_counted": asked.classifier,
        "energy_estimate": {"pj_per_add": asked.add_energy, "pj_per_mac": asked.mac_energy,
                            "snn_nj_per_sample": sops / n * asked.add_energy / 1000,
                            "snn_nj_per_sample_nonzero_weights": nonzero / n * asked.add_energy / 1000,
                            "ann_nj_per_sample": macs * asked.mac_energy / 1000},
    }}  # fmt: skip


def nonzero_fan_out(synapses, source_shape, target_shape):
    """Return how many synapses of each source have a weight that is not 0.

    Parameters
    ----------
    synapses : Conv2d or Dense
    source_shape, target_shape : tuple of int

    Returns
    -------
    ndarray of int64 (n_sources,)
    """
    weights = np.asarray(synapses.weights)
    if weights.ndim == 2:
        return np.count_nonzero(weights, axis=1)
    reach, (sy, sx) = np.count_nonzero(weights, axis=3), synapses.stride
    (py, px), (rows, columns), (kh, kw) = synapses.pads(*source_shape[:2]), target_shape[:2], reach.shape[:2]
    height, width, channels = source_shape
    wide = np.zeros((max((rows - 1) * sy + kh, py + height), max((columns - 1) * sx + kw, px + width), channels), np.int64)
    for y in range(kh):
        for x in range(kw):
            wide[y : y + rows * sy : sy, x : x + columns * sx : sx][:rows, :columns] += reach[y, x]
    return wide[py : py + height, px : px + width].reshape(-1)


def write(job):
    """Write the six logs as text files: one line for each batch and step, the step fastest.

    Parameters
    ----------
    job : Job
    """
    folder, rows = job.folder / "integer_logs", batches(job)
    folder.mkdir(exist_ok=True)
    for name in LOGS:
        shown = float if name == "spike_collect" else int  # the published file has floats
        with disk.finished(folder / f"{name}.txt") as part:
            part.write_text("".join(f"{shown(value)}\n" for row in rows for value in row[name]), "utf-8")
