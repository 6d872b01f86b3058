"""Strict YAML 1.2 in and out: plain data with a line number for every path, and nothing executable."""

import io
from functools import cache

from eventsnn.errors import ScenarioError

LARGEST = 1_000_000  # bytes; a scenario is a page of text
DEEPEST = 40
_PREFIX = "tag:yaml.org,2002:"


@cache
def _library():
    """Import the YAML library when the first file is read: `eventsnn --help` does not need it."""
    import ruamel.yaml

    return ruamel.yaml


def parse(text, source):
    """Read YAML text into plain data.

    Parameters
    ----------
    text : str
        The document: mappings, lists, texts, numbers, booleans, null.
    source : str
        Name of the file, for messages.

    Returns
    -------
    data : object
        dict, list, str, int, float, bool or None.
    lines : dict
        Line number (from 1) of every path, a path being a tuple of keys and indices.

    Raises
    ------
    ScenarioError
        For bad syntax, duplicate keys, anchors, aliases, merge keys, tags, several documents, control
        characters, nesting deeper than 40 or more than 1 MB.
    """
    if len(text) > LARGEST:
        raise ScenarioError(f"{source}:1: file too large, got {len(text)} characters, allowed {LARGEST}")
    library = _library()
    try:
        _refuse_features(library, text, source)
        root = library.YAML(typ="safe", pure=True).compose(io.StringIO(text))
        lines = {}
        data = None if root is None else _build(root, (), lines, source)
    except library.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ScenarioError(f"{source}:{line}: not valid YAML: {error.problem or error.context}") from None
    except library.reader.ReaderError as error:
        raise ScenarioError(f"{source}:1: not valid YAML: character {error.character!r} is not allowed") from None
    except (library.error.YAMLError, ValueError, OverflowError, IndexError, TypeError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise ScenarioError(f"{source}:1: not valid YAML: {error}") from None
    return data, lines


def _refuse_features(library, text, source):
    """Walk the event stream once (no recursion) and refuse what a scenario does not need."""
    depth = documents = 0
    for event in library.YAML(typ="safe", pure=True).parse(io.StringIO(text)):
        line = event.start_mark.line + 1
        if isinstance(event, library.events.AliasEvent) or getattr(event, "anchor", None):
            raise ScenarioError(f"{source}:{line}: anchors and aliases (& and *) are not allowed, write the value out")
        if getattr(event, "tag", None):
            raise ScenarioError(f"{source}:{line}: tags are not allowed, got '{event.tag}', write plain values")
        if isinstance(event, library.events.CollectionStartEvent):
            depth += 1
        if isinstance(event, library.events.CollectionEndEvent):
            depth -= 1
        if isinstance(event, library.events.DocumentStartEvent):
            documents += 1
            if tuple(event.version or (1, 2)) != (1, 2):
                raise ScenarioError(f"{source}:{line}: a scenario is YAML 1.2, remove the %YAML line")
        if depth > DEEPEST:
            raise ScenarioError(f"{source}:{line}: nested too deep, allowed {DEEPEST} levels")
        if documents > 1:
            raise ScenarioError(f"{source}:{line}: a scenario is one document, got a second '---'")


def _build(node, path, lines, source):
    """Plain data of one node; lines of all paths below it."""
    lines[path] = node.start_mark.line + 1
    kind = type(node).__name__
    if kind == "MappingNode":
        result = {}
        for key_node, value_node in node.value:
            key = _key(key_node, source)
            if key in result:
                raise ScenarioError(
                    f"{source}:{key_node.start_mark.line + 1}: {dotted((*path, key))}: duplicate key, "
                    f"first written in line {lines[(*path, key)]}"
                )
            result[key] = _build(value_node, (*path, key), lines, source)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return result
    if kind == "SequenceNode":
        return [_build(child, (*path, index), lines, source) for index, child in enumerate(node.value)]
    return _scalar(node, source)


def _key(node, source):
    """A mapping key as text: a number or a boolean as key is read as it is written."""
    line = node.start_mark.line + 1
    if type(node).__name__ != "ScalarNode":
        raise ScenarioError(f"{source}:{line}: a key must be a name, got a {type(node).__name__[:-4].lower()}")
    if node.tag == _PREFIX + "merge":
        raise ScenarioError(f"{source}:{line}: merge keys (<<) are not allowed, write the keys out")
    return _text(node, source)


def _scalar(node, source):
    """One value under the core schema of YAML 1.2; anything else (dates) stays text."""
    kind = node.tag.removeprefix(_PREFIX)
    constructor = _library().YAML(typ="safe", pure=True).constructor
    try:
        if kind in ("int", "float", "bool", "null"):
            return getattr(constructor, f"construct_yaml_{kind}")(node)
    except (ValueError, KeyError, OverflowError) as error:
        line = node.start_mark.line + 1
        raise ScenarioError(f"{source}:{line}: not a valid {kind}, got {node.value[:40]!r} ({error})") from None
    return _text(node, source)


def _text(node, source):
    """Text as it stands; escapes can write what no file name and no file of text may hold."""
    wrong = next((c for c in node.value if c == "\0" or "\ud800" <= c <= "\udfff"), None)
    if wrong is not None:
        raise ScenarioError(f"{source}:{node.start_mark.line + 1}: not valid YAML: character {wrong!r} is not allowed")
    return str(node.value)


def dotted(path):
    """Write a path as the user does: `data.limit`, `populations.hidden.shape.0`.

    Parameters
    ----------
    path : tuple
        Keys and indices.

    Returns
    -------
    str
        The parts joined by dots; 'scenario' for the whole file.
    """
    return ".".join(str(part) for part in path) or "scenario"


def write(data):
    """Write plain data as YAML text that `parse` reads back unchanged.

    Parameters
    ----------
    data : dict
        Plain data.

    Returns
    -------
    str
        Block-style YAML, keys in the order given.
    """
    library = _library()
    writer = library.YAML(typ="rt", pure=True)
    writer.default_flow_style = False
    writer.width = 110
    writer.allow_unicode = True
    stream = io.StringIO()
    writer.dump(data, stream)
    return stream.getvalue()
