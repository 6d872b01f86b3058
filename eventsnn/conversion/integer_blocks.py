"""Blocks of a quantised network, one per integer population, and the threshold tables that batch norm becomes."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.layers import BatchNorm, Conv2d, Dense, Flatten
from eventsnn.ann.quantised import ROUND_UP, QuantConv2d, QuantReLU
from eventsnn.errors import ModelError

SCALE = 10_000
GUARD = 1e-5  # of the published comparison with the lower threshold


@dataclass(frozen=True, eq=False)
class Block:
    """Convolution, batch norm and rounding: one population.

    Parameters
    ----------
    conv : Conv2d
        Weights as they are used, in units of their grid: ternary ones and those of few bits are whole numbers; channels whose
        gamma is negative are mirrored.
    beta, gamma, mean, sigma : ndarray, float64
        Batch norm per channel, gamma >= 0; mean and sigma in units of the grid of the weights.
    act : QuantReLU
    shape : tuple of int
        (y, x, channel) of its output.
    before : int
        Fractional bits of its input: 2^before times an activation is a whole number.
    """

    conv: Conv2d
    beta: np.ndarray
    gamma: np.ndarray
    mean: np.ndarray
    sigma: np.ndarray
    act: QuantReLU
    shape: tuple
    before: int

    def step(self):
        """Return Delta per channel: how far apart thresholds are, in units of 2^before times the sums; 0 where gamma is 0."""
        unit = 2.0 ** (self.before - self.act.k) * self.sigma
        return np.divide(unit, self.gamma, out=np.zeros_like(unit), where=self.gamma > 0)

    def thresholds(self, levels, offset):
        """Return Theta_j, j = 1 .. levels, per channel in float64: level j needs 2^before times the sums >= Theta_j.

        ``offset`` is what the quantiser adds before it rounds.  A channel with gamma 0 has a constant level: its
        thresholds are minus or plus infinity.
        """
        need = np.arange(1, levels + 1)[:, None] - 0.5 - offset - 2.0**self.act.k * self.beta
        theta = need * self.step() + 2.0**self.before * self.mean
        return np.where(self.gamma > 0, theta, np.where(need > 0, np.inf, -np.inf))


def blocks(graph):
    """Cut a quantised network into blocks and its classifier.

    Parameters
    ----------
    graph : LayerGraph
        Conv2d, TernaryConv2d or KBitConv2d (no bias), BatchNorm, QuantReLU, repeated; then Flatten and a Dense layer without
        bias.

    Returns
    -------
    tuple of list of Block, Dense

    Raises
    ------
    ModelError
        If a layer stands where it cannot.
    """
    found, layers, shapes = [], list(graph.layers), dict(zip((x.name for x in graph.layers), graph.shapes))
    while layers and isinstance(layers[0], Conv2d):
        if len(layers) < 3 or not isinstance(layers[1], BatchNorm) or not isinstance(layers[2], QuantReLU):
            layers[0].complain("must be followed by BatchNorm and QuantReLU, to become a layer of integer neurons")
        conv, norm, act = layers[:3]
        if conv.bias is not None:
            conv.complain("must have no bias: the batch norm behind it has one")
        found.append(_block(conv, norm, act, shapes[act.name], found))
        layers = layers[3:]
    layers = [x for x in layers if not isinstance(x, Flatten)]
    if not found or len(layers) != 1 or not isinstance(layers[0], Dense) or layers[0].bias is not None:
        names = ", ".join(f"{x.name} ({type(x).__name__})" for x in layers) or "nothing"
        raise ModelError("integer network: blocks of Conv2d, BatchNorm and QuantReLU must be followed by one Dense layer "
                         f"without bias, got {names}")  # fmt: skip
    if found[0].act.top is None:
        found[0].act.complain("the encoder needs a top: the number of steps in which it says its level")
    return found, layers[0]


def _block(conv, norm, act, shape, found):
    weights, grid = conv.weights.astype(np.float64), 1.0
    if isinstance(conv, QuantConv2d):
        grid = 1.0 if conv.grid is None else conv.grid
        weights = conv.used().astype(np.float64) / grid
    mirrored = np.where(norm.gamma < 0, -1.0, 1.0)
    gamma, mean = norm.gamma * mirrored, norm.mean.astype(np.float64) * mirrored / grid
    sigma = np.sqrt(norm.variance.astype(np.float64) + norm.epsilon) / grid
    plain = Conv2d(conv.name, weights * mirrored, None, conv.stride, conv.padding)
    before = 0
    if found:  # the encoder may be coarser: its spikes then carry several units
        before = max(found[-1].act.k, act.k) if len(found) == 1 else found[-1].act.k
    beta, gamma, mean = (x.astype(np.float64) for x in (norm.beta, gamma, mean))
    return Block(plain, beta, gamma, mean, sigma, act, shape, before)


def tables(block, levels, thresholds, whole):
    """Return the tables `up` and `down` of the signed neuron.

    Parameters
    ----------
    block : Block
    levels : int
        Rows.
    thresholds : {"exact", "fixed", "published", "float"}
        exact: ceil(Theta_j) with the quantiser's 1e-5 folded. fixed: at a scale of 10,000, half-open. published: step
        round(10^4 Delta), first threshold 10^4 round(Theta_1), strict comparisons, so that a membrane exactly at a
        threshold keeps its history. float: Theta_j unrounded, strict, with the published guard of 1e-5.
    whole : bool
        Whether the membrane is a whole number (ternary weights); then all four are whole numbers.

    Returns
    -------
    tuple of ndarray, shape (levels, channels), float64

    Notes
    -----
    Row j: from level j to level j + 1, and back (all-integer-snn 2.4, 2.5).
    """
    rows = np.arange(levels)[:, None]
    if thresholds == "exact":
        theta = block.thresholds(levels, ROUND_UP)
        up = np.ceil(theta) if whole else theta
        return up, up
    offset = ROUND_UP if thresholds == "fixed" else 0.0
    theta = block.thresholds(levels, offset)
    constant = block.gamma == 0  # no step
    first = np.where(constant, 0, theta[0])
    step = block.step()
    if thresholds == "fixed":
        up = np.floor((np.ceil(SCALE * first) - 1 + rows * np.round(SCALE * step)) / SCALE) + 1
        down = up
    else:
        exact = thresholds == "float"
        line = first + rows * step if exact else (SCALE * np.round(first) + rows * np.round(SCALE * step)) / SCALE
        guard = GUARD if exact else (0.0 if whole else GUARD / SCALE)
        up = np.floor(line) + 1 if whole else np.nextafter(line, np.inf)
        down = np.ceil(line - guard) if whole else line - guard
    return (np.where(constant, theta[:levels], x) for x in (up, down))
