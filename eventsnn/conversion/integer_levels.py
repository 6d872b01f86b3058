"""The level of every activation of a quantised network, computed densely: what signed spike counts must settle at."""

import numpy as np

from eventsnn.ann.layers import Conv2d
from eventsnn.ann.quantised import QuantConv2d, QuantReLU

EXACT = 2**24  # whole numbers up to it are exact in float32


def levels(graph, x):
    """Return the level of every activation, and the logits.

    Parameters
    ----------
    graph : LayerGraph
        Quantised network, see :func:`eventsnn.conversion.integer_blocks.blocks`.
    x : ndarray, shape (n, *input_shape)

    Returns
    -------
    tuple of dict and ndarray
        Name of a convolution -> levels behind it, int64 (n, size); logits, float64 (n, classes).

    Notes
    -----
    Everything is float64. Convolutions of whole multiples with whole multiples are computed in float32 where no partial sum
    can leave the range in which float32 is exact: the same numbers, sooner.
    """
    found, name, grid, x = {}, None, None, np.asarray(x, np.float64)
    for layer in graph.layers:
        if isinstance(layer, Conv2d):
            name = layer.name
            x = layer.apply(x.astype(np.float32) if _exact(layer, x, grid) else x).astype(np.float64)
        else:
            x = layer.apply(x)
        if isinstance(layer, QuantReLU):
            grid = 2.0**-layer.k
            found[name] = np.round(x / grid).astype(np.int64).reshape(len(x), -1)
    return found, x


def _exact(layer, x, grid):
    """Return whether a convolution is exact in float32; `grid`: inputs are multiples of it, None: of nothing."""
    if grid is None or not isinstance(layer, QuantConv2d) or layer.grid is None:
        return False
    largest = np.abs(layer.used()).sum(axis=(0, 1, 2), dtype=np.float64).max() / layer.grid
    return bool(largest * x.max(initial=0) / grid <= EXACT)
