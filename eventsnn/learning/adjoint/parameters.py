"""What a training by the adjoint moves: weights, delays and parameters of neurons, as arrays that keep their order."""

from dataclasses import replace

import numpy as np

from eventsnn.errors import ModelError
from eventsnn.gradients.spike_losses import silent_lift
from eventsnn.learning.optimisers import Optimiser
from eventsnn.projections import Dense, SparseMs


class Trained:
    """The trained parameters of a network.

    Parameters
    ----------
    network : Network
        On the continuous clock.
    settings : AdjointSettings

    Attributes
    ----------
    weights, delays : dict of str to ndarray
        By number of the projection; weights in the order in which the network held its synapses at the start.
    parameters : dict of str to ndarray
        "POPULATION/NAME" -> one per neuron.
    """

    def __init__(self, network, settings):
        self.start, self.settings = network, settings
        self.weights, self.delays, self.parameters, self.ends = {}, {}, {}, {}
        for k, projection in enumerate(network.projections):
            self._add(str(k), projection)
        for population in network.populations:
            known = {p.name for p in population.model.parameters if p.per_neuron} & set(population.model.adjoints)
            for name in known & set(settings.parameters):
                values = np.broadcast_to(population.parameters[name], population.size)
                self.parameters[f"{population.name}/{name}"] = np.array(values, np.float64)
        unknown = set(settings.parameters) - {name.split("/")[1] for name in self.parameters}
        if unknown:
            raise ModelError(f"training: no population's adjoint has a parameter {sorted(unknown)[0]!r}")
        options = {"kind": settings.optimiser, "momentum": settings.momentum}
        decayed = {name: w if w.ndim > 1 else w[:, None] for name, w in self.weights.items()}
        self.optimisers = {"weights": (Optimiser(decayed, weight_decay=settings.weight_decay, **options), 1.0),
                           "delays": (Optimiser(self.delays, **options), settings.delay_rate),
                           "parameters": (Optimiser(self.parameters, **options), settings.parameter_rate)}  # fmt: skip

    def _add(self, name, projection):
        synapses = projection.synapses
        if isinstance(synapses, Dense):
            self.weights[name] = np.array(synapses.weights, np.float64, order="C")
            return
        if not isinstance(synapses, SparseMs):
            raise ModelError(f"{projection.label}: trained synapses are Dense or SparseMs, got {type(synapses).__name__}")
        sources = np.repeat(np.arange(synapses.indptr.size - 1), np.diff(synapses.indptr))
        targets = synapses.targets.astype(np.int64)
        self.weights[name] = np.array(np.broadcast_to(synapses.synapse_weights(), targets.shape), np.float64)
        self.ends[name] = sources, targets
        if self.settings.delay_rate:
            if np.unique(sources * (targets.max(initial=0) + 1) + targets).size < targets.size:
                raise ModelError(f"{projection.label}: two synapses join the same neurons; trained delays need one each")
            self.delays[name] = np.array(np.broadcast_to(synapses.delays, targets.shape))

    def network(self):
        """Return the network as it is now."""
        projections = []
        for k, projection in enumerate(self.start.projections):
            name, synapses = str(k), projection.synapses
            if name in self.ends:
                sources, targets = self.ends[name]
                made = SparseMs.from_lists(sources, targets, self.weights[name], self.delays.get(name, synapses.delays),
                                           n_sources=synapses.indptr.size - 1)  # fmt: skip
            else:
                made = Dense(self.weights[name].copy())
            projections.append(replace(projection, synapses=made))
        populations = []
        for population in self.start.populations:
            own = {n.split("/")[1]: v.copy() for n, v in self.parameters.items() if n.split("/")[0] == population.name}
            populations.append(replace(population, parameters={**population.parameters, **own}) if own else population)
        return replace(self.start, projections=tuple(projections), populations=tuple(populations))

    def update(self, network, result, found, rate):
        """Take one step.

        Parameters
        ----------
        network : Network
            As `network` gave it for this step.
        result : RunResult
        found : Gradients
        rate : float
            Learning rate of the weights.

        Returns
        -------
        float
            The regulariser of silent neurons.
        """
        firing = [p.name for p in network.populations if p.model.fires]
        value, lifts = silent_lift(network, result, firing, self.settings.silent_lift)
        weights, delays = {}, {}
        for name in self.weights:
            k = int(name)
            slope = found.weights[k] if lifts[k] is None else found.weights[k] + lifts[k]
            order = self._order(name)
            weights[name] = slope if order is None else _placed(slope, order)[:, None]
            if name in self.delays:
                delays[name] = _placed(found.synapse_delays[k], order)
        parameters = {name: found.parameters[name.split("/")[0]][name.split("/")[1]] for name in self.parameters}
        for kind, slopes in (("weights", weights), ("delays", delays), ("parameters", parameters)):
            optimiser, factor = self.optimisers[kind]
            if factor:
                optimiser.update(slopes, factor * rate)
        for delay in self.delays.values():
            np.maximum(delay, self.settings.least_delay, out=delay)
        return value

    def _order(self, name):
        """Where SparseMs puts the synapses that it is given: its k-th is number order[k] of ours; None for Dense."""
        if name not in self.ends:
            return None
        sources, targets = self.ends[name]
        delays = np.broadcast_to(self.delays.get(name, self.start.projections[int(name)].synapses.delays), targets.shape)
        return np.lexsort((targets, delays, sources))

    def _groups(self):
        return {"weights": self.weights, "delays": self.delays, "parameters": self.parameters}

    def state(self):
        """Return everything that lives from step to step, as arrays by name."""
        kept = {f"{kind}/{name}": a.copy() for kind, group in self._groups().items() for name, a in group.items()}
        for kind, (optimiser, _) in self.optimisers.items():
            kept |= {f"moments/{kind}/{name}": a.copy() for name, a in optimiser.moments.items()}
            kept[f"steps/{kind}"] = np.array(optimiser.steps)
        return kept

    def load(self, arrays):
        """Go on from `state`."""
        for kind, group in self._groups().items():
            for name, array in group.items():
                array[...] = arrays[f"{kind}/{name}"]
        for kind, (optimiser, _) in self.optimisers.items():
            for name, array in optimiser.moments.items():
                array[...] = arrays[f"moments/{kind}/{name}"]
            optimiser.steps = int(arrays[f"steps/{kind}"])


def _placed(values, order):
    placed = np.empty_like(values)
    placed[order] = values
    return placed
