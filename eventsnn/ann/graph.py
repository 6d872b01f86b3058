"""LayerGraph: a dense source network as a list of layers, with shapes checked once and a forward pass in NumPy."""

from dataclasses import dataclass, field, replace

import numpy as np

from eventsnn.ann.base import Layer
from eventsnn.ann.layers import AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.ann.quantised import KBitConv2d, Qcfs, QuantReLU, TernaryConv2d
from eventsnn.ann.residual import Residual
from eventsnn.errors import ModelError, did_you_mean

# Bytes that one batch of patches (im2col) and activations may take.
BATCH_BYTES = 64 * 2**20
KINDS = (Conv2d, TernaryConv2d, KBitConv2d, Dense, BatchNorm, ReLU, QuantReLU, Qcfs, MaxPool2d, AveragePool2d, Flatten, Dropout,
         Residual)  # fmt: skip
LAYERS = {kind.__name__: kind for kind in KINDS}


def _named(layers):
    """Give unnamed layers a name (kind and running number) and refuse names used twice."""
    out, counts, seen = [], {}, {}
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ModelError(f"layer {index}: must be one of {', '.join(LAYERS)}, got {type(layer).__name__}")
        kind = type(layer).__name__.removesuffix("2d").lower()
        counts[kind] = counts.get(kind, 0) + 1
        layer = layer if layer.name else replace(layer, name=f"{kind}{counts[kind]}")
        if not isinstance(layer.name, str) or "/" in layer.name:
            raise ModelError(f"layer {index}: the name must be text without '/', got {layer.name!r}")
        if layer.name in seen:
            raise ModelError(f"layer {index}: the name '{layer.name}' is already that of layer {seen[layer.name]}")
        seen[layer.name] = index
        out.append(layer)
    if not out:
        raise ModelError("layer graph: must have at least one layer, got none")
    return tuple(out)


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """A trained or untrained feed-forward network: the source that conversions start from.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample: (n,) or (y, x, channel).
    layers : sequence of Layer
        In order; unnamed ones are named by kind and running number (``conv1``, ``relu1``, ...).
    name : str, optional
        What the network is called.
    meta : dict, optional
        Plain values that travel with the file: how it was trained, on what.

    Raises
    ------
    ModelError
        If layers do not fit each other; the message names the layer.
    """

    input_shape: tuple
    layers: tuple
    name: str = ""
    meta: dict = field(default_factory=dict)
    shapes: tuple = field(init=False)

    def __post_init__(self):
        """Name the layers and check every shape."""
        try:
            shape = tuple(int(n) for n in np.atleast_1d(self.input_shape))
        except (TypeError, ValueError):
            shape = ()
        if len(shape) not in (1, 3) or min(shape) < 1:
            raise ModelError(f"layer graph: input_shape must be (n,) or (y, x, channel), got {self.input_shape}")
        layers, shapes = _named(self.layers), []
        object.__setattr__(self, "input_shape", shape)
        for layer in layers:
            shape = tuple(int(n) for n in layer.out_shape(shape))
            shapes.append(shape)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "shapes", tuple(shapes))

    def __repr__(self):
        """Return a short description."""
        chain = " ".join(f"{x.name}{list(s)}" for x, s in zip(self.layers, self.shapes))
        return f"LayerGraph({self.name!r}, {list(self.input_shape)}: {chain})"

    @property
    def output_shape(self):
        """Shape of one sample's output."""
        return self.shapes[-1]

    @property
    def dtype(self):
        """Dtype of the forward pass: float64 if any parameter is, else float32."""
        kinds = {array.dtype for array in self.parameters().values()}
        return np.dtype(np.float64 if np.dtype(np.float64) in kinds else np.float32)

    def parameters(self):
        """Return {"layer.field": array} of all parameters, in layer order."""
        return {f"{layer.name}.{key}": value for layer in self.layers for key, value in layer.arrays().items()}

    def with_parameters(self, arrays):
        """Return the graph with parameters replaced.

        Parameters
        ----------
        arrays : dict of str to array
            ``{"layer.field": array}``, all or some of :meth:`parameters`.

        Returns
        -------
        LayerGraph

        Raises
        ------
        ModelError
            If a name is unknown or a shape does not fit.
        """
        own = self.parameters()
        for key in arrays:
            if key not in own:
                raise ModelError(f"layer graph: no parameter '{key}'{did_you_mean(key, own)}; it has {', '.join(own)}")
            if np.shape(arrays[key]) != own[key].shape:
                raise ModelError(f"parameter '{key}': must have shape {own[key].shape}, got {np.shape(arrays[key])}")
        new = (
            x.with_arrays({key: arrays[f"{x.name}.{key}"] for key in x.arrays() if f"{x.name}.{key}" in arrays})
            for x in self.layers
        )
        return replace(self, layers=tuple(new))

    def astype(self, dtype):
        """Return the graph with all parameters in ``dtype`` (float32 or float64)."""
        return replace(self, layers=tuple(layer.cast(np.dtype(dtype)) for layer in self.layers))

    def index(self, name):
        """Return the position of a layer by name or (negative) number; ModelError if there is none."""
        names = [layer.name for layer in self.layers]
        if isinstance(name, (int, np.integer)) and -len(names) <= name < len(names):
            return int(name) % len(names)
        if name not in names:
            raise ModelError(f"layer graph: no layer {name!r}{did_you_mean(name, names)}; it has {', '.join(names)}")
        return names.index(name)

    def as_inputs(self, x):
        """Return a batch in the graph's input shape, or ModelError.

        Parameters
        ----------
        x : array_like, shape (n, *input_shape)
            Images without a channel axis get one; images for a vector input are flattened row-major.

        Returns
        -------
        numpy.ndarray
            shape (n, *input_shape); bytes (uint8) are not rescaled here.
        """
        try:
            x = np.asarray(x)
        except ValueError:
            raise ModelError("inputs: must be numbers of one shape, got a ragged list") from None
        given, own = x.shape[1:], self.input_shape
        fits = given == own or (given and (len(own) == 1 or (*given, 1) == own) and int(np.prod(given)) == np.prod(own))
        if x.ndim < 1 or x.dtype.kind not in "fiu" or not fits:
            wanted = ", ".join(map(str, own))
            raise ModelError(f"inputs: must be numbers of shape (n, {wanted}), got {x.dtype} {x.shape}")
        return x.reshape(x.shape[0], *own)

    def batch_size(self, itemsize=8):
        """Return how many samples go through the graph at once within the memory bound."""
        largest, shape = int(np.prod(self.input_shape)), self.input_shape
        for layer, out in zip(self.layers, self.shapes):
            inner = [x for x in getattr(layer, "inner", (layer,)) if isinstance(x, Conv2d)]
            patch = max((int(np.prod(x.weights.shape[:3])) for x in inner), default=0) * int(np.prod(out[:2]))
            largest = max(largest, patch + int(np.prod(shape)) + int(np.prod(out)))
            shape = out
        return max(1, min(4096, BATCH_BYTES // (largest * itemsize)))

    def batches(self, x, upto=None, dtype=None):
        """Yield (slice, {layer name: activation}) over batches of bounded memory: for scans over whole data sets.

        Parameters
        ----------
        x : array_like, shape (n, *input_shape)
            Inputs.
        upto : str or int, optional
            Last layer to compute (inclusive); default all.
        dtype : optional
            float32 or float64; default the graph's own.

        Yields
        ------
        tuple of slice and dict
        """
        dtype = self.dtype if dtype is None else np.dtype(dtype)
        graph = self if dtype == self.dtype else self.astype(dtype)
        last = len(self.layers) - 1 if upto is None else self.index(upto)
        x, size = self.as_inputs(x), self.batch_size(dtype.itemsize)
        for first in range(0, len(x), size):
            part = slice(first, min(first + size, len(x)))
            value, values = x[part].astype(dtype), {}
            for layer in graph.layers[: last + 1]:
                value = layer.apply(value)
                values[layer.name] = value
            yield part, values

    def forward(self, x, upto=None, keep=False, dtype=None):
        """Compute the network's output in NumPy.

        Parameters
        ----------
        x : array_like, shape (n, *input_shape)
            Inputs, already scaled.
        upto : str or int, optional
            Return the activation of this layer instead of the last one's.
        keep : bool, optional
            Return the activations of all layers.
        dtype : optional
            float32 or float64; default float64 if any parameter is float64, else float32.

        Returns
        -------
        numpy.ndarray, shape (n, *shape), or dict of str to numpy.ndarray if ``keep``
        """
        last = len(self.layers) - 1 if upto is None else self.index(upto)
        names = [layer.name for layer in self.layers[: last + 1]] if keep else [self.layers[last].name]
        dtype = self.dtype if dtype is None else np.dtype(dtype)
        out = {name: np.empty((len(x), *self.shapes[self.index(name)]), dtype) for name in names}
        for part, values in self.batches(x, last, dtype):
            for name in names:
                out[name][part] = values[name]
        return out if keep else out[names[0]]
