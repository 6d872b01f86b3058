"""Where a result comes from: versions, hashes of inputs, the command; text and numbers only, never code."""

import hashlib
import os
import platform
import sys
from functools import lru_cache
from importlib import metadata

import eventsnn
from eventsnn.errors import DataError

LIBRARIES = ("numpy", "scipy", "numba", "h5py", "torch")


@lru_cache(maxsize=64)
def _digest(path, size, changed):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def file_sha256(path):
    """Hash the content of a file; a file that has not changed is read once in a process.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str
        Hex digest.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        stat = os.stat(path)
        return _digest(str(path), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def versions():
    """Return {name: version} of Python, eventsnn and the libraries that take part, without importing them."""
    found = {"eventsnn": eventsnn.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def record(loaded, inputs, stages):
    """Make the provenance section of result.json.

    Parameters
    ----------
    loaded : LoadedScenario
        What was run.
    inputs : dict of str to str
        SHA-256 of every input file or data set, by its name in the scenario.
    stages : dict of str to str
        Hash of every stage.

    Returns
    -------
    dict
        Plain data.
    """
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "command": " ".join(["eventsnn", *sys.argv[1:]]) if sys.argv else "",
        "scenario_file": loaded.source,
        "scenario_folder": str(loaded.folder),
        "scenario_sha256": loaded.sha256,
        "scenario": loaded.text,
        "inputs": inputs,
        "stages": stages,
    }
