"""Learning rule `van_rossum`: from the keys of a scenario to a taught network, its figures and its pictures."""

import numpy as np

from eventsnn import disk
from eventsnn.analysis import memory_layout
from eventsnn.errors import DataError
from eventsnn.learning.patterns import data as pattern_data
from eventsnn.learning.patterns.floor import reachable_loss
from eventsnn.learning.patterns.learner import PatternLearner
from eventsnn.learning.patterns.published import run_of
from eventsnn.scenario.learn.learned import Learned
from eventsnn.scenario.learn.settings import settings_of

CHECKPOINT = "checkpoint.npz"
SHOWN = (1, 10, 100, 300, 500, 594, 1000, 2000, 3000, 5000, 7000, 10000)


def learn(job):
    """Teach the network; a resumed run goes on from its checkpoint and gives the same bits.

    Parameters
    ----------
    job : Job

    Returns
    -------
    Learned
    """
    spec = job.spec.learn
    given, target = read_patterns(job, ("learn",), spec, spec.inputs, spec.outputs)
    learner = PatternLearner(given, target, settings_of(job.loaded), job.spec.seed)
    _teach(job, learner, spec)
    network = learner.network()
    learner.forward()
    found = figures(learner, spec.marks)
    arrays = {"loss": np.array(learner.losses), "target": learner.target.to_dense()[0].astype(np.uint8),
              "output": learner.rasters()["output"].to_dense()[0].astype(np.uint8),
              **{f"w{k + 1}": layer.stored_weights for k, layer in enumerate(learner.layers)}}  # fmt: skip
    metrics = {"pattern_loss": found["last"], "best_pattern_loss": found["best"], "learning": found}

    from eventsnn.plot import learning as plot_learning
    picture = {"found": found, **{name: arrays[name] for name in ("loss", "target", "output")}}
    return Learned(network, metrics, {"input": learner.given}, arrays, {"patterns": (plot_learning.draw_patterns, picture)})


def read_patterns(job, path, how, inputs, outputs):
    """Return the input and the target pattern that a scenario names.

    Parameters
    ----------
    job : Job
    path : tuple
        Where they stand in the scenario.
    how : object
        With keys input, target, steps and dt.
    inputs, outputs : int
        Neurons of both.

    Returns
    -------
    tuple of SpikeRaster
        One sample each, on the grid.
    """
    if how.input.kind == "raster":
        given = _read(job, (*path, "input"), how.input, inputs, how.steps)
    else:
        own = {name: getattr(how.input, name) for name in ("shortest", "increment", "group", "seed")}
        given = pattern_data.graded_input(inputs, how.steps, dt_ms=how.dt, **own)
    wanted = how.target
    if wanted.kind == "raster":
        return given, _read(job, (*path, "target"), wanted, outputs, how.steps)
    if wanted.kind == "smiley":
        pattern = pattern_data.smiley(how.steps, outputs)
    else:
        pattern = pattern_data.image_pattern(job.loaded.file(wanted.file), how.steps, outputs, wanted.threshold)
    return given, pattern_data.thinned(pattern, wanted.keep, seed=wanted.seed, dt_ms=how.dt)


def _read(job, path, how, neurons, steps):
    """A raster from a file, checked against the sizes of the scenario."""
    from eventsnn.scenario.simulate.encode import read_raster

    raster = read_raster(job.loaded, how.file, how.population, path[-1])
    if raster.clock != "grid" or raster.n_samples != 1 or (raster.size, raster.duration) != (neurons, steps):
        raise DataError(f"{how.file}: must hold one sample of {neurons} neurons and {steps} steps on the grid, got {raster!r}")
    return raster


def _teach(job, learner, spec):
    folder, done = job.own_folder("learn"), 0
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / CHECKPOINT
    if kept.exists():
        with disk.kept(kept):
            learner.restore(disk.read_npz(kept, DataError))
        done = len(learner.losses)
    for k in range(done, spec.presentations):
        learner.present()
        if (k + 1) % 50 == 0 or k + 1 == spec.presentations:
            job.progress("learn", k + 1, spec.presentations)
        if (k + 1) % spec.checkpoint == 0 or k + 1 == spec.presentations:
            with disk.finished(kept) as part, open(part, "wb") as file:
                np.savez(file, **learner.state())


def figures(learner, marks=()):
    """Return what a finished training is judged by, as plain data.

    Parameters
    ----------
    learner : PatternLearner
        After `forward` with its final weights.
    marks : list of float
        Losses whose first presentation is asked for.

    Returns
    -------
    dict
    """
    losses, settings, target = np.array(learner.losses), learner.settings, learner.target
    below = {f"{mark:g}": int(np.argmax(losses < mark)) + 1 if (losses < mark).any() else None for mark in marks}
    spikes = {"input": learner.given.n_spikes, "target": target.n_spikes,
              **{name: raster.n_spikes for name, raster in learner.rasters().items()}}  # fmt: skip
    like_theirs = [learner.given.size, settings.hidden, target.size, target.duration] == [700, 400, 250, 250]
    published = run_of(settings) if like_theirs else None
    log = None if published is None else {"bits": published[0], "loss_at": {str(k): v for k, v in published[1].items()}}
    return {
        "rule": "van_rossum", "bits": settings.bit_string, "presentations": losses.size,
        "last": float(losses[-1]), "best": float(losses.min()), "best_at": int(losses.argmin()) + 1,
        "silent": _silent(learner), "reachable": reachable_loss(target, settings.kappa, settings.tau, apart=settings.apart),
        "first_below": below, "loss_at": {str(k): float(losses[k - 1]) for k in SHOWN if k <= losses.size},
        "published_run": log, "spikes": spikes, "density": learner.densities, "memory": _memory(learner, like_theirs),
    }  # fmt: skip


def _silent(learner):
    """L of an output without spikes."""
    wanted = learner.layers[1].wanted
    return float(np.sqrt(np.sum(wanted * wanted) / (learner.settings.tau * 1e-3)))


def _memory(learner, like_theirs):
    """Bits of both weight matrices by layout, and the published energies of this width for a network of these sizes."""
    width = learner.settings.wb or 32
    found = {}
    for layout in memory_layout.LAYOUTS[:3]:
        found[layout] = {"bits": sum(memory_layout.layout_bits(layout, layer.sources, layer.neurons,
                                                               int(np.count_nonzero(layer.used_weights)), width)
                                     for layer in learner.layers)}  # fmt: skip
    for layout, row in (memory_layout.energies(learner.settings.wb) if like_theirs else {}).items():
        found[layout] |= {"published_joules": row.joules, "published_density": list(row.densities)}
    return found
