"""The adjoint of event simulation: exact gradients of spike times and potentials, back in time over the recorded spikes.

Given a run of a network on the continuous clock, and how a loss changes with the times of its spikes and with its potentials,
`gradient` returns how it changes with weights, delays, parameters of neurons and times of input spikes. Nothing is approximated
and no time grid enters: the cost follows the spikes. A neuron model takes part through its functions `adjoint_flow` and
`adjoint_jump` (see `eventsnn.neurons.continuous`); networks may be recurrent, with any delays, neurons may spike any number of
times.

The definition, and what cannot be differentiated, stands in docs/adjoint.md.

Sources: EventProp, Wunderlich & Pehle, Scientific Reports 11 (2021); for delays, Goeltz et al., Nature Communications 16 (2025).
"""

from dataclasses import dataclass, field, replace

import numpy as np

from eventsnn.gradients.adjoint_checks import check_finite, check_loss, node_rasters
from eventsnn.gradients.adjoint_kernels import NEURON, REPORT, SLOPE, TIES, WHEN
from eventsnn.gradients.adjoint_plan import PopulationBack, make_plans
from eventsnn.gradients.adjoint_ramps import ramp_gradient, takes_dense_chain
from eventsnn.projections import Dense, SparseMs

__all__ = ["Gradients", "LossGradient", "gradient", "with_parameters"]


@dataclass(frozen=True)
class LossGradient:
    """A loss of a run, and how it changes with what the run did.

    Parameters
    ----------
    value : float
    times : dict
        Population -> dloss/dt of each of its spikes, (n_spikes,), 1/ms, in the order of its raster.
    potentials : dict
        Population -> dloss/dv at the end of the run, (n_samples, size).
    looks : dict
        Population -> (times (k,) in ms, ascending, within the run; dloss/dv at them, (n_samples, k, size)).
    """

    value: float = 0.0
    times: dict = field(default_factory=dict)
    potentials: dict = field(default_factory=dict)
    looks: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a loss, summed over samples.

    Attributes
    ----------
    weights : tuple of ndarray
        One per projection: (n_sources, n_targets) for Dense, else one per synapse in the order of ``synapses.targets``.
    delays : tuple of float
        With respect to the delay of each projection, 1/ms.
    synapse_delays : tuple of (ndarray or None)
        With respect to the delay of each synapse, in the order of ``synapses.targets``; None for Dense.
    parameters : dict
        Population -> {parameter: (size,)}: those that the model's adjoint names, `v_threshold` or `bias` among them.
    input_times : dict
        Input -> dloss/dt of its spikes, in the order of the raster.
    spike_times : dict
        Population -> dloss/dt of its spikes, what other neurons make of them included.
    min_slope : dict
        Population -> (smallest slope at which a potential met its threshold, neuron, ms); slope inf where none did. Towards 0 a
        crossing is tangential and its derivative grows beyond all bounds.
    ties : dict
        Population -> number of spikes set off by several simultaneous arrivals, who share the derivative equally.
    """

    weights: tuple
    delays: tuple
    synapse_delays: tuple
    parameters: dict
    input_times: dict
    spike_times: dict
    min_slope: dict
    ties: dict


def gradient(network, inputs, result, loss, *, of_inputs=True):
    """Return the exact gradient of a loss of a run.

    Parameters
    ----------
    network : Network
        On the continuous clock, of populations that may spike at any time.
    inputs : dict
        Name -> SpikeRaster, as given to `run` (for Poisson inputs the raster that the run recorded).
    result : RunResult
        Of ``run(network, inputs)``, with the rasters of all populations.
    loss : LossGradient
    of_inputs : bool
        False leaves out what training does not need and dense ramps have to work for: times of input spikes (`input_times` is
        empty) and the delay that all synapses of an input share (`delays` holds nan).

    Returns
    -------
    Gradients

    Raises
    ------
    NetworkError
        If network, rasters and loss do not fit together.
    ModelError
        If a model has no adjoint.
    RunError
        If a derivative is not finite: a potential touched its threshold without crossing it.

    Notes
    -----
    docs/adjoint.md holds the equations.
    """
    rasters = node_rasters(network, inputs, result)
    check_loss(network, rasters, loss)
    if takes_dense_chain(network, inputs, loss):
        found = Gradients(**ramp_gradient(network, rasters, loss, of_inputs))
    else:
        found = _Back(network, rasters, loss).run(of_inputs)
    check_finite(network, found)
    return found


class _Back:
    """The way back through all samples of a run."""

    def __init__(self, network, rasters, loss):
        self.network, self.rasters, self.loss = network, rasters, loss
        scaled = {i.name for i in network.inputs if rasters[i.name].amplitudes is not None}
        self.plans, self.parts = make_plans(network, scaled)
        self.duration = float(max(rasters[p.name].duration for p in network.populations))
        self.e = {n: np.array(loss.times.get(n, np.zeros(r.n_spikes)), np.float64) for n, r in rasters.items()}
        self.dw, self.dd = ({n: np.zeros(p.weights.size) for n, p in self.plans.items()} for _ in range(2))
        self.rows = {n: np.zeros((p.population.size, p.adjoints)) for n, p in self.plans.items()}
        self.reports = {n: np.zeros(REPORT) for n in self.plans}
        for report in self.reports.values():
            report[SLOPE], report[NEURON], report[WHEN] = np.inf, -1, np.nan

    def run(self, of_inputs):
        for sample in range(next(iter(self.rasters.values())).n_samples):
            self._sample(sample)
        return self._gradients(of_inputs)

    def _sample(self, sample):
        spikes, e = self._spikes(sample)
        for names, window in reversed(self.parts):
            edges = np.append(np.arange(0.0, self.duration, min(window, self.duration)), self.duration)
            states = {n: PopulationBack(self.plans[n], spikes, self.duration, self._looks(n, sample)) for n in names}
            rows = {n: state.checkpoints(edges) for n, state in states.items()}
            for k in range(edges.size - 2, -1, -1):
                for name in reversed(names):
                    states[name].back(edges[k], edges[k + 1], rows[name][k], e, self.dw[name], self.dd[name],
                                       self.reports[name])  # fmt: skip
            for name in names:
                self.rows[name] += states[name].L.reshape(self.rows[name].shape)
        for name, (first, last) in spikes["span"].items():
            begin = self.rasters[name].offsets[sample]
            self.e[name][begin:begin + last - first] = e[first:last]

    def _spikes(self, sample):
        """All spikes of a sample, one node after another, and what the loss makes of their times."""
        parts = {n: slice(r.offsets[sample], r.offsets[sample + 1]) for n, r in self.rasters.items()}
        ends = np.cumsum([0, *(part.stop - part.start for part in parts.values())]).tolist()
        joined = {name: np.concatenate([getattr(self.rasters[n], name)[part] for n, part in parts.items()])
                  for name in ("times", "ids")}  # fmt: skip
        amps = [np.ones(part.stop - part.start) if self.rasters[n].amplitudes is None else self.rasters[n].amplitudes[part]
                for n, part in parts.items()]  # fmt: skip
        e = np.concatenate([self.e[n][part] for n, part in parts.items()])
        spans = {n: (ends[k], ends[k + 1]) for k, n in enumerate(parts)}
        return {**joined, "amps": np.concatenate(amps).astype(np.float64), "span": spans}, e

    def _looks(self, name, sample):
        """Instants at which the loss looks at potentials, and its derivatives there."""
        size = self.plans[name].population.size
        times, values = np.zeros(0), np.zeros((0, size))
        if name in self.loss.looks:
            times = np.asarray(self.loss.looks[name][0], np.float64)
            values = np.asarray(self.loss.looks[name][1], np.float64)[sample]
        if name in self.loss.potentials:
            times = np.append(times, self.duration)
            values = np.vstack([values, np.asarray(self.loss.potentials[name], np.float64)[sample]])
        return times, np.ascontiguousarray(values)

    def _gradients(self, of_inputs):
        n = len(self.network.projections)
        weights, delays, each = [None] * n, [0.0] * n, [None] * n
        nodes = self.network.nodes
        for name, plan in self.plans.items():
            for source, _, k, first in plan.links:
                synapses = self.network.projections[k].synapses
                part = slice(first, first + _count(synapses, nodes[source].size, plan.population.size))
                dw, dd = self.dw[name][part], self.dd[name][part]
                dense = isinstance(synapses, Dense)
                weights[k] = dw.reshape(nodes[source].size, plan.population.size) if dense else dw
                moves = of_inputs or source in self.plans
                delays[k], each[k] = float(dd.sum()) if moves else np.nan, None if dense else dd
        return Gradients(
            tuple(weights), tuple(delays), tuple(each),
            {name: _named(plan.population.model, self.rows[name]) for name, plan in self.plans.items()},
            {i.name: self.e[i.name] for i in self.network.inputs if of_inputs}, {p: self.e[p] for p in self.plans},
            {name: (float(r[SLOPE]), int(r[NEURON]), float(r[WHEN])) for name, r in self.reports.items()},
            {name: int(r[TIES]) for name, r in self.reports.items()},
        )  # fmt: skip


def _count(synapses, sources, targets):
    return sources * targets if isinstance(synapses, Dense) else synapses.size


def _named(model, rows):
    """Columns of the adjoint rows that belong to parameters of neurons."""
    known = {p.name for p in model.parameters if p.per_neuron}
    return {name: rows[:, k].copy() for k, name in enumerate(model.adjoints) if name in known}


def with_parameters(network, *, weights=None, delays=None, synapse_delays=None, parameters=None):
    """Return the network with other weights, delays or parameters of neurons; cheap, everything else is shared.

    Parameters
    ----------
    network : Network
    weights, delays, synapse_delays : sequence, optional
        One entry per projection, as in `Gradients`; None, also as an entry: as they are. `synapse_delays` needs SparseMs. Where
        new delays change the order of a source's synapses, ``synapses.targets`` shows the new one.
    parameters : dict, optional
        Population -> {name: values}.

    Returns
    -------
    Network
    """
    projections = []
    for k, projection in enumerate(network.projections):
        w, d, own = (None if given is None else given[k] for given in (weights, delays, synapse_delays))
        synapses = projection.synapses
        if w is not None or own is not None:
            if isinstance(synapses, Dense):
                synapses = Dense(np.asarray(w, np.float64))
            else:
                synapses = SparseMs(synapses.indptr, synapses.targets, synapses.synapse_weights() if w is None else w,
                                    synapses.delays if own is None else own)  # fmt: skip
        projections.append(replace(projection, synapses=synapses, delay=projection.delay if d is None else float(d)))
    populations = [replace(p, parameters={**p.parameters, **(parameters or {}).get(p.name, {})}) for p in network.populations]
    return replace(network, projections=tuple(projections), populations=tuple(populations))
