"""One DECOLLE layer in PyTorch: traces, membrane, local readout, local update; nothing is kept from step to step but state.

Arrays are (sample, channel, y, x). Traces and weights are held in steps of their grids, so that with ``precision: float64`` the
sums of quantised products are whole numbers, the same in any order; the published quantities are these times a unit
(`plan`). There is no tape: the gradient of a step is written out here, from the state of that step alone.
"""

import numpy as np

from eventsnn import quantise
from eventsnn.errors import RunError
from eventsnn.learning.decolle.plan import initial_weights, weight_levels
from eventsnn.random import key

try:
    import torch
except ImportError as error:
    raise RunError("DECOLLE learns with PyTorch, which is an extra: pip install 'eventsnn[ann]'") from error

functional = torch.nn.functional
DECAY = 0.95  # of the largest gradient that Adamax remembers


class DecolleLayer:
    """State and weights of one layer.

    Parameters
    ----------
    plan : LayerPlan
    settings : DecolleSettings
    """

    def __init__(self, plan, settings):
        self.plan, self.settings, self.bits = plan, settings, settings.bits
        self.dtype = getattr(torch, settings.precision)
        made = (plan.alpha, plan.beta, plan.p_gain, plan.q_gain, plan.readout, plan.feedback)
        self.alpha, self.beta, self.p_gain, self.q_gain, self.readout, self.feedback = map(self._tensor, made)
        self.arrays = {n: x.astype(settings.precision) for n, x in zip(("w", "b"), initial_weights(settings, plan))}
        self.slots = {n: np.zeros_like(x) for n, x in self.arrays.items()}
        self.sums = {n: np.zeros(x.shape) for n, x in self.arrays.items()}
        self.bound = 8.0 if "wide_membrane" in settings.quirks else 1.0
        self.swapped = "swapped_regularisers" in settings.quirks
        self._quantise_weights()

    def set_weights(self, weights, biases):
        """Take weights and biases, in units of `weight_unit`."""
        for name, given in (("w", weights), ("b", biases)):
            if given.shape != self.arrays[name].shape:
                raise ValueError(
                    f"layer {self.plan.number}: expected {name} of shape {self.arrays[name].shape}, got {given.shape}"
                )
            self.arrays[name] = given.astype(self.settings.precision)
        self._quantise_weights()

    def _tensor(self, array):
        return torch.as_tensor(np.ascontiguousarray(array)).to(self.dtype)

    def _quantise_weights(self):
        """Clip the weights to the grid they move on, and make the ones that are used, in steps of theirs."""
        if quantise.is_on(self.bits["gb"]):
            for name, array in self.arrays.items():
                self.arrays[name] = quantise.clip(array, self.bits["gb"])
        grid = weight_levels(self.bits)
        used = {n: x if grid is None else quantise.weights(x, self.bits["wb"]) * grid for n, x in self.arrays.items()}
        self.weights = self._tensor(used["w"]).contiguous(memory_format=torch.channels_last)
        self.bias = self._tensor(used["b"] * self.plan.bias_gain)[:, None, None]

    def start(self, samples):
        """Forget everything, for a batch of so many samples."""
        shape, last = (samples, *self.plan.in_shape), {"memory_format": torch.channels_last}
        self.p, self.q = (torch.zeros(shape, dtype=self.dtype).contiguous(**last) for _ in range(2))
        self.r = torch.zeros((samples, *self.plan.shape), dtype=self.dtype).contiguous(**last)

    def forward(self, spikes):
        """Take one step.

        Parameters
        ----------
        spikes : tensor, (sample, *in_shape)

        Returns
        -------
        tensor, (sample, *pooled)
            What the layer hands on.
        """
        plan, settings = self.plan, self.settings
        if self.bits["rfb"] is not None:
            self.r.div_(plan.r_step).round_().mul_(plan.r_step)
        self.r.mul_(plan.gamma)
        self.p.mul_(self.alpha).add_(self.p_gain * self.q)
        self.q.mul_(self.beta).add_(self.q_gain * spikes)
        self._limit(self.p, plan.p_most, self.bits["pb"])
        self._limit(self.q, plan.q_most, self.bits["qb"])
        u = functional.conv2d(self.p, self.weights, padding=plan.layer.padding)
        u.mul_(plan.gain).add_(self.bias).sub_(self.r)
        if self.bits["ub"] is not None:
            steps = quantise.levels(self.bits["ub"]) - 1
            u.div_(8.0).clamp_(-self.bound, self.bound).mul_(steps).round_().div_(steps).mul_(8.0)
        self.u = u
        s = (u >= settings.threshold).to(self.dtype)
        if settings.threshold:
            s -= (u <= -settings.threshold).to(self.dtype)
        self.r.add_(s, alpha=settings.threshold or 1.0)
        return functional.max_pool2d(s, plan.layer.pool) if plan.layer.pool > 1 else s

    def _limit(self, x, most, width):
        if width is not None:
            x.clamp_(0.0, most).round_()
        elif self.settings.pq_cap != 1:
            x.clamp_(0.0, most)

    def read(self):
        """Return the class scores of this step, (sample, classes)."""
        self.sigmoid, pool = torch.sigmoid(self.u), self.plan.layer.pool
        if pool > 1:
            a, self.places = functional.max_pool2d(self.sigmoid, pool, return_indices=True)
        else:
            a = self.sigmoid
        self.a = a.contiguous().reshape(len(a), -1)
        x = self.a if self.bits["sig"] is None else (self.a * 2.0 ** self.bits["sig"]).round_().div_(2.0 ** self.bits["sig"])
        x = (x @ self.readout.T).div_(self.plan.readout_scale)
        return _fixed(x, self.bits["ab"]).add_(1).div_(2)

    def gradients(self, target, mask, scores):
        """Return the rule's (dw, db): local error x slope of the sigmoid x presynaptic trace, of physical weights.

        Parameters
        ----------
        target, mask, scores : tensor, (sample, classes)
            One at the class; zero where a score was dropped; what `read` gave.
        """
        e = mask * (scores * mask - target)
        if self.bits["eb"] is None:
            e = e * (2.0 / e.numel())
        da = self._error(self._error(e) @ self.feedback)
        slope = self.sigmoid * (1 - self.sigmoid)
        push, pull = self._regularise()
        da, extra = (da + push, pull) if self.swapped else (da + pull, push)
        da, pool = da.reshape(len(da), *self.plan.pooled), self.plan.layer.pool
        if pool > 1:
            da = _unpool(da, self.places, self.u)
        du = self._error(da * slope + extra)
        dw, db = torch.ops.aten.convolution_backward(
            du, self.p, self.weights, [len(self.bias)], [1, 1], [self.plan.layer.padding] * 2, [1, 1], False, [0, 0], 1,
            [False, True, True],
        )[1:]  # fmt: skip
        return dw * self.plan.p_step, db

    def _error(self, e):
        if self.bits["eb"] is None:
            return e
        least, most = torch.aminmax(e)
        return _fixed(e / quantise.shift(max(-float(least), float(most))), self.bits["eb"])

    def _regularise(self):
        """Gradients of 20 l1 mean relu(much + 0.01) and 0.1 l2 relu(0.1 - mean little)."""
        much, little = (self.a, self.u) if self.swapped else (self.u, self.a)
        push = (much + 0.01 > 0).to(self.dtype) * (20 * self.settings.l1 / much.numel()) if self.settings.l1 else 0.0
        pull = -0.1 * self.settings.l2 / little.numel() if self.settings.l2 and float(little.mean()) < 0.1 else 0.0
        return push, pull

    def learn(self, target, mask, scores, rate, number):
        """Update weights and biases from this step; returns how many moved.

        Parameters
        ----------
        target, mask, scores : tensor
            As in `gradients`.
        rate : float
            Of this epoch.
        number : int
            Number of the update since the beginning, which keys its random numbers.
        """
        moved = 0
        for name, gradient in zip(("w", "b"), self.gradients(target, mask, scores)):
            step = self._step(name, np.ascontiguousarray(gradient.numpy()), rate, number)
            self.arrays[name] = self.arrays[name] - step
            moved += int(np.count_nonzero(step))
        self._quantise_weights()
        return moved

    def _step(self, name, gradient, rate, number):
        if quantise.is_on(self.bits["gb"]):
            stream = key(self.settings.seed, "decolle rounding", name, self.plan.number)
            words = quantise.random_words(stream, number, (len(gradient), gradient.size // len(gradient))).reshape(gradient.shape)
            return quantise.gradients(gradient, self.bits["gb"], self.bits["rb"], rate, words).astype(gradient.dtype)
        if self.settings.optimiser == "sgd":
            return gradient * np.asarray(rate / self.settings.weight_unit, gradient.dtype)
        # Adamax with the betas of the original DECOLLE, 0 and 0.95: the first moment is the gradient itself
        slot = self.slots[name] = np.maximum(self.slots[name] * gradient.dtype.type(DECAY), np.abs(gradient))
        return gradient / np.maximum(slot, np.finfo(slot.dtype).tiny) * gradient.dtype.type(rate)


def _fixed(x, width):
    if width is None:
        return x
    s = quantise.levels(width)
    return x.clamp(1 / s - 1, 1 - 1 / s).mul_(s).round_().div_(s)


def _unpool(values, places, like):
    out = torch.zeros(like.shape, dtype=values.dtype)
    out.flatten(2).scatter_(2, places.flatten(2), values.flatten(2))
    return out.contiguous(memory_format=torch.channels_last)
