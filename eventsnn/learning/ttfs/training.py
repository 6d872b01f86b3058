"""Training of single-spike networks: order of samples, windows, checkpoints, learning curve, early stopping; NumPy only.

What is trained is a backend (see `backend.make_backend`), or `Twins`, two of them side by side. The order of samples and the
held-out part come from counter-based random numbers, so nothing but the backend's `state()` lives across epochs, and a resumed
training gives the same bits.

    windows   fixed: as given.  fit: R_n = (1 + zeta) X_n once, from a scan.  grow: after every step R_n = max(R_n, gamma x_n),
              x_n the greatest activation of the batch just done (ttfs-relu-equivalence 2.6; gamma 10)
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eventsnn.ann import checkpoint as checkpoints
from eventsnn.conversion.segments import cut
from eventsnn.errors import DataError, RunError
from eventsnn.learning.optimisers import learning_rate
from eventsnn.learning.ttfs.backend import latency, scanned_windows, split
from eventsnn.learning.ttfs.parts import cross_entropy, fitted
from eventsnn.random import key, uniform


@dataclass(frozen=True, eq=False)
class TtfsResult:
    """Outcome of a training.

    Attributes
    ----------
    curve : list of dict
        Per epoch: epoch, learning_rate, train_loss, train_accuracy, validation_loss, validation_accuracy (None without a
        validation part), latency (ms), windows, gradient_norms (dL/dt by hidden layer in the last step).
    epoch : int
        Epoch (from 1) whose weights the backend now has; 0: none was run.
    stopped : bool
        Whether it ended early.
    samples : int
        Size of the training part.
    seconds : float
        Wall time of this call.
    """

    curve: list
    epoch: int
    stopped: bool
    samples: int
    seconds: float


def train(backend, x, labels, settings, *, checkpoint=None, identity="", progress=None):
    """Train a backend.

    Parameters
    ----------
    backend : DenseTtfs, Alpha1Ttfs, TorchTtfs or Twins
        Changed in place.
    x : ndarray, shape (n, *input_shape)
        Input activations in [0, 1], see `eventsnn.encoders.ttfs`.
    labels : ndarray of int, shape (n,)
        Classes.
    settings : TtfsSettings
    checkpoint : str or Path, optional
        File (.npz) written after every epoch; if it exists, training goes on from there.
    identity : str, optional
        What the checkpoint belongs to, see `eventsnn.ann.checkpoint.identity`.
    progress : callable, optional
        Called with each epoch's record.

    Returns
    -------
    TtfsResult

    Raises
    ------
    DataError
        If data do not fit, or the checkpoint is damaged or of another training.
    RunError
        If the loss is not finite.
    """
    started = time.perf_counter()
    trainer = _Trainer(backend, x, labels, settings, identity)
    if checkpoint is not None and Path(checkpoint).exists():
        trainer.restore(checkpoint)
    while trainer.epoch < settings.epochs and not trainer.stopped:
        record = trainer.run_epoch()
        if checkpoint is not None:
            trainer.save(checkpoint)
        if progress is not None:
            progress(record)
    return trainer.result(time.perf_counter() - started)


class _Trainer:
    """Backend, split and learning curve between the first epoch and the last."""

    def __init__(self, backend, x, labels, settings, identity):
        self.x, self.labels = fitted(backend.source, x, labels, "training"), np.asarray(labels)
        self.backend, self.settings, self.identity = backend, settings, identity
        if settings.validation >= len(x):
            raise DataError(f"training: needs samples beside the validation part, got {len(x)} samples, validation "
                            f"{settings.validation}")  # fmt: skip
        self.members, self.held = split(settings, len(x))
        self.epoch, self.steps, self.curve, self.best = 0, 0, [], None

    @property
    def stopped(self):
        """Whether `patience` epochs have passed without a better validation loss."""
        if not self.settings.patience or not self.curve:
            return False
        return self.epoch - self._best_epoch() >= self.settings.patience

    def _best_epoch(self):
        return min(self.curve, key=lambda r: (r["validation_loss"], r["epoch"]))["epoch"]

    def run_epoch(self):
        """Train one epoch and return its record."""
        s, n = self.settings, len(self.members)
        order = self.members[np.argsort(uniform(key(s.seed, "order"), self.epoch, 0, n), kind="stable")]
        total, correct = 0.0, 0
        for first in range(0, n, s.batch):
            part = order[first : first + s.batch]
            rate = learning_rate(s, self.steps)
            step = self.backend.step(self.x[part], self.labels[part], (s.seed, self.steps))
            self.backend.update(rate)
            if s.window == "grow":
                np.maximum(self.backend.windows, s.gamma * step.largest, out=self.backend.windows)
            total, correct, self.steps = total + step.loss * len(part), correct + step.correct, self.steps + 1
        self.epoch += 1
        if not np.isfinite(total):
            raise RunError(f"training: the loss is {total / n} in epoch {self.epoch}; lower learning_rate "
                           f"(now {s.learning_rate})")  # fmt: skip
        return self._record(rate, total / n, correct / n)

    def _record(self, rate, loss, accuracy):
        held = self._evaluate() if len(self.held) else (None, None)
        record = {"epoch": self.epoch, "learning_rate": rate, "train_loss": loss, "train_accuracy": accuracy,
                  "validation_loss": held[0], "validation_accuracy": held[1], "latency": latency(self.backend.windows),
                  "windows": self.backend.windows.tolist(),
                  "gradient_norms": list(self.backend.norms)[::-1]}  # fmt: skip
        self.curve.append(record)
        if self.settings.keep == "best" and self._best_epoch() == self.epoch:
            self.best = self.backend.state()
        return record

    def _evaluate(self):
        """Return (mean cross-entropy, accuracy) on the held-out part, under the same noise as in training."""
        labels = self.labels[self.held]
        noise = key(self.settings.seed, "validation"), self.epoch
        logits = self.backend.outputs(self.x[self.held], noise, noise=self.settings.noise_times > 0)
        return float(cross_entropy(logits, labels)[0].mean()), float(np.mean(logits.argmax(axis=1) == labels))

    def save(self, path):
        """Write the checkpoint."""
        state = {"identity": self.identity, "epoch": self.epoch, "curve": self.curve, "steps": self.steps}
        checkpoints.save(path, state, {"backend": self.backend.state(), "best": self.best or {}})

    def restore(self, path):
        """Go on from a checkpoint."""
        state, groups = checkpoints.load(path, self.identity)
        self.backend.load(groups.get("backend", {}))
        self.epoch, self.curve, self.steps, self.best = state["epoch"], state["curve"], state["steps"], groups.get("best")

    def result(self, seconds):
        """Leave the weights asked for in the backend, set its final windows, and say how it went."""
        s, kept = self.settings, self.epoch
        if s.keep == "best" and self.best:
            self.backend.load(self.best)
            kept = self._best_epoch()
        if s.final_window == "fit":
            seen = self.x[np.sort(self.members)] if s.validation else self.x
            self.backend.windows[:] = scanned_windows(self.backend.graph(), seen, s)
        return TtfsResult(self.curve, kept, self.stopped, len(self.members), seconds)


def trained_graph(backend, settings, result):
    """Return the trained network with its windows and how it was trained in its `meta`.

    Parameters
    ----------
    backend : DenseTtfs, Alpha1Ttfs, TorchTtfs or Twins
    settings : TtfsSettings
    result : TtfsResult

    Returns
    -------
    LayerGraph
        `eventsnn.conversion.ttfs.to_ramps` takes the windows from ``meta["windows"]`` with rule "trained".
    """
    graph = backend.graph()
    hidden = [s.name for s in cut(graph)[1] if not s.is_output]
    note = {"settings": settings.to_dict(), "epoch": result.epoch, "samples": result.samples,
            "outcome": result.curve[result.epoch - 1] if result.epoch else {}}  # fmt: skip
    windows = dict(zip(hidden, backend.windows.tolist()))
    return replace(graph, meta={**graph.meta, "training": note, "windows": windows})
