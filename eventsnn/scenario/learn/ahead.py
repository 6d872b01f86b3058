"""What each learning rule would stumble over, found before anything is trained: one function for each rule.

Each takes the findings so far (`eventsnn.scenario.ahead.Findings`), the job, and the ReLU network that learning goes on from, or
None where there is none, or it could not be made.
"""

from dataclasses import replace

import numpy as np

from eventsnn.ann.training_data import check_data, check_held_out
from eventsnn.errors import DataError
from eventsnn.scenario.learn.settings import settings_of


def _places(spec):
    """Return (path, DataSpec) of what is learned from and tested on."""
    found = [(("learn", "data"), spec.data), *((("learn", "test", k), data) for k, data in enumerate(spec.test))]
    return [(path, data) for path, data in found if data is not None]


def chain(graph):
    """Return the weighted layers of a network that is a chain of them, with what belongs to each; ModelError where it is not."""
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.conversion.segments import cut

    return cut(fold_batch_norm(graph))[1]


def _there(job, how):
    """Whether the files of patterns are there; of those that are not it is known already."""
    return all(job.loaded.file(part.file).is_file() for part in (how.input, how.target) if hasattr(part, "file"))


def _stdb(found, job, graph):
    spec = job.spec.learn
    for path, data in _places(spec):
        samples = found.samples(path, data, images=True)
        if samples is not None and graph is not None:
            found.of(path, check_data, graph, (samples.x, samples.labels))
        if samples is not None and path == ("learn", "data"):
            found.of(("learn", "validation"), check_held_out, spec.validation, len(samples))


def _ttfs(found, job, graph):
    from eventsnn.learning.ttfs.parts import dense_segments, fitted, set_windows
    from eventsnn.scenario.learn.ttfs import start_graph
    from eventsnn.scenario.learn.ttfs_judge import InputMap

    spec = job.spec.learn
    given = {path: found.samples(path, data, images=True) for path, data in _places(spec)}
    samples, start = given[("learn", "data")], None
    if samples is not None:
        found.of(("learn", "validation"), check_held_out, spec.validation, len(samples))
        if spec.architecture is not None:
            start = found.of(("learn", "architecture"), start_graph, job.loaded, None, samples)
        elif graph is not None:
            start = found.of(("learn",), start_graph, job.loaded, graph, samples)
    if start is None:
        return
    settings = settings_of(job.loaded)
    segments = found.of(("learn",), dense_segments if settings.neuron == "alpha1" else chain, start)
    if segments is not None and settings.windows is not None:
        found.of(("learn", "window", "lengths"), set_windows, np.ones(len(segments) - 1), settings.windows)
    code = InputMap(job.loaded)
    for path, samples in given.items():
        if samples is not None:
            found.of(path, lambda own: fitted(start, code(own), own.labels, own.name), samples)


def _decolle(found, job, graph):
    from eventsnn.learning.decolle.plan import make_plan

    spec, settings, shapes = job.spec.learn, settings_of(job.loaded), {}
    for path, data in _places(spec):
        samples = found.samples(path, data)
        if samples is not None:
            shapes[path] = found.of(path, _entering, samples, settings, spec.image_rate)
        if samples is not None and path == ("learn", "data"):
            found.of(("learn", "validation"), check_held_out, round(spec.validation * len(samples)), len(samples))
            classes = len(samples.classes)
    shape = shapes.get(("learn", "data"))
    if shape is None:
        return
    plans = found.of(("learn", "layers"), make_plan, settings, (shape[2], *shape[:2]), classes)
    for path, other in shapes.items():
        if other is not None and other != shape:
            found.of(path, _other_shape, other, shape)
    weights = None if spec.weights is None else job.loaded.file(spec.weights)
    if plans is not None and weights is not None and weights.is_file():
        found.of(("learn", "weights"), _weights, weights, plans)


def _entering(samples, settings, rate_hz):
    """Return the shape of what enters the first layer; one sample says it."""
    from eventsnn.scenario.learn.decolle import source_of

    first = replace(samples, x=None if samples.x is None else samples.x[:1], ids=samples.ids[:1])
    return source_of(first, settings, rate_hz).shape


def _other_shape(own, wanted):
    raise DataError(f"enters as {own} (y, x, channel), what is learned from as {wanted}")


def _weights(file, plans):
    from eventsnn.scenario.learn.decolle import read_weights

    own = [w.shape for w in read_weights(file)[0]]
    if own != [plan.weight_shape for plan in plans]:
        raise DataError(f"{file}: has weights of shapes {own}, which do not fit the network's {[p.weight_shape for p in plans]}")


def _adjoint(found, job, graph):
    from eventsnn.learning.adjoint.parameters import Trained
    from eventsnn.scenario.learn.adjoint import Patterns, start_network
    from eventsnn.scenario.simulate.encode import InputMaker

    spec, network = job.spec.learn, found.of(("network",), start_network, job.loaded)
    if network is not None:
        found.of(("learn",), Trained, network, settings_of(job.loaded))
        if spec.loss.kind == "van_rossum" and _there(job, spec.loss):
            found.of(("learn", "loss"), Patterns, job, network)
    for path, data in _places(spec):
        samples = found.samples(path, data)
        if samples is not None and network is not None:
            found.of(path, samples.check_labels, network)
            found.of(path, lambda own: InputMaker(job.loaded, network, own).batch(0, 1), samples)
        if samples is not None and path == ("learn", "data"):
            found.of(("learn", "validation"), check_held_out, spec.validation, len(samples))


def _patterns(found, job, graph):
    from eventsnn.scenario.learn.patterns import read_patterns

    spec = job.spec.learn
    if _there(job, spec):
        found.of(("learn",), read_patterns, job, ("learn",), spec, spec.inputs, spec.outputs)


LEARNERS = {"stdb": _stdb, "ttfs": _ttfs, "decolle": _decolle, "adjoint": _adjoint, "van_rossum": _patterns}
"""Rule -> what looks ahead for it."""
