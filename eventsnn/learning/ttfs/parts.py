"""What the backends of TTFS training share: the report of a step, the loss, batches, windows, the check of a state."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.layers import Dense
from eventsnn.conversion.segments import cut
from eventsnn.errors import DataError, ModelError

INPUT_WINDOW = 1.0


@dataclass(frozen=True)
class Step:
    """What a training step says about its batch.

    Attributes
    ----------
    loss : float
        Of the whole objective: mean cross-entropy, L2 and the regulariser of silent neurons.
    correct : int
        Samples whose class was right.
    largest : ndarray of float64, (hidden layers,)
        Greatest activation of each layer, noise included: R minus the earliest spike time.
    """

    loss: float
    correct: int
    largest: np.ndarray


def set_windows(windows, lengths):
    """Write lengths into the windows of a backend, one for all or one each; ModelError if their number does not fit."""
    if len(lengths) not in (1, len(windows)):
        raise ModelError(f"training: windows must be one length or {len(windows)}, one for each hidden layer, "
                         f"got {len(lengths)}")  # fmt: skip
    windows[:] = lengths


def check_state(state, own):
    """Refuse a state of which an array is missing or does not fit the network.

    Parameters
    ----------
    state, own : dict of str to ndarray
        What is to be loaded; what the backend has, as its `state` gives it.

    Raises
    ------
    DataError
        Naming the array.
    """
    for name, array in own.items():
        if name not in state or np.shape(state[name]) != array.shape:
            raise DataError(f"checkpoint: array '{name}' of shape {array.shape} is missing or does not fit the network")


def fitted(graph, x, labels, what):
    """Return samples in the input shape of a network.

    Parameters
    ----------
    graph : LayerGraph
    x : array_like, shape (n, *input_shape)
    labels : array_like of int, shape (n,)
    what : str
        What they are, for messages.

    Returns
    -------
    ndarray, shape (n, *input_shape)

    Raises
    ------
    DataError
        If shapes do not fit, or a label is not the number of an output.
    """
    try:
        x = graph.as_inputs(x)
    except ModelError as error:
        raise DataError(f"{what}: {error}") from None
    labels, classes = np.asarray(labels), graph.output_shape[0]
    if labels.shape != (len(x),) or labels.dtype.kind not in "iu":
        raise DataError(f"{what}: needs one whole number as label for each of {len(x)} samples, got {labels.dtype} "
                        f"{labels.shape}")  # fmt: skip
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(f"{what}: labels must be in 0..{classes - 1}, the outputs of the network, got {labels.min()}.."
                        f"{labels.max()}")  # fmt: skip
    return x


def rows_of(x, most=1000):
    """Yield (numbers of samples, the samples) in batches of bounded memory: at most so many."""
    for first in range(0, len(x), most):
        rows = np.arange(first, min(first + most, len(x)))
        yield rows, x[first : first + most]


def cross_entropy(logits, labels):
    """Return the loss of each sample and the gradient of their mean with respect to the logits.

    Parameters
    ----------
    logits : ndarray, shape (batch, classes)
    labels : ndarray of int, shape (batch,)

    Returns
    -------
    losses : ndarray, shape (batch,)
        -log softmax(V) of the label.
    slope : ndarray, shape (batch, classes)
        (softmax(V) - y) / batch.
    """
    rows = np.arange(len(labels))
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) - shifted[rows, labels]
    p /= total
    p[rows, labels] -= 1
    p /= len(labels)
    return losses, p


def dense_segments(graph):
    """Cut a folded graph and refuse what is not dense.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    list of Segment

    Raises
    ------
    ModelError
        If it has a convolution or a pool; it is named.
    """
    head, segments = cut(graph)
    for pool in (*head, *(pool for s in segments for pool in s.pools)):
        pool.complain("the closed form in NumPy takes dense layers only; TorchTtfs takes pools: pip install 'eventsnn[ann]'")
    for s in segments:
        if not isinstance(s.layer, Dense):
            s.layer.complain("the closed form in NumPy takes dense layers only; TorchTtfs takes convolutions: "
                             "pip install 'eventsnn[ann]'")  # fmt: skip
    return segments
