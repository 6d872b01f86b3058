"""Convolution delivery against an L2-resident row add, canonical order, one thread.

Bound: one addition per synaptic event; the yardstick adds float32 rows of 512 that live in the L2 cache, in the same run.
"""

import time

import numpy as np
from common import emit, median_seconds, spike_list

from eventsnn import Conv2d, Input, Network, Population, Projection
from eventsnn.compile import specialise
from eventsnn.engines.plan import make_plan

SIZES = ((32, 64), (16, 128), (8, 256), (4, 512))
ACTIVITY = (0.003, 0.01, 0.03, 0.1, 0.3)


def row_add(rows, order, sums, repeats):
    """sums += rows[k] for each k in order: the loop that every delivery would like to be."""
    for _ in range(repeats):
        for k in order:
            for j in range(sums.size):
                sums[j] += rows[k, j]


def yardstick(clock=time.perf_counter):
    """Return additions per second of the row add (512 KiB of weights)."""
    rng = np.random.default_rng(0)
    rows, order = rng.normal(size=(256, 512)).astype(np.float32), rng.permutation(256)
    kernel, sums = specialise(row_add), np.zeros(512, np.float32)
    return 256 * 512 * 200 / median_seconds(lambda: kernel(rows, order, sums, 200), clock=clock)


def delivery(size, channels, activity, instants=4):
    """Return (synaptic events, seconds) of delivering `instants` instants of random spikes through one 3x3 layer."""
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(3, 3, channels, channels)).astype(np.float32)
    shape = (size, size, channels)
    network = Network(inputs=[Input("x", shape)], populations=[Population("a", shape), Population("b", shape)], dt_ms=1.0,
                      projections=[Projection("a", "b", Conv2d(weights))])
    plan = make_plan(network)
    node, link = plan.nodes["b"], plan.nodes["b"].links[0]
    source = spike_list(plan.nodes["a"], rng.random((instants, size * size * channels)) < activity)
    cells = np.zeros(instants * node.units * node.padded, np.float32)
    marks = np.zeros((instants, -(-node.units // 8) * 8), np.uint8)
    rows = np.arange(instants)
    events = link.deliver(source, source.amps, rows, cells, marks)
    repeats = max(1, int(3e7 / max(events, 1)))

    def go():
        for _ in range(repeats):
            link.deliver(source, source.amps, rows, cells, marks)

    assert events == int(link.fan_out[source.ids[:source.n]].sum())
    return int(events), median_seconds(go) / repeats


def main():
    """Print one line per size and activity."""
    for size, channels in SIZES:
        for activity in ACTIVITY:
            peak = yardstick()
            events, seconds = delivery(size, channels, activity)
            emit("conv2d_delivery", seconds=seconds, synaptic_events=events, shape=[size, size, channels], activity=activity,
                 events_per_second=events / seconds, yardstick="L2 row add", yardstick_per_second=peak,
                 ratio=events / seconds / peak)


if __name__ == "__main__":
    main()
