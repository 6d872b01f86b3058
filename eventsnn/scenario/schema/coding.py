"""Schema of the multi-spike codings: their conversion and their input codes."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, PositiveTime, Strict
from eventsnn.scenario.schema.source import Calibration, Normalisation


class ToCoding(Normalisation):
    """Neurons whose spikes, summed, stand for activations: rate, phase or burst coding, behind any such input code."""

    to: Literal["coding"]
    hidden: Literal["rate", "phase", "burst"]
    """The neuron model of all hidden layers; `eventsnn info models` lists its parameters."""
    neurons: dict[str, float | bool | str] = Field(default_factory=dict)
    """Parameters of that model; absent: v_threshold 1 (burst: 1/8), amplitude of rate = v_threshold."""
    neuron_thresholds: bool = False
    """v_threshold times the neuron's own percentile of activation over the layer's scale."""
    rule: Literal["neuron_percentile", "percentile", "layer_max", "channel", "diehl", "model", "none"] = "percentile"
    output_scale: bool | None = None
    """Divide the outputs by a number, too; changes no class. Absent: where the output layer spikes (readout.kind)."""
    max_pool: Literal["gated", "step"] = "gated"
    """gated: the position that has sent most so far passes its spike; step: the largest amplitude of each step passes."""
    input_scale: Annotated[float, Field(gt=0)] | None = None
    """Factor on the first weights; absent: that with which a value arrives once while every bias arrives once."""
    bias_period: Count | None = None
    """Biases act every so many steps; absent: once while every value arrives once."""
    dt: PositiveTime = 1.0
    dtype: Literal["float32", "float64"] = "float32"
    calibration: Calibration


class PhaseCode(Strict):
    """The binary digits of the value, the largest first, in every period; values in [0, 1]."""

    code: Literal["phase"]
    period: Annotated[int, Field(ge=1, le=32)] = 8
    """Digits; phase-coded layers have their own, neurons.period."""


class BurstCode(Strict):
    """Runs of growing spikes; values in [0, 1]."""

    code: Literal["burst"]
    threshold: Annotated[float, Field(ge=1e-6)] = 0.125
    """Amplitude of the first spike of a run; smaller values are silent."""
    beta: Annotated[float, Field(ge=1)] = 2.0
    """Factor from spike to spike."""
    reload: Count | Literal["sample", "batch"] = 8
    """Values are presented again after so many steps; or after a step without spikes, of the sample or (as in published code)
    of the whole batch."""
