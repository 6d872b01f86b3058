"""A gated TTFS network 784-340-10 against the closed form of the same network by BLAS, one thread.

Run with OPENBLAS_NUM_THREADS=1, and on AVX-512 machines with OPENBLAS_CORETYPE=SkylakeX, which is the fair yardstick.
Bound: 340 additions per active input and 10 per hidden spike, at the speed of an L2-resident row add.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from common import emit, median_seconds

from eventsnn import Dense, Input, Network, Population, Projection, Readout, SpikeRaster, prepare, run
from eventsnn.engines.feed import gated_rows
from eventsnn.engines.gated import GatedRun
from eventsnn.engines.plan import make_plan

SAMPLES = 1000


def make(activity):
    """Return (network, raster, images, weights) with that share of active inputs."""
    rng = np.random.default_rng(1)
    w1, w2 = (rng.normal(size=s).astype(np.float32) * g for s, g in (((784, 340), 0.05), ((340, 10), 0.1)))
    network = Network(inputs=[Input("x", 784)],
                      populations=[Population("h", 340, "ramp", {"t_open": 1, "window": 8}),
                                   Population("o", 10, "ramp_readout", {"t_open": 9})],
                      projections=[Projection("x", "h", Dense(w1)), Projection("h", "o", Dense(w2))], readout=Readout("o"))
    x = (rng.random((SAMPLES, 784)) * (rng.random((SAMPLES, 784)) < activity)).astype(np.float32)
    rows, ids = np.nonzero(x)
    raster = SpikeRaster.from_events(1 - x[rows, ids].astype(np.float64), ids, x[rows, ids], rows, size=784, duration=1.0,
                                     n_samples=SAMPLES)
    return network, raster, x, w1, w2


def main():
    """Print one line per activity and mode."""
    for activity in (0.05, 0.2):
        network, raster, x, w1, w2 = make(activity)
        found = run(network, {"x": raster}, record=())
        closed = np.maximum(x @ w1, 0) @ w2
        assert np.abs(found.readout - closed).max() < 1e-3 and (found.prediction == closed.argmax(1)).mean() > 0.99
        figures = {"activity": activity, "spikes": found.counters["spikes"],
                   "synaptic_events": found.counters["synaptic_events"]}

        batch = median_seconds(lambda: run(network, {"x": raster}, record=()))
        gemm = median_seconds(lambda: np.maximum(x @ w1, 0) @ w2)
        emit("gated_batch_1000", seconds=batch, yardstick="sgemm closed form", yardstick_seconds=gemm, ratio=gemm / batch,
             events_per_second=figures["synaptic_events"] / batch, **figures)

        hidden, out = np.empty(340, np.float32), np.empty(10, np.float32)

        def gemv():
            for image in x:
                np.dot(image, w1, out=hidden)
                np.maximum(hidden, 0, out=hidden)
                np.dot(hidden, w2, out=out)

        single = median_seconds(gemv) / SAMPLES
        plan = make_plan(network)
        for chunk, name in ((1, "gated_one_call_per_image"), (SAMPLES, "gated_image_after_image")):
            # every image goes through on its own, no weight is shared between images; the second form makes one call
            # of the engine for all of them and so leaves out what Python costs per call
            worker = GatedRun(plan, chunk)
            spans = [gated_rows(plan, {"x": raster}, k, k + chunk) for k in range(0, SAMPLES, chunk)]

            def go():
                for span in spans:
                    worker.run(span, chunk)

            seconds = median_seconds(go) / SAMPLES
            emit(name, seconds=seconds, yardstick="sgemv closed form", yardstick_seconds=single, ratio=single / seconds,
                 **figures)
        from_outside(network, raster)


def from_outside(network, raster):
    """Print what one call of `run` costs for one image, the network prepared before, and laid out by every call."""
    images = [raster.select([k]) for k in range(100)]
    ready = prepare(network)
    seconds = {}
    for name, subject in (("prepared", ready), ("network", network)):
        seconds[name] = median_seconds(lambda subject=subject: [run(subject, {"x": image}, record=()) for image in images]) / 100
    emit("gated_run_of_a_prepared_network", seconds=seconds["prepared"], yardstick="run of the network itself",
         yardstick_seconds=seconds["network"], ratio=seconds["network"] / seconds["prepared"])


if __name__ == "__main__":
    main()
