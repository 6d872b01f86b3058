"""Training of hybrid networks through time: surrogate gradients, best weights kept, checkpointed, resumable.

The loss is the cross-entropy of the output membrane after the last step; gradients are those of `scan`. Order,
augmentation, split, input spikes and masks come from the counter-based generator; every batch has a seed of its own, with
which the event engine would run the same spikes (hybrid-stdb 1.2). Needs PyTorch (``pip install eventsnn[ann]``).
"""

import hashlib
import time
from pathlib import Path

import numpy as np

from eventsnn.ann import checkpoint as checkpoints
from eventsnn.ann.batches import augment
from eventsnn.ann.device import choose_device, torch_mode
from eventsnn.ann.torch_net import torch
from eventsnn.ann.training_data import check_data
from eventsnn.conversion.hybrid_build import nodes_of
from eventsnn.errors import DataError, RunError
from eventsnn.learning.stdb.checks import check_fits, check_images, check_inputs
from eventsnn.learning.stdb.net import StdbNet
from eventsnn.learning.stdb.settings import StdbResult, StdbSettings
from eventsnn.random import key, uniform

functional = torch.nn.functional
LEAST_THRESHOLD = 1e-3  # trained thresholds stay above it, times their initial value
COUNTS = ("loss", "hits", "seen")
STATE = ("epoch", "batch", "kept", "aborted", "curve", "sums")


def train(hybrid, dataset, settings, *, checkpoint=None, progress=None):
    """Train a hybrid network.

    Parameters
    ----------
    hybrid : HybridNet
        Converted, or with random weights.
    dataset : pair (images, labels)
        Images as the network's input takes them ([-1, 1] or [0, 1] for Poisson input), bytes are divided by 255; labels in
        [0, n_classes).
    settings : StdbSettings or dict
    checkpoint : str or Path, optional
        .npz written after every epoch and every `checkpoint_every` batches; if it exists, training goes on from there.
    progress : callable, optional
        Called with each record of the learning curve.

    Returns
    -------
    StdbResult

    Raises
    ------
    ModelError
        If the network is too deep for `steps` or `truncate`, or has no masks for `dropout`.
    DataError
        If data do not fit the network, or the checkpoint is damaged or belongs to another run.
    RunError
        If the loss is not finite, or a GPU is asked for and missing.
    """
    started, settings = time.perf_counter(), StdbSettings.of(settings)
    check_fits(hybrid, settings)
    images, labels = check_data(hybrid.graph, dataset)
    images = images / np.float32(255) if images.dtype == np.uint8 else images
    check_images(hybrid, images, settings)
    device = choose_device(settings.device)
    with torch_mode(settings, device):
        trainer = _Trainer(hybrid, images, labels, settings, device)
        own = checkpoints.identity(hybrid.graph, settings, images, labels)
        trainer.identity = hashlib.sha256(f"{own} {hybrid.settings()}".encode()).hexdigest()
        if checkpoint is not None and Path(checkpoint).exists():
            trainer.restore(checkpoint)
        trainer.run(checkpoint, progress or (lambda record: None))
        return trainer.result(time.perf_counter() - started)


def predict(hybrid, images, settings, ids=None, seed=0):
    """Return what a network answers, without the event engine: for networks in training.

    Parameters
    ----------
    hybrid : HybridNet
    images : array_like, shape (n, *input_shape)
    settings : StdbSettings or dict
        Its steps, batch size, precision, device and threads.
    ids : array_like of int, optional
        Number of each sample; default 0, 1, ...
    seed : int, optional
        Of the input spikes.

    Returns
    -------
    logits : ndarray, shape (n, classes)
    spikes : ndarray of float, shape (layers,)
        Per neuron and sample.

    Raises
    ------
    DataError
        If images or ids are such as a run would refuse.
    """
    settings, images = StdbSettings.of(settings), hybrid.graph.as_inputs(images)
    ids = np.arange(len(images)) if ids is None else np.asarray(ids)
    check_inputs(hybrid, images, ids)
    device = choose_device(settings.device)
    with torch_mode(settings, device):
        return _answers(StdbNet(hybrid, settings, device), images, ids, seed)


def _answers(net, images, ids, seed):
    logits, total, size = [], 0, net.settings.batch_size
    with torch.no_grad():
        for first in range(0, len(images), size):
            part = slice(first, first + size)
            made, counts = net(images[part], ids[part], seed)
            logits.append(made.cpu().numpy())
            total = total + counts.cpu().numpy()
    return np.concatenate(logits), total / neurons(net.hybrid) / len(images)


def neurons(hybrid):
    """Return the number of neurons of each spiking layer, as an array."""
    return np.array([np.prod(node.shape) for node in nodes_of(hybrid.graph) if node.fires])


class _Trainer:
    """Network, optimiser and learning curve between the first batch and the last."""

    def __init__(self, hybrid, images, labels, settings, device):
        self.settings, self.device, self.identity, self.start = settings, device, "", hybrid
        split = np.argsort(uniform(key(settings.seed, "stdb split"), 0, 0, len(images)), kind="stable")
        cut = len(split) - settings.validation
        self.parts = split[:cut], np.sort(split[cut:])
        self.images, self.labels = images, labels
        self.net = StdbNet(hybrid, settings, device)
        self.optimiser = self._optimiser()
        self.epoch, self.batch, self.kept, self.aborted, self.curve, self.best = 0, 0, 0, False, [], None
        self.sums = dict.fromkeys(COUNTS, 0.0)

    def _optimiser(self):
        s, trained = self.settings, [p for p in self.net.parameters() if p.requires_grad]
        groups = [{"params": [p for p in trained if p.ndim > 1], "weight_decay": s.weight_decay},
                  {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0}]  # fmt: skip
        if s.optimiser == "adam":
            return torch.optim.Adam(groups, lr=s.learning_rate, amsgrad=s.amsgrad)
        return torch.optim.SGD(groups, lr=s.learning_rate, momentum=s.momentum)

    def run(self, checkpoint, progress):
        """Train until the last epoch, or until it is hopeless."""
        s, n = self.settings, len(self.parts[0])
        while self.epoch < s.epochs and not self.aborted:
            order = self.parts[0][np.argsort(uniform(key(s.seed, "stdb order"), self.epoch, 0, n), kind="stable")]
            draws = uniform(key(s.seed, "stdb augment"), self.epoch, np.arange(3), n)
            for group in self.optimiser.param_groups:
                group["lr"] = s.rate_of(self.epoch + 1)
            for first in range(self.batch * s.batch_size, n, s.batch_size):
                part = slice(first, first + s.batch_size)
                self.learn(order[part], draws[:, part])
                last = first + s.batch_size >= n
                if last:
                    self._end_epoch(progress)
                elif s.record_every and self.batch % s.record_every == 0:
                    progress(self._record())
                due = s.checkpoint_every and self.batch % s.checkpoint_every == 0
                if checkpoint is not None and (last or due):
                    self.save(checkpoint)

    def learn(self, members, draws):
        """Learn from one batch."""
        s = self.settings
        seed = int(key(s.seed, "stdb batch", self.epoch, self.batch)) >> 1
        x = augment(torch.as_tensor(self.images[members]), torch.as_tensor(draws), s.shift, s.flip).numpy()
        labels = torch.as_tensor(self.labels[members], device=self.device)
        self.optimiser.zero_grad(set_to_none=True)
        for elapsed, logits, _ in self.net.segments(x, members, seed):
            loss = functional.cross_entropy(s.seen(logits, elapsed), labels)
            loss.backward()
        self.optimiser.step()
        self._keep_in_range()
        value = loss.item()
        if not np.isfinite(value):
            raise RunError(f"stdb: the loss is {value} in epoch {self.epoch + 1}; lower learning_rate (now {s.learning_rate}), "
                           "or take reset_gradient: attached")  # fmt: skip
        hits = (logits.detach().argmax(1) == labels).sum().item()
        for name, more in zip(COUNTS, (value * len(members), hits, len(members))):
            self.sums[name] += more
        self.batch += 1

    def _keep_in_range(self):
        """Thresholds stay positive, leaks in [0, 1]: outside there is no such neuron."""
        with torch.no_grad():
            if self.settings.thresholds:
                for theta, first in zip(self.net.thetas, self.start.thresholds):
                    theta.clamp_(min=LEAST_THRESHOLD * first)
            if self.settings.leaks:
                for leak in self.net.leaks:
                    leak.clamp_(0, 1)

    def _record(self):
        """Add a record of what was learnt since the one before."""
        s, seen = self.settings, max(1.0, self.sums["seen"])
        record = {
            "epoch": self.epoch + 1, "batch": self.batch, "samples": self.epoch * len(self.parts[0])
            + min(self.batch * s.batch_size, len(self.parts[0])), "learning_rate": s.rate_of(self.epoch + 1),
            "train_loss": self.sums["loss"] / seen, "train_accuracy": self.sums["hits"] / seen, "validation_loss": None,
            "validation_accuracy": None, "validation_spikes": None,
            "thresholds": self.net.numbers("thetas"), "leaks": self.net.numbers("leaks"),
        }  # fmt: skip
        self.curve.append(record)
        self.sums = dict.fromkeys(COUNTS, 0.0)
        return record

    def _end_epoch(self, progress):
        """Judge the epoch on the validation part, keep the best weights, stop where there is no hope."""
        s, record, held = self.settings, self._record(), self.parts[1]
        judged = record["train_accuracy"]
        if len(held):
            logits, spikes = _answers(self.net, self.images[held], held, s.seed)
            judged = float((logits.argmax(1) == self.labels[held]).mean())
            seen = torch.as_tensor(s.seen(logits, s.steps))  # the units of the training loss
            loss = functional.cross_entropy(seen, torch.as_tensor(self.labels[held])).item()
            record |= {"validation_accuracy": judged, "validation_loss": loss, "validation_spikes": spikes.tolist()}
        best = max((r["validation_accuracy"] for r in self.curve[:-1] if r["validation_accuracy"] is not None), default=-1.0)
        if not len(held) or judged > best:
            self.best, self.kept = self.net.arrays(), self.epoch + 1
        self.epoch, self.batch = self.epoch + 1, 0
        self.aborted = bool(s.abort_after and self.epoch >= s.abort_after and judged < s.abort_below)
        progress(record)

    def save(self, path):
        """Write the checkpoint."""
        state = {name: getattr(self, name) for name in ("identity", *STATE)}
        slots = self.optimiser.state_dict()["state"]
        optimiser = {f"{i}/{k}": v.cpu().numpy() for i, slot in slots.items() for k, v in slot.items() if v is not None}
        checkpoints.save(path, state, {"net": self.net.arrays(), "optimiser": optimiser, "best": self.best or {}})

    def restore(self, path):
        """Go on from a checkpoint."""
        state, groups = checkpoints.load(path, self.identity)
        slots = {}
        for name, value in groups.get("optimiser", {}).items():
            number, _, slot = name.partition("/")
            slots.setdefault(int(number), {})[slot] = torch.as_tensor(value)
        try:
            self.net.set_arrays(groups["net"])
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})
            for name in STATE:
                setattr(self, name, state[name])
        except (RuntimeError, KeyError, ValueError) as error:
            raise DataError(f"{path}: the checkpoint does not fit the network; remove it to start anew") from error
        self.best = groups.get("best")

    def result(self, seconds):
        """Return the network with the best weights, or with those it started with."""
        if self.best:
            self.net.set_arrays(self.best)
        kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        found = self.net.trained() if self.best else self.start, self.curve, self.kept, self.aborted
        return StdbResult(*found, f"{kind}, PyTorch {torch.__version__}", seconds)
