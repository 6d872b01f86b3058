"""Data-based normalisation: weights rescaled so that the activations of every layer fit in [0, 1]."""

from dataclasses import replace

import numpy as np

from eventsnn.ann.layers import WEIGHTED, Conv2d
from eventsnn.conversion.scales import OF_PERCENTILE, layer_scales
from eventsnn.conversion.segments import cut
from eventsnn.conversion.statistics import calibration_record, scan
from eventsnn.errors import ModelError


def normalise(
    graph, x, *, calibration="calibration", rule="neuron_percentile", percentile=99.9, output=True, statistics=None, dtype=None,
):  # fmt: skip
    """Rescale the weights of a network so that its activations fit in [0, 1].

    Parameters
    ----------
    graph : LayerGraph
        Folded network.
    x : array_like, shape (n, *input_shape)
        Calibration inputs, already scaled.
    calibration : str, optional
        Name of these data, for the report.
    rule, percentile, output, statistics
        See :func:`layer_scales`.
    dtype : {"float32", "float64"}, optional
        Of the weights returned; default the graph's own.

    Returns
    -------
    tuple of LayerGraph and dict
        The network, and the report: rule, percentile (None where it has no part), output_scaled, scale of each layer; the
        calibration set with its hash, or the file of statistics and the set that it was made from.

    Raises
    ------
    ModelError
        As :func:`layer_scales`.

    Notes
    -----
    W' = W lambda_prev / lambda,  b' = b / lambda,  lambda = 1 at the input (neural-coding 2.9), in float64.
    """
    scales = layer_scales(graph, x, rule=rule, percentile=percentile, output=output, statistics=statistics)
    layers, before, dtype = [], 1.0, np.dtype(dtype or graph.dtype)
    for layer in graph.layers:
        if isinstance(layer, WEIGHTED):
            own = scales.get(layer.name, 1.0)
            weights, bias = _scaled(layer, before, own)
            layer = replace(layer, weights=weights.astype(dtype), bias=None if bias is None else bias.astype(dtype))
            before = own
        layers.append(layer)
    record = None
    if rule not in ("model", "none"):
        record = calibration_record(calibration, graph.as_inputs(x)) if statistics is None else statistics.calibration
    report = {
        "rule": rule,
        "percentile": percentile if rule in OF_PERCENTILE else None,
        "output_scaled": output,
        "calibration": record,
        "statistics": None if statistics is None else statistics.file,
        "layers": [{"layer": name, "scale": np.asarray(scale).tolist()} for name, scale in scales.items()],
    }
    return replace(graph, layers=tuple(layers)), report


def _scaled(layer, before, own):
    """Scale weights and bias of a layer.

    Parameters
    ----------
    layer : Conv2d or Dense
    before, own : float or numpy.ndarray
        Scale of the layer before and of this layer, one number or one per channel.

    Returns
    -------
    tuple of numpy.ndarray
        float64 weights, and bias (None where the layer has none).
    """
    weights = layer.weights.astype(np.float64)
    if np.ndim(before):
        # Behind a Flatten the channel is the fastest index of a dense layer's inputs.
        n = weights.shape[2] if isinstance(layer, Conv2d) else weights.shape[0]
        before = np.tile(before, n // len(before))[:, None]
    return weights * before / own, None if layer.bias is None else layer.bias.astype(np.float64) / own


def neuron_thresholds(graph, x, *, rule, percentile=99.9, statistics=None):
    """Find a threshold for every neuron: its own percentile over the scale that its layer's weights are divided by.

    Parameters
    ----------
    graph : LayerGraph
        Folded network; scaling its layers changes nothing.
    x : array_like, shape (n, *input_shape)
        Calibration inputs, already scaled.
    rule : str
        That of the conversion, see :func:`layer_scales`; "channel" has no one scale for a layer.
    percentile : float, optional
        Of every neuron, and of the rule where it takes one; in (0, 100].
    statistics : ActivationStatistics, optional
        Per neuron; use these instead of scanning ``x``.

    Returns
    -------
    dict of str to ndarray of float64
        Hidden layer -> thresholds of the population's shape, > 0; 1 for neurons that never act. Where the scale is not the
        largest neuron's percentile (every rule but "neuron_percentile") some may exceed 1.

    Raises
    ------
    ModelError
        As :func:`layer_scales`, if the rule is "channel", or if the statistics are per channel.

    Notes
    -----
    theta_i = a_i / lambda with a_i the neuron's percentile and lambda the layer's scale (neural-coding 2.9, F22).
    """
    if rule == "channel":
        raise ModelError("normalisation: thresholds per neuron are fractions of one scale for the layer; rule 'channel' has many")
    recorded = statistics
    if statistics is None:
        statistics = scan(graph, x, percentiles=(percentile,))
    if statistics.by != "neuron":
        raise ModelError("normalisation: thresholds per neuron need statistics per neuron, these are per channel")
    found, scales = {}, layer_scales(graph, x, rule=rule, percentile=percentile, statistics=recorded)
    for s in cut(graph)[1]:
        if not s.is_output:
            values = statistics.percentile(s.name, percentile)
            found[s.name] = np.where(values > 0, values / scales[s.name], 1.0).reshape(s.shape)
    return found
