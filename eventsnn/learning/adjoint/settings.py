"""Choices of a training by the adjoint of event simulation."""

import math
from dataclasses import dataclass, fields

from eventsnn.errors import ModelError
from eventsnn.settings import check_choices

CHOICES = {"optimiser": ("adam", "sgd"), "schedule": ("constant", "exponential"), "keep": ("last", "best")}
RANGES = {  # least, whether it is allowed
    "epochs": (0, True), "batch": (1, True), "learning_rate": (0, False), "delay_rate": (0, True), "parameter_rate": (0, True),
    "least_delay": (0, True), "decay": (0, False), "decay_steps": (1, True), "momentum": (0, True), "weight_decay": (0, True),
    "silent_lift": (0, True), "validation": (0, True), "patience": (0, True),
}  # fmt: skip


@dataclass(frozen=True)
class AdjointSettings:
    """All choices of a training; equal settings, data and network give equal weights on the same machine.

    Parameters
    ----------
    epochs, batch : int
        Passes over the training part, >= 0; samples per step, >= 1.
    learning_rate : float
        Of weights, > 0.
    delay_rate : float
        Learning rate of the delays of listed synapses (SparseMs), in learning rates of the weights; 0: delays stay.
    least_delay : float
        Shortest that a trained delay becomes, ms.
    parameters : tuple of str
        Parameters of neurons that are trained, where a population's adjoint names them: bias, v_threshold, ...
    parameter_rate : float
        Their learning rate, in learning rates of the weights.
    optimiser : {"adam", "sgd"}
        As in `eventsnn.learning.optimisers`, like `momentum` and `weight_decay`.
    schedule : {"constant", "exponential"}
        exponential: rate x decay^(step / decay_steps), continuously.
    decay, decay_steps, momentum, weight_decay : float
    silent_lift : float
        Strength of the regulariser of neurons that are silent, `eventsnn.gradients.spike_losses.silent_lift`.
    validation : int
        Samples held out, from the end of a seeded shuffle.
    patience : int
        Training ends after so many epochs without a better validation loss; 0: never.
    keep : {"last", "best"}
        Weights returned: of the last epoch, or of the one after which the loss was least: on the validation part, or, without
        one, on the training part.
    seed : int
        Of split and order.

    Raises
    ------
    ModelError
        If a value is out of range or two do not go together.
    """

    epochs: int = 10
    batch: int = 50
    learning_rate: float = 1e-3
    delay_rate: float = 0.0
    least_delay: float = 0.0
    parameters: tuple = ()
    parameter_rate: float = 1.0
    optimiser: str = "adam"
    schedule: str = "constant"
    decay: float = 0.9
    decay_steps: float = 1000.0
    momentum: float = 0.9
    weight_decay: float = 0.0
    silent_lift: float = 0.0
    validation: int = 0
    patience: int = 0
    keep: str = "last"
    seed: int = 0

    def __post_init__(self):
        """Check every value."""
        check_choices(self, CHOICES, "training")
        whole = {f.name for f in fields(self) if f.type in (int, "int")}
        for name, (least, allowed) in RANGES.items():
            value = getattr(self, name)
            good = isinstance(value, int if name in whole else int | float) and not isinstance(value, bool)
            if not (good and math.isfinite(value) and (value > least or (allowed and value == least))):
                kind = "whole number" if name in whole else "number"
                raise ModelError(f"training: {name} must be a {kind} {'>=' if allowed else '>'} {least}, got {value!r}")
        if self.decay > 1 or self.momentum >= 1:
            raise ModelError(f"training: decay must be at most 1 and momentum below 1, got {self.decay} and {self.momentum}")
        if self.patience and not self.validation:
            raise ModelError("training: patience needs a validation part, got validation 0")
        object.__setattr__(self, "parameters", tuple(self.parameters))
