"""Readers of the files in which image data sets come: IDX, CIFAR's binary version, lossless image sheets, .npz."""

import gzip
import hashlib
import math
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eventsnn.disk import read_npz
from eventsnn.errors import DataError

_DAMAGED = "damaged or incomplete; remove it and get it again"
_IDX_STEMS = {"train": "train", "test": "t10k"}
_LARGEST = 1 << 29
_SHEET = 100  # images per row and per column of a sheet
_SIDE = 32
_PIXELS = _SIDE * _SIDE * 3
# name -> (label bytes before the pixels, files per split, folder inside the archive, archive, file with the classes)
_BINARY = {
    "cifar10": (
        1,
        {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]},
        "cifar-10-batches-bin",
        "cifar-10-binary.tar.gz",
        "batches.meta.txt",
    ),
    "cifar100": (
        2,
        {"train": ["train.bin"], "test": ["test.bin"]},
        "cifar-100-binary",
        "cifar-100-binary.tar.gz",
        "fine_label_names.txt",
    ),
}
_SHEETS = {"cifar10": 5, "cifar100": 2}


@dataclass(frozen=True)
class Form:
    """A split found on the disk: the name of its format, where it lies, and its parts, read one by one.

    Each part is a function without arguments that returns (images uint8 NHWC, labels uint8).
    """

    name: str
    where: Path
    parts: list
    classes: Callable = tuple


def find(entry, root, split):
    """Return the Form in which `split` of a data set lies under `root`, or None where it does not."""
    finders = {"idx": [_find_idx], "cifar": [_find_binary, _find_sheets]}[entry.kind]
    folders = [root / folder for folder in entry.folders] + ([root] if entry.kind == "cifar" else [])
    for finder in finders:
        for folder in folders:
            form = finder(entry, folder, split)
            if form is not None:
                return form
    return None


def pickles(entry, root):
    """Return the path of a pickled version of the data set if that is what lies there, else None."""
    if entry.kind != "cifar":
        return None
    number = entry.name.removeprefix("cifar")
    names = (f"cifar-{number}-python.tar.gz", f"cifar-{number}-batches-py", f"cifar-{number}-python")
    folders = [root, *(root / folder for folder in entry.folders)]
    return next((f / n for f in folders for n in names if (f / n).exists()), None)


def digest(*arrays):
    """SHA-256 over the bytes of arrays in C order."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array))
    return sha.hexdigest()


def check(entry, form, split, k, images, labels):
    """Compare a part with what was published, by content; raise DataError where it differs."""
    key = (form.name, split)
    wanted = entry.parts.get(key)
    good = len(images) == len(labels) and (wanted is None or (digest(images), digest(labels)) == tuple(wanted[k]))
    if key in entry.unordered and good:
        pairs = (hashlib.sha256(bytes([y]) + x.tobytes()).digest() for x, y in zip(images, labels.tolist()))
        good = hashlib.sha256(b"".join(sorted(pairs))).hexdigest() == entry.unordered[key]
    if key in entry.counts and good:
        good = (np.bincount(labels, minlength=2) == entry.counts[key]).all()
    if not good:
        raise DataError(
            f"data set {entry.name}: part {k + 1} of the {split} split in {form.where} is not the published content "
            f"(sha256 of the images {digest(images)}); remove it and run `eventsnn data get {entry.name}`"
        )


def _find_idx(entry, folder, split):
    stem, found = _IDX_STEMS[split], []
    for what in ("images-idx3", "labels-idx1"):
        base = f"{stem}-{what}-ubyte"
        names = (base, base.replace("-idx", ".idx"), base + ".gz", base.replace("-idx", ".idx") + ".gz")
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            return None
        found.append(path)
    return Form("idx", folder, [lambda: (_read_idx(found[0], 3)[..., None], _read_idx(found[1], 1))])


def _read_idx(path, rank):
    """Read an IDX file of unsigned bytes (magic 0x0800 + rank, then the sizes, all big-endian)."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            data = stream.read(_LARGEST)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: {error}; {_DAMAGED}") from None
    header = np.frombuffer(data[: 4 + 4 * rank], ">u4") if len(data) >= 4 + 4 * rank else np.zeros(1)
    if header[0] != 0x0800 + rank:
        raise DataError(f"{path}: is no IDX file of {rank} dimension(s); {_DAMAGED}")
    shape = tuple(int(n) for n in header[1:])
    if math.prod(shape) != len(data) - 4 - 4 * rank:
        raise DataError(f"{path}: declares {shape} but holds {len(data) - 4 - 4 * rank} bytes; {_DAMAGED}")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _find_binary(entry, folder, split):
    skip, files, inner, archive, names = _BINARY[entry.name]
    for place in (folder, folder / inner):
        paths = [place / name for name in files[split]]
        if all(path.is_file() for path in paths):
            parts = [lambda path=path: _records(_file_bytes(path), path, skip) for path in paths]
            return Form("binary", place, parts, lambda path=place / names: _lines(_file_bytes(path), path))
    tar = folder / archive
    if not tar.is_file():
        return None
    parts = [lambda name=name: _records(_tar_bytes(tar, f"{inner}/{name}"), tar / name, skip) for name in files[split]]
    return Form("binary", tar, parts, lambda: _lines(_tar_bytes(tar, f"{inner}/{names}"), tar / names))


def _file_bytes(path):
    try:
        with open(path, "rb") as stream:
            return stream.read(_LARGEST)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; {_DAMAGED}") from None


def _tar_bytes(tar, member):
    """Read one member of an archive without unpacking anything to the disk."""
    try:
        with tarfile.open(tar, "r:*") as archive:
            for info in archive:
                if info.name.removeprefix("./") == member and info.isfile() and info.size < _LARGEST:
                    return archive.extractfile(info).read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{tar}: {error}; {_DAMAGED}") from None
    raise DataError(f"{tar}: lacks {member}; {_DAMAGED}")


def _records(data, path, skip):
    """Split CIFAR's binary records: label byte(s), the last being the (fine) label, then 3 x 32 x 32 pixels."""
    length = skip + _PIXELS
    if not data or len(data) % length:
        raise DataError(f"{path}: {len(data)} bytes are no multiple of {length}; {_DAMAGED}")
    records = np.frombuffer(data, np.uint8).reshape(-1, length)
    images = records[:, skip:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, skip - 1].copy()


def _lines(data, path):
    try:
        return tuple(line for line in data.decode("ascii").split("\n") if line)
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no list of class names; {_DAMAGED}") from None


def _find_sheets(entry, folder, split):
    names = [f"train_{k}.webp" for k in range(1, _SHEETS[entry.name] + 1)] if split == "train" else ["test.webp"]
    paths, labels = [folder / name for name in names], folder / "labels.npz"
    if not all(path.is_file() for path in [*paths, labels]):
        return None

    def part(k):
        images, every = _sheet(paths[k]), _npz_column(labels, f"{split}_labels")
        return images, every[k * len(images) : (k + 1) * len(images)]

    def classes():
        return tuple(name.decode("ascii") for name in _npz_column(labels, "class_names").tolist())

    return Form("sheets", folder, [lambda k=k: part(k) for k in range(len(paths))], classes)


def _npz_column(path, name):
    arrays = read_npz(path, DataError, [name])
    if name not in arrays:
        raise DataError(f"{path}: lacks the array '{name}'; {_DAMAGED}")
    return arrays[name]


def _sheet(path):
    """Decode a lossless sheet of 100 x 100 images of 32 x 32 pixels, row by row."""
    from PIL import Image

    side = _SHEET * _SIDE
    try:
        with Image.open(path, formats=("WEBP", "PNG")) as image:
            if image.size != (side, side) or image.mode != "RGB":
                raise DataError(f"{path}: must be RGB, {side} x {side}, got {image.mode}, {image.size}; {_DAMAGED}")
            sheet = np.asarray(image)
    except DataError:
        raise
    except Exception as error:  # Pillow turns damage into many kinds of exception
        raise DataError(f"{path}: {error}; {_DAMAGED}") from None
    return sheet.reshape(_SHEET, _SIDE, _SHEET, _SIDE, 3).swapaxes(1, 2).reshape(-1, _SIDE, _SIDE, 3)
