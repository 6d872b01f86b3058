"""HDF5 files of strangers: links are not followed, declared sizes not believed, damage is one clear error."""

import contextlib
import io
import os

import h5py
import numpy as np

from eventsnn.errors import EventsnnError

# deflate shrinks by at most 1032: more rows than that cannot be in the file, whatever it declares
_DEFLATE = 1032
_SLACK = 1 << 20


class Source:
    """An open file, its path for messages, and how many bytes its data sets may still claim."""

    def __init__(self, h5, path, error):
        self.h5, self.path, self.error = h5, path, error
        self.file_bytes = os.path.getsize(path)
        self.budget = _DEFLATE * self.file_bytes + _SLACK

    def fail(self, where, problem):
        return self.error(f"{self.path}: {where}: {problem}")

    def child(self, group, name, kind):
        """Return the member `name`, following hard links only, or None where there is none."""
        where, key = f"{group.name.rstrip('/')}/{name}", name.encode("utf-8", "surrogateescape")
        if not group.id.links.exists(key):
            return None
        if group.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
            raise self.fail(where, "is a soft or external link, which is never followed; copy the data into the file")
        member = group[name]
        if not isinstance(member, kind):
            raise self.fail(where, f"must be a {kind.__name__.lower()}, got a {type(member).__name__.lower()}")
        return member

    def group(self, group, name):
        """Return the group `name`, which must exist."""
        member = self.child(group, name, h5py.Group)
        if member is None:
            raise self.fail(group.name, f"lacks the group '{name}'; is this a SONATA spike file?")
        return member

    def column(self, group, name, kinds, rows=None, rank=1):
        """Read `rows` rows (None: all) of a data set after checking all it declares; None where it is absent."""
        data = self.child(group, name, h5py.Dataset)
        if data is None:
            return None
        if data.is_virtual or data.external:
            raise self.fail(data.name, "takes its data from other files, which is never followed; copy it here")
        if data.dtype.kind not in kinds or data.dtype.hasobject or data.dtype.itemsize > 8:
            raise self.fail(data.name, f"must be plain numbers of kind {'/'.join(kinds)}, got dtype {data.dtype}")
        if len(data.shape or ()) != rank:
            raise self.fail(data.name, f"must have {rank} dimension(s), got shape {data.shape}")
        rows = data.shape[0] if rows is None else rows
        if rows > data.shape[0]:
            raise self.fail(data.name, f"has {data.shape[0]} rows, {rows} are needed; the file is damaged")
        width = data.dtype.itemsize * int(np.prod(data.shape[1:], dtype=np.float64))
        stored = min(data.id.get_storage_size(), self.file_bytes)
        chunk = data.dtype.itemsize * int(np.prod(data.chunks or (0,), dtype=np.float64))
        self.budget -= rows * width
        if rows * width > _DEFLATE * stored or self.budget < 0 or chunk > _DEFLATE * self.file_bytes + _SLACK:
            raise self.fail(data.name, f"declares {rows} rows, more than its {stored} stored bytes can hold; refused")
        return data[:rows]

    def attribute(self, obj, name, default=None):
        """Return a small attribute as a Python value (enum members as their names); objects are refused."""
        if name not in obj.attrs:
            return default
        where, attr = f"{obj.name}@{name}", obj.attrs.get_id(name)
        text = h5py.check_string_dtype(attr.dtype)
        if attr.dtype.kind not in "iufbS" and text is None:
            raise self.fail(where, f"must be a number or a text, got dtype {attr.dtype}")
        if int(np.prod(attr.shape or (), dtype=np.float64)) * attr.dtype.itemsize > 1 << 16:
            raise self.fail(where, f"is too large for an attribute: shape {attr.shape}")
        value, members = obj.attrs[name], h5py.check_enum_dtype(attr.dtype)
        if members is not None and np.ndim(value) == 0:
            return {code: member for member, code in members.items()}.get(int(value), f"unknown code {value}")
        if isinstance(value, h5py.Empty):
            return default
        value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        return value.decode("utf-8") if isinstance(value, bytes) else value


@contextlib.contextmanager
def opened(path, error):
    """Open `path`; whatever HDF5 throws at damage becomes one `error` with the remedy."""
    if not os.path.isfile(path):
        raise error(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as h5:
            yield Source(h5, path, error)
    except EventsnnError:
        raise
    except BlockingIOError:
        raise error(f"{path}: is being written by another process; read it when that has ended") from None
    except Exception as problem:  # h5py turns damage into a dozen kinds of exception
        raise error(f"{path}: cannot be read as HDF5: {_reason(problem)}; make or copy it again") from problem


def _reason(problem):
    """What is wrong with a file, in the words of people, as far as HDF5 says it."""
    text = str(problem).partition("\n")[0] or type(problem).__name__
    known = {"file signature not found": "it is no HDF5 file", "truncated file": "it is cut short"}
    return next((words for mark, words in known.items() if mark in text), f"it is damaged ({text})")


class SteadyFile(io.RawIOBase):
    """A file to write HDF5 into; a full disk is remembered, and `check` raises it.

    HDF5 cannot recover from a failed write: it fails again when it is closed, from destructors and with messages of its
    own. Here it goes on writing into the void until somebody looks.
    """

    def __init__(self, path, mode):
        self._file, self.error = io.FileIO(path, mode.replace("b", "")), None

    def write(self, data):
        """Write all of `data` unless an earlier write failed; say that it was written."""
        view = memoryview(data).cast("B")
        with contextlib.suppress(OSError):
            self._try(self._write_all, view)
        return len(view)

    def _write_all(self, view):
        while len(view):
            view = view[self._file.write(view) :]

    def _try(self, call, *arguments):
        if self.error is None:
            try:
                return call(*arguments)
            except OSError as error:
                self.error = error
                raise

    def readinto(self, buffer):
        """Read, with zeros where a write was lost."""
        view = memoryview(buffer).cast("B")
        count = self._file.readinto(view) or 0
        if self.error is not None:
            view[count:] = bytes(len(view) - count)
        return count if self.error is None else len(view)

    def seek(self, offset, whence=os.SEEK_SET):
        """As for any file."""
        return self._file.seek(offset, whence)

    def tell(self):
        """As for any file."""
        return self._file.tell()

    def truncate(self, size=None):
        """Set the length; a failure is remembered."""
        with contextlib.suppress(OSError):
            self._try(self._file.truncate, size)
        return size

    def flush(self):
        """Nothing is buffered here."""

    def readable(self):
        """Always."""
        return True

    writable = seekable = readable

    def close(self):
        """Close the file below."""
        self._file.close()
        super().close()

    def check(self):
        """Raise the first OSError that writing met."""
        if self.error is not None:
            raise self.error


@contextlib.contextmanager
def new_file(path, libver):
    """Open a new HDF5 file for writing; raises the OSError of the disk itself where that is full."""
    with SteadyFile(path, "w+b") as file:
        try:
            with h5py.File(file, "w", libver=libver) as h5:
                yield h5
        finally:
            file.check()
