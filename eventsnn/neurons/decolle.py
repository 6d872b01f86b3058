"""The neurons of a DECOLLE layer on the grid: presynaptic traces, membranes, spikes, and the local readout.

A membrane that sees two exponential traces of every input is the sum of the inputs' traces: the traces live with the source, one
pair for each input element, whatever its time constants, and the synapse carries their value at every step. In one step, from
left to right without delay::

    decolle_trace        p <- alpha p + p_gain q;   q <- beta q + q_gain I      (p takes the old q);   emits p
    decolle_membrane     r <- gamma R(r);   u = gain I + bias - r;   s = [u >= threshold];   r <- r + s;   emits u
    decolle_spike        emits [I >= threshold]
    decolle_activation   emits sigmoid(I)
    decolle_readout      emits (A(I / scale) + 1) / 2 from step `start` on

Traces are held between 0 and `p_most`, `q_most` and rounded to whole levels where `rounded`; R is rounded to multiples of
`r_step`, u to 2 `u_steps` + 1 levels in +-8 (saturating at 8 `u_bound`), the sigmoid to multiples of 1 / `levels`, A to
multiples of 1 / `levels` in +-(1 - 1 / `levels`); 0 means: not rounded. With `threshold` above 0 there are spikes of both
signs, s = -1 where u <= -threshold, and r grows by s threshold.

Rounding is half to even. A rounded trace does not decay to nothing: below half a level lost per step it stands still.

Sources: Kaiser, Mostafa, Neftci, Frontiers in Neuroscience 14:424, 2020, equations (1), (2), (5); Schaefer & Joshi, ICONS 2020,
doi 10.1145/3407197.3407203.
"""

import numpy as np

from eventsnn.neurons.base import NEVER, GridModel, Param, register

P, Q = range(2)
R, U = range(2)
ALPHA, BETA, P_GAIN, Q_GAIN = range(4)
BIAS = 0
# constants of the parameters, replaced when the model is compiled
HELD = ROUNDED_P = ROUNDED_Q = ROUNDED_R = ROUNDED_U = ROUNDED = TERNARY = False
FULL = 8.0  # |u| at the end of its grid


@register
class DecolleTrace(GridModel):
    """Two exponential traces of an input element, the second filtering the first; emits the second."""

    name = "decolle_trace"
    variables = (("p", 0.0), ("q", 0.0))
    unit_amplitude = False
    graded = True
    IDLE = True
    parameters = (
        Param("alpha", 0.95, "factor of p per step", low=0.0, high=1.0, per_neuron=True),
        Param("beta", 0.8, "factor of q per step", low=0.0, high=1.0, per_neuron=True),
        Param("p_gain", 20.0, "what q adds to p in a step", per_neuron=True),
        Param("q_gain", 5.0, "what an input of 1 adds to q", per_neuron=True),
        Param("p_most", np.inf, "largest p; with a finite one p is not negative", low=0.0),
        Param("q_most", np.inf, "largest q; with a finite one q is not negative", low=0.0),
        Param("p_rounded", 0.0, "1: p is a whole number", low=0.0, high=1.0),
        Param("q_rounded", 0.0, "1: q is a whole number", low=0.0, high=1.0),
    )

    @classmethod
    def derive(cls, values):
        held = bool(np.isfinite(values["p_most"]) and np.isfinite(values["q_most"]))
        most = {n: values[n] if np.isfinite(values[n]) else 0.0 for n in ("p_most", "q_most")}
        constants = {"HELD": held, "ROUNDED_P": bool(values["p_rounded"]), "ROUNDED_Q": bool(values["q_rounded"])}
        return {**values, **most}, constants

    @classmethod
    def check(cls, values):
        if np.isfinite(values["p_most"]) != np.isfinite(values["q_most"]):
            return "p_most and q_most must both be finite or both be infinite"
        return None

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        trace = maps[ALPHA, i] * state[P, i] + maps[P_GAIN, i] * state[Q, i]
        fast = maps[BETA, i] * state[Q, i] + maps[Q_GAIN, i] * inputs[0, i]
        if HELD:
            trace, fast = min(max(trace, 0.0), p.p_most), min(max(fast, 0.0), p.q_most)
        state[P, i] = np.rint(trace) if ROUNDED_P else trace
        state[Q, i] = np.rint(fast) if ROUNDED_Q else fast
        return state[P, i]

    @staticmethod
    def wake(state, i, t, p, maps):
        return t + 1 if state[P, i] != 0 or state[Q, i] != 0 else NEVER


@register
class DecolleMembrane(GridModel):
    """Membrane with a refractory trace of its own spikes; emits its value at every step."""

    name = "decolle_membrane"
    variables = (("r", 0.0), ("u", 0.0))
    unit_amplitude = False
    graded = True
    parameters = (
        Param("bias", 0.0, "constant part of u", per_neuron=True),
        Param("gain", 1.0, "u per unit of input"),
        Param("gamma", 0.65, "factor of r per step", low=0.0, high=1.0),
        Param("threshold", 0.0, "u of a spike; above 0: spikes of both signs", low=0.0),
        Param("r_step", 0.0, "grid of r; 0: not rounded", low=0.0),
        Param("u_steps", 0.0, "levels of u on each side of 0; 0: not rounded", low=0.0),
        Param("u_bound", 1.0, "where u saturates, in units of 8", low=0.0),
    )

    @classmethod
    def derive(cls, values):
        chosen = {"ROUNDED_R": values["r_step"] > 0, "ROUNDED_U": values["u_steps"] > 0, "TERNARY": values["threshold"] > 0}
        return values, chosen

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        r = (np.rint(state[R, i] / p.r_step) * p.r_step if ROUNDED_R else state[R, i]) * p.gamma
        u = inputs[0, i] * p.gain + maps[BIAS, i] - r
        if ROUNDED_U:
            u = np.rint(min(max(u / FULL, -p.u_bound), p.u_bound) * p.u_steps) / p.u_steps * FULL
        if TERNARY:
            s = (u >= p.threshold) * 1.0 - (u <= -p.threshold) * 1.0
            state[R, i] = r + s * p.threshold
        else:
            state[R, i] = r + (u >= p.threshold) * 1.0
        state[U, i] = u
        return state[U, i]


@register
class DecolleSpike(GridModel):
    """A spike in every step in which the input reaches the threshold; with one above 0, of both signs."""

    name = "decolle_spike"
    variables = (("v", 0.0),)
    unit_amplitude = False
    parameters = (Param("threshold", 0.0, "input of a spike; above 0: spikes of both signs", low=0.0),)

    @classmethod
    def derive(cls, values):
        return values, {"TERNARY": values["threshold"] > 0}

    @classmethod
    def sends_ones(cls, values):
        return values["threshold"] == 0

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        v = inputs[0, i]
        state[0, i] = v
        if TERNARY:
            return (v >= p.threshold) * 1.0 - (v <= -p.threshold) * 1.0
        return (v >= p.threshold) * 1.0


@register
class DecolleActivation(GridModel):
    """Logistic function of the input, at every step."""

    name = "decolle_activation"
    variables = (("a", 0.0),)
    unit_amplitude = False
    graded = True
    parameters = (Param("levels", 0.0, "grid of the value; 0: not rounded", low=0.0),)

    @classmethod
    def derive(cls, values):
        return values, {"ROUNDED": values["levels"] > 0}

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        a = 1.0 / (1.0 + np.exp(-inputs[0, i]))
        state[0, i] = np.rint(a * p.levels) / p.levels if ROUNDED else a
        return state[0, i]


@register
class DecolleReadout(GridModel):
    """Class score of this step alone, in [0, 1] where it is rounded."""

    name = "decolle_readout"
    variables = (("y", 0.0),)
    unit_amplitude = False
    graded = True
    parameters = (
        Param("scale", 1.0, "divides the input", low=1e-30),
        Param("levels", 0.0, "grid of the activation; 0: not rounded", low=0.0),
        Param("start", 0.0, "first step that speaks", low=0.0),
    )

    @classmethod
    def derive(cls, values):
        return values, {"ROUNDED": values["levels"] > 0}

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        x = inputs[0, i] / p.scale
        if ROUNDED:
            most = 1.0 - 1.0 / p.levels
            x = np.rint(min(max(x, -most), most) * p.levels) / p.levels
        state[0, i] = (x + 1.0) / 2.0
        return state[0, i] if t >= p.start else state[0, i] * 0.0
