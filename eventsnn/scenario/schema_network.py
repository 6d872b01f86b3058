"""Schema of an explicit network: populations, projections, relays and drives by name."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema_base import Count, File, Name, PositiveTime, Shape, Strict

Dtype = Literal["float32", "float64", "int32", "int64"]


class InputSpec(Strict):
    """Where spikes or drives enter."""

    shape: Shape
    """Size of each axis: [n] or [y, x, channel]."""


class PopulationSpec(Strict):
    """Neurons of one model."""

    shape: Shape
    """Size of each axis: [n] or [y, x, channel]."""
    model: str = "if"
    """Neuron model; `eventsnn info models` lists them."""
    parameters: dict[str, float | bool | str | list[float]] = Field(default_factory=dict)
    """Parameters of the model by name; a list has one value for each neuron."""
    dtype: Dtype = "float32"
    """Number type of state and weights."""


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


Synapses = Annotated[DenseSynapses | Conv2dSynapses | RingSynapses | SparseSynapses, Field(discriminator="kind")]


class ProjectionSpec(Strict):
    """All synapses from one population, relay or input to a port of a population."""

    source: Name
    target: Name
    synapses: Synapses
    delay: Annotated[int, Field(ge=0)] = 0
    """Whole steps between a spike and its arrival."""
    port: Name = "input"


class RelaySpec(Strict):
    """A pool between a source and its targets."""

    source: Name
    kind: Literal["average_pool", "gated_max_pool", "earliest_pool"]
    size: Count = 2
    """Height and width of a cell."""


class DriveSpec(Strict):
    """A bias with a schedule."""

    target: Name
    values: float | list[float]
    """One value for all neurons, or one for each."""
    schedule: Literal["every", "first"] | Count = "every"
    """Every step, the first step, or every so many steps."""


class ReadoutSpec(Strict):
    """How a decision is read from a population."""

    kind: Literal["membrane", "count", "first_spike"]
    population: Name | None = None
    """Which population; absent: the last one of the converted network."""


class ExplicitNetwork(Strict):
    """A spiking network written out."""

    dt: PositiveTime | None = None
    """Length of a grid step; absent: the continuous clock."""
    inputs: dict[Name, InputSpec]
    populations: dict[Name, PopulationSpec]
    projections: dict[Name, ProjectionSpec] = Field(default_factory=dict)
    relays: dict[Name, RelaySpec] = Field(default_factory=dict)
    drives: dict[Name, DriveSpec] = Field(default_factory=dict)
