"""Run a network on the continuous clock: windows of one smallest delay, populations in order within each.

A window is no longer than any delay within a cycle, so all its arrivals are known when it starts and no queue is needed. Windows
do not show: every number follows from the spikes alone, and any window length gives the same bits.
"""

import time

import numpy as np

from eventsnn import compile as compiling
from eventsnn.engines.continuous_plan import check_continuous, make_plans
from eventsnn.engines.continuous_population import CROWDED, PopulationRun, new_logs
from eventsnn.engines.continuous_spikes import PoissonSource, PoissonTimes, RasterSource, within
from eventsnn.engines.dense_ramps import is_dense_chain, run_dense_chain
from eventsnn.engines.options import check_sample_ids
from eventsnn.engines.run import RunResult
from eventsnn.errors import NetworkError, RunError, did_you_mean
from eventsnn.raster import SpikeRaster
from eventsnn.settings import check_number

SLAB = 2**20  # spikes of a node that are handed out at a time
WALKERS = ("auto", "time", "synapse", "dense")
COUNTERS = ("spikes", "synaptic_events", "neuron_updates", "queue_pushes", "queue_pops", "instants")


def run_continuous(network, inputs, duration_ms, *, window=None, record=None, seed=0, on_slab=None, walker="auto",
                   sample_ids=None, progress=None):
    """Run a network of continuous models.

    Parameters
    ----------
    network : ContinuousNetwork
    inputs : dict
        Name of each input -> SpikeRaster (continuous clock) or PoissonTimes; all with the same number of samples.
    duration_ms : float
        Length of a sample.
    window : float, optional
        Length of a window in ms, at most the smallest delay within a cycle (the default); the result is the same.
    record : iterable of str, optional
        Nodes whose rasters are kept; None: all.
    seed : int
        Of Poisson inputs.
    on_slab : callable, optional
        Called with (name, sample, times, ids) for consecutive parts of the spikes of recorded nodes, in order of time; then
        the result holds no rasters, and a long run needs no memory for all of its spikes.
    walker : {"auto", "time", "synapse", "dense"}
        How synapses are walked: a row of targets at a time (shared delays), one by one (delays of their own), or all neurons
        of a layer at once (chains of ramps); the result is the same.
    sample_ids, progress
        As in `run`.

    Returns
    -------
    RunResult

    Raises
    ------
    NetworkError
        If something does not fit the network.
    RunError
        If numbers are no longer finite, or a neuron spikes without end at one instant.
    """
    before, start = compiling.seconds_compiling, time.perf_counter()
    samples = _check(network, inputs, duration_ms, walker)
    scaled = {n for n, r in inputs.items() if getattr(r, "amplitudes", None) is not None}
    if walker == "dense" or (walker == "auto" and window is None and on_slab is None and is_dense_chain(network, inputs)):
        result = _dense(network, inputs, float(duration_ms), samples, record, window is None and on_slab is None)
        if progress is not None:
            progress(samples, samples)
        return _timed(result, before, start)
    plans, longest = make_plans(network, scaled, walker)
    if window is not None and not 0 < window <= longest:
        raise NetworkError(f"window must be > 0 and at most the smallest delay within a cycle, {longest} ms, got {window}")
    record = list(network.nodes) if record is None else [n for n in network.nodes if n in set(record)]
    job = _Run(network, plans, inputs, float(duration_ms), longest if window is None else float(window), record, seed, on_slab)
    return _timed(job.run(check_sample_ids(sample_ids, samples), progress), before, start)


def _timed(result, before, start):
    result.compile_seconds = compiling.seconds_compiling - before
    result.seconds = time.perf_counter() - start - result.compile_seconds
    return result


def _dense(network, inputs, duration, samples, record, free):
    if not free or not is_dense_chain(network, inputs):
        raise NetworkError("walker 'dense' needs a chain of ramp populations with dense projections and without delays, fed by "
                           "rasters, no window and no on_slab")
    check_continuous(network)
    spikes, potentials, events = run_dense_chain(network, inputs, duration, samples)
    result = RunResult(counters=dict.fromkeys(COUNTERS, 0))
    for name in network.nodes if record is None else [n for n in network.nodes if n in set(record)]:
        node = network.nodes[name]
        result.rasters[name] = within(inputs[name], duration) if name in inputs else SpikeRaster(
            spikes[name][1], spikes[name][2].astype(np.int32), size=node.size, duration=duration, offsets=spikes[name][0],
            shape=node.shape)
    for name, (_, times, _) in spikes.items():
        result.per_population[name] = {"neurons": network.nodes[name].size, "spikes": times.size, "updates": int(events[name][1])}
        for counter, value in zip(COUNTERS, (times.size, *events[name])):
            result.counters[counter] += int(value)
    if network.readout is not None:
        result.readout = potentials[network.readout].copy()
        result.prediction = result.readout.argmax(axis=1)
    return result


def _check(network, inputs, duration_ms, walker):
    """Return the number of samples."""
    if walker not in WALKERS:
        raise NetworkError(f"walker: must be one of {', '.join(WALKERS)}, got {walker!r}{did_you_mean(walker, WALKERS)}")
    check_number(duration_ms, "(0, inf)", "duration, ms,", error=NetworkError)
    names = {i.name: i for i in network.inputs}
    for name in {*names, *inputs}:
        if name not in names or name not in inputs:
            raise NetworkError(f"inputs: {'unknown' if name not in names else 'nothing is given for'} input {name!r}, the "
                               f"network has {', '.join(names) or 'none'}")
    counts = set()
    for name, given in inputs.items():
        if isinstance(given, PoissonTimes):
            counts.add(given.samples)
            continue
        if not isinstance(given, SpikeRaster) or given.clock != "continuous":
            raise NetworkError(f"input {name}: needs a SpikeRaster on the continuous clock or PoissonTimes")
        if given.size != names[name].size:
            raise NetworkError(f"input {name}: has {names[name].size} channels, the raster {given.size}")
        counts.add(given.n_samples)
    if len(counts) > 1:
        raise NetworkError(f"inputs: all must have the same number of samples, got {sorted(counts)}")
    return counts.pop() if counts else 1


class _Run:
    def __init__(self, network, plans, inputs, duration, window, record, seed, on_slab):
        self.network, self.plans, self.inputs = network, plans, inputs
        self.duration, self.window, self.record, self.seed, self.on_slab = duration, window, record, seed, on_slab
        self.kept = {n: [] for n in record}
        self.counters = dict.fromkeys(COUNTERS, 0)
        self.per = {n: {"neurons": p.size, "spikes": 0, "updates": 0} for n, p in plans.items()}
        self.readout = []

    def run(self, numbers, progress):
        """Run all samples, one after another; `numbers` are theirs in the data set."""
        samples = numbers.size
        for sample, number in enumerate(numbers.tolist()):
            self._sample(sample, number)
            if progress is not None:
                progress(sample + 1, samples)
        rasters = {n: self._raster(n, samples) for n in self.record} if self.on_slab is None else {}
        result = RunResult(rasters=rasters, counters=self.counters, per_population=self.per)
        if self.network.readout is not None:
            result.readout = np.array(self.readout).reshape(samples, self.network.nodes[self.network.readout].size)
            result.prediction = result.readout.argmax(axis=1)
        return result

    def _sample(self, sample, number):
        logs = new_logs(self.network.nodes)
        sources = {n: self._source(n, sample, number) for n in self.inputs}
        runs = {n: PopulationRun(p, logs) for n, p in self.plans.items()}
        dense = any(p.walker == "synapse" for p in self.plans.values())
        now, window = 0.0, self.window if not dense else min(self.window, self.duration / 16)
        while now < self.duration:
            tend = min(now + window, self.duration, *(r.next_epoch for r in runs.values()))
            crowd = self._window(sources, runs, logs, tend)
            if dense:  # what no longer fits the cache costs more to put in order; windows do not show
                window = window / 2 if crowd > 2 * CROWDED else (min(self.window, 2 * window) if crowd < CROWDED / 2 else window)
            for run in runs.values():
                if run.next_epoch == tend and tend < self.duration:
                    run.move_epoch()
            now = tend
            self._hand_out(sample, logs, runs, SLAB)
        self._last_instant(sources, runs, logs)
        self._hand_out(sample, logs, runs, 1)
        self._finish(sample, runs, logs)

    def _window(self, sources, runs, logs, tend):
        """Advance everything to `tend`; returns the largest number of arrivals per neuron."""
        for name, source in sources.items():
            source.fill(logs[name], tend)
        crowd = 0.0
        for run in runs.values():
            crowd = max(crowd, run.advance(tend) / run.plan.size)
        return crowd

    def _last_instant(self, sources, runs, logs):
        """Forced spikes at the end of the run act last."""
        for run in runs.values():
            if run.plan.population.model.closes:
                run.advance(np.nextafter(self.duration, np.inf))

    def _source(self, name, sample, number):
        given = self.inputs[name]
        if isinstance(given, PoissonTimes):
            return PoissonSource(given, self.network.nodes[name].size, self.seed, name, number)
        return RasterSource(given, sample)

    def _hand_out(self, sample, logs, runs, least):
        """Hand finished spikes to the callback (or keep them), and drop what nobody needs any more."""
        for name, log in logs.items():
            if name in self.inputs and isinstance(self.inputs[name], SpikeRaster):
                continue
            if log.n - log.told < least:
                continue
            if name in self.kept:
                part = log.times[log.told:log.n].copy(), log.ids[log.told:log.n].astype(np.int32)
                if self.on_slab is None:
                    self.kept[name].append((sample, *part))
                else:
                    self.on_slab(name, sample, *part)
            log.told = log.n
            needed = [s for r in runs.values() for s, link in zip(r.seen, r.plan.links) if link.source == name]
            useless = min([log.n, *needed])
            if least > 1 and useless > 0:
                log.drop(useless)
                for run in runs.values():
                    run.forget(name, useless)

    def _finish(self, sample, runs, logs):
        for name, run in runs.items():
            rows = run.S.reshape(run.plan.size, -1)[:, :-1]
            if np.isnan(rows).any() or not np.isfinite(rows[:, 0]).all():
                raise RunError(f"population {name}, sample {sample}: the state is no longer finite; weights are too large")
            self.counters["spikes"] += run.log.total
            self.counters["synaptic_events"] += int(run.counters[0])
            self.counters["neuron_updates"] += int(run.counters[1])
            self.per[name]["spikes"] += run.log.total
            self.per[name]["updates"] += int(run.counters[1])
        if self.network.readout is not None:
            self.readout.append(runs[self.network.readout].potentials(self.duration))

    def _raster(self, name, samples):
        node, given = self.network.nodes[name], self.inputs.get(name)
        if isinstance(given, SpikeRaster):
            return within(given, self.duration)
        parts = self.kept[name]
        times = np.concatenate([np.zeros(0), *(p[1] for p in parts)])
        ids = np.concatenate([np.zeros(0, np.int32), *(p[2] for p in parts)])
        counts = np.zeros(samples, np.int64)
        for part in parts:
            counts[part[0]] += part[1].size
        offsets = np.concatenate(([0], np.cumsum(counts)))
        return SpikeRaster(times, ids, size=node.size, duration=self.duration, offsets=offsets, shape=node.shape)
