"""Quantities as a scenario states them: a plain number in milliseconds, or text such as "10 ms"."""

import math
import re
from decimal import Decimal

from eventsnn.errors import ScenarioError, did_you_mean

MILLISECONDS = {"ns": "1e-6", "us": "1e-3", "µs": "1e-3", "ms": "1", "s": "1e3", "min": "6e4"}
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
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ScenarioError(f"must be a time, got {value!r}, allowed a number in ms or text such as '10 ms'")
    result = _from_text(value) if isinstance(value, str) else float(value)
    if not math.isfinite(result):
        raise ScenarioError(f"must be a finite time, got {value!r}")
    return result


def _from_text(text):
    """Milliseconds of '10 us': the decimal product is rounded once, by float()."""
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ScenarioError(f"must be a time, got {text[:40]!r}, allowed a number in ms or text such as '10 ms'")
    number, unit = match.groups()
    if unit not in MILLISECONDS:
        hint = did_you_mean(unit, MILLISECONDS)
        raise ScenarioError(f"unknown unit of time, got {unit[:20]!r}, allowed {', '.join(MILLISECONDS)}{hint}")
    return float(Decimal(number) * Decimal(MILLISECONDS[unit]))
