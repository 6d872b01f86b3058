"""The stages of an experiment in their order, each hashed over everything that decides its result.

A stage is a name, the stages it needs, the part of the scenario it depends on, and its work. Its hash covers that part,
the hashes of the stages before it, the content of the files it reads and the version of eventsnn; what it keeps lies
in `stages/<name>-<hash>/` of the run folder, and is found there again when a run is resumed.
"""

import hashlib
import json
import time
from dataclasses import dataclass

import eventsnn
from eventsnn.errors import did_you_mean
from eventsnn.scenario.learn import learned as learn
from eventsnn.scenario.measure import measure
from eventsnn.scenario.network import convert, kernels
from eventsnn.scenario.network.build import build, with_readout
from eventsnn.scenario.network.scaling import write_statistics
from eventsnn.scenario.rules.sections import data_specs, encoders, explicit, has_source
from eventsnn.scenario.simulate import simulate
from eventsnn.scenario.simulate.encode import InputMaker


@dataclass(frozen=True)
class Stage:
    """One step of an experiment.

    Attributes
    ----------
    name : str
    needs : tuple of str
        Stages whose hashes enter its own (those of them that the scenario has).
    present : callable
        Takes the scenario; whether it has this stage.
    identity : callable
        Takes the job; plain data that decides the result, besides what it needs.
    work : callable
        Takes the job; returns the stage's result.
    """

    name: str
    needs: tuple
    present: object
    identity: object
    work: object


def execute(job, until=None):
    """Run the stages of a scenario in order.

    Parameters
    ----------
    job : Job
        Filled in on the way.
    until : str, optional
        Last stage to run; None: all.

    Returns
    -------
    Job
        The same.
    """
    for stage in STAGES:
        if stage.present(job.spec) and not (job.folder is None and stage.name in SCANS):
            with job.loaded.at(*SECTIONS.get(stage.name, (stage.name,))):
                _perform(job, stage)
        if stage.name == until:
            break
    return job


def _perform(job, stage):
    start = time.perf_counter()
    parts = [stage.name, eventsnn.__version__, stage.identity(job)]
    parts += [[name, job.digests[name]] for name in stage.needs if name in job.digests]
    job.digests[stage.name] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    job.results[stage.name] = stage.work(job)
    job.seconds[stage.name] = time.perf_counter() - start


def _dump(spec, **options):
    return None if spec is None else spec.model_dump(mode="json", **options)


def _data_identity(job):
    return [_dump(job.spec.data), job.load(job.spec.data).sha256]


def _source_identity(job):
    source = job.spec.network.source
    return [job.hash_file(source.file), _dump(source.keras)]


def _train_identity(job):
    spec = _dump(job.spec.train)
    return [spec, job.spec.seed, [job.hash_file(text) for text in named_files(spec)], job.load(job.spec.train.data).sha256]


def _train(job):
    graph = job.results.get("source")
    samples = job.load(job.spec.train.data)
    folder = job.own_folder("train")
    job.adopt("train", "weights.h5")
    graph, curve = convert.train_graph(job.loaded, graph, samples, folder, job.ticker("train"))
    return {"graph": graph, "curve": curve, "weights": folder / "weights.h5"}


def _learn_identity(job):
    spec = _dump(job.spec.learn)
    files = [*named_files(spec), *([spec["weights"]] if spec.get("weights") else [])]
    samples = [job.load(data).sha256 for path, data in data_specs(job.spec) if path[0] == "learn"]
    codes = [_dump(code) for code in encoders(job.spec).values()]  # of a rule that learns from coded samples
    written = explicit(job.spec)  # of a rule that trains a network written out
    own = [] if written is None else [_network_identity(job), _dump(job.spec.run)]
    return [spec, [job.hash_file(text) for text in files], samples, job.spec.seed, codes, *own]


def _statistics_identity(job):
    return [_dump(job.spec.statistics), job.load(job.spec.statistics.data).sha256]


def _statistics(job):
    spec, folder = job.spec.statistics, job.own_folder("statistics")
    return write_statistics(spec, job.relu_graph, job.load(spec.data), folder)


def _optimise_identity(job):
    spec, given = _dump(job.spec.optimise), _dump(job.spec.convert)
    files = [job.hash_file(text) for text in named_files(given)]
    samples = job.load(job.spec.optimise.data), job.load(job.spec.convert.calibration.data)
    return [spec, given, kernels.analog_input(job.spec), files, [s.sha256 for s in samples]]


def _optimise(job):
    spec = job.spec.optimise
    calibration, samples = job.load(job.spec.convert.calibration.data), job.load(spec.data)
    return kernels.optimise(job.loaded, job.relu_graph, calibration, samples, job.own_folder("optimise"), job.ticker("optimise"))


def _convert_identity(job):
    codes = [_dump(code) for code in encoders(job.spec).values()]
    spec = _dump(job.spec.convert)
    samples = _calibration(job)
    files = [job.hash_file(text) for text in named_files(spec)]
    steps = job.spec.run.duration if samples is None else None  # for which widths are proven
    return [spec, codes, _dump(job.spec.readout), files, steps if samples is None else samples.sha256]


def _calibration(job):
    """Samples that a conversion is calibrated on, or None where it needs none."""
    spec = getattr(job.spec.convert, "calibration", None)
    return None if spec is None else job.load(spec.data)


def _convert(job):
    calibration = _calibration(job)
    found = job.results["optimise"]["kernels"] if "optimise" in job.results else None
    network, report = convert.convert(job.loaded, job.relu_graph, calibration, job.own_folder("convert"), found)
    files = [job.own_folder("convert") / convert.HYBRID] if "hybrid" in report and job.folder is not None else []
    return {"network": network, "report": report, "files": files}


def _network_identity(job):
    written = explicit(job.spec)
    files = [job.hash_file(text) for text in named_files(_dump(written))] if written is not None else []
    return [_dump(written), files, job.spec.seed if written is not None else None, _dump(job.spec.readout)]


def _network(job):
    if "learn" in job.results:
        network = job.results["learn"].network
    else:
        network = build(job.loaded) if explicit(job.spec) is not None else job.results["convert"]["network"]
    return with_readout(job.loaded, network)


def named_files(data):
    """Return the files that a part of a scenario names, in order.

    Parameters
    ----------
    data : object
        Plain data.

    Returns
    -------
    list of str
        Values of all keys called `file`.
    """
    if isinstance(data, dict):
        own = [data["file"]] if isinstance(data.get("file"), str) else []
        return own + [x for value in data.values() for x in named_files(value)]
    return [x for value in data for x in named_files(value)] if isinstance(data, list) else []


def _encode_identity(job):
    codes = {str(name): _dump(code) for name, code in encoders(job.spec).items()}
    return [codes, [job.hash_file(text) for text in named_files(codes)], job.spec.seed, job.spec.run.duration]


def _encode(job):
    network, samples = job.results["network"], job.results.get("data")
    if samples is not None:
        with job.loaded.at("data"):
            samples.check_labels(network)
    inputs = [node.name for node in network.inputs]
    for name in encoders(job.spec).keys() - {None, *inputs}:
        raise job.loaded.error(("encode", name), f"unknown input, allowed {', '.join(inputs)}{did_you_mean(name, inputs)}")
    if job.spec.measure.phases is not None and network.clock != "grid":
        raise job.loaded.error(("measure", "phases"), "counts steps, and this network is on the continuous clock; remove it")
    return InputMaker(job.loaded, network, samples, job.learned_inputs, job.input_code)


def _run_identity(job):
    calibration = getattr(job.spec.run.exit, "calibration", None)
    return [_dump(job.spec.run, exclude={"threads"}), None if calibration is None else job.load(calibration.data).sha256]


def _runs(spec):
    return spec.run is not None


SCANS = ("statistics", "optimise")  # take long and leave files: not in a dry run, which has no folder
SECTIONS = {"source": ("network", "source", "file")}
"""Where in the file stands what a stage works on, if not under the stage's own name."""

STAGES = (
    Stage("data", (), lambda s: s.data is not None, _data_identity, lambda j: j.load(j.spec.data)),
    Stage("source", (), has_source, _source_identity, lambda j: convert.source_graph(j.loaded)),
    Stage("train", ("source",), lambda s: s.train is not None, _train_identity, _train),
    Stage("statistics", ("source", "train"), lambda s: s.statistics is not None, _statistics_identity, _statistics),
    Stage("optimise", ("source", "train"), lambda s: s.optimise is not None, _optimise_identity, _optimise),
    Stage("convert", ("source", "train", "optimise"), lambda s: s.convert is not None, _convert_identity, _convert),
    Stage("learn", ("data", "source", "train", "convert"), lambda s: s.learn is not None, _learn_identity, learn.learn),
    Stage("network", ("convert", "learn"), _runs, _network_identity, _network),
    Stage("encode", ("data", "network"), _runs, _encode_identity, _encode),
    Stage("run", ("network", "encode", "source", "train"), _runs, _run_identity, simulate.simulate),
    Stage("measure", ("run", "data", "train", "learn"), lambda s: True, lambda j: _dump(j.spec.measure), measure.measure),
)  # fmt: skip
