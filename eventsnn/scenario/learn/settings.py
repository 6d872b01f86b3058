"""What a learning rule is told: its class of settings, filled from the keys of `learn:`, and where each of them stands."""

import importlib

SAME_TTFS = ("neuron", "alpha", "alpha_initial", "epochs", "batch", "optimiser", "learning_rate", "schedule", "decay",
             "decay_steps", "momentum", "weight_decay", "precision", "early", "silent_help", "activity_penalty", "validation",
             "patience", "keep", "seed")  # fmt: skip
SAME_ADJOINT = ("epochs", "batch", "learning_rate", "delay_rate", "least_delay", "parameters", "parameter_rate", "optimiser",
                "momentum", "schedule", "decay", "decay_steps", "weight_decay", "silent_lift", "validation", "patience", "keep")
SAME_PATTERNS = ("hidden", "wb", "ab", "gb", "rb", "alpha", "beta", "tau", "optimiser", "learning_rate", "gradient_rate",
                 "init_gain", "init_on_state_grid")  # fmt: skip
WINDOW = {"window": "rule", "windows": "lengths", "gamma": "gamma", "zeta": "zeta", "latency_quantile": "quantile",
          "scan": "scan", "final_window": "final"}  # fmt: skip
TTFS_PARTS = {
    "window": WINDOW, "noise": {"noise_times": "times", "noise_alpha": "alpha", "noise_silent": "silent"},
    "time_grid": {"time_bits": "bits", "time_rounding": "rounding"},
    "weight_grid": {"weight_bits": "bits", "weight_range": "range", "weight_grid": "kind"},
}  # fmt: skip
RENAMED_DECOLLE = {"dt": "dt_ms", "train_window": "train_ms", "test_window": "test_ms"}


def settings_of(loaded):
    """Return the learner's settings from a scenario.

    Parameters
    ----------
    loaded : LoadedScenario

    Returns
    -------
    StdbSettings, TtfsSettings, DecolleSettings, AdjointSettings or PatternSettings
    """
    kind, values, _ = arguments(loaded.spec)
    with loaded.at("learn"):
        return kind(**values)


def arguments(spec):
    """Return what the settings of a learning rule are made from.

    Parameters
    ----------
    spec : Scenario

    Returns
    -------
    kind : type
        The class of settings; importable without PyTorch.
    values : dict
        Its arguments.
    places : dict of str to tuple
        Argument -> path under `learn`, of those that are called something else there.
    """
    module, name, make = RULES[spec.learn.rule]
    return getattr(importlib.import_module(f"eventsnn.learning.{module}"), name), *make(spec)


def _stdb(spec):
    return spec.learn.model_dump(exclude={"rule", "data", "test"}), {}


def _ttfs(spec):
    learn = spec.learn
    values, places = {name: getattr(learn, name) for name in SAME_TTFS}, {}
    for part, keys in TTFS_PARTS.items():
        own = getattr(learn, part)
        for name, key in keys.items() if own is not None else ():
            values[name], places[name] = getattr(own, key), (part, key)
    return values, places


def _decolle(spec):
    given = spec.learn.model_dump(exclude={"rule", "data", "test", "weights", "image_rate"})
    if given["layers"] is None:
        del given["layers"]
    values = {RENAMED_DECOLLE.get(name, name): value for name, value in given.items()}
    return values, {ours: (key,) for key, ours in RENAMED_DECOLLE.items()}


def _adjoint(spec):
    return {name: getattr(spec.learn, name) for name in SAME_ADJOINT} | {"seed": spec.seed}, {}


def _patterns(spec):
    learn = spec.learn
    values = {name: getattr(learn, name) for name in SAME_PATTERNS}
    for name in ("kappa", "eb"):  # may name another key
        value = getattr(learn, name)
        values[name] = getattr(learn, value) if isinstance(value, str) else value
    return values | {"fan_in": tuple(learn.fan_in) if learn.fan_in else None}, {}


RULES = {
    "stdb": ("stdb.settings", "StdbSettings", _stdb),
    "ttfs": ("ttfs.settings", "TtfsSettings", _ttfs),
    "decolle": ("decolle.settings", "DecolleSettings", _decolle),
    "adjoint": ("adjoint.settings", "AdjointSettings", _adjoint),
    "van_rossum": ("patterns.learner", "PatternSettings", _patterns),
}
"""Rule -> module under eventsnn.learning, class of settings, and what fills it."""
