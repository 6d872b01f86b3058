"""What the schema cannot say: stages that need each other, names that must exist, lists of equal length."""

import math

from eventsnn.errors import did_you_mean
from eventsnn.scenario.learn import stdb as learn_stdb
from eventsnn.scenario.measure import energy
from eventsnn.scenario.network import clocks, coding, hybrid, integer
from eventsnn.scenario.rules import adjoint as rules_adjoint
from eventsnn.scenario.rules import measure as rules_measure
from eventsnn.scenario.rules import normalisation
from eventsnn.scenario.rules import ramps as rules_ramps
from eventsnn.scenario.rules import settings as rules_settings
from eventsnn.scenario.rules import t2fsnn as rules_t2fsnn
from eventsnn.scenario.rules import ttfs as rules_ttfs

OWN_INPUT = ("van_rossum",)  # learning rules whose input pattern is the input of the run
OWN_CODE = ("decolle",)  # learning rules that make spikes of the samples themselves
WITH_TEST = ("adjoint", "decolle", "stdb", "ttfs")  # learning rules that judge themselves on samples of their own
IMAGE_CODES = ("ttfs", "ttfs_kernel", "poisson", "constant", "latency", "phase", "burst")


def check(loaded):
    """Find mistakes that concern several keys.

    Parameters
    ----------
    loaded : LoadedScenario

    Yields
    ------
    path : tuple
        Where.
    problem : str
        What is wrong and what would be right.
    """
    spec = loaded.spec
    for path, data in data_specs(spec):
        yield from _data(path, data)
    if spec.network is None and spec.train is None and spec.learn is None:
        yield ("network",), "required, but not there (or a train: or learn: section that makes one)"
    yield from _learning(spec)
    if spec.train is not None and spec.train.architecture is None and not has_source(spec):
        yield ("train", "architecture"), "required, but not there (or network.source to go on from)"
    if spec.train is not None and spec.train.twin is not None and not has_source(spec):
        yield ("train", "twin"), "starts from a trained ReLU network: needs network.source"
    yield from _training(spec)
    yield from rules_settings.check(spec)
    yield from _conversion(spec)
    yield from _coding(spec)
    yield from rules_measure.check(spec)
    codes = {("encode",) if name is None else ("encode", name): code for name, code in encoders(spec).items()}
    yield from clocks.check(spec, explicit(spec), codes)
    yield from coding.check(spec, codes)
    yield from normalisation.check(spec)
    yield from rules_ramps.check(spec, explicit(spec), codes)
    yield from rules_t2fsnn.check(spec, codes)
    yield from integer.check(spec, codes)
    yield from hybrid.check(spec, codes)
    yield from energy.check(spec)


def has_source(spec):
    """Whether the scenario starts from a file of trained weights."""
    return spec.network is not None and hasattr(spec.network, "source")


def explicit(spec):
    """Return the network written out in the scenario, or None."""
    return spec.network if spec.network is not None and not hasattr(spec.network, "source") else None


def data_specs(spec):
    """Return (path, DataSpec) of every place that names samples, as a list."""
    found = [(("data",), spec.data)]
    if spec.train is not None:
        found.append((("train", "data"), spec.train.data))
    if spec.learn is not None and spec.learn.rule in WITH_TEST:
        found += [(("learn", "data"), spec.learn.data), *((("learn", "test", k), data) for k, data in enumerate(spec.learn.test))]
    if spec.statistics is not None:
        found.append((("statistics", "data"), spec.statistics.data))
    if spec.optimise is not None:
        found.append((("optimise", "data"), spec.optimise.data))
    if getattr(spec.convert, "calibration", None) is not None:
        found.append((("convert", "calibration", "data"), spec.convert.calibration.data))
    if spec.run is not None and getattr(spec.run.exit, "calibration", None) is not None:
        found.append((("run", "exit", "calibration", "data"), spec.run.exit.calibration.data))
    return [(path, data) for path, data in found if data is not None]


def encoders(spec):
    """Return {input name or None: encoder spec}; None is the only input."""
    if spec.encode is None:
        return {}
    return spec.encode if isinstance(spec.encode, dict) else {None: spec.encode}


def _data(path, data):
    from eventsnn.files.datasets_registry import REGISTRY

    if (data.name is None) == (data.file is None):
        yield path, "needs either name (a known data set) or file (your own .npz)"
    if data.name is not None and data.name not in REGISTRY:
        yield (*path, "name"), (
            f"unknown data set, got {data.name!r}, allowed {', '.join(REGISTRY)}{did_you_mean(data.name, REGISTRY)}"
        )


def _training(spec):
    """Samples must enter the trained network as they entered training."""
    if spec.train is None or spec.data is None:
        return
    asked = spec.train.settings
    side = asked.crop or spec.train.data.crop
    if (spec.data.crop or 0) != (side or 0):
        trained = f"squares of side {side}: write 'crop: {side}'" if side else "whole images: remove it"
        yield ("data", "crop"), f"the network is trained on {trained}"
    if spec.train.data.range != spec.data.range:
        low, high = spec.train.data.range
        yield ("data", "range"), f"the network is trained on values in [{low:g}, {high:g}]: write 'range: [{low:g}, {high:g}]'"
    inside = asked.standardise or spec.train.data.standardise
    if inside != spec.data.standardise:
        trained = "standardised images: write 'standardise: true'" if inside else "images as they are: remove it"
        yield ("data", "standardise"), f"the network is trained on {trained}"


def _conversion(spec):
    if spec.convert is not None and explicit(spec) is not None:
        yield ("convert",), "an explicit network is spiking already, nothing to convert; remove this section"
    if spec.run is not None and spec.convert is None and explicit(spec) is None and spec.learn is None:
        yield ("convert",), "required to run a ReLU network with spikes, for example 'to: ramps'"
    evaluates = has_source(spec) and spec.convert is None and (spec.data is not None or spec.statistics is not None)
    if spec.run is None and spec.train is None and spec.learn is None and not evaluates:
        yield ("run",), "required, but not there ('run: {}' takes all defaults)"
    for section in ("encode", "readout"):
        if spec.run is None and spec.learn is None and getattr(spec, section) is not None:
            yield (section,), "belongs to a run:, which is not here; remove this section"
    if spec.statistics is not None and explicit(spec) is not None:
        yield ("statistics",), "an explicit network has no ReLU activations to scan; remove this section"


def _learning(spec):
    if spec.learn is None:
        return
    if spec.learn.rule == "ttfs":
        yield from rules_ttfs.check(spec)
        return
    if spec.learn.rule == "adjoint":
        yield from rules_adjoint.check(spec, explicit(spec), encoders(spec))
        return
    if spec.learn.rule == "stdb":
        yield from learn_stdb.check(spec)
        return
    for section in ("network", "train", "convert"):
        if getattr(spec, section) is not None:
            yield (section,), "learn: makes the spiking network itself; remove this section, or learn:"
    if spec.learn.rule in OWN_INPUT:
        for section in ("data", "encode"):
            if getattr(spec, section) is not None:
                yield (section,), f"learning rule '{spec.learn.rule}' brings its own input pattern; remove this section"
        if spec.run is None:
            yield ("run",), "required, but not there ('run: {}' takes all defaults)"
        elif spec.run.duration is not None:
            yield ("run", "duration"), "the taught pattern says how long to run; remove it (learn.steps sets it)"
    if spec.learn.rule in OWN_CODE:
        if spec.encode is not None:
            yield ("encode",), f"learning rule '{spec.learn.rule}' makes spikes of the samples itself; remove this section"
        if spec.run is not None and spec.data is None:
            yield ("data",), "required with run: which samples the learned network is run on"
        if spec.run is not None and spec.run.duration is not None:
            yield ("run", "duration"), "learn.test_window says how long to run; remove it"


def _coding(spec):
    taught = spec.learn is not None and (spec.learn.rule in (*OWN_INPUT, *OWN_CODE) or rules_adjoint.brings_input(spec))
    if spec.run is not None and spec.encode is None and not taught and getattr(explicit(spec), "inputs", True):
        yield ("encode",), "required to run: how numbers become spikes, for example 'code: ttfs'"
    network = explicit(spec)
    trained = spec.learn is not None and spec.learn.rule == "ttfs"  # on coded samples of its own
    for name, code in encoders(spec).items():
        path = ("encode",) if name is None else ("encode", name)
        if name is not None and network is not None and name not in network.inputs:
            yield path, f"unknown input, allowed {', '.join(network.inputs)}{did_you_mean(name, network.inputs)}"
        if code.code in (*IMAGE_CODES, "events") and spec.data is None and not trained:
            yield path, f"code {code.code!r} needs samples: add a data: section"
        if code.code == "poisson_times":
            yield from _poisson_times(path, code, spec)
        if code.code == "raster":
            yield from _raster(path, code)
    if network is not None and spec.encode is not None:
        missing = [name for name in network.inputs if name not in encoders(spec)]
        if None in encoders(spec):
            several = len(network.inputs) != 1 and encoders(spec)[None].code != "poisson_times"  # which draws for each
            missing = missing if several else []
        if missing:
            yield ("encode",), f"every input needs an encoder, missing {', '.join(missing)}"


def _poisson_times(path, code, spec):
    if spec.data is not None:
        yield path, "code 'poisson_times' makes one sample of its own rate; remove the data: section"
    if spec.run is not None and spec.run.duration is None:
        yield ("run", "duration"), "required: Poisson spikes need a duration, for example 1 s"
    inputs = getattr(explicit(spec), "inputs", {})
    node = inputs.get(path[1]) if len(path) > 1 else next(iter(inputs.values()), None)
    if isinstance(code.rate, list) and node is not None and len(code.rate) != math.prod(node.shape):
        count = math.prod(node.shape)
        yield (*path, "rate"), f"must be one rate, or one for each of the {count} input neurons, got {len(code.rate)}"


def _raster(path, code):
    written = code.times is not None and code.neurons is not None
    if (code.file is not None) == written or (code.times is None) != (code.neurons is None):
        yield path, "needs either file, or both times and neurons"
    elif written and len(code.times) != len(code.neurons):
        yield (*path, "neurons"), f"times and neurons must be equally long, got {len(code.times)} and {len(code.neurons)}"
