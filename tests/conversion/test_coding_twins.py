"""Scales and kernel optimisation equal their twins, which are written from the reference alone."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import projections
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import Conv2d, Dense, Flatten, ReLU
from eventsnn.conversion.kernel_losses import LayerSums
from eventsnn.conversion.kernel_optimise import KernelOptimiser, Rules
from eventsnn.conversion.kernels import Kernels
from eventsnn.conversion.scales import layer_scales
from eventsnn.conversion.t2fsnn import Coding
from tests.properties.settings import examples
from tests.reference import coding
from tests.reference import coding_conversion as twin
from tests.reference import coding_inputs as inputs
from tests.reference.grid import list_synapses
from tests.strategies import seeds


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(3)
    layers = (Conv2d(name="c", weights=rng.normal(0.1, 0.4, (3, 3, 2, 3)), bias=rng.normal(0, 0.1, 3)), ReLU(), Flatten(),
              Dense(name="h", weights=rng.normal(0, 0.3, (48, 9)), bias=rng.normal(0, 0.1, 9)), ReLU(),
              Dense(name="o", weights=rng.normal(0, 0.4, (9, 4)), bias=rng.normal(0, 0.1, 4)))  # fmt: skip
    return LayerGraph((4, 4, 2), layers), rng.random((70, 4, 4, 2))


def activations(graph, x):
    """(name, weights, bias, activations in float64) of every layer; a convolution as a matrix."""
    a, found, shape = x.reshape(len(x), -1).astype(np.float64), [], graph.input_shape
    for layer, out in zip(graph.layers, graph.shapes):
        if hasattr(layer, "weights"):
            matrix = np.zeros((a.shape[1], int(np.prod(out))))
            dense = layer.weights.ndim == 2
            kind = projections.Dense(layer.weights) if dense else projections.Conv2d(layer.weights, padding=layer.padding)
            for i, j, w, _ in list_synapses(kind, shape, out):
                matrix[i, j] += w
            bias = np.tile(np.asarray(layer.bias, np.float64), matrix.shape[1] // len(layer.bias))
            sums = a @ matrix + bias
            a = np.maximum(sums, 0)
            found.append((layer.name, layer.weights, matrix, bias, sums if layer.name == "o" else a))
        shape = out
    return found


def scale_by(rule, weights, matrix, bias, a, before):
    """Scale of one layer by a rule; `before` is that of the layer before."""
    if rule == "neuron_percentile":
        return twin.layer_scale(a, 97.3)
    if rule == "percentile":
        return twin.pooled_scale(a, 97.3)
    if rule == "channel":
        return twin.channel_scale(a, weights.shape[-1], 97.3)
    if rule == "diehl":
        return twin.diehl_scale(a, weights)
    return a.max() if rule == "layer_max" else max(before * np.maximum(matrix, 0).sum(axis=0) + np.maximum(bias, 0))


@pytest.mark.parametrize("rule", ["neuron_percentile", "percentile", "layer_max", "channel", "diehl", "model"])
def test_scales(source, rule):
    graph, x = source
    found, before = layer_scales(graph, x, rule=rule, percentile=97.3), 1.0
    assert list(found) == ["c", "h"] if "o" not in found else found["o"] == 1
    for name, weights, matrix, bias, a in activations(graph, x)[:-1]:
        wanted = scale_by(rule, weights, matrix, bias, a, before)
        assert np.allclose(found[name], wanted, rtol=2e-6), name  # activations in float32
        before = wanted


def drawn(rng):
    """Activations with silent neurons, and steps of first spikes that fit them badly."""
    x = np.maximum(rng.uniform(-0.4, 1, (4, 9)), 0)
    s = rng.integers(0, 20, x.shape).astype(float)
    s[rng.random(x.shape) < 0.3] = np.inf
    return x, s


@examples(60)
@given(seeds(), st.floats(1, 30), st.floats(-4, 2), st.booleans(), st.booleans(), st.booleans())
def test_losses_and_steps(rng, tau, td, outlier, silent, end):
    x, s = drawn(rng)
    quirks = frozenset(name for name, on in (("silent_minimum", silent), ("window_end", end)) if on)
    sums = LayerSums(tau=tau, td=td, window=20, opens=7, outlier=outlier, quirks=quirks)
    for part in (slice(0, 1), slice(1, 4)):
        sums.add(x[part], s[part])
    own, last = np.where(np.isfinite(s), s, -1), 20 if end else 19
    x_min = twin.smallest(x, outlier, silent)
    g1, g2 = twin.tau_steps(x, own, x_min, tau, td, last)
    near = {"rel": 1e-9, "abs": 1e-14}
    assert sums.precision() == pytest.approx((twin.loss_precision(x, own, tau, td), g1), **near)
    assert sums.minimum() == pytest.approx((twin.loss_minimum(x_min, tau, td, last), g2), **near)
    for at in (tau, tau * 1.1):
        x_max = twin.largest(own, at, td)
        assert sums.maximum(at) == pytest.approx((twin.loss_maximum(x_max, at, td), twin.td_step(x_max, at, td)), **near)


def test_worked_example():
    """One sample of the reference (2.10), by the published rule: silent neurons count, the window ends at T_fd."""
    x = np.array([[0.9, 0.5, 0.3, 0.1, 0.05, 0, 0, 0]])
    s = np.array([[3, 14, 25, 47, 60, np.inf, np.inf, np.inf]])
    sums = LayerSums(20.0, 0.0, 80, 0, False, frozenset({"silent_minimum", "window_end"}))
    sums.add(x, s)
    assert sums.precision() == pytest.approx((1.09946e-4, 1.21625e-4), rel=1e-5)
    assert sums.minimum() == pytest.approx((1.67731e-4, -6.70925e-5), rel=1e-5)
    assert sums.maximum(20.0)[0] == pytest.approx(9.70113e-3, rel=1e-5)
    assert sums.maximum(19.994507)[1] == pytest.approx(-0.00696829, rel=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_steps_of_a_network(dtype):
    """Kernels after each batch: an own forward pass, own spikes, own losses, the steps of all layers."""
    rng = np.random.default_rng(11)
    sizes, names = (12, 10, 8, 4), ("in", "h1", "h2")
    w = [rng.normal(0.4 / n, 1.0 / np.sqrt(n), (n, m)) for n, m in pairwise(sizes)]
    b = [rng.normal(0, 0.05, m) for m in sizes[1:]]
    layers = [Dense(name="h1", weights=w[0], bias=b[0]), ReLU(), Dense(name="h2", weights=w[1], bias=b[1]), ReLU(),
              Dense(name="o", weights=w[2], bias=b[2])]  # fmt: skip
    x = rng.random((10, 12))
    tau, td = dict(zip(names, (6.0, 5.0, 4.0))), dict(zip(names, (0.0, -0.5, 0.5)))
    optimiser = KernelOptimiser(LayerGraph((12,), layers), x, Kernels(dict(tau), dict(td)), Coding(20, 20, dtype=dtype), tau=6.0,
                                rules=Rules(epochs=1, batch=5))  # fmt: skip
    for batch in (x[:5], x[5:]):
        record = optimiser.advance()
        targets = [batch, np.maximum(batch @ w[0] + b[0], 0)]
        targets.append(np.maximum(targets[1] @ w[1] + b[1], 0))
        first = [spike_steps(v, w, b, tau, td, np.dtype(dtype).type) for v in batch]
        total = np.zeros(3)
        for k, name in enumerate(names):
            s, own = np.array([of[k] for of in first]), (tau[name], td[name])
            x_min = twin.smallest(targets[k], outlier=True)
            g1, g2 = twin.tau_steps(targets[k], s, x_min, *own, 19)
            total[:2] += twin.loss_precision(targets[k], s, *own), twin.loss_minimum(x_min, *own, 19)
            tau[name] += 10 * g1 + 100 * g2
            if k:  # the input's td stays 0
                total[2] += twin.loss_maximum(twin.largest(s, *own), *own)
                td[name] += twin.td_step(twin.largest(s, tau[name], td[name]), tau[name], td[name])
        assert [record[key] for key in ("precision", "minimum", "maximum")] == pytest.approx(total, rel=1e-4)
        assert optimiser.kernels.tau == pytest.approx(tau, rel=1e-5)
        assert optimiser.kernels.td == pytest.approx(td, rel=1e-4, abs=1e-6)


def spike_steps(x, w, b, tau, td, dtype):
    """Steps of the first spikes of the input and both hidden layers within their windows of 20 steps, -1 where silent."""
    frames = inputs.ttfs_input(x, 20, 20, tau["in"], td["in"], dtype=dtype)
    layers = []
    for k, name in enumerate(("h1", "h2")):
        neurons = coding.Ttfs(dtype=dtype, opens=20 * (k + 1), window=20, tau=tau[name], delay=td[name])
        layers.append(coding.Layer(neurons, None, w[k].shape[:1], w[k].shape[1:], b[k]))
        layers[-1].rows = {i: (slice(None), row.astype(dtype)) for i, row in enumerate(w[k])}
    sent, _, _ = coding.simulate_gated(layers, frames)
    found = [np.full(n, -1) for n in (x.size, w[0].shape[1], w[1].shape[1])]
    for k, of in enumerate([frames, *sent]):
        for t, i, _ in coding.spikes(of):
            found[k][i] = t - 20 * k
    return found
