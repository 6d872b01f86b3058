"""Small networks on the continuous clock as functions of their parameters, and derivatives of them by differences."""

from dataclasses import replace

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Population, Projection, Readout, SparseMs, SpikeRaster, run
from eventsnn.gradients.adjoint import LossGradient, gradient
from eventsnn.neurons import find_model

STEP = 1e-6


class Case:
    """A recurrent population under random arrivals, and a loss of its spike times and potentials.

    `values` holds what may be perturbed: input weights w, recurrent weights r, their delays d, the delay of the input projection,
    input times t, and parameters of neurons by name.
    """

    def __init__(self, model, parameters, seed=0, *, inputs=6, size=4, spikes=30, duration=60.0, weight=(0.5, 0.6), loop=0.3,
                 per_neuron=(), amplitudes=False, looks=()):
        rng = np.random.default_rng(seed)
        self.model, self.parameters, self.inputs, self.size, self.duration = model, parameters, inputs, size, duration
        self.ids, self.looks = rng.integers(0, inputs, spikes), np.array(looks, float)
        self.amps = rng.uniform(0.5, 1.5, spikes) if amplitudes else None
        self.values = {"w": rng.normal(*weight, (inputs, size)), "r": loop * rng.normal(size=size * size),
                       "d": rng.uniform(0.5, 3.0, size * size), "delay": np.array([0.7]),
                       "t": np.sort(rng.uniform(0, 0.7 * duration, spikes))}  # fmt: skip
        defaults = {p.name: p.default for p in find_model(model).parameters} | parameters
        for name in per_neuron:
            self.values[name] = defaults[name] + rng.uniform(-0.1, 0.1, size)
        self.ends = np.repeat(np.arange(size), size), np.tile(np.arange(size), size)
        self.start = self.run()
        raster = self.start[2].rasters["n"]
        self.factors = rng.normal(size=raster.n_spikes)
        self.look_factors = rng.normal(size=(1, self.looks.size, size))
        self.raster = raster

    def run(self, **changed):
        """Return (network, inputs, result)."""
        v = self.values | changed
        own = {n: v[n] for n in v if n not in ("w", "r", "d", "delay", "t")}
        loop = SparseMs.from_lists(*self.ends, v["r"], v["d"], n_sources=self.size)
        network = Network([Input("x", self.inputs)],
                          [Population("n", self.size, self.model, {**self.parameters, **own}, dtype="float64")],
                          [Projection("x", "n", Dense(v["w"]), delay=v["delay"][0]),
                           Projection("n", "n", loop, delay=0.25)])  # fmt: skip
        given = {"x": SpikeRaster(v["t"], self.ids, self.amps, size=self.inputs, duration=self.duration)}
        return network, given, run(network, given, duration=self.duration)

    def loss(self, network, result):
        """Return the number whose derivatives are taken."""
        raster = result.rasters["n"]
        assert np.array_equal(raster.ids, self.raster.ids), "the step changes which spikes there are"
        value = float(raster.times @ self.factors)
        for k, t in enumerate(self.looks):
            value += float(potentials(network, self._given, t) @ self.look_factors[0, k])
        return value

    def adjoint(self):
        """Return `Gradients`, and the same by names of `values`."""
        network, given, result = self.start
        looks = {"n": (self.looks, self.look_factors)} if self.looks.size else {}
        found = gradient(network, given, result, LossGradient(0.0, {"n": self.factors}, looks=looks))
        order = np.lexsort((self.ends[1], self.values["d"], self.ends[0]))
        by_name = {"w": found.weights[0], "delay": np.array([found.delays[0]]), "t": found.input_times["x"]}
        for name, part in (("r", found.weights[1]), ("d", found.synapse_delays[1])):
            by_name[name] = np.empty(part.size)
            by_name[name][order] = part
        return found, by_name | found.parameters["n"]

    def difference(self, name, direction):
        """Return the derivative along a direction by four-point differences."""
        def at(step):
            changed = {name: self.values[name] + step * direction}
            network, self._given, result = self.run(**changed)
            return self.loss(network, result)

        return (8 * (at(STEP) - at(-STEP)) - (at(2 * STEP) - at(-2 * STEP))) / (12 * STEP)


def potentials(network, given, t):
    """Return the potentials of the population at `t`: those at the end of a run of that length."""
    short = {}
    for name, raster in given.items():
        kept = raster.times <= t
        amps = None if raster.amplitudes is None else raster.amplitudes[kept]
        short[name] = SpikeRaster(raster.times[kept], raster.ids[kept], amps, size=raster.size, duration=t)
    return run(replace(network, readout=Readout("n", "membrane")), short, duration=t).readout[0]


def check(case, names=None, tolerance=2e-6, directions=2):
    """Compare the adjoint with differences along random directions, and return the gradients."""
    found, by_name = case.adjoint()
    rng = np.random.default_rng(1)
    for name in names or case.values:
        for _ in range(directions):
            direction = rng.normal(size=case.values[name].shape)
            exact, measured = float((by_name[name] * direction).sum()), case.difference(name, direction)
            scale = max(1.0, float(np.abs(by_name[name] * direction).sum()))
            assert abs(exact - measured) <= tolerance * scale, (name, exact, measured)
    return found


def close(one, other, tolerance=1e-12):
    scale = max(np.abs(other).max(initial=0.0), 1e-300)
    assert np.abs(np.asarray(one) - other).max(initial=0.0) <= tolerance * scale


def equal(one, other, tolerance=1e-12):
    """Two gradients agree to rounding in all of their parts."""
    for a, b in zip((*one.weights, one.delays), (*other.weights, other.delays)):
        close(a, b, tolerance)
    for part in ("parameters", "input_times", "spike_times"):
        for name, value in getattr(other, part).items():
            for key in value if isinstance(value, dict) else [...]:
                close(getattr(one, part)[name][key], value[key], tolerance)
    assert one.ties == other.ties
    for name, (slope, _, _) in other.min_slope.items():
        assert one.min_slope[name][0] == pytest.approx(slope, rel=tolerance)
