"""The gated ramp neuron (B1): one spike whose time says how large a ReLU activation would be.

While the inputs of the previous window arrive, every spike adds its weight J to the slope of the membrane; a spike
at t_j has therefore contributed J (t_open - t_j) = J x_j when the window opens. From then on the slope is B, whatever
has arrived, and the neuron fires where it meets the threshold θ = B (R - D), R being the length of the window::

    V   = Σ_j J_j x_j                    ascending source id, at the instant t_open
    τ   = (θ - V) / B                    the spike is at t_open + τ
    x   = R - τ                          what the spike carries into the next layer
    silent where x <= 0                  so x = max(0, D + V / B) = ReLU

A spike due before the window opens (τ < 0) fires at t_open and carries R (`early: saturate`), or ends the run with a
message (`early: refuse`). Times are relative to the window, so that rounding does not grow with depth.

Source: Stanojevic et al., Nature Communications 15:6793 (2024), with identity mapping (J = w, D = b, B = 1).
"""

import numpy as np

from eventsnn.neurons.base import EARLY, SILENT, SPIKE, GatedModel, Param, Switch, register

V = 0
V_THRESHOLD = BIAS = 0
REFUSE = False


@register
class Ramp(GatedModel):
    """Time-to-first-spike neuron with a gate, equal to a ReLU unit."""

    name = "ramp"
    parameters = (
        Param("t_open", 1.0, "when the window opens, ms", low=0.0),
        Param("window", 1.0, "length R of the window, ms", low=np.finfo(np.float32).tiny),
        Param("bias", 0.0, "bias D of the equivalent ReLU unit", per_neuron=True),
        Param("slope", 1.0, "slope B while the window is open, 1/ms", low=np.finfo(np.float32).tiny),
    )
    maps = ("v_threshold",)
    switches = (Switch("early", "REFUSE", "saturate", ("saturate", "refuse"), "what an early spike does"),)

    @classmethod
    def derive(cls, values):
        theta = values["slope"] * (values["window"] - np.asarray(values["bias"], dtype=np.float64))
        kept = {k: v for k, v in values.items() if k != "bias"}
        return {**kept, "v_threshold": theta}, {"REFUSE": values["early"] == "refuse"}

    @staticmethod
    def fire(state, i, inputs, p, maps):
        v = inputs[0, i]
        state[V, i] = v
        tau = (maps[V_THRESHOLD, i] - v) / p.slope
        early = tau < 0
        x = p.window if early else p.window - tau
        outcome = EARLY if REFUSE and early else SPIKE
        return (outcome if x > 0 else SILENT), tau, x


@register
class RampReadout(GatedModel):
    """Output of a ramp network: integrates until `t_open`, never fires, is read then: V = D + Σ J x."""

    name = "ramp_readout"
    fires = False
    parameters = (
        Param("t_open", 1.0, "when the potential is read, ms", low=0.0),
        Param("bias", 0.0, "added to the potential", per_neuron=True),
    )

    @staticmethod
    def fire(state, i, inputs, p, maps):
        state[V, i] = inputs[0, i] + maps[BIAS, i]
        return SILENT, inputs[0, i], inputs[0, i]
