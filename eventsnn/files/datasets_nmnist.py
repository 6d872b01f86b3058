"""N-MNIST on the disk: the authors' zip files or their folders, recordings read when asked for."""

import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eventsnn.errors import DataError, RasterError
from eventsnn.files import events

_MEMBER = re.compile(r"(?:.*/)?(Train|Test)/([0-9])/([0-9]{1,6})\.bin")
# the longest recording of the set has some 10,000 events; 2**23 bytes are far beyond
_LONGEST = 1 << 23


@dataclass(frozen=True, eq=False)
class EventDataset:
    """Event-camera recordings with labels, in the order of their numbers.

    Attributes
    ----------
    labels, numbers : array (n,)
        Digit, and number of the MNIST sample (from 1).
    classes : tuple of str
        Name of each label.
    name, split : str
        What was asked for.
    shape : tuple
        (34, 34, 2): y, x, polarity.
    sha256 : str
        Over number, label, size and CRC-32 of the recordings, for provenance (a folder has no CRC: sizes alone).
    where : Path
        The zip file or the folder.
    members : tuple of str
        Path of each recording in it.
    """

    labels: np.ndarray
    numbers: np.ndarray
    classes: tuple
    name: str
    split: str
    shape: tuple
    sha256: str
    where: Path
    members: tuple

    def __len__(self):
        return len(self.members)

    def limited(self, limit):
        """Return the first `limit` recordings (None: all)."""
        if limit is None or limit >= len(self):
            return self
        sha = hashlib.sha256(f"{self.sha256} first {limit}".encode()).hexdigest()
        parts = {"labels": self.labels[:limit], "numbers": self.numbers[:limit], "members": self.members[:limit]}
        return replace(self, sha256=sha, **parts)

    def recordings(self, indices=None):
        """Yield the event arrays (x, y, t in microseconds, p) of the given recordings; None is all."""
        indices = range(len(self)) if indices is None else [self._index(k) for k in indices]
        if self.where.is_dir():
            for k in indices:
                yield self._decoded(k, lambda name: (self.where / name).read_bytes())
            return
        with _zip(self.where) as archive:
            for k in indices:
                yield self._decoded(k, archive.read)

    def _index(self, k):
        if not -len(self) <= k < len(self):
            raise DataError(f"data set {self.name}: recording {k} does not exist, there are {len(self)}")
        return int(k) % len(self)

    def _decoded(self, k, read):
        where = f"{self.where}: {self.members[k]}"
        try:
            return events.decode_nmnist(read(self.members[k]), where)
        except RasterError as error:
            raise DataError(str(error)) from None
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise DataError(f"{where}: {error}; damaged, remove it and get it again") from None

    def rasters(self, indices=None, **options):
        """Return the given recordings (None: all) as one raster, a sample each.

        Parameters
        ----------
        indices : iterable of int, optional
            Which recordings.
        **options
            dt_ms, duration_ms, several, crop as in `events.from_events_array`.

        Returns
        -------
        SpikeRaster
            Shape (34, 34, 2).
        """
        return events.from_events_array(list(self.recordings(indices)), self.shape, **options)

    def verified(self):
        """Decode every recording and return the SHA-256 of all their bytes in order."""
        sha = hashlib.sha256()
        for recording in self.recordings():
            sha.update(events.encode_nmnist(recording))
        return sha.hexdigest()


def _zip(path):
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(f"{path}: {error}; damaged or incomplete, remove it and get it again") from None


def find_recordings(entry, root, split):
    """Return the EventDataset of `split` under `root`, or None where it is not there."""
    title = split.capitalize()
    for folder in (root / name for name in entry.folders):
        if (folder / title).is_dir():
            files = {path.relative_to(folder).as_posix(): path for path in (folder / title).glob("*/*.bin")}
            return _dataset(entry, split, folder, {name: (path.stat().st_size, 0) for name, path in files.items()})
        names = (f"{title}.zip", f"{split}.zip", *sorted(path.name for path in folder.glob(f"{split}-*.zip")))
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is not None:
            with _zip(path) as archive:
                members = {i.filename: (i.file_size, i.CRC) for i in archive.infolist() if not i.is_dir()}
            return _dataset(entry, split, path, members)
    return None


def _dataset(entry, split, where, members):
    rows = []
    for name, (size, crc) in members.items():
        match = _MEMBER.fullmatch(name)
        if match is None or match[1] != split.capitalize():
            continue
        if size > _LONGEST:
            raise DataError(f"{where}: {name} declares {size} bytes, no N-MNIST recording is that long; get it again")
        rows.append((int(match[3]), int(match[2]), name, size, crc))
    if not rows:
        raise DataError(f"{where}: holds no {split.capitalize()}/<label>/<number>.bin; is this N-MNIST?")
    rows.sort()
    numbers, labels, names = (tuple(row[k] for row in rows) for k in range(3))
    text = "".join(f"{number} {label} {size} {crc}\n" for number, label, _, size, crc in rows)
    digest = hashlib.sha256(text.encode()).hexdigest()
    labels, numbers = np.array(labels, np.uint8), np.array(numbers, np.int64)
    shape = events.NMNIST_SHAPE
    return EventDataset(labels, numbers, entry.classes, entry.name, split, shape, digest, where, names)
