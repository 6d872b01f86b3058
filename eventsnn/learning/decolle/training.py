"""DECOLLE: deep continuous local learning on event streams, in floating point or with a stated width of every quantity.

Every layer has a fixed random readout to the classes and learns from its own error at every step::

    Q <- beta Q + tau_syn S_in      P <- alpha P + tau_mem Q      R <- gamma R + S
    U = conv(P; w) + b - R          S = [U >= 0]                  y = readout(maxpool(sigmoid(U)))
    dw = (error of y, fed back through fixed weights of the readout's signs) x sigmoid'(U) x P

Nothing flows to the layer below and nothing is kept from step to step but P, Q, R: memory does not depend on the length of a
sample. Sources: Kaiser, Mostafa, Neftci, Frontiers in Neuroscience 14:424, 2020 (the rule); Schaefer & Joshi, ICONS 2020,
doi 10.1145/3407197.3407203 (the widths). Needs PyTorch (``pip install eventsnn[ann]``): traces are dense where events
are not, and on one core its convolutions do four to five times the multiply-adds of a vectorised Numba loop.
"""

import hashlib
import json
import time
from pathlib import Path

import numpy as np

from eventsnn.ann import checkpoint as checkpoints
from eventsnn.errors import DataError
from eventsnn.learning.decolle.net import DecolleResult, Net, make_net, make_start, predict, threads
from eventsnn.learning.decolle.settings import DecolleSettings
from eventsnn.random import key, uniform

__all__ = ["DecolleResult", "learn", "make_net", "make_start", "predict", "threads"]


def learn(source, labels, classes, settings, *, checkpoint=None, progress=None, identity="", start=None):
    """Train a network.

    Parameters
    ----------
    source : Recordings or Images
    labels : array of int, (n,)
        In [0, classes).
    classes : int
    settings : DecolleSettings or dict
    checkpoint : str or Path, optional
        .npz written after every epoch; if it exists, training goes on from there, to the same bits.
    progress : callable, optional
        Called with each epoch's record of the curve.
    identity : str
        Digest of the data; a checkpoint of other data or settings is refused.
    start : tuple of list of ndarray, optional
        Weights and biases to begin with, instead of random ones.

    Returns
    -------
    DecolleResult

    Raises
    ------
    DataError
        If labels do not fit, or the checkpoint is damaged or belongs to another run.
    """
    started, settings = time.perf_counter(), DecolleSettings.of(settings)
    labels = _check_labels(labels, len(source), classes)
    with threads(settings):
        trainer = _Trainer(source, labels, classes, settings, identity, start)
        if checkpoint is not None and Path(checkpoint).exists():
            trainer.restore(checkpoint)
        while trainer.epoch < settings.epochs:
            record = trainer.run_epoch()
            if checkpoint is not None:
                trainer.save(checkpoint)
            if progress is not None:
                progress(record)
        return trainer.result(time.perf_counter() - started)


def _check_labels(labels, n, classes):
    labels = np.asarray(labels)
    if labels.shape != (n,) or labels.dtype.kind not in "iu" or (n and not 0 <= labels.min() <= labels.max() < classes):
        raise DataError(f"decolle: needs {n} labels in [0, {classes}), got {labels.dtype} {labels.shape}")
    return labels.astype(np.int64)


class _Trainer:
    """The network between its first epoch and its last."""

    def __init__(self, source, labels, classes, settings, identity="", start=None):
        channels = source.shape[2]
        self.source, self.labels, self.settings = source, labels, settings
        self.net = Net(settings, (channels, *source.shape[:2]), classes)
        if start is not None:
            self._take(start)
        split = np.argsort(uniform(key(settings.seed, "decolle split"), 0, 0, len(labels)), kind="stable")
        held = round(settings.validation * len(labels))
        self.parts = np.sort(split[: len(split) - held]), np.sort(split[len(split) - held :])
        if not len(self.parts[0]):
            raise DataError(f"decolle: no sample is left to train on: {len(labels)} samples, validation {settings.validation}")
        text = json.dumps([settings.to_dict(), list(source.shape), classes, identity], sort_keys=True)
        digest = hashlib.sha256(text.encode() + labels.tobytes())
        for array in self._arrays().values():
            digest.update(array.tobytes())
        self.identity = digest.hexdigest()
        self.epoch, self.curve, self.best, self.updates, self.averaged = 0, [], None, 0, 0

    def _take(self, start):
        """Begin with given weights."""
        layers = self.net.layers
        if {len(x) for x in start} != {len(layers)}:
            raise DataError(f"decolle: given weights are for {len(start[0])} layers, the network has {len(layers)}")
        try:
            for layer, w, b in zip(layers, *start):
                layer.set_weights(w, b)
        except ValueError as error:
            raise DataError(f"decolle: given weights do not fit: {error}") from None

    def run_epoch(self):
        """Learn from every training sample once; returns the record."""
        s, epoch, members = self.settings, self.epoch, self.parts[0]
        order = members[np.argsort(uniform(key(s.seed, "decolle order"), epoch, 0, len(members)), kind="stable")]
        self.rate, layers = s.rate_of(epoch), len(self.net.layers)
        self.loss, self.moved, self.spikes = np.zeros(layers), np.zeros(layers, np.int64), np.zeros(layers, np.int64)
        hits, steps = np.zeros(layers), 0
        for first in range(0, len(order), s.batch_size):
            part = order[first : first + s.batch_size]
            found, learnt = self._learn_batch(part)
            hits, steps = hits + (found == self.labels[part]).sum(1), steps + learnt
        self.epoch += 1
        record = {"epoch": self.epoch, "rate": self.rate, "loss": [float(x) / max(1, steps) for x in self.loss],
                  "train_accuracy": [float(x) / len(order) for x in hits], "spikes": self.spikes.tolist(),
                  "updates": self.moved.tolist(), "validation_accuracy": None, "validation_spikes": None}  # fmt: skip
        if len(self.parts[1]):
            found, spikes = self.net.predict(self.source, self.parts[1])
            right = (found == self.labels[self.parts[1]]).mean(1)
            record |= {"validation_accuracy": right.tolist(), "validation_spikes": spikes.tolist()}
            if self.best is None or right[-1] > max(r["validation_accuracy"][-1] for r in self.curve):
                self.best = self._arrays()
        self.curve.append(record)
        return record

    def _learn_batch(self, part):
        """Run one batch through, learning at every step after the burn-in; returns (winners, learning steps)."""
        s, net, torch = self.settings, self.net, self.net.torch
        burn_in, n, learnt = s.steps(s.burn_in) if s.burn_in else -1, len(part), 0
        target = torch.nn.functional.one_hot(torch.as_tensor(self.labels[part]), net.classes).to(net.layers[0].dtype)
        votes = np.zeros((len(net.layers), n, net.classes), np.int64)
        stream = key(s.seed, "decolle dropout")
        for t, x in net.steps(self.source.batch(part, self.epoch)):
            learning = t > burn_in
            if learning:
                drawn = uniform(stream, self.updates, 0, len(net.layers) * n * net.classes) >= s.dropout
                masks = torch.as_tensor(drawn.reshape(len(net.layers), n, net.classes)).to(target.dtype)
            for k, layer in enumerate(net.layers):
                x = layer.forward(x)
                self.spikes[k] += int(torch.count_nonzero(x))
                if learning:
                    scores = layer.read()
                    votes[k, np.arange(n), scores.numpy().argmax(-1)] += 1
                    self.loss[k] += float(((scores * masks[k] - target) ** 2).mean())
                    self.moved[k] += layer.learn(target, masks[k], scores, self.rate, self.updates)
            self.updates, learnt = self.updates + learning, learnt + learning
            if learning and self.epoch >= s.epochs - s.average:
                self._collect()
        return votes.argmax(-1), learnt

    def _collect(self):
        """Add the present weights to their sum over the last epochs."""
        self.averaged += 1
        for layer in self.net.layers:
            for name, array in layer.arrays.items():
                layer.sums[name] += array

    def _arrays(self):
        return {f"{k}/{n}": x for k, layer in enumerate(self.net.layers) for n, x in layer.arrays.items()}

    def save(self, path):
        """Write the checkpoint."""
        slots = {f"{k}/{n}": x for k, layer in enumerate(self.net.layers) for n, x in layer.slots.items()}
        counts = {"epoch": self.epoch, "updates": self.updates, "averaged": self.averaged}
        state = {"identity": self.identity, "curve": self.curve, **counts}
        sums = {f"{k}/{n}": x for k, layer in enumerate(self.net.layers) for n, x in layer.sums.items()}
        checkpoints.save(path, state, {"net": self._arrays(), "optimiser": slots, "sums": sums, "best": self.best or {}})

    def restore(self, path):
        """Go on from a checkpoint."""
        state, groups = checkpoints.load(path, self.identity)
        try:
            for k, layer in enumerate(self.net.layers):
                layer.set_weights(groups["net"][f"{k}/w"], groups["net"][f"{k}/b"])
                layer.slots = {n: groups["optimiser"][f"{k}/{n}"] for n in ("w", "b")}
                if state["averaged"]:
                    layer.sums = {n: groups["sums"][f"{k}/{n}"] for n in ("w", "b")}
            self.updates, self.averaged = int(state["updates"]), int(state["averaged"])
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{path}: the checkpoint does not fit the network; remove it to start anew") from error
        self.epoch, self.curve, self.best = state["epoch"], state["curve"], groups.get("best")

    def result(self, seconds):
        """Return the learned network."""
        kept, arrays = self.epoch, self._arrays()
        if self.averaged:
            arrays = {f"{k}/{n}": (x / self.averaged).astype(self.settings.precision)
                      for k, layer in enumerate(self.net.layers) for n, x in layer.sums.items()}  # fmt: skip
        if self.best:
            kept = max(self.curve, key=lambda r: (r["validation_accuracy"][-1], -r["epoch"]))["epoch"]
            arrays = self.best
        weights, biases = ([arrays[f"{k}/{n}"] for k in range(len(self.net.layers))] for n in ("w", "b"))
        return DecolleResult(self.settings, weights, biases, self.net.in_shape, self.net.classes, self.curve, kept, seconds)
