"""Stage `data`: the samples of an experiment, from a known data set or a user's own .npz."""

import hashlib
from dataclasses import dataclass

import numpy as np

from eventsnn.errors import DataError


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples with labels.

    Attributes
    ----------
    x : ndarray, shape (n, y, x, channel) or (n, m), or None
        Values; bytes are divided by 255; cut and standardised as the scenario says.
    recordings : EventDataset or None
        Recordings of an event camera instead of values.
    labels : ndarray of int, shape (n,)
    ids : ndarray of int, shape (n,)
        Number of each sample in its split: random codes are keyed by it.
    classes : tuple of str
        Names of the classes.
    name : str
        For messages and reports.
    sha256 : str
        Of the content of the split and the numbers of the samples.
    """

    x: np.ndarray | None
    recordings: object
    labels: np.ndarray
    ids: np.ndarray
    classes: tuple
    name: str
    sha256: str

    def __len__(self):
        return len(self.ids)

    def check_labels(self, network):
        """Refuse labels that the readout of a network can never answer: they would count as mistakes."""
        readout, most = network.readout, int(self.labels.max())
        outputs = most + 1 if readout is None else network.nodes[readout.population].size
        if most >= outputs:
            raise DataError(f"{self.name}: has the label {most}, but '{readout.population}' decides between {outputs} classes")


def load_samples(loaded, spec):
    """Read the samples that a DataSpec names.

    Parameters
    ----------
    loaded : LoadedScenario
        For relative paths.
    spec : DataSpec
        Name or file, split, start, limit.

    Returns
    -------
    Samples

    Raises
    ------
    DataError
        If the data set is missing or damaged, has fewer samples than asked for, or no images to cut or standardise.
    """
    from eventsnn.files.datasets import load

    own = spec.file is not None
    stop = None if spec.limit is None else spec.start + spec.limit
    found = load(str(loaded.file(spec.file)) if own else spec.name, spec.split, limit=stop)
    name, total = spec.file if own else spec.name, len(found)
    if spec.start >= total or (stop or 0) > total:
        part = f"{total} samples in its {spec.split} part"
        raise DataError(f"data set {name}: has {part}, asked for {spec.start} to {'the end' if stop is None else stop}")
    stop = total if stop is None else stop
    ids = np.arange(spec.start, stop)
    changed = f" {spec.crop} {spec.standardise}" if spec.crop or spec.standardise else ""
    changed += f" {spec.range}" if spec.range != [0, 1] else ""
    sha256 = hashlib.sha256(f"{found.sha256} {spec.start} {stop}{changed}".encode()).hexdigest()
    recordings = found if hasattr(found, "recordings") else None
    if recordings is not None and changed:
        raise DataError(f"data set {name}: holds recordings; crop, standardise and range are for images")
    x = None if recordings is not None else scale(found.images[spec.start :])
    x = x if spec.crop is None else middle(x, spec.crop, name)
    x = standardised(x) if spec.standardise else x
    low, high = np.float32(spec.range)
    x = x if spec.range == [0, 1] or x is None else low + (high - low) * x
    labels = np.asarray(found.labels[spec.start :], np.int64)
    title = f"{name} {spec.split} {spec.start}..{stop - 1}"
    return Samples(x, recordings, labels, ids, tuple(found.classes), title, sha256)


def scale(images):
    """Return images as networks take them: bytes become float32 in [0, 1], other numbers stay.

    Parameters
    ----------
    images : ndarray

    Returns
    -------
    ndarray
    """
    return images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images


def middle(images, side, name):
    """Return a square from the middle of each image.

    Parameters
    ----------
    images : ndarray, shape (n, y, x, ...)
    side : int
    name : str
        Of the data set, for messages.

    Returns
    -------
    ndarray, shape (n, side, side, ...)

    Raises
    ------
    DataError
        If the samples are no images, or smaller.
    """
    if images.ndim < 3 or min(images.shape[1:3]) < side:
        raise DataError(f"data set {name}: crop {side} needs images of at least {side} x {side}, got shape {images.shape[1:]}")
    y, x = ((size - side) // 2 for size in images.shape[1:3])
    return images[:, y : y + side, x : x + side]


def standardised(images):
    """Return each image less its mean, divided by its standard deviation.

    Parameters
    ----------
    images : ndarray, shape (n, ...)

    Returns
    -------
    ndarray of float32
        Same shape.

    Notes
    -----
    (x - mean) / max(deviation, 1 / (255 sqrt(N))), N the number of values of an image: the published rule, there for values up
    to 255 (all-integer-snn 3.3). Mean and deviation are computed in float64.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    deviation = np.maximum(flat.std(axis=1, keepdims=True), 1 / (255 * np.sqrt(flat.shape[1])))
    return ((flat - flat.mean(axis=1, keepdims=True)) / deviation).astype(np.float32).reshape(images.shape)
