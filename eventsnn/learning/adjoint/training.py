"""Training of networks on the continuous clock by the exact adjoint of their event simulation.

One step: run a batch, take the loss and its derivatives in spike times and potentials, go back through the recorded spikes,
move weights, delays and parameters. The order of samples and the held-out part come from counter-based random numbers: a resumed
training gives the same bits.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eventsnn.ann import checkpoint as checkpoints
from eventsnn.engines import run
from eventsnn.errors import DataError, RunError
from eventsnn.gradients.adjoint import gradient
from eventsnn.learning.adjoint.parameters import Trained
from eventsnn.learning.optimisers import learning_rate
from eventsnn.random import key, uniform

SAVE_EVERY = 10.0
"""Seconds between two checkpoints, at least: a short epoch must not spend its time on writing."""


@dataclass(frozen=True, eq=False)
class AdjointResult:
    """Outcome of a training.

    Attributes
    ----------
    network : Network
        The trained one.
    curve : list of dict
        Per epoch: epoch, learning_rate, train_loss, regulariser (`silent_lift`, not part of train_loss), train_accuracy,
        validation_loss, validation_accuracy, spikes (per sample, of all populations), min_slope (the smallest at which a
        potential met a threshold; None: none did); loss_after, that of the training part after the epoch, where it decides which
        weights are kept.
    epoch : int
        Epoch (from 1) whose weights the network has; 0: none was run.
    stopped : bool
        Whether it ended early.
    seconds : float
        Wall time of this call.
    """

    network: object
    curve: list
    epoch: int
    stopped: bool
    seconds: float


def learn(network, inputs, labels, settings, loss, *, duration=None, checkpoint=None, identity="", progress=None):
    """Train a network.

    Parameters
    ----------
    network : Network
        On the continuous clock, of models with an adjoint.
    inputs : dict
        Name -> SpikeRaster, all with the same number of samples.
    labels : array_like, (n_samples,)
        What `loss` is given; where they are whole numbers and the network has a readout, accuracies are counted too.
    settings : AdjointSettings
    loss : callable
        Takes (result, labels) of a batch, returns a `LossGradient`: the mean over its samples.
    duration : float, optional
        Length of a run, ms; None: as `run` finds it.
    checkpoint : str or Path, optional
        File (.npz) written after epochs, at least `SAVE_EVERY` seconds apart, and at the end; if it exists, training goes on from
        there.
    identity : str, optional
        What the checkpoint belongs to.
    progress : callable, optional
        Called with each epoch's record.

    Returns
    -------
    AdjointResult

    Raises
    ------
    DataError
        If data do not fit, or the checkpoint is damaged or of another training.
    RunError
        If loss or gradient are not finite.
    """
    started = time.perf_counter()
    trainer = _Trainer(network, inputs, np.asarray(labels), settings, loss, duration, identity)
    if checkpoint is not None and Path(checkpoint).exists():
        trainer.restore(checkpoint)
    saved = started
    while trainer.epoch < settings.epochs and not trainer.stopped:
        record = trainer.run_epoch()
        last = trainer.epoch == settings.epochs or trainer.stopped
        if checkpoint is not None and (last or time.perf_counter() - saved >= SAVE_EVERY):
            trainer.save(checkpoint)
            saved = time.perf_counter()
        if progress is not None:
            progress(record)
    return trainer.result(time.perf_counter() - started)


class _Trainer:
    """Parameters, split and learning curve between the first epoch and the last."""

    def __init__(self, network, inputs, labels, settings, loss, duration, identity):
        counts = {raster.n_samples for raster in inputs.values()}
        if counts != {len(labels)} or settings.validation >= len(labels):
            raise DataError(f"training: needs a label for every sample and some beside the validation part, got "
                            f"{sorted(counts)} samples, {len(labels)} labels, validation {settings.validation}")  # fmt: skip
        self.trained, self.inputs, self.labels, self.settings = Trained(network, settings), inputs, labels, settings
        self.loss, self.duration, self.identity = loss, duration, identity
        order = np.argsort(uniform(key(settings.seed, "split"), 0, 0, len(labels)), kind="stable")
        self.members = order[: len(labels) - settings.validation]
        self.held = np.sort(order[len(labels) - settings.validation :])
        self.epoch, self.steps, self.curve, self.best = 0, 0, [], None

    @property
    def stopped(self):
        """Whether `patience` epochs have passed without a better validation loss."""
        return bool(self.settings.patience and self.curve and self.epoch - self._best_epoch() >= self.settings.patience)

    def _best_epoch(self):
        judged = "validation_loss" if len(self.held) else "loss_after"
        return min(self.curve, key=lambda r: (r[judged], r["epoch"]))["epoch"]

    def _forward(self, network, part):
        """Run some samples; returns (inputs, result, loss, number right)."""
        given = {name: raster.select(part) for name, raster in self.inputs.items()}
        result, labels = run(network, given, duration=self.duration), self.labels[part]
        counted = result.prediction is not None and labels.dtype.kind in "iu"
        return given, result, self.loss(result, labels), int((result.prediction == labels).sum()) if counted else None

    def run_epoch(self):
        """Train one epoch and return its record."""
        s, n = self.settings, len(self.members)
        order = self.members[np.argsort(uniform(key(s.seed, "order"), self.epoch, 0, n), kind="stable")]
        total, lifted, correct, spikes, slope = 0.0, 0.0, 0, 0, np.inf
        for first in range(0, n, s.batch):
            part, rate = order[first : first + s.batch], learning_rate(s, self.steps)
            network = self.trained.network()
            given, result, loss, right = self._forward(network, part)
            found = gradient(network, given, result, loss, of_inputs=False)
            lifted += self.trained.update(network, result, found, rate) * len(part)
            if not np.isfinite(loss.value):
                raise RunError(f"training: the loss is {loss.value} in epoch {self.epoch + 1}; lower learning_rate "
                               f"(now {s.learning_rate})")  # fmt: skip
            total, spikes = total + loss.value * len(part), spikes + result.counters["spikes"]
            self.steps += 1
            correct = None if right is None or correct is None else correct + right
            slope = min([slope, *(m[0] for m in found.min_slope.values())])
        self.epoch += 1
        held = self._evaluate(self.held) if len(self.held) else (None, None)
        record = {"epoch": self.epoch, "learning_rate": rate, "train_loss": total / n, "regulariser": lifted / n,
                  "train_accuracy": None if correct is None else correct / n, "validation_loss": held[0],
                  "validation_accuracy": held[1], "spikes": spikes / n,
                  "min_slope": float(slope) if np.isfinite(slope) else None}  # fmt: skip
        if s.keep == "best" and not len(self.held):  # train_loss is that of the weights on the way
            record["loss_after"] = self._evaluate(np.sort(self.members))[0]
        self.curve.append(record)
        if s.keep == "best" and self._best_epoch() == self.epoch:
            self.best = self.trained.state()
        return record

    def _evaluate(self, samples):
        """Return loss and accuracy of the present weights."""
        network, total, correct = self.trained.network(), 0.0, 0
        for first in range(0, len(samples), self.settings.batch):
            part = samples[first : first + self.settings.batch]
            _, _, loss, right = self._forward(network, part)
            total += loss.value * len(part)
            correct = None if right is None or correct is None else correct + right
        return total / len(samples), None if correct is None else correct / len(samples)

    def save(self, path):
        """Write the checkpoint."""
        state = {"identity": self.identity, "epoch": self.epoch, "curve": self.curve, "steps": self.steps}
        checkpoints.save(path, state, {"trained": self.trained.state(), "best": self.best or {}})

    def restore(self, path):
        """Go on from a checkpoint."""
        state, groups = checkpoints.load(path, self.identity)
        self.trained.load(groups["trained"])
        self.epoch, self.curve, self.steps, self.best = state["epoch"], state["curve"], state["steps"], groups.get("best")

    def result(self, seconds):
        """Return the network asked for, and say how it went."""
        kept = self.epoch
        if self.settings.keep == "best" and self.best:
            self.trained.load(self.best)
            kept = self._best_epoch()
        return AdjointResult(self.trained.network(), self.curve, kept, self.stopped, seconds)
