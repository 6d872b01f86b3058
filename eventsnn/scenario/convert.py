"""Stages `source`, `train` and `convert`: from trained weights, or from data, to a spiking network."""

import json
from dataclasses import replace

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError, RunError
from eventsnn.scenario.network_file import load_network, save_network
from eventsnn.scenario.rules import encoders

NETWORK, REPORT = "network.npz", "conversion.json"
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

    return load_graph(loaded.file(loaded.spec.network.source.file))


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
    from eventsnn.ann.files import load_graph, save_graph

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
    graph = build_graph(spec.architecture, samples, loaded.spec.seed) if graph is None else graph
    folder.mkdir(parents=True, exist_ok=True)
    epochs = spec.settings.epochs
    result = train(graph, (samples.x, samples.labels), spec.settings.model_dump(), checkpoint=folder / "checkpoint.npz",
                   progress=lambda record: progress(record["epoch"], epochs))  # fmt: skip
    graph = replace(result.graph, meta={**result.graph.meta, "curve": result.curve})
    save_graph(weights, graph)
    return graph, result.curve


def build_graph(spec, samples, seed):
    """Make the architecture of a `train:` section with fresh weights, sized by the data.

    Parameters
    ----------
    spec : Mlp, ConvNet or Vgg16
    samples : Samples
    seed : int

    Returns
    -------
    LayerGraph
    """
    from eventsnn.ann.architectures import build

    options = spec.model_dump(exclude={"kind"})
    if spec.kind == "mlp":
        return build("mlp", n_in=int(np.prod(samples.x.shape[1:])), n_out=len(samples.classes), seed=seed, **options)
    return build(spec.kind, input_shape=samples.x.shape[1:], n_out=len(samples.classes), seed=seed, **options)


def convert(loaded, graph, calibration, folder):
    """Turn a ReLU network into spikes, or read what an interrupted run has already made of it.

    Parameters
    ----------
    loaded : LoadedScenario
    graph : LayerGraph
    calibration : Samples
        Whose activations set windows and thresholds.
    folder : Path
        Of this stage; None keeps nothing.

    Returns
    -------
    network : Network
    report : dict
        What the conversion decided, layer by layer.
    """
    if calibration.x is None:
        raise DataError(f"{calibration.name}: a conversion is calibrated on images, this data set holds recordings")
    if folder is not None and (folder / REPORT).exists():
        return load_network(folder / NETWORK), json.loads((folder / REPORT).read_text("utf-8"))
    spec = loaded.spec.convert
    network, report = CONVERTERS[spec.to](loaded, graph, calibration, spec.model_dump(exclude={"to", "calibration"}))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        save_network(folder / NETWORK, network)
        with disk.finished(folder / REPORT) as part:  # last: where it is, the network is whole
            part.write_text(json.dumps(report, indent=1), "utf-8")
    return network, report


def _to_ramps(loaded, graph, calibration, options):
    from eventsnn.conversion.ttfs import to_ramps

    code = next(iter(encoders(loaded.spec).values()))
    span = {"p": code.p, "q": code.q} if code.code == "ttfs" else {}
    x = np.clip(calibration.x, code.p, code.q) if span and code.clip else calibration.x
    model = RAMP_MODELS[options.pop("model")]
    return to_ramps(graph, x, calibration=calibration.name, model=model, **span, **options)


def _to_if(loaded, graph, calibration, options):
    from eventsnn.conversion.rate import to_if

    return to_if(graph, calibration.x, calibration=calibration.name, dt_ms=options.pop("dt"), **options)


CONVERTERS = {"ramps": _to_ramps, "if": _to_if}
"""A new conversion: a class with its tag in schema.py, an entry here."""
