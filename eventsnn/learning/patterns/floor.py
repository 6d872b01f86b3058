"""How near a pattern can be met at all: the best output raster that a search finds under the limits of the neuron."""

import math

import numpy as np

from eventsnn.compile import specialise

LATENCY = 4  # steps from an input spike to the first output spike that it can cause


def reachable_loss(target, kappa, tau, *, apart, latency=LATENCY, beam=200):
    """Return the lowest loss L that a beam search finds.

    Parameters
    ----------
    target : SpikeRaster
        One sample on the grid.
    kappa : float
        Decay of the van Rossum filter per step.
    tau : float
        Time constant in the factor 1/tau of the loss, ms.
    apart : bool
        Whether a neuron cannot spike in two consecutive steps (states clipped).
    latency : int
        Steps at the beginning in which no output can spike.
    beam : int
        Partial rasters of a neuron kept from step to step.

    Returns
    -------
    float
        A level that some raster reaches; not a proven bound, a wider beam may find a little less.
    """
    wanted = target.to_dense()[0]
    best = np.empty(wanted.shape[1])
    specialise(search)(np.ascontiguousarray(wanted.T), float(kappa), int(latency), bool(apart), int(beam), best)
    return math.sqrt(float(np.sum(best)) / (tau * 1e-3))


def search(wanted, kappa, latency, apart, beam, best):
    """Neurons are independent: for each, keep the `beam` partial trains of least squared difference, step by step."""
    trace, cost, fired = np.empty(2 * beam), np.empty(2 * beam), np.empty(2 * beam, np.bool_)
    kept_trace, kept_cost, kept_fired = np.empty(beam), np.empty(beam), np.empty(beam, np.bool_)
    for neuron in range(best.size):
        kept_trace[0], kept_cost[0], kept_fired[0] = 0.0, 0.0, False
        count, aim = 1, 0.0
        for t in range(wanted.shape[1]):
            aim = kappa * aim + wanted[neuron, t]
            n = 0
            for k in range(count):
                faded = kappa * kept_trace[k]
                trace[n], cost[n], fired[n] = faded, kept_cost[k] + (faded - aim) ** 2, False
                n += 1
                if t >= latency and not (apart and kept_fired[k]):
                    trace[n], cost[n], fired[n] = faded + 1.0, kept_cost[k] + (faded + 1.0 - aim) ** 2, True
                    n += 1
            order = np.argsort(cost[:n])
            count = min(n, beam)
            for k in range(count):
                kept_trace[k], kept_cost[k], kept_fired[k] = trace[order[k]], cost[order[k]], fired[order[k]]
        best[neuron] = kept_cost[0]
