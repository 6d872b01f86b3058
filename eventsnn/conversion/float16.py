"""Weights rounded to float16 numbers: half the memory, and the engine reads large layers in half the time."""

from dataclasses import replace

import numpy as np

from eventsnn.errors import ModelError
from eventsnn.projections import Conv2d, Dense

LARGEST = float(np.finfo(np.float16).max)


def to_float16(network):
    """Round the weights of dense and convolutional layers to the nearest float16 numbers.

    Parameters
    ----------
    network : Network
        Grid clock or gated; populations keep their dtype and compute in it. Layers of integer populations stay as they are.

    Returns
    -------
    tuple of Network and dict
        The same network with rounded weights, and the report: for each such layer, the largest weight and the largest
        change of a weight.

    Raises
    ------
    ModelError
        If a weight is larger than the largest float16 number (65504), or populations may spike at any time.

    Notes
    -----
    A weight changes by at most 2^-11 of its size, or 2^-25 where it is smaller than 2^-14. What the engine does with such
    weights is exact: it keeps layers of more than a MiB in 16 bits and widens each weight before it is multiplied.
    """
    if network.clock == "continuous" and not network.gated:
        raise ModelError("to_float16: networks that may spike at any time compute in float64; there is nothing to gain")
    projections, rows = [], []
    for projection in network.projections:
        if isinstance(projection.synapses, Conv2d | Dense) and network.nodes[projection.target].dtype.startswith("float"):
            name, given = f"{projection.source} -> {projection.target}", projection.synapses.weights
            largest = float(np.abs(given).max(initial=0.0))
            if largest > LARGEST:
                raise ModelError(f"to_float16: a weight of {name} is {largest:g}, the largest float16 number is {LARGEST:g}; "
                                 "scale the layer down (conversion.normalise)")  # fmt: skip
            rounded = given.astype(np.float16).astype(np.float64)
            rows.append({"projection": name, "largest": largest, "largest_change": float(np.abs(rounded - given).max(initial=0))})
            projection = replace(projection, synapses=replace(projection.synapses, weights=rounded.astype(np.float32)))
        projections.append(projection)
    return replace(network, projections=tuple(projections)), {"mapping": "float16", "projections": rows}
