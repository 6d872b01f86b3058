"""What the training of a hybrid network is told and what it gives back: plain data, importable without PyTorch."""

from dataclasses import asdict, dataclass

from eventsnn.ann.schedules import passed
from eventsnn.errors import ModelError
from eventsnn.learning.stdb.surrogates import SURROGATES, stdb_table
from eventsnn.settings import check_choices, check_numbers, settings_from

MOST_STEPS = 30_000  # gaps between spikes are kept in 16 bits
CHOICES = {
    "surrogate": SURROGATES,
    "reset_gradient": ("detached", "attached"),
    "logits": ("sum", "mean"),
    "optimiser": ("adam", "sgd"),
    "schedule": ("milestones", "halving"),
    "precision": ("float32", "float64"),
    "device": ("auto", "cpu", "cuda"),
}
RANGES = {
    f"[1, {MOST_STEPS}]": ("steps",),
    "[0, inf)": ("epochs", "truncate", "chunk", "weight_decay", "validation", "abort_after", "shift", "checkpoint_every",
                 "record_every", "threads"),
    "[1, inf)": ("batch_size", "lr_reduce", "halve_every"),
    "(0, inf)": ("gamma", "alpha", "beta", "learning_rate"),
    "[0, 1)": ("momentum", "dropout"),
    "[0, 1]": ("abort_below",),
    "(-inf, inf)": ("seed",),
}  # fmt: skip


@dataclass(frozen=True)
class StdbSettings:
    """All choices of a training run; defaults are the published ones, and equal settings give equal weights on one machine.

    Parameters
    ----------
    steps : int
        T, the steps of a run.
    epochs, batch_size : int
        Passes over the training part; samples that learn together.
    surrogate : {"linear", "stdb"}
        See `eventsnn.learning.stdb.surrogates`.
    gamma : float
        Of `linear`.
    alpha, beta : float
        Of `stdb`.
    cutoff : "float32", int or None
        Of `stdb`: gap from which on it is 0.
    reset_gradient : {"detached", "attached"}
        Whether the gradient flows through the subtraction of the threshold; detached is the published code.
    thresholds, leaks : bool
        Train them too, one number per layer (DIET-SNN).
    truncate : int
        Steps after which the loss so far is propagated back and the past is forgotten; 0: once, after all steps.
    chunk : int
        Steps whose tape is held at once; the others are computed a second time. 0: all. Changes no gradient.
    logits : {"sum", "mean"}
        What the loss sees: the output membrane, or that over the steps so far; always mean where `truncate` is set.
    dropout : float or None
        Rate of the masks behind convolutions instead of that in the network; dense layers keep theirs.
    optimiser : {"adam", "sgd"}
        Adam with `amsgrad`, weight decay coupled (L2); SGD with `momentum`.
    learning_rate, momentum, weight_decay : float
        Thresholds and leaks take no weight decay.
    amsgrad : bool
    schedule : {"milestones", "halving"}
        Divide the rate by `lr_reduce` from epoch int(f epochs) on for each f in `lr_interval`, or halve it every `halve_every`
        epochs; epochs count from 1, and milestones in the first do nothing.
    lr_interval : tuple of float
    lr_reduce : float
    halve_every : int
    validation : int
        Samples held out from the end of a seeded shuffle, on which the weights to keep are chosen; 0: the last are kept.
    abort_after : int
        After so many epochs the run stops if the validation accuracy (without one: that of training) is below `abort_below`;
        0: never.
    abort_below : float
    shift, flip : int, bool
        Augmentation, as in `TrainSettings`.
    checkpoint_every : int
        Batches between two saved states, besides the end of every epoch.
    record_every : int
        Batches between two records of the learning curve, besides the end of every epoch.
    precision : {"float32", "float64"}
    device : {"auto", "cpu", "cuda"}
    deterministic : bool
    seed, threads : int
        Of split, order, augmentation, input spikes and masks; PyTorch threads, 0 its choice.

    Raises
    ------
    ModelError
        If a value is out of range.
    """

    steps: int = 100
    epochs: int = 50
    batch_size: int = 64
    surrogate: str = "linear"
    gamma: float = 0.3
    alpha: float = 0.3
    beta: float = 0.01
    cutoff: object = "float32"
    reset_gradient: str = "detached"
    thresholds: bool = False
    leaks: bool = False
    truncate: int = 0
    chunk: int = 0
    logits: str = "sum"
    dropout: float | None = None
    optimiser: str = "adam"
    learning_rate: float = 1e-4
    momentum: float = 0.95
    weight_decay: float = 5e-4
    amsgrad: bool = True
    schedule: str = "milestones"
    lr_interval: tuple = (0.6, 0.8, 0.9)
    lr_reduce: float = 10.0
    halve_every: int = 5
    validation: int = 0
    abort_after: int = 5
    abort_below: float = 0.15
    shift: int = 0
    flip: bool = False
    checkpoint_every: int = 0
    record_every: int = 0
    precision: str = "float32"
    device: str = "auto"
    deterministic: bool = True
    seed: int = 0
    threads: int = 0

    def __post_init__(self):
        """Check every value."""
        if not isinstance(self.lr_interval, list | tuple):
            raise ModelError(f"stdb: lr_interval must be a list of shares of the epochs, got {self.lr_interval!r}")
        object.__setattr__(self, "lr_interval", tuple(self.lr_interval))
        check_choices(self, CHOICES, "stdb")
        check_numbers(self, RANGES, "stdb")
        shares = self.lr_interval
        if not all(isinstance(f, (int, float)) and 0 <= f <= 1 for f in shares) or list(shares) != sorted(shares):
            raise ModelError(f"stdb: lr_interval must be shares of the epochs in [0, 1], ascending, got {list(shares)}")
        stdb_table(self.alpha, self.beta, self.cutoff, self.steps)

    @classmethod
    def of(cls, values):
        """Make settings from a dict (or pass settings through); unknown keys are refused with a suggestion."""
        return settings_from(cls, values, "stdb")

    def to_dict(self):
        """Return the settings as plain data."""
        return asdict(self)

    def seen(self, logits, elapsed):
        """Return what the loss sees of the output after so many steps."""
        return logits / elapsed if self.logits == "mean" or self.truncate else logits

    def rate_of(self, epoch):
        """Return the learning rate of an epoch, counted from 1.

        Notes
        -----
        milestones: learning_rate / lr_reduce^m, m the number of milestones passed (`eventsnn.ann.schedules`).  halving:
        learning_rate 0.5^floor(epoch / halve_every) (hybrid-stdb A10, S16, H4).
        """
        if self.schedule == "halving":
            return self.learning_rate * 0.5 ** (epoch // self.halve_every)
        return self.learning_rate / self.lr_reduce ** passed(self, epoch)


@dataclass(frozen=True, eq=False)
class StdbResult:
    """Outcome of a training run.

    Parameters
    ----------
    hybrid : HybridNet
        The trained network, float32 (float64 where the run was); what the event engine runs.
    curve : list of dict
        Per record: epoch, batch, samples (seen so far), learning_rate, train_loss, train_accuracy (both since the record before),
        thresholds, leaks, validation_loss, validation_accuracy and validation_spikes (per neuron and sample, by layer); these
        three are None within an epoch, and without a validation part.
    epoch : int
        Epoch whose weights were kept; 0: those of the start.
    aborted : bool
        Whether it ended early, below `abort_below`.
    device : str
    seconds : float
        Wall time of this call.
    """

    hybrid: object
    curve: list
    epoch: int
    aborted: bool
    device: str
    seconds: float
