"""Quantised ANN to an all-integer network: batch norm becomes thresholds, levels become signed spike counts."""

import numpy as np

from eventsnn.ann.quantised import ROUND_UP
from eventsnn.conversion.integer_blocks import blocks, tables
from eventsnn.conversion.parts import synapses
from eventsnn.conversion.segments import INPUT
from eventsnn.errors import ModelError
from eventsnn.network import Input, Network, Population, Projection, Readout
from eventsnn.settings import check_choice

LARGEST_INPUT = 2**15 - 1  # of ends: integer: whole inputs of 16 bits, of either sign
THRESHOLDS = ("exact", "fixed", "published", "float")
WIDTHS = ("int16", "int32", "int64")


def to_integer(
    graph, *, steps, thresholds="exact", levels=None, dtype="auto", ends="float", weight_bits=8,
    input_scale=256, dt_ms=1.0,
):  # fmt: skip
    """Convert a quantised network to signed neurons whose spike counts are its activation levels.

    Parameters
    ----------
    graph : LayerGraph
        See :func:`blocks`.
    steps : int
        Steps of a run.
    thresholds : {"exact", "fixed", "published", "float"}, optional
        See :func:`tables`.
    levels : int, optional
        Greatest level that a neuron can say, for which the widths are proven; default ``steps``. For a run that goes on until the
        queue is empty give more.
    dtype : {"auto", "int16", "int32", "int64"}, optional
        Of hidden populations; auto: the narrowest in which no membrane can overflow.
    ends : {"float", "integer"}, optional
        Encoder and classifier in float64, or also in whole numbers: weights rounded to ``weight_bits`` bits, inputs given
        as whole multiples of 1 / ``input_scale``.
    weight_bits : int, optional
        For ``ends="integer"``, 2 .. 16, sign included.
    input_scale : int, optional
        For ``ends="integer"``: the input x enters as round(input_scale x), which must lie within +- 32,767.
    dt_ms : float, optional
        Length of a step, ms.

    Returns
    -------
    tuple of Network and dict
        The network (grid clock; feed it x once, in the first step), and the report: per layer the dtype, the bound of the
        membrane, levels, mirrored and constant channels.

    Raises
    ------
    ModelError
        If a layer cannot be converted, an option is out of range, or a membrane might overflow the dtype asked for.

    Notes
    -----
    abs(V) <= max(S+, S-) a c: S+ and S- are the largest sums of positive and of negative weights of a neuron, a the
    amplitude and c the greatest count of a source, ``levels`` (all-integer-snn 4.4); of an encoder in whole numbers, whose
    inputs have either sign, (S+ + S-) 32,767. Levels of the network and of the ANN are equal once all spikes are delivered, if
    no ANN level exceeds ``levels`` (2.10).
    """
    _check(steps, thresholds, levels, dtype, ends, weight_bits, input_scale)
    parts, classifier = blocks(graph)
    levels = steps if levels is None else levels
    scale = float(input_scale) if ends == "integer" else None
    amplitude = 2 ** (parts[1].before - parts[0].act.k) if len(parts) > 1 else 1
    reach = amplitude * int(parts[0].act.top * 2 ** parts[0].act.k)  # greatest sum of amplitudes of one source
    chain = [_encoder(parts[0], amplitude, thresholds, scale, weight_bits)]
    for block in parts[1:]:
        chain.append(_hidden(block, reach, levels, thresholds, dtype))
        reach = levels
    chain.append(_classifier(classifier, reach, weight_bits if ends == "integer" else None))
    populations, weights, rows = zip(*chain)
    layers, names = [*(b.conv for b in parts), classifier], [INPUT, *(p.name for p in populations)]
    projections = [Projection(source, p.name, synapses(layer, w.astype(p.dtype)))
                   for source, p, layer, w in zip(names, populations, layers, weights)]  # fmt: skip
    network = Network([Input(INPUT, graph.input_shape)], populations, projections, readout=Readout(classifier.name, "membrane"),
                      dt_ms=dt_ms)  # fmt: skip
    return network, {"mapping": "integer", "thresholds": thresholds, "steps": steps, "levels": levels, "ends": ends,
                     "input_scale": scale or 1.0, "layers": list(rows)}  # fmt: skip


def _check(steps, thresholds, levels, dtype, ends, weight_bits, input_scale):
    """Refuse options out of range."""
    for name, value, least in (("steps", steps, 1), ("levels", steps if levels is None else levels, 1),
                               ("weight_bits", weight_bits, 2), ("input_scale", input_scale, 1)):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ModelError(f"integer network: {name} must be a whole number >= {least}, got {value!r}")
    if weight_bits > 16:
        raise ModelError(f"integer network: weight_bits must be at most 16, got {weight_bits}")
    for name, value, allowed in (("thresholds", thresholds, THRESHOLDS), ("dtype", dtype, ("auto", *WIDTHS)),
                                 ("ends", ends, ("float", "integer"))):  # fmt: skip
        check_choice(value, allowed, f"integer network: {name}")


def _encoder(block, amplitude, thresholds, scale, bits):
    """Return population, weights and report of the encoder; whole numbers if ``scale`` is given."""
    levels = int(block.act.top * 2**block.act.k)
    theta = block.thresholds(levels, 0.0 if thresholds in ("published", "float") else ROUND_UP)
    weights, kind, bound = block.conv.weights, "float64", None
    if scale is not None:
        weights, step = _rounded(weights, bits)
        theta, bound = np.ceil(theta * step * scale), _bound(np.abs(weights), LARGEST_INPUT)
        kind = _width("auto", block.conv.name, bound)
        theta = np.clip(theta, -bound - 1, bound + 1)
    population = Population(block.conv.name, block.shape, "thermometer", {"thresholds": theta, "amplitude": amplitude}, kind)
    return population, weights, _row(block, kind, levels, bound)


def _hidden(block, reach, levels, thresholds, dtype):
    """Return population, weights and report of a hidden layer."""
    weights, name = block.conv.weights, block.conv.name
    whole = bool((weights == np.round(weights)).all())
    if not whole and (dtype != "auto" or thresholds == "fixed"):
        block.conv.complain(f"its weights are no whole numbers; dtype '{dtype}' and thresholds '{thresholds}' need ternary "
                            "ones: TernaryConv2d, or convert.ternarise")  # fmt: skip
    up, down = tables(block, levels, thresholds, whole)
    kind, bound = "float64", None
    if whole:
        bound = _bound(weights, reach)
        kind = _width(dtype, name, max(bound, levels))  # counts have the membrane's dtype
        up, down = (np.clip(table, -bound - 1, bound + 1) for table in (up, down))
    return Population(name, block.shape, "signed", {"up": up, "down": down}, kind), weights, _row(block, kind, levels, bound)


def _classifier(layer, reach, bits):
    """Return population, weights and report of the output; whole numbers if ``bits`` is given."""
    weights, kind, bound = layer.weights.astype(np.float64), "float64", None
    if bits is not None:
        weights, _ = _rounded(weights, bits)
        bound = _bound(weights, reach)
        kind = _width("auto", layer.name, bound)
    row = {"layer": layer.name, "dtype": kind, "bound": bound}
    return Population(layer.name, (weights.shape[1],), "accumulator", {}, kind), weights, row


def _row(block, kind, levels, bound):
    """Return a layer's part of the report."""
    used = np.count_nonzero(block.conv.weights) / block.conv.weights.size
    return {"layer": block.conv.name, "dtype": kind, "levels": levels, "bound": bound, "scale": 2.0**-block.act.k,
            "decode": {"per": None, "largest": levels}, "constant_channels": int(np.count_nonzero(block.gamma == 0)),
            "nonzero_weights": float(used)}  # fmt: skip


def _rounded(weights, bits):
    """Return weights as whole numbers of so many bits, and the factor between."""
    step = (2 ** (bits - 1) - 1) / max(np.abs(weights).max(), np.finfo(np.float64).tiny)
    return np.round(weights * step), step


def _bound(weights, reach):
    """Return the greatest absolute membrane of any neuron; ``reach``: greatest sum of amplitudes of one source."""
    axes = tuple(range(weights.ndim - 1))
    sums = [np.maximum(sign * weights, 0).sum(axes).max() for sign in (1, -1)]
    return int(np.ceil(max(sums) * reach))


def _width(dtype, name, bound):
    """Return the narrowest integer dtype that holds a membrane, or the one asked for; ModelError where it overflows."""
    fitting = [width for width in WIDTHS if bound + 1 <= np.iinfo(width).max]
    if dtype == "auto" and fitting:
        return fitting[0]
    if dtype not in fitting:
        raise ModelError(f"layer '{name}': its membrane may reach {bound}, which overflows "
                         f"{WIDTHS[-1] if dtype == 'auto' else dtype}; use dtype {' or '.join(fitting) or 'float64'}, "
                         "fewer steps or fewer levels")  # fmt: skip
    return dtype
