"""Schema of `learn: {rule: stdb}`: a hybrid network trained through time; eventsnn.learning.stdb.settings checks ranges."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, Seed, Share, Strict
from eventsnn.scenario.schema.source import DataSpec

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Whole = Annotated[int, Field(ge=0)]


class Stdb(Strict):
    """Train the hybrid network that `convert: {to: hybrid}` makes, by surrogate gradients through time."""

    rule: Literal["stdb"]
    data: DataSpec
    """Training samples: images with labels, in the range of `data`."""
    test: list[DataSpec] = Field(default_factory=list)
    """Samples on which the learner judges the network before and after, at `steps`."""
    steps: Count = 100
    """T: steps of a run in training."""
    epochs: Whole = 50
    batch_size: Count = 64
    surrogate: Literal["linear", "stdb"] = "linear"
    """Derivative of a spike: by membrane, or by the time since the neuron's last spike."""
    gamma: Positive = 0.3
    """linear: its peak."""
    alpha: Positive = 0.3
    """stdb: its size."""
    beta: Positive = 0.01
    """stdb: its decay per step."""
    cutoff: Literal["float32"] | Count | None = "float32"
    """stdb: steps from which on it is 0; float32: where the published arithmetic underflows (104); null: never."""
    reset_gradient: Literal["detached", "attached"] = "detached"
    """Whether the gradient flows through the subtraction of the threshold; detached is the published code."""
    thresholds: bool = False
    """Train the thresholds, too."""
    leaks: bool = False
    """Train the leaks, too."""
    truncate: Whole = 0
    """Steps after which the loss so far is propagated back and the past is forgotten; 0: once, at the end."""
    chunk: Whole = 0
    """Steps whose tape is held at once, the others are computed again; 0: all. Costs time, saves memory, changes nothing."""
    logits: Literal["sum", "mean"] = "sum"
    """What the loss sees: the output membrane, or that per step."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Rate of the frozen masks behind convolutions instead of that of the network."""
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: Positive = 1e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    weight_decay: NotNegative = 5e-4
    amsgrad: bool = True
    schedule: Literal["milestones", "halving"] = "milestones"
    lr_interval: list[Share] = Field(default_factory=lambda: [0.6, 0.8, 0.9])
    """milestones: parts of the epochs from which on the rate is divided by lr_reduce; those in the first epoch do nothing."""
    lr_reduce: Annotated[float, Field(ge=1)] = 10.0
    halve_every: Count = 5
    """halving: epochs between two halvings of the rate."""
    validation: Whole = 0
    """Samples held out of `data`, on which the epoch to keep is chosen; 0: the last one."""
    abort_after: Whole = 5
    """Epochs after which training stops if the accuracy is below abort_below; 0: never."""
    abort_below: Share = 0.15
    shift: Whole = 0
    flip: bool = False
    checkpoint_every: Whole = 0
    """Batches between two saved states of a resumable run, besides the end of every epoch."""
    record_every: Whole = 0
    """Batches between two records of the learning curve, besides the end of every epoch."""
    precision: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = True
    seed: Seed = 0
    """Of split, order, augmentation, input spikes and masks in training."""
    threads: Whole = 0
