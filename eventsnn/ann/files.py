"""Source networks on disk: .npz, HDF5 (.h5, .hdf5) and .safetensors, each with the architecture as JSON inside."""

import json
from dataclasses import fields

import numpy as np

from eventsnn import disk
from eventsnn.ann import containers, packing
from eventsnn.ann.graph import LAYERS, LayerGraph
from eventsnn.ann.quantised import TernaryConv2d, ternary
from eventsnn.ann.residual import Residual
from eventsnn.errors import DataError, EventsnnError

FORMAT, VERSION = "eventsnn-layer-graph", 1
STORAGE = (None, "float16", "float32", "float64")


def save_graph(path, graph, *, dtype=None, pack=False):
    """Write a network, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Name ending in .npz, .h5, .hdf5 or .safetensors.
    graph : LayerGraph
        Architecture, parameters and ``meta`` (values that JSON can hold).
    dtype : {None, "float16", "float32", "float64"}, optional
        How weights are stored; None keeps each as it is and reads back bit for bit.  "float16" applies to weights with
        two axes or more; biases and batch norm stay float32.
    pack : bool, optional
        Store the weights of TernaryConv2d layers as they are used, -1, 0, +1, at 2 bits each; the floats behind them, with
        which training would go on, are lost.

    Raises
    ------
    DataError
        If the name or dtype is not allowed, a weight is too large for float16, or ``meta`` is not plain.
    RunError
        If the file cannot be written.
    """
    kind = containers.file_kind(path)
    few = [x for x in graph.layers if pack and isinstance(x, TernaryConv2d)]
    packed = {f"{x.name}.weights": packing.pack(ternary(x.weights)) for x in few}
    arrays = {key: _stored(path, key, value, dtype) for key, value in graph.parameters().items() if key not in packed} | packed
    layers = [_entry(x) for x in graph.layers]
    header = {"format": FORMAT, "version": VERSION, "name": graph.name, "input_shape": graph.input_shape,
              "layers": layers, "meta": graph.meta} | ({"packed": list(packed)} if packed else {})  # fmt: skip
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: meta must hold plain finite values (text, numbers, lists, dicts): {error}") from error
    with disk.finished(path) as part:
        containers.write(part, kind, text, arrays, _notes(graph.meta))


def _notes(meta):
    """Return copies of the header's meta for people who look into the file; what is read back is the header."""
    copies = {key: value if isinstance(value, str) else json.dumps(value) for key, value in meta.items()}
    return {"format": FORMAT, "version": VERSION} | {f"meta {key}": copy[:16000] for key, copy in copies.items()}


def _entry(layer):
    """Return a layer's entry of the header; a residual block has entries inside its own."""
    if isinstance(layer, Residual):
        parts = {part: [_entry(x) for x in getattr(layer, part)] for part in ("body", "shortcut")}
        return {"type": "Residual", "name": layer.name, **parts, "arrays": {}}
    shapes = {key: value.shape for key, value in layer.arrays().items()}
    return {"type": type(layer).__name__, "name": layer.name, **layer.options(), "arrays": shapes}


def _stored(path, key, value, dtype):
    """Return an array in its storage dtype, little-endian."""
    if dtype not in STORAGE:
        raise DataError(f"{path}: dtype must be one of float16, float32, float64 or None, got {dtype!r}")
    wanted = value.dtype if dtype is None else np.dtype(dtype)
    if wanted == np.float16:
        if value.ndim < 2:
            wanted = np.dtype(np.float32)
        elif np.abs(value).max(initial=0) > np.finfo(np.float16).max:
            raise DataError(f"{path}: parameter '{key}' has values beyond 65504, too large for float16; use float32")
    return np.ascontiguousarray(value, dtype=wanted.newbyteorder("<"))


def load_graph(path):
    """Read a network written by :func:`save_graph`.

    Parameters
    ----------
    path : str or Path
        .npz, .h5, .hdf5 or .safetensors file.

    Returns
    -------
    LayerGraph
        Weights stored as float16 become float32.

    Raises
    ------
    DataError
        If the file is missing, damaged, hostile, a pickle, or has no architecture inside.
    """
    header, arrays = containers.read(path)
    if header is None:
        raise DataError(f"{path}: holds no eventsnn architecture (no header); build the network by name and fill it "
                        "with eventsnn.ann.exchange.from_torch(graph, read_arrays(path)), or make it of the PyTorch module "
                        "itself with eventsnn.ann.torch_module.from_torch_module(module, input_shape)")  # fmt: skip
    try:
        header = json.loads(bytes(header).decode())
        if header["format"] != FORMAT or header["version"] != VERSION:
            raise ValueError(f"format {header['format']!r} version {header['version']!r} is not {FORMAT!r} {VERSION}")
        arrays |= _unpacked(header, arrays)
        layers = [_layer(spec, arrays) for spec in header["layers"]]
        meta, name = header["meta"], header["name"]
        if not (isinstance(meta, dict) and isinstance(name, str)):
            raise TypeError("meta or name has the wrong type")
        graph = LayerGraph(tuple(header["input_shape"]), layers, name, meta)
    except (EventsnnError, KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        what = f"no entry {error}" if isinstance(error, KeyError) else str(error).splitlines()[0][:300]
        raise DataError(f"{path}: the network inside is not valid: {what}") from error
    unknown = [key for key in arrays if key not in graph.parameters()]
    if unknown:
        raise DataError(f"{path}: the file holds an array '{unknown[0]}' that the architecture does not have")
    return graph


def _unpacked(header, arrays):
    """Return the arrays that are stored at 2 bits a weight."""
    shapes = {f"{x['name']}.{key}": shape for x in header["layers"] for key, shape in x["arrays"].items()}
    return {key: packing.unpack(arrays[key], shapes[key]) for key in header.get("packed", ())}


def _layer(spec, arrays):
    """Make one layer from its entry of the header."""
    cls = LAYERS[spec["type"]]
    if cls is Residual:
        beginning = f"{spec['name']}."
        own = {key.removeprefix(beginning): value for key, value in arrays.items() if key.startswith(beginning)}
        if any(x["type"] == "Residual" for x in (*spec["body"], *spec["shortcut"])):
            raise ValueError(f"layer '{spec['name']}' holds a residual block inside a residual block")
        return cls(spec["name"], *([_layer(x, own) for x in spec[part]] for part in ("body", "shortcut")))
    shapes, name = spec["arrays"], spec["name"]
    known = {f.name for f in fields(cls)} - set(cls.ARRAYS)
    options = {key: value for key, value in spec.items() if key not in ("type", "arrays")}
    strange = sorted((set(options) - known) | (set(shapes) - set(cls.ARRAYS)))
    if strange:
        raise ValueError(f"layer '{name}' has unknown entries {', '.join(strange)}")
    given = {key: arrays[f"{name}.{key}"] for key in shapes}
    for key, value in given.items():
        if list(value.shape) != list(shapes[key]):
            raise ValueError(f"array '{name}.{key}' has shape {value.shape}, the header says {tuple(shapes[key])}")
    return cls(**options, **given)


def read_arrays(path):
    """Return {name: array} of a weight file, with or without an eventsnn header.

    Parameters
    ----------
    path : str or Path
        .npz, .h5, .hdf5 (group ``parameters``) or .safetensors file.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    DataError
        If the file is missing, damaged, hostile or a pickle.
    """
    return containers.read(path)[1]
