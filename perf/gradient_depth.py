"""How weight gradients of a deep spiking network grow from layer to layer, with the reset detached and attached.

Eight layers of 300 neurons, 100 steps, random weights, thresholds at which every layer fires at the given rate; one JSON line for
each surrogate and leak. `python perf/gradient_depth.py growth.png` draws the norms by layer, too. Needs torch.
"""

import sys

import numpy as np
import torch
from common import emit

from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import Dense, ReLU
from eventsnn.conversion.hybrid import HybridNet
from eventsnn.learning.stdb.net import poisson
from eventsnn.learning.stdb.norms import gradient_norms, growth
from eventsnn.learning.stdb.scan import Rule, scan

LAYERS, WIDTH, STEPS, RATE, BATCH = 8, 300, 100, 0.1, 4


def deep_net(leak, *, layers=LAYERS, width=WIDTH, steps=STEPS, rate=RATE, batch=BATCH, seed=0):
    """Return a random network whose layers fire at a given mean rate, and images and labels for it."""
    rng, stack, thetas = np.random.default_rng(seed), [], []
    x, rule = rng.uniform(-1, 1, (batch, width)), Rule(1.0, None, False, False)
    z = torch.as_tensor(poisson(x, np.arange(batch), 0, 1.0, 0, steps).astype(np.float64))
    for k in range(layers):
        weights = rng.normal(0, 1 / np.sqrt(width), (width, width))
        stack += [Dense(f"dense{k}", weights), ReLU(f"relu{k}")]
        drive, low, high = z @ torch.as_tensor(weights), 1e-3, 1e3
        for _ in range(40):  # bisection: the rate falls with the threshold
            theta = np.sqrt(low * high)
            numbers = (torch.tensor(v, dtype=torch.float64) for v in (theta, leak))
            state = torch.zeros_like(drive[0]), torch.zeros(0), torch.zeros(0, dtype=torch.int32)
            z, _ = scan(drive, None, state, *numbers, rule, 0)
            low, high = (theta, high) if z.mean() > rate else (low, theta)
        thetas.append(float(theta))
    stack.append(Dense("out", rng.normal(0, 1 / np.sqrt(width), (width, 10))))
    return HybridNet(LayerGraph((width,), stack), thetas, [leak] * layers), x, np.arange(batch) % 10


def main(picture=None):
    """Measure, print, and draw if asked to."""
    found = {}
    for surrogate in ("linear", "stdb"):
        for leak in (1.0, 0.99, 0.9):
            net, x, labels = deep_net(leak)
            for reset in ("detached", "attached"):
                settings = {"steps": STEPS, "precision": "float64", "surrogate": surrogate, "reset_gradient": reset, "threads": 1}
                found[surrogate, leak, reset] = gradient_norms(net, x, labels, settings)
            ratios = {reset: growth(found[surrogate, leak, reset]) for reset in ("detached", "attached")}
            emit("gradient_depth", surrogate=surrogate, leak=leak, layers=LAYERS, steps=STEPS, **ratios)
    if picture:
        draw(found, picture)


def draw(found, picture):
    """Draw the norm of each layer's gradient over that of the last hidden layer."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, surrogate in zip(figure.subplots(1, 2, sharey=True), ("linear", "stdb")):
        for (own, leak, reset), norms in found.items():
            if own == surrogate:
                style = {"detached": "o-", "attached": "o--"}[reset]
                axes.semilogy(range(1, LAYERS + 1), norms[:-1] / norms[-2], style, ms=3, label=f"{reset}, leak {leak}")
        axes.set(title=f"surrogate {surrogate}", xlabel="layer")
        axes.grid(axis="y", lw=0.4)
    axes.legend(fontsize=7, frameon=False)
    figure.supylabel("norm of the weight gradient / last hidden layer", fontsize=9)
    figure.savefig(picture, dpi=110, format="png", metadata={"Software": "eventsnn"})


if __name__ == "__main__":
    main(*sys.argv[1:2])
