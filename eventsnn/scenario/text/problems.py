"""Turn the schema's findings into sentences: `file:line: path: problem, got …, allowed …, did you mean …?`."""

import typing

from eventsnn.errors import did_you_mean
from eventsnn.scenario.text.yaml import dotted

EXPECTED = {
    "string_type": "must be text", "int_type": "must be a whole number", "float_type": "must be a number",
    "bool_type": "must be true or false", "list_type": "must be a list", "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys", "model_attributes_type": "must be a mapping of keys",
    "finite_number": "must be a finite number", "int_from_float": "must be a whole number",
    "int_parsing_size": "is out of range", "string_pattern_mismatch": "must be a name of letters, digits, _ and -",
}  # fmt: skip
BOUNDS = {
    "greater_than": "must be > {gt}", "greater_than_equal": "must be >= {ge}", "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}", "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries", "string_too_short": "must not be empty",
}  # fmt: skip


def sentences(mistakes, data, place, schema):
    """Write every finding of the schema as one line.

    Parameters
    ----------
    mistakes : list of dict
        From `schema.validate`.
    data : object
        The plain data that was checked.
    place : callable
        Takes a path (tuple), returns "file:line".
    schema : type
        The model of the whole file; its fields say which keys are allowed where.

    Returns
    -------
    list of str
        One line for each path, in the order of the file; mistakes of one value in several members of a union are one.
    """
    found = {}
    for mistake in mistakes:
        path = path_in(mistake["loc"], data, mistake["type"])
        if mistake["type"] == "union_tag_invalid":
            path = (*path, mistake["ctx"]["discriminator"].strip("'"))
        text = _problem(mistake, path, schema)
        found.setdefault(path, []) if text in found.get(path, []) else found.setdefault(path, []).append(text)
    return [f"{place(path)}: {dotted(path)}: {_merge(texts)}" for path, texts in found.items()]


def _merge(texts):
    """Join alternatives for one value: 'must be a number or must be text, got …'."""
    if len(texts) == 1:
        return texts[0]
    heads = [text.split(", got ")[0].removeprefix("must be ") for text in texts]
    tail = texts[0].partition(", got ")[2]
    return "must be " + " or ".join(dict.fromkeys(heads)) + (f", got {tail}" if tail else "")


def path_in(loc, data, kind=""):
    """Path in the file of a finding: the schema's own steps (tags of unions) are left out.

    Parameters
    ----------
    loc : tuple
        Location in the schema.
    data : object
        The plain data.
    kind : str
        Type of the finding; a missing or key-related one keeps its last step.

    Returns
    -------
    tuple
        Keys and indices.
    """
    path, node = [], data
    for index, step in enumerate(loc):
        last = index == len(loc) - 1
        if (isinstance(node, dict) and step in node) or (isinstance(node, list) and isinstance(step, int) and step < len(node)):
            path, node = [*path, step], node[step]
        elif last and kind == "missing":
            path = [*path, step]
    return tuple(path)


def _problem(mistake, path, schema):
    kind, context = mistake["type"], mistake.get("ctx", {})
    got = f", got {short(mistake['input'])}"
    if kind == "extra_forbidden":
        allowed = allowed_keys(mistake["loc"][:-1], schema)
        return f"unknown key, allowed {', '.join(allowed)}{did_you_mean(path[-1], allowed)}"
    if kind == "missing":
        return "required, but not there"
    if kind == "union_tag_not_found":
        tag = context["discriminator"].strip("'")
        choices = allowed_tags(mistake["loc"], schema, tag)
        return f"needs the key '{tag}', allowed {', '.join(choices)}"
    if kind == "union_tag_invalid":
        choices = context["expected_tags"].replace("'", "").split(", ")
        return f"unknown value, got {context['tag']!r}, allowed {', '.join(choices)}{did_you_mean(context['tag'], choices)}"
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"unknown value{got}, allowed {', '.join(choices)}{did_you_mean(mistake['input'], choices)}"
    if kind == "value_error":
        return str(context.get("error", mistake["msg"]))
    if kind in BOUNDS:
        return BOUNDS[kind].format(**context) + got
    return EXPECTED.get(kind, mistake["msg"][:1].lower() + mistake["msg"][1:]) + got


def short(value):
    """Return a value as messages show it: at most 60 characters, no Python."""
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)} entries"
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def allowed_keys(loc, schema):
    """Keys that the schema allows at a location.

    Parameters
    ----------
    loc : tuple
        Location in the schema, tags of unions included.
    schema : type
        Model of the whole file.

    Returns
    -------
    list of str
        Names of the fields, sorted as declared.
    """
    return list(dict.fromkeys(name for model in _models_at(loc, schema) for name in model.model_fields))


def allowed_tags(loc, schema, tag):
    """Values that the discriminator `tag` may have at a location, as a list of str."""
    found = []
    for model in _models_at(loc, schema):
        if tag in model.model_fields:
            found += typing.get_args(model.model_fields[tag].annotation)
    return list(dict.fromkeys(found))


def _models_at(loc, schema):
    """Model classes that a location may mean: walk annotations, narrowing unions by their tags."""
    here = [schema]
    for step in loc:
        models = [x for x in here if hasattr(x, "model_fields")]
        below = [m.model_fields[step].annotation for m in models if step in m.model_fields]
        tagged = [m for m in models if step in _tags(m)]
        if below:
            here = [x for annotation in below for x in _members(annotation)]
        elif tagged:
            here = tagged
        else:  # a key of dict[str, Model], an index of a list, or the tag of a named union member
            here = [x for annotation in here for x in (_members(annotation, True) or [annotation])]
    return [x for x in here if hasattr(x, "model_fields")]


def _tags(model):
    """Values of the Literal fields of a model: the names under which a union may call it."""
    return {x for f in model.model_fields.values() for x in typing.get_args(f.annotation) if isinstance(x, str)}


def _members(annotation, inside=False):
    """Classes and containers in an annotation; `inside` opens dict and list."""
    if typing.get_origin(annotation) in (dict, list):
        return [x for arg in typing.get_args(annotation) for x in _members(arg)] if inside else [annotation]
    arguments = typing.get_args(annotation)
    if arguments:
        return [x for arg in arguments for x in _members(arg, inside)]
    return [annotation] if isinstance(annotation, type) else []
