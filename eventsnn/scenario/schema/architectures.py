"""Schema of architectures: source networks with fresh weights; see eventsnn.ann.architectures."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, Strict

Dropout = Annotated[float, Field(ge=0, lt=1)]


class Mlp(Strict):
    """Perceptron with ReLU hidden layers."""

    kind: Literal["mlp"]
    hidden: list[Count] = Field(default_factory=list)
    """Width of each hidden layer."""
    dropout: Dropout = 0.0
    input_dropout: Dropout = 0.0


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
    dropout: Dropout = 0.0
    """After each dense hidden layer."""
    feature_dropout: Dropout = 0.0
    """On the flattened features, in front of the first dense layer."""
    conv_dropout: list[Dropout] = Field(default_factory=list)
    """Behind the convolutions that no pool follows, one rate for each."""


class Vgg16(Strict):
    """VGG16 for small images."""

    kind: Literal["vgg16"]
    hidden: list[Count] = Field(default_factory=lambda: [512])
    batch_norm: bool = True
    norm_place: Literal["before_relu", "after_relu"] = "before_relu"
    dropout: Dropout = 0.0
    feature_dropout: Dropout = 0.0
    conv_dropout: list[Dropout] = Field(default_factory=list)
    """Behind the eight convolutions that no pool follows."""


class LeNet5(Strict):
    """LeNet5 with kernels of 5 x 5, for images of 28 x 28 and more."""

    kind: Literal["lenet5"]
    batch_norm: bool = True
    norm_place: Literal["before_relu", "after_relu"] = "before_relu"
    pool: Literal["max", "average"] = "max"
    dropout: Dropout = 0.08


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
    weight_bits: Annotated[int, Field(ge=1, le=32)] | None = None
    """With `ternary: false`: bits of the weights of hidden layers (1 .. 16, or 32: floats); absent: floats."""


class HybridNet(Strict):
    """VGG or ResNet without bias and batch norm, with average pools and dropout: the source of a hybrid network."""

    kind: Literal["hybrid"]
    net: Literal["vgg5", "vgg9", "vgg11", "vgg13", "vgg16", "vgg19", "resnet6", "resnet8", "resnet12", "resnet20", "resnet34"]
    hidden: list[Count] = Field(default_factory=lambda: [4096, 4096])
    """Widths of the dense hidden layers of a VGG."""
    width: Annotated[float, Field(gt=0)] = 1.0
    """Factor on all numbers of channels."""
    kernel: Count = 3
    dropout: Dropout = 0.2
    """Behind each convolution that no pool follows, and inside of residual blocks."""
    hidden_dropout: Dropout = 0.5


Architecture = Annotated[Mlp | ConvNet | Vgg16 | LeNet5 | Quantised | HybridNet, Field(discriminator="kind")]
