"""Networks under the constraints of hybrid conversion: no bias, no batch norm, ReLU, average pools, dropout; VGG and ResNet."""

import math

import numpy as np

from eventsnn.ann.base import image_shape
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.initialise import normal
from eventsnn.ann.layers import AveragePool2d, Conv2d, Dense, Dropout, Flatten, ReLU
from eventsnn.ann.residual import Residual
from eventsnn.errors import ModelError
from eventsnn.settings import as_numbers, check_choice, check_number

DENSE_SPREAD = 0.01
VGGS = {
    "vgg5": (64, "A", 128, 128, "A"),
    "vgg9": (64, "A", 128, 256, "A", 256, 512, "A", 512, "A", 512),
    "vgg11": (64, "A", 128, 256, "A", 512, 512, "A", 512, "A", 512, 512),
    "vgg13": (64, 64, "A", 128, 128, "A", 256, 256, "A", 512, 512, 512, "A", 512),
    "vgg16": (64, 64, "A", 128, 128, "A", 256, 256, 256, "A", 512, 512, 512, "A", 512, 512, 512),
    "vgg19": (64, 64, "A", 128, 128, "A", *[256] * 4, "A", *[512] * 4, "A", *[512] * 4),
}
# blocks per stage; ResNet6 is what the published code calls the network of eight weight layers that the paper calls ResNet8
RESNETS = {"resnet6": (1, 1), "resnet8": (1, 1), "resnet12": (1, 1, 1, 1), "resnet20": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
NETS = (*VGGS, *RESNETS)
STAGES = (64, 128, 256, 512)


def hybrid_net(
    input_shape, net, n_out, *, hidden=(4096, 4096), width=1.0, kernel=3, dropout=0.2, hidden_dropout=0.5, seed=0, name="",
):  # fmt: skip
    """Make a source network for hybrid conversion.

    Parameters
    ----------
    input_shape : tuple of int
        (y, x, channel), any size that its pools can halve.
    net : str
        One of ``NETS``.
    n_out : int
        Number of classes.
    hidden : sequence of int, optional
        Widths of the dense hidden layers of a VGG; a ResNet has none.
    width : float, optional
        Factor on all numbers of channels, > 0; 1 is the published network.
    kernel : int, optional
        Kernel extent of a VGG, odd.
    dropout : float, optional
        Rate behind the ReLU of each convolution that no pool follows, and inside of residual blocks.
    hidden_dropout : float, optional
        Rate behind each dense hidden layer.
    seed : int, optional
        Of the initial weights.
    name : str, optional
        Of the graph; default `net`.

    Returns
    -------
    LayerGraph
        Layers ``conv1``, ``relu1``, ``dropout1`` or ``pool1``, ..., ``block1``, ..., ``flatten``, ``dense1``, ..., ``output``.

    Raises
    ------
    ModelError
        If the name is unknown, or an option is out of range.

    Notes
    -----
    Weights: convolutions N(0, 2 / (k^2 c_out)), dense layers N(0, 0.01^2) (hybrid-stdb A2 - A5, 2.7, 3.1). Where the two
    published files of a network differ, this is one of them for both stages: VGG11 has 8 convolutions and 4 pools, ResNet34
    has 3, 4, 6, 3 blocks; classifiers take the size that arrives.
    """
    check_choice(net, NETS, "architecture: net")
    if isinstance(kernel, bool) or not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
        raise ModelError(f"architecture: kernel must be an odd whole number >= 1, got {kernel!r}")
    check_number(width, "(0, inf)", "architecture: width")
    widths = as_numbers(hidden, "architecture: hidden", "iu")
    if widths.ndim != 1:
        raise ModelError(f"architecture: hidden must be a list of whole numbers, got {hidden!r}")
    if net in RESNETS and kernel != 3:
        raise ModelError(f"architecture: kernel is that of a VGG, got {kernel} with '{net}', which has 3 x 3; remove it")
    shape = image_shape(input_shape, f"'{net}'")
    make = _Maker(seed, shape, kernel, dropout, hidden_dropout, width)
    if net in VGGS:
        make.features(VGGS[net])
    else:
        make.features((64, 64, 64, "A"))
        for stage, blocks in enumerate(RESNETS[net]):
            for block in range(blocks):
                make.block(STAGES[stage], 2 if stage > 0 and block == 0 else 1)
        widths = widths[:0]
    make.classifier(widths.tolist(), n_out)
    return LayerGraph(shape, make.layers, name or net)


class _Maker:
    """Layers so far, and the shape that the next one takes."""

    def __init__(self, seed, shape, kernel, dropout, hidden_dropout, width):
        self.width = width
        self.seed, self.shape, self.kernel, self.rates = seed, shape, kernel, (dropout, hidden_dropout)
        self.layers, self.counts = [], {}

    def count(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}{self.counts[kind]}"

    def add(self, layer):
        self.shape = tuple(int(n) for n in layer.out_shape(self.shape))
        self.layers.append(layer)

    def channels(self, published):
        return max(1, round(self.width * published))

    def conv(self, name, label, c_in, c_out, kernel, stride=1):
        weights = normal(self.seed, label, (kernel, kernel, c_in, c_out), np.float64) * math.sqrt(2 / (kernel**2 * c_out))
        return Conv2d(name, weights.astype(np.float32), None, stride, "same")

    def features(self, parts):
        """Add convolutions with their ReLU; dropout where no pool follows."""
        for part, following in zip(parts, (*parts[1:], None)):
            if part == "A":
                self.add(AveragePool2d(self.count("pool")))
                continue
            label = self.count("conv")
            self.add(self.conv(label, label, self.shape[2], self.channels(part), self.kernel))
            self.add(ReLU(self.count("relu")))
            if following != "A" and self.rates[0]:
                self.add(Dropout(self.count("dropout"), self.rates[0]))

    def block(self, channels, stride):
        """Add a basic block: two convolutions of 3 x 3 and a shortcut, which is 1 x 1 where shapes differ."""
        name, c_in, channels = self.count("block"), self.shape[2], self.channels(channels)
        drop = (Dropout("dropout", self.rates[0]),) if self.rates[0] else ()
        body = (self.conv("conv1", f"{name}.conv1", c_in, channels, 3, stride), ReLU("relu"), *drop,
                self.conv("conv2", f"{name}.conv2", channels, channels, 3))  # fmt: skip
        same = stride == 1 and c_in == channels
        shortcut = () if same else (self.conv("shortcut", f"{name}.shortcut", c_in, channels, 1, stride),)
        self.add(Residual(name, body, shortcut))
        self.add(ReLU(self.count("relu")))

    def classifier(self, widths, n_out):
        """Add the dense layers, the last one without ReLU."""
        self.add(Flatten("flatten"))
        for width in widths:
            self.add(self.dense(self.count("dense"), width))
            self.add(ReLU(self.count("relu")))
            if self.rates[1]:
                self.add(Dropout(self.count("dropout"), self.rates[1]))
        self.add(self.dense("output", n_out))

    def dense(self, name, width):
        if isinstance(width, bool) or width < 1:
            raise ModelError(f"architecture: the width of '{name}' must be a whole number >= 1, got {width!r}")
        return Dense(name, DENSE_SPREAD * normal(self.seed, name, (self.shape[0], int(width))), None)
