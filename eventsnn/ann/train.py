"""Training of source networks with PyTorch: seeded, checkpointed, resumable; needs ``pip install eventsnn[ann]``.

Order, augmentation and split come from the counter-based generator (so they are the same on every device); dropout
comes from PyTorch's own, reseeded in every epoch.  Nothing but weights and optimiser state lives across epochs, which
is why a resumed run is bit-identical in the deterministic mode.
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from eventsnn.ann import checkpoint as checkpoints
from eventsnn.ann.batches import DRAWS, prepared
from eventsnn.ann.device import choose_device, torch_mode
from eventsnn.ann.schedules import learning_rate
from eventsnn.ann.settings import TrainResult, TrainSettings
from eventsnn.ann.sparsity import ActivityPenalty
from eventsnn.ann.torch_net import ClipFloorShiftLayer, TorchNet, torch
from eventsnn.ann.training_data import check_augmentation, check_data, check_held_out
from eventsnn.ann.ttfs_twin import KERNELS, TtfsTwin, split_kernels
from eventsnn.errors import DataError, RunError
from eventsnn.random import key, uniform

functional = torch.nn.functional
EVALUATION_BATCH = 250


def train(graph, dataset, settings, *, checkpoint=None, progress=None):
    """Train a network.

    Parameters
    ----------
    graph : LayerGraph
        Architecture and initial weights.
    dataset : object with ``images`` and ``labels``, or a pair (images, labels)
        Training data: images (n, y, x[, channel]) or vectors (n, m); uint8 is divided by 255, floats are taken as they
        are. Labels: integers in [0, n_classes).
    settings : TrainSettings or dict
        All choices.
    checkpoint : str or Path, optional
        File (.npz) written after every epoch; if it exists, training goes on from there.
    progress : callable, optional
        Called with each epoch's record of the learning curve.

    Returns
    -------
    TrainResult

    Raises
    ------
    DataError
        If data do not fit the network, or the checkpoint is damaged or belongs to another run.
    RunError
        If the loss is not finite, or a GPU is asked for and missing.
    """
    started, settings = time.perf_counter(), TrainSettings.of(settings)
    images, labels = check_data(graph, dataset, settings.crop)
    check_held_out(settings.validation, len(images))
    check_augmentation(graph, images, settings)
    device = choose_device(settings.device)
    with torch_mode(settings, device):
        trainer = _Trainer(graph, images, labels, settings, device)
        if checkpoint is not None:
            trainer.identity = checkpoints.identity(graph, settings, images, labels)
            if Path(checkpoint).exists():
                trainer.restore(checkpoint)
        while trainer.epoch < settings.epochs and not trainer.hopeless:
            record = trainer.run_epoch()
            if checkpoint is not None:
                trainer.save(checkpoint)
            if progress is not None:
                progress(record)
        return trainer.result(time.perf_counter() - started)


class _Trainer:
    """Network, optimiser and learning curve between the first epoch and the last."""

    def __init__(self, graph, images, labels, settings, device):
        self.graph, self.settings, self.device = graph, settings, device
        split = np.argsort(uniform(key(settings.seed, "split"), 0, 0, len(images)), kind="stable")
        self.parts = split[: len(split) - settings.validation], split[len(split) - settings.validation :]
        self.images = torch.as_tensor(images.copy(), device=device)
        self.labels = torch.as_tensor(labels, device=device)
        twin = settings.twin
        self.net = (TorchNet(graph, torch.float32) if twin is None else TtfsTwin(graph, twin, torch.float32)).to(device)
        if settings.channels_last:
            self.net = self.net.to(memory_format=torch.channels_last)
        self.ranged = [module for module in self.net.modules() if isinstance(module, ClipFloorShiftLayer)]
        self.optimiser, self.penalty = self._optimiser(), None
        if settings.activity_penalty:
            penalty = settings.activity_penalty, settings.activity_kind
            self.penalty = ActivityPenalty(self.net, graph, *penalty, device)
        self.epoch, self.curve, self.best, self.identity = 0, [], None, ""
        # A last batch of one sample has no batch statistics: it is left out of that epoch.
        n, size = len(self.parts[0]), settings.batch_size
        self.starts = [s for s in range(0, n, size) if n - s > 1 or n == 1]

    def _optimiser(self):
        s, kernels = self.settings, [] if self.settings.twin is None else self.net.kernel_parameters()
        parameters = [p for p in self.net.parameters() if all(p is not k for k in kernels)]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": s.weight_decay, "factor": 1.0},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "factor": 1.0},
        ]
        if kernels:
            groups.append({"params": kernels, "weight_decay": 0.0, "factor": s.twin.kernel_rate})
        if s.optimiser == "adam":
            kind = torch.optim.AdamW if s.decoupled else torch.optim.Adam
            return kind(groups, lr=s.learning_rate, amsgrad=s.amsgrad)
        return torch.optim.SGD(groups, lr=s.learning_rate, momentum=s.momentum, nesterov=s.nesterov and s.momentum > 0)

    @property
    def hopeless(self):
        """Whether the rule of `abort_after` ends the run here."""
        s = self.settings
        if not s.abort_after or self.epoch < s.abort_after:
            return False
        last = self.curve[-1]
        held = last["validation_accuracy"]
        return (last["train_accuracy"] if held is None else held) < s.abort_below

    def _logits(self, members, draws=None):
        batch = prepared(self.images[members], self.graph.input_shape, self.settings, draws)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            return self.net(batch).float()

    def run_epoch(self):
        """Train one epoch and return its record."""
        s, epoch = self.settings, self.epoch
        members = self.parts[0][np.argsort(uniform(key(s.seed, "order"), epoch, 0, len(self.parts[0])), kind="stable")]
        members = torch.as_tensor(members, device=self.device)
        draws = uniform(key(s.seed, "augment"), epoch, np.arange(DRAWS), len(members))
        draws = torch.as_tensor(draws, device=self.device)
        torch.manual_seed(int(key(s.seed, "dropout", epoch)) >> 1)
        self.net.train()
        if s.twin is not None:
            self.net.set_epoch(epoch)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        hits, steps = torch.zeros((), dtype=torch.int64, device=self.device), len(self.starts)
        for k, start in enumerate(self.starts):
            rate = learning_rate(s, epoch * steps + k, s.epochs * steps, steps)
            for group in self.optimiser.param_groups:
                group["lr"] = rate * group["factor"]
            part = slice(start, start + s.batch_size)
            labels = self.labels[members[part]]
            logits = self._logits(members[part], draws[:, part])
            loss = functional.cross_entropy(logits, labels, label_smoothing=s.label_smoothing)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            for layer in self.ranged:
                layer.keep_in_range()
            loss_sum += loss.detach().double() * len(labels)
            hits += (logits.detach().argmax(1) == labels).sum()
        self.epoch += 1
        penalty = self.penalty.take().item() / steps if self.penalty else 0.0
        return self._record(rate, loss_sum.item() / len(members), hits.item() / len(members), penalty)

    def _record(self, rate, loss, accuracy, penalty):
        """Add an epoch to the learning curve; keep the weights if they are the best so far."""
        if not np.isfinite(loss):
            raise RunError(f"training: the loss is {loss} in epoch {self.epoch}; lower learning_rate "
                           f"(now {self.settings.learning_rate})")  # fmt: skip
        held = self.evaluate(self.parts[1]) if len(self.parts[1]) else (None, None)
        names = ("epoch", "learning_rate", "train_loss", "train_accuracy", "activity_penalty")
        record = dict(zip((*names, "validation_loss", "validation_accuracy"), (self.epoch, rate, loss, accuracy, penalty, *held)))
        if self.settings.keep == "best":
            before = max((r["validation_accuracy"] for r in self.curve), default=-1.0)
            if held[1] > before:
                self.best = self.net.arrays()
        self.curve.append(record)
        return record

    def evaluate(self, members):
        """Return (mean cross-entropy, accuracy) on some of the images."""
        self.net.eval()
        loss, hits = 0.0, 0
        with torch.inference_mode():
            for start in range(0, len(members), EVALUATION_BATCH):
                part = torch.as_tensor(members[start : start + EVALUATION_BATCH], device=self.device)
                logits, labels = self._logits(part), self.labels[part]
                loss += functional.cross_entropy(logits, labels, reduction="sum").item()
                hits += (logits.argmax(1) == labels).sum().item()
        return loss / len(members), hits / len(members)

    def save(self, path):
        """Write the checkpoint."""
        state = {"identity": self.identity, "epoch": self.epoch, "curve": self.curve}
        net = {k: v.detach().cpu().numpy() for k, v in self.net.state_dict().items()}
        slots = self.optimiser.state_dict()["state"]
        optimiser = {f"{i}/{k}": v.cpu().numpy() for i, slot in slots.items() for k, v in slot.items() if v is not None}
        checkpoints.save(path, state, {"net": net, "optimiser": optimiser, "best": self.best or {}})

    def restore(self, path):
        """Go on from a checkpoint."""
        state, groups = checkpoints.load(path, self.identity)
        slots = {}
        for name, value in groups.get("optimiser", {}).items():
            number, _, key_ = name.partition("/")
            slots.setdefault(int(number), {})[key_] = torch.as_tensor(value)
        try:
            self.net.load_state_dict({k: torch.as_tensor(v) for k, v in groups.get("net", {}).items()})
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})
        except (RuntimeError, KeyError, ValueError) as error:
            raise DataError(f"{path}: the checkpoint does not fit the network; remove it to start anew") from error
        self.epoch, self.curve, self.best = state["epoch"], state["curve"], groups.get("best")

    def result(self, seconds):
        """Return what the run gives back."""
        kept, arrays = self.epoch, self.net.arrays()
        if self.settings.keep == "best" and self.best:
            arrays = self.best
            kept = max(self.curve, key=lambda r: (r["validation_accuracy"], -r["epoch"]))["epoch"]
        last = self.curve[kept - 1] if kept else {}
        note = {"settings": self.settings.to_dict(), "epoch": kept, "images": len(self.parts[0]), "outcome": last}
        kernels = {}
        if self.settings.twin is not None:
            arrays, found = split_kernels(arrays, self.settings.twin)
            kernels = {KERNELS: found}
        graph = self.graph.astype(np.float32).with_parameters(arrays)
        graph = replace(graph, meta={**graph.meta, "training": note, **kernels})
        kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        device = f"{kind}, PyTorch {torch.__version__}"
        return TrainResult(graph, self.curve, kept, device, seconds)
