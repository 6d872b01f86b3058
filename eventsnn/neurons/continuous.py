"""The contract of a neuron model on the continuous clock: exact spike times between and at arrivals.

The state of neuron i is one row of a flat ``float64`` array: ``S[b] ... S[b + WIDTH - 1]`` with ``b = i * WIDTH``; WIDTH is a
power of two, and the **last column belongs to the engine**. Rows hold what differs between neurons, parameters included.
Hooks are plain functions; `eventsnn.compile` puts them into the engine's loops. Common arguments:

========  ==========================================================================================================
`S`, `b`  the rows, and where this neuron's row begins
`t`       ms since the origin of the present epoch (docs/semantics.md, section 8); exact for the instant of an arrival
`g`       what `instant` returned for `t`: a number, or a tuple of numbers
`x`       what arrived at this instant, summed
`p`       parameters shared by the population, by name: ``p.tau_mem``
========  ==========================================================================================================

The engine calls, for every neuron that something reaches at `t`: its own spikes up to and including `t` (`next_spike`,
`reset`, repeated), then `receive`, then, while `guard` holds, a spike at `t` and `reset`; at last `predict`. Own spikes before
the end of a window are found through `predict` as well; where its time is reached, `approach` may move it on before
`next_spike` is asked. Spike times are rounded to the absolute clock first; `reset` gets the rounded time.

Two more functions give exact gradients (`eventsnn.gradients.adjoint`); a model that has them trains. They go back in time, on a
second row per neuron, ``L[a] ... L[a + len(adjoints) - 1]``: the derivatives of a loss with respect to the neuron's state, in the
units of its equations, whatever the row S holds. The first belongs to the membrane potential.
"""

import math

from eventsnn.errors import ModelError
from eventsnn.neurons.base import NeuronModel


def epoch_of(tau):
    """Return the length of an epoch for a time constant, ms: the largest power of two that is at most 256 tau."""
    return 2.0 ** math.floor(math.log2(256.0 * tau))


class ContinuousModel(NeuronModel):
    """A model on the continuous clock; the smallest one defines `rows`, `receive`, `guard`, `next_spike` and `reset`.

    Attributes
    ----------
    WIDTH : int
        Numbers per neuron, a power of two, the engine's column included. `derive` may return another ``WIDTH`` among
        its constants.
    scaled : bool
        Whether a spike's amplitude multiplies the weight. False: only that it comes matters.
    closes : bool
        Whether it may spike at the very end of a run (forced spikes).
    adjoints : tuple of str
        What the adjoint row holds. A name of a parameter that may differ between neurons: what stands there at t = 0 is the
        derivative with respect to that parameter. Empty: the model has no adjoint.
    adjoint_flow, adjoint_jump : function or None
        ``adjoint_flow(L, a, S, b, t, until, x, p)`` takes L from `until` back to `t`, where `x` arrived, with nothing in
        between; S is the row in force there (after the arrival). It returns (dloss/dx, dloss/dt of the arrival);
        ``x = 0.0`` where nothing arrived.
        ``adjoint_jump(L, a, S, b, t, e, own, p)`` takes L back through a spike at `t`; `e` is what the loss and other
        neurons make of its time, dloss/dt; S is the row before the spike; `own` tells a spike that the neuron made by
        itself from one that an arrival at `t` set off. It returns (slope of the potential at the crossing, inf where there
        is none; dloss/dt handed on to the arrival that set it off, 0.0 where none did).
    """

    clock = "continuous"
    variables = ()
    WIDTH = 4
    scaled = True
    closes = False
    adjoints = ()
    adjoint_flow = None
    adjoint_jump = None

    @classmethod
    def derive(cls, values):
        """Return (what all neurons share, by name, for `p`; constants to compile in): by default what is not per neuron."""
        return {p.name: values[p.name] for p in cls.parameters if not p.per_neuron}, {}

    @classmethod
    def rows(cls, values, size, width):
        """Return the rows at t = 0.

        Parameters
        ----------
        values : dict
            Parameters by name; those declared per neuron are numbers or arrays (size,).
        size, width : int
            Number of neurons and of columns.

        Returns
        -------
        ndarray of float64, (size, width)
            The last column is overwritten.
        """
        raise ModelError(f"model '{cls.name}' does not say what its rows hold: define rows(values, size, width)")

    @classmethod
    def epoch(cls, values):
        """Return the length of an epoch in ms, a power of two, or inf: after it the origin of time moves (`rebase`).

        It is part of the definition, because it decides what is rounded. Exponentials of t / tau must stay finite.
        """
        return float("inf")

    @staticmethod
    def instant(t, p):
        """Return what all neurons reached at `t` share (an exponential, say); by default nothing."""
        return 0.0

    @staticmethod
    def receive(S, b, x, t, g, p):
        """Bring the neuron to `t` and add what arrived."""
        S[b] += x

    @staticmethod
    def guard(S, b, t, g, p):
        """Return whether the neuron spikes at `t`, after everything of this instant has arrived."""
        return False

    @staticmethod
    def predict(S, b, t, g, p):
        """Return a time before which the neuron will not spike by itself; never late, cheap rather than tight.

        The default is `t` itself: right for any model, but then `next_spike` is asked after every arrival.
        """
        return t

    @staticmethod
    def approach(S, b, t, p):
        """Return a later time before which the neuron will not spike by itself, where it is known not to before `t`.

        For models whose `next_spike` is costly; never late. The default is `t` itself: then `next_spike` is asked.
        """
        return t

    @staticmethod
    def next_spike(S, b, p):
        """Return when the neuron spikes if nothing more arrives, or inf; not before its last event.

        It must follow from the row alone, so that it is the same number whenever it is asked for.
        """
        return float("inf")

    @staticmethod
    def reset(S, b, t, p):
        """Change the row as a spike at `t` does."""

    @staticmethod
    def rebase(S, b, dt, p):
        """Express the row relative to an origin that lies `dt` ms later."""

    @staticmethod
    def potential(S, b, t, p):
        """Return the membrane potential at `t` if nothing more arrives until then."""
        return S[b]
