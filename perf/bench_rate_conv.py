"""A rate-coded convolutional network of integrate-and-fire neurons, 100 steps: whole run, one thread.

64C3-64C3-P2-128C3-128C3-P2-256-10, Poisson-like input at 10 %. Yardstick: the time-stepped twin on the same network.
Bound: one addition per synaptic event plus one update per neuron and step where something arrived.
"""

import numpy as np
from common import emit, median_seconds

from eventsnn import (
    Conv2d,
    Dense,
    GatedMaxPool,
    Input,
    Network,
    Population,
    Projection,
    Readout,
    Relay,
    SpikeRaster,
    run,
)

STEPS = 100


def make(samples=2, threshold=1.8):
    """Return (network, raster) with random weights; the threshold sets the activity."""
    rng = np.random.default_rng(1)

    def conv(inside, outside):
        return Conv2d((rng.normal(size=(3, 3, inside, outside)) * np.sqrt(2 / (9 * inside))).astype(np.float32))

    def population(name, shape):
        return Population(name, shape, "if", {"v_threshold": threshold})

    def dense(inside, outside, gain):
        return Dense((rng.normal(size=(inside, outside)) * gain).astype(np.float32))

    network = Network(
        inputs=[Input("x", (32, 32, 3))],
        populations=[population("c1", (32, 32, 64)), population("c2", (32, 32, 64)), population("c3", (16, 16, 128)),
                     population("c4", (16, 16, 128)), population("f", 256), Population("o", 10, "accumulator")],
        relays=[Relay("p1", "c2", GatedMaxPool(2)), Relay("p2", "c4", GatedMaxPool(2))],
        projections=[Projection("x", "c1", conv(3, 64)), Projection("c1", "c2", conv(64, 64)),
                     Projection("p1", "c3", conv(64, 128)), Projection("c3", "c4", conv(128, 128)),
                     Projection("p2", "f", dense(8192, 256, 0.02)), Projection("f", "o", dense(256, 10, 1.0))],
        readout=Readout("o"), dt_ms=1.0)
    fired = rng.random((samples, STEPS, 3072)) < 0.1
    rows, times, ids = np.nonzero(fired)
    return network, SpikeRaster.from_events(times, ids, samples=rows, size=3072, duration=STEPS, dt_ms=1.0, n_samples=samples)


def main():
    """Print one line per activity."""
    for threshold in (1.2, 1.8, 2.6):
        network, raster = make(threshold=threshold)
        event, stepped = (run(network, {"x": raster}, engine=e, record=()) for e in ("event", "stepped"))
        assert event.counters["spikes"] == stepped.counters["spikes"] and (event.readout == stepped.readout).all()
        seconds = median_seconds(lambda: run(network, {"x": raster}, record=()), 5) / 2
        beside = median_seconds(lambda: run(network, {"x": raster}, engine="stepped", record=()), 5) / 2
        neurons = sum(p["neurons"] for p in event.per_population.values())
        emit("rate_conv", seconds=seconds, yardstick="time-stepped twin", yardstick_seconds=beside, ratio=beside / seconds,
             activity=event.counters["spikes"] / 2 / STEPS / neurons, spikes=event.counters["spikes"] // 2,
             synaptic_events=event.counters["synaptic_events"] // 2,
             events_per_second=event.counters["synaptic_events"] / 2 / seconds)


if __name__ == "__main__":
    main()
