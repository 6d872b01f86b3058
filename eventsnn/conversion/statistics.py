"""Activation statistics of a source network: percentiles of every neuron over samples."""

import hashlib
from dataclasses import dataclass

import numpy as np

from eventsnn.conversion.segments import cut
from eventsnn.errors import ModelError, did_you_mean
from eventsnn.settings import as_numbers, check_choice

KINDS = ("neuron", "channel")
LARGEST_SCAN = 2**30  # bytes of the values that a scan keeps


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


def calibration_inputs(graph, x, where):
    """Return calibration inputs in the graph's shape; ModelError where there are none or one is not finite.

    Parameters
    ----------
    graph : LayerGraph
    x : array_like, shape (n, *input_shape)
    where : str
        Who asks, for the message.

    Returns
    -------
    numpy.ndarray, shape (n, *input_shape)
    """
    x = graph.as_inputs(x)
    if not len(x):
        raise ModelError(f"{where}: needs at least one calibration sample, got none")
    for sample, values in enumerate(x):  # one at a time: data sets are large
        if not np.isfinite(values).all():
            raise ModelError(f"{where}: calibration inputs must be finite, sample {sample} is not")
    return x


class TopValues:
    """Exact percentiles over samples of every neuron of one layer, keeping only the largest values.

    Parameters
    ----------
    n_samples : int
        Number of samples to come.
    percentile : float
        Lowest percentile that will be asked for, in (0, 100].

    Notes
    -----
    n - floor(percentile / 100 (n - 1)) values per neuron are kept, and as many wait for the next selection: 2 x 11 for 99.9
    of 10,000 samples, so that VGG16 with its 277,504 neurons takes 24 MB in float32.
    """

    def __init__(self, n_samples, percentile):
        self.n_samples, self.kept = n_samples, n_samples - int(percentile / 100 * (n_samples - 1))
        self.parts, self.rows = [], 0

    def add(self, activation):
        """Take the activations of some samples, (n, *shape)."""
        self.parts.append(activation.reshape(len(activation), -1).copy())
        self.rows += len(activation)
        # Selecting only when as many have come as are kept makes the cost per value constant.
        if self.rows >= 2 * self.kept:
            self._select()

    def _select(self):
        """Drop all but the largest values of every neuron."""
        rows = np.concatenate(self.parts)
        spare = max(0, len(rows) - self.kept)
        self.parts = [np.partition(rows, spare, axis=0)[spare:].copy() if spare else rows]
        self.rows = len(self.parts[0])

    def result(self, percentile):
        """Return the percentile of every neuron, interpolated linearly, float64 (n_neurons,)."""
        rank = percentile / 100 * (self.n_samples - 1)
        place = int(rank) - (self.n_samples - self.kept)
        self._select()
        ordered = np.sort(self.parts[0], axis=0).astype(np.float64)
        low, high = ordered[place], ordered[min(place + 1, self.kept - 1)]
        return low + (high - low) * (rank - int(rank))


@dataclass(frozen=True, eq=False)
class ActivationStatistics:
    """Percentiles of the activations of a network over samples.

    Parameters
    ----------
    by : {"neuron", "channel"}
        Whether values are per neuron or per channel (largest over its positions).
    values : dict of str to dict of float to ndarray of float64
        Weighted layer -> percentile -> one value per neuron (row-major) or per channel; after the ReLU, before pools; the
        output layer's are its raw sums.
    calibration : dict or None
        What was scanned, see ``calibration_record``; None where a file does not say.
    file : str, optional
        Where it was read from.
    """

    by: str
    values: dict
    calibration: dict | None
    file: str | None = None

    def percentile(self, layer, percentile):
        """Return one layer's values; ModelError if the layer or percentile is not among them."""
        where = f"statistics{f' {self.file}' if self.file else ''}"
        if layer not in self.values:
            raise ModelError(f"{where}: has no layer '{layer}'{did_you_mean(layer, self.values)}; "
                             f"it has {', '.join(self.values)}")  # fmt: skip
        if percentile not in self.values[layer]:
            has = ", ".join(f"{p:g}" for p in self.values[layer])
            raise ModelError(f"{where}: layer '{layer}' has the percentiles {has}, needed {percentile:g}")
        return self.values[layer][percentile]


def scan(graph, x, *, percentiles=(99.9,), by="neuron", calibration="calibration"):
    """Take the statistics of a network on calibration data.

    Parameters
    ----------
    graph : LayerGraph
        Folded network.
    x : array_like, shape (n, *input_shape)
        Calibration inputs, already scaled.
    percentiles : sequence of float, optional
        In (0, 100]; 100 is the maximum.
    by : {"neuron", "channel"}, optional
        Per neuron, or per channel: the largest of its neurons' percentiles.
    calibration : str, optional
        Name of the data.

    Returns
    -------
    ActivationStatistics

    Raises
    ------
    ModelError
        If an option is out of range, there are no data, or the scan would keep more than 1 GiB.

    Notes
    -----
    One pass in batches of bounded memory; what is kept is said at :class:`TopValues` (neural-coding F19 - F21, 2.9).
    """
    check_choice(by, KINDS, "statistics: by")
    asked = as_numbers(percentiles, "statistics: percentiles")
    if asked.ndim != 1 or not asked.size or not ((asked > 0) & (asked <= 100)).all():
        raise ModelError(f"statistics: percentiles must be a list of numbers in (0, 100], got {percentiles!r}")
    x = calibration_inputs(graph, x, "statistics")
    segments = cut(graph)[1]
    tops = {s.name: TopValues(len(x), min(percentiles)) for s in segments}
    neurons = sum(int(np.prod(s.shape)) for s in segments)
    needed = 2 * neurons * tops[segments[0].name].kept * graph.dtype.itemsize
    if needed > LARGEST_SCAN:
        raise ModelError(f"statistics: percentile {min(percentiles):g} of {len(x)} samples keeps {needed / 2**30:.1f} GiB of "
                         "values, at most 1 GiB; take a higher percentile or fewer samples")  # fmt: skip
    for _, found in graph.batches(x, upto=segments[-1].name):
        for s in segments:
            tops[s.name].add(found[s.name] if s.is_output else np.maximum(found[s.name], 0))
    values = {s.name: {float(p): tops[s.name].result(p) for p in percentiles} for s in segments}
    if by == "channel":
        size = {s.name: s.shape[-1] for s in segments}
        values = {n: {p: v.reshape(-1, size[n]).max(axis=0) for p, v in of.items()} for n, of in values.items()}
    return ActivationStatistics(by, values, calibration_record(calibration, x))
