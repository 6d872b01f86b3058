"""One case under a pair of codings: the twin's layers, and the network that they describe."""

from dataclasses import dataclass

import numpy as np

from eventsnn import Network, SpikeRaster
from eventsnn.encoders.base import Drive
from eventsnn.network import BiasDrive, Input, Population, Projection, Readout, Relay
from eventsnn.relays import AveragePool, EarliestPool, GatedMaxPool, StepMaxPool
from tests.reference import coding
from tests.reference import coding_inputs as inputs

POOLS = {"average": AveragePool, "max": StepMaxPool, "gated": GatedMaxPool, "earliest": EarliestPool}


@dataclass
class CodingCase:
    """Values, the code they come in, and the layers of the twin."""

    pair: tuple
    values: np.ndarray  # (samples, n), float64
    shape: tuple
    layers: list
    steps: int
    gated: bool
    options: dict  # of the input code
    readout: str

    def __repr__(self):
        layers = [(la.neurons, la.pool, type(la.synapses).__name__, la.shape) for la in self.layers]
        return f"CodingCase({self.pair}, {self.shape}, {self.steps} steps, {self.options}, {layers})"

    def frames(self):
        """Amplitudes (step, neuron) of the input, one table per sample."""
        o, code = self.options, self.pair[0]
        if code == "real":
            first = self.pair[1] == "ttfs"
            return [inputs.real(x * o["gain"], self.steps, first) for x in self.values]
        if code == "poisson":
            return [inputs.poisson(x, draws, o["amplitude"]) for x, draws in zip(self.values, o["draws"])]
        if code == "phase":
            return [inputs.phase_input(x, self.steps, o["period"]) for x in self.values]
        if code == "burst":
            return [inputs.burst_input(x, self.steps, o["threshold"], reload=o["reload"]) for x in self.values]
        kernel = {"tau": o["tau"], "delay": o["delay"], "theta0": o["theta0"], "later": 0.5 * o["half_step"]}
        return [inputs.ttfs_input(x, self.steps, o["window"], **kernel, dtype=o["dtype"]) for x in self.values]

    def twin(self):
        """Return per sample (sent by every layer, passed by every pool, membranes)."""
        simulate = coding.simulate_gated if self.gated else coding.simulate
        return [simulate(self.layers, frames) for frames in self.frames()]


    def network(self):
        """Return the network that the layers describe."""
        nodes, drives, relays, links, last = [], [], [], [], "in"
        for k, layer in enumerate(self.layers):
            if layer.pool is not None:
                kind = POOLS[layer.pool.kind](layer.pool.size, layer.pool.stride)
                relays.append(Relay(f"pool{k}", last, kind))
                last = f"pool{k}"
            model, p = model_of(layer, self.gated)
            if np.any(layer.bias) and "bias" not in p:
                drives.append(BiasDrive(f"layer{k}", layer.bias, layer.when))
            nodes.append(Population(f"layer{k}", layer.shape, model, p, np.dtype(layer.neurons.dtype).name))
            links.append(Projection(last, f"layer{k}", layer.synapses))
            last = f"layer{k}"
        dt_ms = None if self.gated else 1.0
        return Network([Input("in", self.shape)], nodes, links, relays, drives, Readout(last, self.readout), dt_ms=dt_ms)

    def given(self):
        """Return the input of the network: a drive or the raster of the twin's amplitudes."""
        if self.pair[0] == "real" and not self.gated:
            when = "first" if self.pair[1] == "ttfs" else "every"
            return {"in": Drive(self.values * self.options["gain"], when, self.shape)}
        frames = np.array(self.frames())
        if not self.gated:
            return {"in": SpikeRaster.from_dense(frames, shape=self.shape)}
        sample, t, i = np.nonzero(frames)
        size = {"size": frames.shape[2], "n_samples": len(frames), "shape": self.shape}
        duration = self.layers[0].neurons.opens if len(self.layers) > 1 else self.options["apart"]
        return {"in": SpikeRaster.from_events(t.astype(float), i, frames[sample, t, i], sample, duration=float(duration), **size)}


def model_of(layer, gated):
    """Return (model, parameters) of a layer of the twin."""
    n = layer.neurons
    if isinstance(n, coding.Readout):
        return ("ttfs_readout", {"t_open": layer.opens, "bias": layer.bias}) if gated else ("accumulator", {"leak": n.leak})
    if isinstance(n, coding.Ttfs):
        p = {"t_open": n.opens, "window": n.window, "tau": n.tau, "td": n.delay, "theta0": n.theta, "half_step": n.later > 0}
        if n.tau_out is not None:
            p |= {"tau_out": n.tau_out, "td_out": n.delay_out}
        p["bias"] = layer.bias
        return ("ttfs", p) if gated else ("ttfs_early", p | {"t_listen": layer.opens - layer.apart})
    p = {"v_threshold": n.theta, "v_init": n.v_init, "leak": n.leak, "once": n.once}
    if n.floor is not None:
        p["v_floor"] = n.floor
    if isinstance(n, coding.Phase):
        whole = n.first == "whole"
        return "phase", p | {"period": n.period, "first": n.first, "v_threshold": n.theta if whole else 2 * n.theta}
    return ("rate", p | {"amplitude": n.height}) if isinstance(n, coding.Rate) else ("burst", p | {"beta": n.growth})
