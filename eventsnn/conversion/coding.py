"""ReLU network to neurons of a multi-spike code: rate, phase or burst, behind any input code of many spikes."""

import numpy as np

from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.normalise import normalise
from eventsnn.conversion.pairs import MULTI_SPIKE, check_pair
from eventsnn.conversion.parts import relay_chain, synapses
from eventsnn.conversion.segments import INPUT, cut
from eventsnn.errors import ModelError, did_you_mean
from eventsnn.network import READOUTS, BiasDrive, Input, Network, Population, Projection, Readout
from eventsnn.relays import GatedMaxPool, StepMaxPool
from eventsnn.settings import check_choice, check_number

MAX_POOLS = {"gated": GatedMaxPool, "step": StepMaxPool}
THRESHOLDS = {"rate": 1.0, "phase": 1.0, "burst": 0.125}


def to_coding(
    graph, calibration_x, *, input_code, hidden_code, neurons=None, thresholds=None, calibration="calibration",
    rule="percentile", percentile=99.9, output=None, statistics=None, max_pool="gated", readout="membrane", input_period=None,
    input_scale=None, bias_period=None, dt_ms=1.0, dtype="float32",
):  # fmt: skip
    """Convert a trained ReLU network to neurons of one multi-spike code.

    Parameters
    ----------
    graph : LayerGraph
        Trained network; batch norm is folded, dropout left out.
    calibration_x : array_like, shape (n, *input_shape)
        Inputs from which the scales are taken, in [0, 1], as the network takes them.
    input_code : {"constant", "poisson", "phase", "burst"}
        The encoder in front.
    hidden_code : {"rate", "phase", "burst"}
        The neuron model of all hidden layers; see ``conversion.pairs`` for the pairs that are refused.
    neurons : dict, optional
        Parameters of that model, but for ``bias``, which is the ReLU network's. Default ``v_threshold``: 1, of burst 1/8;
        ``amplitude`` of rate: the threshold.
    thresholds : dict, optional
        Layer name -> ``v_threshold`` of that layer, a number or one for each neuron, for example from ``neuron_thresholds``.
    calibration : str, optional
        Name of the calibration data, for the report.
    rule, percentile, output, statistics
        Scale of each layer; see ``layer_scales``. ``output`` is by default True where the output layer spikes: only then must its
        values fit in [0, 1].
    max_pool : {"gated", "step"}, optional
        A max pool passes the position that has sent most so far, or the largest amplitude of each step.
    readout : {"membrane", "count", "first_spike"}, optional
        Output layer that integrates only; or one that spikes in the hidden code, read by summed amplitudes or by the first spike.
    input_period : int, optional
        Steps in which the input code says each value once: the encoder's period or reload; default 1 (constant, poisson),
        that of phase-coded layers (phase), else 8.
    input_scale : float, optional
        Factor on the input's weights; default: that with which a value arrives once per cycle; see Notes.
    bias_period : int, optional
        Biases act at steps t with t mod bias_period = 0; default: the cycle.
    dt_ms : float, optional
        Length of a step, ms.
    dtype : {"float32", "float64"}, optional
        Precision of the populations and weights.

    Returns
    -------
    tuple of Network and dict
        The network (grid clock, one input), and the report: codes, cycle, input_scale, bias_period, scale and threshold of each
        layer, the calibration set with its hash.

    Raises
    ------
    ModelError
        If a layer cannot be converted (named), a pair of codes is refused, or an option is out of range.

    Notes
    -----
    A **cycle** is the number of steps that stand for one evaluation of the ReLU network: the period of phase-coded hidden
    layers, else ``input_period``.  In a cycle every input value arrives once and every bias once, so the summed amplitudes
    of a neuron per cycle tend to its activation divided by the layer's scale (neural-coding 2.1 - 2.5, 2.9).  The published
    code has ``neurons`` with v_threshold 0.4 and amplitude 1 (rate) or first "whole" (phase), ``bias_period=1`` behind
    burst input, and ``input_scale=1`` behind Poisson input with phase-coded layers.
    """
    _check_options(input_code, hidden_code, max_pool, readout, dtype, input_scale)
    inputs = np.asarray(graph.as_inputs(calibration_x))
    spikes = readout != "membrane"
    normalised, report = normalise(
        fold_batch_norm(graph), inputs, calibration=calibration, rule=rule, percentile=percentile,
        output=spikes if output is None else output, statistics=statistics, dtype=dtype,
    )  # fmt: skip
    head, segments = cut(normalised)
    if head and input_code == "constant":
        head[0].complain("pools the input, and a pool takes spikes: use input code poisson, phase or burst")
    own = _neurons(hidden_code, neurons, thresholds, [s.name for s in segments if spikes or not s.is_output])
    cycle, said = _cycle(input_code, hidden_code, own, input_period)
    scale = said / cycle if input_scale is None else float(input_scale)
    every = cycle if bias_period is None else _whole(bias_period, "bias_period")
    populations, projections, drives, relays = [], [], [], relay_chain(INPUT, head, MAX_POOLS[max_pool])
    for index, s in enumerate(segments):
        model, values = (hidden_code, own[s.name]) if s.name in own else ("accumulator", {})
        bias, weights = s.bias().astype(np.float64), s.layer.weights
        if every == 1 and model != "phase":
            values = {**values, "bias": bias}
        elif bias.any():
            drives.append(BiasDrive(s.name, bias, every))
        populations.append(Population(s.name, s.shape, model, values, dtype))
        projections.append(Projection(s.source, s.name, synapses(s.layer, weights if index else _rescaled(weights, scale))))
        relays += relay_chain(s.name, s.pools, MAX_POOLS[max_pool])
    network = Network([Input(INPUT, normalised.input_shape)], populations, projections, relays, drives,
                      readout=Readout(segments[-1].name, readout), dt_ms=dt_ms)  # fmt: skip
    return network, {"mapping": hidden_code, "input": input_code, "cycle": cycle, "input_scale": scale, "bias_period": every,
                     "max_pool": max_pool, **report, "layers": _rows(report["layers"], own, hidden_code, cycle)}  # fmt: skip


def _check_options(input_code, hidden_code, max_pool, readout, dtype, input_scale):
    check_pair(input_code, hidden_code)
    if hidden_code not in MULTI_SPIKE:
        raise ModelError(f"conversion: hidden code {hidden_code!r} has a converter of its own; to_coding makes "
                         f"{', '.join(MULTI_SPIKE)}")  # fmt: skip
    for name, value, allowed in (("max_pool", max_pool, tuple(MAX_POOLS)), ("readout", readout, READOUTS),
                                 ("dtype", dtype, ("float32", "float64"))):  # fmt: skip
        check_choice(value, allowed, f"conversion: {name}")
    check_number(input_scale, "(0, inf)", "conversion: input_scale", float | None)


def _whole(value, name):
    number = not isinstance(value, bool) and isinstance(value, int | float | np.number)
    if not (number and np.isfinite(value) and value >= 1 and value == int(value)):
        raise ModelError(f"conversion: {name} must be a whole number of steps >= 1, got {value!r}")
    return int(value)


def _neurons(code, common, thresholds, layers):
    """Return the parameters of each spiking layer, by name."""
    for name, values in (("neurons", common), ("thresholds", thresholds)):
        if not isinstance(values or {}, dict):
            raise ModelError(f"conversion: {name} must be a dict, got {values!r}")
    common, thresholds = dict(common or {}), dict(thresholds or {})
    if "bias" in common:
        raise ModelError("conversion: neurons: bias is that of the ReLU network; remove it")
    for name in thresholds:
        if name not in layers:
            raise ModelError(f"conversion: thresholds: no spiking layer {name!r}{did_you_mean(name, layers)}; "
                             f"allowed: {', '.join(layers)}")  # fmt: skip
    own = {}
    for name in layers:
        threshold = thresholds.get(name, common.get("v_threshold", THRESHOLDS[code]))
        own[name] = {**common, "v_threshold": threshold}
        if code == "rate":
            own[name].setdefault("amplitude", threshold)
    return own


def _cycle(input_code, hidden_code, own, input_period):
    """Return the steps of a cycle, and those in which the input says each value once."""
    period = next(iter(own.values()), {}).get("period", 8) if hidden_code == "phase" else 8
    period = _whole(period, "neurons.period")
    if input_period is None:
        input_period = {"phase": period, "burst": 8}.get(input_code, 1)
    said = _whole(input_period, "input_period")
    return (period if hidden_code == "phase" else said), said


def _rescaled(weights, scale):
    return weights if scale == 1 else (weights.astype(np.float64) * scale).astype(weights.dtype)


def _rows(rows, own, code, cycle):
    """Add the thresholds to the report's rows (of a threshold per neuron its range), and how spikes are decoded."""
    scales = {row["layer"]: row["scale"] for row in rows}
    found = []
    for name in dict.fromkeys([*scales, *own]):
        row = {"layer": name, "scale": scales.get(name, 1.0)}
        if name in own:
            threshold = np.asarray(own[name]["v_threshold"], np.float64)
            row["v_threshold"] = [float(threshold.min()), float(threshold.max())] if threshold.ndim else float(threshold)
            row["decode"] = {"per": cycle, "largest": _largest(code, own[name], cycle)}
        found.append(row)
    return found


def _largest(code, values, cycle):
    """Return the largest sum of amplitudes in a cycle; None where the code has no bound."""
    if code == "rate":
        return cycle * float(np.max(values["amplitude"]))
    if code == "burst":
        return None
    first = 2.0 if values.get("first") == "whole" else 1.0
    return first * (1 - 2.0**-cycle) * float(np.max(values["v_threshold"]))
