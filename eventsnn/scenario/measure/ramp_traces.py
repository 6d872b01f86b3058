"""Potentials of gated ramps over time, for `measure.traces`: from the spikes of the first sample, in closed form.

    V(t) = sum J (t - t_j) over the spikes so far, until the window opens; then V + B (t - t_open) until the own spike or the end
    readout: D + sum J (t - t_j)

Source: ttfs-relu-equivalence 2.1.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from eventsnn.errors import NetworkError

POINTS = 60  # times in each window
CHUNK = 20  # times that go through a layer at once


def supports(job):
    """Whether the network is one of gated ramps that a conversion or training made of layers."""
    network = job.results["network"]
    names = {"ramp", "ramp_readout"}
    return job.relu_graph is not None and network.gated and {p.model.name for p in network.populations} <= names


def trace(job, wanted, result, inputs):
    """Return potentials and spike counts of a few neurons of the first sample.

    Parameters
    ----------
    job : Job
    wanted : dict of str to list of int
        Population -> neurons.
    result : RunResult
        Of the first sample, every population recorded.
    inputs : SpikeRaster
        Its input.

    Returns
    -------
    dict of ndarray
        "POPULATION/v" and, of those that spike, "POPULATION/count" (times, neurons), "POPULATION/neurons", "times_ms" (times,).

    Raises
    ------
    NetworkError
        If a neuron does not exist.
    """
    from eventsnn.conversion.segments import cut
    from eventsnn.scenario.learn.ttfs_judge import InputMap

    pools, segments = cut(InputMap(job.loaded).inside(job.relu_graph))
    populations = {p.name: p for p in job.results["network"].populations}
    opens = [0.0, *(populations[s.name].parameters["t_open"] for s in segments)]
    times = np.unique(np.concatenate([np.linspace(a, b, POINTS) for a, b in pairwise(opens)]))
    arrays, spikes, shape = {}, inputs.first_times()[0], inputs.shape or (inputs.size,)
    for s in segments:
        population, source, shape = populations[s.name], spikes.reshape(shape), s.shape
        spikes = np.full(shape, np.inf) if s.is_output else result.rasters[s.name].first_times()[0]
        if s.name in wanted:
            ids = np.array(wanted[s.name], np.int64)
            if (ids >= population.size).any():
                raise NetworkError(f"{s.name}: neurons must be whole numbers from 0 to {population.size - 1}, got {ids.tolist()}")
            values = _integrated(s, pools, source, np.minimum(times, population.parameters["t_open"]), ids)
            values += s.bias()[ids] if s.is_output else _rise(population.parameters, times, spikes[ids])
            arrays[f"{s.name}/v"] = values
            if not s.is_output:
                arrays[f"{s.name}/count"] = (spikes[ids] <= times[:, None]).astype(np.int64)
            arrays[f"{s.name}/neurons"] = ids
        pools = s.pools
    return arrays | {"times_ms": times}


def _integrated(segment, pools, source, times, ids):
    """Return what the spikes before each time have added to some neurons: ndarray (times, neurons)."""
    layer, found = replace(segment.layer, bias=None), []
    for first in range(0, len(times), CHUNK):
        part = times[first : first + CHUNK].reshape(-1, *(1,) * source.ndim)
        x = np.maximum(part - source, 0.0)  # silent ones at infinity: 0
        for pool in pools:
            x = pool.apply(x)
        x = x.reshape(len(part), -1) if segment.layer.weights.ndim == 2 else x
        found.append(layer.apply(x).reshape(len(part), -1)[:, ids])
    return np.concatenate(found)


def _rise(parameters, times, spikes):
    """Return what the slope of the open window has added to neurons until it fired: ndarray (times, neurons)."""
    opened = parameters["t_open"]
    ends = np.minimum(spikes, opened + parameters["window"])
    return parameters.get("slope", 1.0) * np.maximum(np.minimum(times[:, None], ends) - opened, 0.0)
