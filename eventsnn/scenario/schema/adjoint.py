"""Schema of `learn: {rule: adjoint}`: exact gradients of spike times; eventsnn.learning.adjoint.settings checks ranges."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, LateTime, Name, PositiveTime, Strict
from eventsnn.scenario.schema.patterns import GradedInput, InputPattern, SmileyPattern, TargetPattern
from eventsnn.scenario.schema.source import DataSpec

NotNegative = Annotated[float, Field(ge=0)]


class FirstSpikeLoss(Strict):
    """Cross-entropy of a softmax over minus the first spike times of the readout population."""

    kind: Literal["first_spike"]
    tau: PositiveTime
    """Time constant of the softmax."""
    early: NotNegative = 0.0
    """Factor of a term that draws the right class to early times."""
    tau_early: PositiveTime | None = None
    """Time constant of that term; absent: tau."""


class PotentialLoss(Strict):
    """Cross-entropy of a softmax over the potentials of the readout population at the end."""

    kind: Literal["potential"]


class PatternLoss(Strict):
    """Squared van Rossum distance of the readout population's spikes to a target pattern, which answers an input pattern."""

    kind: Literal["van_rossum"]
    tau: PositiveTime
    """Time constant of the distance."""
    steps: Count = 250
    """Length of the patterns, steps."""
    dt: PositiveTime = 1.0
    """Length of a step; a spike of step k is at k dt in continuous time."""
    input: InputPattern = GradedInput(kind="graded")
    target: TargetPattern = SmileyPattern(kind="smiley")


class Adjoint(Strict):
    """Train the network that the scenario writes out by the adjoint of its event simulation."""

    rule: Literal["adjoint"]
    loss: Annotated[FirstSpikeLoss | PotentialLoss | PatternLoss, Field(discriminator="kind")]
    data: DataSpec | None = None
    """Training samples, coded as `encode:` says; the van Rossum loss brings its own."""
    test: list[DataSpec] = Field(default_factory=list)
    """Samples on which the network is judged before and after training."""
    epochs: Annotated[int, Field(ge=0)] = 10
    batch: Count = 50
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of weights."""
    delay_rate: NotNegative = 0.0
    """Of the delays of listed synapses, in learning rates of the weights; 0: delays stay."""
    least_delay: LateTime = 0.0
    """Shortest that a trained delay becomes."""
    parameters: list[Name] = Field(default_factory=list)
    """Parameters of neurons that are trained too: bias, v_threshold, v_init, ..."""
    parameter_rate: NotNegative = 1.0
    """Of these, in learning rates of the weights."""
    optimiser: Literal["adam", "sgd"] = "adam"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: Literal["constant", "exponential"] = "constant"
    """exponential: rate x decay^(step / decay_steps)."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    decay_steps: Annotated[float, Field(ge=1)] = 1000.0
    weight_decay: NotNegative = 0.0
    silent_lift: NotNegative = 0.0
    """Strength of the regulariser `lift`: weights into silent neurons grow by it, times the share of samples they miss."""
    validation: Annotated[int, Field(ge=0)] = 0
    """Samples held out."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Training ends after so many epochs without a better validation loss; 0: never."""
    keep: Literal["last", "best"] = "last"
    """Weights of the last epoch, or of the one with the least loss."""
