"""Schema of synapses: which neurons are connected, with what weights and delays."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from eventsnn.scenario.schema.base import Count, File, Share, Strict, tag_by
from eventsnn.units import milliseconds


def _steps_or_time(value):
    """A whole number stays one (it may mean steps); everything else is a time in ms."""
    return value if isinstance(value, int) and not isinstance(value, bool) else milliseconds(value)


OneDelay = Annotated[int | float, BeforeValidator(_steps_or_time, json_schema_input_type=int | float | str), Field(ge=0)]


class UniformDelays(Strict):
    """A delay of its own for every synapse, from the counter-based generator."""

    uniform: Annotated[list[OneDelay], Field(min_length=2, max_length=2)]
    """Lowest and highest; times lie in [low, high), whole steps include both."""


Delay = Annotated[
    Annotated[OneDelay, Tag("one delay")] | Annotated[UniformDelays, Tag("a delay for each synapse")],
    Discriminator(tag_by(lambda v: "a delay for each synapse" if v else "one delay")),
]


class NormalWeights(Strict):
    """Gaussian weights from the counter-based generator."""

    init: Literal["normal"]
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)]
    step: Annotated[float, Field(gt=0)] | None = None
    """Round to multiples of this; a power of two makes every sum exact."""


class UniformWeights(Strict):
    """Uniform weights in [low, high) from the counter-based generator."""

    init: Literal["uniform"]
    low: float
    high: float
    step: Annotated[float, Field(gt=0)] | None = None
    """Round to multiples of this; a power of two makes every sum exact."""


class ConstantWeights(Strict):
    """The same weight everywhere."""

    init: Literal["constant"]
    value: float


class FileWeights(Strict):
    """An array of an .npz file."""

    init: Literal["file"]
    file: File
    array: str = "weights"
    """Name of the array inside the file."""


Weights = Annotated[NormalWeights | UniformWeights | ConstantWeights | FileWeights, Field(discriminator="init")]


class DenseSynapses(Strict):
    """Every source to every target."""

    kind: Literal["dense"]
    weights: Weights


class Conv2dSynapses(Strict):
    """A 2-d convolution with shared weights."""

    kind: Literal["conv2d"]
    weights: Weights
    kernel: Annotated[list[Count], Field(min_length=2, max_length=2)]
    """Height and width of the kernel."""
    stride: Count = 1
    padding: Literal["same", "valid"] = "same"


class RingSynapses(Strict):
    """Neuron i to neurons i + offset, around the ring."""

    kind: Literal["ring"]
    weights: Weights
    offsets: Annotated[list[int], Field(min_length=1)]


class SparseSynapses(Strict):
    """A SciPy sparse matrix (source, target) saved with scipy.sparse.save_npz."""

    kind: Literal["sparse"]
    file: File


class FixedProbability(Strict):
    """Every pair with one probability, independently."""

    kind: Literal["fixed_probability"]
    weights: Weights
    p: Share
    self_connections: bool = True
    """false: no neuron is connected to itself (source and target are one population)."""


class FixedInDegree(Strict):
    """The same number of sources for every target, all different."""

    kind: Literal["fixed_in_degree"]
    weights: Weights
    degree: Annotated[int, Field(ge=0)]
    self_connections: bool = True
    """false: no neuron is connected to itself (source and target are one population)."""


class OneToOne(Strict):
    """Neuron i to neuron i."""

    kind: Literal["one_to_one"]
    weights: Weights


class Distance(Strict):
    """Pairs with a probability that falls with their distance.

    Neurons of a population [n] stand on a line of length 1, those of [y, x, channel] on a square of side 1, evenly.
    """

    kind: Literal["distance"]
    weights: Weights
    profile: Literal["gaussian", "exponential"]
    """exp(-d^2 / (2 width^2)), or exp(-d / width)."""
    width: Annotated[float, Field(gt=0)]
    peak: Share = 1.0
    """Probability at distance 0."""
    speed: Annotated[float, Field(gt=0)] | None = None
    """Lengths per ms: distance / speed is added to the delay (without `dt` only); absent: nothing is."""


Synapses = Annotated[
    DenseSynapses | Conv2dSynapses | RingSynapses | SparseSynapses | FixedProbability | FixedInDegree | OneToOne | Distance,
    Field(discriminator="kind"),
]
