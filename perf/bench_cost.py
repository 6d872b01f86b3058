"""Cost against spikes: delivery alone and a whole run, from 1 % to 50 % activity; slope and intercept of log(cost).

A slope of 1 says that the cost follows the spikes; a smaller one says how much is paid for neurons that are silent.
"""

import numpy as np
from common import emit, median_seconds, spike_list

from eventsnn import Conv2d, Input, Network, Population, Projection, SpikeRaster, run
from eventsnn.engines.plan import make_plan

ACTIVITY = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SHAPE = (16, 16, 128)


def fit(activity, seconds):
    """Return slope and intercept of log10(seconds) over log10(activity)."""
    slope, intercept = np.polyfit(np.log10(activity), np.log10(seconds), 1)
    return float(slope), float(intercept)


def main():
    """Print the two fits."""
    rng = np.random.default_rng(0)
    weights = (rng.normal(size=(3, 3, 128, 128)) * 0.02).astype(np.float32)
    network = Network(inputs=[Input("x", SHAPE)], populations=[Population("b", SHAPE, parameters={"v_threshold": 4.0})],
                      projections=[Projection("x", "b", Conv2d(weights))], dt_ms=1.0)
    plan = make_plan(network)
    node, link, steps = plan.nodes["b"], plan.nodes["b"].links[0], 20
    cells = np.zeros(steps * node.units * node.padded, np.float32)
    marks = np.zeros((steps, -(-node.units // 8) * 8), np.uint8)
    alone, whole = [], []
    for activity in ACTIVITY:
        fired = rng.random((steps, node.size)) < activity
        source = spike_list(plan.nodes["x"], fired)
        alone.append(median_seconds(lambda: link.deliver(source, source.amps, np.arange(steps), cells, marks)))
        t, ids = np.nonzero(fired)
        raster = SpikeRaster(t, ids, size=node.size, duration=steps, dt_ms=1.0)
        whole.append(median_seconds(lambda: run(network, {"x": raster}, record=())))
    for name, seconds in (("delivery", alone), ("run", whole)):
        slope, intercept = fit(ACTIVITY, seconds)
        emit(f"cost_against_spikes_{name}", activity=list(ACTIVITY), seconds=[float(f"{s:.3g}") for s in seconds], slope=slope,
             intercept_log10_seconds=intercept)


if __name__ == "__main__":
    main()
