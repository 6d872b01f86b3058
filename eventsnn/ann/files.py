"""Source networks on disk: .npz, HDF5 (.h5, .hdf5) and .safetensors, each with the architecture as JSON inside.

Nothing that is read can run code.  PyTorch pickles are refused; the message says how to save safetensors instead.
"""

import json
import os
from dataclasses import fields
from pathlib import Path

import numpy as np

from eventsnn import disk
from eventsnn.ann import packing
from eventsnn.ann.graph import LAYERS, LayerGraph
from eventsnn.ann.quantised import TernaryConv2d, ternary
from eventsnn.errors import DataError, EventsnnError, did_you_mean

FORMAT, VERSION = "eventsnn-layer-graph", 1
HEADER_BYTES = 2**22
SUFFIXES = {".npz": "npz", ".h5": "hdf5", ".hdf5": "hdf5", ".safetensors": "safetensors"}
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")
STORAGE = (None, "float16", "float32", "float64")


def file_kind(path):
    """Return "npz", "hdf5" or "safetensors" by the file's suffix.

    Raises
    ------
    DataError
        If the suffix is another one; for PyTorch pickles with the way to save safetensors.
    """
    suffix = Path(path).suffix.lower()
    if suffix in PICKLES:
        raise DataError(
            f"{path}: looks like a PyTorch pickle, which can run code when it is opened, so it is never read; save the "
            "weights as safetensors: from safetensors.torch import save_file; "
            'save_file(model.state_dict(), "model.safetensors")'
        )
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: unknown kind of weight file {suffix!r}{did_you_mean(suffix, SUFFIXES)}; "
                        f"allowed: {', '.join(SUFFIXES)}")  # fmt: skip
    return SUFFIXES[suffix]


def _library():
    """Return the safetensors module, or say how to get it."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise DataError(".safetensors files need an extra: pip install eventsnn[ann]") from error
    return safetensors


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
    kind = file_kind(path)
    few = [x for x in graph.layers if pack and isinstance(x, TernaryConv2d)]
    packed = {f"{x.name}.weights": packing.pack(ternary(x.weights)) for x in few}
    arrays = {key: _stored(path, key, value, dtype) for key, value in graph.parameters().items() if key not in packed} | packed
    layers = [
        {"type": type(x).__name__, "name": x.name, **x.options(), "arrays": {k: a.shape for k, a in x.arrays().items()}}
        for x in graph.layers
    ]
    header = {"format": FORMAT, "version": VERSION, "name": graph.name, "input_shape": graph.input_shape,
              "layers": layers, "meta": graph.meta} | ({"packed": list(packed)} if packed else {})  # fmt: skip
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: meta must hold plain finite values (text, numbers, lists, dicts): {error}") from error
    with disk.finished(path) as part:
        {"npz": _write_npz, "hdf5": _write_hdf5, "safetensors": _write_safetensors}[kind](part, text, arrays, graph)


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


def _write_npz(part, text, arrays, graph):
    with open(part, "wb") as file:
        np.savez_compressed(file, header=np.frombuffer(text.encode(), np.uint8), **arrays)


def _write_hdf5(part, text, arrays, graph):
    import h5py

    with h5py.File(part, "w") as h5:
        h5.attrs["format"], h5.attrs["version"] = FORMAT, VERSION
        # Copies for people who look with h5dump; what is read back is the header.
        for key, value in graph.meta.items():
            copy = value if isinstance(value, str) else json.dumps(value)
            h5.attrs[f"meta {key}"] = copy[:16000]
        h5.create_dataset("header", data=np.frombuffer(text.encode(), np.uint8))
        group = h5.create_group("parameters")
        for key, value in arrays.items():
            group.create_dataset(key, data=value, compression="gzip", compression_opts=9, shuffle=True)


def _write_safetensors(part, text, arrays, graph):
    _library().numpy.save_file(arrays, str(part), metadata={"eventsnn": text})


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
    header, arrays = _read(path)
    if header is None:
        raise DataError(f"{path}: holds no eventsnn architecture (no header); build the network by name and fill it "
                        "with eventsnn.ann.exchange.from_torch(graph, read_arrays(path))")  # fmt: skip
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
    return _read(path)[1]


def _read(path):
    """Return (header bytes or None, arrays)."""
    kind = file_kind(path)
    if not os.path.isfile(path):
        raise DataError(f"{path}: no such file")
    header, arrays = {"npz": _read_npz, "hdf5": _read_hdf5, "safetensors": _read_safetensors}[kind](path)
    for key, value in arrays.items():
        if value.dtype.kind not in "fiu":
            raise DataError(f"{path}: array '{key}' must hold numbers, got dtype {value.dtype}")
    if header is not None and (len(header) > HEADER_BYTES or np.asarray(header).dtype != np.uint8):
        raise DataError(f"{path}: the header must be JSON text of at most {HEADER_BYTES} bytes")
    return header, arrays


def _read_npz(path):
    arrays = disk.read_npz(path, DataError)
    return arrays.pop("header", None), arrays


def _read_hdf5(path):
    import h5py

    from eventsnn.files.h5_safe import opened

    with opened(path, DataError) as source:
        group = source.child(source.h5, "parameters", h5py.Group)
        if group is None:
            raise DataError(f"{path}: has no group 'parameters'; is this a weight file of eventsnn?")
        arrays = {}
        for key in group:
            data = source.child(group, key, h5py.Dataset)
            arrays[key] = source.column(group, key, "fiu", rank=len(data.shape or ()))
        return source.column(source.h5, "header", "u"), arrays


def _read_safetensors(path):
    library = _library()
    try:
        with library.safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("eventsnn")
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except Exception as problem:  # the library has its own exception, and numpy's where a dtype is unknown (bfloat16)
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise DataError(f"{path}: cannot be read as safetensors: {reason} (damaged, truncated, or bfloat16: convert to "
                        "float32 first)") from problem  # fmt: skip
    return None if text is None else np.frombuffer(text.encode(), np.uint8), arrays
