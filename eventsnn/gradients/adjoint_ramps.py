"""The adjoint of chains of dense ramp layers, all samples at once: the same gradient, to rounding, as neuron by neuron.

Where a ramp has spiked after its window opened, arrivals count by the time that was left until then, which is the same for all
neurons of the layer: each arrival adds one row. Ramps that spiked early, and alpha-1 ramps, count arrivals until their own spike:
they are taken one by one.
"""

import numpy as np

from eventsnn.compile import specialise
from eventsnn.engines.dense_ramps import is_dense_chain
from eventsnn.neurons.ramp_continuous import LEFT, THETA, RampAlpha1, RampUngated, RampUngatedReadout, V


def takes_dense_chain(network, inputs, loss):
    """Tell whether a network is a chain of dense ramp layers, and the loss one of spike times and of readouts at the end."""
    models = {p.name: p.model for p in network.populations}
    plain = all(m in (RampUngated, RampAlpha1, RampUngatedReadout) for m in models.values())
    return plain and is_dense_chain(network, inputs) and not loss.looks and all(
        models[name] is RampUngatedReadout for name in loss.potentials)  # fmt: skip


def ramp_gradient(network, rasters, loss, of_inputs):
    """Return the parts of `Gradients` for such a network, as a dict by name.

    Parameters
    ----------
    network : Network
    rasters : dict
        Node -> SpikeRaster.
    loss : LossGradient
    of_inputs : bool
        As `eventsnn.gradients.adjoint.gradient` takes it.

    Returns
    -------
    dict
    """
    e = {n: np.array(loss.times.get(n, np.zeros(r.n_spikes)), np.float64) for n, r in rasters.items()}
    weights, delays = [None] * len(network.projections), [0.0] * len(network.projections)
    parameters, slopes, inputs = {}, {}, [i.name for i in network.inputs]
    for population in reversed(network.populations):
        k, projection = next((k, p) for k, p in enumerate(network.projections) if p.target == population.name)
        layer = _Layer(population, projection, rasters, loss)
        moves = of_inputs or projection.source not in inputs
        weights[k], arriving, parameters[population.name] = layer.back(e[population.name], moves)
        e[projection.source] += arriving
        delays[k], slopes[population.name] = float(arriving.sum()) if moves else np.nan, layer.slope
    names = [p.name for p in network.populations]
    return {"weights": tuple(weights), "delays": tuple(delays), "synapse_delays": (None,) * len(delays),
            "parameters": {n: parameters[n] for n in names}, "min_slope": {n: slopes[n] for n in names},
            "input_times": {n: e[n] for n in inputs if of_inputs}, "spike_times": {n: e[n] for n in names},
            "ties": dict.fromkeys(names, 0)}  # fmt: skip


class _Layer:
    def __init__(self, population, projection, rasters, loss):
        self.population, self.model, self.values = population, population.model, population.parameters
        self.heard, self.own = rasters[projection.source], rasters[population.name]
        self.weights = np.asarray(projection.synapses.weights, np.float64)
        self.potentials = loss.potentials.get(population.name)
        self.rows = self.model.rows(dict(self.values), population.size, self.model.WIDTH)
        self.slope = (np.inf, -1, np.nan)

    def back(self, e, moves):
        """Return (dloss/dw, dloss/dt of the spikes heard, {parameter: dloss}) for dloss/dt of the layer's own spikes.

        The second is asked for by `moves`.
        """
        samples = self.own.n_samples
        pull = np.zeros((samples, self.population.size))  # dloss/dV as it stands when the window opens
        sample, ids, times = self.own.sample_of_spike(), self.own.ids, self.own.times
        late = np.zeros(times.size, bool)
        if self.model is RampUngatedReadout:
            pull[:] = 0.0 if self.potentials is None else self.potentials
        elif self.model is RampUngated:
            late = times > self.values["t_open"]
            pull[sample[late], ids[late]] = -e[late] / self.values["slope"]
            if late.any():
                self._flattest(np.full(1, self.values["slope"]), ids[late], times[late])
        dw, arriving = np.zeros_like(self.weights), np.zeros(self.heard.n_spikes)
        if self.model is not RampAlpha1:
            self._until_open(pull, moves, dw, arriving)
        bias = pull.sum(axis=0) * self.values.get("slope", 1.0)
        found = {"bias": bias}
        rest = ~late & (e != 0) & (self.rows[ids, V] < self.rows[ids, THETA])
        if self.model is RampUngated:
            rest &= times < self.values["t_open"]
        elif self.model is RampAlpha1:
            rest &= times < self.values["t_open"] + self.values["window"]
            found["slope"] = np.zeros(self.population.size)
        if rest.any():
            per_theta = self._one_by_one(sample[rest], ids[rest], times[rest], e[rest], dw, arriving)
            final = np.broadcast_to(self.values["slope"], self.population.size)
            np.subtract.at(bias, ids[rest], final[ids[rest]] * per_theta)
            if "slope" in found:
                np.add.at(found["slope"], ids[rest], self.rows[ids[rest], LEFT] * per_theta)
        return dw, arriving, found

    def _until_open(self, pull, moves, dw, arriving):
        """Add what neurons contribute that count arrivals until the window opens."""
        heard, t_open = self.heard, min(float(self.values["t_open"]), self.own.duration)
        specialise(along_openings)(heard.offsets, heard.times, heard.ids, pull, t_open, dw)
        if moves:
            per_source = pull @ self.weights.T
            arriving -= np.where(heard.times < t_open, per_source[heard.sample_of_spike(), heard.ids], 0.0)

    def _one_by_one(self, sample, ids, times, e, dw, arriving):
        """Add what neurons contribute that count arrivals until their own spike; returns dloss/dthreshold of each."""
        start = float(self.values.get("t_start", 0.0))
        flat, turned = np.ascontiguousarray(self.weights.T), np.zeros(self.weights.shape[::-1])
        slopes = np.empty(ids.size)
        heard, alpha = self.heard, float(self.values.get("alpha", 0.0))
        specialise(along_arrivals)(heard.offsets, heard.times, heard.ids, flat, sample, ids.astype(np.int64), times, e, alpha,
                                   start, slopes, turned, arriving)  # fmt: skip
        dw += turned.T
        self._flattest(slopes, ids, times)
        return e / slopes

    def _flattest(self, slopes, ids, times):
        k = int(np.argmin(slopes))
        if slopes[k] < self.slope[0]:
            self.slope = (float(slopes[k]), int(ids[k]), float(times[k]))


def along_openings(offsets, times, ids, pull, t_open, dw):
    """Add to dw (sources, neurons) the time left from each arrival to the opening, times what the loss makes of V there."""
    for sample in range(offsets.size - 1):
        for k in range(offsets[sample], offsets[sample + 1]):
            left = t_open - times[k]
            if left <= 0.0:
                break
            row = np.int64(ids[k])
            for i in range(dw.shape[1]):
                dw[row, i] += left * pull[sample, i]


def along_arrivals(offsets, times, ids, weights, who, neurons, at, e, alpha, start, slopes, dw, arriving):
    """Add the gradient of spikes at `at` of `neurons` in samples `who`; ``weights`` and ``dw`` are (neurons, sources)."""
    for k in range(at.size):
        i, first, last = neurons[k], offsets[who[k]], offsets[who[k] + 1]
        slope = alpha
        n = first
        while n < last and times[n] < at[k]:
            slope += weights[i, ids[n]]
            n += 1
        slopes[k] = slope
        per_v = -e[k] / slope
        for m in range(first, n):
            dw[i, ids[m]] += per_v * (at[k] - max(times[m], start))
            if times[m] >= start:
                arriving[m] -= per_v * weights[i, ids[m]]
