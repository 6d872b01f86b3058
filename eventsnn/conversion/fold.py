"""Preparing a source network: batch norm folded into weights, dropout removed, the input range fused."""

from dataclasses import replace

import numpy as np

from eventsnn.ann.layers import WEIGHTED, AveragePool2d, BatchNorm, Conv2d, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.ann.quantised import Qcfs, QuantReLU
from eventsnn.ann.residual import Residual
from eventsnn.errors import ModelError

POOLS = (MaxPool2d, AveragePool2d)


def fold_batch_norm(graph):
    """Fold every batch norm into the weights before it or behind it; leave dropout out.

    Parameters
    ----------
    graph : LayerGraph
        Trained network.

    Returns
    -------
    LayerGraph
        Same function to rounding, without BatchNorm and Dropout layers; computed in float64, stored in the graph's
        dtype.

    Raises
    ------
    ModelError
        If a batch norm can stand nowhere else: no weights follow it before the next ReLU; the message names it.

    Notes
    -----
    kappa = gamma / sqrt(variance + epsilon),  shift = beta - kappa mean, per channel.  Into the weights before it (no
    ReLU between): w' = kappa w per output channel, b' = kappa b + shift.  Into the weights behind it (after a ReLU, or
    at the input): w' = kappa w per input channel, b' = b + sum of shift w over the taps inside the image; with
    padding that sum depends on the position, and the bias becomes a map (y, x, c_out).  Pools, Flatten and further batch
    norms may stand between.  A max pool in between takes the minimum where kappa < 0: there its sign turns
    (ttfs-relu-equivalence 2.7, M4, M5, M7; neural-coding 2.9).
    """
    fold = _Fold(graph.dtype)
    for layer, before in zip(graph.layers, (graph.input_shape, *graph.shapes)):
        fold.take(layer, before)
    if fold.pending is not None:
        fold.names[-1].complain("cannot be folded: no weights follow it")
    if not fold.layers:
        raise ModelError("conversion: the network has no layers but dropout")
    return replace(graph, layers=tuple(fold.layers))


class _Fold:
    """One walk through a network: the layers so far, and a batch norm that waits for the next weights."""

    def __init__(self, dtype):
        self.dtype, self.layers = dtype, []
        self.pending, self.names = None, []
        # Position of the weights that a batch norm may go back to: no ReLU or Flatten since.
        self.weights = None

    def take(self, layer, shape):
        """Add one layer, whose input has the given shape."""
        if isinstance(layer, Dropout):
            return
        if isinstance(layer, BatchNorm):
            self._norm(layer)
            return
        if self.pending is not None:
            layer = self._pass(layer, shape)
        if isinstance(layer, WEIGHTED):
            self.weights = len(self.layers)
        elif not isinstance(layer, POOLS):
            self.weights = None
        self.layers.append(layer)

    def _norm(self, norm):
        """Fold back into the weights before, or wait for those behind."""
        kappa, shift = norm.factors()
        if self.weights is None:
            if self.pending is not None:
                kappa, shift = self.pending[0] * kappa, self.pending[1] * kappa + shift
            self.pending = kappa, shift
            self.names.append(norm)
            return
        self.layers[self.weights + 1 :] = (_signed(pool, kappa) for pool in self.layers[self.weights + 1 :])
        own = self.layers[self.weights]
        bias = 0.0 if own.bias is None else own.bias.astype(np.float64)
        weights = own.weights.astype(np.float64) * kappa
        self.layers[self.weights] = self._filled(own, weights, bias * kappa + shift)

    def _pass(self, layer, shape):
        """Carry the waiting batch norm over a layer, or fold it in; return the layer."""
        kappa, shift = self.pending
        if isinstance(layer, WEIGHTED):
            self.pending = None
            return self._absorb(layer, kappa, shift, shape)
        if isinstance(layer, ReLU | QuantReLU | Qcfs):
            self.names[-1].complain(f"cannot be folded: the ReLU '{layer.name}' follows it, with no weights between")
        if isinstance(layer, Residual):
            self.names[-1].complain(f"cannot be folded into the residual block '{layer.name}', where two chains take its output")
        if isinstance(layer, Flatten):
            # The channel is the fastest index of the vector.
            self.pending = tuple(np.tile(part, int(np.prod(shape[:-1]))) for part in (kappa, shift))
        return _signed(layer, kappa)

    def _absorb(self, layer, kappa, shift, shape):
        """Return weights that take the input before the batch norm instead of behind it."""
        weights = layer.weights.astype(np.float64)
        if isinstance(layer, Conv2d):
            # The layer itself, with weights only, sums the taps inside an image that is `shift` everywhere.
            image = np.broadcast_to(shift, (1, *shape))
            taps = Conv2d(layer.name, weights, None, layer.stride, layer.padding).apply(image)[0]
            taps = taps if layer.padding != "valid" and shift.any() else taps[0, 0]
        else:
            taps = shift @ weights
        bias = taps + (0.0 if layer.bias is None else layer.bias.astype(np.float64))
        return self._filled(layer, weights * kappa[:, None], bias)

    def _filled(self, layer, weights, bias):
        return replace(layer, weights=weights.astype(self.dtype), bias=np.asarray(bias).astype(self.dtype))


def _signed(layer, kappa):
    """Return a max pool whose sign has turned in channels of negative factor; any other layer as it is."""
    if not isinstance(layer, MaxPool2d) or (kappa >= 0).all():
        return layer
    own = np.asarray(layer.signs or (1,) * len(kappa))
    return replace(layer, signs=tuple(np.where(kappa < 0, -own, own).tolist()))


def fuse_input_range(graph, p, q):
    """Rewrite a network for inputs in [p, q] as one for inputs in [0, 1].

    Parameters
    ----------
    graph : LayerGraph
        Network that takes x.
    p, q : float
        Input range, p < q.

    Returns
    -------
    LayerGraph
        Network that takes (x - p) / (q - p) and computes the same; (0, 1) returns the graph itself.

    Raises
    ------
    ModelError
        If a layer other than a pool or Flatten stands before the first weights, or the range is not one.

    Notes
    -----
    The range is a batch norm at the input with kappa = q - p and shift = p, and is folded as one: see
    :func:`fold_batch_norm` (ttfs-relu-equivalence 2.7, M6, M7).
    """
    if not (np.isfinite(p) and np.isfinite(q) and p < q):
        raise ModelError(f"conversion: the input range needs finite p < q, got p = {p}, q = {q}")
    if (p, q) == (0, 1):
        return graph
    ones = np.ones(graph.input_shape[-1])
    norm = BatchNorm("input range", (q - p) * ones, p * ones, 0 * ones, ones, 0.0)
    folded = fold_batch_norm(replace(graph, layers=(norm, *graph.layers)).astype(np.float64))
    return folded.astype(graph.dtype)
