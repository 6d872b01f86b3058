"""The work of a run: samples spread over threads, each worker with its own arrays."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from eventsnn.engines.collect import gated_part, grid_part
from eventsnn.engines.feed import gated_rows, grid_rows
from eventsnn.engines.gated import GatedRun
from eventsnn.engines.grid import GridRun
from eventsnn.engines.points import point_steps

GATED_BUDGET = 2**19  # bytes of cells of the largest population per call


@dataclass
class Job:
    """What one call of `run` asks for, and how far it is."""

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
    spare: dict = field(default_factory=dict)
    stopped: bool = False
    done: int = 0
    lock: object = field(default_factory=threading.Lock)

    def advance(self, count):
        """Count finished samples."""
        with self.lock:
            self.done += count
            if self.progress is not None:
                self.progress(self.done, self.samples)


def spread(job, threads):
    """Run all samples of a job on threads.

    Parameters
    ----------
    job : Job
    threads : int

    Returns
    -------
    list
        The parts of all workers, in the order of samples.
    """
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
    kind, parts = (steps, job.engine, job.schedule, job.slab, job.seed), []
    watched = job.traced or job.every is not None or job.exit_rule is not None
    worker = None if watched else job.spare.pop(kind, None)
    if worker is None:
        worker = GridRun(job.plan, steps, everything=job.engine == "stepped", interleaved=job.schedule == "interleaved",
                         slab=job.slab, traced=job.traced, points=point_steps(steps, job.every), exit_rule=job.exit_rule,
                         seed=job.seed)
    for sample in range(first, last):
        before = {n: s.counters.copy() for n, s in worker.populations.items()}
        worker.counters["synaptic_events"] = 0
        worker.sample = int(job.sample_ids[sample])
        lists = worker.run(feed(sample), stop=lambda: job.stopped)
        worker.counters["instants"] = worker.done
        parts.append(grid_part(job, worker, lists, before, steps))
        job.advance(1)
    if not watched:
        job.spare.clear()
        job.spare[kind] = worker
    return parts


def _work_gated(job, first, last):
    widest = max([1, *(n.units * n.ports * n.padded * n.dtype.itemsize for n in job.plan.nodes.values() if n.links)])
    chunk = int(min(max(1, GATED_BUDGET // widest), max(1, last - first)))
    kind, parts = (chunk, job.engine == "stepped", job.seed), []
    worker = job.spare.pop(kind, None) or GatedRun(job.plan, chunk, everything=job.engine == "stepped", seed=job.seed)
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
    job.spare.clear()  # one is enough: chunks differ in size only where samples run out
    job.spare[kind] = worker
    return parts
