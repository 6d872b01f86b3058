"""Networks as pure, validated data: inputs, populations, projections, relays, drives and a readout."""

from dataclasses import dataclass, field

import numpy as np

from eventsnn.errors import NetworkError, did_you_mean
from eventsnn.neurons.base import find_model
from eventsnn.parameters import parameter_values

DTYPES = ("float32", "float64", "int16", "int32", "int64")
READOUTS = ("membrane", "count", "first_spike", "vote")


def _shape(name, shape):
    shape = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(s) for s in shape)
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise NetworkError(f"{name}: shape must be n or (y, x, channel), all >= 1, got {shape}")
    return shape


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
        object.__setattr__(self, "shape", _shape(f"input {self.name}", self.shape))

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
    dtype : {"float32", "float64", "int16", "int32", "int64"}
        Of state, weights and arithmetic.
    """

    name: str
    shape: tuple
    model: object = "if"
    parameters: dict = field(default_factory=dict)
    dtype: str = "float32"

    def __post_init__(self):
        object.__setattr__(self, "shape", _shape(f"population {self.name}", self.shape))
        object.__setattr__(self, "model", find_model(self.model))
        if self.dtype not in DTYPES:
            raise NetworkError(f"population {self.name}: dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}"
                               f"{did_you_mean(self.dtype, DTYPES)}")
        object.__setattr__(self, "parameters", parameter_values(self))

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
        Whole steps on the grid clock, ms on the continuous one (gated populations take none); 0: the spike arrives in
        the instant of its emission.
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
        One number, one per channel, or one per neuron.
    schedule : "every", "first", int or array_like of bool
        Every step; the first step only; steps with t mod period = 0; or a mask over the steps.
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
        for name in ("inputs", "populations", "projections", "relays", "drives"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
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
