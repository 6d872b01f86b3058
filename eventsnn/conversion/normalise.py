"""Data-based scales: the largest, or nearly largest, activation of each layer on a named calibration set."""

import hashlib

import numpy as np

from eventsnn.conversion.segments import cut
from eventsnn.errors import ModelError, did_you_mean

RULES = ("layer_max", "percentile", "channel")


def calibration_record(name, x):
    """Say what a conversion was calibrated on.

    Parameters
    ----------
    name : str
        Name of the data, for people.
    x : numpy.ndarray
        The inputs themselves.

    Returns
    -------
    dict
        name, samples, sha256 (over dtype, shape and little-endian bytes).
    """
    x = np.ascontiguousarray(x)
    x = x.astype(x.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{x.dtype.str} {x.shape}".encode())
    digest.update(x.data)
    return {"name": str(name), "samples": len(x), "sha256": digest.hexdigest()}


class _Largest:
    """Running largest value."""

    def __init__(self, shape, n):
        self.value = 0.0

    def add(self, activation):
        self.value = max(self.value, float(activation.max(initial=0.0)))

    def result(self):
        return self.value


class _LargestPerChannel:
    """Running largest value of each channel; channels that never act get 1."""

    def __init__(self, shape, n):
        self.value = np.zeros(shape[-1])

    def add(self, activation):
        self.value = np.maximum(self.value, activation.reshape(-1, self.value.size).max(axis=0, initial=0.0))

    def result(self):
        return np.where(self.value > 0, self.value, 1.0)


class _Percentile:
    """Exact percentile of all values of a layer, keeping only the ones above it."""

    def __init__(self, shape, n, percentile):
        count = n * int(np.prod(shape))
        self.rank = percentile / 100 * (count - 1)
        self.kept, self.top = count - int(self.rank), np.empty(0)

    def add(self, activation):
        values = activation.ravel()
        if self.top.size == self.kept:
            values = values[values > self.top[0]]
        self.top = np.concatenate([self.top, values])
        if self.top.size > self.kept:
            self.top = np.partition(self.top, self.top.size - self.kept)[self.top.size - self.kept :]
        # top[0] must be the smallest kept value for the test above
        self.top[[0, self.top.argmin()]] = self.top[[self.top.argmin(), 0]]

    def result(self):
        low, high = np.sort(self.top)[[0, min(1, self.top.size - 1)]]
        return float(low + (high - low) * (self.rank - int(self.rank)))


def layer_scales(graph, x, *, rule="layer_max", percentile=99.9):
    """Scan calibration data for the scale of every hidden layer.

    Parameters
    ----------
    graph : LayerGraph
        Folded network.
    x : array_like, shape (n, *input_shape)
        Calibration inputs, already scaled.
    rule : {"layer_max", "percentile", "channel"}, optional
        Largest activation of the layer; percentile of all its activations pooled together; largest per channel.
    percentile : float, optional
        For ``rule="percentile"``, in (0, 100].

    Returns
    -------
    dict of str to float or numpy.ndarray
        Layer name to scale (float64), hidden layers only; 1 where a layer (or channel) never acts.

    Raises
    ------
    ModelError
        If the rule is unknown, the percentile out of range, or there are no data.

    Notes
    -----
    Activations are max(0, W x + b), before pooling.  Rueckauer et al., Front. Neurosci. 11:682 (2017) pool all
    activations and interpolate linearly, as here (neural-coding 2.9).
    """
    if rule not in RULES:
        raise ModelError(f"normalisation: unknown rule {rule!r}{did_you_mean(rule, RULES)}; "
                         f"allowed: {', '.join(RULES)}")  # fmt: skip
    if not 0 < percentile <= 100:
        raise ModelError(f"normalisation: percentile must lie in (0, 100], got {percentile}")
    x = graph.as_inputs(x)
    if not len(x):
        raise ModelError("normalisation: needs at least one calibration sample, got none")
    kind = {"layer_max": _Largest, "channel": _LargestPerChannel}.get(rule)
    hidden = [s for s in cut(graph)[1] if not s.is_output]
    scans = {s.name: kind(s.shape, len(x)) if kind else _Percentile(s.shape, len(x), percentile) for s in hidden}
    if hidden:
        for _, values in graph.batches(x, upto=hidden[-1].name):
            for name, scan in scans.items():
                scan.add(np.maximum(values[name], 0))
    scales = {name: scan.result() for name, scan in scans.items()}
    return {name: 1.0 if np.ndim(s) == 0 and s <= 0 else s for name, s in scales.items()}
