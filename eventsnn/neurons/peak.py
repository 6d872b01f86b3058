"""A population that remembers the largest drive of its neurons: what threshold balancing looks at.

v[t] = max(v[t-1], I + b), v[-1] = 0; it never fires. Source: hybrid-stdb 2.5 (signed maximum of the instantaneous drive).
"""

import numpy as np

from eventsnn.neurons.base import NEVER, GridModel, Param, register

BIAS = 0
HAS_BIAS = False


@register
class Peak(GridModel):
    """Largest sum that arrived in an instant so far, at least 0."""

    name = "peak"
    fires = False
    parameters = (Param("bias", 0.0, "constant input b added in every step", per_neuron=True),)

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        """Keep the larger."""
        drive = inputs[0, i] + maps[BIAS, i] if HAS_BIAS else inputs[0, i]
        state[0, i] = drive if drive > state[0, i] else state[0, i]
        return False

    @staticmethod
    def wake(state, i, t, p, maps):
        """A silent step changes nothing but where there is a bias, and then it is taken late."""
        return NEVER

    @classmethod
    def derive(cls, values):
        """Return the constants to compile in."""
        biased = bool(np.any(values["bias"]))
        return values, {"HAS_BIAS": biased, "IDLE": not biased}
