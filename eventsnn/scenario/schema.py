"""The schema of a scenario: one file, one experiment, an ordered list of typed stages.

A new code, converter or data source is one class here with its own tag, and one entry in the table of its stage
(`encode.py`, `convert.py`, `source.py`).
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError

from eventsnn.scenario.schema_base import (
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
from eventsnn.scenario.schema_network import ExplicitNetwork, ReadoutSpec
from eventsnn.scenario.schema_source import DataSpec, SourceNetwork, TrainSpec

Network = Annotated[
    Annotated[SourceNetwork, Tag("source network")] | Annotated[ExplicitNetwork, Tag("explicit network")],
    Discriminator(tag_by(lambda v: "explicit network" if v.keys() & {"inputs", "populations"} else "source network")),
]


class Calibration(Strict):
    """Samples whose activations set windows or thresholds."""

    data: DataSpec


class ToRamps(Strict):
    """Time-to-first-spike ramps, equal to the ReLU network; the input range is that of the ttfs encoder."""

    to: Literal["ramps"]
    model: Literal["gated", "ungated", "alpha1"] = "gated"
    """gated: a spike only while the layer's window is open; ungated: also before; alpha1: exactly one spike per neuron."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """alpha1: slope of a neuron without input, 1/ms."""
    rule: Literal["fit", "fixed"] = "fit"
    zeta: float = 0.5
    """fit: window of a layer = (1 + zeta) x its largest activation on the calibration samples."""
    windows: float | list[float] | None = None
    """fixed: one window for all hidden layers, or one each, ms."""
    early: Literal["saturate", "refuse"] = "saturate"
    """gated: what an activation above its window does."""
    dtype: Literal["float32", "float64"] = "float32"
    calibration: Calibration


class ToIF(Strict):
    """Integrate-and-fire neurons whose rates stand for activations."""

    to: Literal["if"]
    rule: Literal["layer_max", "percentile", "channel"] = "percentile"
    percentile: Annotated[float, Field(gt=0, le=100)] = 99.9
    dt: PositiveTime = 1.0
    v_init: float = 0.0
    """Membrane before the first step, in thresholds; 0.5 halves the rounding error of the rate."""
    dtype: Literal["float32", "float64"] = "float32"
    calibration: Calibration


Convert = Annotated[ToRamps | ToIF, Field(discriminator="to")]


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


class ConstantCode(Strict):
    """The value as a current in every step."""

    code: Literal["constant"]
    gain: float = 1.0


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
    TTFSCode | PoissonCode | PoissonTimesCode | ConstantCode | EventsCode | RasterCode, Field(discriminator="code")
]
Encode = Annotated[
    Annotated[Encoder, Tag("one encoder")] | Annotated[dict[Name, Encoder], Tag("an encoder for each input")],
    Discriminator(
        tag_by(
            lambda v: "an encoder for each input"
            if v and "code" not in v and all(isinstance(x, dict) for x in v.values())
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
    """Simulated time of each sample; absent: what the converted network needs."""
    batch: Count = 100
    """Samples between two saved slices of a resumable run."""
    record: list[Name] | None = None
    """Populations and inputs whose spikes are kept; absent: all."""
    slab: Count | None = None
    """Instants that a layer streams at once; absent: the whole sample."""


Metric = Literal["accuracy", "source_accuracy", "agreement", "spikes_per_neuron", "synaptic_events", "latency"]


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
    convert: Convert | None = None
    encode: Encode | None = None
    run: RunSpec | None = None
    readout: ReadoutSpec | None = None
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
