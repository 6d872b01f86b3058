"""What a DECOLLE network and its training are told: plain data, importable without PyTorch."""

from dataclasses import asdict, dataclass, field, fields, replace

from eventsnn.errors import ModelError, did_you_mean

WIDTHS = {
    "wb": "weights", "qb": "synaptic trace Q", "pb": "membrane trace P", "rfb": "refractory state R",
    "sb": "readout and feedback weights", "gb": "gradients, and the grid the weights move on", "eb": "errors",
    "ub": "membrane U", "ab": "readout activations", "sig": "sigmoid", "rb": "random numbers of the rounding",
}  # fmt: skip
PUBLISHED = {"wb": 8, "qb": 10, "pb": 12, "rfb": 2, "sb": 6, "gb": 10, "eb": 6, "ub": 6, "ab": 6, "sig": 6, "rb": 16}
OFFSETS = {"pq": ("pb", "qb"), "s": ("sb",), "eg": ("eb", "gb")}
SIGNED = ("wb", "sb", "gb", "eb", "ub", "ab", "rb")  # widths with a sign bit: at least 2
MOST = 24  # products of levels stay exact in float64
POLARITIES = ("separate", "signed", "signed_pair", "counts")
OPTIMISERS = ("sgd", "adamax")
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
        given = dict.fromkeys(WIDTHS) if self.bits == "float" else {**PUBLISHED, **_known(self.bits, WIDTHS, "width")}
        for name, more in _known(self.offsets, OFFSETS, "offset").items():
            given |= {w: given[w] + more for w in OFFSETS[name] if given[w] is not None}
        object.__setattr__(self, "bits", given)
        object.__setattr__(self, "offsets", {})  # they are in the widths now
        layers = tuple(ConvLayer(**layer) if isinstance(layer, dict) else layer for layer in self.layers)
        object.__setattr__(self, "layers", layers)
        for name in ("tau_mem", "tau_syn", "quirks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, bits in given.items():
            least = 2 if name in SIGNED else 1
            if bits is not None and not (isinstance(bits, int) and least <= bits <= MOST):
                _refuse(
                    f"bits.{name} ({WIDTHS[name]})", f"a whole number from {least} to {MOST}, or none for floating point", bits
                )
        self._check_ranges()
        self._check_names()

    def _check_ranges(self):
        above_0 = ("dt_ms", "weight_unit", "init_beta", "readout_amplitude", "train_ms", "test_ms", "rate", "rate_factor")
        for name in above_0:
            if not getattr(self, name) > 0:
                _refuse(name, "a number above 0", getattr(self, name))
        for name in ("threshold", "l1", "l2", "jitter", "burn_in"):
            if not getattr(self, name) >= 0:
                _refuse(name, "a number >= 0", getattr(self, name))
        counts = (("downsample", 1), ("epochs", 0), ("batch_size", 1), ("rate_epochs", 1), ("shift", 0), ("average", 0))
        for name, least in counts:
            if not (isinstance(getattr(self, name), int) and getattr(self, name) >= least):
                _refuse(name, f"a whole number >= {least}", getattr(self, name))
        for name in ("dropout", "validation"):
            if not 0 <= getattr(self, name) < 1:
                _refuse(name, "a number in [0, 1)", getattr(self, name))
        if not 0 < self.pq_cap <= 1:
            _refuse("pq_cap", "a number in (0, 1]", self.pq_cap)
        for name in ("tau_mem", "tau_syn"):
            pair = getattr(self, name)
            if len(pair) != 2 or not self.dt_ms < pair[0] <= pair[1]:
                _refuse(name, f"[lower, upper] in ms, both above a step of {self.dt_ms} ms", pair)
        if not self.tau_ref > self.dt_ms:
            _refuse("tau_ref", f"ms above a step of {self.dt_ms} ms", self.tau_ref)
        if self.average and self.validation:
            _refuse("average", "0 where validation is not: then the best epoch is kept", self.average)
        if self.burn_in >= min(self.train_ms, self.test_ms):
            _refuse("burn_in", "shorter than train_ms and test_ms", self.burn_in)

    def _check_names(self):
        for name, allowed in (("polarity", POLARITIES), ("optimiser", OPTIMISERS), ("precision", ("float32", "float64"))):
            if getattr(self, name) not in allowed:
                value = getattr(self, name)
                _refuse(name, f"one of {', '.join(allowed)}", repr(value) + did_you_mean(value, allowed))
        _known(dict.fromkeys(self.quirks), QUIRKS, "quirk")
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
        return values if isinstance(values, cls) else cls(**_known(values, [f.name for f in fields(cls)], "setting"))

    def with_bits(self, bits):
        """Return the same settings with other widths ("float" or a dict)."""
        return replace(self, bits=bits)


def _known(values, names, what):
    for name in values:
        if name not in names:
            raise ModelError(f"decolle: unknown {what} '{name}', allowed: {', '.join(names)}{did_you_mean(name, names)}")
    return values


def _refuse(name, wanted, got):
    raise ModelError(f"decolle: {name} must be {wanted}, got {got}")
