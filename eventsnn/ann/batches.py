"""Training data as batches: scaling, augmentation."""

from eventsnn.ann.torch_net import torch
from eventsnn.errors import DataError

DRAWS = 8  # uniform numbers per image and epoch


def prepared(batch, shape, settings, draws=None):
    """Return a batch as the network takes it: cut, augmented, in [0, 1], standardised.

    Parameters
    ----------
    batch : torch.Tensor, shape (n, ...)
        Samples; bytes become [0, 1].
    shape : tuple of int
        Input shape of the network.
    settings : TrainSettings
        Its `shift`, `flip`, `crop`, `rotate`, `brightness`, `contrast`, `cutout` and `standardise`.
    draws : torch.Tensor, shape (DRAWS, n), optional
        Uniform numbers in [0, 1): vertical and horizontal place, flip, brightness, contrast, angle, vertical and horizontal
        place of the square that is hidden. None: evaluation, which crops the middle and augments nothing.

    Returns
    -------
    torch.Tensor, shape (n, *shape)
        float32.
    """
    if draws is not None:
        batch = augment(batch, draws, settings.shift, settings.flip, settings.crop)
    elif settings.crop:
        y, x = ((size - settings.crop) // 2 for size in batch.shape[1:3])
        batch = batch[:, y : y + settings.crop, x : x + settings.crop]
    batch = batch.to(torch.float32) / 255 if batch.dtype == torch.uint8 else batch
    batch = batch.reshape(len(batch), *shape)
    if draws is not None:
        batch = turned(batch, draws[5], settings.rotate) if settings.rotate else batch
        batch = recolour(batch, draws, settings.brightness, settings.contrast)
        batch = hidden(batch, draws[6:], settings.cutout) if settings.cutout else batch
    return standardised(batch) if settings.standardise else batch


def augment(batch, draws, shift, flip, crop=0):
    """Shift, cut and mirror images.

    Parameters
    ----------
    batch : torch.Tensor, shape (n, y, x, ...)
        Images.
    draws : torch.Tensor, shape (3 or more, n)
        Uniform numbers in [0, 1): vertical place, horizontal place, flip.
    shift : int
        Greatest shift in pixels; what comes in from outside is 0.
    flip : bool
        Whether half of the images are mirrored left to right.
    crop : int, optional
        Side of the square that is cut, anywhere in the image as `shift` has widened it.

    Returns
    -------
    torch.Tensor
        Same shape, or with squares of side `crop`.
    """
    if not shift and not flip and not crop:
        return batch
    n = len(batch)
    height, width = (crop, crop) if crop else batch.shape[1:3]
    if shift:
        batch = torch.nn.functional.pad(batch, (0, 0) * (batch.ndim - 3) + (shift, shift, shift, shift))
    y = torch.arange(height, device=batch.device).expand(n, height)
    x = torch.arange(width, device=batch.device).expand(n, width)
    if flip:
        x = torch.where(draws[2, :, None] < 0.5, width - 1 - x, x)
    places = [(draw * (full - size + 1)).long() for draw, full, size in zip(draws, batch.shape[1:3], (height, width))]
    y, x = y + places[0][:, None], x + places[1][:, None]
    return batch[torch.arange(n, device=batch.device)[:, None, None], y[:, :, None], x[:, None, :]]


def turned(batch, draws, most):
    """Turn images about their middle.

    Parameters
    ----------
    batch : torch.Tensor, shape (n, y, x, channel)
    draws : torch.Tensor, shape (n,)
        Uniform numbers in [0, 1).
    most : float
        Greatest angle, either way, degrees.

    Returns
    -------
    torch.Tensor
        Same shape: bilinear between pixels; what comes in from outside repeats the border.
    """
    if batch.ndim != 4:
        raise DataError(f"training: rotate needs images (y, x, channel), the network takes {tuple(batch.shape[1:])}")
    angle = torch.deg2rad(most * (2 * draws - 1)).to(batch.dtype)
    cos, sin, none = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    aspect = batch.shape[1] / batch.shape[2]
    places = torch.stack([cos, -sin * aspect, none, sin / aspect, cos, none], 1).reshape(-1, 2, 3)
    x = batch.permute(0, 3, 1, 2)
    grid = torch.nn.functional.affine_grid(places, x.shape, align_corners=False)
    out = torch.nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return out.permute(0, 2, 3, 1).contiguous()


def recolour(batch, draws, brightness, contrast):
    """Change brightness and contrast of images.

    Parameters
    ----------
    batch : torch.Tensor, shape (n, y, x, channel)
    draws : torch.Tensor, shape (5, n)
        Rows 3 and 4 are used.
    brightness, contrast : float
        See :class:`eventsnn.ann.settings.TrainSettings`.

    Returns
    -------
    torch.Tensor
        f (x + b - m) + m: m the mean of x + b over the pixels of its channel; nothing is clipped.
    """
    each = (len(batch), *(1 for _ in batch.shape[1:]))
    if brightness:
        batch = batch + (brightness * (2 * draws[3] - 1)).to(batch.dtype).reshape(each)
    if contrast:
        mean, factor = batch.mean((1, 2), keepdim=True), 1 + contrast * (2 * draws[4] - 1)
        batch = (batch - mean) * factor.to(batch.dtype).reshape(each) + mean
    return batch


def hidden(batch, draws, side):
    """Hide a square of each image (cutout; DeVries and Taylor, arXiv:1708.04552).

    Parameters
    ----------
    batch : torch.Tensor, shape (n, y, x, channel)
    draws : torch.Tensor, shape (2, n)
        Uniform numbers in [0, 1): its middle is any pixel, so that it may stick out of the image.
    side : int
        Its side, pixels.

    Returns
    -------
    torch.Tensor
        Same shape: inside the square, every channel has its mean over the image.
    """
    covered = []
    for draw, size in zip(draws, batch.shape[1:3]):
        offset = torch.arange(size, device=batch.device) - (draw * size).long()[:, None] + side // 2
        covered.append((offset >= 0) & (offset < side))
    square = (covered[0][:, :, None] & covered[1][:, None, :])[..., None]
    return torch.where(square, batch.mean((1, 2), keepdim=True), batch)


def standardised(batch):
    """Return (x - mean) / max(deviation, 1 / (255 sqrt(n))) of each image, n its number of values (all-integer-snn 3.3)."""
    flat = batch.flatten(1)
    least = 1 / (255 * flat.shape[1] ** 0.5)
    flat = (flat - flat.mean(1, keepdim=True)) / flat.std(1, unbiased=False, keepdim=True).clamp(min=least)
    return flat.reshape(batch.shape)
