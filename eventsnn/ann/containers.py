"""Named arrays and a header of text in .npz, HDF5 (.h5, .hdf5) and .safetensors files.

Nothing that is read can run code.  PyTorch pickles are refused; the message says how to save safetensors instead.
"""

import os
from pathlib import Path

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError, did_you_mean

HEADER_BYTES = 2**22
SUFFIXES = {".npz": "npz", ".h5": "hdf5", ".hdf5": "hdf5", ".safetensors": "safetensors"}
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")


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


def write(path, kind, header, arrays, notes):
    """Write a file.

    Parameters
    ----------
    path : Path
        Where; its suffix does not matter.
    kind : {"npz", "hdf5", "safetensors"}
    header : str
        What :func:`read` gives back beside the arrays.
    arrays : dict of str to ndarray
    notes : dict of str to str or int
        Attributes for people who look into an HDF5 file with h5dump; never read back.
    """
    {"npz": _write_npz, "hdf5": _write_hdf5, "safetensors": _write_safetensors}[kind](path, header, arrays, notes)


def _write_npz(path, header, arrays, notes):
    with open(path, "wb") as file:
        np.savez_compressed(file, header=np.frombuffer(header.encode(), np.uint8), **arrays)


def _write_hdf5(path, header, arrays, notes):
    import h5py

    with h5py.File(path, "w") as h5:
        h5.attrs.update(notes)
        h5.create_dataset("header", data=np.frombuffer(header.encode(), np.uint8))
        group = h5.create_group("parameters")
        for key, value in arrays.items():
            group.create_dataset(key, data=value, compression="gzip", compression_opts=9, shuffle=True)


def _write_safetensors(path, header, arrays, notes):
    _library().numpy.save_file(arrays, str(path), metadata={"eventsnn": header})


def read(path):
    """Read a file.

    Parameters
    ----------
    path : str or Path
        .npz, .h5, .hdf5 (group ``parameters``) or .safetensors file.

    Returns
    -------
    header : ndarray of uint8 or None
        None: the file has none.
    arrays : dict of str to ndarray

    Raises
    ------
    DataError
        If the file is missing, damaged, hostile or a pickle.
    """
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
