"""What of a DECOLLE network is drawn once and stands: shapes, time constants, readouts, feedback, initial weights.

Learner and engine take their constants from here, so that they agree to the last bit.
"""

from dataclasses import dataclass

import numpy as np

from eventsnn import quantise
from eventsnn.errors import ModelError
from eventsnn.random import key, uniform


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """Constants of one layer; shapes are (channel, y, x).

    Attributes
    ----------
    number : int
        From 1.
    layer : ConvLayer
    in_shape, shape, pooled : tuple
        Of the input, of the neurons, of what is handed on.
    alpha, beta : ndarray, `in_shape`
        Decays of P and Q per step.
    p_gain, q_gain : ndarray, `in_shape`
        What Q adds to P, and a spike to Q, in the units below.
    gamma : float
        Decay of R per step.
    p_step, q_step, r_step : float
        Unit in which P, Q, R are held: the grid's step where they are quantised, 1 where they are not.
    p_most, q_most : float
        Levels at which P and Q saturate, in these units.
    gain, bias_gain : float
        Value of U per unit of P and step of the weight grid, and per step of the bias grid.
    scale : float
        Divides U's sums; both gains hold it already.
    readout, feedback : ndarray, (classes, pooled size)
        Fixed random weights; same signs.
    readout_scale : float
        Divides the readout's sums.
    """

    number: int
    layer: object
    in_shape: tuple
    shape: tuple
    pooled: tuple
    alpha: np.ndarray
    beta: np.ndarray
    p_gain: np.ndarray
    q_gain: np.ndarray
    gamma: float
    p_step: float
    q_step: float
    r_step: float
    p_most: float
    q_most: float
    gain: float
    bias_gain: float
    scale: float
    readout: np.ndarray
    feedback: np.ndarray
    readout_scale: float

    @property
    def weight_shape(self):
        """(channels out, channels in, y, x)."""
        return self.layer.channels, self.in_shape[0], self.layer.kernel, self.layer.kernel

    @property
    def fan_in(self):
        """Synapses of a neuron."""
        return int(np.prod(self.weight_shape[1:]))


def make_plan(settings, in_shape, classes):
    """Draw the constants of all layers.

    Parameters
    ----------
    settings : DecolleSettings
    in_shape : tuple of int
        (channel, y, x) of what enters the first layer.
    classes : int
        Number of classes, >= 2.

    Returns
    -------
    list of LayerPlan

    Raises
    ------
    ModelError
        If an image becomes smaller than a kernel or a pool.
    """
    plans = []
    for number, layer in enumerate(settings.layers, 1):
        side = [n + 2 * layer.padding - layer.kernel + 1 for n in in_shape[1:]]
        pooled = [n // layer.pool for n in side]
        if min(pooled) < 1:
            raise ModelError(f"decolle: layer {number}: a kernel of {layer.kernel} and a pool of {layer.pool} do not fit an "
                             f"image of {in_shape[1]} x {in_shape[2]}; downsample less or use smaller kernels")  # fmt: skip
        plans.append(
            _plan_layer(settings, number, layer, tuple(in_shape), (layer.channels, *side), (layer.channels, *pooled), classes)
        )
        in_shape = plans[-1].pooled
    return plans


def _plan_layer(settings, number, layer, in_shape, shape, pooled, classes):
    bits, steps = settings.bits, {}
    for name in ("tau_mem", "tau_syn"):
        low, high = (t / settings.dt_ms for t in getattr(settings, name))
        drawn = uniform(key(settings.seed, "decolle", name, number), 0, 0, int(np.prod(in_shape)))
        steps[name] = (low + (high - low) * drawn).reshape(in_shape)
    alpha, beta = 1 - 1 / steps["tau_mem"], 1 - 1 / steps["tau_syn"]
    tau_mem, tau_syn = 1 / (1 - alpha), 1 / (1 - beta)
    gamma = 1 - settings.dt_ms / settings.tau_ref
    q_top = float((tau_syn / (1 - beta)).max())
    p_top, q_top = float((tau_mem * q_top / (1 - alpha)).max()) * settings.pq_cap, q_top * settings.pq_cap
    p_step, q_step = (top / 2.0**b if b is not None else 1.0 for top, b in ((p_top, bits["pb"]), (q_top, bits["qb"])))
    r_step = 1 / (1 - gamma) / 2.0 ** bits["rfb"] if bits["rfb"] is not None else 1.0
    _, scale = quantise.layer_scale(bits["wb"], in_shape[0] * layer.kernel**2, settings.init_beta, 1.0)
    unit = settings.weight_unit / (weight_levels(bits) or 1.0) / scale
    readout, feedback, readout_scale = _fixed_weights(settings, number, classes, int(np.prod(pooled)))
    return LayerPlan(
        number, layer, in_shape, shape, pooled, alpha, beta, tau_mem * q_step / p_step, tau_syn / q_step, gamma,
        p_step, q_step, r_step, p_top / p_step, q_top / q_step, p_step * unit, unit, scale, readout, feedback, readout_scale,
    )  # fmt: skip


def weight_levels(bits):
    """Return levels per unit of weight, or None in floating point."""
    return None if bits["wb"] is None else quantise.levels(bits["wb"])


def _fixed_weights(settings, number, classes, n):
    """Readout and feedback: independent magnitudes, one sign."""
    drawn = [2 * uniform(key(settings.seed, "decolle", name, number), 0, 0, classes * n).reshape(classes, n) - 1
             for name in ("readout", "feedback")]  # fmt: skip
    size = settings.readout_amplitude / np.sqrt(n)
    width = settings.bits["sb"]
    if width is None:
        readout, feedback, scale = drawn[0] * size, drawn[1] * size, 1.0
    else:
        readout, feedback = (quantise.to_grid(quantise.clip(x, width), width) for x in drawn)
        scale = max(1.0, quantise.shift((1 - 1.5 / quantise.levels(width)) / size))
    return readout, np.where(readout != 0, np.copysign(feedback, readout), feedback), float(scale)


def initial_weights(settings, plan):
    """Return the first (weights, biases) of a layer in units of `weight_unit`.

    Parameters
    ----------
    settings : DecolleSettings
    plan : LayerPlan

    Returns
    -------
    weights : ndarray, `plan.weight_shape`
        Uniform in +-max(1 / sqrt(fan-in), init_beta / S_wb).
    biases : ndarray, (channels,)
        A hundred times wider. Both are zero under the quirk ``zero_weights`` where weights are quantised.
    """
    most, _ = quantise.layer_scale(settings.bits["wb"], plan.fan_in, settings.init_beta, 1.0)
    shapes = (plan.weight_shape, plan.weight_shape[:1])
    drawn = [2 * uniform(key(settings.seed, "decolle", name, plan.number), 0, 0, int(np.prod(shape))).reshape(shape) - 1
             for name, shape in zip(("weights", "biases"), shapes)]  # fmt: skip
    zero = "zero_weights" in settings.quirks and settings.bits["wb"] is not None
    return drawn[0] * (0.0 if zero else most), drawn[1] * (0.0 if zero else 100 * most)
