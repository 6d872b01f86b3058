"""Which runs a sweep consists of: all combinations of values, each resolved and checked before the first starts."""

import itertools
import json
import re
from dataclasses import dataclass

from eventsnn.errors import ScenarioError
from eventsnn.scenario.load import load
from eventsnn.scenario.text import yaml

LONGEST = 100_000
_RANGE = re.compile(r"\s*(-?\d{1,9})\.\.(-?\d{1,9})\s*")


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    Attributes
    ----------
    scenario : str
    overrides : tuple of str
    smoke : bool
    values : dict of str to object
        What this run tries.
    run : str
        Name of its folder: the first digits of the hash of the resolved scenario.
    """

    scenario: str
    overrides: tuple
    smoke: bool
    values: dict
    run: str


def values_of(text):
    """Take `a.b=1,2,3` or `a.b=0..9` apart.

    Parameters
    ----------
    text : str

    Returns
    -------
    path : str
    values : list
        Parsed as YAML; a range includes both ends.

    Raises
    ------
    ScenarioError
        If it does not look like that.
    """
    path, equals, listed = text.partition("=")
    if not equals or not path.strip() or not listed.strip():
        raise ScenarioError(f"--over {text}: must look like a.b=1,2,3 or a.b=0..9")
    found = _RANGE.fullmatch(listed)
    if found:
        first, last = int(found[1]), int(found[2])
        if abs(last - first) >= LONGEST:
            raise ScenarioError(f"--over {text}: too many values, allowed {LONGEST:,}")
        return path.strip(), list(range(first, last + 1) if first <= last else range(first, last - 1, -1))
    values = yaml.parse(f"[{listed}]", f"--over {text}")[0]
    if not isinstance(values, list) or not values:
        raise ScenarioError(f"--over {text}: must look like a.b=1,2,3 or a.b=0..9")
    return path.strip(), values


def plan(scenario, over, overrides=(), smoke=False):
    """Resolve and check every run of a sweep before the first one starts.

    Parameters
    ----------
    scenario : str or Path
    over : iterable of str
        `a.b=1,2,3` or `a.b=0..9`; all combinations are run, the last one changing fastest.
    overrides : iterable of str
        For all runs.
    smoke : bool
        Use the scenario's small form.

    Returns
    -------
    list of Planned

    Raises
    ------
    ScenarioError
        With the mistakes of all runs.
    """
    axes = [values_of(text) for text in over]
    twice = [path for k, (path, _) in enumerate(axes) if path in [other for other, _ in axes[:k]]]
    if twice:
        raise ScenarioError(f"--over {twice[0]}: given twice; write all of its values in one list")
    count = 1
    for _, values in axes:
        count *= len(values)
    if count > LONGEST:
        raise ScenarioError(f"--over: {count:,} combinations, allowed {LONGEST:,}")
    planned, problems = [], []
    for combination in itertools.product(*(values for _, values in axes)):
        values = dict(zip((path for path, _ in axes), combination))
        changes = (*overrides, *(f"{path}={json.dumps(value)}" for path, value in values.items()))
        try:
            digest = load(scenario, changes, smoke).sha256
            planned.append(Planned(str(scenario), changes, smoke, values, digest[:16]))
        except ScenarioError as error:
            problems.append(str(error))
    if problems:
        raise ScenarioError("\n".join(dict.fromkeys(line for text in problems for line in text.splitlines())))
    return planned
