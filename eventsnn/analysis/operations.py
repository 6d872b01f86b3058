"""Operation counts made by hand from a network and its spikes: what the engines' counters must equal."""

import numpy as np

from eventsnn.errors import DataError

# pJ of 32-bit floating point in 45 nm CMOS: Horowitz, "Computing's energy problem", ISSCC 2014 (addition 0.9, multiplication 3.7)
ADD_PJ, MAC_PJ = 0.9, 4.6


def synaptic_events(network, rasters):
    """Count synaptic events by hand: each spike times the synapses it crosses, border-exact.

    Parameters
    ----------
    network : Network
        The network that ran.
    rasters : dict of str to SpikeRaster
        Output of every source of a projection: inputs, populations, relays.

    Returns
    -------
    dict
        ``total`` and, by "source -> target", each projection's count.

    Raises
    ------
    DataError
        If the raster of a source is missing.
    """
    each = {}
    for projection in network.projections:
        if projection.source not in rasters:
            raise DataError(f"synaptic events: no raster of '{projection.source}', the source of {projection.label}; "
                            f"there are {', '.join(rasters) or 'none'}")  # fmt: skip
        spikes = np.bincount(rasters[projection.source].ids, minlength=rasters[projection.source].size)
        label = f"{projection.source} -> {projection.target}"
        each[label] = each.get(label, 0) + int(spikes @ _fan_out(network, projection))
    return {"total": sum(each.values()), "projections": each}


def dense_operations(network):
    """Return the multiply-adds of one dense evaluation: every source active once, border-exact, all projections."""
    return sum(int(_fan_out(network, projection).sum()) for projection in network.projections)


def _fan_out(network, projection):
    """Return the number of synapses of each source neuron of a projection."""
    shapes = network.shape_of(projection.source), network.shape_of(projection.target)
    return np.asarray(projection.synapses.fan_out(*shapes), dtype=np.int64)


def layer_counts(network, per_population, events, samples):
    """Tabulate the work of a run, layer by layer and per sample.

    Parameters
    ----------
    network : Network
    per_population : dict
        Name -> {"neurons", "spikes", ...}, summed over samples.
    events : dict of str to int
        Population -> synaptic events that it received, summed over samples.
    samples : int

    Returns
    -------
    list of dict
        For each population: layer, neurons, spikes per neuron and sample, synaptic additions per sample, and the additions of
        one dense evaluation.
    """
    dense = {}
    for projection in network.projections:
        dense[projection.target] = dense.get(projection.target, 0) + int(_fan_out(network, projection).sum())
    return [
        {"layer": p.name, "neurons": p.size, "spikes_per_neuron": per_population[p.name]["spikes"] / (p.size * samples),
         "additions": events[p.name] / samples, "dense": dense.get(p.name, 0)}
        for p in network.populations
    ]  # fmt: skip


def energy(rows, *, direct=None, add=ADD_PJ, mac=MAC_PJ):
    """Estimate the energy of a sample from counted operations.

    Parameters
    ----------
    rows : list of dict
        Of `layer_counts`.
    direct : dict of str to float, optional
        Layers that take analog values -> how often in a sample they do: a dense evaluation of multiply-accumulates each.
    add, mac : float, optional
        pJ of an addition and of a multiply-accumulate, > 0.

    Returns
    -------
    dict
        additions and macs per sample, energy of each layer and in total, that of one dense evaluation, and the ratio dense
        over spiking; energies in pJ.

    Notes
    -----
    Only arithmetic on synapses is counted: neither memory, which costs more than both on real machines, nor the update of
    membranes. An estimate to compare networks by, not a measurement.
    """
    layers, additions, macs, direct = {}, 0.0, 0.0, direct or {}
    for row in rows:
        analog = direct.get(row["layer"], 0) * row["dense"]
        added = 0.0 if row["layer"] in direct else row["additions"]
        layers[row["layer"]] = add * added + mac * analog
        additions, macs = additions + added, macs + analog
    total, dense = sum(layers.values()), mac * sum(row["dense"] for row in rows)
    return {"additions": additions, "macs": macs, "layers_pj": layers, "total_pj": total, "dense_pj": dense,
            "dense_over_spiking": dense / total if total else None, "add_pj": add, "mac_pj": mac}  # fmt: skip
