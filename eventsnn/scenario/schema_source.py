"""Schema of what a network is made from: samples, trained weights, training."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema_base import Count, File, Name, Share, Strict


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
    activations pooled; layer_max, channel: the largest; diehl: the largest of activations and weights; model: from weights;
    none: 1, for a network that was trained with activations in [0, 1]."""
    percentile: Annotated[float, Field(gt=0, le=100)] = 99.9
    """For the two percentile rules."""
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


class SourceFile(Strict):
    """Trained weights: .h5, .npz or .safetensors; `shipped:` names a file inside the package."""

    file: File


class SourceNetwork(Strict):
    """A trained ReLU network that a conversion turns into spikes."""

    source: SourceFile


class Mlp(Strict):
    """Perceptron with ReLU hidden layers."""

    kind: Literal["mlp"]
    hidden: list[Count] = Field(default_factory=list)
    """Width of each hidden layer."""
    dropout: Share = 0.0
    input_dropout: Share = 0.0


class ConvNet(Strict):
    """Convolutions and pools, then dense layers."""

    kind: Literal["conv_net"]
    features: list[Count | Literal["P"]]
    """Channels of each convolution; P is a 2 x 2 pool."""
    hidden: list[Count] = Field(default_factory=list)
    kernel: Count = 3
    padding: Literal["same", "valid"] = "same"
    batch_norm: bool = False
    norm_place: Literal["before_relu", "after_relu"] = "before_relu"
    pool: Literal["max", "average"] = "max"
    dropout: Share = 0.0
    """After each dense hidden layer."""
    feature_dropout: Share = 0.0
    """On the flattened features, in front of the first dense layer."""


class Vgg16(Strict):
    """VGG16 for small images."""

    kind: Literal["vgg16"]
    hidden: list[Count] = Field(default_factory=lambda: [512])
    batch_norm: bool = True
    dropout: Share = 0.0


class Quantised(Strict):
    """Rounded activations, ternary hidden weights: the source of an all-integer spiking network."""

    kind: Literal["quantised"]
    layers: str
    """Parts joined by "-": 32C5 is a convolution, P2 a learned down-sampling, 1000 a convolution over the whole map."""
    padding: Literal["same", "valid"] = "valid"
    k: Annotated[int, Field(ge=0, le=16)] | None = 0
    """Fractional bits of hidden activations; null: plain ReLU, the full-precision baseline."""
    top: Annotated[float, Field(gt=0)] = 4.0
    """Greatest activation of the first layer."""
    ternary: bool = True


class TrainSettings(Strict):
    """Choices of a training run, as in eventsnn.ann.settings (which checks their ranges)."""

    epochs: int = 10
    batch_size: int = 128
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "one_cycle", "step"] = "cosine"
    step_epochs: int = 10
    step_factor: float = 0.1
    warm_up: float = 0.3
    label_smoothing: float = 0.0
    activity_penalty: float = 0.0
    activity_kind: Literal["l1", "hoyer"] = "hoyer"
    validation: int = 0
    shift: int = 0
    flip: bool = False
    keep: Literal["last", "best"] = "last"
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


class TrainSpec(Strict):
    """Train the ReLU source network with PyTorch (extra: pip install 'eventsnn[ann]')."""

    data: DataSpec
    architecture: Annotated[Mlp | ConvNet | Vgg16 | Quantised, Field(discriminator="kind")] | None = None
    """Fresh weights, sized by the data; absent: go on from network.source."""
    settings: TrainSettings = TrainSettings()
    twin: TtfsTwin | None = None
    """Train the network as a TTFS network, from network.source on."""
