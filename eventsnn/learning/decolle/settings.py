"""What a DECOLLE network and its training are told: plain data, importable without PyTorch."""

from dataclasses import asdict, dataclass, field, replace

from eventsnn.errors import ModelError
from eventsnn.settings import check_choices, check_known, check_number, check_numbers, settings_from

WIDTHS = {
    "wb": "weights", "qb": "synaptic trace Q", "pb": "membrane trace P", "rfb": "refractory state R",
    "sb": "readout and feedback weights", "gb": "gradients, and the grid the weights move on", "eb": "errors",
    "ub": "membrane U", "ab": "readout activations", "sig": "sigmoid", "rb": "random numbers of the rounding",
}  # fmt: skip
PUBLISHED = {"wb": 8, "qb": 10, "pb": 12, "rfb": 2, "sb": 6, "gb": 10, "eb": 6, "ub": 6, "ab": 6, "sig": 6, "rb": 16}
OFFSETS = {"pq": ("pb", "qb"), "s": ("sb",), "eg": ("eb", "gb")}
SIGNED = ("wb", "sb", "gb", "eb", "ub", "ab", "rb")  # widths with a sign bit: at least 2
MOST = 24  # products of levels stay exact in float64
CHOICES = {
    "polarity": ("separate", "signed", "signed_pair", "counts"),
    "optimiser": ("sgd", "adamax"),
    "precision": ("float32", "float64"),
}
RANGES = {
    "(0, inf)": ("dt_ms", "weight_unit", "init_beta", "readout_amplitude", "train_ms", "test_ms", "rate", "rate_factor"),
    "[0, inf)": ("threshold", "l1", "l2", "jitter", "burn_in", "epochs", "shift", "average"),
    "[1, inf)": ("downsample", "batch_size", "rate_epochs"),
    "[0, 1)": ("dropout", "validation"),
    "(0, 1]": ("pq_cap",),
}
QUIRKS = ("zero_weights", "dropout_in_test", "jitter_in_test", "wide_membrane", "swapped_regularisers")


@dataclass(frozen=True)
class ConvLayer:
    """One spiking convolution with its readout.

    Parameters
    ----------
    channels : int
        Output channels.
    kernel, padding, pool : int
        Side of the kernel, silent pixels on each side, side of the max pool (1: none).
    """

    channels: int
    kernel: int = 7
    padding: int = 2
    pool: int = 1


PUBLISHED_LAYERS = (ConvLayer(64, pool=2), ConvLayer(128), ConvLayer(128, pool=2))


@dataclass(frozen=True)
class DecolleSettings:
    """All choices of a DECOLLE network and its training; defaults are those of the published quantised runs.

    Parameters
    ----------
    layers : tuple of ConvLayer
        Default 64-128-128 channels, 7 x 7, padding 2, pools 2-1-2.
    bits : dict
        Width of each quantity by its published name (`WIDTHS`), None for floating point; what is left out is published.
    offsets : dict
        Bits added to whole groups of widths: pq (pb and qb), s (sb), eg (eb and gb).
    dt_ms : float
        Length of a step, ms.
    tau_mem, tau_syn : (float, float)
        Range from which every input element draws its time constants, ms.
    tau_ref : float
        Time constant of the refractory state, ms, above `dt_ms`.
    pq_cap : float
        Saturation of the traces as a share of their theoretical maximum, in (0, 1].
    weight_unit : float
        What a weight of 1 adds to U per unit of P.
    init_beta : float
        Least initial weight in steps of the weight grid.
    threshold : float
        U at which a neuron spikes; above 0: double threshold, spikes of both signs.
    readout_amplitude, dropout : float
        Size of the readout weights (times 1 / sqrt(n)); share of class scores dropped at each step of training.
    l1, l2 : float
        Regularisers: against much and against too little activity.
    burn_in : float
        ms at the start of each sample in which nothing is learnt and no vote is counted.
    train_ms, test_ms : float
        Length of the random crop of training, and of the beginning of a recording that is tested, ms.
    crop : bool
        False: training takes the first `train_ms` too.
    jitter : float
        Event times move by trunc(jitter z) ms, z standard normal; 0: not at all.
    shift : int
        Augmentation: each training sample moves by up to so many pixels in y and x, new in every epoch.
    polarity : {"separate", "signed", "signed_pair", "counts"}
        Channels of a camera: 0/1 for each polarity; sign of ON minus OFF in one channel; that in two; raw counts.
    downsample : int
        Pixels merged along y and x.
    epochs, batch_size : int
        Passes over the training part; samples that learn together.
    rate : float
        Quantised gradients: their size in steps of the grid (`global_lr`); floating: learning rate of the optimiser.
    optimiser : {"sgd", "adamax"}
        Of floating gradients (gb None), in physical and in relative units of weight; quantised ones move the weights as they are.
    rate_epochs, rate_factor : int, float
        The rate is multiplied by the factor every so many epochs.
    validation : float
        Share held out at random; the weights of its best epoch are kept. 0: all are trained on, the last weights are kept.
    average : int
        The weights kept are the mean over all updates of so many last epochs; 0: those after the last. Steps of one sample
        resemble each other, so single weights lean towards the last batch.
    quirks : tuple of str
        Of the published code: ``zero_weights`` (quantised weights start at 0), ``dropout_in_test``, ``jitter_in_test``,
        ``wide_membrane`` (U saturates at 64 instead of 8), ``swapped_regularisers`` (U and its sigmoid change places).
    precision : {"float32", "float64"}
        Of the learner; float64 with widths is exact integer arithmetic.
    seed, threads : int
        Of everything drawn; PyTorch threads, 0 its choice.

    Raises
    ------
    ModelError
        If a value is out of range.
    """

    layers: tuple = PUBLISHED_LAYERS
    bits: dict = field(default_factory=dict)
    offsets: dict = field(default_factory=dict)
    dt_ms: float = 1.0
    tau_mem: tuple = (5.0, 35.0)
    tau_syn: tuple = (5.0, 10.0)
    tau_ref: float = 1 / 0.35
    pq_cap: float = 1.0
    weight_unit: float = 4e-5
    init_beta: float = 1.5
    threshold: float = 0.0
    readout_amplitude: float = 0.5
    dropout: float = 0.5
    l1: float = 0.001
    l2: float = 0.001
    burn_in: float = 50.0
    train_ms: float = 500.0
    test_ms: float = 1800.0
    crop: bool = True
    jitter: float = 0.5
    shift: int = 0
    polarity: str = "separate"
    downsample: int = 4
    epochs: int = 320
    batch_size: int = 72
    rate: float = 1.0
    optimiser: str = "sgd"
    rate_epochs: int = 80
    rate_factor: float = 0.5
    validation: float = 0.2
    average: int = 0
    quirks: tuple = ()
    precision: str = "float32"
    seed: int = 0
    threads: int = 0

    def __post_init__(self):
        """Complete the widths and check every value."""
        for name in ("tau_mem", "tau_syn", "quirks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        layers = tuple(ConvLayer(**layer) if isinstance(layer, dict) else layer for layer in self.layers)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "bits", self._widths())
        object.__setattr__(self, "offsets", {})  # they are in the widths now
        check_numbers(self, RANGES, "decolle")
        check_choices(self, CHOICES, "decolle")
        check_known(self.quirks, QUIRKS, "decolle", "quirk")
        self._check_times()
        self._check_layers()

    def _widths(self):
        """Return every width, offsets added."""
        given = dict.fromkeys(WIDTHS) if self.bits == "float" else self.bits
        check_known(given, WIDTHS, "decolle", "width")
        check_known(self.offsets, OFFSETS, "decolle", "offset")
        given = PUBLISHED | given
        for name, more in self.offsets.items():
            given |= {w: given[w] + more for w in OFFSETS[name] if given[w] is not None}
        for name, bits in given.items():
            check_number(bits, f"[{2 if name in SIGNED else 1}, {MOST}]", f"decolle: bits.{name} ({WIDTHS[name]})", int | None)
        return given

    def _check_times(self):
        for name in ("tau_mem", "tau_syn"):
            pair = getattr(self, name)
            if len(pair) != 2 or not self.dt_ms < pair[0] <= pair[1]:
                _refuse(name, f"[lower, upper] in ms, both above dt_ms, a step of {self.dt_ms} ms", pair)
        if not self.tau_ref > self.dt_ms:
            _refuse("tau_ref", f"ms above dt_ms, a step of {self.dt_ms} ms", self.tau_ref)
        if self.average and self.validation:
            _refuse("average", "0 where validation is not: then the best epoch is kept", self.average)
        if self.burn_in >= min(self.train_ms, self.test_ms):
            _refuse("burn_in", "shorter than train_ms and test_ms", self.burn_in)

    def _check_layers(self):
        if not self.layers:
            _refuse("layers", "at least one layer", "none")
        for k, layer in enumerate(self.layers):
            if min(layer.channels, layer.kernel, layer.pool) < 1 or not 0 <= layer.padding < layer.kernel:
                _refuse(f"layers[{k}]", "channels, kernel, pool >= 1 and padding below the kernel", layer)
        if self.bits["gb"] is not None and self.bits["rb"] is None:
            _refuse("bits.rb", "a width, because gradients are rounded at random (bits.gb)", "none")
        if self.bits["gb"] is not None and self.optimiser != "sgd":
            _refuse("optimiser", "sgd where gradients are quantised (bits.gb): they move the weights as they are", self.optimiser)

    def steps(self, milliseconds):
        """Return a time in whole steps (at least one)."""
        return max(1, round(milliseconds / self.dt_ms))

    def rate_of(self, epoch):
        """Return the rate of an epoch, counted from 0."""
        return self.rate * self.rate_factor ** (epoch // self.rate_epochs)

    def to_dict(self):
        """Return the settings as plain data, from which `DecolleSettings.of` makes them again."""
        return asdict(self)

    @classmethod
    def of(cls, values):
        """Make settings from a dict (or pass settings through); unknown keys are refused with a suggestion."""
        return settings_from(cls, values, "decolle")

    def with_bits(self, bits):
        """Return the same settings with other widths ("float" or a dict)."""
        return replace(self, bits=bits)


def _refuse(name, wanted, got):
    raise ModelError(f"decolle: {name} must be {wanted}, got {got}")
