"""Read a scenario: strict YAML, overrides, the smoke form, the schema, and every mistake at once."""

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from eventsnn.errors import EventsnnError, RunError, ScenarioError
from eventsnn.scenario.text import yaml
from eventsnn.scenario.text.find import SHIPPED, find
from eventsnn.scenario.text.problems import sentences, short

UNHASHED = ("smoke",)


@dataclass(frozen=True)
class LoadedScenario:
    """A validated scenario and where it came from.

    Attributes
    ----------
    spec : Scenario
        The validated content, overrides applied.
    data : dict
        The same as plain data, as written (no defaults filled in).
    text : str
        The resolved scenario as YAML: running it again gives the same result.
    source : str
        Name of the file, for messages.
    folder : Path
        Relative paths in the scenario start here.
    place : callable
        Takes a path (tuple), returns "file:line" or the override that set it.
    """

    spec: object
    data: dict
    text: str
    source: str
    folder: Path
    place: object = field(repr=False, compare=False)

    @property
    def sha256(self):
        """Hash of everything that decides the result and its report; not of the number of threads."""
        content = self.spec.model_dump(mode="json", exclude=set(UNHASHED))
        if content.get("run"):
            del content["run"]["threads"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def name(self):
        """File name without folder and ending."""
        return Path(self.source).stem

    def error(self, path, problem):
        """Return a ScenarioError about one place of the file.

        Parameters
        ----------
        path : tuple
            Keys and indices.
        problem : str or Exception
            What is wrong.

        Returns
        -------
        ScenarioError
        """
        return ScenarioError(f"{self.place(path)}: {yaml.dotted(path)}: {problem}")

    @contextmanager
    def at(self, *path):
        """Say of a mistake that comes to light inside where it stands in the file.

        Parameters
        ----------
        *path : str or int
            Keys and indices.

        Raises
        ------
        ScenarioError
            In place of any error of eventsnn but those that say where already, and those of runs that could not go on.
        """
        try:
            yield
        except (ScenarioError, RunError):
            raise
        except EventsnnError as error:
            raise self.error(path, error) from None

    def file(self, text):
        """Turn a path of the scenario into a path on disk.

        Parameters
        ----------
        text : str
            Relative to the scenario's folder, absolute, or `shipped:NAME` inside the package.

        Returns
        -------
        Path
        """
        if text.startswith("shipped:"):
            return SHIPPED / text.removeprefix("shipped:")
        return self.folder / os.path.expanduser(text)


def load(path, overrides=(), smoke=False):
    """Read and check a scenario.

    Parameters
    ----------
    path : str or Path
        A .yml file, `shipped:NAME`, a raster.h5 that stores its scenario, or a run folder.
    overrides : iterable of str
        `a.b=value`, value in YAML.
    smoke : bool
        Apply the file's own `smoke:` section first.

    Returns
    -------
    LoadedScenario

    Raises
    ------
    ScenarioError
        With one line for each mistake in file, smoke section and overrides.
    """
    text, source, folder = find(path)
    data, lines = yaml.parse(text, source)
    return resolve(data, source, folder, overrides, smoke, {p: f"{source}:{n}" for p, n in lines.items()})


def resolve(data, source, folder, overrides=(), smoke=False, places=None):
    """Check plain data as a scenario, with overrides.

    Parameters
    ----------
    data : dict
        Content of the file.
    source : str
        Name for messages.
    folder : Path
        Where relative paths start.
    overrides, smoke
        As for `load`.
    places : dict
        Path to "file:line".

    Returns
    -------
    LoadedScenario

    Raises
    ------
    ScenarioError
        With one line for each mistake.
    """
    from eventsnn.scenario.rules import sections as rules
    from eventsnn.scenario.schema import scenario as schema

    places = dict(places or {})
    problems = []
    if not isinstance(data, dict):
        got = "an empty file" if data is None else short(data)
        raise ScenarioError(f"{source}:1: scenario: must be a mapping of keys, got {got}")
    light = data.get("smoke") if isinstance(data.get("smoke"), dict) else {}
    quick = [((), str(key), value, places.get(("smoke", key), source)) for key, value in light.items()]
    given = [(*_split(text), f"--set {text}") for text in overrides]
    if quick and not smoke:  # the smoke form must be right even when it is not run
        problems += _findings(schema, *_apply(data, places, quick), source, only=quick)[1]
    changed, places = _apply(data, places, (quick if smoke else []) + given)
    if smoke:
        changed.pop("smoke", None)
    spec, found = _findings(schema, changed, places, source)
    problems = list(dict.fromkeys(found + problems))
    loaded = LoadedScenario(spec, changed, yaml.write(changed), source, Path(folder), _placer(places, source))
    if spec is not None:
        problems += [str(loaded.error(where, what)) for where, what in rules.check(loaded)]
    if problems:
        raise ScenarioError("\n".join(problems))
    return loaded


def _findings(schema, data, places, source, only=None):
    """Validate; keep only what overrides in `only` brought about, if given."""
    spec, mistakes = schema.validate(data)
    lines = sentences(mistakes, data, _placer(places, source), schema.Scenario)
    if only is not None:
        marks = tuple(mark for *_, mark in only)
        lines = [line for line in lines if line.startswith(marks)]
    return spec, lines


def _placer(places, source):
    def place(path):
        while path and path not in places:
            path = path[:-1]
        return places.get(path, f"{source}:1")

    return place


def _split(text):
    """Take `a.b=value` apart; the value is YAML."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ScenarioError(f"--set {text}: must look like a.b=value")
    return (), path.strip(), yaml.parse(value, f"--set {text}")[0]


def _apply(data, places, changes):
    """Return a copy of the data with changes made, and where each path now comes from."""
    data, places = json.loads(json.dumps(data)), dict(places)
    for _, dotted_path, value, mark in changes:
        steps, node, path = dotted_path.split("."), data, ()
        for index, step in enumerate(steps):
            key = _index(node, step, mark)
            path = (*path, key)
            if index == len(steps) - 1:
                node[key] = value
                places = {p: m for p, m in places.items() if p[: len(path)] != path}
                places[path] = mark
                break
            below = node.get(key) if isinstance(node, dict) else node[key]
            if not isinstance(below, dict | list):
                node[key] = below = {}
                places[path] = mark
            node = below
    return data, places


def _index(node, step, mark):
    """Key of a mapping, or number of a list entry."""
    if not isinstance(node, list):
        return step
    numbers = {str(index): index for index in range(len(node))}
    if step not in numbers:
        allowed = f"allowed 0 to {len(node) - 1}" if node else "which is empty"
        raise ScenarioError(f"{mark}: must name an entry of the list, got {step!r}, {allowed}")
    return numbers[step]
