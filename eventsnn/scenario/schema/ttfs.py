"""Schema of `learn: {rule: ttfs}`: exact training of single-spike networks; eventsnn.learning.ttfs.settings checks ranges."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.architectures import Architecture
from eventsnn.scenario.schema.base import Count, PositiveTime, Seed, Strict
from eventsnn.scenario.schema.source import DataSpec

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Windows(Strict):
    """How long the window of each hidden layer is."""

    rule: Literal["fixed", "fit", "grow"] = "grow"
    """fixed: `lengths`; fit: (1 + zeta) X_n, once; grow: after every step at least gamma times the largest activation."""
    lengths: PositiveTime | list[PositiveTime] | None = None
    """One for all hidden layers, or one each; grow starts from them, absent: from a scan."""
    gamma: Positive = 10.0
    zeta: Annotated[float, Field(gt=-1)] = 0.5
    """Safety margin of scans."""
    quantile: Annotated[float, Field(gt=0, le=1)] = 1.0
    """X_n is this quantile of all activations of the layer; 1: the largest."""
    scan: Annotated[int, Field(ge=0)] = 0
    """Training samples that a scan looks at; 0: all."""
    final: Literal["keep", "fit"] = "keep"
    """fit: the windows of the trained network come from a last scan."""


class Noise(Strict):
    """Gaussian noise, in training and in `test`."""

    times: NotNegative = 0.0
    """Standard deviation of hidden spike times, ms."""
    alpha: NotNegative = 0.0
    """Standard deviation of an additional slope of each neuron, frozen, 1/ms."""
    input: NotNegative = 0.0
    """Standard deviation of input spike times, in `test` alone, ms; a spike before 0 comes at 0."""
    silent: bool = False
    """Whether spike-time noise also moves neurons that are silent, as published code has it."""


class TimeGrid(Strict):
    """Spike times that hidden layers read are rounded."""

    bits: Annotated[int, Field(ge=1, le=24)]
    rounding: Literal["nearest", "floor"] = "nearest"
    """nearest: 2^bits times from the opening to the end of a window, as published; floor: 2^bits time steps."""


class WeightGrid(Strict):
    """Weights of hidden layers are rounded; gradients pass straight through."""

    bits: Annotated[int, Field(ge=2, le=24)]
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """Lowest and highest weight; absent: each layer's own at the start."""
    kind: Literal["nudged", "symmetric"] = "nudged"
    """nudged: shifted until 0 is a level, as published; symmetric: -r to r with one level fewer."""


class Comparison(Strict):
    """Train a ReLU twin beside it: the same initial values, batches and rates."""

    every: Count = 50
    """Steps between two comparisons of their weights."""


class Ttfs(Strict):
    """Train a single-spike network by the exact gradient of its spike times."""

    rule: Literal["ttfs"]
    data: DataSpec
    """Training samples: images with labels."""
    test: list[DataSpec] = Field(default_factory=list)
    """Samples on which the closed form is judged before and after training, noise and roundings included."""
    trials: Count = 1
    """Drawings of the noise that `test` averages over."""
    architecture: Architecture | None = None
    """Fresh weights, sized by the data; absent: go on from network.source or train."""
    initial: Literal["he_normal", "he_uniform", "glorot_uniform"] = "he_normal"
    """Distribution of fresh weights; the output layer of he_uniform is glorot_uniform, as published."""
    neuron: Literal["b1", "alpha1", "relu"] = "b1"
    """b1: gated ramps; alpha1: one spike of every neuron; relu: the ReLU twin, which leaves weights, but nothing to run."""
    alpha: Positive = 1.0
    """alpha1: slope without input, 1/ms."""
    alpha_initial: Literal["smart", "standard"] = "smart"
    """alpha1: weights J from rescaled ReLU weights, or ReLU weights taken as J."""
    epochs: Annotated[int, Field(ge=0)] = 10
    batch: Count = 8
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: Positive = 5e-4
    schedule: Literal["constant", "exponential"] = "exponential"
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    decay_steps: Annotated[float, Field(ge=1)] = 5000.0
    """exponential: rate x decay^(step / decay_steps)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NotNegative = 0.0
    """L2: weight_decay x sum of J^2 is added to the loss."""
    precision: Literal["float64", "float32"] = "float64"
    window: Windows = Windows()
    early: Literal["saturate", "unclamped"] = "saturate"
    """What an activation above its window does while training; a network trained unclamped runs with early spikes refused."""
    noise: Noise = Noise()
    time_grid: TimeGrid | None = None
    weight_grid: WeightGrid | None = None
    activity_penalty: NotNegative = 0.0
    """Regulariser `activity`: the sum of activations of all hidden neurons; later spikes and fewer."""
    silent_help: NotNegative = 0.0
    """Regulariser `deficit`: what neurons that are silent on a whole batch lack to threshold."""
    validation: Annotated[int, Field(ge=0)] = 0
    """Samples held out of `data`."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Epochs without a better validation loss after which training ends; 0: all epochs."""
    keep: Literal["last", "best"] = "last"
    """best: the weights of the least validation loss."""
    twin: Comparison | None = None
    seed: Seed = 0
    """Of split, order and noise."""
