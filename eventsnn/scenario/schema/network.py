"""Schema of an explicit network: populations, projections, relays and drives by name."""

from typing import Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, Name, PositiveTime, Shape, Strict
from eventsnn.scenario.schema.synapses import Delay, Synapses

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
    """Number type of state and weights; models that may spike at any time compute in float64, which needs no mention."""


class ProjectionSpec(Strict):
    """All synapses from one population, relay or input to a port of a population."""

    source: Name
    target: Name
    synapses: Synapses
    delay: Delay = 0
    """From a spike to its arrival: whole steps with `dt`, a time without."""
    port: Name = "input"


class RelaySpec(Strict):
    """A pool between a source and its targets."""

    source: Name
    kind: Literal["average_pool", "gated_max_pool", "step_max_pool", "earliest_pool"]
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

    kind: Literal["membrane", "count", "first_spike", "vote"]
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
