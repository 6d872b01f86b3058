"""Every error that eventsnn raises on purpose, and the helper that suggests the right spelling."""

import difflib


class EventsnnError(Exception):
    """Base of all errors raised by eventsnn: catching it catches every message meant for a user."""


class RasterError(EventsnnError, ValueError):
    """A spike raster is malformed: unsorted, out of range, truncated or hostile."""


class ModelError(EventsnnError, ValueError):
    """A neuron model is unknown, or one of its parameters is out of range."""


class NetworkError(EventsnnError, ValueError):
    """Populations, projections, relays and drives do not fit together."""


class ScenarioError(EventsnnError, ValueError):
    """A scenario file is wrong; the message lists every mistake with file, line and path."""


class DataError(EventsnnError, ValueError):
    """A data set or weight file is missing, corrupt or not what it claims to be."""


class RunError(EventsnnError, RuntimeError):
    """A run could not go on: early spikes refused, numbers not finite, disk full."""


def did_you_mean(name, allowed):
    """Suggest the nearest allowed spelling.

    Parameters
    ----------
    name : str
        What the user wrote.
    allowed : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``", did you mean 'x'?"`` or an empty string when nothing is near.
    """
    near = difflib.get_close_matches(str(name), [str(a) for a in allowed], n=1, cutoff=0.6)
    return f", did you mean '{near[0]}'?" if near else ""
