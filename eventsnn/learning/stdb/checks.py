"""What a training of a hybrid network refuses before it starts: settings that the network cannot follow, images it cannot see."""

import numpy as np

from eventsnn.ann.layers import Dropout
from eventsnn.conversion.hybrid_build import nodes_of, relays_of
from eventsnn.errors import DataError, ModelError


def check_fits(hybrid, settings):
    """Refuse settings that would train nothing, or not all layers, of this network.

    Parameters
    ----------
    hybrid : HybridNet
    settings : StdbSettings

    Raises
    ------
    ModelError
        If a run, or a piece of a truncated one, ends before a spike of the input is at the output; if `dropout` has no masks
        to act on.
    """
    least = hybrid.shortest
    # All logits would be 0: no gradient, and a weight decay that is part of the gradient eats the weights.
    if settings.steps <= least:
        raise ModelError(f"stdb: steps must be at least {least + 1}, got {settings.steps}: a spike takes {least} steps to the "
                         "output, so there would be nothing to learn from; or take propagation: same_step")  # fmt: skip
    if 0 < settings.truncate <= least:
        raise ModelError(f"stdb: truncate must be 0 or at least {least + 1}, got {settings.truncate}: the gradient takes {least} "
                         "steps to the first layer, which a shorter piece forgets on its way")  # fmt: skip
    if settings.dropout and not any(isinstance(layer, Dropout) and len(shape) == 3 for shape, layer in _relays(hybrid.graph)):
        raise ModelError(f"stdb: dropout {settings.dropout} has nothing to act on: it is the rate of the dropout layers behind "
                         "convolutions, of which the network has none; make its source with some, or remove it")  # fmt: skip


def _relays(graph):
    """Return (shape of what enters, layer) of all pools and dropout layers."""
    shapes, found = {"input": graph.input_shape} | {node.name: node.shape for node in nodes_of(graph)}, []
    for name, source, layer in relays_of(graph):
        found.append((shapes[source], layer))
        shapes[name] = layer.out_shape(shapes[source])
    return found


def check_inputs(hybrid, images, ids=None):
    """Refuse images that the encoder of a run would refuse, too.

    Parameters
    ----------
    hybrid : HybridNet
    images : ndarray, shape (n, ...)
        Numbers, as the network takes them.
    ids : ndarray, optional
        Number of each sample.

    Raises
    ------
    DataError
        If there is none, a value is not finite, or beyond what Poisson spikes can say; if there is not one number per sample.
    """
    if not len(images):
        raise DataError("stdb: needs at least one image, got none")
    most = max(float(images.max()), -float(images.min()))
    if not np.isfinite(most):  # also of NaN, which max and min hand on
        raise DataError("stdb: images must be finite, got NaN or infinity")
    if hybrid.input == "poisson" and not hybrid.clip and most * hybrid.gain > 1:
        raise DataError(f"stdb: images reach {most:g}, a spike in every step says {1 / hybrid.gain:g} (gain {hybrid.gain:g}): "
                        "scale the values, lower gain, or clip")  # fmt: skip
    if ids is not None and (ids.shape != (len(images),) or ids.dtype.kind not in "iu"):
        raise DataError(f"stdb: ids must be one whole number per sample ({len(images)}), got {ids.dtype} {ids.shape}")


def check_images(hybrid, images, settings):
    """Refuse images to learn from: as `check_inputs`, if none is left for training, or if they cannot be moved.

    Parameters
    ----------
    hybrid : HybridNet
    images : ndarray
        As the network takes them.
    settings : StdbSettings

    Raises
    ------
    DataError
    """
    check_inputs(hybrid, images)
    if settings.validation >= len(images):
        raise DataError(f"stdb: validation takes {settings.validation} of {len(images)} images, none is left")
    if (settings.shift or settings.flip) and images.ndim < 3:
        raise DataError(f"stdb: shift and flip need images (n, y, x[, channel]), got shape {images.shape}")
