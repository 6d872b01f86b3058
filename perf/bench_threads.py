"""Two threads over samples, against one thread and against two processes doing half each, in the same run."""

import multiprocessing
import time

import numpy as np
from bench_rate_conv import make
from common import emit, median_seconds

from eventsnn import run


def work(half):
    """Run half of the samples in a process of its own; returns the seconds without start-up."""
    network, raster = make(samples=8)
    chosen = raster.select(np.arange(4) + 4 * half)
    run(network, {"x": chosen.select(np.arange(1))}, record=())
    start = time.perf_counter()
    run(network, {"x": chosen}, record=())
    return time.perf_counter() - start


def main():
    """Print one line."""
    network, raster = make(samples=8)
    one = median_seconds(lambda: run(network, {"x": raster}, record=()), 5)
    two = median_seconds(lambda: run(network, {"x": raster}, record=(), threads=2), 5)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        processes = float(np.median([max(pool.map(work, (0, 1), chunksize=1)) for _ in range(3)]))
    emit("two_threads", seconds=two, one_thread_seconds=one, two_processes_seconds=processes, ratio=one / two,
         ratio_of_processes=one / processes)


if __name__ == "__main__":
    main()
