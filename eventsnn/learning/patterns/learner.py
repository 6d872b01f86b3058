"""Learning to answer one spike pattern with another at any bit width: a clocked, compiled two-layer learner.

A presentation is one forward pass, one backward pass and one update of both weight matrices. The network is input -> hidden ->
output, fully connected, of `lif_current` neurons; the loss is the published van Rossum L between output and target; the gradient
is surrogate (SuperSpike: 1 / (100 |th| + 1)^2) through time, without the reset, every error vector quantised by E and every
weight gradient by G (see `eventsnn.quantise`). The equations stand in `docs/patterns.md`, the loops in `kernels.py`.

Sources: Schaefer & Joshi, ICONS 2020, doi 10.1145/3407197.3407203; SuperSpike, Zenke & Ganguli, Neural Computation 30 (2018).
"""

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from eventsnn import quantise
from eventsnn.errors import ModelError
from eventsnn.learning.patterns.layer import Layer, pass_errors
from eventsnn.random import key, uniform
from eventsnn.raster import SpikeRaster
from eventsnn.settings import check_choices, check_numbers

CHOICES = {"optimiser": ("sgd", "adamax")}
RANGES = {
    "[0, 1)": ("alpha", "beta", "kappa"),
    "(0, inf)": ("tau", "v_threshold", "init_gain", "hidden", "learning_rate", "gradient_rate"),
}


@dataclass(frozen=True)
class PatternSettings:
    """Choices of a pattern learner.

    Parameters
    ----------
    hidden : int
        Neurons of the hidden layer.
    wb, ab, gb, eb, rb : int or None
        Bits of weights, states, gradients, errors and random numbers; None, or 33 and more: not quantised.
    alpha, beta : float
        Decay of current and membrane per step.
    kappa : float
        Decay of the van Rossum filter per step.
    tau : float
        Time constant in the factor 1/tau of the loss, ms.
    v_threshold, reset : float
        Threshold, and what a spike takes off the membrane.
    optimiser : {"sgd", "adamax"}
    learning_rate, gradient_rate : float
        Of the optimiser; and the factor of the gradient before it is rounded.
    fan_in : tuple of int, optional
        What initialisation takes for the fan-in of the two layers; None: their own.
    init_gain : float
        Factor of the initial weights.
    init_on_state_grid : bool
        Round the initial weights to the grid of `ab`, as the published code does, instead of `gb`.
    """

    hidden: int = 400
    wb: int | None = 2
    ab: int | None = 8
    gb: int | None = 8
    eb: int | None = 8
    rb: int | None = 16
    alpha: float = 0.75
    beta: float = 0.875
    kappa: float = 0.875
    tau: float = 5.0
    v_threshold: float = 0.9
    reset: float = 1.0
    optimiser: str = "sgd"
    learning_rate: float = 1.0
    gradient_rate: float = 1.0
    fan_in: tuple | None = None
    init_gain: float = 1.0
    init_on_state_grid: bool = False

    def __post_init__(self):
        for name in ("wb", "ab", "gb", "eb", "rb"):
            object.__setattr__(self, name, quantise.check_width(name, getattr(self, name), low=2))
        check_numbers(self, RANGES, "patterns")
        check_choices(self, CHOICES, "patterns")

    @property
    def apart(self):
        """Whether a clipped state keeps a neuron from spiking in two consecutive steps."""
        if self.ab is None:
            return False
        c = quantise.bound(self.ab)
        return self.beta * c + c - self.reset <= self.v_threshold

    @property
    def bit_string(self):
        """The widths wb, ab, gb, eb side by side, as published results name them; 0 stands for not quantised."""
        return "".join(str(b or 0) for b in (self.wb, self.ab, self.gb, self.eb))


def initial_weights(settings, sizes, seed):
    """Draw the weights of both layers: uniform, as wide as the bits ask for, on the grid on which they move.

    Parameters
    ----------
    settings : PatternSettings
    sizes : tuple of int
        Neurons of input, hidden layer and output.
    seed : int

    Returns
    -------
    weights : list of array of float32
        Shapes (input, hidden) and (hidden, output).
    scales : list of float
        What the quantised weights of each layer are divided by.
    """
    made, scales = [], []
    for k, (rows, columns) in enumerate(pairwise(sizes)):
        limit, scale = quantise.layer_scale(settings.wb, settings.fan_in[k] if settings.fan_in else rows)
        drawn = uniform(key(seed, "patterns", "weights", k), np.arange(rows), 0, columns)
        w = (settings.init_gain * limit * (2 * drawn - 1)).astype(np.float32)
        if settings.gb is not None and settings.wb is not None:
            grid = settings.ab if settings.init_on_state_grid and settings.ab else settings.gb
            w = quantise.to_grid(quantise.clip(w, settings.gb), grid)
        made.append(w)
        scales.append(scale)
    return made, scales


class PatternLearner:
    """Teaches a two-layer network to answer an input raster with a target raster.

    Parameters
    ----------
    given, target : SpikeRaster
        One sample each on the grid, of equal duration.
    settings : PatternSettings, optional
    seed : int
        Of initial weights and stochastic rounding.

    Attributes
    ----------
    losses : list of float
        L of every presentation, before its update.
    layers : list of Layer
    """

    def __init__(self, given, target, settings=None, seed=0):
        self.settings = settings or PatternSettings()
        self.given, self.target, self.seed, self.losses = _one_sample(given, "input"), _one_sample(target, "target"), seed, []
        if given.duration != target.duration:
            raise ModelError(f"target: must have as many steps as the input, got {target.duration} and {given.duration}")
        sizes = (given.size, self.settings.hidden, target.size)
        weights, scales = initial_weights(self.settings, sizes, seed)
        self.layers = [Layer(self.settings, w, scale, given.duration, key(seed, "patterns", "rounding", k))
                       for k, (w, scale) in enumerate(zip(weights, scales))]  # fmt: skip
        self.layers[0].listen(*spike_lists(given))
        self.layers[1].aim(target.to_dense()[0], self.settings.kappa, self.settings.tau * 1e-3)

    def present(self):
        """Present the pattern once and update the weights; returns L before the update."""
        hidden, out = self.layers
        value = self.forward()
        out.backward()
        pass_errors(out, hidden)
        hidden.backward()
        for layer in self.layers:
            layer.update(len(self.losses))
        self.losses.append(value)
        return value

    def forward(self):
        """Run both layers with the present weights; returns L."""
        hidden, out = self.layers
        hidden.forward()
        out.listen(hidden.out_ptr, hidden.out_ids)
        out.forward()
        return out.loss()

    def rasters(self):
        """Return the spikes of the last forward pass by layer, ``{"hidden": SpikeRaster, "output": SpikeRaster}``."""
        return {name: layer.raster(self.given.dt_ms) for name, layer in zip(("hidden", "output"), self.layers)}

    @property
    def densities(self):
        """Share of the quantised weights that are not 0, by layer."""
        return [float(np.count_nonzero(layer.used_weights) / layer.used_weights.size) for layer in self.layers]

    def network(self):
        """Return the network with its present quantised weights, ready for the engine: it spikes as `forward` does."""
        from eventsnn import Dense, Input, Network, Population, Projection

        own = {f.name: getattr(self.settings, f.name) for f in fields(self.settings)}
        parameters = {name: own[name] for name in ("alpha", "beta", "v_threshold", "reset")} | {"bits": own["ab"] or 0}
        hidden, out = self.layers
        return Network(
            [Input("input", self.given.size)],
            [Population("hidden", hidden.neurons, "lif_current", parameters),
             Population("output", out.neurons, "lif_current", parameters)],
            [Projection("input", "hidden", Dense(hidden.used_weights)), Projection("hidden", "output", Dense(out.used_weights))],
            dt_ms=self.given.dt_ms,
        )  # fmt: skip

    def state(self):
        """Return everything that goes on from presentation to presentation, as arrays by name."""
        kept = {"losses": np.array(self.losses)}
        for k, layer in enumerate(self.layers):
            kept |= {f"{name}{k}": array.copy() for name, array in layer.moving.items()}
        return kept

    def restore(self, arrays):
        """Go on from `state`; presentations that follow are those that would have followed."""
        for k, layer in enumerate(self.layers):
            layer.restore({name: arrays.get(f"{name}{k}") for name in layer.moving})
        self.losses = list(map(float, arrays["losses"]))


def _one_sample(raster, what):
    if raster.clock != "grid" or raster.n_samples != 1:
        raise ModelError(f"{what}: must be one sample on the grid clock, got {raster.n_samples} on the {raster.clock} clock")
    return raster


def spike_lists(raster):
    """Return the spikes of a raster of one sample by step: offsets (steps + 1,) and ids."""
    order = np.lexsort((raster.ids, raster.times))
    times, ids = raster.times[order], raster.ids[order].astype(np.int32)
    return np.searchsorted(times, np.arange(int(raster.duration) + 1)).astype(np.int64), ids


def raster_of(ptr, ids, size, dt_ms):
    """Return spikes listed by step as a raster of one sample."""
    times = np.repeat(np.arange(ptr.size - 1), np.diff(ptr))
    return SpikeRaster.from_events(times, ids[: ptr[-1]].astype(np.int64), size=size, duration=ptr.size - 1, dt_ms=dt_ms)
