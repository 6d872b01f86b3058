"""Quantities with units."""

import doctest

import pytest

from eventsnn import units
from eventsnn.errors import ScenarioError


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(3, 3.0), (0.5, 0.5), ("10 ms", 10.0), ("10ms", 10.0), ("10 us", 0.01), ("7 µs", 0.007), ("1.5 s", 1500.0),
     ("-2e1 ms", -20.0), (".5 min", 30000.0), ("3 ns", 3e-6)],
)  # fmt: skip
def test_times(given, wanted):
    assert units.milliseconds(given) == wanted


@pytest.mark.parametrize("given", ["10", "ms", "10 mss", "1 2 ms", "", True, None, [1], "1e9999 ms", float("nan"), "0x10 ms"])
def test_what_is_no_time(given):
    with pytest.raises(ScenarioError, match=r"time|unit"):
        units.milliseconds(given)


@pytest.mark.parametrize(
    ("given", "wanted"), [(3, 3.0), ("1200 Hz", 1200.0), ("1.2 kHz", 1200.0), ("20 mHz", 0.02), ("2 /ms", 2000.0)]
)
def test_rates(given, wanted):
    assert units.hertz(given) == wanted


@pytest.mark.parametrize("given", ["10", "10 ms", "Hz", "10 hz", True, None, "1 2 Hz", float("inf")])
def test_what_is_no_rate(given):
    with pytest.raises(ScenarioError, match="rate"):
        units.hertz(given)


def test_the_unit_is_suggested():
    with pytest.raises(ScenarioError, match="did you mean 'ms'"):
        units.milliseconds("3 mss")


def test_examples():
    assert doctest.testmod(units).failed == 0
