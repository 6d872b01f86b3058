"""ReLU network to integrate-and-fire neurons whose spike rate is the activation."""

import numpy as np

from eventsnn.ann.layers import Conv2d
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.normalise import calibration_record, layer_scales
from eventsnn.conversion.parts import relay_chain, synapses
from eventsnn.conversion.segments import INPUT, cut
from eventsnn.errors import ModelError
from eventsnn.network import Input, Network, Population, Projection, Readout
from eventsnn.relays import GatedMaxPool


def to_if(
    graph, calibration_x, *, calibration="calibration", rule="percentile", percentile=99.9, dt_ms=1.0, v_init=0.0,
    dtype="float32",
):  # fmt: skip
    """Convert a trained ReLU network to integrate-and-fire neurons with threshold 1 and reset by subtraction.

    Parameters
    ----------
    graph : LayerGraph
        Trained network; batch norm directly behind weights is folded, dropout left out.
    calibration_x : array_like, shape (n, *input_shape)
        Inputs from which the scales are taken, as the network takes them.
    calibration : str, optional
        Name of these data, for the report.
    rule : {"percentile", "layer_max", "channel"}, optional
        Scale of each hidden layer; see ``layer_scales``.
    percentile : float, optional
        For ``rule="percentile"``, in (0, 100].
    dt_ms : float, optional
        Length of a step, ms.
    v_init : float, optional
        Membrane before the first step, in thresholds; 0.5 halves the mean rounding error of the rate.
    dtype : {"float32", "float64"}, optional
        Precision of the populations and weights.

    Returns
    -------
    tuple of Network and dict
        The network (grid clock; feed it x as constant drive or as Poisson spikes), and the report: rule, scale of each
        hidden layer, the calibration set with its hash.

    Raises
    ------
    ModelError
        If a layer cannot be converted (named), or an option is out of range.

    Notes
    -----
    w' = w lambda_prev / lambda,  b' = b / lambda per step, lambda = 1 at the input (Rueckauer et al., Front. Neurosci.
    11:682, 2017; neural-coding 2.9).  The output layer keeps its scale, so that its membrane divided by the number of
    steps estimates the logits; the published rule divides all logits by one number, which changes no class.
    """
    if dtype not in ("float32", "float64"):
        raise ModelError(f"conversion: dtype must be 'float32' or 'float64', got {dtype!r}")
    if not (np.isfinite(v_init) and v_init < 1):
        raise ModelError(f"conversion: v_init must be below the threshold 1, got {v_init}")
    folded = fold_batch_norm(graph)
    head, segments = cut(folded)
    inputs = np.asarray(graph.as_inputs(calibration_x))
    scales = layer_scales(folded, inputs, rule=rule, percentile=percentile)
    populations, projections, relays = [], [], relay_chain(INPUT, head, GatedMaxPool)
    before = 1.0
    for s in segments:
        own = 1.0 if s.is_output else scales[s.name]
        weights, bias = scaled(s.layer, s.bias(), before, own)
        model, values = ("accumulator", {}) if s.is_output else ("if", {"v_threshold": 1.0, "v_init": v_init})
        populations.append(Population(s.name, s.shape, model, {**values, "bias": bias}, dtype))
        projections.append(Projection(s.source, s.name, synapses(s.layer, weights.astype(dtype))))
        relays += relay_chain(s.name, s.pools, GatedMaxPool)
        before = own
    network = Network([Input(INPUT, folded.input_shape)], populations, projections, relays,
                      readout=Readout(segments[-1].name, "membrane"), dt_ms=dt_ms)  # fmt: skip
    rows = [{"layer": name, "scale": np.asarray(scale).tolist()} for name, scale in scales.items()]
    return network, {"mapping": "rate_if", "calibration": calibration_record(calibration, inputs), "rule": rule,
                     "percentile": percentile if rule == "percentile" else None, "v_init": v_init,
                     "layers": rows}  # fmt: skip


def scaled(layer, bias, before, own):
    """Scale weights and bias of a layer.

    Parameters
    ----------
    layer : Conv2d or Dense
        Weights.
    bias : numpy.ndarray
        Per channel, or a map.
    before, own : float or numpy.ndarray
        Scale of the layer before and of this layer, one number or one per channel.

    Returns
    -------
    tuple of numpy.ndarray
        float64 weights and bias.
    """
    weights = layer.weights.astype(np.float64)
    if np.ndim(before):
        # Behind a Flatten the channel is the fastest index of a dense layer's inputs.
        n = weights.shape[2] if isinstance(layer, Conv2d) else weights.shape[0]
        before = np.tile(before, n // len(before))[:, None]
    return weights * before / own, bias.astype(np.float64) / own
