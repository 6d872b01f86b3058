"""Keep a converted network in the run folder: plain arrays and a JSON tree of known dataclasses, never a pickle."""

import json
from dataclasses import fields, is_dataclass

import numpy as np

from eventsnn import disk
from eventsnn.errors import RunError


def _kinds():
    """The only classes that may appear in the file."""
    from eventsnn import network, projections, relays

    names = {network: ("Network", "Input", "Population", "Projection", "Relay", "BiasDrive", "Readout"),
             projections: ("Dense", "Conv2d", "Sparse"),
             relays: ("AveragePool", "GatedMaxPool", "EarliestPool", "StepMaxPool", "Deletion", "Jitter", "FrozenMask",
                      "Flip")}  # fmt: skip
    return {name: getattr(module, name) for module, listed in names.items() for name in listed}


def save_network(path, network):
    """Write a network.

    Parameters
    ----------
    path : str or Path
        Ending in .npz; written whole or not at all.
    network : Network
        Its models must be known by name.
    """
    arrays = []
    tree = _encode(network, arrays)
    text = np.frombuffer(json.dumps(tree).encode(), np.uint8)
    with disk.finished(path) as part, open(part, "wb") as file:
        np.savez(file, tree=text, **{f"a{k}": array for k, array in enumerate(arrays)})


def load_network(path):
    """Read a network that `save_network` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Network
        Equal to the one written, bit for bit.

    Raises
    ------
    RunError
        If the file is damaged.
    """
    with disk.kept(path):
        arrays = disk.read_npz(path, RunError)
        return _decode(json.loads(arrays["tree"].tobytes()), arrays, _kinds())


def _encode(value, arrays):
    if isinstance(value, type):
        return {"model": value.name}
    if is_dataclass(value):
        parts = {f.name: _encode(getattr(value, f.name), arrays) for f in fields(value) if f.init}
        return {"kind": type(value).__name__, "fields": parts}
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {"dict": {key: _encode(part, arrays) for key, part in value.items()}}
    if isinstance(value, tuple | list):
        return {"tuple": [_encode(part, arrays) for part in value]}
    return value


def _decode(tree, arrays, kinds):
    if not isinstance(tree, dict):
        return tree
    if "model" in tree:
        from eventsnn.neurons.base import find_model

        return find_model(tree["model"])
    if "array" in tree:
        return arrays[f"a{tree['array']}"]
    if "dict" in tree:
        return {key: _decode(part, arrays, kinds) for key, part in tree["dict"].items()}
    if "tuple" in tree:
        return tuple(_decode(part, arrays, kinds) for part in tree["tuple"])
    return kinds[tree["kind"]](**{name: _decode(part, arrays, kinds) for name, part in tree["fields"].items()})
