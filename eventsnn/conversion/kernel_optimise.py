"""Kernel optimisation of T2FSNN: tau and td of every layer follow three losses on training images, batch by batch."""

from dataclasses import dataclass, field, replace

import numpy as np

from eventsnn.ann.layers import WEIGHTED
from eventsnn.conversion.kernel_losses import QUIRKS, LayerSums
from eventsnn.conversion.kernels import IN
from eventsnn.conversion.segments import INPUT, cut
from eventsnn.conversion.t2fsnn_build import build
from eventsnn.encoders import ttfs_kernel
from eventsnn.engines.run import run
from eventsnn.errors import ModelError
from eventsnn.settings import as_numbers, check_choice, check_known, check_number

PART = 2**24  # neurons times samples of one run
LOSSES = ("precision", "minimum", "maximum")


@dataclass(frozen=True)
class Rules:
    """How kernels are optimised.

    Parameters
    ----------
    epochs : int
        Passes over the images.
    batch : int
        Images per step.
    rho : tuple of float
        Factors of the precision, minimum and maximum steps.
    outlier : bool
        The minimum loss takes the 2nd percentile of a layer's activations instead of the minimum.
    quirks : collection of str
        Deviations of the released code, see ``kernel_losses.QUIRKS``.
    analog : bool
        The input enters as numbers: it has no kernel to optimise.
    """

    epochs: int = 6
    batch: int = 400
    rho: tuple = (10.0, 100.0, 1.0)
    outlier: bool = True
    quirks: tuple = field(default=())
    analog: bool = False

    def __post_init__(self):
        """Check ranges."""
        for name in ("epochs", "batch"):
            check_number(getattr(self, name), "[1, inf)", f"kernel optimisation: {name}", int)
        for name in ("outlier", "analog"):
            check_choice(getattr(self, name), (True, False), f"kernel optimisation: {name}")
        rho = as_numbers(self.rho, "kernel optimisation: rho")
        if rho.shape != (3,) or not (np.isfinite(rho) & (rho >= 0)).all():
            raise ModelError(f"kernel optimisation: rho must be three numbers >= 0, got {self.rho}")
        check_known(self.quirks, QUIRKS, "kernel optimisation", "quirk")
        object.__setattr__(self, "rho", tuple(rho.astype(float).tolist()))


class KernelOptimiser:
    """Optimises the kernels of one network; stop after any batch, go on from its `kernels`, `done` and `log`.

    Parameters
    ----------
    normalised : LayerGraph
        Folded network with activations in [0, 1], see ``normalise``.
    x : array_like, shape (n, *input_shape)
        Training images in [0, 1]; they are taken in their order.
    kernels : Kernels
        To start from.
    coding : Coding
        Window, rounding, precision; the network runs gated, without early firing and noise.
    tau : float
        Time constant of what has no kernel of its own (the output).
    rules : Rules, optional

    Attributes
    ----------
    kernels : Kernels
        As they are now.
    done : int
        Batches taken.
    log : list of dict
        Per batch: images so far, and the three losses before its step, summed over layers.
    """

    def __init__(self, normalised, x, kernels, coding, *, tau, rules=None):
        self.graph, self.x = normalised.astype("float32"), normalised.as_inputs(x)
        if not len(self.x):
            raise ModelError("kernel optimisation: needs at least one image, got none")
        self.normalised, self.kernels, self.tau, self.rules = normalised, kernels, tau, rules or Rules()
        self.coding = replace(coding, start=coding.duration, clock="gated", readout="membrane", robust=None, noise=None)
        self.hidden = [s.name for s in cut(normalised)[1] if not s.is_output]
        self.done, self.log = 0, []
        neurons = sum(int(np.prod(s.shape)) for s in cut(normalised)[1])
        self.part = max(1, PART // neurons)

    @property
    def batches(self):
        """Number of batches in all."""
        return self.rules.epochs * -(-len(self.x) // self.rules.batch)

    def images(self, done):
        """Return how many images the first `done` batches hold."""
        epochs, batches = divmod(done, self.batches // self.rules.epochs)
        return epochs * len(self.x) + min(batches * self.rules.batch, len(self.x))

    def advance(self):
        """Take the next batch: measure the losses, then step; returns its record in the log."""
        first = self.done % (self.batches // self.rules.epochs) * self.rules.batch
        blind = "targets_without_bias" in self.rules.quirks and self.done > 0
        sums = self._measure(self.x[first : first + self.rules.batch], _without_bias(self.graph) if blind else self.graph)
        self.log.append({"images": self.images(self.done + 1), **_totals(sums)})
        one, two, three = self.rules.rho
        tau = {name: s.tau + one * s.precision()[1] + two * s.minimum()[1] for name, s in sums.items()}
        td = {name: s.td + three * s.maximum(tau[name])[1] for name, s in sums.items() if name != IN}
        self.kernels = self.kernels.replaced(tau, td)
        self.done += 1
        return self.log[-1]

    def losses(self, x):
        """Return the three losses on images with the kernels as they are: summed over layers, and per layer.

        The targets are the activations of the network itself, under every quirk: losses before and after can be compared.

        Parameters
        ----------
        x : array_like, shape (n, *input_shape)

        Returns
        -------
        dict
            precision, minimum, maximum, total; ``layers``: the three of each layer.
        """
        sums = self._measure(self.graph.as_inputs(x), self.graph)
        totals = _totals(sums)
        layers = {name: {loss: getattr(s, loss)()[0] for loss in _losses(name)} for name, s in sums.items()}
        return {**totals, "total": sum(totals.values()), "layers": layers}

    def _measure(self, x, graph):
        """Return {layer: LayerSums} of some images, against the activations of `graph`."""
        k, window, rules = self.kernels, self.coding.duration, self.rules
        names = self.hidden if rules.analog else [IN, *self.hidden]
        depth = {name: d for d, name in enumerate([IN, *self.hidden])}
        sums = {name: LayerSums(k.tau[name], k.td[name], window, depth[name] * window, rules.outlier, frozenset(rules.quirks))
                for name in names}  # fmt: skip
        decode = {self.hidden[0]: (k.tau[self.hidden[0]], 0.0)} if "first_td" in rules.quirks and self.hidden else {}
        network, _ = build(self.normalised, k, self.coding, tau=self.tau, decode=decode)
        for first in range(0, len(x), self.part):
            self._add(sums, network, graph, x[first : first + self.part], depth)
        return sums

    def _add(self, sums, network, graph, x, depth):
        """Run some images through both networks."""
        k, c = self.kernels, self.coding
        coded = ttfs_kernel.analog(x, dt_ms=c.dt_ms, duration=c.duration) if self.rules.analog else ttfs_kernel.encode(
            x, tau=k.tau[IN], td=k.td[IN], window=c.duration, theta0=c.theta0, half_step=c.half_step, dt_ms=c.dt_ms,
            dtype=c.dtype)  # fmt: skip
        rasters = run(network, {INPUT: coded}, record=self.hidden).rasters | {IN: coded}
        if IN in sums:
            sums[IN].add(x, np.rint(coded.first_times() / c.dt_ms))
        if not self.hidden:
            return
        for part, values in graph.batches(x, upto=self.hidden[-1]):
            for name in self.hidden:
                steps = np.rint(rasters[name].select(part).first_times() / c.dt_ms) - depth[name] * c.duration
                sums[name].add(np.maximum(values[name], 0), steps)


def _losses(name):
    """Return the losses of a layer: the input's td stays, so it has no maximum loss."""
    return LOSSES[:2] if name == IN else LOSSES


def _totals(sums):
    return {loss: float(sum(getattr(s, loss)()[0] for n, s in sums.items() if loss in _losses(n))) for loss in LOSSES}


def _without_bias(graph):
    layers = tuple(replace(x, bias=None if x.bias is None else np.zeros_like(x.bias)) if isinstance(x, WEIGHTED) else x
                   for x in graph.layers)  # fmt: skip
    return replace(graph, layers=layers)
