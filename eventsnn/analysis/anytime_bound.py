"""The exit rule that never changes a class: a proven bound on everything that is still to come."""

import numpy as np

from eventsnn.engines.collect import winners
from eventsnn.engines.grid import scheduled_steps
from eventsnn.errors import ModelError
from eventsnn.network import Population, Relay
from eventsnn.projections import Dense, Sparse

SAFETY = 4.0  # over the rounding errors that are counted one by one below


class ProvenBound:
    """Leave when the leading class can no longer be overtaken.

    Parameters
    ----------
    network : Network
        On the grid clock, with a readout: first spikes; counts; or the membrane of an `accumulator` without leak that hears
        populations (directly or through pools) whose amplitudes are bounded (`NeuronModel.amplitude_range`).

    Raises
    ------
    ModelError
        If nothing bounds what is still to come; the message says where.

    Notes
    -----
    *First spike*: after step t every spike of a step before t is known, later ones come later. Once somebody has spiked, the
    earliest spike, and the lowest id among equals, stand.

    *Count*: a neuron that spikes at most q times (`NeuronModel.most_spikes`) spikes at most n = min(r, q) times in the r steps
    that remain; with amplitudes in [a, b] a rival gains at most n (b - a) on the leader.

    *Membrane*: v(T) = v(t) + sum over the r remaining steps of (I + b). In a step each source j emits one amplitude a_j in
    [lo_j, hi_j] (0 for silence), and each of its links (projection and delay) delivers one of them at most, n of them in all, so
    rival i gains on leader l

        at most  sum over links, j of n max(lo_j d, hi_j d),   d = w[j, i] - w[j, l],

    beside biases and drives, whose sum B is known. No rival passes if v_l - v_i > that + B_i - B_l for all i. A pool hands on at
    most the spikes of its window (q times their number), an average pool no more than the amplitudes of one neuron.

    The run rounds: with m additions at most in a step, S_i the largest |I + b| and u the unit roundoff of the dtype, the drive of
    a step is off by less than 1.2 (m + 4) u S_i and its addition to the membrane by less than 1.2 u (|v_i| + 1.2 r S_i), as long
    as (m + 4 + r) u < 1/8; that, for both classes, r steps and with a factor of safety for the arithmetic of the bound itself,
    is added to the right side. Whole-number dtypes do not round; there |v_i| + r S_i must fit. Strictly greater: ties, which the
    lowest id would win, never leave early.
    """

    def __init__(self, network):
        if network.clock != "grid" or network.readout is None:
            raise ModelError("early exit: a proven bound needs the grid clock and a readout")
        self.kind, node = network.readout.kind, network.nodes[network.readout.population]
        self.dtype = np.dtype(node.dtype)
        if self.kind == "count":
            low, high, self.most_spikes = _bounded(network, node.name)
            self.gain = high - low
        elif self.kind == "membrane":
            self._membrane(network, node)

    def _membrane(self, network, node):
        if node.model.name != "accumulator" or node.parameters["leak"] != 1:
            raise ModelError(f"early exit: the readout '{node.name}' must be an accumulator with leak 1, whose membrane is a "
                             f"plain sum; got model '{node.model.name}'")  # fmt: skip
        self.gains, self.most, self.terms = {}, np.zeros(node.size), 0
        for projection in network.projections:
            if projection.target == node.name:
                for weights in _matrices(network, projection, self.dtype):
                    self._add(weights, *_bounded(network, projection.source))
        self.bias = np.broadcast_to(np.asarray(node.parameters["bias"], self.dtype).astype(np.float64), node.size)
        self.drives = [(np.broadcast_to(np.asarray(d.values, self.dtype).astype(np.float64).ravel(), node.size), d.schedule)
                       for d in network.drives if d.target == node.name]  # fmt: skip
        self.most += np.abs(self.bias) + sum(np.abs(values) for values, _ in self.drives)
        self.terms += len(self.drives) + 4

    def _add(self, weights, low, high, most_spikes):
        """Count in one link."""
        gain = self.gains.setdefault(most_spikes, np.zeros((self.most.size, self.most.size)))
        for leader in range(self.most.size):
            ahead = weights - weights[:, leader : leader + 1]
            gain[leader] += np.maximum(low * ahead, high * ahead).sum(axis=0)
        self.most += max(abs(low), abs(high)) * np.abs(weights).sum(axis=0)
        self.terms += len(weights)

    def __call__(self, done, steps, readout):
        """Return whether the class of the readout is that of the whole run."""
        if self.kind == "first_spike":
            return bool(np.isfinite(readout).any())
        leader, remaining = int(winners(readout[None], self.kind)[0]), steps - done
        rivals = np.arange(readout.size) != leader
        ahead = readout[leader] - readout[rivals]
        if self.kind == "count":
            slack = SAFETY * 2.0**-53 * steps * (np.abs(readout).max() + remaining * self.gain)
            return bool((ahead > min(remaining, self.most_spikes) * self.gain + slack).all())
        known = remaining * self.bias
        for values, schedule in self.drives:
            known = known + values * np.count_nonzero(scheduled_steps(schedule, steps)[done:])
        slack = self._slack(np.abs(readout), remaining)
        spikes = sum(min(remaining, most) * gain[leader] for most, gain in self.gains.items())
        to_come = spikes + known - known[leader] + slack + slack[leader]
        return bool((ahead > to_come[rivals]).all())

    def _slack(self, size, remaining):
        """Bound what rounding may do to each class in the remaining steps; infinite where that is not known."""
        if self.dtype.kind == "i":
            fits = size + remaining * self.most < np.iinfo(self.dtype).max
            return np.where(fits, 2.0**-50 * (size + remaining * self.most), np.inf)
        unit = float(np.finfo(self.dtype).eps) / 2
        if (self.terms + remaining) * unit >= 0.125:
            return np.full(size.size, np.inf)
        return SAFETY * remaining * unit * (self.terms * self.most + size + 2 * remaining * self.most)


def _bounded(network, name):
    """Return smallest and largest amplitude of a node, and its most spikes in a sample; ModelError where there is no bound."""
    node, factor = network.nodes[name], 1
    while isinstance(node, Relay):
        if node.kind.kind in ("jitter", "mask", "flip"):
            raise ModelError(f"early exit: '{node.name}' makes spikes, moves them or changes their size; nothing bounds that")
        if node.kind.kind not in ("average", "deletion"):  # one spike of an average pool carries a share
            factor *= node.kind.size**2
        node = network.nodes[node.source]
    if not isinstance(node, Population):
        raise ModelError(f"early exit: the readout hears the input '{name}', whose amplitudes are not bounded; a proven bound "
                         "needs populations between them (or use a calibrated margin)")  # fmt: skip
    model, values = node.model, node.parameters
    low, high = model.amplitude_range(values) if model.fires else (0.0, 0.0)
    if not np.isfinite([low, high]).all():
        raise ModelError(f"early exit: spikes of '{node.name}' (model '{model.name}') have no largest amplitude, so nothing "
                         "bounds the drive still to come; use a calibrated margin")  # fmt: skip
    return float(low), float(high), float(model.most_spikes(values)) * factor


def _matrices(network, projection, dtype):
    """Yield the weights (sources, targets) of each delay of a projection, as the run rounds them."""
    synapses = projection.synapses
    sizes = [int(np.prod(network.shape_of(name))) for name in (projection.source, projection.target)]
    if isinstance(synapses, Dense):
        yield synapses.weights.reshape(sizes).astype(dtype).astype(np.float64)
    elif isinstance(synapses, Sparse):
        delays = np.zeros(len(synapses.sources)) if synapses.delays is None else synapses.delays
        for delay in np.unique(delays):
            chosen, matrix = delays == delay, np.zeros(sizes)
            pairs = synapses.sources[chosen], synapses.targets[chosen]
            np.add.at(matrix, pairs, np.broadcast_to(synapses.weights, delays.shape)[chosen].astype(dtype).astype(np.float64))
            yield matrix
    else:
        raise ModelError(f"early exit: {projection.label} is a convolution; a proven bound reads dense or listed synapses")
