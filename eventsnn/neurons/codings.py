"""Neurons of the multi-spike codings, on the grid clock: what a spike carries is what the membrane pays for it.

With I the sum that arrived in this instant, b the bias, λ the leak, every operation rounded once::

    u = λ v + (I + b);    u = max(u, v_floor);    s = u >= θ(t);    v = u - a where s, else u

=======  ============================================================  ===================
coding   threshold θ(t)                                                amplitude a
=======  ============================================================  ===================
`rate`   θ0                                                            `amplitude`
`phase`  θ0 2^-(1 + t mod p);  `first: whole`: θ0 2^-(t mod p)          θ(t)
`burst`  θ0 at first and after a silent step, β θ(t-1) after a spike    θ(t)
=======  ============================================================  ===================

All carry v from step to step and spike once per step at the most; `once`: once per sample, then v goes on integrating. A
`phase` neuron takes the bias through a drive with t mod p = 0, so it has no bias of its own.

Sources: rate, Diehl et al., IJCNN (2015); phase, Kim et al., Neurocomputing (2018), whose thresholds begin at θ0 / 2 (the
code released with Park et al., DAC (2019), begins at θ0: `first: whole`); burst, Park et al., DAC (2019). In that code
`rate` has θ0 = 0.4 and an amplitude of 1.
"""

import numpy as np

from eventsnn.neurons.base import NEVER, GridModel, Param, Switch, register, rises_to

V, LOCKED, RAISED = range(3)  # RAISED: the threshold of a burst, 0 where it is θ0
V_THRESHOLD, BIAS, AMPLITUDE = range(3)

# replaced when the model is compiled
LEAKY = HAS_BIAS = HAS_FLOOR = ONCE = False
PERIOD, SHIFT = 8, 1


def _integrated(state, i, inputs, p, maps):
    drive = inputs[0, i] + maps[BIAS, i] if HAS_BIAS else inputs[0, i]
    u = p.leak * state[V, i] + drive if LEAKY else state[V, i] + drive
    if HAS_FLOOR:
        u = u if u > p.v_floor else p.v_floor
    return u


def _fires(state, i, u, threshold, amplitude):
    """Compare, lock and reset; return what the spike carries, 0 for none."""
    fired = u >= threshold
    if ONCE:
        fired = fired and state[LOCKED, i] == 0
        state[LOCKED, i] = 1 if fired else state[LOCKED, i]
    state[V, i] = u - amplitude if fired else u
    return amplitude if fired else state.dtype.type(0)


def _next_crossing(state, i, t, p, maps):
    """Return when a neuron with a constant threshold may spike, or be lifted by its floor."""
    v, threshold = state[V, i], maps[V_THRESHOLD, i]
    if HAS_FLOOR and v < p.v_floor:
        return t + 1
    if ONCE and state[LOCKED, i] != 0:
        return NEVER
    if HAS_BIAS and v < threshold:
        return rises_to(v, threshold, maps[BIAS, i], p.leak, t + 1)
    return t + 1 if v >= threshold else NEVER


COMMON = (
    Param("v_threshold", 1.0, "threshold θ0, > 0", per_neuron=True),
    Param("leak", 1.0, "factor λ per step", low=0.0, high=1.0),
    Param("v_init", 0.0, "membrane before the first step"),
    Param("v_floor", -np.inf, "lowest membrane, applied after integration; -inf for none"),
)
BIASED = Param("bias", 0.0, "constant input b added in every step", per_neuron=True)
ONE_SPIKE = Switch("once", "ONCE", False, (False, True), "at most one spike per neuron and sample")


class _Coding(GridModel):
    unit_amplitude = False
    variables = (("v", 0.0), ("locked", 0.0))
    parameters = (*COMMON, BIASED)
    maps = ("v_threshold", "bias")
    switches = (ONE_SPIKE,)

    @classmethod
    def variables_of(cls, values):
        return cls.variables if values["once"] else cls.variables[:1]

    @classmethod
    def derive(cls, values):
        leaky, biased = values["leak"] != 1.0, bool(np.any(values.get("bias", 0.0)))
        return values, {"LEAKY": leaky, "HAS_BIAS": biased, "HAS_FLOOR": bool(np.isfinite(values["v_floor"])),
                        "ONCE": bool(values["once"]), "IDLE": not (leaky or biased)}  # fmt: skip

    @classmethod
    def most_spikes(cls, values):
        return 1 if values["once"] else np.inf

    @classmethod
    def check(cls, values):
        for name in {"v_threshold", "amplitude"} & values.keys():
            if np.any(np.asarray(values[name]) <= 0):
                return f"{name} must be > 0, got {np.min(values[name])}"
        if np.any(values["v_floor"] > np.asarray(values["v_threshold"])):
            return f"v_floor must not be above v_threshold, got {values['v_floor']}"
        return None


@register
class Rate(_Coding):
    """Rate coding: every spike carries `amplitude` and takes as much from the membrane."""

    name = "rate"
    parameters = (*COMMON, BIASED, Param("amplitude", 1.0, "what a spike carries and takes away, > 0", per_neuron=True))
    maps = ("v_threshold", "bias", "amplitude")
    wake = staticmethod(_next_crossing)

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        u = _integrated(state, i, inputs, p, maps)
        return _fires(state, i, u, maps[V_THRESHOLD, i], maps[AMPLITUDE, i])

    @classmethod
    def sends_ones(cls, values):
        return bool(np.all(np.asarray(values["amplitude"]) == 1.0))

    @classmethod
    def amplitude_range(cls, values):
        return 0.0, float(np.max(values["amplitude"]))


def _weight(state, phase, p):
    """Return 2^-(phase + SHIFT) exactly, in the precision of the population."""
    return state.dtype.type(1 << (PERIOD - 1 - phase)) * p.finest


@register
class Phase(_Coding):
    """Phase coding: within a period of p steps the threshold is halved from step to step."""

    name = "phase"
    parameters = (*COMMON, Param("period", 8, "steps p of a period, whole number from 1 to 32", low=1, high=32))
    maps = ("v_threshold",)
    switches = (
        ONE_SPIKE,
        Switch("first", "SHIFT", "half", ("half", "whole"), "threshold in the first step of a period: θ0 / 2 or θ0"),
    )

    @classmethod
    def amplitude_range(cls, values):
        return 0.0, float(np.max(values["v_threshold"])) * (0.5 if values["first"] == "half" else 1.0)

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        threshold = maps[V_THRESHOLD, i] * _weight(state, t % PERIOD, p)
        return _fires(state, i, _integrated(state, i, inputs, p, maps), threshold, threshold)

    @staticmethod
    def wake(state, i, t, p, maps):
        """A neuron at or above the smallest threshold spikes within the period that holds t + 1."""
        v, first, waits = state[V, i], (t + 1) % PERIOD, 0
        for phase in range(PERIOD):
            waits += phase >= first and v < maps[V_THRESHOLD, i] * _weight(state, phase, p)
        when = t + 1 + waits if v >= maps[V_THRESHOLD, i] * p.finest else NEVER
        if ONCE:
            when = NEVER if state[LOCKED, i] != 0 else when
        return t + 1 if HAS_FLOOR and v < p.v_floor else when

    @classmethod
    def derive(cls, values):
        values, constants = super().derive(values)
        period, shift = int(values["period"]), int(values["first"] == "half")
        finest = {"finest": 2.0 ** -(period - 1 + shift)}
        return {**values, **finest}, {**constants, "PERIOD": period, "SHIFT": shift}

    @classmethod
    def check(cls, values):
        if values["period"] != int(values["period"]):
            return f"period must be a whole number of steps, got {values['period']}"
        return super().check(values)


@register
class Burst(_Coding):
    """Burst coding: the threshold, and with it what a spike carries, grows while the neuron spikes step after step."""

    name = "burst"
    variables = (("v", 0.0), ("locked", 0.0), ("raised", 0.0))
    parameters = (*COMMON, BIASED, Param("beta", 2.0, "factor β of the threshold after a spike, > 0", low=1e-3))

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        raised = state[RAISED, i]
        threshold = raised if raised != 0 else maps[V_THRESHOLD, i]
        sent = _fires(state, i, _integrated(state, i, inputs, p, maps), threshold, threshold)
        state[RAISED, i] = p.beta * threshold if sent != 0 else state.dtype.type(0)
        return sent

    @staticmethod
    def wake(state, i, t, p, maps):
        """After a burst comes one silent step, in which the threshold falls back: then v may be above it."""
        return t + 1 if state[RAISED, i] != 0 else _next_crossing(state, i, t, p, maps)

    @classmethod
    def variables_of(cls, values):
        return cls.variables
