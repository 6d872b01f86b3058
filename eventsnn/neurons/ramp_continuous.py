"""Ramp neurons that integrate spike by spike: the ungated B1 neuron, the alpha-1 neuron, and their readout.

Every arrival adds its weight J to the slope g of the membrane, amplitudes do not matter; a neuron spikes at most once, where V
meets the threshold θ::

    V(t) = V + g (t - t_last)          t* = t_last + (θ - V) / g

`ramp_ungated` (B1 without a gate): g starts at 0; when its window opens, at `t_open`, g becomes `slope` B, whatever has arrived,
and later arrivals are lost. θ = B (R - D). It may spike as soon as V reaches θ, also before the window opens; it is silent
where that would not be before t_open + R. Without early spikes it equals the gated `ramp`.

`ramp_alpha1`: g starts at `alpha` at `t_start` and goes on; θ = B (R - D) + alpha (t_open - t_start) with B = alpha + ΣJ, the
neuron's final slope (`slope`). A neuron that has not spiked by t_open + R spikes then (forced): the next layer needs its J.
With J = alpha w / (1 - Σw) it equals the ReLU unit as well.

Source: Stanojevic et al., Neural Networks 168 (2023), alpha-1 mapping; Nature Communications 15:6793 (2024), B1. The
threshold θ = B (R - D) + alpha (t_open - t_start) is common to both, with alpha = 0 for B1.
"""

from math import inf

import numpy as np

from eventsnn.neurons.base import Param, register
from eventsnn.neurons.continuous import ContinuousModel

V, G, THETA, SINCE = range(4)  # potential and slope at SINCE, threshold (inf once it has spiked)
FINAL, LEFT = 4, 5  # alpha1, for its adjoint: B and R - D
DV, DG, DBIAS, DSLOPE = range(4)  # of the adjoint: potential, slope, parameters
next_spike = ContinuousModel.next_spike  # replaced when compiled by that of the same model
TINY = float(np.finfo(np.float32).tiny)
T_OPEN = Param("t_open", 1.0, "when the window opens, ms", low=0.0)
WINDOW = Param("window", 1.0, "length R of the window, ms", low=TINY)
BIAS = Param("bias", 0.0, "bias D of the equivalent ReLU unit", per_neuron=True)


def meets(S, b):
    """Return when V meets the threshold with the present slope, or inf."""
    if S[b + V] >= S[b + THETA]:
        return S[b + SINCE]
    return S[b + SINCE] + (S[b + THETA] - S[b + V]) / S[b + G] if S[b + G] > 0.0 else inf


def advance(S, b, t):
    """Bring V to `t` with the present slope."""
    S[b + V] += S[b + G] * (t - S[b + SINCE])
    S[b + SINCE] = t


def adjoint_until(L, a, t, until, t_open):
    """Take the adjoint of a ramp that hears nothing from `t_open` on back to `t`; returns what an arrival of 1 means."""
    if t >= t_open:
        return 0.0, 0.0
    L[a + DG] = L[a + DG] + L[a + DV] * (until - t) if until <= t_open else L[a + DV] * (t_open - t)
    return L[a + DG], -L[a + DV]


class LinearRamp(ContinuousModel):
    """What ramps share: linear membranes, one spike, amplitudes ignored."""

    WIDTH = 8
    scaled = False

    @classmethod
    def deaf_from(cls, values):
        """Return the time from which arrivals are lost, ms."""
        return inf

    @staticmethod
    def predict(S, b, t, g, p):
        return next_spike(S, b, p)  # the model's own hook: hooks are compiled with each other's names

    @staticmethod
    def reset(S, b, t, p):
        S[b + THETA] = inf


@register
class RampUngated(LinearRamp):
    """Time-to-first-spike neuron without a gate; equal to a ReLU unit where nothing is early."""

    name = "ramp_ungated"
    adjoints = ("v", "g", "bias")
    parameters = (T_OPEN, WINDOW, BIAS, Param("slope", 1.0, "slope B while the window is open, 1/ms", low=TINY))

    @classmethod
    def derive(cls, values):
        return {"t_open": values["t_open"], "t_close": values["t_open"] + values["window"], "slope": values["slope"]}, {}

    @classmethod
    def rows(cls, values, size, width):
        rows = np.zeros((size, width))
        rows[:, THETA] = values["slope"] * (values["window"] - np.asarray(values["bias"], float))
        return rows

    @classmethod
    def deaf_from(cls, values):
        return values["t_open"]

    @staticmethod
    def receive(S, b, x, t, g, p):
        if t < p.t_open:
            advance(S, b, t)
            S[b + G] += x
        elif S[b + SINCE] < p.t_open:
            advance(S, b, p.t_open)
            S[b + G] = p.slope

    @staticmethod
    def next_spike(S, b, p):
        if S[b + THETA] == inf:
            return inf
        at_open = S[b + V]
        if S[b + SINCE] < p.t_open:
            t = meets(S, b)
            if t < p.t_open:
                return t
            at_open += S[b + G] * (p.t_open - S[b + SINCE])
        t = p.t_open + max(0.0, (S[b + THETA] - at_open) / p.slope)
        return t if t < p.t_close else inf

    @staticmethod
    def potential(S, b, t, p):
        if S[b + SINCE] >= p.t_open or t < p.t_open:
            return S[b + V] + S[b + G] * (t - S[b + SINCE])
        return S[b + V] + S[b + G] * (p.t_open - S[b + SINCE]) + p.slope * (t - p.t_open)

    @staticmethod
    def adjoint_flow(L, a, S, b, t, until, x, p):
        per_x, rate = adjoint_until(L, a, t, until, p.t_open)
        return per_x, x * rate

    @staticmethod
    def adjoint_jump(L, a, S, b, t, e, own, p):
        if t == p.t_open or S[b + V] >= S[b + THETA]:  # held up by the window, or at once: nothing moves it
            return inf, 0.0
        slope = p.slope if t > p.t_open else S[b + G]
        L[a + DV] -= e / slope
        L[a + DBIAS] -= p.slope * e / slope
        return slope, 0.0


@register
class RampAlpha1(LinearRamp):
    """Time-to-first-spike neuron with a continuous slope and exactly one spike, forced where its window closes."""

    name = "ramp_alpha1"
    closes = True
    adjoints = ("v", "g", "bias", "slope")
    parameters = (
        T_OPEN, WINDOW, BIAS,
        Param("t_start", 0.0, "when the neuron begins to integrate: when its inputs' window opens, ms", low=0.0),
        Param("alpha", 1.0, "slope without input, 1/ms", low=TINY),
        Param("slope", 1.0, "final slope B = alpha + ΣJ, 1/ms", low=TINY, per_neuron=True),
    )

    @classmethod
    def check(cls, values):
        return None if values["t_start"] <= values["t_open"] else "t_start must not be after t_open"

    @classmethod
    def derive(cls, values):
        return {"t_close": values["t_open"] + values["window"]}, {}

    @classmethod
    def rows(cls, values, size, width):
        rows = np.zeros((size, width))
        rows[:, THETA] = (values["slope"] * (values["window"] - np.asarray(values["bias"], float))
                          + values["alpha"] * (values["t_open"] - values["t_start"]))
        rows[:, G], rows[:, SINCE] = values["alpha"], values["t_start"]
        rows[:, FINAL], rows[:, LEFT] = values["slope"], values["window"] - np.asarray(values["bias"], float)
        return rows

    @staticmethod
    def receive(S, b, x, t, g, p):
        advance(S, b, max(t, S[b + SINCE]))
        S[b + G] += x

    @staticmethod
    def next_spike(S, b, p):
        return inf if S[b + THETA] == inf else min(meets(S, b), p.t_close)

    @staticmethod
    def potential(S, b, t, p):
        return S[b + V] + S[b + G] * (t - S[b + SINCE])

    @staticmethod
    def adjoint_flow(L, a, S, b, t, until, x, p):
        start = max(t, S[b + SINCE])  # later than t where it has not begun to integrate
        L[a + DG] += L[a + DV] * max(0.0, until - start)
        return L[a + DG], -x * L[a + DV] if start == t else 0.0

    @staticmethod
    def adjoint_jump(L, a, S, b, t, e, own, p):
        if t >= p.t_close or S[b + V] >= S[b + THETA]:  # forced, or at once: nothing moves it
            return inf, 0.0
        per_theta = e / S[b + G]
        L[a + DV] -= per_theta
        L[a + DBIAS] -= S[b + FINAL] * per_theta
        L[a + DSLOPE] += S[b + LEFT] * per_theta
        return S[b + G], 0.0


@register
class RampUngatedReadout(LinearRamp):
    """Output of ungated and alpha-1 networks: integrates until `t_open`, never fires: V = D + Σ J (t_open - t)."""

    name = "ramp_ungated_readout"
    fires = False
    adjoints = ("bias", "g")  # V starts from the bias
    parameters = (T_OPEN, Param("bias", 0.0, "added to the potential", per_neuron=True))

    @classmethod
    def derive(cls, values):
        return {"t_open": values["t_open"]}, {}

    @classmethod
    def rows(cls, values, size, width):
        rows = np.zeros((size, width))
        rows[:, THETA] = values["bias"]  # never a threshold here: added when it is read
        return rows

    @classmethod
    def deaf_from(cls, values):
        return values["t_open"]

    @staticmethod
    def receive(S, b, x, t, g, p):
        if t < p.t_open:
            advance(S, b, t)
            S[b + G] += x

    @staticmethod
    def predict(S, b, t, g, p):
        return inf

    @staticmethod
    def potential(S, b, t, p):
        return S[b + V] + S[b + G] * (min(t, p.t_open) - S[b + SINCE]) + S[b + THETA]

    @staticmethod
    def adjoint_flow(L, a, S, b, t, until, x, p):
        per_x, rate = adjoint_until(L, a, t, until, p.t_open)
        return per_x, x * rate
