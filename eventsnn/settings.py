"""What classes of settings share: values of a list of choices, and settings from a dict."""

from dataclasses import fields

from eventsnn.errors import ModelError, did_you_mean


def check_choices(settings, choices, what):
    """Refuse a value that is not one of its choices.

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
        If a value is none of them; the nearest is suggested.
    """
    for name, allowed in choices.items():
        got = getattr(settings, name)
        if got not in allowed:
            raise ModelError(f"{what}: {name} must be one of {', '.join(allowed)}, got {got!r}{did_you_mean(got, allowed)}")


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
        If a key is unknown; the nearest is suggested.
    """
    if isinstance(values, kind):
        return values
    names = [f.name for f in fields(kind)]
    for key in values:
        if key not in names:
            raise ModelError(f"{what}: unknown setting '{key}'{did_you_mean(key, names)}; allowed: {', '.join(names)}")
    return kind(**values)
