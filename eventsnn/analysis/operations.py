"""Operation counts made by hand from a network and its spikes: what the engines' counters must equal."""

import numpy as np

from eventsnn.errors import DataError


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
