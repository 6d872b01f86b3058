"""Learning rule `ttfs`: from the keys of a scenario to a trained single-spike network, its figures and its learning curve."""

from dataclasses import replace

from eventsnn.errors import ModelError
from eventsnn.scenario.learn.learned import Learned
from eventsnn.scenario.learn.settings import settings_of
from eventsnn.scenario.learn.ttfs_judge import InputMap, Judge

CHECKPOINT, WEIGHTS = "checkpoint.npz", "weights.h5"
PROBE = 100  # training samples on which gradient norms are taken
MODELS = {"b1": "ramp", "alpha1": "ramp_alpha1"}


def learn(job):
    """Train the network; a resumed run goes on from its checkpoint and gives the same bits.

    Parameters
    ----------
    job : Job

    Returns
    -------
    Learned
    """
    from eventsnn.ann.checkpoint import identity
    from eventsnn.ann.files import save_graph
    from eventsnn.learning.ttfs import training as ttfs
    from eventsnn.learning.ttfs.backend import make_backend
    from eventsnn.learning.ttfs.parts import fitted
    from eventsnn.learning.ttfs.trajectory import Twins

    spec, settings, folder = job.spec.learn, settings_of(job.loaded), job.own_folder("learn")
    folder.mkdir(parents=True, exist_ok=True)
    samples = job.load(spec.data)
    start = start_graph(job.loaded, job.relu_graph, samples)
    x = fitted(start, InputMap(job.loaded)(samples), samples.labels, samples.name)
    backend = make_backend(start, settings, x)
    backend = backend if spec.twin is None else Twins(backend, spec.twin.every)
    judge = Judge(job, settings, start)
    before, norms = judge(backend), [norms_of(backend, x, samples.labels, settings)]
    result = ttfs.train(
        backend, x, samples.labels, settings, checkpoint=folder / CHECKPOINT,
        identity=identity(start, settings, x, samples.labels), progress=lambda r: job.progress("learn", r["epoch"], spec.epochs),
    )  # fmt: skip
    norms.append(norms_of(backend, x, samples.labels, settings))
    tests = [{"data": a["data"], "before": b, "after": a} for b, a in zip(before, judge(backend))]
    metrics = {"learning": _figures(spec, backend, result, tests, norms)}
    if tests:
        metrics |= {"learned_accuracy": tests[0]["after"]["accuracy"], "learned_accuracy_before": before[0]["accuracy"]}
    try:
        graph = ttfs.trained_graph(backend, settings, result)
    except ModelError as error:
        if job.spec.run is not None:
            raise
        metrics["learning"]["network"] = f"none: {error}"
        return Learned(None, metrics, arrays=_arrays(backend))
    save_graph(folder / WEIGHTS, InputMap(job.loaded).outside(graph))
    network = None if spec.neuron == "relu" or job.spec.run is None else _network(graph, settings)
    from eventsnn.plot import learning as plot_learning

    pictures = {"learning_curve": (plot_learning.draw_training, metrics["learning"])} if result.curve else {}
    return Learned(network, metrics, pictures=pictures, files=[folder / WEIGHTS], graph=InputMap(job.loaded).outside(graph))


def start_graph(loaded, graph, samples):
    """Return the folded network of activations that training starts from, in the precision of the training.

    Parameters
    ----------
    loaded : LoadedScenario
    graph : LayerGraph or None
        The ReLU network to go on from, where the scenario names no architecture.
    samples : Samples
        Training data: they size a fresh network.

    Returns
    -------
    LayerGraph
    """
    spec, seed = loaded.spec.learn, loaded.spec.seed
    if spec.architecture is None:
        return InputMap(loaded).inside(graph.astype(spec.precision))
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.scenario.network.convert import build_architecture

    graph = build_architecture(spec.architecture, samples.x.shape[1:], len(samples.classes), seed)
    return redrawn(fold_batch_norm(graph).astype(spec.precision), spec.initial, seed)


def redrawn(graph, rule, seed):
    """Return a fresh network with its weights drawn by another rule (biases 0).

    Parameters
    ----------
    graph : LayerGraph
    rule : {"he_normal", "he_uniform", "glorot_uniform"}
    seed : int

    Returns
    -------
    LayerGraph
    """
    from eventsnn.ann.initialise import he_normal, uniform_weights
    from eventsnn.ann.layers import WEIGHTED

    weighted = [layer.name for layer in graph.layers if isinstance(layer, WEIGHTED)]
    layers = []
    for layer in graph.layers:
        if layer.name in weighted:
            shape, dtype = layer.weights.shape, layer.weights.dtype
            own = "glorot_uniform" if layer.name == weighted[-1] and rule != "he_normal" else rule
            drawn = he_normal(seed, layer.name, shape, dtype) if own == "he_normal" else uniform_weights(
                seed, layer.name, shape, own, dtype)  # fmt: skip
            layer = replace(layer, weights=drawn)
        layers.append(layer)
    return replace(graph, layers=tuple(layers))


def norms_of(backend, x, labels, settings):
    """Return the norm of dL/dt of each hidden layer on a few samples: a list of float, the first layer first."""
    one = getattr(backend, "first", backend)
    one.step(x[:PROBE], labels[:PROBE], (settings.seed, 0))
    return list(one.norms)[::-1]


def _figures(spec, backend, result, tests, norms):
    """Plain data for result.json."""
    from eventsnn.learning.ttfs.backend import latency

    figures = {"rule": "ttfs", "neuron": spec.neuron, "epochs": len(result.curve), "kept_epoch": result.epoch,
               "stopped_early": result.stopped, "samples": result.samples, "last": result.curve[-1] if result.curve else {},
               "windows": backend.windows.tolist(), "latency": latency(backend.windows), "test": tests,
               "gradient_norms": {"before": norms[0], "after": norms[1]}, "curve": result.curve}  # fmt: skip
    return figures | ({} if spec.twin is None else {"trajectory": backend.records})


def _arrays(backend):
    return {name: array for name, array in backend.state().items() if name.endswith((".weights", ".bias"))}


def _network(graph, settings):
    """Return the event network of a trained graph."""
    from eventsnn.conversion.ttfs import to_ramps

    model = MODELS[settings.neuron]
    early = "refuse" if settings.early == "unclamped" and model == "ramp" else "saturate"
    alpha = settings.alpha if model == "ramp_alpha1" else 1.0
    return to_ramps(graph, None, rule="trained", early=early, dtype=settings.precision, model=model, alpha=alpha)[0]
