"""Learning rule `stdb`: from a converted hybrid network to a trained one, its figures and its learning curve."""

from dataclasses import replace

from eventsnn.errors import DataError, RunError
from eventsnn.metrics import accuracy
from eventsnn.scenario.learn.learned import Learned
from eventsnn.scenario.learn.settings import settings_of
from eventsnn.scenario.network import hybrid

CHECKPOINT, TRAINED = "checkpoint.npz", "trained.h5"


def learn(job):
    """Train the network; a resumed run goes on from its checkpoint and gives the same bits.

    Parameters
    ----------
    job : Job
        With the stage convert done.

    Returns
    -------
    Learned

    Raises
    ------
    DataError
        If the training data are not images with labels, or the checkpoint belongs to another run.
    RunError
        If PyTorch is missing, or the loss is not finite.
    """
    from eventsnn.conversion.hybrid import save_hybrid, to_network
    from eventsnn.plot import learning as plot_learning

    try:
        from eventsnn.learning.stdb import training as stdb
    except ImportError:
        raise RunError("learning rule 'stdb' needs PyTorch: pip install 'eventsnn[ann]'") from None
    spec, settings, folder = job.spec.learn, settings_of(job.loaded), job.own_folder("learn")
    folder.mkdir(parents=True, exist_ok=True)
    samples, start = job.load(spec.data), start_of(job)
    if samples.x is None:
        raise DataError(f"{samples.name}: training needs images with labels, this data set holds recordings")
    result = stdb.train(start, (samples.x, samples.labels), settings, checkpoint=folder / CHECKPOINT,
                        progress=lambda record: job.progress("learn", record["epoch"], settings.epochs))  # fmt: skip
    figures = _figures(job, start, result, len(samples), settings)
    metrics = {"learning": figures}
    if figures["test"]:
        first = figures["test"][0]
        metrics |= {"learned_accuracy": first["after"]["accuracy"], "learned_accuracy_before": first["before"]["accuracy"]}
    note = {key: figures[key] for key in ("kept_epoch", "samples", "steps")} | {"settings": settings.to_dict()}
    graph = result.hybrid.graph
    save_hybrid(folder / TRAINED, replace(result.hybrid, graph=replace(graph, meta={**graph.meta, "stdb": note})))
    pictures = {"learning_curve": (plot_learning.draw_training, figures)} if result.curve else {}
    asked = job.spec.convert
    network = to_network(result.hybrid, dtype=asked.dtype, dt_ms=asked.dt, masks=asked.masks)
    return Learned(network, metrics, pictures=pictures, files=[folder / TRAINED])


def _figures(job, start, result, n, settings):
    """Return what result.json says of the training on n samples."""
    tests = [_test(job, data, start, result.hybrid, settings) for data in job.spec.learn.test]
    return {"rule": "stdb", "epochs": result.curve[-1]["epoch"] if result.curve else 0, "kept_epoch": result.epoch,
            "stopped_early": result.aborted, "samples": n - settings.validation, "steps": settings.steps,
            "last": result.curve[-1] if result.curve else {}, "test": tests, "curve": result.curve}  # fmt: skip


def start_of(job):
    """Return the hybrid network that the conversion has made.

    Parameters
    ----------
    job : Job

    Returns
    -------
    HybridNet
    """
    from eventsnn.conversion.hybrid import META, HybridNet
    from eventsnn.conversion.qcfs import scaled_graph

    graph = scaled_graph(job.relu_graph)
    rest = {key: value for key, value in graph.meta.items() if key != META}
    return HybridNet(replace(graph, meta=rest), **job.results["convert"]["report"]["hybrid"])


def _test(job, data, before, after, settings):
    """Judge the network before and after training with the input spikes that a run of the scenario draws."""
    from eventsnn.learning.stdb import training as stdb

    samples, found = job.load(data), {}
    for when, net in (("before", before), ("after", after)):
        logits, spikes = stdb.predict(net, samples.x, settings, samples.ids, job.spec.seed)
        neurons = stdb.neurons(net)
        found[when] = {"accuracy": accuracy(logits.argmax(1), samples.labels),
                       "spikes_per_neuron": float(spikes @ neurons / neurons.sum()),
                       "spikes_per_neuron_by_layer": spikes.tolist()}  # fmt: skip
    return {"data": samples.name, "samples": len(samples), **found}


def check(spec):
    """Find what the schema cannot say.

    Parameters
    ----------
    spec : Scenario

    Yields
    ------
    path : tuple
    problem : str
    """
    if getattr(spec.convert, "to", None) != "hybrid":
        yield ("convert",), ("learning rule 'stdb' goes on from a conversion: add convert: {to: hybrid}, with balance: {rule: "
                             "none} to train from scratch, {rule: stored} to go on from a trained network")  # fmt: skip
    if spec.run is None or spec.data is None:
        yield ("run",), "required, with data: which samples the trained network is run on"
    yield from hybrid.prepared_alike(spec, ("learn", "data"), spec.learn.data)
    for k, own in enumerate(spec.learn.test):
        yield from hybrid.prepared_alike(spec, ("learn", "test", k), own)
