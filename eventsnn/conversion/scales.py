"""Scales of the layers of a source network: by the rules of the field, from calibration data, statistics or weights."""

import numpy as np

from eventsnn.conversion.segments import cut
from eventsnn.conversion.statistics import TopValues, calibration_inputs
from eventsnn.errors import ModelError
from eventsnn.settings import check_choice, check_number

RULES = ("neuron_percentile", "percentile", "layer_max", "channel", "diehl", "model", "none")
OF_PERCENTILE = ("neuron_percentile", "percentile", "channel")
"""The rules that ``percentile`` has a part in."""


class _Largest:
    """Running largest value."""

    def __init__(self, shape, n, percentile):
        self.value = 0.0

    def add(self, activation):
        self.value = max(self.value, float(activation.max(initial=0.0)))

    def result(self):
        return self.value


class _LargestPercentile:
    """Largest of the percentiles over samples of all neurons."""

    def __init__(self, shape, n, percentile):
        self.values, self.percentile = TopValues(n, percentile), percentile
        self.add = self.values.add

    def result(self):
        return float(self.values.result(self.percentile).max())


class _ChannelPercentile(_LargestPercentile):
    """Largest of the percentiles over samples of each channel's neurons."""

    def __init__(self, shape, n, percentile):
        super().__init__(shape, n, percentile)
        self.channels = shape[-1]

    def result(self):
        return _per_channel(self.values.result(self.percentile), self.channels)


class _PooledPercentile:
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


TRACKERS = {"neuron_percentile": _LargestPercentile, "percentile": _PooledPercentile, "layer_max": _Largest,
            "channel": _ChannelPercentile, "diehl": _Largest}  # fmt: skip


def layer_scales(graph, x, *, rule="layer_max", percentile=99.9, output=False, statistics=None):
    """Find the scale of every layer: what its activations are divided by.

    Parameters
    ----------
    graph : LayerGraph
        Folded network.
    x : array_like, shape (n, *input_shape)
        Calibration inputs, already scaled; not looked at where ``statistics`` are given, or by the rules "model" and "none".
    rule : str, optional
        One of ``RULES``; see Notes.
    percentile : float, optional
        For the rules ``OF_PERCENTILE``, in (0, 100].
    output : bool, optional
        Whether the output layer has a scale too: one number under every rule, so that no class changes.
    statistics : ActivationStatistics, optional
        Use these instead of scanning ``x``.

    Returns
    -------
    dict of str to float or numpy.ndarray
        Layer name to scale (float64), one number or one per channel; 1 where a layer (or channel) never acts.

    Raises
    ------
    ModelError
        If the rule is unknown, the percentile out of range, there are no data, or the statistics lack what is needed.

    Notes
    -----
    With a the activations max(0, W x + b) before pooling (of the output layer: the sums W x + b):

    - ``neuron_percentile``: largest over neurons of the percentile over samples (the rule published with the neural
      codings); ``percentile``: percentile of all a of the layer pooled together (Rueckauer et al., Front. Neurosci.
      11:682, 2017); both interpolate linearly
    - ``channel``: largest over the positions of each channel of the percentile over samples; ``layer_max``: largest a
    - ``diehl``: the larger of the largest a and the largest weight (Diehl et al., IJCNN 2015, data-based)
    - ``model``: largest a that any inputs in [0, 1] can cause, by max over neurons of scale of the layer before times the sum
      of positive weights, plus the bias where positive (Diehl et al., model-based); looks at no data
    - ``none``: 1, for a network that was trained with activations in [0, 1]

    (neural-coding 2.9).
    """
    check_choice(rule, RULES, "normalisation: rule")
    check_number(percentile, "(0, 100]", "normalisation: percentile")
    segments = [s for s in cut(graph)[1] if output or not s.is_output]
    if rule == "model":
        scales = _model_scales(segments)
    elif rule == "none":
        scales = {s.name: 1.0 for s in segments}
    elif statistics is not None:
        scales = _recorded_scales(segments, rule, percentile, statistics)
    else:
        scales = _scanned_scales(graph, segments, x, rule, percentile)
    if rule == "diehl":
        scales = {s.name: max(scales[s.name], float(s.layer.weights.max())) for s in segments}
    return {name: 1.0 if np.ndim(s) == 0 and s <= 0 else s for name, s in scales.items()}


def _scanned_scales(graph, segments, x, rule, percentile):
    """Scan calibration data, in batches of bounded memory."""
    x = calibration_inputs(graph, x, "normalisation")
    trackers = {}
    for s in segments:
        kind = _LargestPercentile if s.is_output and rule == "channel" else TRACKERS[rule]
        trackers[s.name] = kind(s.shape, len(x), percentile)
    if segments:
        for _, values in graph.batches(x, upto=segments[-1].name):
            for s in segments:
                trackers[s.name].add(values[s.name] if s.is_output else np.maximum(values[s.name], 0))
    return {name: tracker.result() for name, tracker in trackers.items()}


def _recorded_scales(segments, rule, percentile, statistics):
    """Take scales from statistics that were scanned before."""
    if rule == "percentile":
        raise ModelError("normalisation: rule 'percentile' pools all activations of a layer, which statistics per neuron or "
                         "channel do not hold; use rule 'neuron_percentile', or scan")  # fmt: skip
    wanted, scales = percentile if rule in OF_PERCENTILE else 100.0, {}
    for s in segments:
        values = statistics.percentile(s.name, wanted)
        scales[s.name] = float(values.max())
        if rule == "channel" and not s.is_output:
            scales[s.name] = _per_channel(values, s.shape[-1])
    return scales


def _per_channel(values, channels):
    """Return the largest of each channel's values; channels that never act get 1."""
    most = values.reshape(-1, channels).max(axis=0)
    return np.where(most > 0, most, 1.0)


def _model_scales(segments):
    """Bound the activations from the weights alone."""
    scales, before = {}, 1.0
    for s in segments:
        positive = np.maximum(s.layer.weights.astype(np.float64), 0)
        drive = before * positive.reshape(-1, positive.shape[-1]).sum(axis=0)
        before = float((drive + np.maximum(s.bias().astype(np.float64), 0)).max())
        before = scales[s.name] = before if before > 0 else 1.0
    return scales
