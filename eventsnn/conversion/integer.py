"""Quantised ANN to an all-integer network: batch norm becomes thresholds, levels become signed spike counts."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.layers import BatchNorm, Conv2d, Dense, Flatten
from eventsnn.ann.quantised import ROUND_UP, QuantReLU, TernaryConv2d, ternary
from eventsnn.conversion.parts import synapses
from eventsnn.conversion.segments import INPUT
from eventsnn.errors import ModelError, did_you_mean
from eventsnn.network import Input, Network, Population, Projection, Readout

THRESHOLDS = ("exact", "fixed", "published", "float")
SCALE = 10_000
WIDTHS = ("int16", "int32", "int64")
GUARD = 1e-5  # of the published comparison with the lower threshold


@dataclass(frozen=True, eq=False)
class Block:
    """Convolution, batch norm and rounding: one population.

    Parameters
    ----------
    conv : Conv2d
        Weights as they are used; channels whose gamma is negative are mirrored.
    beta, gamma, mean, sigma : ndarray, float64
        Batch norm per channel, gamma >= 0.
    act : QuantReLU
    shape : tuple of int
        (y, x, channel) of its output.
    before : int
        Fractional bits of its input: 2^before times an activation is a whole number.
    """

    conv: Conv2d
    beta: np.ndarray
    gamma: np.ndarray
    mean: np.ndarray
    sigma: np.ndarray
    act: QuantReLU
    shape: tuple
    before: int

    def step(self):
        """Return Delta per channel: how far apart thresholds are, in units of 2^before times the sums; 0 where gamma is 0."""
        unit = 2.0 ** (self.before - self.act.k) * self.sigma
        return np.divide(unit, self.gamma, out=np.zeros_like(unit), where=self.gamma > 0)

    def thresholds(self, levels, offset):
        """Return Theta_j, j = 1 .. levels, per channel in float64: level j needs 2^before times the sums >= Theta_j.

        ``offset`` is what the quantiser adds before it rounds.  A channel with gamma 0 has a constant level: its
        thresholds are minus or plus infinity.
        """
        need = np.arange(1, levels + 1)[:, None] - 0.5 - offset - 2.0**self.act.k * self.beta
        theta = need * self.step() + 2.0**self.before * self.mean
        return np.where(self.gamma > 0, theta, np.where(need > 0, np.inf, -np.inf))


def blocks(graph, ternarise=False):
    """Cut a quantised network into blocks and its classifier.

    Parameters
    ----------
    graph : LayerGraph
        Conv2d or TernaryConv2d (no bias), BatchNorm, QuantReLU, repeated; then Flatten and one Dense layer without bias.
    ternarise : bool, optional
        Make the weights of all convolutions but the first ternary, also where they were trained as floats.

    Returns
    -------
    tuple of list of Block, Dense

    Raises
    ------
    ModelError
        If a layer stands where it cannot.
    """
    found, layers, shapes = [], list(graph.layers), dict(zip((x.name for x in graph.layers), graph.shapes))
    while layers and isinstance(layers[0], Conv2d):
        if len(layers) < 3 or not isinstance(layers[1], BatchNorm) or not isinstance(layers[2], QuantReLU):
            layers[0].complain("must be followed by BatchNorm and QuantReLU, to become a layer of integer neurons")
        conv, norm, act = layers[:3]
        if conv.bias is not None:
            conv.complain("must have no bias: the batch norm behind it has one")
        found.append(_block(conv, norm, act, shapes[act.name], found, ternarise))
        layers = layers[3:]
    layers = [x for x in layers if not isinstance(x, Flatten)]
    if not found or len(layers) != 1 or not isinstance(layers[0], Dense) or layers[0].bias is not None:
        names = ", ".join(f"{x.name} ({type(x).__name__})" for x in layers) or "nothing"
        raise ModelError("integer network: blocks of Conv2d, BatchNorm and QuantReLU must be followed by one Dense layer "
                         f"without bias, got {names}")  # fmt: skip
    if found[0].act.top is None:
        found[0].act.complain("the encoder needs a top: the number of steps in which it says its level")
    return found, layers[0]


def _block(conv, norm, act, shape, found, ternarise):
    weights = conv.weights.astype(np.float64)
    if found and (ternarise or isinstance(conv, TernaryConv2d)):
        weights = ternary(conv.weights).astype(np.float64)
    mirrored = np.where(norm.gamma < 0, -1.0, 1.0)
    gamma, mean = norm.gamma * mirrored, norm.mean * mirrored
    sigma = np.sqrt(norm.variance.astype(np.float64) + norm.epsilon)
    plain = Conv2d(conv.name, weights * mirrored, None, conv.stride, conv.padding)
    before = 0
    if found:  # the encoder may be coarser: its spikes then carry several units
        before = max(found[-1].act.k, act.k) if len(found) == 1 else found[-1].act.k
    beta, gamma, mean = (x.astype(np.float64) for x in (norm.beta, gamma, mean))
    return Block(plain, beta, gamma, mean, sigma, act, shape, before)


def tables(block, levels, thresholds, whole):
    """Return the tables `up` and `down` of the signed neuron.

    Parameters
    ----------
    block : Block
    levels : int
        Rows.
    thresholds : {"exact", "fixed", "published", "float"}
        exact: ceil(Theta_j) with the quantiser's 1e-5 folded. fixed: at a scale of 10,000, half-open. published: step
        round(10^4 Delta), first threshold 10^4 round(Theta_1), strict comparisons, so that a membrane exactly at a
        threshold keeps its history. float: Theta_j unrounded, strict, with the published guard of 1e-5.
    whole : bool
        Whether the membrane is a whole number (ternary weights); then all four are whole numbers.

    Returns
    -------
    tuple of ndarray, shape (levels, channels), float64

    Notes
    -----
    Row j: from level j to level j + 1, and back (all-integer-snn 2.4, 2.5).
    """
    rows = np.arange(levels)[:, None]
    if thresholds == "exact":
        theta = block.thresholds(levels, ROUND_UP)
        up = np.ceil(theta) if whole else theta
        return up, up
    offset = ROUND_UP if thresholds == "fixed" else 0.0
    theta = block.thresholds(levels, offset)
    constant = block.gamma == 0  # no step
    first = np.where(constant, 0, theta[0])
    step = block.step()
    if thresholds == "fixed":
        up = np.floor((np.ceil(SCALE * first) - 1 + rows * np.round(SCALE * step)) / SCALE) + 1
        down = up
    else:
        exact = thresholds == "float"
        line = first + rows * step if exact else (SCALE * np.round(first) + rows * np.round(SCALE * step)) / SCALE
        guard = GUARD if exact else (0.0 if whole else GUARD / SCALE)
        up = np.floor(line) + 1 if whole else np.nextafter(line, np.inf)
        down = np.ceil(line - guard) if whole else line - guard
    return (np.where(constant, theta[:levels], x) for x in (up, down))


def to_integer(
    graph, *, steps, thresholds="exact", levels=None, ternarise=False, dtype="auto", ends="float", weight_bits=8,
    input_scale=256, dt_ms=1.0,
):  # fmt: skip
    """Convert a quantised network to signed neurons whose spike counts are its activation levels.

    Parameters
    ----------
    graph : LayerGraph
        See :func:`blocks`.
    steps : int
        Steps of a run, for which the widths are proven.
    thresholds : {"exact", "fixed", "published", "float"}, optional
        See :func:`tables`.
    levels : int, optional
        Greatest level that a neuron can say; default ``steps``. For a run that goes on until the queue is empty give more.
    ternarise : bool, optional
        Make hidden weights ternary that were trained as floats.
    dtype : {"auto", "int16", "int32", "int64"}, optional
        Of hidden populations; auto: the narrowest in which no membrane can overflow.
    ends : {"float", "integer"}, optional
        Encoder and classifier in float64, or also in whole numbers: weights rounded to ``weight_bits`` bits, inputs given
        as whole multiples of 1 / ``input_scale``.
    weight_bits : int, optional
        For ``ends="integer"``, 2 .. 16, sign included.
    input_scale : int, optional
        For ``ends="integer"``: the input x enters as round(input_scale x).
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
    amplitude and c the greatest count of a source, min(steps, levels) (all-integer-snn 4.4). Levels of the network and of
    the ANN are equal once all spikes are delivered, if no ANN level exceeds ``levels`` (2.10).
    """
    _check(steps, thresholds, levels, dtype, ends, weight_bits, input_scale)
    parts, classifier = blocks(graph, ternarise)
    levels = steps if levels is None else levels
    scale = float(input_scale) if ends == "integer" else None
    amplitude = 2 ** (parts[1].before - parts[0].act.k) if len(parts) > 1 else 1
    reach = amplitude * int(parts[0].act.top * 2 ** parts[0].act.k)  # greatest sum of amplitudes of one source
    chain = [_encoder(parts[0], amplitude, thresholds, scale, weight_bits)]
    for block in parts[1:]:
        chain.append(_hidden(block, reach, levels, thresholds, dtype))
        reach = min(steps, levels)
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
        if value not in allowed:
            raise ModelError(f"integer network: {name} must be one of {', '.join(allowed)}, got {value!r}"
                             f"{did_you_mean(value, allowed)}")  # fmt: skip


def _encoder(block, amplitude, thresholds, scale, bits):
    """Return population, weights and report of the encoder; whole numbers if ``scale`` is given."""
    levels = int(block.act.top * 2**block.act.k)
    theta = block.thresholds(levels, 0.0 if thresholds in ("published", "float") else ROUND_UP)
    weights, kind, bound = block.conv.weights, "float64", None
    if scale is not None:
        weights, step = _rounded(weights, bits)
        theta, bound = np.ceil(theta * step * scale), _bound(weights, 2 * scale)
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
                            "ones: TernaryConv2d, or ternarise")  # fmt: skip
    up, down = tables(block, levels, thresholds, whole)
    kind, bound = "float64", None
    if whole:
        bound = _bound(weights, reach)
        kind = _width(dtype, name, bound)
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
