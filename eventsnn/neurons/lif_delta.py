"""Leaky integrate-and-fire on the continuous clock with delta synapses: a spike moves the membrane by its weight.

Between events, with E = v_rest + bias::

    tau_mem dv/dt = E - v          v(t) = E + (v(t0) - E) exp(-(t - t0) / tau_mem)

An arrival adds its weight (mV) to v. The neuron spikes when v >= v_threshold: at an arrival, or by itself where
E > v_threshold. Then v is set to v_reset (`reset: value`) or lowered by v_threshold - v_reset (`reset: subtract`; still at
threshold, it spikes again at the same instant), and stands there for `refractory` ms, in which input is lost.

Kept is u = (v - E) exp(t / tau_mem), which stands still between events: an arrival at t is u += x exp(t / tau_mem), with one
exponential for all neurons reached at t. t counts from the beginning of the epoch: the largest power of two of ms that is
at most 256 tau_mem.

Source: exact integration of the linear membrane equation, Rotter & Diesmann, Biological Cybernetics 81 (1999).
"""

from math import expm1, inf, log

import numpy as np

from eventsnn.neurons.base import Param, Switch, register
from eventsnn.neurons.continuous import ContinuousModel, epoch_of
from eventsnn.neurons.exponential import exp

NAME = "lif_continuous"  # the grid's model of the same equation is `lif`
U, THETA, SINCE = 0, 1, 2  # (v - E) e^(t/tau), v_threshold - E, the time from which it listens
DROP = 3  # v_threshold - v_reset, where it differs between neurons
WIDE = SUBTRACT = False
DV, DFREE, DTHETA, DLOW, DREST = range(5)  # of the adjoint: v, the end of the refractory time, three parameters


def drop_of(S, b, p):
    """Return v_threshold - v_reset."""
    return S[b + DROP] if WIDE else p.drop


def adjoint_back(L, a, x, p):
    """Take the adjoint of the free membrane back by `x` ms."""
    L[a + DREST] -= L[a + DV] * expm1(-x / p.tau_mem)
    L[a + DV] *= exp(-x / p.tau_mem)


@register
class LifDelta(ContinuousModel):
    """Leaky integrate-and-fire neuron with delta synapses and exact spike times."""

    name = NAME
    adjoints = ("v_init", "free", "v_threshold", "v_reset", "bias")
    parameters = (
        Param("tau_mem", 20.0, "time constant of the membrane, ms", low=1e-6, high=1e9),
        Param("v_rest", 0.0, "potential at rest, mV", per_neuron=True),
        Param("v_threshold", 1.0, "threshold, mV", per_neuron=True),
        Param("v_reset", 0.0, "potential after a spike, mV", per_neuron=True),
        Param("bias", 0.0, "constant drive: what it adds to the potential at rest, mV", per_neuron=True),
        Param("v_init", 0.0, "potential at t = 0, mV", per_neuron=True),
        Param("refractory", 0.0, "time after a spike in which input is lost, ms", low=0.0),
    )
    switches = (Switch("reset", "SUBTRACT", "value", ("value", "subtract"), "what a spike does to the potential"),)

    @classmethod
    def check(cls, values):
        if np.any(np.asarray(values["v_reset"]) >= np.asarray(values["v_threshold"])):
            return "v_reset must be below v_threshold: the neuron would spike for ever"
        if np.any(np.asarray(values["v_init"]) >= np.asarray(values["v_threshold"])):
            return "v_init must be below v_threshold"
        return None

    @classmethod
    def derive(cls, values):
        drop = np.asarray(values["v_threshold"], float) - values["v_reset"]
        wide = np.ptp(drop) > 0
        scalars = {"tau_mem": values["tau_mem"], "refractory": values["refractory"], "drop": float(np.ravel(drop)[0]),
                   "v_reset": float(np.ravel(values["v_reset"])[0])}
        wide = bool(wide or np.ptp(values["v_reset"]) > 0)
        return scalars, {"WIDE": wide, "SUBTRACT": values["reset"] == "subtract", "WIDTH": 8 if wide else 4}

    @classmethod
    def rows(cls, values, size, width):
        rest = np.asarray(values["v_rest"], float) + values["bias"]
        rows = np.zeros((size, width))
        rows[:, U] = values["v_init"] - rest
        rows[:, THETA] = values["v_threshold"] - rest
        if width == 8:
            rows[:, DROP] = np.asarray(values["v_threshold"], float) - values["v_reset"]
            rows[:, DROP + 1] = values["v_reset"]
        return rows

    @classmethod
    def epoch(cls, values):
        return epoch_of(values["tau_mem"])

    @staticmethod
    def instant(t, p):
        return exp(t / p.tau_mem)

    @staticmethod
    def receive(S, b, x, t, g, p):
        since = S[b + SINCE]
        S[b + U] += x * g if t >= since else 0.0  # selections, no branches: who is refractory cannot be foretold
        S[b + SINCE] = max(since, t)

    @staticmethod
    def guard(S, b, t, g, p):
        return S[b + U] >= S[b + THETA] * g and t >= S[b + SINCE]

    @staticmethod
    def predict(S, b, t, g, p):
        theta, since = S[b + THETA], S[b + SINCE]
        if SUBTRACT and t < since:
            return since
        # the tangent: v is concave where it rises; before `since` it is that of the curve drawn backwards
        return max(since if theta < 0.0 else inf, t + p.tau_mem * (1.0 - theta * g / S[b + U]) * (1.0 - 1e-12))

    @staticmethod
    def next_spike(S, b, p):
        if SUBTRACT and S[b + U] >= S[b + THETA] * exp(S[b + SINCE] / p.tau_mem):
            return S[b + SINCE]  # a residue at or above threshold when the refractory time ends
        if S[b + THETA] >= 0.0:
            return inf
        return max(S[b + SINCE], p.tau_mem * log(S[b + U] / S[b + THETA]))

    @staticmethod
    def reset(S, b, t, p):
        S[b + SINCE] = t + p.refractory
        if SUBTRACT and p.refractory == 0.0:
            S[b + U] -= drop_of(S, b, p) * exp(t / p.tau_mem)  # keeps exact ties
        else:
            left = S[b + U] * exp(-t / p.tau_mem) if SUBTRACT else S[b + THETA]
            S[b + U] = (left - drop_of(S, b, p)) * exp(S[b + SINCE] / p.tau_mem)

    @staticmethod
    def rebase(S, b, dt, p):
        S[b + U] *= exp(-dt / p.tau_mem)
        S[b + SINCE] -= dt

    @staticmethod
    def potential(S, b, t, p):
        v_reset = S[b + DROP + 1] if WIDE else p.v_reset
        v_rest = drop_of(S, b, p) + v_reset - S[b + THETA]
        return v_rest + S[b + U] * exp(-max(t, S[b + SINCE]) / p.tau_mem)

    @staticmethod
    def adjoint_flow(L, a, S, b, t, until, x, p):
        free = S[b + SINCE]
        if free <= t:
            adjoint_back(L, a, until - t, p)
            return L[a + DV], x * L[a + DV] / p.tau_mem
        if until >= free:  # v stands until then, arrivals are lost
            adjoint_back(L, a, until - free, p)
            L[a + DFREE] += L[a + DV] * S[b + U] * exp(-free / p.tau_mem) / p.tau_mem
        if not SUBTRACT:
            L[a + DLOW] += L[a + DV]
            L[a + DV] = 0.0
        return 0.0, 0.0

    @staticmethod
    def adjoint_jump(L, a, S, b, t, e, own, p):
        u, theta, drop = S[b + U] * exp(-t / p.tau_mem), S[b + THETA], drop_of(S, b, p)
        e += L[a + DFREE]
        L[a + DFREE] = 0.0
        if p.refractory == 0.0:  # v is on its way again at once
            e += L[a + DV] * ((u if SUBTRACT else theta) - drop) / p.tau_mem
        L[a + DLOW] += L[a + DV]
        # a residue that waited for the end of the refractory time: e goes to what that depends on
        waited = own and SUBTRACT and S[b + U] >= theta * exp(S[b + SINCE] / p.tau_mem)
        if SUBTRACT:
            L[a + DTHETA] -= L[a + DV]
            e -= 0.0 if t < S[b + SINCE] else L[a + DV] * u / p.tau_mem  # the end may be rounded to just after t
        else:
            L[a + DV] = 0.0
        if not own:
            return inf, e
        if waited:
            L[a + DFREE] = e
            return inf, 0.0
        slope = -theta / p.tau_mem
        L[a + DV] -= e / slope
        L[a + DTHETA] += e / slope
        return slope, 0.0
