"""The way from `run` to the engine of the continuous clock, and its readouts."""

import numpy as np

from eventsnn.engines.collect import winners
from eventsnn.engines.continuous import run_continuous
from eventsnn.engines.continuous_plan import ContinuousNetwork
from eventsnn.errors import NetworkError
from eventsnn.settings import check_number


def run_any_time(network, inputs, duration, engine, *, record=None, seed=0, on_slab=None, sample_ids=None, progress=None):
    """Run a network whose populations may spike at any time.

    Parameters
    ----------
    network : Network
    inputs : dict
        Name of each input -> SpikeRaster or PoissonTimes.
    duration : float or None
        ms; None: that of the input rasters.
    engine : str
        "event" or "auto"; there is no other on this clock.
    record, seed, on_slab, sample_ids, progress
        As in `run` and `run_continuous`.

    Returns
    -------
    RunResult

    Raises
    ------
    NetworkError
        If the engine is another, or nothing says how long to run.
    """
    if engine not in ("event", "auto"):
        raise NetworkError(f"engine: the continuous clock has the event engine only, got {engine!r}; convert the network to the "
                           "grid to run it in steps (an approximation)")
    if duration is None:
        duration = max((r.duration for r in inputs.values() if hasattr(r, "duration")), default=None)
    if duration is None:
        raise NetworkError("duration: say how many ms to run (no input raster tells it)")
    check_number(duration, "(0, inf)", "duration, ms,", error=NetworkError)
    asked = network.readout
    mirror = ContinuousNetwork(network.inputs, network.populations, network.projections,
                               asked.population if asked is not None and asked.kind == "membrane" else None)
    needed = set(network.nodes if record is None else record)
    if asked is not None and asked.kind != "membrane":
        needed.add(asked.population)
    result = run_continuous(mirror, inputs, float(duration), record=needed, seed=seed, on_slab=on_slab, sample_ids=sample_ids,
                            progress=progress)
    if asked is not None and on_slab is None:
        _read(result, asked, float(duration))
    if record is not None:
        result.rasters = {n: r for n, r in result.rasters.items() if n in set(record)}
    result.engine, result.engine_reason = "event", "asked for" if engine == "event" else "the only one on the continuous clock"
    return result


def _read(result, asked, duration):
    """Fill in readout, prediction and latency."""
    if asked.kind == "membrane":
        result.latency = np.full(len(result.readout), duration)
        return
    raster = result.rasters[asked.population]
    result.readout = raster.first_times() if asked.kind == "first_spike" else raster.amplitude_sums().astype(np.float64)
    result.prediction = winners(result.readout, asked.kind)
    result.latency = result.readout.min(axis=1) if asked.kind == "first_spike" else np.full(raster.n_samples, duration)
