"""Putting a T2FSNN network together: populations, windows, pools, noise; gated, or on the grid for early firing."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.layers import MaxPool2d
from eventsnn.conversion.kernels import IN
from eventsnn.conversion.parts import refuse_maximum_of_means, relay_chain, synapses
from eventsnn.conversion.segments import INPUT, cut
from eventsnn.network import BiasDrive, Input, Network, Population, Projection, Readout, Relay
from eventsnn.relays import EarliestPool, GatedMaxPool

READOUTS = ("membrane", "first_spike", "count")
CLOCKS = ("auto", "gated", "grid")


@dataclass(frozen=True)
class Coding:
    """How activations are coded in time; all times in steps.

    Parameters
    ----------
    start, duration : int
        T_fs and T_fd.
    half_step : bool
    theta0 : float
    analog : bool
        The input is no spikes.
    readout, clock, dtype : str
    robust : int or None
        Further spikes of a neuron.
    noise : Deletion, Jitter or None
    dt_ms : float
    """

    start: int
    duration: int
    half_step: bool = False
    theta0: float = 1.0
    analog: bool = False
    readout: str = "membrane"
    robust: int | None = None
    noise: object = None
    clock: str = "auto"
    dt_ms: float = 1.0
    dtype: str = "float32"

    @property
    def gated(self):
        """Whether the network is built of gated populations."""
        return self.clock == "gated" or (self.clock == "auto" and self.start >= self.duration and not self.robust)

    def steps(self, n_layers):
        """Return the latency of a network of that many weight layers, in steps."""
        return (n_layers - (self.readout == "membrane")) * self.start + self.duration


def check_pools(head, segments):
    """Refuse pools that spike times cannot carry."""
    refuse_maximum_of_means(head, segments)


def build(normalised, kernels, coding, *, tau, decode=None):
    """Put a network together.

    Parameters
    ----------
    normalised : LayerGraph
        Folded, activations in [0, 1].
    kernels : Kernels
        Of the input and the hidden layers.
    coding : Coding
    tau : float
        Time constant of an output that fires.
    decode : dict of str to (float, float), optional
        Layer -> (tau, td) with which the next layer decodes its spikes, where it is not the layer's own kernel.

    Returns
    -------
    tuple of Network and list of dict
        The network, and a row per weight layer: layer, neurons, tau, td, t_open, t_close (ms; None: not firing).
    """
    head, segments = cut(normalised)
    populations, projections, drives, rows = [], [], [], []
    relays, ends = [], {}
    _relays(relays, ends, INPUT, head, coding, kernels.tau[IN], 0)
    for depth, s in enumerate(segments, 1):
        own = (kernels.tau.get(s.name, float(tau)), kernels.td.get(s.name, 0.0))
        fires = not s.is_output or coding.readout != "membrane"
        bias = s.bias().astype(np.float64)
        if fires:
            values = {"bias": bias, **_kernel(coding, own, (decode or {}).get(s.name))}
            populations.append(_firing(coding, s, depth, values))
        elif coding.gated:
            opens = coding.steps(depth) * coding.dt_ms
            populations.append(Population(s.name, s.shape, "ttfs_readout", {"t_open": opens, "bias": bias}, coding.dtype))
        else:
            populations.append(Population(s.name, s.shape, "accumulator", {}, coding.dtype))
            drives.append(BiasDrive(s.name, bias.reshape(-1) if bias.ndim > 1 else bias, "first"))
        gain = _gain(coding, kernels, head if depth == 1 else segments[depth - 2].pools, kernels.layers[depth - 1], depth)
        weights = (s.layer.weights.astype(np.float64) * gain).astype(coding.dtype)
        projections.append(Projection(ends.get(s.source, s.source), s.name, synapses(s.layer, weights)))
        if not s.is_output:
            _relays(relays, ends, s.name, s.pools, coding, (decode or {}).get(s.name, own)[0], depth * coding.start)
        opens = depth * coding.start * coding.dt_ms if fires else None
        rows.append({"layer": s.name, "neurons": int(np.prod(s.shape)), "tau": own[0] if fires else None,
                     "td": own[1] if fires else None, "t_open": opens,
                     "t_close": opens + coding.duration * coding.dt_ms if fires else None})  # fmt: skip
    network = Network([Input(INPUT, normalised.input_shape)], populations, projections, relays, drives,
                      Readout(segments[-1].name, coding.readout), None if coding.gated else coding.dt_ms)  # fmt: skip
    return network, rows


def _kernel(coding, own, decode):
    values = {"tau": own[0], "td": own[1], "theta0": coding.theta0, "half_step": coding.half_step}
    return values if decode is None else {**values, "tau_out": decode[0], "td_out": decode[1]}


def _firing(coding, segment, depth, values):
    """Return a population that fires in the window of its depth."""
    opens, window = depth * coding.start, coding.duration
    if coding.gated:
        times = {"t_open": opens * coding.dt_ms, "window": window * coding.dt_ms, "dt": coding.dt_ms}
        return Population(segment.name, segment.shape, "ttfs", times | values, coding.dtype)
    times = {"t_listen": opens - coding.start, "t_open": opens, "window": window, "extra": coding.robust or 0}
    return Population(segment.name, segment.shape, "ttfs_early", times | values, coding.dtype)


def _gain(coding, kernels, pools, source, depth):
    """Return the factor of a layer's weights: what several spikes of a neuron, or deleted ones, ask for."""
    if coding.robust is None:
        return 1.0
    # a max pool lets another spike pass in place of a lost one: only sums are short of it
    sure = any(isinstance(pool, MaxPool2d) for pool in pools) or (coding.analog and depth == 1)
    lost = 0.0 if sure else getattr(coding.noise, "probability", 0.0)
    spikes = np.arange(coding.robust + 1 if depth > 1 else 1)  # the input spikes once
    return 1.0 / ((1.0 - lost) * np.exp(-spikes / kernels.tau[source]).sum())


def _relays(relays, ends, name, pools, coding, tau, opens):
    """Add noise and pools behind a node; `ends` says where the spikes of a node (or of its last pool) come out."""
    source = name
    if coding.noise is not None and not (coding.analog and name == INPUT):
        source = f"noise_{name}"
        window = (opens, opens + coding.duration)
        relays.append(Relay(source, name, coding.noise.within(tau, window, coding.dt_ms if coding.gated else None)))
        ends[name] = source
    # counters let the winner's further spikes pass, too; for one spike both pools pass the earliest
    relays += relay_chain(source, pools, GatedMaxPool if coding.robust else EarliestPool)
