"""Schema of all-integer networks: their conversion, and the logs that hardware people ask for."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, PositiveTime, Strict


class ToInteger(Strict):
    """Signed neurons with integer thresholds, equal to a quantised ReLU network (train.architecture: {kind: quantised})."""

    to: Literal["integer"]
    thresholds: Literal["exact", "fixed", "published", "float"] = "exact"
    """exact: tables of whole numbers; fixed: whole numbers at a scale of 10,000; published: those, first thresholds rounded
    before they are scaled; float: the published thresholds unrounded."""
    levels: Count | None = None
    """Greatest level that a neuron can say; absent: the steps of the run."""
    ternarise: bool = False
    """Make hidden weights ternary that were trained as floats."""
    dtype: Literal["auto", "int16", "int32", "int64"] = "auto"
    """Of hidden neurons; auto: the narrowest that is proven not to overflow."""
    ends: Literal["float", "integer"] = "float"
    """Encoder and classifier: float64, or whole numbers too."""
    weight_bits: Annotated[int, Field(ge=2, le=16)] = 8
    """ends: integer: bits of their weights, sign included."""
    input_scale: Count = 256
    """ends: integer: the value x enters as round(input_scale x)."""
    deletion: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a spike of the encoder is lost."""
    flip: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which, in each step in which the encoder may spike, spike and silence of a neuron are confused."""
    dt: PositiveTime = 1.0


class IntegerLogs(Strict):
    """Six text logs of accuracy, synaptic operations and spikes: a line for each batch of run.batch samples and step."""

    classifier: bool = True
    """Count the synaptic operations of the classifier (as published for LeNet; not so for VGG-Net)."""
    add_energy: Annotated[float, Field(gt=0)] = 0.9
    """Energy of an addition, pJ: a parameter of the estimate, not a measurement."""
    mac_energy: Annotated[float, Field(gt=0)] = 4.6
    """Energy of a multiply-accumulate of the ANN, pJ: a parameter as well."""


class IntegerLevels(Strict):
    """Run every sample until nothing spikes any more, and compare each neuron's count with its level in the quantised ANN."""

    steps: Count = 64
    """Steps of this run, and levels of a neuron, at the most."""
