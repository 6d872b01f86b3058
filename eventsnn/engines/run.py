"""Run a network on rasters and drives: choose the engine, spread samples over threads, collect what is asked for."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from eventsnn import compile as compiling
from eventsnn.engines.collect import collect, gated_part, grid_part
from eventsnn.engines.feed import check_inputs, gated_rows, grid_rows
from eventsnn.engines.gated import GatedRun
from eventsnn.engines.grid import GridRun
from eventsnn.engines.options import check_choices, check_points, check_sample_ids, check_traces
from eventsnn.engines.plan import make_plan
from eventsnn.engines.points import Points, point_steps
from eventsnn.errors import RunError

GATED_BUDGET = 2**19  # bytes of cells of the largest population per call


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
    network : Network
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
        Of the random numbers that noise relays draw; encoders and networks draw theirs before.
    record : iterable of str, optional
        Nodes whose rasters are kept; None: all.
    record_state : iterable of str
        Populations whose final state is kept.
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
        Number of each sample in the whole data set, so that any part of it gets the noise that it gets in the whole; by
        default 0, 1, ...
    progress : callable, optional
        Called with (samples done, samples in all).

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
    check_choices(network, engine, schedule, threads, record, (*record_state, *(trace_state or {})), slab)
    traced = check_traces(network, trace_state)
    check_points(network, record_every, exit_rule, traced)
    if network.clock == "continuous" and not network.gated:
        from eventsnn.engines.continuous_run import run_any_time
        from eventsnn.engines.windows import last_close

        duration = last_close(network) if duration is None else duration
        return run_any_time(network, inputs, duration, engine, record=record, seed=seed)
    samples = check_inputs(network, inputs)
    before, start = compiling.seconds_compiling, time.perf_counter()
    plan = make_plan(network)
    engine, reason = _choose(plan, inputs, duration, engine, samples)
    record = list(plan.nodes) if record is None else [n for n in plan.nodes if n in set(record)]
    job = _Job(plan, inputs, duration, engine, schedule, slab, record, tuple(record_state), progress, samples,
               traced, record_every, exit_rule, seed, check_sample_ids(sample_ids, samples))
    if engine == "analytic":
        from eventsnn.engines.analytic import run_analytic

        result = run_analytic(job, RunResult())
    else:
        result = collect(job, _spread(job, threads), RunResult())
    result.engine, result.engine_reason = engine, reason
    result.compile_seconds = compiling.seconds_compiling - before
    result.seconds = time.perf_counter() - start - result.compile_seconds
    _check_finite(result)
    return result


def _choose(plan, inputs, duration, engine, samples):
    """Return (engine, why)."""
    if engine != "auto":
        return engine, "asked for"
    probe = _Job(plan, inputs, duration, "event", "streamed", None, [], (), None, min(samples, 1), sample_ids=np.zeros(1, int))
    counters = collect(probe, _spread(probe, 1), RunResult()).counters
    instants = counters["instants"] if plan.network.clock == "grid" else 1  # each window opens once
    density = counters["synaptic_events"] / max(1, plan.dense_events * instants)
    where = f"the first sample reaches {density:.1%} of the synapses in an instant"
    if density < 0.5:
        return "event", where
    if plan.network.clock == "grid":
        return "stepped", where
    from eventsnn.engines.analytic import has_closed_form

    return ("analytic" if has_closed_form(plan.network) else "event"), where


@dataclass
class _Job:
    plan: object
    inputs: dict
    duration: object
    engine: str
    schedule: str
    slab: int | None
    record: list
    record_state: tuple
    progress: object
    samples: int
    traced: dict = field(default_factory=dict)
    every: int | None = None
    exit_rule: object = None
    seed: int = 0
    sample_ids: np.ndarray | None = None
    stopped: bool = False
    done: int = 0
    lock: object = field(default_factory=threading.Lock)

    def advance(self, count):
        """Count finished samples."""
        with self.lock:
            self.done += count
            if self.progress is not None:
                self.progress(self.done, self.samples)


def _spread(job, threads):
    """Return the parts of all workers, in the order of samples."""
    work = _work_gated if job.plan.network.clock == "continuous" else _work_grid
    edges = np.linspace(0, job.samples, min(threads, max(job.samples, 1)) + 1).astype(int).tolist()
    spans = list(itertools.pairwise(edges))
    if len(spans) == 1:
        return work(job, *spans[0])
    with ThreadPoolExecutor(len(spans)) as pool:
        futures = [pool.submit(work, job, *span) for span in spans]
        try:
            return [part for future in futures for part in future.result()]
        except BaseException:
            job.stopped = True  # the other workers look at it between slabs
            raise


def _work_grid(job, first, last):
    steps, feed = grid_rows(job.plan, job.inputs, job.duration)
    worker = GridRun(job.plan, steps, everything=job.engine == "stepped", interleaved=job.schedule == "interleaved",
                     slab=job.slab, traced=job.traced, points=point_steps(steps, job.every), exit_rule=job.exit_rule,
                     seed=job.seed)
    parts = []
    for sample in range(first, last):
        before = {n: s.counters.copy() for n, s in worker.populations.items()}
        worker.counters["synaptic_events"] = 0
        worker.sample = int(job.sample_ids[sample])
        lists = worker.run(feed(sample), stop=lambda: job.stopped)
        worker.counters["instants"] = worker.done
        parts.append(grid_part(job, worker, lists, before, steps))
        job.advance(1)
    return parts


def _work_gated(job, first, last):
    widest = max([1, *(n.units * n.ports * n.padded * n.dtype.itemsize for n in job.plan.nodes.values() if n.links)])
    chunk = int(min(max(1, GATED_BUDGET // widest), max(1, last - first)))
    worker, parts = GatedRun(job.plan, chunk, everything=job.engine == "stepped", seed=job.seed), []
    for begin in range(first, last, chunk):
        if job.stopped:
            break
        count = min(chunk, last - begin)
        worker.counters = dict.fromkeys(worker.counters, 0)
        worker.updates = dict.fromkeys(worker.updates, 0)
        worker.sample_ids = job.sample_ids[begin:begin + count]
        lists = worker.run(gated_rows(job.plan, job.inputs, begin, begin + count), count)
        parts.append(gated_part(job, worker, lists, count))
        job.advance(count)
    return parts


def _check_finite(result):
    if result.readout is not None and np.isnan(result.readout).any():
        sample = int(np.argwhere(np.isnan(result.readout))[0, 0])
        raise RunError(f"sample {sample}: the readout is not a number; weights or inputs are too large for the dtype")
