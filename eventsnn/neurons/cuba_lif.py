"""Leaky integrate-and-fire with an exponential synaptic current (CUBA), exact spike times for any ratio of time constants.

With E = v_rest + bias, and the current i in mV (current times resistance)::

    tau_mem dv/dt = E - v + i          tau_syn di/dt = -i

An arrival adds its weight (mV) to i. The neuron spikes when v reaches v_threshold; then v is set to v_reset and stands there for
`refractory` ms, while i goes on. Tangential crossings count.

Two representations, chosen by the ratio of the constants:

- **modes**, where they differ by more than 1/16: v - E = B e^(-t/tau_mem) + A e^(-t/tau_syn), i = A e^(-t/tau_syn) / k,
  k = tau_syn / (tau_syn - tau_mem). A and B stand still between events; an arrival x at t is A += k x e^(t/tau_syn),
  B -= k x e^(t/tau_mem): two exponentials for all neurons reached at t. Digits are lost as k grows.
- **flow** otherwise: v and i of every neuron at its last event, brought forward with two exponentials an arrival.

Times count from the beginning of the epoch: the largest power of two of ms that is at most 256 times the smaller constant.

Source: exact integration, Rotter & Diesmann, Biological Cybernetics 81 (1999); the model is iaf_psc_exp of NEST. Its adjoint:
EventProp, Wunderlich & Pehle, Scientific Reports 11 (2021), here with refractory periods and delays.
"""

from math import exp, expm1, inf

import numpy as np

from eventsnn.neurons.base import Param, register
from eventsnn.neurons.continuous import ContinuousModel, epoch_of
from eventsnn.neurons.crossing import bound, crossing, largest_response, state_after

# modes: B, A; flow: v - E and i, both at `SINCE`
B, A, THETA, SINCE, LOW, REST = range(6)  # ... v_threshold - E, from when it listens, v_reset - E, E
FLOW = False
NEAR = 1.0 / 16.0
# of the adjoint: v, i, the end of the refractory time, and three parameters
DV, DI, DFREE, DTHETA, DLOW, DREST = range(6)


def now(S, b, t, p):
    """Return (v - E, i) at `t`, which is not before `SINCE`."""
    if FLOW:
        x = t - S[b + SINCE]
        return state_after(S[b + B], S[b + A], x, p.tau_mem, p.tau_syn)[0], S[b + A] * exp(-x / p.tau_syn)
    a = S[b + A] * exp(-t / p.tau_syn)
    return S[b + B] * exp(-t / p.tau_mem) + a, a / p.k


def adjoint_back(L, a, x, p):
    """Take the adjoint of the free membrane back by `x` ms."""
    slow, difference = max(p.tau_mem, p.tau_syn), abs(1.0 / p.tau_syn - 1.0 / p.tau_mem)
    decay, short = exp(-x / slow), -expm1(-x * difference)
    mem, syn = (decay, decay * (1.0 - short)) if p.tau_mem >= p.tau_syn else (decay * (1.0 - short), decay)
    response = decay * (short / difference if difference * x != 0.0 else x) / p.tau_mem  # of v to a current of 1
    L[a + DREST] += L[a + DV] * (1.0 - mem)
    L[a + DI] = L[a + DI] * syn + L[a + DV] * response
    L[a + DV] *= mem


@register
class CubaLif(ContinuousModel):
    """Leaky integrate-and-fire neuron with an exponential synaptic current."""

    name = "cuba_lif"
    WIDTH = 8
    adjoints = ("v_init", "i", "free", "v_threshold", "v_reset", "bias")
    parameters = (
        Param("tau_mem", 20.0, "time constant of the membrane, ms", low=1e-6, high=1e9),
        Param("tau_syn", 5.0, "time constant of the synaptic current, ms", low=1e-6, high=1e9),
        Param("v_rest", 0.0, "potential at rest, mV", per_neuron=True),
        Param("v_threshold", 1.0, "threshold, mV", per_neuron=True),
        Param("v_reset", 0.0, "potential after a spike, mV", per_neuron=True),
        Param("bias", 0.0, "constant current: what it adds to the potential at rest, mV", per_neuron=True),
        Param("v_init", 0.0, "potential at t = 0, mV", per_neuron=True),
        Param("refractory", 0.0, "time after a spike in which v stands at v_reset, ms", low=0.0),
    )

    @classmethod
    def check(cls, values):
        for name in ("v_reset", "v_init"):
            if np.any(np.asarray(values[name]) >= np.asarray(values["v_threshold"])):
                return f"{name} must be below v_threshold"
        return None

    @classmethod
    def derive(cls, values):
        tau_mem, tau_syn = values["tau_mem"], values["tau_syn"]
        flow = bool(abs(tau_mem / tau_syn - 1.0) < NEAR)
        return {"tau_mem": tau_mem, "tau_syn": tau_syn, "k": 1.0 if flow else tau_syn / (tau_syn - tau_mem),
                "largest": largest_response(tau_mem, tau_syn), "refractory": values["refractory"]}, {"FLOW": flow}

    @classmethod
    def rows(cls, values, size, width):
        rest = np.asarray(values["v_rest"], float) + values["bias"]
        rows = np.zeros((size, width))
        rows[:, B] = values["v_init"] - rest
        rows[:, THETA] = values["v_threshold"] - rest
        rows[:, LOW] = values["v_reset"] - rest
        rows[:, REST] = rest
        return rows

    @classmethod
    def epoch(cls, values):
        return epoch_of(min(values["tau_mem"], values["tau_syn"]))

    @staticmethod
    def instant(t, p):
        if FLOW:
            return 0.0, 0.0, 0.0, 0.0
        a, b = exp(t / p.tau_syn), exp(t / p.tau_mem)
        return a, b, 1.0 / a, 1.0 / b

    @staticmethod
    def receive(S, b, x, t, g, p):
        since = S[b + SINCE]
        if FLOW:
            if t < since:
                S[b + A] += x * exp(-(since - t) / p.tau_syn)
            else:
                S[b + B], S[b + A] = now(S, b, t, p)
                S[b + A] += x
                S[b + SINCE] = t
        else:
            S[b + A] += p.k * x * g[0]
            if t < since:
                S[b + B] = (S[b + LOW] - S[b + A] * exp(-since / p.tau_syn)) * exp(since / p.tau_mem)
            else:
                S[b + B] -= p.k * x * g[1]
                S[b + SINCE] = t

    @staticmethod
    def predict(S, b, t, g, p):
        since, theta = S[b + SINCE], S[b + THETA]
        if FLOW:
            return since + bound(S[b + B], S[b + A], theta, 0.0, p.tau_mem, p.largest)
        a = S[b + A] * g[2]
        i = a / p.k
        if t < since:  # i shrinks until then
            return since if bound(S[b + LOW], i, theta, 1e-14 * abs(a), p.tau_mem, p.largest) < inf else inf
        v = S[b + B] * g[3]
        return t + bound(v + a, i, theta, 1e-15 * (abs(v) + abs(a)), p.tau_mem, p.largest)

    @staticmethod
    def approach(S, b, t, p):
        since = S[b + SINCE]
        v, i = now(S, b, since, p)
        v_then, i_then = state_after(v, i, max(t - since, 0.0), p.tau_mem, p.tau_syn)
        return max(t, since) + bound(v_then, i_then, S[b + THETA], 1e-14 * (abs(v) + abs(i)), p.tau_mem, p.largest)

    @staticmethod
    def next_spike(S, b, p):
        since = S[b + SINCE]
        v, i = now(S, b, since, p)
        return since + crossing(v, i, S[b + THETA], p.tau_mem, p.tau_syn)

    @staticmethod
    def reset(S, b, t, p):
        free = t + p.refractory
        if FLOW:
            S[b + A] *= exp(-(free - S[b + SINCE]) / p.tau_syn)
            S[b + B] = S[b + LOW]
        else:
            S[b + B] = (S[b + LOW] - S[b + A] * exp(-free / p.tau_syn)) * exp(free / p.tau_mem)
        S[b + SINCE] = free

    @staticmethod
    def rebase(S, b, dt, p):
        if not FLOW:
            S[b + B] *= exp(-dt / p.tau_mem)
            S[b + A] *= exp(-dt / p.tau_syn)
        S[b + SINCE] -= dt

    @staticmethod
    def potential(S, b, t, p):
        return S[b + REST] + now(S, b, max(t, S[b + SINCE]), p)[0]

    @staticmethod
    def adjoint_flow(L, a, S, b, t, until, x, p):
        free = S[b + SINCE]
        if free > t:  # v stands at v_reset until then
            if until >= free:
                adjoint_back(L, a, until - free, p)
                v, i = now(S, b, free, p)
                L[a + DFREE] -= L[a + DV] * (i - v) / p.tau_mem
                until = free
            L[a + DLOW] += L[a + DV]
            L[a + DV] = 0.0
            L[a + DI] *= exp(-(until - t) / p.tau_syn)
        else:
            adjoint_back(L, a, until - t, p)
        return L[a + DI], x * (L[a + DI] / p.tau_syn - L[a + DV] / p.tau_mem)

    @staticmethod
    def adjoint_jump(L, a, S, b, t, e, own, p):
        i = now(S, b, t, p)[1]
        # without a refractory time v is on its way again at once; with one, DV is 0 here already
        e += L[a + DFREE] - L[a + DV] * (i - S[b + LOW]) / p.tau_mem
        slope = (i - S[b + THETA]) / p.tau_mem
        L[a + DLOW] += L[a + DV]
        L[a + DTHETA] += e / slope
        L[a + DV], L[a + DFREE] = -e / slope, 0.0
        return slope, 0.0
