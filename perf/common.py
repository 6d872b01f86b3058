"""What the benchmarks share: medians, JSON lines, random spike lists."""

import json
import resource
import statistics
import time

import numpy as np

from eventsnn import compile as compiling
from eventsnn.engines.spikes import SpikeList


def median_seconds(work, repeats=7, clock=time.perf_counter):
    """Return the median time of calling `work`, after one call that warms up."""
    work()
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times)


def emit(name, **figures):
    """Print one JSON line with compile seconds and peak memory beside the figures."""
    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in figures.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = {"bench": name, **rounded, "compile_seconds": round(compiling.seconds_compiling, 2), "peak_mb": round(peak)}
    print(json.dumps(line), flush=True)


def spike_list(node, fired):
    """Return a SpikeList of a boolean array (rows, neurons)."""
    rows, ids = np.nonzero(fired)
    spikes = SpikeList(node, len(fired), 1)
    spikes.fill(np.searchsorted(rows, np.arange(len(fired) + 1)), ids, np.ones(max(1, ids.size)))
    return spikes
