"""What weights cost in memory: bits and energy of four ways to lay out the synapses of a layer.

=============  =========================================================================================================
layout         bits of a layer with n sources, m targets, z weights that are not 0, of b bits
=============  =========================================================================================================
`crossbar`     n m b: every weight at its place
`bitmap`       n m + z b: one bit says where a weight is
`csr`          z (b + ceil(log2 m)) + (n + 1) ceil(log2(z + 1)): a target for each weight, where each source begins
`functional`   z b: places are computed (convolutions and other regular connections)
=============  =========================================================================================================

Energies are not computed but looked up: they were synthesised for a controller and its memories, and hold for the networks and
densities that the rows name.

Source: Schaefer & Joshi, ISCAS 2020, arXiv 2003.11639, and the tables in the repository of the code
(Intelligent-Microsystems-Lab/QuantizedSNNs).
"""

import math
from dataclasses import dataclass

from eventsnn.errors import DataError, did_you_mean

LAYOUTS = ("crossbar", "bitmap", "csr", "functional")


def layout_bits(layout, sources, targets, weights, width):
    """Return the bits that a layer takes.

    Parameters
    ----------
    layout : {"crossbar", "bitmap", "csr", "functional"}
    sources, targets : int
        Neurons on both sides.
    weights : int
        Weights that are not 0.
    width : int
        Bits of a weight.

    Returns
    -------
    int

    Raises
    ------
    DataError
        If the layout is unknown.
    """
    if layout not in LAYOUTS:
        raise DataError(f"layout: unknown, got {layout!r}, allowed {', '.join(LAYOUTS)}{did_you_mean(layout, LAYOUTS)}")
    index, pointer = math.ceil(math.log2(max(targets, 2))), math.ceil(math.log2(weights + 1))
    return {"crossbar": sources * targets * width, "bitmap": sources * targets + weights * width,
            "csr": weights * (width + index) + (sources + 1) * pointer, "functional": weights * width}[layout]  # fmt: skip


@dataclass(frozen=True)
class Energy:
    """A published energy.

    Attributes
    ----------
    network : str
    width : int
        Bits of a weight.
    densities : tuple of float
        Share of weights that are not 0, by layer.
    layout : str
    joules : float
        Of one forward and backward pass (convolutions: of the backward pass).
    """

    network: str
    width: int
    densities: tuple
    layout: str
    joules: float


PATTERN, DENSE, CONV, LARGE = "700-400-250", "784-128", "conv 3x3, 32 channels, 28x28", "conv 3x3, 32 channels, 128x128"


def _rows(network, width, densities, **joules):
    return [Energy(network, width, densities, layout, value) for layout, value in joules.items()]


TABLE = (
    *_rows(PATTERN, 2, (0.65, 0.64), crossbar=2.031e-5, bitmap=1.684e-5, csr=3.15e-5),
    *_rows(PATTERN, 3, (0.85, 0.85), crossbar=2.175e-5, bitmap=2.313e-5, csr=4.25e-5),
    *_rows(PATTERN, 4, (0.92, 0.92), crossbar=2.404e-5, bitmap=2.667e-5, csr=4.66e-5),
    *_rows(PATTERN, 5, (0.97, 0.97), crossbar=2.305e-5, bitmap=2.759e-5, csr=5.16e-5),
    *_rows(PATTERN, 6, (0.98, 0.98), crossbar=2.447e-5, bitmap=3.046e-5, csr=5.50e-5),
    *_rows(DENSE, 2, (0.25,), crossbar=1.23e-6 + 3.02e-6, bitmap=1.95e-7 + 1.27e-6, csr=8.4e-7 + 2.69e-6),
    *_rows(DENSE, 8, (0.05,), crossbar=1.66e-6 + 4.29e-6, bitmap=1.06e-7 + 1.08e-6, csr=6.3e-8 + 6.9e-7),
    *_rows(CONV, 8, (1.0,), csr=7.45e-7, functional=4.25e-7),
    *_rows(LARGE, 8, (1.0,), csr=3.05e-5, functional=8.88e-6),
)
"""Published energies."""


def energies(width, network=PATTERN):
    """Return the published energies of one width, by layout.

    Parameters
    ----------
    width : int or None
        Bits of a weight.
    network : str
        As the rows of `TABLE` name it.

    Returns
    -------
    dict of str to Energy
        Empty where nothing was published.
    """
    return {row.layout: row for row in TABLE if row.network == network and row.width == width}


def saving(cheap, dear):
    """Return how many times the energy of `cheap` goes into that of `dear`; both are (layout, width) of the pattern network.

    Notes
    -----
    The published 1.37 is a bitmap of 2 bits against a crossbar of 5.
    """
    return energies(dear[1])[dear[0]].joules / energies(cheap[1])[cheap[0]].joules


def with_leakage(joules, share):
    """Return an energy with the leakage added that makes up a share of the total, 0 to below 1."""
    if not 0 <= share < 1:
        raise DataError(f"share: leakage must be from 0 to below 1 of the total, got {share}")
    return joules / (1 - share)
