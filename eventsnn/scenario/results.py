"""What a run leaves in its folder: result.json, samples.npz, raster.png, report.html; each whole or not at all."""

import json
from pathlib import Path

import numpy as np

from eventsnn import disk
from eventsnn.scenario import provenance
from eventsnn.scenario.measure import unlabelled


def read_json(path):
    """Read a JSON object; a file that is missing or damaged gives an empty one.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path, content):
    """Write a JSON file, whole or not at all.

    Parameters
    ----------
    path : str or Path
    content : dict
        Plain data without NaN and infinity.
    """
    with disk.finished(path) as part:
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def content_of(job, seconds):
    """Put result.json together; timings stand apart from what is compared.

    Parameters
    ----------
    job : Job
        With all stages done.
    seconds : float
        Wall time of all stages.

    Returns
    -------
    dict
    """
    outcome, spec = job.results.get("run"), job.spec
    timing = {"seconds": seconds, "stages": dict(job.seconds)}
    if outcome is not None:
        timing |= {"engine_seconds": outcome.seconds, "compile_seconds": outcome.compile_seconds}
    return {
        "title": spec.title,
        **job.results["measure"],
        "conversion": job.results["convert"]["report"] if "convert" in job.results else None,
        "published": {name: figure.model_dump() for name, figure in spec.published.items()},
        "timing": timing,
        "provenance": provenance.record(job.loaded, job.inputs, job.digests),
    }


def write_samples(job):
    """Write samples.npz: what was decided about every sample.

    Parameters
    ----------
    job : Job
    """
    outcome, samples = job.results["run"], job.results.get("data")
    arrays = {"prediction": outcome.prediction, "source_prediction": outcome.source, "latency_ms": outcome.latency,
              "readout": outcome.readout}  # fmt: skip
    if samples is not None:
        arrays |= {"label": samples.labels, "id": samples.ids, "classes": np.array(samples.classes, "U")}
        arrays |= _images(job, arrays["prediction"])
    arrays = {name: value for name, value in arrays.items() if value is not None}
    with disk.finished(job.folder / "samples.npz") as part, open(part, "wb") as file:
        np.savez(file, **arrays)


def _images(job, prediction):
    """Samples that the picture and the report show, as bytes to look at: the first ones, and the first mistakes."""
    from eventsnn.plot import to_image

    x = job.results["data"].x
    if x is None or x.ndim != 4 or x.shape[-1] not in (1, 3):
        return {}
    most, labels = job.spec.report.samples, job.results["data"].labels
    wrong = [] if prediction is None else np.flatnonzero(prediction != labels)[: most // 2].tolist()
    kept = sorted({*range(min(len(x), max(most, job.spec.report.rasters))), *wrong})
    return {"image_of": np.array(kept), "image": np.stack([to_image(x[k]) for k in kept])}


def write_pictures(job, content):
    """Write raster.png and report.html.

    Parameters
    ----------
    job : Job
    content : dict
        Of result.json.
    """
    from eventsnn import plot, plot_activity, report

    if unlabelled(job):
        view = plot.View({})
        names = list(content["metrics"]["spike_trains"])
        with disk.finished(job.folder / "raster.png") as part:
            plot_activity.draw_activity(job.folder / "raster.h5", part, names, job.spec.title)
    else:
        view = plot.View.of(job.folder)
        with disk.finished(job.folder / "raster.png") as part:
            plot.draw_run(view, part, job.spec.report.rasters, job.spec.title)
    with disk.finished(job.folder / "report.html") as part:
        part.write_text(report.write(content, view, job.folder / "raster.png", job.spec.report.samples), "utf-8")
