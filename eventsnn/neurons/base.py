"""The contract of a neuron model, and the registry of models by name.

A model is one small file: a class with parameters, state variables and a few static functions. The functions are
plain Python on arrays; `eventsnn.compile` puts them into the engine's loops. Common arguments of the functions:

==========  =======================================================================================================
`state`     ``(n_variables, lanes)`` state of the neurons that are evaluated together; row k is variable k
`i`         which neuron (lane) to evaluate
`inputs`    ``(n_ports, lanes)`` what arrived at each port in this instant, already summed
`t`         the instant, an integer step
`p`         parameters shared by the population, by name: ``p.leak``
`maps`      ``(n_maps, lanes)`` parameters that differ from neuron to neuron; row k is map k
==========  =======================================================================================================
"""

import importlib
from dataclasses import dataclass

import numpy as np

from eventsnn.errors import ModelError, did_you_mean

NEVER = 2**62  # the instant of something that does not happen
SILENT, SPIKE, EARLY = 0, 1, 2  # outcomes of a gated neuron's window


@dataclass(frozen=True)
class Param:
    """A parameter of a model.

    Parameters
    ----------
    name : str
        The name users write.
    default : float
        Its default value.
    doc : str
        Meaning, unit and range, shown in messages.
    low, high : float
        Smallest and largest allowed value.
    per_neuron : bool
        Whether every neuron may have its own value (then it is a row of `maps`).
    table : bool
        Whether it is a table: any number of rows, each of one number, one per channel or one per neuron.
    """

    name: str
    default: float
    doc: str
    low: float = -np.inf
    high: float = np.inf
    per_neuron: bool = False
    table: bool = False


@dataclass(frozen=True)
class Switch:
    """A named choice that is fixed when the model is compiled; `step` reads it as the global `constant`."""

    name: str
    constant: str
    default: object
    allowed: tuple
    doc: str = ""


class NeuronModel:
    """What every model declares.

    Attributes
    ----------
    name : str
        The name in scenario files.
    clock : str
        ``"grid"``; ``"continuous"``; or ``"gated"``: on the continuous clock, in a window that opens after all of its
        input has arrived.
    variables : tuple of (str, default)
        State variables and their initial values (overridden by a parameter ``<variable>_init`` where declared).
    ports : tuple of str
        Names of the input ports.
    parameters : tuple of Param
    maps : tuple of str or None
        Names of the rows of `maps`, in order; None: the parameters declared `per_neuron`.
    switches : tuple of Switch
    arrays : tuple of str
        Names of arrays among the values that `derive` returns; ``p.name[k]`` is an entry, the same for all neurons.
    unit_amplitude : bool
        Whether every spike has amplitude 1, whatever the parameters are; `sends_ones` says it for given ones.
    fires : bool
        False for populations that only integrate.
    graded : bool
        True where what it emits is a value that is sent on at every step, not a spike: it does not count as activity.
    """

    name = ""
    clock = "grid"
    variables = (("v", 0.0),)
    ports = ("input",)
    parameters = ()
    maps = None
    switches = ()
    arrays = ()
    unit_amplitude = True
    fires = True
    graded = False

    @classmethod
    def derive(cls, values):
        """Return (values, constants): parameters as the kernels want them, and constants to compile in."""
        return values, {}

    @classmethod
    def variables_of(cls, values):
        """Return the variables that these parameters need: the first ones of `variables`, so that row numbers stand."""
        return cls.variables

    @classmethod
    def map_names(cls, values):
        """Return the names of the rows of `maps`, in order, for parameters as `derive` returns them."""
        return cls.maps if cls.maps is not None else tuple(p.name for p in cls.parameters if p.per_neuron)

    @classmethod
    def sends_ones(cls, values):
        """Return whether with these parameters every spike has amplitude 1."""
        return cls.unit_amplitude

    @classmethod
    def check(cls, values):
        """Return a sentence saying what is wrong with the parameters taken together, or None."""
        return None

    @classmethod
    def amplitude_range(cls, values):
        """Return the smallest and largest amplitude of an instant, 0 for silence included: bounds on what is still to come."""
        return (0.0, 1.0) if cls.unit_amplitude else (-np.inf, np.inf)

    @classmethod
    def most_spikes(cls, values):
        """Return how often a neuron can spike in a sample at the most; infinite where nothing bounds it."""
        return np.inf


class GridModel(NeuronModel):
    """A model on the grid clock; the smallest model defines `step` alone.

    The stepped engine calls `step` for every neuron at every instant. The event engine calls it only where something
    arrived or where `wake` asked for it, and `skip` for the silent steps in between; both give the same bits.
    """

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        """Everything that happens to neuron `i` in instant `t`; returns the amplitude it emits, 0 for none."""
        return 0.0

    @staticmethod
    def wake(state, i, t, p, maps):
        """Next instant (> t) at which a step without input could emit or change course; never late, early is a cost.

        The default is always the next instant: right for any model.
        """
        return t + 1

    IDLE = False  # True: a silent step before `wake` changes nothing, so it need not be taken


def rises_to(v, threshold, bias, leak, soon):
    """Bound for `wake`: when a constant bias lifts a leaky membrane to its threshold.

    Parameters
    ----------
    v, threshold, bias : float
        v < threshold, threshold > 0.
    leak : float
        Factor per step, 1 for none.
    soon : int
        The next instant.

    Returns
    -------
    int
        An instant, at least `soon`, before which the threshold is not reached: while v rises by at most `rise` a step, that
        takes (threshold - v) / rise steps.
    """
    gap, rise = np.float64(threshold) - np.float64(v), np.float64(bias) - (1.0 - np.float64(leak)) * np.float64(v)
    # what rounding may add in each step: at its fixed point a leaky neuron rises by that alone
    rise += 1e-6 * (abs(np.float64(v)) + np.float64(threshold))
    if rise > 0.0 and gap < 1e300:
        return max(soon, soon + np.int64(min(gap / rise, 1e9)) - 1)
    return NEVER


class GatedModel(NeuronModel):
    """A model that integrates until its window opens at `t_open` (ms) and fires at most once in it.

    All deliveries are due when the window opens, in ascending source id; then `fire` is called once per neuron.
    """

    clock = "gated"
    unit_amplitude = False
    carries_time = True  # an input spike without amplitude carries the time left to its raster's end; False: 1

    @staticmethod
    def fire(state, i, inputs, p, maps):
        """Return (outcome, delay, amplitude): whether it spikes, ms after the opening, and what the spike carries.

        The outcome is `SILENT`, `SPIKE`, or `EARLY` (ends the run with a message). A delay below 0 counts as 0. `fire`
        writes the potential of the opening into ``state[0, i]``, where it can be read; it reads no state, for it may be
        called twice.
        """
        return SILENT, inputs[0, i], inputs[0, i]

    # optional: guard(state, i, inputs, p, maps) -> bool, whether the neuron spikes, where that is cheaper to tell than by
    # `fire`. It writes the potential too. All neurons are asked, without branches so that it vectorises; `fire` is then
    # called for those that spike.
    guard = None


_FILES = {  # file in this room -> the models it registers
    "integrate_and_fire": ("if", "lif", "lif_shortcut"),
    "accumulator": ("accumulator",),
    "peak": ("peak",),
    "codings": ("rate", "phase", "burst"),
    "ttfs": ("ttfs", "ttfs_readout", "ttfs_early"),
    "ramp": ("ramp", "ramp_readout"),
    "signed": ("signed", "thermometer"),
    "lif_current": ("lif_current",),
    "decolle": ("decolle_trace", "decolle_membrane", "decolle_spike", "decolle_activation", "decolle_readout"),
    "lif_delta": ("lif_continuous",),
    "cuba_lif": ("cuba_lif",),
    "ramp_continuous": ("ramp_ungated", "ramp_alpha1", "ramp_ungated_readout"),
}
_MODULES = {model: file for file, models in _FILES.items() for model in models}
_registered = {}


def register(model):
    """Make a model known by its name; usable as a class decorator in a user's own file.

    Parameters
    ----------
    model : type
        A subclass of `GridModel`, `GatedModel` or `ContinuousModel`.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    ModelError
        If it has no name, or the name of another model.
    """
    if not (isinstance(model, type) and issubclass(model, NeuronModel) and model.name):
        raise ModelError(f"{model!r} is not a neuron model: derive a class from GridModel, GatedModel or ContinuousModel, and "
                         "give it a name")
    home = f"eventsnn.neurons.{_MODULES[model.name]}" if model.name in _MODULES else model.__module__
    other = _registered.get(model.name, model)
    # the same class once more replaces itself: a cell of a notebook that is run again
    if model.__module__ != home or (other.__module__, other.__qualname__) != (home, model.__qualname__):
        whose = "a model of eventsnn" if model.name in _MODULES else f"{other.__module__}.{other.__qualname__}"
        raise ModelError(f"{model.__module__}.{model.__qualname__}: the name '{model.name}' is that of {whose}; take another")
    _registered[model.name] = model
    return model


def model_names():
    """Return the names of all known models, sorted."""
    return sorted({*_MODULES, *_registered})


def find_model(model):
    """Return the model class for a name (or for a class, itself).

    Raises
    ------
    ModelError
        If no model has that name, or the model does not say what its neurons do.
    """
    if isinstance(model, type) and issubclass(model, NeuronModel):
        return _complete(model)
    if not isinstance(model, str):
        raise ModelError(f"model: must be a name or a class of neuron models, got {model!r}")
    if model not in _registered and model in _MODULES:
        importlib.import_module(f"eventsnn.neurons.{_MODULES[model]}")
    if model not in _registered:
        raise ModelError(f"model: unknown neuron model {model!r}, allowed {', '.join(model_names())}"
                         f"{did_you_mean(model, model_names())}")
    return _complete(_registered[model])


def _complete(model):
    if model.clock == "grid" and getattr(model, "step", GridModel.step) is GridModel.step:
        raise ModelError(f"model '{model.name}' does not say what happens in an instant: define step(state, i, inputs, t, p, "
                         "maps)")
    if model.clock == "gated" and getattr(model, "fire", GatedModel.fire) is GatedModel.fire:
        raise ModelError(f"model '{model.name}' does not say when it spikes: define fire(state, i, inputs, p, maps)")
    if model.clock == "gated" and "t_open" not in {p.name for p in model.parameters}:
        raise ModelError(f"model '{model.name}' is gated and needs a parameter t_open: when its window opens, ms")
    return model
