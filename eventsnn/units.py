"""Quantities as a scenario states them: a plain number in ms or Hz, or text such as "10 ms" and "1.2 kHz"."""

import math
import re
from decimal import Decimal

from eventsnn.errors import ScenarioError, did_you_mean

MILLISECONDS = {"ns": "1e-6", "us": "1e-3", "µs": "1e-3", "ms": "1", "s": "1e3", "min": "6e4"}
HERTZ = {"mHz": "1e-3", "Hz": "1", "kHz": "1e3", "/s": "1", "/ms": "1e3"}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?)\s*([^\s\d]+)\s*")


def milliseconds(value):
    """Turn a duration into milliseconds.

    Parameters
    ----------
    value : int, float or str
        A number (already milliseconds) or text with a unit: ns, us, µs, ms, s or min.

    Returns
    -------
    float
        The duration in ms, rounded once ("10 us" is the float nearest to 0.01).

    Raises
    ------
    ScenarioError
        When the text is not a number with a unit of time, or the number is not finite.

    Examples
    --------
    >>> milliseconds("10 us"), milliseconds(3), milliseconds("1.5 s")
    (0.01, 3.0, 1500.0)
    """
    return _quantity(value, "time", "ms", "10 ms", MILLISECONDS)


def hertz(value):
    """Turn a rate into Hz.

    Parameters
    ----------
    value : int, float or str
        A number (already Hz) or text with a unit: mHz, Hz, kHz, /s or /ms.

    Returns
    -------
    float
        The rate in Hz, rounded once.

    Raises
    ------
    ScenarioError
        When the text is not a number with a unit of rate, or the number is not finite.

    Examples
    --------
    >>> hertz("1.2 kHz"), hertz(3), hertz("0.5 /ms")
    (1200.0, 3.0, 500.0)
    """
    return _quantity(value, "rate", "Hz", "10 Hz", HERTZ)


def _quantity(value, what, base, example, units):
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ScenarioError(f"must be a {what}, got {value!r}, allowed a number in {base} or text such as '{example}'")
    result = _from_text(value, what, base, example, units) if isinstance(value, str) else float(value)
    if not math.isfinite(result):
        raise ScenarioError(f"must be a finite {what}, got {value!r}")
    return result


def _from_text(text, what, base, example, units):
    """Number of '10 us' in the base unit: the decimal product is rounded once, by float()."""
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ScenarioError(f"must be a {what}, got {text[:40]!r}, allowed a number in {base} or text such as '{example}'")
    number, unit = match.groups()
    if unit not in units:
        hint = did_you_mean(unit, units)
        raise ScenarioError(f"unknown unit of {what}, got {unit[:20]!r}, allowed {', '.join(units)}{hint}")
    return float(Decimal(number) * Decimal(units[unit]))
