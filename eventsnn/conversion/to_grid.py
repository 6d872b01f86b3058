"""A network on the continuous clock as one on the grid: an explicit approximation, whose error shrinks with the step.

Step k stands for the instant k dt_ms.  A neuron ``lif_continuous`` becomes a ``lif`` whose potential counts from v_reset::

    leak       exp(-dt / tau_mem)
    bias       (v_rest + bias - v_reset) (1 - leak)
    threshold  v_threshold - v_reset
    refractory round(refractory / dt) - 1 steps, at least 0: input that comes `refractory` later counts again, as before
    v_init     a drive of the first step, so that v at t = 0 is v_init - v_reset

Between spikes this is exact.  What is not: spikes of a neuron's own come at the end of their step (late by up to dt), it
spikes at most once a step, and input spikes, delays and refractory periods are rounded to steps.  The error of times and
counts is O(dt).  Where input and delays lie on the grid, every spike is set off by an arrival, and nothing is refractory or
resets by subtraction above threshold, both networks spike alike.
"""

import math
from dataclasses import replace

import numpy as np

from eventsnn.errors import NetworkError, RasterError
from eventsnn.network import BiasDrive, Network, Population, Projection
from eventsnn.projections import Sparse
from eventsnn.projections.sparse_ms import SparseMs
from eventsnn.raster import SpikeRaster


def to_grid(network, dt_ms):
    """Convert a network of ``lif_continuous`` neurons to ``lif`` neurons on a grid.

    Parameters
    ----------
    network : Network
        On the continuous clock.
    dt_ms : float
        Length of a step, > 0, ms; powers of two keep times exact.

    Returns
    -------
    tuple of Network and dict
        The network in float64, and the report: dt_ms; populations with leak and refractory steps; projections with the
        largest error of a delay (``delay_error``, ms) that rounding made.

    Raises
    ------
    NetworkError
        If a population has another model (named), or is read as membranes that count from different potentials.

    Notes
    -----
    Delays above 0 become at least one step, so that cycles keep theirs.  Inputs go through `raster_to_grid`; Poisson input
    with exact times is recorded in a run on the continuous clock first.
    """
    dt_ms = _step(dt_ms, NetworkError)
    if network.clock != "continuous":
        raise NetworkError(f"to_grid: the network is on the grid already (dt_ms = {network.dt_ms})")
    for population in network.populations:
        _check_model(population)
    _check_readout(network)
    populations = [_population(p, dt_ms) for p in network.populations]
    projections, errors = zip(*(_projection(p, dt_ms) for p in network.projections)) if network.projections else ((), ())
    drives = [drive for old, new in zip(network.populations, populations) if (drive := _first_step(old, new)) is not None]
    report = {
        "dt_ms": dt_ms,
        "populations": {p.name: {k: p.parameters[k] for k in ("leak", "refractory")} for p in populations},
        "projections": {p.label.removeprefix("projection "): {"delay_error": e} for p, e in zip(projections, errors)},
    }
    return Network(network.inputs, populations, projections, (), drives, network.readout, dt_ms), report


def _step(dt_ms, error):
    if isinstance(dt_ms, bool) or not isinstance(dt_ms, int | float | np.number) or not (np.isfinite(dt_ms) and dt_ms > 0):
        raise error(f"to_grid: dt_ms must be a number > 0, got {dt_ms!r}")
    return float(dt_ms)


def _check_model(population):
    name = population.model.name
    if name == "lif_continuous":
        return
    why = {
        "cuba_lif": "the grid has no model with a synaptic current",
        "ramp": "its windows are not a grid; run it with the engine of gated networks",
        "ramp_readout": "its windows are not a grid; run it with the engine of gated networks",
    }.get(name, "the grid has no model of the same equation")
    raise NetworkError(f"to_grid: population {population.name}: only 'lif_continuous' becomes a grid model ('lif'), got "
                       f"'{name}': {why}")  # fmt: skip


def _check_readout(network):
    asked = network.readout
    if asked is None or asked.kind != "membrane":
        return
    if np.ptp(network.nodes[asked.population].parameters["v_reset"]) > 0:
        raise NetworkError(f"to_grid: membranes of population {asked.population} count from v_reset on the grid, which differs "
                           "between its neurons, so that they cannot be compared; read 'count' or 'first_spike'")  # fmt: skip


def _population(population, dt):
    values = population.parameters
    leak = math.exp(-dt / values["tau_mem"])
    pull = np.asarray(values["v_rest"]) + values["bias"] - values["v_reset"]
    new = {
        "leak": leak,
        "bias": pull * -math.expm1(-dt / values["tau_mem"]),
        "v_threshold": np.asarray(values["v_threshold"]) - values["v_reset"],
        "refractory": max(0, round(values["refractory"] / dt) - 1),
        "reset": values["reset"],
    }
    return Population(population.name, population.shape, "lif", new, "float64")


def _first_step(old, new):
    """Return the drive that makes the potential at t = 0 what it was, or None where nothing is to do."""
    values = old.parameters
    missing = np.asarray(values["v_init"]) - values["v_reset"] - new.parameters["bias"]
    return BiasDrive(old.name, missing, "first") if np.any(missing) else None


def _projection(projection, dt):
    """Return the projection with delays in steps, and the largest error of a delay in ms."""
    synapses, own = projection.synapses, 0.0
    if isinstance(synapses, SparseMs):
        sources = np.repeat(np.arange(synapses.indptr.size - 1), np.diff(synapses.indptr))
        weights = np.broadcast_to(synapses.weights, sources.shape)
        own, targets = synapses.delays, synapses.targets.astype(np.int64)
        synapses = Sparse(sources, targets, weights)
    delays = np.atleast_1d(own + float(projection.delay))
    steps = np.maximum(np.rint(delays / dt), delays > 0).astype(np.int64)
    error = float(np.abs(steps * dt - delays).max(initial=0.0))
    if steps.size == 1:
        return Projection(projection.source, projection.target, synapses, int(steps[0]), projection.port), error
    return Projection(projection.source, projection.target, replace(synapses, synapse_delays=steps), 0, projection.port), error


def raster_to_grid(raster, dt_ms):
    """Put the spikes of a raster on a grid: each at the nearest step.

    Parameters
    ----------
    raster : SpikeRaster
        On the continuous clock.
    dt_ms : float
        Length of a step, > 0, ms.

    Returns
    -------
    SpikeRaster
        Of round(duration / dt_ms) steps (at least 1); spikes of the last half step stay in the last step.  Several spikes
        of a neuron in one step are one spike with the sum of their amplitudes; none where that is 0.

    Raises
    ------
    RasterError
        If the raster is on a grid already, or dt_ms is not above 0.

    Notes
    -----
    No spike moves by more than dt_ms / 2, but for those of the last half step.
    """
    dt_ms = _step(dt_ms, RasterError)
    if raster.clock != "continuous":
        raise RasterError(f"raster_to_grid: the raster is on a grid already (dt_ms = {raster.dt_ms})")
    duration = max(1, round(raster.duration / dt_ms))
    steps = np.minimum(np.rint(raster.times / dt_ms).astype(np.int64), duration - 1)
    places = np.stack([raster.ids, steps, raster.sample_of_spike()])
    order = np.lexsort(places)
    ids, steps, samples = places = places[:, order]
    new = np.append(True, (np.diff(places) != 0).any(axis=0))[: order.size]
    weights = None if raster.amplitudes is None else raster.amplitudes[order]
    sums = np.bincount(np.cumsum(new) - 1, weights, minlength=np.count_nonzero(new)).astype(np.float64)
    ids, steps, samples = ids[new], steps[new], samples[new]
    kept = sums != 0
    return SpikeRaster.from_events(steps[kept], ids[kept], sums[kept], samples[kept], size=raster.size, duration=duration,
                                   dt_ms=dt_ms, n_samples=raster.n_samples, shape=raster.shape)  # fmt: skip
