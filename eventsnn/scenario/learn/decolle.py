"""Learning rule `decolle`: from the keys of a scenario to a network that has learnt event streams, and its figures."""

import json

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError
from eventsnn.metrics import accuracy
from eventsnn.scenario.learn.learned import Learned
from eventsnn.scenario.learn.settings import settings_of

CHECKPOINT = "checkpoint.npz"


def learn(job):
    """Teach the network; a resumed run goes on from its checkpoint and gives the same bits.

    Parameters
    ----------
    job : Job

    Returns
    -------
    Learned
    """
    from eventsnn.learning.decolle import training as decolle
    from eventsnn.learning.decolle.memory import footprint
    from eventsnn.learning.decolle.network import INPUT, to_network
    from eventsnn.learning.decolle.plan import make_plan

    spec, settings = job.spec.learn, settings_of(job.loaded)
    samples = job.load(spec.data)
    source, folder = source_of(samples, settings, spec.image_rate), job.own_folder("learn")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    result = decolle.learn(
        source, samples.labels, len(samples.classes), settings, checkpoint=None if folder is None else folder / CHECKPOINT,
        progress=lambda record: job.progress("learn", record["epoch"], settings.epochs), identity=samples.sha256,
        start=None if spec.weights is None else read_weights(job.loaded.file(spec.weights)),
    )  # fmt: skip
    found = _figures(job, result)
    plans = make_plan(settings, result.in_shape, result.classes)
    found["memory"] = footprint(plans, settings.bits)
    run_on = job.results.get("data")
    inputs = {}
    if job.spec.run is not None and run_on is not None:
        inputs[INPUT] = source_of(run_on, settings, spec.image_rate).batch(np.arange(len(run_on)))
    arrays = {f"{n}{k + 1}": x for n, rows in (("w", result.weights), ("b", result.biases)) for k, x in enumerate(rows)}
    arrays["settings"] = np.frombuffer(json.dumps(settings.to_dict()).encode(), np.uint8)
    return Learned(to_network(result), {"learning": found}, inputs, arrays)


def source_of(samples, settings, rate_hz):
    """Return what the learner reads its batches from.

    Parameters
    ----------
    samples : Samples
    settings : DecolleSettings
    rate_hz : float
        Of a pixel of value 1.

    Returns
    -------
    Recordings or Images
    """
    from eventsnn.learning.decolle.input import Images, Recordings

    if samples.recordings is not None:
        shape = samples.recordings.shape
        return Recordings(samples.recordings.recordings(samples.ids), shape, samples.ids, settings)
    return Images(samples.x, samples.ids, settings, rate_hz)


def read_weights(path):
    """Read the weights and biases of a learned.npz.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of list of ndarray
    """
    arrays = disk.read_npz(path, DataError)
    count = sum(name.startswith("w") for name in arrays)
    try:
        return [arrays[f"w{k + 1}"] for k in range(count)], [arrays[f"b{k + 1}"] for k in range(count)]
    except KeyError as error:
        raise DataError(f"{path}: has no array {error}; name the learned.npz of a run with rule: decolle") from None


def _figures(job, result):
    """Plain data for result.json: the last epoch, and the accuracy of every layer with its standard error."""
    from eventsnn.learning.decolle import training as decolle

    found = {"rule": "decolle", "epochs": len(result.curve), "kept_epoch": result.epoch,
             "last": result.curve[-1] if result.curve else {}, "loss": [r["loss"][-1] for r in result.curve],
             "test": []}  # fmt: skip
    right = []
    for data in job.spec.learn.test:
        samples = job.load(data)
        answers = decolle.predict(result, source_of(samples, result.settings, job.spec.learn.image_rate))
        right.append(answers == samples.labels)
        found["test"].append({"data": samples.name, **_judged(answers, samples.labels)})
    if len(right) > 1:
        found["test"].append({"data": "all of these", **_judged(np.concatenate(right, 1).astype(np.int64), 1)})
    return found


def _judged(answers, labels):
    shares = [accuracy(row, np.broadcast_to(labels, row.shape)) for row in answers]
    n = answers.shape[1]
    return {"samples": n, "accuracy": shares, "standard_error": [float(np.sqrt(p * (1 - p) / n)) for p in shares]}
