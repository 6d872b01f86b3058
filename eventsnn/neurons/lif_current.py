"""Leaky integrate-and-fire with a synaptic current on the grid, its state quantised where `bits` says so.

With h the cell of port `input` in step t, and A rounding to the state's grid (the identity where `bits` is 0)::

    th   = A(m - θ)
    z    = th > 0                      the spike of step t, decided before anything arrives
    s'   = A(α s + h)
    m'   = A((β m + s) - reset z)      the old s

s and m start at 0. A spike that arrives in step t moves s in t, m in t + 1, and is answered in t + 2 at the earliest. A(x)
clips to ±(1 - 1/S) and rounds to multiples of 1/S, half to even, S = 2^(bits-1). A decay then ends in a dead band: a neuron
left alone comes to rest off zero, at a state that a silent step repeats; there, and not before, it sleeps. With 2, 3 or 4
bits no level lies above the threshold 0.9, and no neuron fires.

Source: the neuron of Schaefer & Joshi, ICONS 2020, doi 10.1145/3407197.3407203, after SpyTorch.
"""

import numpy as np

from eventsnn.neurons.base import NEVER, GridModel, Param, register

M, S = 0, 1
OFF = 33  # bits from which a state is not quantised
QUANTISED = False  # replaced when the model is compiled


def _settled(x, p):
    """A(x)."""
    if not QUANTISED:
        return x
    low = x if x > -p.bound else -p.bound
    held = low if low < p.bound else p.bound
    return np.rint(held * p.levels) / p.levels


@register
class LifCurrent(GridModel):
    """Leaky integrate-and-fire neuron with a synaptic current and, on request, a state of few bits."""

    name = "lif_current"
    variables = (("v", 0.0), ("s", 0.0))
    parameters = (
        Param("alpha", 0.75, "decay α of the synaptic current per step", low=0.0, high=1.0),
        Param("beta", 0.875, "decay β of the membrane per step", low=0.0, high=1.0),
        Param("v_threshold", 0.9, "threshold θ", low=1e-6),
        Param("reset", 1.0, "what a spike takes off the membrane", low=0.0),
        Param("bits", 0, "bits of current and membrane, from 2; 0, or 33 and more: not quantised", low=0),
    )

    @classmethod
    def check(cls, values):
        bits = values["bits"]
        if bits != int(bits) or bits == 1:
            return f"bits must be a whole number, 0 or from 2 on, got {bits:g}"
        return None

    @classmethod
    def derive(cls, values):
        bits = int(values["bits"])
        quantised = 0 < bits < OFF
        levels = 2.0 ** (bits - 1) if quantised else 1.0
        made = {name: values[name] for name in ("alpha", "beta", "v_threshold", "reset")}
        # not quantised, silent steps are rounded steps that have to be taken; quantised, a neuron at rest repeats itself
        return {**made, "levels": levels, "bound": 1 - 1 / levels}, {"QUANTISED": quantised, "IDLE": quantised}

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        m, s = state[M, i], state[S, i]
        fired = _settled(m - p.v_threshold, p) > 0
        back = p.reset if fired else p.reset - p.reset
        state[S, i] = _settled(p.alpha * s + inputs[0, i], p)
        state[M, i] = _settled((p.beta * m + s) - back, p)
        return fired

    @staticmethod
    def wake(state, i, t, p, maps):
        m, s = state[M, i], state[S, i]
        if _settled(m - p.v_threshold, p) > 0:
            return t + 1
        if QUANTISED:
            rests = _settled(p.alpha * s, p) == s and _settled(p.beta * m + s, p) == m
            return NEVER if rests else t + 1
        # all that s can still add, the leak of the membrane left out; the margin covers the rounding of every step
        rise = np.float64(s) / (1.0 - np.float64(p.alpha)) if p.alpha < 1 else np.inf
        return t + 1 if s > 0 and max(np.float64(m), 0.0) + rise > (1 - 1e-4) * p.v_threshold else NEVER
