"""A DECOLLE network that is stepped through: what learning and judging share."""

import contextlib
from dataclasses import dataclass, field

import numpy as np

from eventsnn.learning.decolle.input import by_step
from eventsnn.learning.decolle.plan import initial_weights, make_plan
from eventsnn.learning.decolle.settings import DecolleSettings
from eventsnn.random import key, uniform

TEST_BATCH = 100


@dataclass(frozen=True, eq=False)
class DecolleResult:
    """A learned network.

    Attributes
    ----------
    settings : DecolleSettings
    weights, biases : list of ndarray
        Per layer, in units of `settings.weight_unit`, on the grid of the gradients where that is quantised.
    in_shape : tuple
        (channel, y, x) of the input.
    classes : int
    curve : list of dict
        Per epoch: epoch, rate, loss, train_accuracy, spikes and updates of each layer, validation_accuracy.
    epoch : int
        Whose weights these are.
    seconds : float
        Wall time of this call.
    """

    settings: DecolleSettings
    weights: list
    biases: list
    in_shape: tuple
    classes: int
    curve: list = field(default_factory=list)
    epoch: int = 0
    seconds: float = 0.0


class Net:
    """All layers of a network in PyTorch, step by step.

    Parameters
    ----------
    settings : DecolleSettings
    in_shape : tuple
        (channel, y, x).
    classes : int
    """

    def __init__(self, settings, in_shape, classes):
        from eventsnn.learning.decolle.layer import DecolleLayer, torch

        self.torch, self.settings, self.classes, self.in_shape = torch, settings, classes, in_shape
        self.plans = make_plan(settings, in_shape, classes)
        self.layers = [DecolleLayer(plan, settings) for plan in self.plans]

    def steps(self, raster):
        """Yield (step, class scores of each layer, what each layer handed on); layers may learn in between."""
        channels, height, width = self.in_shape
        at, n = by_step(raster), raster.n_samples
        for layer in self.layers:
            layer.start(n)
        frame = self.torch.zeros((n, height * width * channels), dtype=self.layers[0].dtype)
        view = frame.view(n, height, width, channels).permute(0, 3, 1, 2)
        for t in range(int(raster.duration)):
            samples, cells, values = at(t)
            frame.zero_()
            frame.numpy()[samples, cells] = values
            yield t, view

    def predict(self, source, members):
        """Return (winner of each layer and sample, spikes of each layer)."""
        s, winners, spikes = self.settings, [], np.zeros(len(self.layers), np.int64)
        burn_in = s.steps(s.burn_in) if s.burn_in else -1
        for first in range(0, len(members), TEST_BATCH):
            part = members[first : first + TEST_BATCH]
            votes = np.zeros((len(self.layers), len(part), self.classes), np.int64)
            for t, x in self.steps(source.batch(part)):
                for k, layer in enumerate(self.layers):
                    x = layer.forward(x)
                    spikes[k] += int(self.torch.count_nonzero(x))
                    if t > burn_in:
                        self._vote(votes[k], layer.read().numpy(), (k, t, part, source))
            winners.append(votes.argmax(-1))
        return np.concatenate(winners, 1) if winners else np.zeros((len(self.layers), 0), np.int64), spikes

    def _vote(self, votes, scores, where):
        if "dropout_in_test" in self.settings.quirks:
            k, t, part, source = where
            numbers = np.asarray(source.ids)[part]
            drawn = uniform(key(self.settings.seed, "decolle test dropout", k), numbers, t, self.classes)
            scores = scores * (drawn >= self.settings.dropout)
        votes[np.arange(len(scores)), scores.argmax(-1)] += 1


def predict(result, source, members=None):
    """Return what each layer answers.

    Parameters
    ----------
    result : DecolleResult
    source : Recordings or Images
    members : array of int, optional
        Positions; all by default.

    Returns
    -------
    ndarray of int, (layers, n)
        Class with the most steps after the burn-in in which its score was the largest; the lowest among equals.
    """
    with threads(result.settings):
        net = make_net(result)
        return net.predict(source, np.arange(len(source)) if members is None else members)[0]


def make_net(result):
    """Return the network of a result in PyTorch, to be stepped through; inside `threads`."""
    net = Net(result.settings, result.in_shape, result.classes)
    for layer, w, b in zip(net.layers, result.weights, result.biases):
        layer.set_weights(w, b)
    return net


def make_start(settings, in_shape, classes):
    """Return the network before it has learnt anything, as a result."""
    plans = make_plan(settings, in_shape, classes)
    weights, biases = zip(*(initial_weights(settings, plan) for plan in plans))
    return DecolleResult(settings, list(weights), list(biases), in_shape, classes)


@contextlib.contextmanager
def threads(settings):
    """Context in which PyTorch keeps no tape and uses `settings.threads` threads."""
    from eventsnn.learning.decolle.layer import torch

    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads or before)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
