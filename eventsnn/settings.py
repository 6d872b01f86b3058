"""What classes of settings share: values of a list of choices, numbers of a range, and settings from a dict."""

import functools
from collections.abc import Hashable
from dataclasses import fields
from numbers import Integral, Real

import numpy as np

from eventsnn.errors import ModelError, did_you_mean


def check_choice(got, allowed, where, error=ModelError):
    """Refuse a value that is not one of its choices.

    Parameters
    ----------
    got : object
    allowed : collection
    where : str
        Whose value it is, for the message.
    error : type
        What is raised.

    Raises
    ------
    ModelError
        (or `error`) if it is none of them; the nearest is suggested.
    """
    if not isinstance(got, Hashable) or got not in allowed:
        raise error(f"{where} must be one of {', '.join(map(str, allowed))}, got {got!r}{did_you_mean(got, allowed)}")


def check_choices(settings, choices, what):
    """Refuse settings of which a value is not one of its choices.

    Parameters
    ----------
    settings : dataclass
    choices : dict of str to collection of str
        Name of a setting -> what it may be.
    what : str
        Whose settings they are, for the message.

    Raises
    ------
    ModelError
        As `check_choice`.
    """
    for name, allowed in choices.items():
        check_choice(getattr(settings, name), allowed, f"{what}: {name}")


def check_number(got, interval, where, kind=float, error=ModelError):
    """Refuse a value that is not a number of an interval.

    Parameters
    ----------
    got : object
    interval : str
        As in mathematics: ``"(0, 1]"`` holds 1 and not 0, ``"[0, inf)"`` all finite numbers that are not negative.
    where : str
        Whose value it is, for the message.
    kind : type
        int: a whole number; ``int | None``, ``float | None``: or None.
    error : type
        What is raised.

    Raises
    ------
    ModelError
        (or `error`) if it is none; NaN is in no interval, True is no number.
    """
    whole, optional = kind in (int, int | None), kind not in (int, float)
    if got is None and optional:
        return
    least, most = _ends(interval)
    number = isinstance(got, Integral if whole else Real) and not isinstance(got, bool)
    if not number or not (least < got < most or (got == least and "[" in interval) or (got == most and "]" in interval)):
        wanted = f"{'whole ' if whole else ''}number in {interval}{' or none' if optional else ''}"
        raise error(f"{where} must be a {wanted}, got {got!r}")


@functools.cache  # there are few intervals, and every run checks some numbers
def _ends(interval):
    return tuple(map(float, interval[1:-1].split(",")))


def as_numbers(values, where, kinds="fiu", error=ModelError):
    """Return an array of numbers.

    Parameters
    ----------
    values : array_like
    where : str
        Whose values they are, for the message.
    kinds : str
        Kinds of dtype: f floating, i and u whole numbers, b truth values; an empty list is of any kind.
    error : type
        What is raised.

    Returns
    -------
    ndarray
        Not a copy where it is an array already.

    Raises
    ------
    ModelError
        (or `error`) if it is no array, ragged, or of another kind.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise error(f"{where} must be numbers of one shape, got a ragged list") from None
    if array.dtype.kind not in kinds and not (array.size == 0 and array.dtype.kind == "f"):
        wanted = "whole numbers" if "f" not in kinds else "numbers"
        raise error(f"{where} must be {wanted}, got {array.dtype if array.ndim else repr(values)}")
    return array


def check_numbers(settings, ranges, what):
    """Refuse settings of which a number is out of its range or not whole as its field is, or a truth value is none.

    Parameters
    ----------
    settings : dataclass
    ranges : dict of str to collection of str
        Interval, see `check_number` -> names of settings.
    what : str
        Whose settings they are, for the message.

    Raises
    ------
    ModelError
        As `check_number`.
    """
    kinds = {f.name: f.type for f in fields(settings)}
    for name in (name for name, kind in kinds.items() if kind is bool):
        if not isinstance(got := getattr(settings, name), bool | np.bool_):  # "no" would count as true
            raise ModelError(f"{what}: {name} must be true or false, got {got!r}")
    for interval, names in ranges.items():
        for name in names:
            check_number(getattr(settings, name), interval, f"{what}: {name}", kinds[name])


def check_known(names, allowed, what, kind="setting"):
    """Refuse a name that does not exist.

    Parameters
    ----------
    names, allowed : iterable of str
        What was given; what there is.
    what : str
        Whose names they are, for the message.
    kind : str
        What is named.

    Raises
    ------
    ModelError
        If a name is unknown; the nearest is suggested.
    """
    for name in names:
        if name not in allowed:
            raise ModelError(f"{what}: unknown {kind} '{name}'{did_you_mean(name, allowed)}; allowed: {', '.join(allowed)}")


def settings_from(kind, values, what):
    """Make settings from a dict, or pass settings through.

    Parameters
    ----------
    kind : type
        A dataclass of settings.
    values : dict or kind
    what : str
        Whose settings they are, for the message.

    Returns
    -------
    kind

    Raises
    ------
    ModelError
        If they are neither, or a key is unknown; the nearest is suggested.
    """
    if isinstance(values, kind):
        return values
    if not isinstance(values, dict):
        raise ModelError(f"{what}: settings must be a dict or {kind.__name__}, got {type(values).__name__}")
    check_known(values, [f.name for f in fields(kind)], what)
    return kind(**values)
