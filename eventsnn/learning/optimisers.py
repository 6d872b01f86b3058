"""Adam and SGD on NumPy arrays, and schedules of the learning rate; every update is one pass over memory, compiled.

Both are those of Keras, so that a training can be compared with published ones step by step::

    Adam    m = 0.9 m + 0.1 g,  v = 0.999 v + 0.001 g^2,  w = w - a sqrt(1 - 0.999^t) / (1 - 0.9^t) m / (sqrt(v) + 1e-7)
    SGD     s = momentum s - a g,  w = w + s

t counts from 1. An L2 penalty weight_decay x sum w^2 adds 2 weight_decay w to g, in front of either.

Sources: Kingma & Ba, ICLR 2015; tf.keras.optimizers (the place of epsilon); ttfs-relu-equivalence T5, T6.
"""

import math

import numpy as np

from eventsnn import compile as compiling

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
MOMENTS = {"adam": ("m", "v"), "sgd": ("s",)}


def adam_pass(w, g, m, v, rate, decay, one, keep_1, keep_2, epsilon):
    """Update one flat array in place; all numbers are of its dtype, keep_1 and keep_2 the betas."""
    for i in range(w.size):
        slope = g[i] + decay * w[i]
        m[i] = keep_1 * m[i] + (one - keep_1) * slope
        v[i] = keep_2 * v[i] + (one - keep_2) * (slope * slope)
        w[i] -= rate * m[i] / (np.sqrt(v[i]) + epsilon)


def sgd_pass(w, g, s, rate, decay, momentum):
    """Update one flat array in place; all numbers are of its dtype."""
    for i in range(w.size):
        s[i] = momentum * s[i] - rate * (g[i] + decay * w[i])
        w[i] += s[i]


class Optimiser:
    """Moves parameters along their gradients and keeps their moments.

    Parameters
    ----------
    parameters : dict of str to ndarray
        C-contiguous, float32 or float64; changed in place by `update`.
    kind : {"adam", "sgd"}
    momentum : float
        Of SGD.
    weight_decay : float
        L2 penalty on parameters of two and more axes (weights; not biases).

    Attributes
    ----------
    moments : dict of str to ndarray
        "m/NAME", "v/NAME" or "s/NAME".
    steps : int
        Updates so far.
    """

    def __init__(self, parameters, kind="adam", momentum=0.9, weight_decay=0.0):
        self.parameters, self.kind, self.momentum, self.weight_decay = parameters, kind, momentum, weight_decay
        self.moments = {f"{moment}/{name}": np.zeros_like(w) for name, w in parameters.items() for moment in MOMENTS[kind]}
        self.steps = 0

    def update(self, gradients, rate):
        """Take one step.

        Parameters
        ----------
        gradients : dict of str to ndarray
            Of every parameter, of its shape and dtype.
        rate : float
            Learning rate of this step.
        """
        self.steps += 1
        adam = self.kind == "adam"
        kernel = compiling.specialise(adam_pass if adam else sgd_pass)
        if adam:
            rate *= math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        for name, w in self.parameters.items():
            number = w.dtype.type
            decay = number(2 * self.weight_decay if w.ndim > 1 else 0.0)
            own = [self.moments[f"{moment}/{name}"].reshape(-1) for moment in MOMENTS[self.kind]]
            rest = (number(1), number(BETA_1), number(BETA_2), number(EPSILON)) if adam else (number(self.momentum),)
            kernel(w.reshape(-1), gradients[name].reshape(-1), *own, number(rate), decay, *rest)


def learning_rate(settings, step):
    """Return the learning rate of one step.

    Parameters
    ----------
    settings : TtfsSettings
        ``learning_rate`` = a, ``schedule``, ``decay`` = d, ``decay_steps`` = n.
    step : int
        Updates before this one, >= 0.

    Returns
    -------
    float
        constant: a.  exponential: a d^(step / n), continuously, not in stairs (ttfs-relu-equivalence T5).
    """
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * settings.decay ** (step / settings.decay_steps)
