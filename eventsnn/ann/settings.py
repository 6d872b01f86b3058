"""What a training run is told and what it gives back: plain data, importable without PyTorch."""

from dataclasses import asdict, dataclass

from eventsnn.ann.twin_settings import TwinSettings
from eventsnn.errors import ModelError
from eventsnn.settings import check_choices, check_numbers, settings_from

CHOICES = {
    "optimiser": ("adam", "sgd"),
    "schedule": ("constant", "cosine", "milestones", "one_cycle", "step"),
    "precision": ("float32", "bfloat16"),
    "device": ("auto", "cpu", "cuda"),
    "keep": ("last", "best"),
    "activity_kind": ("l1", "l1_sum", "hoyer"),
}
RANGES = {
    "[0, inf)": ("epochs", "learning_rate", "weight_decay", "abort_after", "validation", "shift", "crop", "brightness", "cutout",
                 "rate_decay", "threads", "activity_penalty"),
    "[1, inf)": ("batch_size", "step_epochs", "lr_reduce"),
    "[0, 1)": ("momentum", "label_smoothing"),
    "[0, 1]": ("step_factor", "abort_below", "warm_up", "contrast"),
    "[0, 180]": ("rotate",),
    "(-inf, inf)": ("seed",),
}  # fmt: skip


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
        SGD uses ``momentum``; Adam uses the standard betas 0.9, 0.999.
    learning_rate : float
        Peak learning rate.
    momentum : float
        Of SGD, in [0, 1).
    nesterov : bool
        Of SGD: Nesterov's momentum.
    amsgrad : bool
        Of Adam: divide by the largest second moment so far.
    decoupled : bool
        Of Adam: weight decay acts on the weights themselves (AdamW); False: as an L2 penalty, through the gradient.
    weight_decay : float
        L2 penalty on weights (not on biases and batch norm).
    schedule : {"constant", "cosine", "milestones", "one_cycle", "step"}
        Course of the learning rate over all steps; see :func:`eventsnn.ann.schedules.learning_rate`.
    step_epochs, step_factor : int, float
        ``step``: the rate is multiplied by the factor every so many epochs.
    lr_interval, lr_reduce : tuple of float, float
        ``milestones``: the rate is divided by lr_reduce at each of these parts of all epochs, in [0, 1].
    rate_decay : float
        Whatever the schedule, the rate is divided by 1 + rate_decay x step.
    warm_up : float
        ``one_cycle``: share of all steps in which the rate rises, in [0, 1].
    label_smoothing : float
        Share of the target spread over all classes, in [0, 1).
    activity_penalty : float
        Weight of a penalty on the outputs of the ReLU layers, for sparse spiking networks; 0: none.
    activity_kind : {"l1", "l1_sum", "hoyer"}
        Its form; see :class:`eventsnn.ann.sparsity.ActivityPenalty`.
    validation : int
        Samples held out from the end of a seeded shuffle; never trained on.
    shift : int
        Augmentation: each image is shifted by up to so many pixels in y and x (zero padding and random crop).
    flip : bool
        Augmentation: mirror left and right with probability 1/2.
    crop : int
        Side of a square that is cut from each image: at random in training, from the middle in evaluation; 0: none.
    rotate : float
        Augmentation: each image is turned by up to so many degrees, either way; what comes in repeats the border.
    brightness : float
        Augmentation: up to so much, of either sign, is added to all values of an image.
    contrast : float
        Augmentation: values move away from the mean of their channel by a factor in [1 - contrast, 1 + contrast].
    cutout : int
        Augmentation: side of a square somewhere in each image that is hidden under the image's mean; 0: none.
    standardise : bool
        Each image less its mean, divided by its standard deviation, in training and in evaluation; last of all.
    keep : {"last", "best"}
        Weights returned: of the last epoch, or of the best on the validation part.
    abort_after, abort_below : int, float
        The run ends early if after so many epochs the accuracy (on the validation part, if there is one) is below that; 0: never.
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
    nesterov: bool = True
    amsgrad: bool = False
    decoupled: bool = True
    weight_decay: float = 0.0
    schedule: str = "cosine"
    step_epochs: int = 10
    step_factor: float = 0.1
    lr_interval: tuple = (0.6, 0.8, 0.9)
    lr_reduce: float = 10.0
    rate_decay: float = 0.0
    warm_up: float = 0.3
    label_smoothing: float = 0.0
    activity_penalty: float = 0.0
    activity_kind: str = "hoyer"
    validation: int = 0
    shift: int = 0
    flip: bool = False
    crop: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    rotate: float = 0.0
    cutout: int = 0
    standardise: bool = False
    keep: str = "last"
    abort_after: int = 0
    abort_below: float = 0.15
    seed: int = 0
    precision: str = "float32"
    channels_last: bool = True
    device: str = "auto"
    deterministic: bool = True
    threads: int = 0
    twin: TwinSettings | None = None

    def __post_init__(self):
        """Check every value."""
        check_choices(self, CHOICES, "training")
        check_numbers(self, RANGES, "training")
        parts = tuple(self.lr_interval) if isinstance(self.lr_interval, list | tuple) else (None,)
        if not all(isinstance(f, int | float) and not isinstance(f, bool) and 0 <= f <= 1 for f in parts):
            raise ModelError(f"training: lr_interval must be parts of all epochs, each in [0, 1], got {self.lr_interval!r}")
        object.__setattr__(self, "lr_interval", parts)
        if isinstance(self.twin, dict):
            object.__setattr__(self, "twin", TwinSettings(**self.twin))
        if self.twin is not None and self.precision != "float32":
            raise ModelError("training: precision must be float32 with a TTFS twin, which compares potentials with thresholds, "
                             f"got {self.precision!r}")  # fmt: skip
        if self.keep == "best" and not self.validation:
            raise ModelError("training: keep 'best' needs a validation part, got validation 0; set validation to 5000")

    @classmethod
    def of(cls, values):
        """Make settings from a dict (or pass settings through); unknown keys are refused with a suggestion."""
        return settings_from(cls, values, "training")

    def to_dict(self):
        """Return the settings as plain data."""
        return asdict(self) | {"lr_interval": list(self.lr_interval)}


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
