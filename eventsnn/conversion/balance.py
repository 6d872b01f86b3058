"""Threshold balancing: the threshold of each layer from the largest drive that it receives, layer after layer."""

from dataclasses import replace

import numpy as np

from eventsnn.conversion.hybrid import check_net, encode
from eventsnn.conversion.hybrid_build import build, nodes_of
from eventsnn.errors import ModelError
from eventsnn.random import key, uniform
from eventsnn.settings import check_choice, check_number

RULES = ("maximum", "percentile", "activation", "none")
# Input spikes of the images that run together.
SPIKES = 2**22


def balance(
    hybrid, x, *, rule="maximum", percentile=99.9, steps=1000, batch=512, scale=1.0, offset=0.0, decimals=None,
    default_threshold=1.0, seed=0, threads=1, progress=None,
):  # fmt: skip
    """Find the thresholds of a hybrid network.

    Parameters
    ----------
    hybrid : HybridNet
        Its weights, propagation, input and gain count; its thresholds do not.
    x : array_like, shape (n, *input_shape)
        Images to draw from, scaled as the network takes them; the rule ``none`` looks at none.
    rule : {"maximum", "percentile", "activation", "none"}, optional
        maximum: the largest drive of any neuron in any step. percentile: of the largest drives that the neurons received, one
        for each neuron and image. activation: of the activations of the ReLU network, no spikes. none: all thresholds are
        `default_threshold`, the network is to be trained from scratch.
    percentile : float, optional
        In (0, 100].
    steps, batch : int, optional
        Steps of a run, and images that are drawn for each layer.
    scale : float, optional
        Factor on the thresholds that were found, once all are; smaller for few steps, > 0. Neither it nor the next two go with
        the rule ``none``.
    offset : float, optional
        Added after that.
    decimals : int, optional
        Round to so many decimals, last of all; at most 12.
    default_threshold : float, optional
        Of the neurons of residual blocks, which are not balanced, scaled or shifted; > 0.
    seed : int, optional
        Of the draw of images and of Poisson spikes.
    threads : int, optional
    progress : callable, optional
        Called with (layers done, layers).

    Returns
    -------
    tuple of HybridNet and dict
        The network with its thresholds, and the report: options, and for each layer what was found and what became of it.

    Raises
    ------
    ModelError
        If no drive of a layer is positive (its threshold would be 0), a threshold is not positive after scale, offset and
        rounding, or an option is out of range.

    Notes
    -----
    For hidden layers k = 1 ... L in order: a fresh batch is drawn; layers below k fire with the thresholds found so far,
    unscaled; M_k = max over batch, neurons and steps of W_k z[t], starting at 0; theta_k = M_k. Leak 1, no dropout. After the
    last, theta_k = scale M_k for all k (hybrid-stdb 2.5), or round(scale M_k + offset, decimals) (H3). ``activation``:
    theta_k = a_k / a_(k-1) with a_k the percentile of the activations of layer k, a_0 = 1 / gain: rates are then those
    activations as parts of a_k, which is data-based normalisation written into thresholds.
    """
    check_net(hybrid)
    _check(rule, percentile, steps, batch, scale, offset, decimals, default_threshold)
    nodes = [node for node in nodes_of(hybrid.graph) if node.fires]
    plain = [k for k, node in enumerate(nodes) if not node.in_block] if rule != "none" else []
    found = np.full(len(nodes), float(default_threshold))
    x = hybrid.graph.as_inputs(x) if plain else x
    if plain and not len(x):
        raise ModelError("balancing: needs at least one image, got none")
    if rule == "activation":
        found[plain] = _activations(hybrid, x[_drawn(len(x), batch, seed, 0)], percentile, nodes)
    elif plain:
        leakless = replace(hybrid, leaks=None)
        for done, k in enumerate(plain):
            members = _drawn(len(x), batch, seed, k)
            trial = replace(leakless, thresholds=found)
            parts = _peaks(trial, k, x[members], members, steps, int(key(seed, "balance", k)) >> 1, threads)
            if rule == "maximum":
                largest = max(part.max() for part in parts)
            else:
                largest = np.percentile(np.concatenate(list(parts)), percentile)
            found[k] = _positive(largest, nodes[k].name)
            if progress is not None:
                progress(done + 1, len(plain))
    final = found.copy()
    final[plain] = scale * found[plain] + offset
    if decimals is not None:
        final[plain] = np.round(final[plain], decimals)
    report = {"rule": rule, "percentile": percentile if rule in ("percentile", "activation") else None, "steps": steps,
              "batch": min(batch, len(x)) if plain else 0, "scale": scale, "offset": offset, "seed": seed,
              "layers": [{"layer": node.name, "balanced": k in plain, "found": float(a), "threshold": float(b)}
                         for k, (node, a, b) in enumerate(zip(nodes, found, final))]}  # fmt: skip
    return replace(hybrid, thresholds=final), report


def _check(rule, percentile, steps, batch, scale, offset, decimals, default_threshold):
    check_choice(rule, RULES, "balancing: rule")
    for name, value, interval, kind in (
        ("steps", steps, "[1, inf)", int), ("batch", batch, "[1, inf)", int), ("decimals", decimals, "[0, 12]", int | None),
        ("scale", scale, "(0, inf)", float), ("default_threshold", default_threshold, "(0, inf)", float),
        ("offset", offset, "(-inf, inf)", float), ("percentile", percentile, "(0, 100]", float),
    ):  # fmt: skip
        check_number(value, interval, f"balancing: {name}", kind)
    if rule == "none" and (scale, offset, decimals) != (1.0, 0.0, None):
        raise ModelError("balancing: rule 'none' finds nothing to scale, shift or round; leave scale, offset and decimals away")


def _drawn(n, batch, seed, k):
    """Return the images of layer k: the first ones of a shuffle of its own."""
    return np.argsort(uniform(key(seed, "balance images"), k, 0, n), kind="stable")[:batch]


def _peaks(hybrid, k, x, members, steps, seed, threads):
    """Yield the largest drive of each neuron of layer k for each image, a few images at a time, shape (n, neurons)."""
    from eventsnn.engines import prepare, run

    network = prepare(build(hybrid, "float32", 1.0, False, peak=k))
    together = max(1, SPIKES // (steps * int(np.prod(x.shape[1:]))))
    for first in range(0, len(x), together):
        part = slice(first, first + together)
        made = encode(hybrid, x[part], steps=steps, seed=seed, sample_ids=members[part])
        yield run(network, {"input": made}, duration=steps, threads=threads, record=[]).readout


def _activations(hybrid, x, percentile, nodes):
    """Return a_k / a_(k-1) of the balanced layers."""
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.conversion.scales import layer_scales

    if any(node.in_block for node in nodes):
        raise ModelError("balancing: rule 'activation' scales layer by layer, and a residual block adds two layers of different "
                         "scale; use rule maximum or percentile")  # fmt: skip
    if hybrid.clip and hybrid.input == "poisson":  # what spikes at every step counts as that
        x = np.clip(x, -1 / hybrid.gain, 1 / hybrid.gain)
    scales = layer_scales(fold_batch_norm(hybrid.graph), x, rule="percentile", percentile=percentile, output=False)
    levels = [_positive(scales[node.name], node.name) for node in nodes]
    first = hybrid.gain if hybrid.input == "poisson" else 1.0
    return [a / b for a, b in zip(levels, [1 / first, *levels])]


def _positive(value, name):
    if not value > 0:
        raise ModelError(f"balancing: no drive of layer '{name}' is positive, so its threshold would be {float(value):g} and the "
                         "layer silent or never silent; run more steps or images, or look at its weights")  # fmt: skip
    return float(value)
