"""Image and event data sets: found on the disk in several forms, checked by their content.

Notes
-----
The folder looked in is `root`, else the environment variable EVENTSNN_DATA, else `eventsnn/data` in the user's cache.
"""

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from eventsnn.disk import read_npz
from eventsnn.errors import DataError, did_you_mean
from eventsnn.files import datasets_formats as formats
from eventsnn.files.datasets_gesture import find_gestures
from eventsnn.files.datasets_get import download
from eventsnn.files.datasets_nmnist import EventDataset, find_recordings
from eventsnn.files.datasets_own import read_own
from eventsnn.files.datasets_registry import REGISTRY

__all__ = ["Dataset", "EventDataset", "available", "data_root", "get", "load", "verify"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels.

    Attributes
    ----------
    images : array (n, y, x, channel)
        uint8, 0 to 255; a user's own .npz may hold floats, as the network takes them, and vectors (n, features).
    labels : array (n,)
        uint8, or the integers of a user's own file.
    classes : tuple of str
        Name of each label.
    name, split : str
        What was asked for.
    sha256 : str
        Over the bytes of images and labels here, for provenance.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple
    name: str
    split: str
    sha256: str

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        return (f"Dataset({self.name!r}, {self.split}: {len(self)} of shape {self.images.shape[1:]}, {self.images.dtype}; "
                f"{len(self.classes)} classes)")  # fmt: skip


def data_root(root=None):
    """Return the folder of the data sets: `root`, else EVENTSNN_DATA, else the user's cache folder."""
    if root is None:
        root = os.environ.get("EVENTSNN_DATA")
    if root:
        return Path(root).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "eventsnn" / "data"


INSIDE = ("shipped", "generated")  # need no files
FINDERS = {"nmnist": find_recordings, "gesture": find_gestures}
"""Data sets of recordings: how each is found."""


def load(name, split="test", *, limit=None, root=None):
    """Load a data set.

    Parameters
    ----------
    name : str
        digits, yinyang (inside the package), mnist, fashion-mnist, cifar10, cifar100, nmnist, dvs-gesture, or the path of a .npz
        with arrays x, y (any split) or x_train, y_train, x_test, y_test.
    split : {'train', 'test'}
        Which part.
    limit : int, optional
        At most so many samples, from the start.
    root : str or Path, optional
        Folder of the data sets; see the module.

    Returns
    -------
    Dataset or EventDataset
        EventDataset (rasters read when asked for) for nmnist and dvs-gesture.

    Raises
    ------
    DataError
        Unknown name, data set not there (says which files are wanted), or content that is not the published one.
    """
    _check_request(name, split, limit)
    if str(name).endswith(".npz"):
        images, labels = read_own(Path(name).expanduser(), split)
        classes = tuple(str(k) for k in range(int(labels.max()) + 1 if labels.size else 0))
        return _dataset(str(name), split, images[:limit], labels[:limit], classes)
    entry = _entry(name)
    if split not in entry.splits:
        raise DataError(f"data set {name}: has no split {split!r}; it has {', '.join(entry.splits)}")
    if entry.kind == "shipped":
        return _shipped(entry, limit)
    if entry.kind == "generated":
        return _generated(entry, split, limit)
    root = data_root(root)
    found = _find(entry, root, split)
    if found is None:
        raise _missing(entry, root, split)
    return found.limited(limit) if entry.kind in FINDERS else _read(entry, found, split, limit)


def _check_request(name, split, limit):
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise DataError(f"data set {name}: limit must be a whole number >= 1, got {limit!r}")
    if split not in ("train", "test"):
        raise DataError(f"data set {name}: split must be 'train' or 'test', got {split!r}")


def _entry(name):
    if name not in REGISTRY:
        near = did_you_mean(name, REGISTRY)
        raise DataError(f"unknown data set {name!r}{near}; known: {', '.join(REGISTRY)}, or a .npz of your own")
    return REGISTRY[name]


def _find(entry, root, split):
    return FINDERS.get(entry.kind, formats.find)(entry, root, split)


def _missing(entry, root, split):
    folder = " or ".join(str(root / name) for name in entry.folders[:2])
    remedy = f"`eventsnn data get {entry.name}` fetches it, or set EVENTSNN_DATA to the folder that holds it"
    pickle = formats.pickles(entry, root)
    if pickle is not None:
        return DataError(
            f"data set {entry.name}: {pickle} holds Python pickles, which are never loaded (they can run code); "
            f"use the binary version: {remedy}"
        )
    return DataError(f"data set {entry.name}: no {split} split in {folder}; wanted: {entry.wanted}; {remedy}")


def _dataset(name, split, images, labels, classes):
    if labels.size and int(labels.max()) >= len(classes):
        raise DataError(f"data set {name}: label {labels.max()} is out of range, there are {len(classes)} classes")
    return Dataset(images, labels, classes, name, split, formats.digest(images, labels))


def _shipped(entry, limit):
    with resources.as_file(resources.files("eventsnn") / "shipped" / "digits.npz") as path:
        arrays = read_npz(path, DataError, ["images", "labels"])
    if len(arrays) != 2:
        raise DataError(f"data set {entry.name}: the package's digits.npz is damaged; install eventsnn again")
    return _dataset(entry.name, "test", arrays["images"][:limit, ..., None], arrays["labels"][:limit], entry.classes)


def _generated(entry, split, limit):
    from eventsnn.files.datasets_yinyang import points

    values, labels = points(split)
    return _dataset(entry.name, split, values[:limit], labels[:limit], entry.classes)


def _read(entry, form, split, limit):
    """Read and check the parts of a form until there are `limit` samples."""
    images, labels = [], []
    for k, part in enumerate(form.parts):
        x, y = part()
        formats.check(entry, form, split, k, x, y)
        images.append(x)
        labels.append(y)
        if limit is not None and sum(map(len, labels)) >= limit:
            break
    images = images[0] if len(images) == 1 else np.concatenate(images)
    labels = labels[0] if len(labels) == 1 else np.concatenate(labels)
    return _dataset(entry.name, split, images[:limit], labels[:limit], entry.classes or form.classes())


def available(root=None):
    """Say which data sets are there, without reading them.

    Returns
    -------
    dict
        Name -> {split: the folder or file it would be read from, or None}.
    """
    root, found = data_root(root), {}
    for entry in REGISTRY.values():
        if entry.kind in INSIDE:
            found[entry.name] = dict.fromkeys(entry.splits, "inside the package")
            continue
        forms = {split: _find(entry, root, split) for split in entry.splits}
        found[entry.name] = {split: form and str(form.where) for split, form in forms.items()}
    return found


def verify(name, root=None):
    """Read all of a data set that is there and check its content.

    Returns
    -------
    dict
        Split -> sha256 of its decoded content; only splits that are there.

    Raises
    ------
    DataError
        The data set is not there at all, or damaged.
    """
    entry, root, digests = _entry(name), data_root(root), {}
    for split in entry.splits:
        if entry.kind in INSIDE or _find(entry, root, split) is not None:
            data = load(name, split, root=root)
            digests[split] = data.verified() if entry.kind in FINDERS else data.sha256
    if not digests:
        raise _missing(entry, root, "train or test")
    return digests


def get(name, root=None, *, progress=None):
    """Download a data set's canonical files (resumed where they were left, checked) and verify them.

    Parameters
    ----------
    name : str
        As in `load`.
    root : str or Path, optional
        As in `load`.
    progress : callable, optional
        Called as progress(file, bytes so far, bytes in all or None).

    Returns
    -------
    Path
        The folder with the files.

    Raises
    ------
    DataError
        No mirror answers, or what came is not the published file.
    RunError
        The disk is full.
    """
    entry = _entry(name)
    if not entry.downloads:
        raise DataError(f"data set {name}: needs no download, it is inside the package")
    folder = data_root(root) / entry.folders[0]
    for item in entry.downloads:
        download(item, folder, progress)
    return folder
