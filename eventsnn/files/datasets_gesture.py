"""DVS128 Gesture on the disk: tonic's preprocessed archives or folders, and the authors' AEDAT 3.1 recordings.

Three forms, the first that is there is taken:

- ``ibmGestureTrain.tar.gz``, ``ibmGestureTest.tar.gz``: one ``.npy`` of rows (x, y, polarity, t in ms) per gesture, named by its
  class, 0 to 10. Read in the order of the archive, one pass.
- the same, unpacked: folders ``ibmGestureTrain``, ``ibmGestureTest``.
- ``DvsGesture``, the authors' archive unpacked: ``<user>.aedat`` with ``<user>_labels.csv`` (class 1 to 11, start and end in
  microseconds, both ends included), and ``trials_to_train.txt``, ``trials_to_test.txt``.

Polarity is 1 for ON. Source: A. Amir et al., CVPR 2017; AEDAT 3.1 by iniVation's published description.
"""

import contextlib
import csv
import hashlib
import io
import re
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eventsnn.errors import DataError
from eventsnn.files.datasets_nmnist import EventDataset
from eventsnn.files.events import CAMERA_DTYPE

SHAPE = (128, 128, 2)
_MEMBER = re.compile(r"(?:.*/)?(user[0-9]{1,3}_[a-z_]+)/([0-9]|10)\.npy")
_LONGEST = 1 << 30  # bytes of one gesture: the longest published one is far below
_HEADER, _POLARITY_EVENTS = 28, 1  # bytes of an AEDAT 3.1 packet header; type of packet that a camera's events come in
_DAMAGED = (OSError, tarfile.TarError, zlib.error, EOFError, KeyError, ValueError)


@dataclass(frozen=True, eq=False)
class GestureDataset(EventDataset):
    """Recordings of hand gestures; `members` are paths, for AEDAT "path start end" with microseconds."""

    def recordings(self, indices=None):
        """Yield the event arrays (x, y, t in microseconds, p) of the given recordings; None is all."""
        indices = range(len(self)) if indices is None else [self._index(k) for k in indices]
        with contextlib.ExitStack() as open_files:
            archive = open_files.enter_context(_tar(self.where)) if self.where.is_file() else None
            held = ("", None)
            for k in indices:
                name, *cut = self.members[k].rsplit(" ", 2)
                if not cut:
                    yield self._npy(k, archive)
                    continue
                if held[0] != name:
                    held = name, read_aedat(self.where / name)
                yield _between(held[1], *map(int, cut))

    def _npy(self, k, archive):
        where = f"{self.where}: {self.members[k]}"
        try:
            data = (self.where / self.members[k]).read_bytes() if archive is None else archive.extractfile(self.members[k]).read()
            rows = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (*_DAMAGED, AttributeError) as error:
            raise DataError(f"{where}: {error}; damaged, remove it and get it again") from None
        if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "uif" or not np.isfinite(rows).all():
            raise DataError(f"{where}: must hold rows (x, y, polarity, t), got {rows.dtype} of shape {rows.shape}")
        events = np.empty(len(rows), CAMERA_DTYPE)
        for name, column, factor in (("x", 0, 1), ("y", 1, 1), ("p", 2, 1), ("t", 3, 1000)):
            events[name] = np.rint(rows[:, column] * factor)
        return _checked(events, where)

    def verified(self):
        """Read every recording and return the SHA-256 of all their events in order."""
        sha = hashlib.sha256()
        for recording in self.recordings():
            for name in ("x", "y", "t", "p"):
                sha.update(np.ascontiguousarray(recording[name]).data)
        return sha.hexdigest()


def _checked(events, where):
    bad = (events["x"] < 0) | (events["x"] >= SHAPE[1]) | (events["y"] < 0) | (events["y"] >= SHAPE[0]) | (events["t"] < 0)
    if bad.any():
        k = int(bad.argmax())
        x, y, t = (events[name][k] for name in "xyt")
        raise DataError(
            f"{where}: event {k} lies at x = {x}, y = {y}, t = {t}, outside of the 128 x 128 sensor; is this DVS Gesture?"
        )
    return events[np.argsort(events["t"], kind="stable")]


def _between(events, start, end):
    inside = (events["t"] >= start) & (events["t"] <= end)
    cut = events[inside].copy()
    cut["t"] -= start
    return cut


def read_aedat(path):
    """Read the events of an AEDAT 3.1 file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    structured array of CAMERA_DTYPE
        Sorted by time, microseconds.

    Raises
    ------
    DataError
        The file cannot be read, ends within a packet, or has events outside of the sensor.

    Notes
    -----
    After lines that begin with '#': packets of a header of 28 bytes, little-endian (type, source: 16 bits; event size, offset of
    the time, overflow, capacity, number, valid: 32 bits), and events of 8 bytes (address, time). x = (a >> 17) & 0x1FFF,
    y = (a >> 2) & 0x1FFF, polarity = (a >> 1) & 1, valid = a & 1; overflow counts 2^31 microseconds.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    at = 0
    while data[at : at + 1] == b"#":
        at = data.find(b"\n", at) + 1 or len(data)
    packets = []
    while at < len(data):
        if at + _HEADER > len(data):
            raise DataError(f"{path}: ends within the header of a packet at byte {at}; copy it again")
        kind = int(np.frombuffer(data, "<u2", 1, at)[0])
        size, _, overflow, _, count, _ = (int(n) for n in np.frombuffer(data, "<u4", 6, at + 4))
        at += _HEADER
        if at + size * count > len(data) or (kind == _POLARITY_EVENTS and size != 8):
            raise DataError(
                f"{path}: a packet of {count} events of {size} bytes at byte {at} does not fit the file; copy it again"
            )
        if kind == _POLARITY_EVENTS:
            packets.append(_packet(np.frombuffer(data, "<u4", 2 * count, at).reshape(-1, 2).astype(np.int64), overflow))
        at += size * count
    return _checked(np.concatenate(packets) if packets else np.empty(0, CAMERA_DTYPE), str(path))


def _packet(words, overflow):
    words = words[words[:, 0] & 1 == 1]
    events = np.empty(len(words), CAMERA_DTYPE)
    address = words[:, 0]
    events["x"], events["y"], events["p"] = (address >> 17) & 0x1FFF, (address >> 2) & 0x1FFF, (address >> 1) & 1
    events["t"] = words[:, 1] + (overflow << 31)
    return events


def _tar(path):
    try:
        return tarfile.open(path)
    except _DAMAGED as error:
        raise DataError(f"{path}: {error}; damaged or incomplete, remove it and get it again") from None


def find_gestures(entry, root, split):
    """Return the GestureDataset of `split` under `root`, or None where it is not there."""
    title = f"ibmGesture{split.capitalize()}"
    for folder in (root / name for name in entry.folders):
        if (folder / f"{title}.tar.gz").is_file():
            return _from_npy(entry, split, folder / f"{title}.tar.gz", _tar_members(folder / f"{title}.tar.gz"))
        if (folder / title).is_dir():
            files = sorted((folder / title).glob("*/*.npy"))
            return _from_npy(entry, split, folder, [(p.relative_to(folder).as_posix(), p.stat().st_size) for p in files])
        for original in (folder / "DvsGesture", folder):
            if (original / f"trials_to_{split}.txt").is_file():
                return _from_aedat(entry, split, original)
    return None


def _tar_members(path):
    with _tar(path) as archive:
        try:
            return [(m.name, m.size) for m in archive if m.isfile()]
        except _DAMAGED as error:
            raise DataError(f"{path}: {error}; damaged or incomplete, remove it and get it again") from None


def _from_npy(entry, split, where, members):
    found = [(match, size) for name, size in members if (match := _MEMBER.fullmatch(name))]
    if not found:
        raise DataError(f"{where}: holds no <user>/<class>.npy; is this DVS Gesture as tonic publishes it?")
    for match, size in found:
        if size > _LONGEST:
            raise DataError(f"{where}: {match[0]} has {size} bytes, no gesture is that long; get it again")
    labels, names = [int(match[2]) for match, _ in found], [match[0] for match, _ in found]
    return _dataset(entry, split, where, labels, names, "".join(f"{m[0]} {size}\n" for m, size in found))


def _from_aedat(entry, split, folder):
    labels, names, text = [], [], ""
    for trial in (folder / f"trials_to_{split}.txt").read_text("utf-8", "replace").split():
        if not re.fullmatch(r"user[0-9]{1,3}_[a-z_]+\.aedat", trial) or not (folder / trial).is_file():
            raise DataError(f"{folder}: trials_to_{split}.txt names {trial!r}, which is not here; unpack DvsGesture.tar.gz again")
        for label, start, end in _read_labels(folder / f"{trial.removesuffix('.aedat')}_labels.csv"):
            labels.append(label)
            names.append(f"{trial} {start} {end}")
        text += f"{trial} {(folder / trial).stat().st_size}\n"
    return _dataset(entry, split, folder, labels, names, text + "\n".join(names))


def _read_labels(path):
    try:
        rows = [tuple(int(v) for v in row) for row in list(csv.reader(path.read_text("utf-8").splitlines()))[1:] if row]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; it must hold rows class, start, end in microseconds") from None
    for row in rows:
        if len(row) != 3 or not 1 <= row[0] <= 11 or not 0 <= row[1] <= row[2]:
            raise DataError(f"{path}: a row must be class 1 to 11, start, end in microseconds, got {row}")
    return [(label - 1, start, end) for label, start, end in rows]


def _dataset(entry, split, where, labels, names, text):
    digest = hashlib.sha256(text.encode()).hexdigest()
    labels, numbers = np.array(labels, np.uint8), np.arange(len(names))
    return GestureDataset(labels, numbers, entry.classes, entry.name, split, SHAPE, digest, where, tuple(names))
