"""Schema of T2FSNN: its conversion, its input code, the optimisation of its kernels, noise on its spikes."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, File, PositiveTime, Strict
from eventsnn.scenario.schema.source import Calibration, DataSpec, Normalisation

Positive = Annotated[float, Field(gt=0)]


class KernelFile(Strict):
    """Kernels in the published text format."""

    file: File
    by_order: bool = False
    """Give them to the layers in their order, whatever the layers are called."""


class DeletionSpec(Strict):
    """Each spike is lost with a probability."""

    kind: Literal["deletion"]
    probability: Annotated[float, Field(ge=0, lt=1)]


class JitterSpec(Strict):
    """Each spike moves by a normal deviate, truncated to whole steps."""

    kind: Literal["jitter"]
    std: Annotated[float, Field(ge=0)]
    """Standard deviation, steps."""
    absolute: bool = False
    """Late only."""


Noise = Annotated[DeletionSpec | JitterSpec, Field(discriminator="kind")]


class ToT2fsnn(Normalisation):
    """Time-to-first-spike neurons with exponential kernels: at most one spike, the larger the activation the earlier."""

    to: Literal["t2fsnn"]
    tau: Positive = 20.0
    """Time constant of the kernels, steps; where the optimisation starts."""
    kernels: KernelFile | None = None
    """Kernels of all layers; an `optimise` section goes on from them. Absent: those that `train.twin` left with the weights,
    or tau."""
    t_fire_start: Positive = 80
    """Steps from the fire window of one layer to that of the next; less than t_fire_duration: early firing."""
    t_fire_duration: Positive = 80
    """Steps of a fire window."""
    in_tau: bool = False
    """Both are multiples of tau."""
    half_step: bool = False
    """Spike times are rounded to the nearest step instead of the next one."""
    theta0: Positive = 1.0
    readout: Literal["membrane", "first_spike", "count"] = "membrane"
    """membrane: potential of the output at the end; the other two: the output layer spikes, too."""
    robust: Annotated[int, Field(ge=0)] | None = None
    """Noise-robust: hidden neurons may spike in so many further steps, weights are scaled to match."""
    noise: Noise | None = None
    """On the spikes of the input (analog values have none) and of every hidden layer."""
    clock: Literal["auto", "gated", "grid"] = "auto"
    dt: PositiveTime = 1.0
    dtype: Literal["float32", "float64"] = "float32"
    quirks: list[Literal["output_decode"]] = Field(default_factory=list)
    """Deviations of the released code."""
    calibration: Calibration


class TTFSKernelCode(Strict):
    """One spike for each value in [0, 1], under a falling exponential threshold; its amplitude is the kernel's value."""

    code: Literal["ttfs_kernel"]
    clip: bool = False
    """Values above 1 count as 1 instead of being refused."""
    analog: bool = False
    """The value itself arrives once, at the first step (REAL input)."""
    tau: Positive | None = None
    """Steps; a converted network says it itself."""
    td: float | None = None
    window: Count | None = None
    """Steps of the fire window; a converted network says it itself."""
    half_step: bool | None = None
    dt: PositiveTime | None = None
    """Length of a step of gated populations; a grid says it itself."""


class OptimiseSpec(Strict):
    """Fit the kernels of a t2fsnn conversion on training images."""

    data: DataSpec
    epochs: Count = 6
    batch: Count = 400
    rho: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=3, max_length=3)] = Field(
        default_factory=lambda: [10.0, 100.0, 1.0]
    )
    """Factors of the steps from the precision, minimum and maximum losses."""
    outlier: bool = True
    """The minimum loss takes the 2nd percentile of activations instead of the minimum."""
    save_every: Count = 10_000
    """Images between two saved kernel files; a file is saved after a batch that ends at a multiple."""
    images: Annotated[int, Field(ge=0)] = 0
    """Images that the kernels of convert.kernels have seen already; counts in the names of files."""
    quirks: list[Literal["inverted_precision", "global_time", "sentinel", "targets_without_bias", "silent_minimum",
                         "window_end", "first_td"]] = Field(default_factory=list)  # fmt: skip
    """Deviations of the released code."""
