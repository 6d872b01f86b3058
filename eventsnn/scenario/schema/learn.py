"""Schema of the `learn:` section: learning rules that are clocked by nature, told apart by `rule`."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, model_validator

from eventsnn.scenario.schema.adjoint import Adjoint
from eventsnn.scenario.schema.base import Count, PositiveTime, Strict
from eventsnn.scenario.schema.decolle import Decolle
from eventsnn.scenario.schema.patterns import GradedInput, InputPattern, SmileyPattern, TargetPattern
from eventsnn.scenario.schema.stdb import Stdb
from eventsnn.scenario.schema.ttfs import Ttfs

Bits = Annotated[int, Field(ge=2)] | None
Decay = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


def known_as(name, published, **options):
    """A field that may also be written as in the published command line."""
    return Field(validation_alias=AliasChoices(name, published), **options)


class VanRossum(Strict):
    """Teach a two-layer network to answer one spike pattern with another, quantised; gradient of the van Rossum loss."""

    rule: Literal["van_rossum"]
    input: InputPattern = GradedInput(kind="graded")
    target: TargetPattern = SmileyPattern(kind="smiley")
    inputs: Count = known_as("inputs", "nb_inputs", default=700)
    hidden: Count = known_as("hidden", "nb_hidden", default=400)
    outputs: Count = known_as("outputs", "nb_outputs", default=250)
    steps: Count = known_as("steps", "nb_steps", default=250)
    dt: PositiveTime = 1.0
    """Length of a step (published: time_step, in seconds; changes nothing but the raster's milliseconds)."""
    presentations: Count = known_as("presentations", "nb_epochs", default=10000)
    wb: Bits = known_as("wb", "global_wb", default=2)
    """Bits of weights; null, or 33 and more: not quantised."""
    ab: Bits = known_as("ab", "global_ab", default=8)
    """Bits of states."""
    gb: Bits = known_as("gb", "global_gb", default=8)
    """Bits of gradients: the grid on which weights move."""
    eb: Literal["ab"] | Bits = known_as("eb", "global_eb", default=8)
    """Bits of back-propagated errors; `ab`: as many as states have."""
    rb: Bits = known_as("rb", "global_rb", default=16)
    """Bits of random numbers."""
    alpha: Decay = 0.75
    """Decay of the synaptic current per step."""
    beta: Decay = 0.875
    """Decay of the membrane per step."""
    kappa: Literal["alpha", "beta"] | Decay = "beta"
    """Decay of the van Rossum filter per step: one of the two others, or a number."""
    tau: PositiveTime = 5.0
    """Time constant in the factor 1/tau of the loss (published: tau_syn, in seconds)."""
    optimiser: Literal["sgd", "adamax"] = "sgd"
    learning_rate: Positive = 1.0
    gradient_rate: Positive = known_as("gradient_rate", "global_lr", default=1.0)
    """Factor of the gradient before it is rounded."""
    fan_in: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    """What initialisation takes for the fan-in of the two layers; absent: their own."""
    init_gain: Positive = 1.0
    """Factor of the initial weights."""
    init_on_state_grid: bool = False
    """Round the initial weights to the grid of ab, as the published code does, instead of gb."""
    marks: list[Positive] = Field(default_factory=lambda: [6676.38, 6000.0, 4000.0, 3450.0])
    """Losses whose first presentation is reported."""
    checkpoint: Count = 500
    """Presentations between two saved states of a resumable run."""
    tau_mem: Positive | None = None
    """Published name, accepted: has no effect, there neither."""
    tau_vr: Positive | None = None
    """Published name, accepted: has no effect, there neither."""

    @model_validator(mode="before")
    @classmethod
    def _published(cls, data):
        """Published names that mean something else than the key of that kind: times in seconds, patterns as file names."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        aliases = [field.validation_alias.choices for field in cls.model_fields.values() if field.validation_alias]
        for ours, theirs in (*aliases, ("dt", "time_step"), ("tau", "tau_syn")):
            if theirs in data and ours in data:
                raise ValueError(f"{theirs} and {ours} say the same, keep one of them")
        for ours, theirs in (("dt", "time_step"), ("tau", "tau_syn")):
            if isinstance(data.get(theirs), int | float):
                data[ours] = data.pop(theirs) * 1000.0
        for name in ("input", "target"):
            if isinstance(data.get(name), str):
                picture = data[name].lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"))
                data[name] = {"kind": "image" if picture and name == "target" else "raster", "file": data[name]}
        return data


Learn = Annotated[VanRossum | Adjoint | Decolle | Stdb | Ttfs, Field(discriminator="rule")]
"""A new rule: a class with its tag, an entry in scenario/learn/learned.py."""
