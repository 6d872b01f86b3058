"""Training data as batches: checks, scaling, augmentation."""

import numpy as np

from eventsnn.ann.torch_net import torch
from eventsnn.errors import DataError


def check_data(graph, dataset):
    """Return (images, labels) as arrays that fit the graph; DataError says what does not."""
    pair = isinstance(dataset, (tuple, list))
    if not pair and not (hasattr(dataset, "images") and hasattr(dataset, "labels")):
        raise DataError(f"training data: must be a pair (images, labels), got {type(dataset).__name__}")
    images, labels = dataset if pair else (dataset.images, dataset.labels)
    images, labels = np.asarray(images), np.asarray(labels)
    if images.dtype != np.uint8:
        images = images.astype(np.float32)
        if not np.isfinite(images).all():
            raise DataError("training data: images must be finite, got NaN or infinity")
    if int(np.prod(images.shape[1:])) != int(np.prod(graph.input_shape)):
        raise DataError(f"training data: samples have shape {images.shape[1:]}, the network takes {graph.input_shape}")
    classes = int(np.prod(graph.output_shape))
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(f"training data: needs one whole-number label per image, got {labels.dtype} {labels.shape} "
                        f"for {len(images)} images")  # fmt: skip
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(f"training data: labels must lie in [0, {classes}), got {labels.min()} to {labels.max()}")
    return images, labels.astype(np.int64)


def scaled(batch, shape):
    """Return a batch as float32 in the network's input shape; bytes become [0, 1]."""
    batch = batch.to(torch.float32) / 255 if batch.dtype == torch.uint8 else batch
    return batch.reshape(len(batch), *shape)


def augment(batch, draws, shift, flip):
    """Shift and mirror images.

    Parameters
    ----------
    batch : torch.Tensor, shape (n, y, x, ...)
        Images.
    draws : torch.Tensor, shape (3, n)
        Uniform numbers in [0, 1): vertical shift, horizontal shift, flip.
    shift : int
        Greatest shift in pixels; what comes in from outside is 0.
    flip : bool
        Whether half of the images are mirrored left to right.

    Returns
    -------
    torch.Tensor
        Same shape.
    """
    if not shift and not flip:
        return batch
    n, height, width = batch.shape[:3]
    y = torch.arange(height, device=batch.device).expand(n, height)
    x = torch.arange(width, device=batch.device).expand(n, width)
    if flip:
        x = torch.where(draws[2, :, None] < 0.5, width - 1 - x, x)
    if shift:
        padding = (0, 0) * (batch.ndim - 3) + (shift, shift, shift, shift)
        batch = torch.nn.functional.pad(batch, padding)
        offsets = (draws[:2] * (2 * shift + 1)).long()
        y, x = y + offsets[0, :, None], x + offsets[1, :, None]
    return batch[torch.arange(n, device=batch.device)[:, None, None], y[:, :, None], x[:, None, :]]
