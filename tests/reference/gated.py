"""Plain twins of gated ramp networks: docs/semantics.md section 4, and the ReLU network that it equals."""

import numpy as np

from tests.reference.grid import Twin, list_synapses, spread, topological, windows


def simulate(network, inputs):
    """Simulate a gated network node after node, in the populations' dtypes."""
    samples = next(iter(inputs.values())).n_samples
    twin = Twin({name: [] for name in topological(network)})
    potentials = {p.name: [] for p in network.populations}
    for sample in range(samples):
        sent = {}  # node -> [(id, time, amplitude), ...] ascending in id
        for name in topological(network):
            node = network.nodes[name]
            if name in inputs:
                sent[name] = read_input(inputs[name], sample)
            elif hasattr(node, "kind"):
                sent[name] = pool(node.kind, network.shape_of(node.source), sent[node.source])
            else:
                sent[name], potential, count = open_window(network, node, sent)
                potentials[name].append(potential)
                twin.synaptic_events += count
            twin.spikes[name] += [(sample, float(t), i, float(x)) for i, t, x in sent[name]]
    twin.states = {name: np.array(v) for name, v in potentials.items()}
    if network.readout is not None and network.readout.kind == "membrane":
        twin.readout = twin.states[network.readout.population].astype(np.float64)
    return twin


def read_input(raster, sample):
    """Return the spikes of a sample in ascending id; without amplitudes they carry the time left."""
    found = []
    for k in range(raster.offsets[sample], raster.offsets[sample + 1]):
        t = float(raster.times[k])
        found.append((int(raster.ids[k]), t, raster.duration - t if raster.amplitudes is None else float(raster.amplitudes[k])))
    return sorted(found, key=lambda spike: spike[0])  # stable: spikes of one source keep the raster's order


def open_window(network, population, sent):
    """Return (spikes, potentials, deliveries) of a population whose window opens."""
    dtype, p = np.dtype(population.dtype).type, population.parameters
    cell = np.zeros(int(np.prod(population.shape)), dtype)
    count = 0
    for projection in network.projections:
        if projection.target != population.name:
            continue
        by_source = {}
        for source, target, weight, _ in list_synapses(
            projection.synapses, network.shape_of(projection.source), population.shape
        ):
            by_source.setdefault(source, []).append((target, dtype(weight)))
        for source, _, amplitude in sent[projection.source]:
            for target, weight in by_source.get(source, []):
                cell[target] += weight * dtype(amplitude)
                count += 1
    bias = spread(p["bias"], population)
    if population.model.name == "ramp_readout":
        return [], cell + bias.astype(dtype), count
    return fire(cell, bias, p, dtype), cell, count


def fire(cell, bias, p, dtype):
    """Return the spikes of a ramp population with the given cells."""
    spikes = []
    for i, v in enumerate(cell):
        theta = dtype(p["slope"] * (p["window"] - bias[i]))
        tau = (theta - v) / dtype(p["slope"])
        x = dtype(p["window"]) - tau
        if tau < 0:
            if p["early"] == "refuse":
                raise EarlySpike(i)
            spikes.append((i, float(p["t_open"]), dtype(p["window"])))
        elif x > 0:
            spikes.append((i, p["t_open"] + float(tau), x))
    return spikes


class EarlySpike(Exception):
    """A spike was due before the window opened."""


def pool(kind, shape, spikes):
    """Return the spikes that pass a pool on the continuous clock."""
    passed = []
    for out, sources in enumerate(windows(kind, shape)):
        arrived = [(s, t, x) for s in sources for i, t, x in spikes if i == s]
        if type(kind).__name__ == "AveragePool":
            passed += [(out, t, float(x) / kind.size**2) for _, t, x in arrived]
        elif kind.signs is None or kind.signs[out % len(kind.signs)] > 0:
            if arrived:
                _, t, x = max(arrived, key=lambda spike: spike[2])
                passed.append((out, t, x))
        elif {s for s, _, _ in arrived} == set(sources):
            _, t, x = min(arrived, key=lambda spike: spike[2])
            passed.append((out, t, x))
    return passed


def relu(network, inputs):
    """Return activations (samples, n) in float64 of the equal ReLU network, and the tolerance of each.

    x = max(0, b + sum w x / slope); tolerances 64 eps (t_abs + sum |w| x) of the population's dtype, where t_abs is
    the end of its window, carried through the layers with the weights.
    """
    samples = next(iter(inputs.values())).n_samples
    value, slack = {}, {}
    for name in topological(network):
        node = network.nodes[name]
        if name in inputs:
            value[name] = np.zeros((samples, inputs[name].size))
            for sample in range(samples):
                for i, _, x in read_input(inputs[name], sample):
                    value[name][sample, i] += x
            slack[name] = np.zeros_like(value[name])
        elif hasattr(node, "kind"):
            value[name], slack[name] = relu_pool(node.kind, network.shape_of(node.source), value, slack, node.source)
        else:
            value[name], slack[name] = relu_layer(network, node, value, slack)
    return value, slack


def relu_layer(network, population, value, slack):
    """Return activations and tolerances of one population."""
    p = population.parameters
    total, size, doubt = 0.0, 0.0, 0.0
    for projection in network.projections:
        if projection.target == population.name:
            shapes = network.shape_of(projection.source), population.shape
            matrix = np.zeros([int(np.prod(shape)) for shape in shapes])
            heavy = np.zeros_like(matrix)
            for i, j, w, _ in list_synapses(projection.synapses, *shapes):
                matrix[i, j] += w
                heavy[i, j] += abs(w)
            total = total + value[projection.source] @ matrix
            size = size + np.abs(value[projection.source]) @ heavy
            doubt = doubt + slack[projection.source] @ heavy
    slope = p.get("slope", 1.0)
    total = total / slope + spread(p["bias"], population)
    t_abs = p["t_open"] + p.get("window", 0.0) + np.abs(spread(p["bias"], population))
    tolerance = 64 * np.finfo(population.dtype).eps * (t_abs + size / slope) + doubt / slope
    return (total if population.model.name == "ramp_readout" else np.maximum(total, 0.0)), tolerance


def relu_pool(kind, shape, value, slack, source):
    """Return activations and tolerances of a pool."""
    groups = np.array(windows(kind, shape))
    parts, doubt = value[source][:, groups], slack[source][:, groups].max(-1)
    if type(kind).__name__ == "AveragePool":
        return parts.mean(-1), doubt
    signs = np.ones(shape[2]) if kind.signs is None else np.array(kind.signs)
    least = np.tile(signs < 0, len(groups) // shape[2])
    return np.where(least, parts.min(-1), parts.max(-1)), doubt
