"""Schema of hybrid networks: their conversion, threshold balancing, and the estimate of energy."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, PositiveTime, Seed, Strict
from eventsnn.scenario.schema.source import Calibration


class Balance(Strict):
    """Where thresholds come from; see eventsnn.conversion.balance."""

    rule: Literal["maximum", "percentile", "activation", "none", "stored", "qcfs"] = "maximum"
    """maximum: the largest drive of any neuron in any step; percentile: of the largest drives of all neurons and images;
    activation: from activations of the ReLU network; none: all default_threshold, to train from scratch; stored: those in
    the file of the source, a hybrid network; qcfs: the trained tops of its clip-floor-shift activations."""
    percentile: Annotated[float, Field(gt=0, le=100)] = 99.9
    steps: Count = 1000
    batch: Count = 512
    """Calibration images drawn for each layer."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on all balanced thresholds, at the end; 0.7 is usual for 100 steps."""
    offset: float = 0.0
    """Added after that."""
    decimals: Annotated[int, Field(ge=0, le=12)] | None = None
    """Round thresholds to so many, last of all."""
    default_threshold: Annotated[float, Field(gt=0)] = 1.0
    """Of residual blocks, and of rule none."""
    seed: Seed = 0
    """Of the draw of images and of their spikes."""


class ToHybrid(Strict):
    """Soft-reset (leaky) integrate-and-fire neurons with one threshold per layer, behind signed Poisson or direct input."""

    to: Literal["hybrid"]
    propagation: Literal["pipelined", "same_step"] = "pipelined"
    """pipelined: a spike takes one step per layer (the published code); same_step: none (the published equation)."""
    leak: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Factor on the membrane per step; the output layer has none."""
    v_init: Literal[0.0, 0.5] = 0.0
    """Membrane at the start, in thresholds."""
    balance: Balance = Balance()
    masks: bool = False
    """Let dropout layers silence neurons, drawn once for each sample, as in training."""
    dtype: Literal["float32", "float64"] = "float32"
    dt: PositiveTime = 1.0
    calibration: Calibration | None = None
    """Needed by the rules maximum, percentile and activation."""


class Energy(Strict):
    """Estimate of the energy of a sample, from counted operations; the constants are parameters, not measurements."""

    add: Annotated[float, Field(gt=0)] = 0.9
    """Of an addition of 32-bit floats, pJ; 45 nm CMOS (Horowitz, ISSCC 2014)."""
    mac: Annotated[float, Field(gt=0)] = 4.6
    """Of a multiplication and an addition, pJ; same source: 3.7 + 0.9."""
