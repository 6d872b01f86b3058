"""Schema of what a network is made from: samples, trained weights, training."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.architectures import Architecture
from eventsnn.scenario.schema.base import Count, File, Name, Strict


class DataSpec(Strict):
    """Which samples an experiment uses."""

    name: str | None = None
    """A data set by name; `eventsnn data list` shows them."""
    file: File | None = None
    """Or your own .npz file with arrays x and y."""
    split: Literal["train", "test"] = "test"
    start: Annotated[int, Field(ge=0)] = 0
    """First sample."""
    limit: Count | None = None
    """Number of samples; absent: all."""
    crop: Count | None = None
    """Side of a square that is cut from the middle of each image."""
    standardise: bool = False
    """Each image less its mean, divided by its standard deviation, after the crop."""
    range: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(default_factory=lambda: [0.0, 1.0])
    """What the values 0 and 1 of an image become; [-1, 1] is 2 x - 1, the input of networks with signed Poisson spikes."""


class Calibration(Strict):
    """Samples whose activations set windows or thresholds."""

    data: DataSpec


class StatisticsFile(Strict):
    """Activation statistics that a `statistics:` section has written."""

    file: File


class Normalisation(Strict):
    """How the activations of a ReLU network are scaled to [0, 1]; a conversion inherits these keys."""

    rule: Literal["neuron_percentile", "percentile", "layer_max", "channel", "diehl", "model", "none"] = "neuron_percentile"
    """Scale of a layer: neuron_percentile: the largest of its neurons' percentiles over samples; percentile: of all its
    activations pooled; channel: of each channel, the largest of its neurons' percentiles; layer_max: the
    largest; diehl: the largest of activations and weights; model: from weights; none: 1, for a network that was trained with
    activations in [0, 1]."""
    percentile: Annotated[float, Field(gt=0, le=100)] = 99.9
    """For the rules neuron_percentile, percentile and channel, and for neuron_thresholds."""
    output_scale: bool = True
    """Divide the outputs by a number, too; changes no class."""
    statistics: StatisticsFile | None = None
    """Take the scales from here instead of scanning the calibration samples."""


class StatisticsSpec(Strict):
    """Scan the activations of the ReLU network and keep their percentiles: statistics.csv in the run folder."""

    data: DataSpec
    percentiles: Annotated[list[Annotated[float, Field(gt=0, le=100)]], Field(min_length=1)] = Field(
        default_factory=lambda: [99.9, 100.0]
    )
    """Of each neuron over samples; 100 is the maximum."""
    by: Literal["neuron", "channel"] = "neuron"
    prefix: Name = "act_n_train"
    """Beginning of the names of the rows: act_n_train_conv1_max_999."""


class WarmStart(Strict):
    """Initial weights from another network: arrays whose name and shape agree."""

    file: File
    partial: bool = False
    """Let layers keep fresh weights that the file has nothing for; without it that is an error."""


class TrainSettings(Strict):
    """Choices of a training run, as in eventsnn.ann.settings (which checks their ranges)."""

    epochs: int = 10
    batch_size: int = 128
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    nesterov: bool = True
    amsgrad: bool = False
    decoupled: bool = True
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "milestones", "one_cycle", "step"] = "cosine"
    step_epochs: int = 10
    step_factor: float = 0.1
    lr_interval: list[float] = Field(default_factory=lambda: [0.6, 0.8, 0.9])
    """milestones: the rate is divided by lr_reduce at these parts of all epochs."""
    lr_reduce: float = 10.0
    rate_decay: float = 0.0
    """The rate is divided by 1 + rate_decay x step."""
    warm_up: float = 0.3
    label_smoothing: float = 0.0
    activity_penalty: float = 0.0
    activity_kind: Literal["l1", "l1_sum", "hoyer"] = "hoyer"
    validation: int = 0
    shift: int = 0
    flip: bool = False
    crop: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    rotate: float = 0.0
    cutout: int = 0
    standardise: bool = False
    keep: Literal["last", "best"] = "last"
    abort_after: int = 0
    abort_below: float = 0.15
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = True
    threads: int = 0


class TtfsTwin(Normalisation):
    """Train through the differentiable twin of a TTFS network: weights and kernels for `convert: {to: t2fsnn, rule: none}`."""

    window: Count = 80
    """Steps of a fire window."""
    tau: Annotated[float, Field(gt=0)] = 20.0
    """Initial time constant of all kernels, steps."""
    td: float = 0.0
    """Initial delay, steps."""
    input: Literal["ttfs", "real"] = "ttfs"
    kernel_rate: Annotated[float, Field(ge=0)] = 100.0
    """Learning rate of tau and td, in learning rates of the weights."""
    rounded_epochs: Annotated[int, Field(ge=0)] | None = None
    """Spike times are whole steps in the first so many epochs, continuous in the others; absent: in all."""
    output_scale: bool = False
    calibrate_on: Count = 10000
    """Number of training samples whose activations set the scales."""


class KerasLayout(Strict):
    """A weight file of a Keras 2 Sequential model, which does not hold the architecture."""

    architecture: Architecture
    input_shape: Annotated[list[Count], Field(min_length=1, max_length=3)]
    """[y, x, channel] or [n]."""
    classes: Count = 10
    epsilon: Annotated[float, Field(ge=0)] = 1e-3
    """What batch norm adds to variances; Keras' own default."""


class SourceFile(Strict):
    """Trained weights: .h5, .npz or .safetensors; `shipped:` names a file inside the package."""

    file: File
    keras: KerasLayout | None = None
    """The file is one of Keras, for example cifar10vgg.h5."""


class SourceNetwork(Strict):
    """A trained ReLU network that a conversion turns into spikes."""

    source: SourceFile


class Qcfs(Strict):
    """Make every ReLU a clip-floor-shift activation, every max pool an average pool, before training."""

    levels: Annotated[int, Field(ge=1, le=65535)] = 8
    """Values of an activation above 0."""
    percentile: Annotated[float, Field(gt=0, le=100)] = 99.7
    """Initial range of an activation: this percentile of its positive inputs."""
    calibrate_on: Count = 200
    """Training samples that are looked at for that."""


class TrainSpec(Strict):
    """Train the ReLU source network with PyTorch (extra: pip install 'eventsnn[ann]')."""

    data: DataSpec
    warm_start: WarmStart | None = None
    architecture: Architecture | None = None
    """Fresh weights, sized by the data; absent: go on from network.source."""
    settings: TrainSettings = TrainSettings()
    qcfs: Qcfs | None = None
    """Fine-tune for `convert: {to: hybrid, balance: {rule: qcfs}}`; absent: activations stay what they are."""
    twin: TtfsTwin | None = None
    """Train the network as a TTFS network, from network.source on."""
