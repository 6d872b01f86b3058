"""Checkpoints of a training run: one .npz per run, replaced whole after every epoch, never a pickle."""

import hashlib
import json

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError


def identity(graph, settings, images, labels):
    """Return the sha256 of everything that decides the outcome of a training run.

    Parameters
    ----------
    graph : LayerGraph
        Network with its initial weights.
    settings : TrainSettings
        All choices.
    images, labels : numpy.ndarray
        Training data.

    Returns
    -------
    str
        Hex digest; a checkpoint with another one is refused.
    """
    digest = hashlib.sha256(json.dumps(settings.to_dict(), sort_keys=True).encode())
    for layer in (part for whole in graph.layers for part in (whole, *getattr(whole, "inner", ()))):
        digest.update(repr((type(layer).__name__, layer.name, sorted(layer.options().items()))).encode())
    arrays = [*graph.parameters().items(), ("images", images), ("labels", labels)]
    for name, array in arrays:
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save(path, state, groups):
    """Write a checkpoint under a temporary name and rename it when complete.

    Parameters
    ----------
    path : str or Path
        File name, ending in .npz.
    state : dict
        Plain values: epoch, curve, identity.
    groups : dict of str to dict of str to numpy.ndarray
        ``{"net": {...}, "optimiser": {...}, "best": {...}}``.

    Raises
    ------
    RunError
        If the file cannot be written.
    """
    arrays = {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}
    text = np.frombuffer(json.dumps(state).encode(), dtype=np.uint8)
    with disk.finished(path) as part, open(part, "wb") as file:
        np.savez(file, **arrays, state=text)


def load(path, own_identity):
    """Read a checkpoint, or refuse it.

    Parameters
    ----------
    path : str or Path
        File written by :func:`save`.
    own_identity : str
        Digest that the present run has, from :func:`identity`.

    Returns
    -------
    tuple of dict and dict
        As given to :func:`save`.

    Raises
    ------
    DataError
        If it is damaged, or belongs to another run.
    """
    arrays = disk.read_npz(path, DataError)
    try:
        state = json.loads(bytes(arrays.pop("state")))
        known, epoch = state["identity"], state["epoch"]
        if not (isinstance(epoch, int) and isinstance(state["curve"], list)):
            raise TypeError
    except (KeyError, ValueError, TypeError):
        raise DataError(f"{path}: not a training checkpoint of eventsnn; remove it or name another file") from None
    if known != own_identity:
        raise DataError(f"{path}: belongs to a training run with other settings, data or initial weights; remove it to "
                        f"start anew, or restore what it was made with")  # fmt: skip
    groups = {}
    for key, value in arrays.items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = value
    return state, groups
