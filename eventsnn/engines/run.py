"""Run a network on rasters and drives: choose the engine, spread samples over threads, collect what is asked for."""

import time
from dataclasses import dataclass, field

import numpy as np

from eventsnn import compile as compiling
from eventsnn.engines.collect import collect
from eventsnn.engines.feed import check_inputs
from eventsnn.engines.options import check_choices, check_names, check_points, check_sample_ids, check_traces
from eventsnn.engines.points import Points
from eventsnn.engines.prepared import Prepared, prepare
from eventsnn.engines.workers import Job, spread
from eventsnn.errors import RunError


@dataclass
class RunResult:
    """What a run gives.

    Attributes
    ----------
    rasters : dict
        Name of a recorded node -> SpikeRaster of all samples; silent populations are there too.
    readout : ndarray or None
        (n_samples, n) in float64: membrane, summed amplitude, or time of the first spike (ms, inf where silent).
    prediction : ndarray or None
        (n_samples,) index of the winner; among equals the lowest id.
    latency : ndarray or None
        (n_samples,) ms until the answer stands.
    states : dict
        Name of a population -> {variable: (n_samples, n)} at the end, for those named in `record_state`.
    traces : dict
        Name of a population -> {variable: (n_samples, n_times, n)}, for those named in `trace_state`.
    points : Points or None
        The run over time, with `record_every`.
    exit_steps : ndarray of int64 (n_samples,) or None
        Steps that each sample took, with `exit_rule`.
    counters : dict
        spikes (of populations), synaptic_events, neuron_updates, queue_pushes, queue_pops, instants; the sum over samples.
    per_population : dict
        Name -> {"neurons", "spikes", "updates"}.
    engine, engine_reason : str
        What ran, and why it was chosen.
    seconds, compile_seconds : float
        Wall time without and of compilation.
    """

    rasters: dict = field(default_factory=dict)
    readout: np.ndarray | None = None
    prediction: np.ndarray | None = None
    latency: np.ndarray | None = None
    states: dict = field(default_factory=dict)
    traces: dict = field(default_factory=dict)
    points: Points | None = None
    exit_steps: np.ndarray | None = None
    counters: dict = field(default_factory=dict)
    per_population: dict = field(default_factory=dict)
    engine: str = "event"
    engine_reason: str = "asked for"
    seconds: float = 0.0
    compile_seconds: float = 0.0


def run(network, inputs, *, duration=None, engine="event", schedule="streamed", threads=1, seed=0, record=None,
        record_state=(), trace_state=None, record_every=None, exit_rule=None, slab=None, sample_ids=None, progress=None):
    """Run a network.

    Parameters
    ----------
    network : Network or Prepared
        A network, or what `prepare` made of it: many short runs then lay it out once.
    inputs : dict
        Name of each input -> SpikeRaster, Drive (grid clock) or PoissonTimes (continuous clock); all with the same number
        of samples.
    duration : number, optional
        Steps (grid clock) or ms (continuous clock); by default that of the input rasters. Networks of gated or other ramps
        end when their last window has.
    engine : {"event", "stepped", "analytic", "auto"}
        ``stepped`` is the time-stepped twin with the same spikes; ``analytic`` the closed form of gated networks, equal
        to rounding; ``auto`` measures the density of the first sample and says what it chose.
    schedule : {"streamed", "interleaved"}
        Layer after layer, or all layers slab by slab; the same result.
    threads : int
        Samples are spread over that many threads; the same result.
    seed : int
        Of the random numbers that noise relays and PoissonTimes draw; encoders and networks draw theirs before.
    record : iterable of str, optional
        Nodes whose rasters are kept; None: all.
    record_state : iterable of str
        Populations whose final state is kept (grid clock, gated networks).
    trace_state : dict, optional
        Population -> period in steps, or (period, ids of neurons): its state is kept after every so many steps (grid
        clock). Looking changes no bit.
    record_every : int, optional
        Steps between recording points: after every so many steps, and at the end, the readout of every sample, and spikes,
        amplitudes and synaptic events of every population so far (`RunResult.points`). Gated networks have one point, the
        end.
    exit_rule : callable, optional
        Early exit (grid clock): takes (steps done, steps of the run, readout (n,)) at each recording point; a sample ends
        where it returns True. See `eventsnn.analysis.anytime`. Spikes and counters are those until then.
    slab : int, optional
        Instants handled at a time (grid clock).
    sample_ids : array_like of int, shape (n_samples,), optional
        Number of each sample in the whole data set, so that any part of it gets the noise (and the Poisson trains) that it
        gets in the whole; by default 0, 1, ...
    progress : callable, optional
        Called with (samples done, samples in all) after every sample or few, from the thread that ran them.

    Returns
    -------
    RunResult

    Raises
    ------
    NetworkError
        If inputs, engine or names do not fit the network.
    RunError
        If early spikes are refused, or numbers are no longer finite.
    """
    prepared = network if isinstance(network, Prepared) else None
    network = network if prepared is None else prepared.network
    called = {"exit_rule": exit_rule, "progress": progress}
    check_choices(network, inputs, engine, schedule, threads, slab, seed, called)
    record = set(network.nodes if record is None else check_names(network, record, "record"))
    record_state = check_names(network, record_state, "record_state", state=True)
    traced = check_traces(network, trace_state)
    check_points(network, record_every, exit_rule, traced)
    if network.clock == "continuous" and not network.gated:
        from eventsnn.engines.continuous_run import run_any_time
        from eventsnn.engines.windows import last_close

        duration = last_close(network) if duration is None else duration
        return run_any_time(network, inputs, duration, engine, record=record, seed=seed, sample_ids=sample_ids,
                            progress=progress)
    samples = check_inputs(network, inputs)
    before, start = compiling.seconds_compiling, time.perf_counter()
    prepared = prepare(network) if prepared is None else prepared
    plan = prepared.plan
    engine, reason = _choose(plan, inputs, duration, engine, samples)
    record = [n for n in plan.nodes if n in record]
    job = Job(plan, inputs, duration, engine, schedule, slab, record, record_state, progress, samples,
              traced, record_every, exit_rule, seed, check_sample_ids(sample_ids, samples), prepared.spare)
    if engine == "analytic":
        from eventsnn.engines.analytic import run_analytic

        result = run_analytic(job, RunResult())
    else:
        result = collect(job, spread(job, threads), RunResult())
    result.engine, result.engine_reason = engine, reason
    result.compile_seconds = compiling.seconds_compiling - before
    result.seconds = time.perf_counter() - start - result.compile_seconds
    _check_readout(result)
    return result


def _choose(plan, inputs, duration, engine, samples):
    """Return (engine, why)."""
    if engine != "auto":
        return engine, "asked for"
    probe = Job(plan, inputs, duration, "event", "streamed", None, [], (), None, min(samples, 1), sample_ids=np.zeros(1, int))
    counters = collect(probe, spread(probe, 1), RunResult()).counters
    instants = counters["instants"] if plan.network.clock == "grid" else 1  # each window opens once
    density = counters["synaptic_events"] / max(1, plan.dense_events * instants)
    where = f"the first sample reaches {density:.1%} of the synapses in an instant"
    if density < 0.5:
        return "event", where
    if plan.network.clock == "grid":
        return "stepped", where
    from eventsnn.engines.analytic import has_closed_form

    return ("analytic" if has_closed_form(plan.network) else "event"), where


def _check_readout(result):
    if result.readout is not None and np.isnan(result.readout).any():
        sample = int(np.argwhere(np.isnan(result.readout))[0, 0])
        raise RunError(f"sample {sample}: the readout is not a number; weights or inputs are too large for the dtype")
