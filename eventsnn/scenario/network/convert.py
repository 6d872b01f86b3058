"""Stages `source`, `train` and `convert`: from trained weights, or from data, to a spiking network."""

import json
from dataclasses import replace

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError, RunError
from eventsnn.scenario.network import coding, hybrid, integer
from eventsnn.scenario.network.file import load_network, save_network
from eventsnn.scenario.network.scaling import twin_of
from eventsnn.scenario.rules.sections import encoders

NETWORK, REPORT, HYBRID = "network.npz", "conversion.json", "hybrid.h5"
FOLDED = ("ttfs_b1", "ttfs_b1_ungated")  # mappings whose folded network is kept with its largest activations
RAMP_MODELS = {"gated": "ramp", "ungated": "ramp_ungated", "alpha1": "ramp_alpha1"}


def source_graph(loaded):
    """Read the ReLU network that `network.source` names.

    Parameters
    ----------
    loaded : LoadedScenario

    Returns
    -------
    LayerGraph

    Raises
    ------
    DataError
        If the file is missing, damaged, of an unknown kind, or a pickle.
    """
    from eventsnn.ann.files import load_graph

    source = loaded.spec.network.source
    if source.keras is None:
        return load_graph(loaded.file(source.file))
    from eventsnn.ann.keras_file import from_keras

    asked = source.keras
    graph = build_architecture(asked.architecture, tuple(asked.input_shape), asked.classes, 0)
    return from_keras(loaded.file(source.file), graph, asked.epsilon)


def train_graph(loaded, graph, samples, folder, progress):
    """Train a ReLU network; the stage's folder keeps a checkpoint, and the weights when they are done.

    Parameters
    ----------
    loaded : LoadedScenario
    graph : LayerGraph or None
        Weights to go on from; None builds the architecture.
    samples : Samples
        Training data.
    folder : Path
        Of this stage.
    progress : callable
        Called with (epochs done, epochs).

    Returns
    -------
    graph : LayerGraph
    curve : list of dict
        One record per epoch.
    """
    from eventsnn.ann.files import load_graph, read_arrays, save_graph
    from eventsnn.ann.warm_start import warm_start

    weights = folder / "weights.h5"
    if weights.exists():
        done = load_graph(weights)
        return done, done.meta["curve"]
    try:
        from eventsnn.ann.train import train
    except ImportError:
        raise RunError("training needs PyTorch: pip install 'eventsnn[ann]'") from None
    spec = loaded.spec.train
    if samples.x is None:
        raise DataError(f"{samples.name}: training needs images with labels")
    graph = build_graph(spec, samples, loaded.spec.seed) if graph is None else graph
    report = {}
    if spec.warm_start is not None:
        found = read_arrays(loaded.file(spec.warm_start.file))
        graph, report["warm_start"] = warm_start(graph, found, partial=spec.warm_start.partial)
    folder.mkdir(parents=True, exist_ok=True)
    settings, epochs = spec.settings.model_dump(), spec.settings.epochs
    if spec.qcfs is not None:
        graph = _qcfs(spec.qcfs, graph, samples)
    if spec.twin is not None:
        graph, settings["twin"] = twin_of(loaded, graph, samples)
    result = train(graph, (samples.x, samples.labels), settings, checkpoint=folder / "checkpoint.npz",
                   progress=lambda record: progress(record["epoch"], epochs))  # fmt: skip
    graph = replace(result.graph, meta={**result.graph.meta, **report, "curve": result.curve})
    save_graph(weights, graph)
    return graph, result.curve


def _qcfs(spec, graph, samples):
    """Return the network with clip-floor-shift activations, ranged on the first samples."""
    from eventsnn.ann.qcfs import to_qcfs

    return to_qcfs(graph, samples.x[: spec.calibrate_on], levels=spec.levels, percentile=spec.percentile)


def build_graph(spec, samples, seed):
    """Make the architecture of a `train:` section with fresh weights, sized by the data as training crops it.

    Parameters
    ----------
    spec : TrainSpec
    samples : Samples
    seed : int

    Returns
    -------
    LayerGraph
    """
    shape, side = samples.x.shape[1:], spec.settings.crop
    return build_architecture(spec.architecture, (side, side, *shape[2:]) if side else shape, len(samples.classes), seed)


def build_architecture(asked, shape, n_out, seed):
    """Make an architecture with fresh weights.

    Parameters
    ----------
    asked : Mlp, ConvNet, Vgg16 or another of its union
    shape : tuple of int
        Of a sample.
    n_out, seed : int

    Returns
    -------
    LayerGraph
    """
    from eventsnn.ann.architectures import build

    options = asked.model_dump(exclude={"kind"}) | {"n_out": n_out, "seed": seed}
    if asked.kind == "mlp":
        return build("mlp", n_in=int(np.prod(shape)), **options)
    return build(asked.kind, input_shape=shape, **options)


def convert(loaded, graph, calibration, folder, kernels=None):
    """Turn a ReLU network into spikes, or read what an interrupted run has already made of it.

    Parameters
    ----------
    loaded : LoadedScenario
    graph : LayerGraph
    calibration : Samples or None
        Whose activations set windows and thresholds, where any do.
    folder : Path
        Of this stage; None keeps nothing.
    kernels : Kernels, optional
        Of the stage optimise, instead of those that the conversion names.

    Returns
    -------
    network : Network
    report : dict
        What the conversion decided, layer by layer.
    """
    if calibration is not None and calibration.x is None:
        raise DataError(f"{calibration.name}: a conversion is calibrated on images, this data set holds recordings")
    if folder is not None and (folder / REPORT).exists():
        network = load_network(folder / NETWORK)
        with disk.kept(folder / REPORT):
            return network, {**json.loads((folder / REPORT).read_text("utf-8"))}
    spec = loaded.spec.convert
    options = spec.model_dump(exclude={"to", "calibration"}) | ({} if kernels is None else {"kernels": kernels})
    network, report = CONVERTERS[spec.to](loaded, graph, calibration, options)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if "hybrid" in report:
            hybrid.save(folder / HYBRID, graph, report)
        if report.get("mapping") in FOLDED:
            save_folded(folder / "folded.npz", graph, report)
        save_network(folder / NETWORK, network)
        with disk.finished(folder / REPORT) as part:  # last: where it is, the network is whole
            part.write_text(json.dumps(report, indent=1), "utf-8")
    return network, report


def save_folded(path, graph, report):
    """Write the network that was mapped: batch norm folded, dropout gone, with the largest activation of each hidden layer.

    Parameters
    ----------
    path : Path
        It can be a ``network.source`` of `convert: {to: ramps, rule: saved}`, which scans nothing.
    graph : LayerGraph
        As it came to the conversion.
    report : dict
        Of the conversion.
    """
    from eventsnn.ann.files import save_graph
    from eventsnn.conversion.fold import fold_batch_norm

    largest = {row["layer"]: row["x_max"] for row in report["layers"] if row["x_max"] is not None}
    save_graph(path, replace(fold_batch_norm(graph), meta={**graph.meta, "x_max": largest, "x_max_of": report["calibration"]}))


def _to_ramps(loaded, graph, calibration, options):
    from eventsnn.conversion.ttfs import to_ramps

    code = next(iter(encoders(loaded.spec).values()))
    span = {"p": code.p, "q": code.q} if code.code == "ttfs" else {}
    model = RAMP_MODELS[options.pop("model")]
    if calibration is None:
        return to_ramps(graph, None, model=model, **span, **options)
    x = np.clip(calibration.x, code.p, code.q) if span and code.clip else calibration.x
    return to_ramps(graph, x, calibration=calibration.name, model=model, **span, **options)


def _to_t2fsnn(loaded, graph, calibration, options):
    from eventsnn.scenario.network.kernels import to_t2fsnn

    return to_t2fsnn(loaded, graph, calibration, options)


CONVERTERS = {"ramps": _to_ramps, "coding": coding.to_coding, "t2fsnn": _to_t2fsnn, "integer": integer.to_integer,
              "hybrid": hybrid.to_hybrid}
"""A new conversion: a class with its tag in schema/scenario.py, an entry here."""
