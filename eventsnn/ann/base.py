"""What all layers of a source network share: checked parameters, a shape rule, a forward."""

from dataclasses import dataclass, fields, replace

import numpy as np

from eventsnn.errors import ModelError

PADDINGS = ("same", "valid")


def parameter(value, what, ndim, sizes=None):
    """Return a read-only float array after checking rank, sizes and finiteness.

    Parameters
    ----------
    value : array_like
        Weights, biases or statistics; float16 becomes float32, integers become float64.
    what : str
        How messages name it, for example ``"layer 'conv1': weights"``.
    ndim : int or tuple of int
        Allowed numbers of axes.
    sizes : tuple of int, optional
        Required shape.

    Returns
    -------
    numpy.ndarray
        float32 or float64, C-contiguous, read-only.

    Raises
    ------
    ModelError
        If it is not numeric, has another shape, or holds NaN or infinity.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ModelError(f"{what}: must be numbers, got dtype {array.dtype}")
    dtype = {np.dtype("f2"): np.float32, np.dtype("f4"): np.float32}.get(array.dtype.newbyteorder("="), np.float64)
    array = np.array(array, dtype=dtype, order="C")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed or (sizes is not None and array.shape != sizes):
        wanted = f"shape {sizes}" if sizes is not None else f"{' or '.join(map(str, allowed))} axes"
        raise ModelError(f"{what}: must have {wanted}, got shape {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        place = tuple(int(i) for i in np.unravel_index(bad[0], array.shape))
        raise ModelError(f"{what}: must be finite, got {array[place]} at {place} ({bad.size} such values)")
    array.setflags(write=False)
    return array


def checked_padding(padding, what):
    """Return a padding in its plain form.

    Parameters
    ----------
    padding : {"same", "valid"} or int or (int, int)
        A number: so many rows and columns of zeros on every side; a pair: rows, columns.
    what : str
        How messages name it.

    Returns
    -------
    str or int or tuple of int
        A pair of equal numbers is one number.

    Raises
    ------
    ModelError
        If it is none of these.
    """
    if isinstance(padding, str) and padding in PADDINGS:
        return padding
    pair = tuple(padding) if isinstance(padding, tuple | list) and len(padding) == 2 else (padding, padding)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in pair):
        raise ModelError(f"{what} must be 'same', 'valid', a whole number >= 0 or a pair of them, got {padding!r}")
    return pair[0] if pair[0] == pair[1] else pair


def same_padding(size, kernel, stride):
    """Return (before, after) zero padding along one axis, so that the output has ceil(size / stride) positions.

    Parameters
    ----------
    size, kernel, stride : int
        Input extent, kernel extent and stride, all >= 1.

    Returns
    -------
    tuple of int
        The odd one out goes after (TensorFlow's rule; equal to PyTorch's for odd kernels and stride 1).
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def image_shape(shape, what):
    """Return the shape of an image as (y, x, channel), whole numbers.

    Parameters
    ----------
    shape : sequence of int
    what : str
        What takes it, for the message.

    Returns
    -------
    tuple of int

    Raises
    ------
    ModelError
        If it is another shape.
    """
    shape = tuple(int(n) for n in shape)
    if len(shape) != 3:
        raise ModelError(f"architecture: {what} takes images (y, x, channel), got shape {shape}")
    return shape


@dataclass(frozen=True, eq=False)
class Layer:
    """Base of all layers: a name, parameters that are arrays, and options that are plain values."""

    name: str = ""

    ARRAYS = ()

    def arrays(self):
        """Return {field name: array} of the parameters that are present."""
        return {key: getattr(self, key) for key in self.ARRAYS if getattr(self, key) is not None}

    def with_arrays(self, arrays):
        """Return the layer with some of its arrays replaced, given as :meth:`arrays` names them."""
        return replace(self, **arrays)

    def options(self):
        """Return {field name: value} of everything that is neither the name nor an array."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in (*self.ARRAYS, "name")}

    def cast(self, dtype):
        """Return the layer with its arrays in another floating dtype."""
        return replace(self, **{key: value.astype(dtype) for key, value in self.arrays().items()})

    def complain(self, problem):
        """Raise ModelError that names this layer."""
        raise ModelError(f"layer '{self.name}' ({type(self).__name__}): {problem}")

    def out_shape(self, shape):
        """Return the output shape of one sample for an input shape; ModelError if it does not fit."""
        return shape

    def apply(self, x):
        """Return the layer's output for a batch ``x`` of shape (n, *shape)."""
        return x
