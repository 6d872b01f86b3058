"""What classes of settings share: intervals with open and closed ends, whole numbers, optional ones, unknown names."""

from dataclasses import dataclass

import numpy as np
import pytest

from eventsnn.errors import ModelError
from eventsnn.settings import check_known, check_number, check_numbers, settings_from


@dataclass
class Two:
    """A float and a whole number that may be missing."""

    share: float = 0.5
    epochs: int | None = None


@pytest.mark.parametrize("interval, inside, outside", [
    ("[0, 1)", (0, 0.5, 1 - 1e-9), (-1e-9, 1, 2)), ("(0, 1]", (1e-9, 1), (0, 1.5)), ("[-1, 1]", (-1, 1), (-1.1, 1.1)),
    ("(-1, inf)", (0, 1e300), (-1, float("inf"))), ("(-inf, inf)", (-1e300, 3), (float("inf"), -float("inf"))),
])  # fmt: skip
def test_ends_of_an_interval(interval, inside, outside):
    for value in inside:
        check_number(value, interval, "here: x")
    for value in (*outside, float("nan"), None, True, "1", np.zeros(2)):
        with pytest.raises(ModelError) as found:
            check_number(value, interval, "here: x")
        assert str(found.value) == f"here: x must be a number in {interval}, got {value!r}"


def test_fields_say_what_is_whole_and_what_may_be_missing():
    ranges = {"[0, 1]": ("share",), "[1, inf)": ("epochs",)}
    for fine in (Two(), Two(1, 3)):
        check_numbers(fine, ranges, "two")
    with pytest.raises(ModelError, match=r"two: epochs must be a whole number in \[1, inf\) or none, got 2\.5"):
        check_numbers(Two(epochs=2.5), ranges, "two")
    with pytest.raises(ModelError, match=r"two: share must be a number in \[0, 1\], got None"):
        check_numbers(Two(share=None), ranges, "two")


def test_unknown_names():
    assert settings_from(Two, {"epochs": 2}, "two") == Two(epochs=2)
    with pytest.raises(ModelError, match=r"two: unknown setting 'epoch', did you mean 'epochs'\?; allowed: share, epochs"):
        settings_from(Two, {"epoch": 2}, "two")
    with pytest.raises(ModelError, match="two: unknown quirk 'odd'; allowed: a, b"):
        check_known(["a", "odd"], {"a": 1, "b": 2}, "two", "quirk")
