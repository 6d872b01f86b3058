"""Weight files of Keras 2 Sequential models (HDF5): read without Keras, in the order of their layers.

Layout: the root (or its group ``model_weights``) has the attribute ``layer_names``, a group for each layer, and in it the
attribute ``weight_names``; a name such as ``conv2d_1/kernel:0`` is the path of a data set inside of that group. Layers without
weights (activations, pools, dropout) have empty groups, so the architecture is not in the file: it is given. Long lists of
names are cut into ``layer_names0``, ``layer_names1``, ... Kernels are (y, x, c_in, c_out), as here.

Source: keras.engine.saving of Keras 2; `cifar10vgg.h5` of github.com/geifmany/cifar-vgg has this layout.
"""

from dataclasses import replace

import h5py
import numpy as np

from eventsnn.ann.layers import BatchNorm, Conv2d, Dense
from eventsnn.errors import DataError

EPSILON = 1e-3  # what Keras adds to variances
VARIABLES = {
    Conv2d: {"kernel": "weights", "bias": "bias"},
    Dense: {"kernel": "weights", "bias": "bias"},
    BatchNorm: {"gamma": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"},
}
MOST_NAMES = 4096


def read_keras(path):
    """Return the weights of a Keras file.

    Parameters
    ----------
    path : str or Path
        HDF5 file as ``model.save_weights`` or ``model.save`` of Keras 2 writes it.

    Returns
    -------
    list of (str, dict)
        Layers that have weights, in the order of the model: name, and {"kernel", "bias", "gamma", ...: array}.

    Raises
    ------
    DataError
        If the file is missing, damaged, hostile, of another layout, or of the Theano backend (whose kernels are mirrored).
    """
    from eventsnn.files.h5_safe import opened

    with opened(path, DataError) as source:
        root = source.child(source.h5, "model_weights", h5py.Group)
        root = source.h5 if root is None else root
        if source.attribute(root, "backend", "tensorflow") == "theano":
            raise source.fail("/", "was written by the Theano backend, whose kernels are mirrored; save it with TensorFlow")
        found = []
        for name in _names(source, root, "layer_names"):
            group = source.child(root, name, h5py.Group)
            if group is None:
                raise source.fail(root.name, f"lacks the group '{name}' that layer_names has; the file is damaged")
            texts = _names(source, group, "weight_names")
            found += [(name, {_variable(source, group, text): _array(source, group, text) for text in texts})] if texts else []
        return found


def _names(source, group, what):
    """Return a list of names from an attribute that may be cut into numbered parts."""
    names = source.attribute(group, what)
    if names is None:
        names, part = [], 0
        while (more := source.attribute(group, f"{what}{part}")) is not None and part < MOST_NAMES:
            names, part = names + list(more), part + 1
        if not part:
            raise source.fail(group.name, f"lacks the attribute '{what}'; is this a weight file of Keras 2?")
    names = [x.decode("utf-8", "replace") if isinstance(x, bytes) else x for x in names] if isinstance(names, list) else None
    if names is None or len(names) > MOST_NAMES or not all(isinstance(x, str) for x in names):
        raise source.fail(group.name, f"its attribute '{what}' must be a list of at most {MOST_NAMES} names")
    return names


def _variable(source, group, text):
    """Return "kernel" of "conv2d_1/kernel:0"."""
    name = text.rsplit("/", 1)[-1].split(":")[0]
    if name not in {key for keys in VARIABLES.values() for key in keys}:
        raise source.fail(group.name, f"has a variable '{text}', which is none of Conv2D, Dense and BatchNormalization")
    return name


def _array(source, group, text):
    *folders, last = text.split("/")
    place = group
    for folder in folders:
        place = None if place is None else source.child(place, folder, h5py.Group)
    data = None if place is None else source.child(place, last, h5py.Dataset)
    if data is None:
        raise source.fail(group.name, f"lacks the data set '{text}' that weight_names has; the file is damaged")
    return source.column(place, last, "f", rank=len(data.shape or ()))


def from_keras(path, graph, epsilon=EPSILON):
    """Return a network with the weights of a Keras file.

    Parameters
    ----------
    path : str or Path
        See :func:`read_keras`.
    graph : LayerGraph
        Architecture: its Conv2d, Dense and BatchNorm layers take the file's layers in order. Names need not agree.
    epsilon : float, optional
        What batch norm adds to variances; not in the file.

    Returns
    -------
    LayerGraph

    Raises
    ------
    DataError
        If the file cannot be read, or a layer of one has no counterpart of the same kind and shape in the other.
    """
    stored = read_keras(path)
    takers = [layer for layer in graph.layers if type(layer) in VARIABLES]
    filled = {}
    for layer, (name, arrays) in zip(takers, stored):
        filled[layer.name] = _filled(path, layer, name, arrays, epsilon)
    if len(takers) != len(stored):
        left = stored[len(takers)][0] if len(stored) > len(takers) else takers[len(stored)].name
        raise DataError(f"{path}: holds {len(stored)} layers with weights, the architecture has {len(takers)}; "
                        f"'{left}' has no counterpart")  # fmt: skip
    layers = tuple(filled.get(layer.name, layer) for layer in graph.layers)
    return replace(graph, layers=layers, meta={**graph.meta, "source": "Keras weight file"})


def _filled(path, layer, name, arrays, epsilon):
    """Return a layer with the arrays of one Keras layer."""
    kinds = VARIABLES[type(layer)]
    own = {kinds[key]: value for key, value in arrays.items() if key in kinds}
    where = f"{path}: layer '{name}'"
    if len(own) != len(arrays) or not {x for x in kinds.values() if x != "bias"} <= own.keys():
        raise DataError(f"{where}: has {', '.join(arrays)}, but '{layer.name}' of the architecture is a {type(layer).__name__}, "
                        f"which needs {', '.join(kinds)}")  # fmt: skip
    for key, value in own.items():
        wanted = np.shape(getattr(layer, key)) if getattr(layer, key) is not None else layer.weights.shape[-1:]
        if value.shape != wanted:
            raise DataError(f"{where}: its {key} have shape {value.shape}, '{layer.name}' of the architecture needs {wanted}")
        if not np.isfinite(value).all():
            raise DataError(f"{where}: its {key} hold a value that is not finite")
    if isinstance(layer, BatchNorm):
        if (own["variance"] < 0).any():
            raise DataError(f"{where}: a moving_variance is negative; the file is damaged")
        return replace(layer, **own, epsilon=epsilon)
    return replace(layer, weights=own["weights"], bias=own.get("bias"))
