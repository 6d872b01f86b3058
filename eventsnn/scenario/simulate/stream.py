"""One long sample on the continuous clock: its spikes go to the disk as they come, so memory does not grow with the run.

A stretch of spikes in the file is no point from which a run could go on (the state of the neurons is not kept): a run that was
killed begins its sample anew. Numbers are written when all spikes are in the file, and say that they are.
"""

import numpy as np

from eventsnn.raster import SpikeRaster
from eventsnn.scenario.simulate.slices import count_slices, open_writer, population_rows, read_slice, write_slice


def streams(network, maker):
    """Return whether a run goes to the disk as it runs: one sample, spikes at any time, no readout of its spikes.

    Parameters
    ----------
    network : Network
    maker : InputMaker

    Returns
    -------
    bool
    """
    return network.clock == "continuous" and not network.gated and maker.n_samples == 1 and network.readout is None


class SlabWriter:
    """Appends the parts of each node's spikes to the raster of one sample.

    Parameters
    ----------
    writer : RasterWriter
    nodes : dict
        Name -> Input or Population, of recorded nodes.
    duration_ms : float
    given : dict
        Name -> SpikeRaster of recorded inputs, which are written at once.
    progress : callable
        Called with (ms done, ms in all).
    """

    def __init__(self, writer, nodes, duration_ms, given, progress):
        self.writer, self.nodes, self.duration, self.progress = writer, nodes, duration_ms, progress
        self.spikes = dict.fromkeys(nodes, 0)
        self.silent = {name: self._raster(name, np.empty(0), np.empty(0, np.int32)) for name in nodes}
        first = {name: self._raster(name, r.times, r.ids, r.amplitudes) for name, r in given.items() if name in nodes}
        writer.append(self.silent | first)
        self.spikes |= {name: len(raster) for name, raster in first.items()}

    def _raster(self, name, times, ids, amplitudes=None):
        node = self.nodes[name]
        return SpikeRaster(times, ids, amplitudes, size=node.size, duration=self.duration, shape=node.shape)

    def __call__(self, name, sample, times, ids):
        """Take a part, as `on_slab` of the engine hands it out."""
        self.writer.append(self.silent | {name: self._raster(name, times, ids)}, continues=True)
        self.spikes[name] += times.size
        if times.size:
            self.progress(int(times[-1]), int(self.duration))


def run_streamed(job, maker, folder, target):
    """Run the only sample of a scenario, or only finish the file of a run that was killed after its last spike.

    Parameters
    ----------
    job : Job
    maker : InputMaker
    folder : Path
        Of the stage.
    target : Path
        raster.h5.
    """
    done = read_slice(folder, 0)[1]["slabs"] if count_slices(folder) else 0
    with open_writer(job, folder, target, done) as writer:
        if writer.n_slices == 0:
            _run(job, maker, folder, writer)
        writer.meta["engine"] = read_slice(folder, 0)[1]["engine"]


def _run(job, maker, folder, writer):
    from eventsnn.engines.continuous_run import run_any_time

    network, spec = job.results["network"], job.spec.run
    inputs = maker.batch(0, 1)
    rasters = {name: given for name, given in inputs.items() if isinstance(given, SpikeRaster)}
    duration = spec.duration or max(raster.duration for raster in rasters.values())
    recorded = {n: node for n, node in network.nodes.items() if spec.record is None or n in spec.record}
    slabs = SlabWriter(writer, recorded, duration, rasters, lambda done, total: job.progress("run", done, total))
    result = run_any_time(network, inputs, duration, spec.engine, record=list(recorded), seed=job.spec.seed, on_slab=slabs)
    job.progress("run", int(duration), int(duration))
    counted = {name: len(raster) for name, raster in rasters.items()}
    counted |= {name: slabs.spikes[name] for name in inputs if name in recorded}
    numbers = {
        "counters": {k: int(v) for k, v in result.counters.items()}, "populations": population_rows(network, result),
        "inputs": counted, "engine": result.engine, "engine_reason": result.engine_reason, "seconds": result.seconds,
        "compile_seconds": result.compile_seconds, "slabs": writer.n_slices,
    }  # fmt: skip
    write_slice(folder, 0, {}, numbers)
