"""One layer of the pattern learner: its arrays, and the order in which its kernels are called."""

import numpy as np

from eventsnn import quantise
from eventsnn.compile import specialise
from eventsnn.learning.patterns import kernels
from eventsnn.random import key_words

LANE = 16
STEEPNESS, EPSILON, KEEP_MEAN, KEEP_TOP = 100.0, 1e-8, 0.9, 0.999


class Layer:
    """Weights and traces of one fully connected layer.

    Parameters
    ----------
    settings : PatternSettings
    weights : array of float32, shape (sources, neurons)
        Initial fine weights.
    scale : float
        What the quantised weights are divided by.
    steps : int
    stream : numpy.uint64
        Random numbers of stochastic rounding.
    """

    def __init__(self, settings, weights, scale, steps, stream):
        self.settings, self.steps, self.stream = settings, steps, key_words(stream)
        self.sources, self.neurons = weights.shape
        self.width = -(-self.neurons // LANE) * LANE
        self.p = _constants(settings, scale)
        wide = (self.sources, self.width)
        self.moving = {"weights": np.zeros(wide, np.float32)}
        if settings.optimiser == "adamax":
            self.moving |= {"mean": np.zeros(wide, np.float32), "top": np.zeros(wide, np.float32)}
        self.used, self.grad = np.zeros(wide, np.float32), np.zeros(wide, np.float32)
        self.moving["weights"][:, : self.neurons] = weights
        self._requantise()
        shape = (steps, self.width)
        self.th, self.membrane = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.err, self.gz = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.inside = np.full(shape, kernels.TH_INSIDE | kernels.S_INSIDE | kernels.M_INSIDE, np.uint8)
        self.out_ptr, self.out_ids = np.zeros(steps + 1, np.int64), np.zeros(steps * self.neurons + 64, np.int32)
        self.spans = np.zeros(self.sources + 1, np.int64)
        self.times = np.zeros(steps * self.sources, np.int32)
        self.run = _kernels(settings)

    def _requantise(self):
        bits = self.settings.wb
        w = self.moving["weights"]
        w[:] = quantise.clip(w, bits) if bits is not None else np.clip(w, -1, 1)
        self.used[:] = quantise.weights(w, bits, self.p.layer_scale)

    @property
    def used_weights(self):
        """Weights of the forward pass, (sources, neurons)."""
        return self.used[:, : self.neurons]

    @property
    def stored_weights(self):
        """Fine weights that learning moves, (sources, neurons)."""
        return self.moving["weights"][:, : self.neurons]

    def restore(self, arrays):
        """Take over the moving arrays of an earlier run."""
        for name, own in self.moving.items():
            own[:] = arrays[name]
        self._requantise()

    def listen(self, ptr, ids):
        """Take the spikes that arrive, by step."""
        self.ptr, self.ids = ptr, ids
        self.run["by_source"](ptr, ids, self.sources, self.spans, self.times)

    def aim(self, wanted, kappa, tau):
        """Take the target raster (steps, neurons), filtered once."""
        self.kappa, self.tau = kappa, tau
        self.wanted, self.difference = np.zeros((self.steps, self.width)), np.zeros((self.steps, self.width))
        trace = np.zeros(self.width)
        for t in range(self.steps):
            trace = kappa * trace
            trace[: self.neurons] += wanted[t]
            self.wanted[t] = trace

    def forward(self):
        """Run all steps."""
        self.run["forward"](self.ptr, self.ids, self.used.reshape(-1), self.width, self.p, self.th.reshape(-1),
                            self.inside.reshape(-1), self.membrane.reshape(-1), self.out_ptr, self.out_ids)  # fmt: skip

    def loss(self):
        """Return L of the layer's spikes and leave its gradient in `gz`."""
        return self.run["loss"](self.out_ptr, self.out_ids, self.wanted.reshape(-1), self.width, self.neurons, self.kappa,
                                self.tau, self.difference.reshape(-1), self.gz.reshape(-1))  # fmt: skip

    def backward(self):
        """Turn `gz`, the gradient in the layer's spikes, into the errors `err` of its inputs."""
        self.run["backward"](self.gz.reshape(-1), self.th.reshape(-1), self.inside.reshape(-1), self.width, self.steps, self.p,
                             self.err.reshape(-1))  # fmt: skip

    def update(self, step):
        """Compute the gradient of the weights and take one step with it."""
        grad, sources = self.grad.reshape(-1), self.sources
        top = self.run["weight_gradient"](self.spans, self.times, self.err.reshape(-1), self.width, 0, sources, grad)
        largest = np.array([top], np.int32).view(np.float32)[0]
        scale = np.float32(quantise.shift(float(largest)))
        adamax = self.settings.optimiser == "adamax"
        correction = np.float32(self.settings.learning_rate / (1 - KEEP_MEAN ** (step + 1) if adamax else 1))
        weights = self.moving["weights"].reshape(-1)
        mean, best = (self.moving[name].reshape(-1) if adamax else weights for name in ("mean", "top"))
        self.run["update"](self.spans, grad, scale, np.uint64(step), *self.stream, correction, self.width, 0, sources, self.p,
                           weights, self.used.reshape(-1), mean, best)  # fmt: skip

    def raster(self, dt_ms):
        """The layer's spikes of the last forward pass."""
        from eventsnn.learning.patterns.learner import raster_of

        return raster_of(self.out_ptr, self.out_ids, self.neurons, dt_ms)


def pass_errors(above, below):
    """Hand the errors of a layer to the one below as the gradient in its spikes."""
    if not hasattr(above, "transposed"):
        above.transposed = np.zeros((above.width, below.width), np.float32)
    above.run["transpose"](above.used.reshape(-1), above.sources, above.width, below.width, above.transposed.reshape(-1))
    above.run["to_input"](above.err.reshape(-1), above.transposed.reshape(-1), above.width, below.width, 0, above.steps,
                          below.gz.reshape(-1))  # fmt: skip


def _kernels(settings):
    """The loops, compiled for the quantisers that are on."""
    states, errors, gradients, weights, random = (getattr(settings, name) is not None for name in ("ab", "eb", "gb", "wb", "rb"))
    plain = (kernels.weight_gradient, kernels.to_input, kernels.by_source, kernels.transpose, kernels.loss)
    return {loop.__name__: specialise(loop) for loop in plain} | {
        "forward": specialise(kernels.forward, STATES=states),
        "backward": specialise(kernels.backward, ERRORS=errors),
        "update": specialise(kernels.update, ADAMAX=settings.optimiser == "adamax", GRADIENTS=gradients, WEIGHTS=weights,
                             RANDOM=random),
    }  # fmt: skip


def _constants(settings, scale):
    def grid(bits):
        return (1.0, 1.0) if bits is None else (quantise.levels(bits), quantise.bound(bits))

    levels, bound = grid(settings.ab)
    error_levels, error_bound = grid(settings.eb)
    weight_levels, weight_bound = grid(settings.wb)
    values = {
        "alpha": settings.alpha, "beta": settings.beta, "threshold": settings.v_threshold, "reset": settings.reset,
        "levels": levels, "bound": bound, "error_levels": error_levels, "error_bound": error_bound,
        "rate": settings.gradient_rate, "grid_levels": grid(settings.gb)[0], "random_levels": grid(settings.rb)[0],
        "weight_levels": weight_levels, "weight_bound": weight_bound,
        "layer_scale": scale, "one": 1.0, "steep": STEEPNESS, "small": EPSILON,
        "keep_mean": KEEP_MEAN, "new_mean": 1 - KEEP_MEAN, "keep_top": KEEP_TOP,
    }  # fmt: skip
    return kernels.Constants(**{name: np.float32(value) for name, value in values.items()})
