"""What every part of the scenario schema shares: strict models, quantities, shapes.

pydantic is imported in the `schema` files of this folder and nowhere else.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from eventsnn.units import hertz, milliseconds


class Strict(BaseModel):
    """A mapping whose keys are all known and whose values have the stated type, without conversion."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


Time = Annotated[float, BeforeValidator(milliseconds, json_schema_input_type=float | str)]
"""A duration: a number in ms, or text with a unit."""

Rate = Annotated[float, BeforeValidator(hertz, json_schema_input_type=float | str), Field(ge=0)]
"""A rate: a number in Hz, or text with a unit."""

PositiveTime = Annotated[Time, Field(gt=0)]
LateTime = Annotated[Time, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Shape = Annotated[list[Count], Field(min_length=1, max_length=3)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
File = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def tag_by(choose):
    """Make a function that names the member of a union from the raw value, for `pydantic.Discriminator`.

    Parameters
    ----------
    choose : callable
        Takes a dict, returns a tag.

    Returns
    -------
    callable
        Takes the raw value or a finished model, returns a tag (models are dumped first).
    """

    def tag(value: Any):
        if isinstance(value, BaseModel):
            value = value.model_dump(exclude_unset=True)
        return choose(value if isinstance(value, dict) else {})

    return tag
