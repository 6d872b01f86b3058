"""The parts of the schema about runs over time: early exits, and what is measured beyond accuracy and spike counts."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, Name, Share, Strict
from eventsnn.scenario.schema.hybrid import Energy
from eventsnn.scenario.schema.integer import IntegerLevels, IntegerLogs
from eventsnn.scenario.schema.source import DataSpec


class ProvenExit(Strict):
    """A sample ends when the leading class can no longer be overtaken."""

    rule: Literal["proven"]
    compare: bool = False
    """Run every sample to its end as well, to state what the exits change and save; the curve over time is then of whole runs."""


class ExitCalibration(Strict):
    """Samples on which the margin is found; others than those of `data`."""

    data: DataSpec


class MarginExit(Strict):
    """A sample ends when its readout leads by a margin, found on calibration samples."""

    rule: Literal["margin"]
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.001
    """Share of the calibration samples that may leave with another class than at the end of the run."""
    calibration: ExitCalibration
    compare: bool = True
    """As for `proven`; without it the error on held-out samples is not known."""


Exit = Annotated[ProvenExit | MarginExit, Field(discriminator="rule")]
Word = Annotated[int, Field(ge=1, le=16)]


class MeasureSpec(Strict):
    """What is measured beyond accuracy and counts."""

    target: Share | None = None
    """Accuracy whose latency is stated (with run.every): when it is first reached, and from when it is kept."""
    histograms: bool = False
    """First spikes with window borders, inter-spike intervals and amplitudes of every recorded population."""
    phases: Count | None = None
    """With histograms: spikes by step mod this period."""
    words: list[Word] = Field(default_factory=list)
    """With histograms: entropy of spike words of these lengths, in steps."""
    first_spikes: Annotated[int, Field(ge=0)] = 0
    """So many samples' first spikes are written as first_spikes-POPULATION.csv."""
    layers: bool = False
    """Picture of the first sample: up to 100 neurons of every recorded input and population."""
    traces: dict[Name, list[Annotated[int, Field(ge=0)]]] = Field(default_factory=dict)
    """Population -> neurons whose state and spike count are kept at every step of the first sample (network.dt)."""
    conversion: Count | None = None
    """So many samples' activations are compared with decoded spikes, layer by layer."""
    energy: Energy | None = None
    """Spikes and operations per layer and sample, and what they would cost beside a dense evaluation of the ReLU network."""
    integer_logs: IntegerLogs | None = None
    """Of `convert: {to: integer}`: the six logs as text files, and their sums in result.json."""
    integer_levels: IntegerLevels | None = None
    """Of `convert: {to: integer}`: whether every neuron of every sample settles at its level of the quantised ANN."""
