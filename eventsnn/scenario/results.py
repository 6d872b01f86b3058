"""What a run leaves in its folder: result.json, samples.npz, raster.png, report.html; each whole or not at all."""

import json
from pathlib import Path

import numpy as np

from eventsnn import disk
from eventsnn.scenario import provenance
from eventsnn.scenario.measure import spikes_seen
from eventsnn.scenario.measure.measure import unlabelled


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
        if outcome.whole:
            timing["whole_runs_seconds"] = outcome.whole["seconds"]
    return {
        "title": spec.title,
        **job.results["measure"],
        "conversion": job.results["convert"]["report"] if "convert" in job.results else None,
        "kernel_optimisation": job.results["optimise"]["report"] if "optimise" in job.results else None,
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
    from eventsnn.plot.runs import to_image

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

    from eventsnn.plot import activity as plot_activity
    from eventsnn.plot import runs as plot
    from eventsnn.report import page as report
    spikes_seen.write_tables(job, content)
    pictures = _curves(job, content)
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
        page = report.write(content, view, job.folder / "raster.png", job.spec.report.samples, pictures)
        part.write_text(page, "utf-8")


def _curves(job, content):
    """Draw what was measured over time and in histograms; returns the PNGs by kind, each also a file of the run folder."""

    from eventsnn.plot import curves as plot_curves
    metrics, wanted, title, drawn = content["metrics"], job.spec.measure, job.spec.title, {}
    if "over_time" in metrics:
        drawn["over_time"] = plot_curves.draw_over_time, metrics
    if "histograms" in metrics:
        drawn["histograms"] = plot_curves.draw_histograms, metrics["histograms"]
    if "integer" in metrics:
        drawn["integer"] = plot_curves.draw_integer, metrics["integer"]
    if wanted.layers:
        drawn["layers"] = plot_curves.draw_layers, spikes_seen.first_sample(job)
    if wanted.traces:
        drawn["traces"] = plot_curves.draw_traces, dict(np.load(job.folder / "traces.npz"))
    if "learn" in job.results:
        drawn |= job.results["learn"].pictures
    for kind, (draw, what) in drawn.items():
        with disk.finished(job.folder / f"{kind}.png") as part:
            draw(what, part, title)
    return {kind: (job.folder / f"{kind}.png").read_bytes() for kind in drawn}
