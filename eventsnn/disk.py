"""Files that appear whole or not at all, and .npz archives that cannot hurt the reader."""

import contextlib
import errno
import math
import os
import zipfile
from pathlib import Path

import numpy as np

from eventsnn.errors import EventsnnError, RunError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# deflate cannot shrink by more than 1032: an archive that claims more is made to exhaust memory
_DEFLATE = 1032


def disk_error(path, error):
    """Return the RunError for an OSError met while `path` was written, with the remedy."""
    text = str(error)
    full = error.errno in _FULL or any(f"errno = {code}," in text for code in _FULL)
    if full:
        why = "the disk is full or a quota is reached; free some space or choose another folder, and run again"
    else:
        why = f"{error.strerror or text}; check that the folder exists and that you may write there"
    return RunError(f"{path}: could not be written: {why} (nothing was changed under this name)")


def sync(path):
    """Force the content of a file (or a folder's entries) to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(part, path):
    """Rename the complete file `part` to `path` so that even a power cut leaves the old or the new file."""
    sync(part)
    os.replace(part, path)
    sync(Path(path).absolute().parent)


@contextlib.contextmanager
def finished(path, suffix=".part"):
    """Yield the temporary name `path + suffix`; rename it to `path` if the block succeeds, remove it if not.

    Parameters
    ----------
    path : str or Path
        The final name; an existing file stays as it is until the new one is complete.
    suffix : str
        What the temporary name ends in.

    Raises
    ------
    RunError
        Where the disk is full or the folder cannot be written.
    """
    part = Path(f"{path}{suffix}")
    try:
        yield part
        replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise disk_error(path, error) from error
        raise


@contextlib.contextmanager
def kept(path):
    """Say of any damage that comes to light while what a stage has kept is read how the run goes on.

    Parameters
    ----------
    path : Path
        In the folder of the stage.

    Raises
    ------
    RunError
        In place of whatever the damage leads to.
    """
    try:
        yield
    except (EventsnnError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = str(error).removeprefix(f"{path}: ") or type(error).__name__
        raise RunError(f"{path}: damaged ({reason}); remove the folder {path.parent} and go on with --resume") from error


def _member(archive, info, limit, fail):
    """Read one .npy member after comparing the size it declares with the bytes that are there."""
    name = info.filename.removesuffix(".npy")
    if info.file_size > _DEFLATE * info.compress_size + 4096 or info.file_size > limit:
        raise fail(f"array '{name}' claims {info.file_size} bytes out of {info.compress_size}")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise fail(f"array '{name}' has the unknown .npy version {version}")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        if dtype.hasobject:
            raise fail(f"array '{name}' holds Python objects (pickles), which are never loaded; save plain numbers")
        want = math.prod(shape) * dtype.itemsize
        if want > info.file_size:
            raise fail(f"array '{name}' declares shape {shape} ({want} bytes) but holds {info.file_size} bytes")
        data = stream.read(want + 1)
    if len(data) < want:
        raise fail(f"array '{name}' is cut short: {len(data)} of {want} bytes")
    return np.frombuffer(bytearray(data[:want]), dtype).reshape(shape, order="F" if fortran else "C")


def read_npz(path, error, names=None, limit=2**36):
    """Read arrays of a .npz without pickles and without trusting a declared size.

    Parameters
    ----------
    path : str or Path
        The archive.
    error : type
        The EventsnnError to raise, with the path and the remedy in its message.
    names : iterable of str, optional
        The arrays to read; None reads all.
    limit : int
        Most bytes one array may have.

    Returns
    -------
    dict of str to ndarray
        Names that the archive lacks are absent.
    """

    def fail(problem):
        return error(f"{path}: not a usable .npz: {problem}")

    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = infos if names is None else [n for n in names if n in infos]
            return {name: _member(archive, infos[name], limit, fail) for name in wanted}
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except error:
        raise
    except Exception as problem:  # zipfile, zlib and numpy turn damage into a dozen kinds of exception
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise fail(f"{reason} (damaged or truncated; make or copy it again)") from problem
