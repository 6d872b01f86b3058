"""ReLU network to ramps: spikes whose time is the activation, exactly; gated, ungated or alpha-1."""

import numpy as np

from eventsnn.conversion.fold import fold_batch_norm, fuse_input_range
from eventsnn.conversion.free_ramps import build_free, free_layers, largest_activations, rescale
from eventsnn.conversion.parts import refuse_maximum_of_means, relay_chain, synapses
from eventsnn.conversion.scales import layer_scales
from eventsnn.conversion.segments import INPUT, cut
from eventsnn.conversion.statistics import calibration_record
from eventsnn.errors import ModelError, did_you_mean
from eventsnn.network import Input, Network, Population, Projection, Readout
from eventsnn.relays import EarliestPool

WINDOW_RULES = ("fit", "fixed", "trained", "saved")
MAPPINGS = {"ramp": "ttfs_b1", "ramp_ungated": "ttfs_b1_ungated", "ramp_alpha1": "ttfs_alpha1"}
# The input code of ttfs.encode with window 1: hidden layer 1 opens when it is over.
INPUT_WINDOW = 1.0


def to_ramps(
    graph, calibration_x, *, calibration="calibration", rule="fit", zeta=0.5, windows=None, p=0.0, q=1.0,
    early="saturate", dtype="float32", model="ramp", alpha=1.0,
):  # fmt: skip
    """Map a trained ReLU network to ramp neurons.

    Parameters
    ----------
    graph : LayerGraph
        Trained network; batch norm directly behind weights is folded, dropout left out.
    calibration_x : array_like, shape (n, *input_shape), or None
        Inputs from which the windows are scanned, in [p, q], as the network takes them. None: nothing is scanned, for windows
        "fixed" or "trained".
    calibration : str, optional
        Name of these data, for the report.
    rule : {"fit", "fixed", "trained", "saved"}, optional
        Window R_n = (1 + zeta) X_n with X_n the largest activation of layer n; R_n = ``windows``; those that the network was
        trained with, ``graph.meta["windows"]``; or as "fit", with the X_n of an earlier scan, ``graph.meta["x_max"]``.
    zeta : float, optional
        Safety margin of "fit" and "saved", > -1.
    windows : float or sequence of float, optional
        For "fixed": one for all hidden layers, or one each, ms.
    p, q : float, optional
        Input range, fused into the first weights: the spiking network takes (x - p) / (q - p), see ``ttfs.encode``.
    early : {"saturate", "refuse"}, optional
        What an activation above its window does (gated ramps; the others spike before their window opens).
    dtype : {"float32", "float64"}, optional
        Precision of gated populations and weights; the others compute in float64.
    model : {"ramp", "ramp_ungated", "ramp_alpha1"}, optional
        Gated B1 (J = w, D = b, slope 1); the same without a gate, which may spike as soon as its threshold is met; or
        alpha-1 (J = alpha w / (1 - sum w), column sums rescaled), exactly one spike of every neuron.
    alpha : float, optional
        Slope of alpha-1 ramps without input, > 0, 1/ms.

    Returns
    -------
    tuple of Network and dict
        The network (continuous clock, readout of membranes at ``report["latency"]``), and the report: per hidden layer
        x_max, window, t_open, t_close (alpha-1: column sums and how many were rescaled); the calibration set with its hash.

    Raises
    ------
    ModelError
        If a layer cannot be mapped (named), or an option is out of range.

    Notes
    -----
    x_i = t_close - t_i = max(0, D_i + sum_j J_ij x_j); the window of layer n + 1 opens when that of layer n closes
    (ttfs-relu-equivalence 2.1, 2.2; M1 - M4, M6, M7, M9, M10).  In gated networks a max pool passes the earliest spike, an
    average pool passes each with its amplitude divided by the cell's area; neither takes time.  The other two take Dense and
    small Conv2d layers only.  Alpha-1 needs a spike of every input: ``ttfs.encode(x, silent=False)``.
    """
    _check_options(dtype, model, alpha, early)
    folded = fuse_input_range(fold_batch_norm(graph), p, q)
    head, segments = cut(folded)
    if calibration_x is None:
        _check_unscanned(rule)
        inputs = coded = None
    else:
        inputs = np.asarray(graph.as_inputs(calibration_x))
        coded = (inputs.astype(np.float64) - p) / (q - p)
    if model == "ramp":
        refuse_maximum_of_means(head, segments)
        free = None
        scales = {s.name: None for s in segments if not s.is_output} if coded is None else layer_scales(folded, coded)
    else:
        free = free_layers(head, segments)
        free = rescale(free) if model == "ramp_alpha1" else free
        scales = {x.name: None for x in free if not x.is_output}
        scales = scales if coded is None else largest_activations(folded, _not_empty(coded), free)
    if rule == "trained":
        windows = _kept(graph, "windows", scales, "trained", "learn: {rule: ttfs} leaves it as weights.h5")
    if rule == "saved":
        if model == "ramp_alpha1":
            raise ModelError("conversion: rule 'saved' has the X_n of gated and ungated ramps, alpha-1 rescales them; use 'fit'")
        found = _kept(graph, "x_max", scales, "saved", "convert: {to: ramps} leaves it as folded.npz")
        scales = dict(zip(scales, found))
    layers, opens = _table(_windows(rule, zeta, windows, scales), scales, model)
    rows = {row["layer"]: row for row in layers}
    scanned = None if inputs is None else calibration_record(calibration, inputs)
    report = {"mapping": MAPPINGS[model], "calibration": scanned, "rule": rule, "zeta": zeta,
              "input_range": [float(p), float(q)], "layers": layers, "latency": opens}  # fmt: skip
    if model == "ramp":
        return _build(folded, head, segments, rows, opens, early, dtype), report
    if model == "ramp_alpha1":
        report["alpha"] = float(alpha)
        _tell_rescaled(free, rows)
    return build_free(folded.input_shape, free, rows, opens, float(alpha) if model == "ramp_alpha1" else None), report


def _table(lengths, scales, model):
    """Return one row for each hidden layer, and when the last window is over."""
    layers, opens = [], INPUT_WINDOW
    for name, window in lengths.items():
        x_max = scales[name]
        layers.append({"layer": name, "x_max": x_max, "window": window, "t_open": opens, "t_close": opens + window,
                       "saturates": None if x_max is None else x_max > window, **_decoding(model, opens, window)})  # fmt: skip
        opens = opens + window
    return layers, opens


def _decoding(model, opens, window):
    """Say how spikes are read as activations: by amplitude, or by the time that is left (see `conversion.report`)."""
    if model == "ramp":
        return {"scale": 1.0, "decode": {"per": None, "largest": window}}
    return {"scale": 1.0, "decode": {"per": None, "largest": None, "close": opens + window}} if model == "ramp_ungated" else {}


def _check_options(dtype, model, alpha, early):
    """Refuse options out of range, and those that the model does not have."""
    if dtype not in ("float32", "float64"):
        raise ModelError(f"conversion: dtype must be 'float32' or 'float64', got {dtype!r}")
    if model not in MAPPINGS:
        raise ModelError(f"conversion: unknown ramp model {model!r}{did_you_mean(model, MAPPINGS)}; "
                         f"allowed: {', '.join(MAPPINGS)}")  # fmt: skip
    if not (np.isfinite(alpha) and alpha > 0):
        raise ModelError(f"conversion: alpha must be > 0, got {alpha}")
    if alpha != 1 and model != "ramp_alpha1":
        raise ModelError(f"conversion: alpha belongs to model 'ramp_alpha1', got alpha = {alpha} with {model!r}")
    if early != "saturate" and model != "ramp":
        raise ModelError(f"conversion: early = {early!r} belongs to gated ramps (model 'ramp'); {model!r} may spike early")


def _check_unscanned(rule):
    """Refuse to go without calibration data where windows come from them."""
    if rule == "fit":
        raise ModelError("conversion: rule 'fit' needs calibration samples; or take rule 'trained' or 'fixed'")


def _kept(graph, what, scales, rule, made):
    """Return one number for each hidden layer that the network carries in its `meta`."""
    kept = graph.meta.get(what)
    if not isinstance(kept, dict) or not all(isinstance(kept.get(name), int | float) and kept[name] > 0 for name in scales):
        raise ModelError(f"conversion: rule '{rule}' needs a network with its {what}, as a scenario with {made}; use rule 'fit' "
                         "or 'fixed'")  # fmt: skip
    return [kept[name] for name in scales]


def _not_empty(coded):
    if not len(coded):
        raise ModelError("conversion: needs at least one calibration sample, got none")
    return coded


def _tell_rescaled(free, rows):
    """Note the column sums of every hidden layer."""
    for layer in free:
        if not layer.is_output:
            sums = layer.column_sums()
            rows[layer.name] |= {"w_sum": [float(sums.min()), float(sums.max())],
                                 "rescaled": int(np.count_nonzero(layer.factor != 1))}  # fmt: skip


def _windows(rule, zeta, windows, scales):
    """Return {hidden layer: window length}."""
    if rule not in WINDOW_RULES:
        raise ModelError(f"conversion: unknown window rule {rule!r}{did_you_mean(rule, WINDOW_RULES)}; "
                         f"allowed: {', '.join(WINDOW_RULES)}")  # fmt: skip
    if rule in ("fit", "saved"):
        if not (np.isfinite(zeta) and zeta > -1):
            raise ModelError(f"conversion: zeta must be > -1, got {zeta}")
        return {name: float((1 + zeta) * x_max) for name, x_max in scales.items()}
    if windows is None:
        raise ModelError("conversion: rule 'fixed' needs windows: one length in ms, or one per hidden layer")
    lengths = np.asarray(windows, dtype=np.float64)
    if lengths.shape not in ((), (len(scales),)) or not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ModelError(f"conversion: windows must be > 0 ms, one for all or one for each of the {len(scales)} hidden "
                         f"layers, got {windows}")  # fmt: skip
    return {name: float(r) for name, r in zip(scales, np.broadcast_to(lengths, len(scales)))}


def _build(graph, head, segments, rows, latency, early, dtype):
    """Put populations, synapses and pools together."""
    populations, projections = [], []
    relays = relay_chain(INPUT, head, EarliestPool)
    for s in segments:
        bias = s.bias().astype(np.float64)
        if s.is_output:
            population = Population(s.name, s.shape, "ramp_readout", {"t_open": latency, "bias": bias}, dtype)
        else:
            row = rows[s.name]
            values = {"t_open": row["t_open"], "window": row["window"], "bias": bias, "early": early}
            population = Population(s.name, s.shape, "ramp", values, dtype)
        populations.append(population)
        projections.append(Projection(s.source, s.name, synapses(s.layer, s.layer.weights.astype(dtype))))
        relays += relay_chain(s.name, s.pools, EarliestPool)
    return Network([Input(INPUT, graph.input_shape)], populations, projections, relays,
                   readout=Readout(segments[-1].name, "membrane"))  # fmt: skip
