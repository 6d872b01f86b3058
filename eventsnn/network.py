"""Networks as pure, validated data: inputs, populations, projections, relays, drives and a readout."""

import math
from dataclasses import dataclass, field

import numpy as np

from eventsnn.errors import NetworkError
from eventsnn.neurons.base import find_model
from eventsnn.parameters import parameter_values
from eventsnn.settings import check_choice, check_number

DTYPES = ("float32", "float64", "int16", "int32", "int64")
READOUTS = ("membrane", "count", "first_spike", "vote")


MOST = 2**31 - 1  # neurons of a node: ids are 32 bits wide


def _shape(name, shape):
    entries = tuple(shape) if isinstance(shape, tuple | list | np.ndarray) else (shape,)
    for n in entries:
        check_number(n, f"[1, {MOST}]", f"{name}: shape, n or (y, x, channel),", int, NetworkError)
    if len(entries) not in (1, 3) or math.prod(map(int, entries)) > MOST:
        raise NetworkError(f"{name}: shape must be n or (y, x, channel), {MOST} neurons at the most, got {shape}")
    return tuple(map(int, entries))


def _name(kind, name):
    if not isinstance(name, str) or not name:
        raise NetworkError(f"{kind}: its name must be text, got {name!r}")
    return f"{kind} {name}"


@dataclass(frozen=True)
class Input:
    """A place where spikes or drive enter from outside.

    Parameters
    ----------
    name : str
    shape : int or tuple
        n or (y, x, channel); ids are row-major.
    """

    name: str
    shape: tuple

    def __post_init__(self):
        object.__setattr__(self, "shape", _shape(_name("input", self.name), self.shape))

    @property
    def size(self):
        """Number of channels."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Population:
    """n neurons of one model.

    Parameters
    ----------
    name : str
    shape : int or tuple
        n or (y, x, channel).
    model : str or type, default "if"
        Name of a registered model, or the class itself.
    parameters : dict
        By name; a parameter that the model declares per neuron may be a number, one number per channel, or one per
        neuron (of the population's shape or flat).
    dtype : {"float32", "float64", "int16", "int32", "int64"}, optional
        Of state, weights and arithmetic. By default float32; float64, and nothing else, where the model may spike at any
        time. Gated models need a float. Whole numbers wrap around where they leave the range of the dtype.

    Raises
    ------
    NetworkError, ModelError
        If the shape, the model, a parameter or the dtype is not allowed.
    """

    name: str
    shape: tuple
    model: object = "if"
    parameters: dict = field(default_factory=dict)
    dtype: str | None = None

    def __post_init__(self):
        where = _name("population", self.name)
        object.__setattr__(self, "shape", _shape(where, self.shape))
        object.__setattr__(self, "model", find_model(self.model))
        object.__setattr__(self, "dtype", self._dtype(f"{where}: dtype of model '{self.model.name}'"))
        object.__setattr__(self, "parameters", parameter_values(self))

    def _dtype(self, where):
        allowed = {"continuous": ("float64",), "gated": ("float32", "float64")}.get(self.model.clock, DTYPES)
        if self.dtype is None:
            return allowed[0]
        check_choice(str(self.dtype), allowed, where, NetworkError)
        return str(self.dtype)

    @property
    def size(self):
        """Number of neurons."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Projection:
    """All synapses from one node to a port of a population.

    Parameters
    ----------
    source, target : str
        Names of nodes; the target is a population.
    synapses : Dense, Conv2d, Sparse or SparseMs
    delay : number, default 0
        Whole steps on the grid clock, ms on the continuous one (gated populations take none), >= 0; 0: the spike arrives
        in the instant of its emission.
    port : str, default "input"
        A port of the target's model.
    """

    source: str
    target: str
    synapses: object
    delay: float = 0
    port: str = "input"

    @property
    def label(self):
        """How messages call it."""
        return f"projection {self.source} -> {self.target}"


@dataclass(frozen=True, eq=False)
class Relay:
    """A node without membrane and delay that hands on spikes of one source.

    Parameters
    ----------
    name, source : str
    kind : AveragePool, GatedMaxPool, StepMaxPool or EarliestPool
    """

    name: str
    source: str
    kind: object


@dataclass(frozen=True, eq=False)
class BiasDrive:
    """Input to a port that is not spikes: added to the port's sum after all deliveries of scheduled instants.

    Parameters
    ----------
    target : str
        A population.
    values : array_like
        One finite number, one per channel, or one per neuron; rounded to the population's dtype.
    schedule : "every", "first", int or array_like of bool
        Every step; the first step only; steps with t mod period = 0; or a mask over the steps, silent where it ends.
    port : str
    """

    target: str
    values: np.ndarray
    schedule: object = "every"
    port: str = "input"


@dataclass(frozen=True)
class Readout:
    """How the answer of a run is read.

    Parameters
    ----------
    population : str
    kind : {"membrane", "count", "first_spike", "vote"}
        State at the end of the run (largest wins); summed amplitudes of its spikes (largest wins); time of the first
        spike (earliest wins); grid clock: number of steps in which its amplitude was the largest (largest wins). Among
        equals the lowest id wins.
    """

    population: str
    kind: str = "membrane"


@dataclass(frozen=True, eq=False)
class Network:
    """A validated spiking network.

    Parameters
    ----------
    inputs, populations, projections, relays, drives : sequence
        Of Input, Population, Projection, Relay and BiasDrive; names of nodes are texts, each used once. Arrays in them are
        not copied: what is written into them later shows in later runs, unchecked.
    readout : Readout, optional
    dt_ms : float, optional
        Length of a step in ms: the grid clock. None: the continuous clock, with either gated populations or populations
        that may spike at any time.

    Raises
    ------
    NetworkError
        Naming the node or projection that does not fit, and why.
    """

    inputs: tuple = ()
    populations: tuple = ()
    projections: tuple = ()
    relays: tuple = ()
    drives: tuple = ()
    readout: Readout | None = None
    dt_ms: float | None = None

    def __post_init__(self):
        for name, kind in (("inputs", Input), ("populations", Population), ("projections", Projection), ("relays", Relay),
                           ("drives", BiasDrive)):
            parts = getattr(self, name)
            if not isinstance(parts, tuple | list) or not all(isinstance(part, kind) for part in parts):
                raise NetworkError(f"{name}: must be a list of {kind.__name__}, got {parts!r:.80}")
            object.__setattr__(self, name, tuple(parts))
        from eventsnn.network_checks import check_network

        check_network(self)

    @property
    def clock(self):
        """``"grid"`` or ``"continuous"``."""
        return "continuous" if self.dt_ms is None else "grid"

    @property
    def gated(self):
        """Whether its populations are gated: every window opens after all of its input has arrived."""
        return self.clock == "continuous" and all(p.model.clock == "gated" for p in self.populations)

    @property
    def nodes(self):
        """All inputs, populations and relays by name, in declared order."""
        return {n.name: n for n in (*self.inputs, *self.populations, *self.relays)}

    def shape_of(self, name):
        """Return the shape of a node; a relay's follows from its source."""
        node = self.nodes[name]
        return node.kind.output_shape(self.shape_of(node.source)) if isinstance(node, Relay) else node.shape
