"""Choices of a training by the adjoint of event simulation."""

from dataclasses import dataclass

from eventsnn.errors import ModelError
from eventsnn.settings import check_choices, check_numbers

CHOICES = {"optimiser": ("adam", "sgd"), "schedule": ("constant", "exponential"), "keep": ("last", "best")}
RANGES = {
    "[0, inf)": ("epochs", "delay_rate", "parameter_rate", "least_delay", "weight_decay", "silent_lift", "validation",
                 "patience"),
    "[1, inf)": ("batch", "decay_steps"),
    "(0, inf)": ("learning_rate",),
    "(0, 1]": ("decay",),
    "[0, 1)": ("momentum",),
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
        check_numbers(self, RANGES, "training")
        if self.patience and not self.validation:
            raise ModelError("training: patience needs a validation part, got validation 0")
        object.__setattr__(self, "parameters", tuple(self.parameters))
