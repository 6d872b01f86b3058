"""Learning rule `adjoint`: trains the network that a scenario writes out by exact gradients of its spike times."""

import hashlib
import json
from dataclasses import asdict

import numpy as np

from eventsnn.errors import DataError, ModelError
from eventsnn.metrics import accuracy
from eventsnn.raster import SpikeRaster
from eventsnn.scenario.learn.learned import Learned
from eventsnn.scenario.learn.patterns import read_patterns
from eventsnn.scenario.learn.settings import settings_of

CHECKPOINT = "checkpoint.npz"


def learn(job):
    """Train the network; a resumed run goes on from its checkpoint and gives the same bits.

    Parameters
    ----------
    job : Job

    Returns
    -------
    Learned
    """
    from eventsnn.learning.adjoint import training as adjoint

    spec, settings, network = job.spec.learn, settings_of(job.loaded), start_network(job.loaded)
    task = Patterns(job, network) if spec.loss.kind == "van_rossum" else Samples(job, network)
    folder = job.own_folder("learn")
    folder.mkdir(parents=True, exist_ok=True)
    before = task.judge(network)
    identity = hashlib.sha256(json.dumps([asdict(settings), job.digests["learn"]]).encode()).hexdigest()
    try:
        result = adjoint.learn(network, task.inputs, task.labels, settings, task.loss, duration=task.duration,
                               checkpoint=folder / CHECKPOINT, identity=identity,
                               progress=lambda record: job.progress("learn", record["epoch"], settings.epochs))  # fmt: skip
    except ModelError as error:
        raise job.loaded.error(("learn",), error) from None
    after = task.judge(result.network)
    found = {"rule": "adjoint", "epochs": len(result.curve), "kept_epoch": result.epoch, "stopped_early": result.stopped,
             "last": result.curve[-1] if result.curve else {}, "curve": result.curve,
             "test": [{"data": b["data"], "before": b, "after": a} for b, a in zip(before, after)]}  # fmt: skip
    metrics = {"learning": found}
    if "accuracy" in (after[0] if after else {}):
        metrics |= {"learned_accuracy": after[0]["accuracy"], "learned_accuracy_before": before[0]["accuracy"]}
    from eventsnn.plot import learning as plot_learning

    pictures = {"learning_curve": (plot_learning.draw_training, found)} if result.curve else {}
    return Learned(result.network, metrics, task.taught, _arrays(result.network), pictures)


def start_network(loaded):
    """Return the network of a scenario with its readout; models without an adjoint are refused."""
    from eventsnn.gradients.adjoint_plan import check_model
    from eventsnn.scenario.network.build import build, with_readout

    network = build(loaded)
    for population in network.populations:
        with loaded.at("network", "populations", population.name):
            check_model(population)
    return with_readout(loaded, network)


class Samples:
    """Coded samples with labels: the class that spikes first, or has the highest potential, is the answer."""

    taught = {}  # noqa: RUF012

    def __init__(self, job, network):
        self.job, self.spec, self.duration = job, job.spec.learn, job.spec.run.duration
        self.population = network.readout.population
        samples = job.load(self.spec.data)
        self.inputs, self.labels = self._coded(network, samples), samples.labels

    def _coded(self, network, samples):
        from eventsnn.scenario.simulate.encode import InputMaker

        coded = InputMaker(self.job.loaded, network, samples).batch(0, len(samples))
        for name, given in coded.items():
            if not isinstance(given, SpikeRaster):
                raise DataError(f"encode: input {name} must be spikes to learn from, got {type(given).__name__}")
        return coded

    def loss(self, result, labels):
        """Return the loss of a batch."""
        from eventsnn.gradients import spike_losses

        how = self.spec.loss
        if how.kind == "potential":
            return spike_losses.potential_cross_entropy(result, self.population, labels)
        return spike_losses.first_spike_cross_entropy(result, self.population, labels, how.tau, early=how.early,
                                                      tau_early=how.tau_early)  # fmt: skip

    def judge(self, network):
        """Return accuracy and spikes on the samples of `test`, plain data."""
        from eventsnn.engines import run

        found = []
        for data in self.spec.test:
            samples = self.job.load(data)
            result = run(network, self._coded(network, samples), duration=self.duration, record=[])
            sizes = sum(p.size for p in network.populations if p.model.fires)
            found.append({"data": samples.name, "samples": len(samples),
                          "accuracy": accuracy(result.prediction, samples.labels),
                          "spikes_per_neuron": result.counters["spikes"] / (sizes * len(samples))})  # fmt: skip
        return found


class Patterns:
    """One input pattern, one target pattern: the squared van Rossum distance between target and answer."""

    def __init__(self, job, network):
        self.how, self.population = job.spec.learn.loss, network.readout.population
        how, size = self.how, network.nodes[network.readout.population].size
        if len(network.inputs) != 1:
            raise DataError(f"learn.loss: a pattern needs a network of one input, got {len(network.inputs)}")
        given, target = read_patterns(job, ("learn", "loss"), how, network.inputs[0].size, size)
        self.duration = how.steps * how.dt
        self.taught = {network.inputs[0].name: self._moved(given)}
        self.target, self.inputs, self.labels = self._moved(target), self.taught, np.zeros(1)  # nothing to count right

    def _moved(self, raster):
        """The spikes of a grid at the same milliseconds of continuous time."""
        return SpikeRaster(raster.times * self.how.dt, raster.ids, size=raster.size, duration=self.duration, shape=raster.shape)

    def loss(self, result, labels):
        """Return the loss; one presentation is one sample."""
        from eventsnn.gradients.spike_losses import van_rossum_error

        return van_rossum_error(result, self.population, self.target, self.how.tau)

    def judge(self, network):
        """Return the distance, that of a silent answer, and the spikes, plain data."""
        from eventsnn.engines import run
        from eventsnn.gradients.van_rossum import raster_distance

        result = run(network, self.inputs, duration=self.duration)
        answer, target = result.rasters[self.population], self.target
        silent = SpikeRaster(np.zeros(0), np.zeros(0, np.int64), size=target.size, duration=target.duration)
        sizes = sum(p.size for p in network.populations if p.model.fires)
        return [{"data": "the pattern", "distance": raster_distance(answer, target, self.how.tau),
                 "silent_distance": raster_distance(silent, target, self.how.tau), "spikes": answer.n_spikes,
                 "target_spikes": target.n_spikes, "spikes_per_neuron": result.counters["spikes"] / sizes}]  # fmt: skip


def _arrays(network):
    """Weights, delays and parameters of the trained network by name, for learned.npz."""
    arrays = {}
    for projection in network.projections:
        name, synapses = f"{projection.source}-{projection.target}", projection.synapses
        if hasattr(synapses, "targets"):
            arrays |= {f"{name}.indptr": synapses.indptr, f"{name}.targets": synapses.targets, f"{name}.delays": synapses.delays,
                       f"{name}.weights": synapses.synapse_weights()}  # fmt: skip
        else:
            arrays[f"{name}.weights"] = np.asarray(synapses.weights)
    for population in network.populations:
        arrays |= {f"{population.name}.{n}": v for n, v in population.parameters.items() if isinstance(v, np.ndarray)}
    return arrays
