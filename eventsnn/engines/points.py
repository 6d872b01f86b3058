"""Recording points: what had been read, spiked and delivered after so many steps. Looking changes no bit.

Everything but a membrane is taken from the spike lists when the sample is done; memory is points x (classes + populations).
"""

from dataclasses import dataclass, field

import numpy as np

from eventsnn.network import Population


@dataclass
class Points:
    """A run over time: values at each recording point; those of a sample that left early stand from then on.

    Attributes
    ----------
    times : ndarray (n_points,)
        Steps done (grid clock); gated networks have one point, the end, in ms.
    readout : ndarray (n_samples, n_points, n) or None
        What `RunResult.readout` would be if the run ended there, float64.
    prediction : ndarray of int64 (n_samples, n_points) or None
        Its winner.
    spikes, amplitudes, synaptic_events : dict
        Name of a population -> (n_samples, n_points): spikes so far, their summed amplitudes, deliveries to it so far.
    residual : dict
        Name of a population -> (n_samples,): sum of |membrane| at the end.
    """

    times: np.ndarray
    readout: np.ndarray | None = None
    prediction: np.ndarray | None = None
    spikes: dict = field(default_factory=dict)
    amplitudes: dict = field(default_factory=dict)
    synaptic_events: dict = field(default_factory=dict)
    residual: dict = field(default_factory=dict)


def point_steps(steps, every):
    """Return the recording points of a run: multiples of `every`, and the end; none where `every` is None.

    Parameters
    ----------
    steps : int
    every : int or None

    Returns
    -------
    ndarray of int64
        Ascending.
    """
    if every is None:
        return np.zeros(0, np.int64)
    return np.append(np.arange(every, steps, every, dtype=np.int64), steps)


def read_spikes(kind, size, found, upto, dt_ms):
    """Return the readout of a spiking population after `upto` steps: summed amplitudes, times of first spikes in ms, or votes.

    Parameters
    ----------
    kind : {"count", "first_spike", "vote"}
    size : int
    found : SpikeList
    upto : int
    dt_ms : float

    Returns
    -------
    ndarray (size,), float64
    """
    n = int(found.row_ptr[upto])
    ids = found.ids[:n]
    if kind == "count":
        amps = found.amps[:n].astype(np.float64) if found.amps.size > 1 else None
        return np.bincount(ids, weights=amps, minlength=size).astype(np.float64)
    if kind == "vote":
        steps = np.repeat(np.arange(upto), np.diff(found.row_ptr[:upto + 1]))
        amps = found.amps[:n] if found.amps.size > 1 else np.ones(n)
        order = np.lexsort((ids, -amps, steps))
        winners = ids[order][np.unique(steps[order], return_index=True)[1]]
        return np.bincount(winners, minlength=size).astype(np.float64)
    first = np.full(size, np.inf)
    np.minimum.at(first, ids, np.repeat(np.arange(upto), np.diff(found.row_ptr[:upto + 1])) * dt_ms)
    return first


def grid_points(worker):
    """Return what one sample on the grid clock gives at its recording points: arrays without the axis of samples."""
    plan, lists, at = worker.plan, worker.spikes, np.minimum(worker.points, worker.done)
    taken = {"spikes": {}, "amplitudes": {}, "synaptic_events": {}, "residual": {}}
    for name, node in plan.nodes.items():
        if isinstance(node.node, Population):
            found, v = lists[name], worker.populations[name].variable(0)
            taken["spikes"][name] = found.row_ptr[at]
            taken["amplitudes"][name] = _sums(found.amps if node.stores_amplitudes else None, found, at)
            none = np.zeros(at.size, np.int64)
            taken["synaptic_events"][name] = sum((_delivered(worker, link, at) for link in node.links), none)
            taken["residual"][name] = np.abs(v.astype(np.float64)).sum()
    if plan.network.readout is not None:
        taken["readout"] = np.array([worker.read(step) for step in at.tolist()])
    return taken


def _sums(values, found, at):
    """Return the sum of `values` of the spikes before each point, added in order (None: all are 1)."""
    if values is None:
        return found.row_ptr[at].astype(np.float64)
    return np.append(0.0, np.cumsum(values[:found.n], dtype=np.float64))[found.row_ptr[at]]


def _delivered(worker, link, at):
    """Return the deliveries of a link before each point: a spike at s counts from s + delay + 1 steps on."""
    found, before = worker.spikes[link.source], np.maximum(at - link.delay, 0)
    fans = link.fan_out[found.ids[:found.n]]
    if link.source in worker.schedules:  # a drive arrives whole at each scheduled instant
        return fans.sum() * np.append(0, np.cumsum(worker.schedules[link.source]))[before]
    return np.append(0, np.cumsum(fans, dtype=np.int64))[found.row_ptr[before]]


def gated_points(plan, worker, lists, readout, count):
    """Return the only recording point of a call of the gated engine: the end."""
    taken = {"spikes": {}, "amplitudes": {}, "synaptic_events": {}, "residual": {}}

    def rows(name):
        found = lists[name]
        n = int(found.row_ptr[count])
        return np.repeat(np.arange(count), np.diff(found.row_ptr[:count + 1])), found.ids[:n], found.amps[:n]

    for name, node in plan.nodes.items():
        if isinstance(node.node, Population):
            samples, _, amps = rows(name)
            events = np.zeros(count, np.int64)
            for link in node.links:
                sources, ids, _ = rows(link.source)
                events += np.bincount(sources, link.fan_out[ids], count).astype(np.int64)
            v = worker.states[name][:count, :, 0, :node.lanes].astype(np.float64)
            taken["spikes"][name] = np.bincount(samples, minlength=count)[:, None]
            taken["amplitudes"][name] = np.bincount(samples, amps, count)[:, None]
            taken["synaptic_events"][name] = events[:, None]
            taken["residual"][name] = np.abs(v).sum(axis=(1, 2))
    if readout is not None:
        taken["readout"] = readout[:, None]
    return taken


def join_points(parts, times, winners, one_sample):
    """Put the points of all parts together.

    Parameters
    ----------
    parts : list of dict
        Of `grid_points` or `gated_points`, in the order of samples.
    times : ndarray
        Of the points.
    winners : callable
        Readout -> prediction.
    one_sample : bool
        Whether each part is one sample without an axis of samples.

    Returns
    -------
    Points
    """
    put = np.stack if one_sample else np.concatenate
    names = ("spikes", "amplitudes", "synaptic_events", "residual")
    found = Points(times, **{k: {n: put([p[k][n] for p in parts]) for n in parts[0][k]} for k in names} if parts else {})
    if parts and "readout" in parts[0]:
        found.readout = put([p["readout"] for p in parts])
        shape = found.readout.shape
        found.prediction = winners(found.readout.reshape(-1, shape[-1])).reshape(shape[:2])
    return found
