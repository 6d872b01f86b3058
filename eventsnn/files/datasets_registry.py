"""The data sets that eventsnn knows: classes, digests of the decoded content, where they are published."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Download:
    """One published file, its mirrors in the order of trying, and its checksum as `algorithm:hex`."""

    file: str
    urls: tuple
    checksum: str


@dataclass(frozen=True)
class Entry:
    """One data set.

    `parts` maps (form, split) to the SHA-256 of images and labels of each part, in C order of the decoded uint8
    arrays; `unordered` to the digest of all (label, image) pairs whatever their order; `counts` to samples per class.
    """

    name: str
    title: str
    kind: str
    folders: tuple
    classes: tuple
    licence: str
    credit: str
    splits: tuple = ("train", "test")
    parts: dict = field(default_factory=dict)
    unordered: dict = field(default_factory=dict)
    counts: dict = field(default_factory=dict)
    downloads: tuple = ()
    wanted: str = ""


def _mirrors(bases, files):
    return tuple(Download(name, tuple(base + name for base in bases), f"sha256:{sha}") for name, sha in files)


_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_IDX_WANTED = ", ".join(_IDX) + " (plain or .gz)"
_DIGITS = tuple("0123456789")
_KRIZHEVSKY = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
_CIFAR_LICENCE = "none stated; the authors ask for citation"

MNIST = Entry(
    "mnist",
    "MNIST handwritten digits, 28 x 28, 60,000 + 10,000",
    "idx",
    ("mnist", "MNIST/raw", "MNIST"),
    _DIGITS,
    "CC BY-SA 3.0",
    "Y. LeCun, C. Cortes, C. J. C. Burges, http://yann.lecun.com/exdb/mnist/",
    parts={
        ("idx", "train"): (
            (
                "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
                "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            ),
        ),
        ("idx", "test"): (
            (
                "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
                "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
            ),
        ),
    },
    downloads=_mirrors(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        (
            (_IDX[0] + ".gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (_IDX[1] + ".gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (_IDX[2] + ".gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (_IDX[3] + ".gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
    wanted=_IDX_WANTED,
)

FASHION = Entry(
    "fashion-mnist",
    "Fashion-MNIST articles, 28 x 28, 60,000 + 10,000",
    "idx",
    ("fashion-mnist", "FashionMNIST/raw", "FashionMNIST"),
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    "MIT",
    "H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747, https://github.com/zalandoresearch/fashion-mnist",
    parts={
        ("idx", "train"): (
            (
                "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
                "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            ),
        ),
        ("idx", "test"): (
            (
                "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
                "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
            ),
        ),
    },
    downloads=_mirrors(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (
            (_IDX[0] + ".gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (_IDX[1] + ".gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (_IDX[2] + ".gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (_IDX[3] + ".gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
    wanted=_IDX_WANTED,
)

_CIFAR10_TRAIN = (
    (
        "fc115a3de050d667b88cbd5b0b9612ebf996c54230fe7758f3a14bb5af9a1c27",
        "d829dbdf32167c9d7b3687cee66d92d80d46c441308b5aca0d11e8b69e27dac9",
    ),
    (
        "89e609b642f687bc796fa3bfa4211005582a0e8131d463d996d11ddb297d312e",
        "5d18f7371ed35ea9ade77952fe958b0660a45cd6c8b8a8970030f21612cfd7e3",
    ),
    (
        "93a365823e61729490a8801d80864ccd0ab1e8c98f19d71af65644d1c5f1486e",
        "32cf77b0ee2e790b1c4384d2d82e42dc1571b87e67f6da8f444b2725b2973f65",
    ),
    (
        "809eb95ecd057a36516318f5023ea619009dd70dd38193db9da43125a928e6fa",
        "d2815e3f8f656272864920fc0edde56b04ec9cf81bf397c0dd3069f4aea51aeb",
    ),
    (
        "d05b7d66d216d6df882cc760cdc0ff2f1f0437abf699ed16005c021ef0add9cb",
        "2ddf3ab27d5d04409c94ce7b56849c243129c10de1058ae0bfe14c77e934800c",
    ),
)
_CIFAR10_TEST = (
    (
        "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    ),
)

CIFAR10 = Entry(
    "cifar10",
    "CIFAR-10 colour photographs, 32 x 32, 50,000 + 10,000",
    "cifar",
    ("cifar10", "cifar-10"),
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    _CIFAR_LICENCE,
    f"{_KRIZHEVSKY}, https://www.cs.toronto.edu/~kriz/cifar.html",
    parts={
        ("sheets", "train"): _CIFAR10_TRAIN,
        ("sheets", "test"): _CIFAR10_TEST,
        ("binary", "train"): _CIFAR10_TRAIN,
        ("binary", "test"): _CIFAR10_TEST,
    },
    downloads=(
        Download(
            "cifar-10-binary.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            "md5:c32a1d4ab5d03f1284b67883e8d87530",
        ),
    ),
    wanted="cifar-10-binary.tar.gz (or its folder cifar-10-batches-bin), or train_1..5.webp, test.webp and labels.npz",
)

CIFAR100 = Entry(
    "cifar100",
    "CIFAR-100 colour photographs, 32 x 32, 50,000 + 10,000 (or the subset with 20,000 + 10,000)",
    "cifar",
    ("cifar100", "cifar-100", "cifar100-subset"),
    (),
    _CIFAR_LICENCE,
    f"{_KRIZHEVSKY}, https://www.cs.toronto.edu/~kriz/cifar.html",
    parts={
        ("sheets", "train"): (
            (
                "0ce9a5b7b4f332e07c1ff3f29be541ddc0f8ce6b18384751bd2e893a12b1f13c",
                "3597fe9f396690b75b7e5573664c14ec422d24bb2ecb2f701a63df35980069ee",
            ),
            (
                "c7b69a8811f7373b5bee59dd8a41619d0f3a605b496f1f85ece7dbba7f0c44c9",
                "f9789bbd025b2ca9973f56261788240ccff2ea055cdc364164253e77585910b8",
            ),
        ),
        ("sheets", "test"): (
            (
                "1fc9fa345e3cf8f1f989e5ba908edded95dd1e30dd9c403061bb204b10441407",
                "19f4d2b36c93b0f1eaeb334b9e073e2b7de61b429607b1de3e1d0a636bb2fa87",
            ),
        ),
    },
    unordered={("binary", "test"): "d3cd5d87a1b9317a0982c8ef5535fe3b86da8da90b13ce5e9b23ea06400dd5eb"},
    counts={("binary", "train"): 500},
    downloads=(
        Download(
            "cifar-100-binary.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
            "md5:03b5dce01913d631647c71ecec9e9cb8",
        ),
    ),
    wanted="cifar-100-binary.tar.gz (or its folder cifar-100-binary), or train_1..2.webp, test.webp and labels.npz",
)

_MENDELEY = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"

NMNIST = Entry(
    "nmnist",
    "N-MNIST: MNIST digits recorded by an event camera, 34 x 34 x 2, about 300 ms",
    "nmnist",
    ("nmnist", "NMNIST", "n-mnist", "nmnist-subset"),
    _DIGITS,
    "CC BY-SA 4.0",
    "G. Orchard, A. Jayawant, G. Cohen, N. Thakor, Frontiers in Neuroscience 9:437, 2015, "
    "https://www.garrickorchard.com/datasets/n-mnist",
    downloads=(
        Download(
            "Train.zip",
            (_MENDELEY + "39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",),
            "md5:20959b8e626244a1b502305a9e6e2031",
        ),
        Download(
            "Test.zip",
            (_MENDELEY + "05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",),
            "md5:69ca8762b2fe404d9b9bad1103e97832",
        ),
    ),
    wanted="Train.zip and Test.zip (also train-1000.zip, test-100.zip, or folders Train and Test)",
)

_FIGSHARE = "https://figshare.com/ndownloader/files/"

GESTURE = Entry(
    "dvs-gesture",
    "DVS128 Gesture: 11 hand gestures recorded by an event camera, 128 x 128 x 2, about 6 s",
    "gesture",
    ("dvs-gesture", "dvsgesture", "DVSGesture"),
    ("hand clapping", "right hand wave", "left hand wave", "right arm clockwise", "right arm counter-clockwise",
     "left arm clockwise", "left arm counter-clockwise", "arm roll", "air drums", "air guitar", "other gestures"),
    "CC BY 4.0",
    "A. Amir et al., A Low Power, Fully Event-Based Gesture Recognition System, CVPR 2017; preprocessed by tonic",
    downloads=(
        Download("ibmGestureTrain.tar.gz", (_FIGSHARE + "38022171",), "md5:3a8f0d4120a166bac7591f77409cb105"),
        Download("ibmGestureTest.tar.gz", (_FIGSHARE + "38020584",), "md5:56070e45dadaa85fff82e0fbfbc06de5"),
    ),
    wanted="ibmGestureTrain.tar.gz and ibmGestureTest.tar.gz (or their folders), or the folder DvsGesture of the authors",
)

SHIPPED = Entry(
    "digits",
    "300 real MNIST test digits of each class, inside the package",
    "shipped",
    (),
    _DIGITS,
    "CC BY-SA 3.0",
    "Y. LeCun, C. Cortes, C. J. C. Burges, http://yann.lecun.com/exdb/mnist/",
    splits=("test",),
    wanted="digits.npz inside the package",
)

YINYANG = Entry(
    "yinyang",
    "Yin-Yang: points (x, y, 1 - x, 1 - y) in the sign of yin and yang, 5,000 + 1,000, made by rule",
    "generated",
    (),
    ("yang", "yin", "dot"),
    "none needed: numbers of a generator",
    "L. Kriener, J. Goeltz, M. A. Petrovici, The Yin-Yang dataset, NICE 2022, doi 10.1145/3517343.3517380",
    wanted="nothing: it is made when it is asked for",
)

REGISTRY = {entry.name: entry for entry in (SHIPPED, YINYANG, MNIST, FASHION, CIFAR10, CIFAR100, NMNIST, GESTURE)}
