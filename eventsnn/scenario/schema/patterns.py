"""Schema of spike patterns to learn: inputs and targets, drawn by rule or read."""

from typing import Annotated, Literal

from pydantic import Field

from eventsnn.scenario.schema.base import Count, File, Name, Share, Strict

Positive = Annotated[float, Field(gt=0)]


class GradedInput(Strict):
    """Groups of neurons whose mean interval grows from group to group, Poisson distributed in whole steps."""

    kind: Literal["graded"]
    shortest: Positive = 1.25
    """Mean interval of the first group, steps."""
    increment: Annotated[float, Field(ge=0)] = 0.25
    """Growth from group to group, steps."""
    group: Count = 5
    """Neurons of a group."""
    seed: Annotated[int, Field(ge=0)] = 0


class RasterPattern(Strict):
    """Spikes from a raster.h5 or .npz, one sample on the grid."""

    kind: Literal["raster"]
    file: File
    population: Name | None = None
    """Which raster of a raster.h5."""


class SmileyPattern(Strict):
    """A ring, two eyes and a mouth; rows are steps, columns neurons."""

    kind: Literal["smiley"]
    keep: Share = 0.95
    """Probability with which a spike is kept."""
    seed: Annotated[int, Field(ge=0)] = 0


class ImagePattern(Strict):
    """Any picture: dark pixels are spikes, rows steps, columns neurons; it is scaled to them."""

    kind: Literal["image"]
    file: File
    threshold: Annotated[int, Field(ge=1, le=766)] = 500
    """A pixel is dark where R + G + B is below it."""
    keep: Share = 1.0
    """Probability with which a spike is kept."""
    seed: Annotated[int, Field(ge=0)] = 0


InputPattern = Annotated[GradedInput | RasterPattern, Field(discriminator="kind")]
TargetPattern = Annotated[SmileyPattern | ImagePattern | RasterPattern, Field(discriminator="kind")]
