"""What a training run is told and what it gives back: plain data, importable without PyTorch."""

import math
from dataclasses import asdict, dataclass, fields

from eventsnn.ann.twin_settings import TwinSettings
from eventsnn.errors import ModelError, did_you_mean

OPTIMISERS = ("adam", "sgd")
SCHEDULES = ("constant", "cosine", "one_cycle", "step")
CHOICES = {
    "optimiser": OPTIMISERS,
    "schedule": SCHEDULES,
    "precision": ("float32", "bfloat16"),
    "device": ("auto", "cpu", "cuda"),
    "keep": ("last", "best"),
    "activity_kind": ("l1", "hoyer"),
}
# (least, greatest, greatest allowed)
RANGES = {
    "epochs": (0, math.inf, False),
    "batch_size": (1, math.inf, False),
    "learning_rate": (0, math.inf, False),
    "momentum": (0, 1, False),
    "weight_decay": (0, math.inf, False),
    "step_epochs": (1, math.inf, False),
    "step_factor": (0, 1, True),
    "warm_up": (0, 1, True),
    "label_smoothing": (0, 1, False),
    "validation": (0, math.inf, False),
    "shift": (0, math.inf, False),
    "seed": (-math.inf, math.inf, False),
    "threads": (0, math.inf, False),
    "activity_penalty": (0, math.inf, False),
}


@dataclass(frozen=True)
class TrainSettings:
    """All choices of a training run; equal settings, data and network give equal weights in the deterministic mode.

    Parameters
    ----------
    epochs : int
        Passes over the training part; 0 only evaluates.
    batch_size : int
        Samples per step.
    optimiser : {"adam", "sgd"}
        SGD uses ``momentum`` (Nesterov); Adam uses the standard betas 0.9, 0.999.
    learning_rate : float
        Peak learning rate.
    momentum : float
        Of SGD, in [0, 1).
    weight_decay : float
        L2 penalty on weights (not on biases and batch norm); decoupled for Adam.
    schedule : {"constant", "cosine", "one_cycle", "step"}
        Course of the learning rate over all steps; see :func:`learning_rate`.
    step_epochs, step_factor : int, float
        ``step``: the rate is multiplied by the factor every so many epochs.
    warm_up : float
        ``one_cycle``: share of all steps in which the rate rises, in [0, 1].
    label_smoothing : float
        Share of the target spread over all classes, in [0, 1).
    activity_penalty : float
        Weight of a penalty on the outputs of the ReLU layers, for sparse spiking networks; 0: none.
    activity_kind : {"l1", "hoyer"}
        Its form; see :class:`eventsnn.ann.sparsity.ActivityPenalty`.
    validation : int
        Samples held out from the end of a seeded shuffle; never trained on.
    shift : int
        Augmentation: each image is shifted by up to so many pixels in y and x (zero padding and random crop).
    flip : bool
        Augmentation: mirror left and right with probability 1/2.
    keep : {"last", "best"}
        Weights returned: of the last epoch, or of the best on the validation part.
    seed : int
        Of the split, the order, the augmentation and dropout.
    precision : {"float32", "bfloat16"}
        bfloat16: autocast with float32 master weights.
    channels_last : bool
        Memory order of convolutions; usually faster on CPU and GPU.
    device : {"auto", "cpu", "cuda"}
        auto: a GPU if there is one.
    deterministic : bool
        Same bits on the same machine and thread count, also when resumed.
    threads : int
        PyTorch threads; 0 leaves PyTorch's choice.
    twin : TwinSettings, dict or None
        Train through the differentiable TTFS twin of a normalised network (:mod:`eventsnn.ann.ttfs_twin`).

    Raises
    ------
    ModelError
        If a value is out of range.
    """

    epochs: int = 10
    batch_size: int = 128
    optimiser: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    step_epochs: int = 10
    step_factor: float = 0.1
    warm_up: float = 0.3
    label_smoothing: float = 0.0
    activity_penalty: float = 0.0
    activity_kind: str = "hoyer"
    validation: int = 0
    shift: int = 0
    flip: bool = False
    keep: str = "last"
    seed: int = 0
    precision: str = "float32"
    channels_last: bool = True
    device: str = "auto"
    deterministic: bool = True
    threads: int = 0
    twin: TwinSettings | None = None

    def __post_init__(self):
        """Check every value."""
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                got = getattr(self, name)
                raise ModelError(f"training: {name} must be one of {', '.join(allowed)}, got {got!r}"
                                 f"{did_you_mean(got, allowed)}")  # fmt: skip
        kinds = {f.name: f.type for f in fields(self)}
        for name, (least, most, closed) in RANGES.items():
            value = getattr(self, name)
            whole = kinds[name] in (int, "int")
            good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            if not (good and least <= value and (value < most or (closed and value == most))):
                wanted = f"a {'whole ' if whole else ''}number in [{least}, {most}{']' if closed else ')'}"
                raise ModelError(f"training: {name} must be {wanted}, got {value!r}")
        if isinstance(self.twin, dict):
            object.__setattr__(self, "twin", TwinSettings(**self.twin))
        if self.twin is not None and self.precision != "float32":
            raise ModelError("training: the TTFS twin compares potentials with thresholds and needs precision float32")
        if self.keep == "best" and not self.validation:
            raise ModelError("training: keep 'best' needs a validation part, got validation 0; set validation to 5000")

    @classmethod
    def of(cls, values):
        """Make settings from a dict (or pass settings through); unknown keys are refused with a suggestion."""
        if isinstance(values, cls):
            return values
        names = [f.name for f in fields(cls)]
        for key in values:
            if key not in names:
                raise ModelError(f"training: unknown setting '{key}'{did_you_mean(key, names)}; "
                                 f"allowed: {', '.join(names)}")  # fmt: skip
        return cls(**values)

    def to_dict(self):
        """Return the settings as a plain dict."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class TrainResult:
    """Outcome of a training run.

    Parameters
    ----------
    graph : LayerGraph
        Network with the trained weights (float32); its ``meta["training"]`` holds settings and outcome.
    curve : list of dict
        Per epoch: epoch, learning_rate, train_loss (without the penalty), train_accuracy, activity_penalty,
        validation_loss, validation_accuracy (the last two None without a validation part).
    epoch : int
        Epoch (from 1) whose weights were kept; 0: none was run.
    device : str
        What it ran on, with the PyTorch version.
    seconds : float
        Wall time of this call; a resumed run counts only its own part.
    """

    graph: object
    curve: list
    epoch: int
    device: str
    seconds: float


def learning_rate(settings, step, steps, steps_per_epoch):
    """Return the learning rate of one step; a pure function, so that resuming needs no scheduler state.

    Parameters
    ----------
    settings : TrainSettings
        ``learning_rate`` = a, ``schedule`` and its options.
    step, steps, steps_per_epoch : int
        This step (from 0), all steps, steps of one epoch.

    Returns
    -------
    float

    Notes
    -----
    constant: a.  step: a f^floor(epoch / step_epochs).  cosine: a (1 + cos(pi s)) / 2 with s = step / steps.
    one_cycle: cosine from a / 25 up to a over the first ``warm_up`` of all steps, then cosine down to a / 250 000
    (Smith and Topin, arXiv:1708.07120, in the form of PyTorch's OneCycleLR).
    """
    peak = settings.learning_rate
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "step":
        return peak * settings.step_factor ** (step // steps_per_epoch // settings.step_epochs)

    def between(start, end, s):
        return end + (start - end) * (1 + math.cos(math.pi * s)) / 2

    if settings.schedule == "cosine":
        return between(peak, 0.0, step / max(1, steps))
    rise = settings.warm_up * steps
    if step < rise:
        return between(peak / 25, peak, step / rise)
    return between(peak, peak / 25e4, (step - rise) / max(1.0, steps - rise))
