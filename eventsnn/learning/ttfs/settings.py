"""What a TTFS training is told: plain data, checked, importable without PyTorch."""

import math
from dataclasses import asdict, dataclass

from eventsnn.errors import ModelError
from eventsnn.settings import check_choices, check_number, check_numbers, settings_from

CHOICES = {
    "optimiser": ("adam", "sgd"),
    "schedule": ("constant", "exponential"),
    "neuron": ("b1", "alpha1", "relu"),
    "precision": ("float64", "float32"),
    "window": ("fixed", "fit", "grow"),
    "final_window": ("keep", "fit"),
    "early": ("saturate", "unclamped"),
    "alpha_initial": ("smart", "standard"),
    "time_rounding": ("nearest", "floor"),
    "weight_grid": ("nudged", "symmetric"),
    "keep": ("last", "best"),
}
RANGES = {
    "[0, inf)": ("epochs", "weight_decay", "noise_times", "noise_alpha", "silent_help", "activity_penalty", "validation",
                 "patience", "scan"),
    "[1, inf)": ("batch", "decay_steps"),
    "(0, inf)": ("learning_rate", "alpha", "gamma"),
    "(-1, inf)": ("zeta",),
    "(0, 1]": ("decay", "latency_quantile"),
    "[0, 1)": ("momentum",),
    "[0, 24]": ("time_bits", "weight_bits"),
    "(-inf, inf)": ("seed",),
}  # fmt: skip


@dataclass(frozen=True)
class TtfsSettings:
    """All choices of a TTFS training; equal settings, data and network give equal weights on the same machine.

    Parameters
    ----------
    epochs : int
        Passes over the training part; 0 only evaluates.
    batch : int
        Samples per step, >= 1.
    optimiser : {"adam", "sgd"}
        Adam with 0.9, 0.999, 1e-7; SGD with ``momentum``; see `eventsnn.learning.optimisers`.
    learning_rate : float
        Initial rate, > 0.
    schedule : {"constant", "exponential"}
        exponential: rate x decay^(step / decay_steps), continuously.
    decay, decay_steps : float
        In (0, 1]; >= 1.
    momentum : float
        Of SGD, in [0, 1).
    weight_decay : float
        L2 penalty weight_decay x sum of J^2, on weights only, >= 0.
    neuron : {"b1", "alpha1", "relu"}
        Gated ramp of slope 1; ramp whose slope is alpha plus the weights that have arrived; the ReLU twin of b1.
    alpha : float
        Slope of alpha1 neurons without input, > 0, 1/ms.
    alpha_initial : {"smart", "standard"}
        Weights J of alpha1: from ReLU weights whose column sums are brought below 1; or those of the graph as they are.
    precision : {"float64", "float32"}
        Of weights, times and moments.
    window : {"fixed", "fit", "grow"}
        Windows as given by ``windows``; (1 + zeta) X_n from a scan at the start; grown after every step to at least
        gamma times the largest activation of the batch, never shrinking, from ``windows`` or, where None, from a scan.
    windows : float, tuple of float or None
        R_n > 0, ms: one for all hidden layers, or one each.
    gamma, zeta : float
        Of "grow" (> 0); safety margin of scans (> -1).
    final_window : {"keep", "fit"}
        Windows of the trained network: as they are, or from a last scan (training and result do not depend on them
        without noise, time bits and saturation).
    latency_quantile : float
        Scans take this quantile of all activations of a layer (silent ones are 0) for X_n, in (0, 1]; 1: the greatest.
    scan : int
        Training samples that a scan looks at; 0: all.
    early : {"saturate", "unclamped"}
        What an activation above its window does: spike when the window opens, gradient 0; or keep its value.
    noise_times : float
        Standard deviation added to every hidden spike time, in training and evaluation, ms.
    noise_alpha : float
        Standard deviation of a slope that every hidden neuron has in addition, frozen for the run, 1/ms.
    noise_silent : bool
        Whether noise also moves neurons that do not spike (as the published code has it): they then act, with weight
        times noise.
    time_bits : int
        Spike times that hidden layers read are rounded to 2^bits levels over the window; 0: not.
    time_rounding : {"nearest", "floor"}
        Of activations R - t: published; or that of a simulation in time steps, which sees a spike at the next one.
    weight_bits : int
        Weights of hidden layers are rounded to 2^bits levels (symmetric: one fewer), straight-through; 0: not.
    weight_range : (float, float) or None
        Lowest and highest weight; None: each layer's own at the start.
    weight_grid : {"nudged", "symmetric"}
        Published: the grid is shifted until 0 is on it, so its range is lopsided; or symmetric around 0.
    silent_help : float
        Factor of the regulariser `deficit` (>= 0): for every neuron silent on a whole batch, the mean distance of its
        potential to threshold at the end of the window.
    activity_penalty : float
        Factor of the regulariser `activity` (>= 0): the sum of activations R - t of all hidden neurons, mean over the batch.
    validation : int
        Samples held out of the training data, from the end of a seeded shuffle; never trained on.
    patience : int
        Early stopping: training ends after so many epochs without a better validation loss; 0: never.
    keep : {"last", "best"}
        Weights returned: of the last epoch, or of the one with the least validation loss.
    seed : int
        Of split, order and noise.

    Raises
    ------
    ModelError
        If a value is out of range or two do not go together.
    """

    epochs: int = 10
    batch: int = 8
    optimiser: str = "adam"
    learning_rate: float = 5e-4
    schedule: str = "exponential"
    decay: float = 0.9
    decay_steps: float = 5000.0
    momentum: float = 0.9
    weight_decay: float = 0.0
    neuron: str = "b1"
    alpha: float = 1.0
    alpha_initial: str = "smart"
    precision: str = "float64"
    window: str = "grow"
    windows: float | tuple | None = None
    gamma: float = 10.0
    zeta: float = 0.5
    final_window: str = "keep"
    latency_quantile: float = 1.0
    scan: int = 0
    early: str = "saturate"
    noise_times: float = 0.0
    noise_alpha: float = 0.0
    noise_silent: bool = False
    time_bits: int = 0
    time_rounding: str = "nearest"
    weight_bits: int = 0
    weight_range: tuple | None = None
    weight_grid: str = "nudged"
    silent_help: float = 0.0
    activity_penalty: float = 0.0
    validation: int = 0
    patience: int = 0
    keep: str = "last"
    seed: int = 0

    def __post_init__(self):
        """Check every value."""
        check_choices(self, CHOICES, "training")
        check_numbers(self, RANGES, "training")
        self._check_lengths()
        self._check_together()

    def _check_lengths(self):
        """Bring windows and the range of weights to tuples, or refuse them."""
        if self.windows is not None:
            given = self.windows if isinstance(self.windows, (list, tuple)) else (self.windows,)
            for value in given:
                check_number(value, "(0, inf)", "training: windows")
            object.__setattr__(self, "windows", tuple(map(float, given)))
        if self.weight_range is not None:
            given = tuple(self.weight_range) if isinstance(self.weight_range, (list, tuple)) else ()
            numbers = all(isinstance(v, (int, float)) and math.isfinite(v) for v in given)
            if len(given) != 2 or not numbers or given[0] >= given[1]:
                raise ModelError(f"training: weight_range must be two numbers, the lower first, got {self.weight_range!r}")
            object.__setattr__(self, "weight_range", tuple(map(float, given)))

    def _check_together(self):
        """Refuse pairs of values that contradict each other."""
        if self.window == "fixed" and self.windows is None:
            raise ModelError("training: window 'fixed' needs windows: one length in ms, or one per hidden layer")
        if self.window == "fit" and self.windows is not None:
            raise ModelError("training: windows belong to window 'fixed' or 'grow'; 'fit' takes them from a scan")
        if self.weight_grid == "symmetric" and self.weight_range is not None and sum(self.weight_range) != 0:
            raise ModelError(f"training: a symmetric grid needs a weight_range around 0, got {self.weight_range}")
        if self.weight_range is not None and not self.weight_range[0] <= 0 <= self.weight_range[1]:
            raise ModelError(f"training: weight_range must hold 0, got {self.weight_range}")
        if self.weight_bits == 1:
            raise ModelError("training: weight_bits must be 0 (not quantised) or from 2 on, got 1")
        for what, asked in (("patience", self.patience), ("keep 'best'", self.keep == "best")):
            if asked and not self.validation:
                raise ModelError(f"training: {what} needs a validation part, got validation 0; set it to 5000")
        if self.activity_penalty and self.noise_silent:
            raise ModelError("training: activity_penalty adds activations of spikes; noise_silent must be false with it")
        if self.neuron == "relu":
            for name in ("noise_times", "noise_alpha", "time_bits"):
                if getattr(self, name):
                    raise ModelError(f"training: {name} belongs to spikes, got {getattr(self, name)} with neuron 'relu'")
        if self.neuron == "alpha1":
            for name in ("time_bits", "weight_bits", "silent_help", "activity_penalty"):
                if getattr(self, name):
                    raise ModelError(f"training: {name} belongs to neuron 'b1', got {getattr(self, name)} with 'alpha1'")
            if self.window != "fixed":
                raise ModelError("training: window must be 'fixed' with neuron 'alpha1', whose windows are part of its "
                                 f"thresholds and stay, got {self.window!r}")  # fmt: skip

    @classmethod
    def of(cls, values):
        """Make settings from a dict (or pass settings through); unknown keys are refused with a suggestion."""
        return settings_from(cls, values, "training")

    def to_dict(self):
        """Return the settings as a plain dict."""
        return asdict(self)
