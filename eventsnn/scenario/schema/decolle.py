"""Schema of `learn: {rule: decolle}`; the widths and some keys may be written as in the published command line."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Discriminator, Field, Tag

from eventsnn.scenario.schema.base import Count, File, PositiveTime, Rate, Seed, Share, Strict, Time
from eventsnn.scenario.schema.source import DataSpec

Width = Annotated[int, Field(ge=1, le=24)] | None
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Range = Annotated[list[PositiveTime], Field(min_length=2, max_length=2)]


def _as(name, published, default):
    return Field(default=default, validation_alias=AliasChoices(name, published))


class DecolleLayerSpec(Strict):
    """A spiking convolution with its own readout."""

    channels: Count
    kernel: Count = 7
    padding: Annotated[int, Field(ge=0)] = 2
    pool: Count = 1
    """Side of the max pool behind it; 1: none."""


class Widths(Strict):
    """Bits of every quantity; null: not quantised. What is left out is as published."""

    wb: Width = _as("wb", "global_wb", 8)
    """Weights."""
    qb: Width = _as("qb", "global_qb", 10)
    """Synaptic trace Q."""
    pb: Width = _as("pb", "global_pb", 12)
    """Membrane trace P."""
    rfb: Width = _as("rfb", "global_rfb", 2)
    """Refractory state R."""
    sb: Width = _as("sb", "global_sb", 6)
    """Readout and feedback weights."""
    gb: Width = _as("gb", "global_gb", 10)
    """Gradients, and the grid on which weights move."""
    eb: Width = _as("eb", "global_eb", 6)
    """Errors."""
    ub: Width = _as("ub", "global_ub", 6)
    """Membrane U."""
    ab: Width = _as("ab", "global_ab", 6)
    """Readout activations."""
    sig: Width = _as("sig", "global_sig", 6)
    """Sigmoid."""
    rb: Width = _as("rb", "global_rb", 16)
    """Random numbers of the rounding."""


class Offsets(Strict):
    """Bits added to groups of widths, as in the published sweeps."""

    pq: int = 0
    """pb and qb."""
    s: int = 0
    """sb."""
    eg: int = 0
    """eb and gb."""


class Decolle(Strict):
    """Local learning from event streams: every layer learns from its own fixed random readout, at every step."""

    rule: Literal["decolle"]
    data: DataSpec
    """Training samples: recordings of an event camera, or images, which become Bernoulli spikes."""
    test: list[DataSpec] = Field(default_factory=list)
    """Samples that the learner judges itself, in its own arithmetic."""
    weights: File | None = None
    """A learned.npz to start from instead of random weights; with epochs 0 it is run as it is."""
    layers: Annotated[list[DecolleLayerSpec], Field(min_length=1)] | None = None
    """Absent: the published 64-128-128 channels, 7 x 7, pools 2-1-2."""
    bits: Annotated[
        Annotated[Literal["float"], Tag("float")] | Annotated[Widths, Tag("widths")],
        Discriminator(lambda v: "float" if isinstance(v, str) else "widths"),
    ] = Widths()
    """float, or the width of every quantity."""
    offsets: Offsets = Offsets()
    dt: PositiveTime = _as("dt", "delta_t", 1.0)
    """Length of a step."""
    tau_mem: Range = Field(default_factory=lambda: [5.0, 35.0])
    """Every input element draws its time constants from these ranges."""
    tau_syn: Range = Field(default_factory=lambda: [5.0, 10.0])
    tau_ref: PositiveTime = 1 / 0.35
    pq_cap: Annotated[float, Field(gt=0, le=1)] = _as("pq_cap", "PQ_cap", 1.0)
    """Saturation of the traces, as a share of their theoretical maximum."""
    weight_unit: Positive = _as("weight_unit", "weight_mult", 4e-5)
    init_beta: Positive = _as("init_beta", "global_beta", 1.5)
    threshold: NotNegative = 0.0
    """Above 0: double threshold, spikes of both signs."""
    readout_amplitude: Positive = _as("readout_amplitude", "lc_ampl", 0.5)
    dropout: Annotated[float, Field(ge=0, lt=1)] = _as("dropout", "dropout_p", 0.5)
    l1: NotNegative = 0.001
    l2: NotNegative = 0.001
    burn_in: Annotated[Time, Field(ge=0)] = 50.0
    train_window: PositiveTime = 500.0
    """Length of the random crop of training."""
    test_window: PositiveTime = 1800.0
    """Length of the beginning that is tested."""
    crop: bool = True
    jitter: NotNegative = 0.5
    """Times of events move by trunc(jitter z) ms, z standard normal."""
    shift: Annotated[int, Field(ge=0)] = 0
    """Training samples move by up to so many pixels in y and x."""
    polarity: Literal["separate", "signed", "signed_pair", "counts"] = "separate"
    downsample: Count = _as("downsample", "ds", 4)
    image_rate: Rate = 50.0
    """Rate of a pixel of value 1."""
    epochs: Annotated[int, Field(ge=0)] = 320
    batch_size: Count = 72
    rate: Positive = _as("rate", "global_lr", 1.0)
    """Quantised gradients: size in steps of the grid; floating: learning rate (published: 1e-9 with sgd)."""
    optimiser: Literal["sgd", "adamax"] = "sgd"
    rate_epochs: Count = _as("rate_epochs", "lr_div", 80)
    rate_factor: Positive = 0.5
    validation: Share = 0.2
    """Share held out at random; the weights of its best epoch are kept. 0: the last weights are kept."""
    average: Annotated[int, Field(ge=0)] = 0
    """Last epochs over whose updates the kept weights are averaged."""
    quirks: list[Literal["zero_weights", "dropout_in_test", "jitter_in_test", "wide_membrane", "swapped_regularisers"]] = Field(
        default_factory=list
    )
    """What the published code does, and what nobody would expect."""
    precision: Literal["float32", "float64"] = "float32"
    seed: Seed = 0
    threads: Annotated[int, Field(ge=0)] = 0
