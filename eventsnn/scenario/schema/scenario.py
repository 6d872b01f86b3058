"""The schema of a scenario: one file, one experiment, an ordered list of typed stages.

A new code, converter or data source is one class here with its own tag, and one entry in the table of its stage
(`encode.py`, `convert.py`, `source.py`).
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError

from eventsnn.scenario.schema.base import (
    Count,
    File,
    Name,
    PositiveTime,
    Rate,
    Seed,
    Strict,
    Time,
    tag_by,
)
from eventsnn.scenario.schema.coding import BurstCode, PhaseCode, ToCoding
from eventsnn.scenario.schema.hybrid import ToHybrid
from eventsnn.scenario.schema.integer import ToInteger
from eventsnn.scenario.schema.learn import Learn
from eventsnn.scenario.schema.measure import Exit, MeasureSpec
from eventsnn.scenario.schema.network import ExplicitNetwork, ReadoutSpec
from eventsnn.scenario.schema.source import Calibration, DataSpec, SourceNetwork, StatisticsSpec, TrainSpec
from eventsnn.scenario.schema.t2fsnn import OptimiseSpec, ToT2fsnn, TTFSKernelCode

Network = Annotated[
    Annotated[SourceNetwork, Tag("source network")] | Annotated[ExplicitNetwork, Tag("explicit network")],
    Discriminator(tag_by(lambda v: "explicit network" if v.keys() & {"inputs", "populations"} else "source network")),
]


class ToRamps(Strict):
    """Time-to-first-spike ramps, equal to the ReLU network; the input range is that of the ttfs encoder."""

    to: Literal["ramps"]
    model: Literal["gated", "ungated", "alpha1"] = "gated"
    """gated: a spike only while the layer's window is open; ungated: also before; alpha1: exactly one spike per neuron."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """alpha1: slope of a neuron without input, 1/ms."""
    rule: Literal["fit", "fixed", "trained", "saved"] = "fit"
    """trained: the windows that came out of training with `learn: {rule: ttfs}`, from its weights.h5; saved: as fit, with the
    largest activations that an earlier conversion has left in its folded.npz."""
    zeta: float = 0.5
    """fit: window of a layer = (1 + zeta) x its largest activation on the calibration samples."""
    windows: float | list[float] | None = None
    """fixed: one window for all hidden layers, or one each, ms."""
    early: Literal["saturate", "refuse"] = "saturate"
    """gated: what an activation above its window does."""
    dtype: Literal["float32", "float64"] = "float32"
    calibration: Calibration | None = None
    """Needed by rule fit."""


Convert = Annotated[ToRamps | ToCoding | ToT2fsnn | ToInteger | ToHybrid, Field(discriminator="to")]


class TTFSCode(Strict):
    """One spike for each value: the larger, the earlier."""

    code: Literal["ttfs"]
    p: float = 0.0
    """Value that is silent."""
    q: float = 1.0
    """Value that spikes at once; larger ones are refused, or count as q if clip."""
    clip: bool = False
    silent: bool = True
    """false: p spikes last instead of never; alpha1 ramps need a spike of every input."""
    dtype: Literal["float32", "float64"] = "float32"


class PoissonCode(Strict):
    """A spike in a step with probability |value| x gain; the sign is the amplitude."""

    code: Literal["poisson"]
    gain: Annotated[float, Field(gt=0)] = 1.0
    amplitude: Annotated[float, Field(gt=0)] = 1.0
    """What a spike carries."""
    clip: bool = False
    """Let values of probability above 1 spike in every step instead of refusing them."""


class PoissonTimesCode(Strict):
    """Independent Poisson trains with exact times on the continuous clock, one for each input neuron; one sample."""

    code: Literal["poisson_times"]
    rate: Annotated[
        Annotated[Rate, Tag("one rate")] | Annotated[list[Rate], Tag("a rate for each neuron")],
        Discriminator(lambda v: "a rate for each neuron" if isinstance(v, list) else "one rate"),
    ]
    """Of every input neuron, or of each: a number in Hz, or text such as "1.2 kHz"."""


class LatencyCode(Strict):
    """The time at which a leaky membrane reaches its threshold under the value as a current; at most one spike."""

    code: Literal["latency"]
    tau: PositiveTime = 20.0
    """Time constant of the membrane."""
    threshold: Annotated[float, Field(gt=0)] = 0.2
    """Values up to it never spike."""


class ConstantCode(Strict):
    """The value as a current."""

    code: Literal["constant"]
    gain: float = 1.0
    schedule: Literal["every", "first"] | Count = "every"
    """When it arrives: in every step, in the first one, or every so many steps."""
    noise: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Each value times 1 + u, u uniform in [-noise/2, noise/2), drawn once for each sample from scenario seed and sample."""


class EventsCode(Strict):
    """Recordings of an event camera, put on the grid."""

    code: Literal["events"]
    several: Literal["count", "once"] = "count"
    """Events of one pixel in one step: one spike with their number as amplitude, or with amplitude 1."""


class RasterCode(Strict):
    """A given raster: a file, or times and neurons written out."""

    code: Literal["raster"]
    file: File | None = None
    """raster.h5 or .npz."""
    population: Name | None = None
    """Which raster of a raster.h5."""
    times: list[Time] | None = None
    neurons: list[Annotated[int, Field(ge=0)]] | None = None


Encoder = Annotated[
    TTFSCode | TTFSKernelCode | PoissonCode | PoissonTimesCode | ConstantCode | LatencyCode | PhaseCode | BurstCode | EventsCode
    | RasterCode,
    Field(discriminator="code"),
]
Encode = Annotated[
    Annotated[Encoder, Tag("one encoder")] | Annotated[dict[Name, Encoder], Tag("an encoder for each input")],
    Discriminator(
        tag_by(
            lambda v: "an encoder for each input"
            if v and "code" not in v and all(isinstance(x, dict | Strict) for x in v.values())
            else "one encoder"
        )
    ),
]


class RunSpec(Strict):
    """How the spiking network runs."""

    engine: Literal["event", "stepped", "analytic", "auto"] = "event"
    schedule: Literal["streamed", "interleaved"] = "streamed"
    threads: Count = 1
    duration: PositiveTime | None = None
    """Simulated time of each sample; absent: what the converted network needs. Where windows set it, there is no other."""
    batch: Count = 100
    """Samples between two saved slices of a resumable run."""
    record: list[Name] | None = None
    """Populations and inputs whose spikes are kept; absent: all."""
    slab: Count | None = None
    """Instants that a layer streams at once; absent: the whole sample."""
    every: PositiveTime | None = None
    """Time between recording points: readout, spikes and synaptic events so far; gated networks have one, the end."""
    exit: Exit | None = None
    """By which rule samples end early, at recording points."""


Metric = Literal["accuracy", "source_accuracy", "agreement", "spikes_per_neuron", "synaptic_events", "latency",
                 "pattern_loss", "best_pattern_loss"]  # fmt: skip


class Published(Strict):
    """A figure of a publication, shown beside the measured one."""

    value: float | str
    source: str
    note: str = ""


class ReportSpec(Strict):
    """What the picture and the report show."""

    samples: Annotated[int, Field(ge=1, le=100)] = 20
    """Samples in the gallery."""
    rasters: Annotated[int, Field(ge=1, le=6)] = 3
    """Samples in the raster picture."""


class Scenario(Strict):
    """One experiment."""

    format: Literal[1]
    title: str
    description: str = ""
    seed: Seed = 0
    data: DataSpec | None = None
    network: Network | None = None
    train: TrainSpec | None = None
    learn: Learn | None = None
    statistics: StatisticsSpec | None = None
    optimise: OptimiseSpec | None = None
    convert: Convert | None = None
    encode: Encode | None = None
    run: RunSpec | None = None
    readout: ReadoutSpec | None = None
    measure: MeasureSpec = MeasureSpec()
    published: dict[Metric, Published] = Field(default_factory=dict)
    report: ReportSpec = ReportSpec()
    smoke: dict[str, Any] = Field(default_factory=dict)
    """Overrides with which the file runs in seconds: `data.limit: 50`."""


def validate(data):
    """Check plain data against the schema.

    Parameters
    ----------
    data : object
        What the YAML file holds.

    Returns
    -------
    scenario : Scenario or None
        None when there are mistakes.
    mistakes : list of dict
        Every mistake: keys type, loc, msg, input, ctx.
    """
    try:
        return Scenario.model_validate(data), []
    except ValidationError as error:
        return None, error.errors(include_url=False)
