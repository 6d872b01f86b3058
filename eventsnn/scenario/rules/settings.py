"""Settings of training and learning, made as soon as a scenario is read: what they refuse is known before anything runs."""

import re
from dataclasses import fields

from eventsnn.errors import ModelError
from eventsnn.scenario.learn.settings import arguments


def check(spec):
    """Find values that the settings of `train:` and `learn:` refuse.

    Parameters
    ----------
    spec : Scenario

    Yields
    ------
    path : tuple
        Where.
    problem : str
        What is wrong and what would be right.
    """
    if spec.train is not None:
        yield from _training(spec.train)
    if spec.learn is not None:
        kind, values, places = arguments(spec)
        yield from mistakes(kind, values, ("learn",), places)


def _training(train):
    from eventsnn.ann.settings import TrainSettings
    from eventsnn.ann.twin_settings import TwinSettings

    values = train.settings.model_dump()
    if train.twin is not None:
        own = train.twin.model_dump(include={f.name for f in fields(TwinSettings)})
        yield from mistakes(TwinSettings, own, ("train", "twin"))
        values["twin"] = TwinSettings()  # its values have been looked at
    yield from mistakes(TrainSettings, values, ("train", "settings"))


def mistakes(kind, values, path, places=None):
    """Find every value that a class of settings refuses: it names one at a time, which is left out, and it is asked again.

    Parameters
    ----------
    kind : type
        A dataclass; ModelErrors of its values are "WHOSE: NAME ...".
    values : dict
        All of its arguments.
    path : tuple
        Where they stand.
    places : dict of str to tuple, optional
        Where under it those stand that are called something else there.

    Yields
    ------
    path : tuple
    problem : str
    """
    left, reported = dict(values), set()
    while True:
        try:
            kind(**left)
            return
        except ModelError as error:
            problem = str(error).partition(": ")[2]
        names, quoted = ([w for w in re.findall(r"\w+", part) if w in values] for part in problem.partition(" got ")[::2])
        follows = reported.intersection([*names[:1], *quoted])  # from the default of what was left out
        if not follows:
            place = (places or {}).get(names[0], names[:1]) if names else ()
            yield (*path, *place), re.sub(r"^\w+ (?=must )", "", problem)  # its name is in the path
        out = next((name for name in [*names, *quoted] if name in left), None)
        if out is None:
            return
        reported.add(out)
        del left[out]
