"""Integrate-and-fire neurons on the grid clock, with and without leak.

With I the sum that arrived in this instant, b the bias, λ the leak (1 for `if`), θ the threshold::

    u    = λ v + (I + b)                 one rounding each
    u    = max(u, v_floor)
    s    = u >= θ    (strict: u > θ)
    v    = u - θ (reset subtract)   or   v_reset (reset value)      where s, else u

`reset_at` moves these parts: ``now`` as above; ``next``: s[t] as above, but the reset is taken one step later, after
the leak, v[t] = (λ v[t-1] + (I + b)) - θ s[t-1]; ``pipelined``: s[t] is decided from v[t-1], before the input of
step t arrives, and v[t] = (λ v[t-1] + (I + b)) - θ s[t]. In these two, reset to value replaces λ v[t-1] by v_reset.

`lif_shortcut` has a second port, for the shortcut of a residual block. With J the sum that arrived there, J is added after
the drive, one rounding more: (λ v + (I + b)) + J wherever λ v + (I + b) stands above.

A refractory period of r steps: in the r steps after a spike the neuron neither integrates, leaks nor fires.

Sources: `now` is equation (2) of Rueckauer et al., Frontiers in Neuroscience 11:682 (2017) with a leak; `next` and
`pipelined` are the published equation and the published code of Rathi et al., ICLR 2020; `lif_shortcut` is the second neuron
of its residual blocks.
"""

import numpy as np

from eventsnn.neurons.base import NEVER, GridModel, Param, Switch, register, rises_to

V, FREE_FROM, SPIKED = range(3)
V_THRESHOLD, BIAS = range(2)

# switches: replaced when the model is compiled
LEAKY = STRICT = TO_VALUE = REFRACTORY = HAS_BIAS = HAS_FLOOR = SHORTCUT = False
MOMENT = 0  # 0 now, 1 next, 2 pipelined
MOMENTS = ("now", "next", "pipelined")


def _reaches(u, threshold):
    return u > threshold if STRICT else u >= threshold


def _step(state, i, inputs, t, p, maps):
    """One instant, as in the head of this file; written with selects so that it vectorises over neurons."""
    v, threshold = state[V, i], maps[V_THRESHOLD, i]
    drive = inputs[0, i] + maps[BIAS, i] if HAS_BIAS else inputs[0, i]
    kept = p.leak * v if LEAKY else v
    if MOMENT == 0:
        u = kept + drive
    else:
        due = _reaches(v, threshold) if MOMENT == 2 else state[SPIKED, i] != 0
        u = (p.v_reset if due else kept) + drive if TO_VALUE else kept + drive
    if SHORTCUT:
        u = u + inputs[1, i]
    if MOMENT != 0 and not TO_VALUE:
        u = u - threshold if due else u
    if HAS_FLOOR:
        u = u if u > p.v_floor else p.v_floor
    fired = due if MOMENT == 2 else _reaches(u, threshold)
    if MOMENT == 0:
        after = p.v_reset if TO_VALUE else u - threshold
        u = after if fired else u
    if REFRACTORY:
        locked = t < state[FREE_FROM, i]
        u = v if locked else u
        fired = fired and not locked
        state[FREE_FROM, i] = t + 1 + p.refractory if fired else state[FREE_FROM, i]
    if MOMENT == 1:
        # a locked neuron keeps the reset that it still owes
        owes = REFRACTORY and locked and state[SPIKED, i] != 0
        state[SPIKED, i] = fired or owes
    state[V, i] = u
    return fired


def _wake(state, i, t, p, maps):
    v, threshold = state[V, i], maps[V_THRESHOLD, i]
    owed = _reaches(v, threshold) or (MOMENT == 1 and state[SPIKED, i] != 0)
    soon = t + 1
    if REFRACTORY:
        soon = max(soon, np.int64(state[FREE_FROM, i]))
    if HAS_FLOOR and v < p.v_floor:
        return soon  # the next step lifts it
    when = soon if owed else NEVER
    if HAS_BIAS or LEAKY:
        if threshold <= 0:
            return soon  # decay towards 0 may cross a threshold that is not positive: always look
        if HAS_BIAS and not owed:
            when = rises_to(v, threshold, maps[BIAS, i], p.leak if LEAKY else 1.0, soon)
    return when


class _IntegrateAndFire(GridModel):
    parameters = (
        Param("v_threshold", 1.0, "threshold θ", per_neuron=True),
        Param("bias", 0.0, "constant input b added in every step", per_neuron=True),
        Param("v_init", 0.0, "membrane before the first step"),
        Param("v_reset", 0.0, "membrane after a spike when reset is 'value'"),
        Param("v_floor", -np.inf, "lowest membrane; -inf for none"),
        Param("refractory", 0, "steps after a spike without integration, whole number", low=0),
    )
    switches = (
        Switch("reset", "TO_VALUE", "subtract", ("subtract", "value"), "what a spike does to the membrane"),
        Switch("reset_at", "MOMENT", "now", MOMENTS, "when the reset is taken"),
        Switch("strict", "STRICT", False, (False, True), "fire above the threshold only, not at it"),
    )
    step = staticmethod(_step)
    wake = staticmethod(_wake)

    @classmethod
    def derive(cls, values):
        constants = {
            "TO_VALUE": values["reset"] == "value",
            "MOMENT": MOMENTS.index(values["reset_at"]),
            "STRICT": bool(values["strict"]),
            "LEAKY": values.get("leak", 1.0) != 1.0,
            "REFRACTORY": values["refractory"] > 0,
            "HAS_BIAS": bool(np.any(values["bias"])),
            "HAS_FLOOR": bool(np.isfinite(values["v_floor"])),
            "SHORTCUT": len(cls.ports) > 1,
        }
        constants["IDLE"] = not (constants["LEAKY"] or constants["HAS_BIAS"])
        return values, constants

    @classmethod
    def variables_of(cls, values):
        if values["reset_at"] == "next":
            return cls.variables
        return cls.variables[:2] if values["refractory"] > 0 else cls.variables[:1]

    @classmethod
    def check(cls, values):
        if values["refractory"] != int(values["refractory"]):
            return f"refractory must be a whole number of steps, got {values['refractory']}"
        if np.any(values["v_floor"] > np.asarray(values["v_threshold"])):
            return f"v_floor must not be above v_threshold, got {values['v_floor']}"
        return None


@register
class IF(_IntegrateAndFire):
    """Integrate-and-fire neuron without leak."""

    name = "if"
    variables = (("v", 0.0), ("free_from", 0.0), ("spiked", 0.0))


@register
class LIF(_IntegrateAndFire):
    """Integrate-and-fire neuron whose membrane is multiplied by `leak` in every step."""

    name = "lif"
    variables = IF.variables
    parameters = (*_IntegrateAndFire.parameters, Param("leak", 0.9, "factor λ per step", low=0.0, high=1.0))


@register
class LIFShortcut(LIF):
    """The same neuron with a port `shortcut`, whose sum is added behind that of `input`: the end of a residual block."""

    name = "lif_shortcut"
    ports = ("input", "shortcut")
