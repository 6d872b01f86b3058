"""Schema of what a network is made from: samples, trained weights, training."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema_base import Count, File, Share, Strict


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
    pool: Literal["max", "average"] = "max"
    dropout: Share = 0.0


class Vgg16(Strict):
    """VGG16 for small images."""

    kind: Literal["vgg16"]
    hidden: list[Count] = Field(default_factory=lambda: [512])
    batch_norm: bool = True
    dropout: Share = 0.0


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


class TrainSpec(Strict):
    """Train the ReLU source network with PyTorch (extra: pip install 'eventsnn[ann]')."""

    data: DataSpec
    architecture: Annotated[Mlp | ConvNet | Vgg16, Field(discriminator="kind")] | None = None
    """Fresh weights, sized by the data; absent: go on from network.source."""
    settings: TrainSettings = TrainSettings()
