"""Whether training data fit a network and the settings of its training; importable without PyTorch, so it is known early."""

import numpy as np

from eventsnn.errors import DataError


def check_data(graph, dataset, crop=0):
    """Return (images, labels) as arrays that fit the graph once a square of side `crop` is cut; DataError says what does not."""
    pair = isinstance(dataset, (tuple, list))
    if not pair and not (hasattr(dataset, "images") and hasattr(dataset, "labels")):
        raise DataError(f"training data: must be a pair (images, labels), got {type(dataset).__name__}")
    images, labels = dataset if pair else (dataset.images, dataset.labels)
    images, labels = np.asarray(images), np.asarray(labels)
    if images.dtype != np.uint8:
        images = images.astype(np.float32, copy=False)  # training data are large
        if not np.isfinite(images).all():
            raise DataError("training data: images must be finite, got NaN or infinity")
    shape = images.shape[1:]
    if crop:
        if len(shape) < 2 or min(shape[:2]) < crop:
            raise DataError(f"training data: crop {crop} needs images of at least {crop} x {crop}, got samples of shape {shape}")
        shape = (crop, crop, *shape[2:])
    if int(np.prod(shape)) != int(np.prod(graph.input_shape)):
        cut = f", {shape} after the crop" if crop else ""
        raise DataError(f"training data: samples have shape {images.shape[1:]}{cut}, the network takes {graph.input_shape}")
    classes = int(np.prod(graph.output_shape))
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(f"training data: needs one whole-number label per image, got {labels.dtype} {labels.shape} "
                        f"for {len(images)} images")  # fmt: skip
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(f"training data: labels must lie in [0, {classes}), got {labels.min()} to {labels.max()}")
    return images, labels.astype(np.int64)


def check_held_out(count, n):
    """Check that samples are left to train on beside the validation part.

    Parameters
    ----------
    count : int
        Samples of the validation part.
    n : int
        All samples.

    Raises
    ------
    DataError
        If none is left.
    """
    if count >= n:
        raise DataError(f"training: validation takes {count} of {n} samples, none is left")


def check_augmentation(graph, images, settings):
    """Check that augmentation has images to work on.

    Parameters
    ----------
    graph : LayerGraph
    images : ndarray
        Training data, of `check_data`.
    settings : TrainSettings
        Its `shift`, `flip`, `brightness`, `contrast`, `cutout` and `rotate`.

    Raises
    ------
    DataError
        If data or network are about vectors.
    """
    if (settings.shift or settings.flip) and images.ndim < 3:
        raise DataError(f"training: shift and flip need images (n, y, x[, channel]), got shape {images.shape}")
    if (settings.brightness or settings.contrast or settings.cutout or settings.rotate) and len(graph.input_shape) != 3:
        raise DataError("training: brightness, contrast, cutout and rotate need a network that takes images (y, x, channel), "
                        f"got {graph.input_shape}")  # fmt: skip
