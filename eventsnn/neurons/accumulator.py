"""A population that only integrates: the readout layer of grid networks.

v[t] = λ v[t-1] + (I + b); it never fires, its membrane is read at the end of the run.
"""

import numpy as np

from eventsnn.neurons.base import NEVER, GridModel, Param, register

BIAS = 0
LEAKY = HAS_BIAS = False


@register
class Accumulator(GridModel):
    """Integrator without threshold (leak 1: a plain sum)."""

    name = "accumulator"
    fires = False
    parameters = (
        Param("bias", 0.0, "constant input b added in every step", per_neuron=True),
        Param("leak", 1.0, "factor λ per step", low=0.0, high=1.0),
        Param("v_init", 0.0, "membrane before the first step"),
    )

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        drive = inputs[0, i] + maps[BIAS, i] if HAS_BIAS else inputs[0, i]
        state[0, i] = p.leak * state[0, i] + drive if LEAKY else state[0, i] + drive
        return False

    @staticmethod
    def wake(state, i, t, p, maps):
        return NEVER

    @classmethod
    def derive(cls, values):
        leaky, biased = values["leak"] != 1.0, bool(np.any(values["bias"]))
        return values, {"LEAKY": leaky, "HAS_BIAS": biased, "IDLE": not (leaky or biased)}
