"""The network that DECOLLE leaves behind, for the event engine: traces, membranes, spikes and local readouts as populations."""

import numpy as np

from eventsnn import quantise
from eventsnn.learning.decolle.plan import make_plan, weight_levels
from eventsnn.network import Input, Network, Population, Projection, Readout, Relay
from eventsnn.projections import Conv2d, Dense, Sparse
from eventsnn.relays import StepMaxPool

INPUT = "events"


def to_network(result, layer=None):
    """Build the network of a learned result.

    Parameters
    ----------
    result : DecolleResult
    layer : int, optional
        Layer (from 1) whose readout gives the answer; default the last.

    Returns
    -------
    Network
        On the grid, float64. For each layer k: ``trace{k}``, ``membrane{k}``, ``spikes{k}``, ``activation{k}`` and
        ``readout{k}``, whose score is the largest in the most steps wins (readout ``vote``).

    Notes
    -----
    With every width set, weights, traces and activations are whole numbers times a power of two or one common factor: sums are
    exact in any order, and the engine's spikes are those of the learner in ``precision: float64``, bit for bit. In floating point
    the learner's convolution adds in another order than the engine: spikes can differ where u is within rounding of 0.
    """
    settings = result.settings
    plans = make_plan(settings, result.in_shape, result.classes)
    nodes = {"populations": [], "projections": [], "relays": []}
    source, start = INPUT, settings.steps(settings.burn_in) + 1 if settings.burn_in else 0
    for plan, weights, biases in zip(plans, result.weights, result.biases):
        source = _add_layer(nodes, plan, settings, source, _used(settings, weights), _used(settings, biases), start)
    channels, height, width = result.in_shape
    answer = Readout(f"readout{layer or len(plans)}", "vote")
    return Network([Input(INPUT, (height, width, channels))], **nodes, readout=answer, dt_ms=settings.dt_ms)


def _used(settings, x):
    """Weights in steps of the grid on which they are used."""
    x = np.asarray(x, np.float64)
    if quantise.is_on(settings.bits["gb"]):
        x = quantise.clip(x, settings.bits["gb"])
    grid = weight_levels(settings.bits)
    return x if grid is None else quantise.weights(x, settings.bits["wb"]) * grid


def _add_layer(nodes, plan, settings, source, weights, biases, start):
    k, bits, place = plan.number, settings.bits, (1, 2, 0)
    shape, pooled = (tuple(s[a] for a in place) for s in (plan.shape, plan.pooled))
    constants = {n: getattr(plan, n).transpose(place) for n in ("alpha", "beta", "p_gain", "q_gain")}
    held = {"p_most": plan.p_most, "q_most": plan.q_most, "p_rounded": float(bits["pb"] is not None),
            "q_rounded": float(bits["qb"] is not None)}  # fmt: skip
    free = settings.pq_cap == 1 and bits["pb"] is None and bits["qb"] is None
    membrane = {
        "bias": biases * plan.bias_gain, "gain": plan.gain, "gamma": plan.gamma, "threshold": settings.threshold,
        "r_step": 0.0 if bits["rfb"] is None else plan.r_step,
        "u_steps": 0.0 if bits["ub"] is None else quantise.levels(bits["ub"]) - 1,
        "u_bound": 8.0 if "wide_membrane" in settings.quirks else 1.0,
    }  # fmt: skip
    readout = {
        "scale": plan.readout_scale,
        "levels": 0.0 if bits["ab"] is None else quantise.levels(bits["ab"]),
        "start": float(start),
    }
    made = (
        (f"trace{k}", tuple(plan.in_shape[a] for a in place), "decolle_trace", constants | ({} if free else held)),
        (f"membrane{k}", shape, "decolle_membrane", membrane),
        (f"spikes{k}", shape, "decolle_spike", {"threshold": settings.threshold}),
        (f"activation{k}", pooled, "decolle_activation", {"levels": 0.0 if bits["sig"] is None else 2.0 ** bits["sig"]}),
        (f"readout{k}", (len(plan.readout),), "decolle_readout", readout),
    )
    nodes["populations"] += [Population(*row, "float64") for row in made]
    spikes, u = f"spikes{k}", f"membrane{k}"
    if plan.layer.pool > 1:
        nodes["relays"] += [
            Relay(f"pool{k}", spikes, StepMaxPool(plan.layer.pool)),
            Relay(f"top{k}", u, StepMaxPool(plan.layer.pool)),
        ]
        spikes, u = f"pool{k}", f"top{k}"
    to_classes = plan.readout.reshape(-1, *plan.pooled).transpose(0, 2, 3, 1).reshape(len(plan.readout), -1).T
    nodes["projections"] += [
        _wires(source, f"trace{k}", plan.in_shape),
        Projection(f"trace{k}", f"membrane{k}", Conv2d(weights.transpose(2, 3, 1, 0), padding=plan.layer.padding)),
        _wires(f"membrane{k}", f"spikes{k}", plan.shape),
        _wires(u, f"activation{k}", plan.pooled),
        Projection(f"activation{k}", f"readout{k}", Dense(to_classes)),
    ]
    return spikes


def _wires(source, target, shape):
    ids = np.arange(int(np.prod(shape)))
    return Projection(source, target, Sparse(ids, ids, 1.0))
