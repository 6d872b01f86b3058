"""The adjoint of ramps: ReLU units, early spikes, both ways of taking it, forced spikes."""

import itertools

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Population, Projection, Readout, SpikeRaster, run
from eventsnn.gradients import adjoint
from eventsnn.gradients.adjoint import LossGradient, gradient
from eventsnn.gradients.spike_losses import potential_cross_entropy
from tests.gradients.adjoint_cases import close, equal


def chain(weights, biases, windows, model="ramp_ungated", **more):
    """Dense layers of ramps and a readout."""
    populations, projections, opens = [], [], 1.0
    for k, (w, b) in enumerate(zip(weights, biases)):
        last = k == len(weights) - 1
        own = {"t_open": opens, "bias": b} | ({} if last else {"window": windows[k], **{n: v[k] for n, v in more.items()}})
        kind = "ramp_ungated_readout" if last else model
        populations.append(Population(f"p{k}", w.shape[1], kind, own, dtype="float64"))
        projections.append(Projection("x" if k == 0 else f"p{k - 1}", f"p{k}", Dense(w)))
        opens += 0.0 if last else windows[k]
    network = Network([Input("x", weights[0].shape[0])], populations, projections, readout=Readout(f"p{k}", "membrane"))
    return network, opens


def coded(x):
    """Activations as one spike each, the larger the earlier; 0 is silent."""
    rows, ids = np.nonzero(x)
    return SpikeRaster.from_events(1 - x[rows, ids], ids, None, rows, size=x.shape[1], duration=1.0, n_samples=len(x))


def layers(sizes, seed=0, n=6):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(a, b)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    biases = [rng.normal(size=b) * 0.05 for b in sizes[1:]]
    x = rng.random((n, sizes[0])) * (rng.random((n, sizes[0])) < 0.6)
    return weights, biases, x, rng.integers(0, sizes[-1], n)


def both(network, inputs, result, loss, monkeypatch):
    """The gradient by the dense chain, and neuron by neuron."""
    fast = gradient(network, inputs, result, loss)
    with monkeypatch.context() as patch:
        patch.setattr(adjoint, "takes_dense_chain", lambda *a: False)
        return fast, gradient(network, inputs, result, loss)


def test_ungated_ramps_have_the_gradient_of_relu_units(monkeypatch):
    weights, biases, x, labels = layers((70, 90, 40, 10))
    network, end = chain(weights, biases, (9.0, 12.0))
    inputs = {"x": coded(x)}
    result = run(network, inputs, duration=end)
    assert not any((result.rasters[f"p{k}"].times < t).any() for k, t in ((0, 1.0), (1, 10.0)))  # nothing is early
    loss = potential_cross_entropy(result, "p2", labels)
    a = [x]
    for w, b in zip(weights[:-1], biases[:-1]):
        a.append(np.maximum(a[-1] @ w + b, 0))
    z = a[-1] @ weights[-1] + biases[-1]
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    delta = (p - np.eye(10)[labels]) / len(x)
    for found in both(network, inputs, result, loss, monkeypatch):
        d = delta
        for k in (2, 1, 0):
            close(found.weights[k], a[k].T @ d)
            close(found.parameters[f"p{k}"]["bias"], d.sum(0))
            d = (d @ weights[k].T) * (a[k] > 0)
        rows, ids = np.nonzero(x)
        order = np.lexsort((ids, 1 - x[rows, ids], rows))
        close(found.input_times["x"], -(delta_at_input(delta, weights, a))[rows, ids][order], 1e-11)


def test_what_training_does_not_need_is_left_out(monkeypatch):
    weights, biases, x, labels = layers((7, 9, 3))
    network, end = chain(weights, biases, (9.0,))
    inputs = {"x": coded(x)}
    result = run(network, inputs, duration=end)
    loss = potential_cross_entropy(result, "p1", labels)
    whole = gradient(network, inputs, result, loss)
    for dense in (True, False):
        monkeypatch.setattr(adjoint, "takes_dense_chain", lambda *a, dense=dense: dense)
        found = gradient(network, inputs, result, loss, of_inputs=False)
        assert found.input_times == {} and np.isnan(found.delays[0])
        close(found.delays[1], whole.delays[1])
        for a, b in zip(found.weights, whole.weights):
            close(a, b)


def delta_at_input(delta, weights, a):
    """dloss/dx of a ReLU network."""
    for k in (2, 1):
        delta = (delta @ weights[k].T) * (a[k] > 0)
    return delta @ weights[0].T


@pytest.mark.parametrize("model", ["ramp_ungated", "ramp_alpha1"])
def test_early_ramps_agree_with_differences(model, monkeypatch):
    """Windows are far too small: many cross before they open; weights, biases, slopes and input times."""
    rng = np.random.default_rng(5)
    weights, biases, x, labels = layers((12, 9, 3), seed=2, n=3)
    more = {"slope": [rng.uniform(0.8, 1.5, 9)]} if model == "ramp_alpha1" else {"slope": [1.3]}

    def at(w, b, raster):
        network, end = chain([w, weights[1]], [b, biases[1]], (0.3,), model, **more)
        result = run(network, {"x": raster}, duration=end)
        return network, result, potential_cross_entropy(result, "p1", labels)

    raster = coded(x)
    network, result, loss = at(weights[0], biases[0], raster)
    early = result.rasters["p0"].times < 1.0
    assert early.sum() >= 4
    fast, found = both(network, {"x": raster}, result, loss, monkeypatch)
    equal(fast, found)
    h = 1e-6
    dw, db, dt = rng.normal(size=weights[0].shape), rng.normal(size=9), rng.uniform(-1, 1, raster.n_spikes)
    up, down = (at(weights[0] + s * dw, biases[0] + s * db, moved(raster, s * dt)) for s in (h, -h))
    for changed in (up, down):
        assert np.array_equal(np.sort(changed[1].rasters["p0"].ids), np.sort(result.rasters["p0"].ids))
    measured = (up[2].value - down[2].value) / (2 * h)
    exact = (found.weights[0] * dw).sum() + found.parameters["p0"]["bias"] @ db + found.input_times["x"] @ dt
    assert exact == pytest.approx(measured, rel=2e-8, abs=1e-8)
    assert found.min_slope["p0"][0] < 1.3 or model == "ramp_alpha1"


def moved(raster, by):
    return SpikeRaster(raster.times + by, raster.ids, size=raster.size, duration=raster.duration, offsets=raster.offsets)


def test_forced_and_saturated_spikes_have_no_derivative(monkeypatch):
    """A forced spike comes when the window closes, whatever the weights; a threshold below 0 is crossed at once."""
    for model, bias, w in (("ramp_alpha1", 0.0, -5.0), ("ramp_ungated", 9.0, 0.5)):
        network = Network([Input("x", 1)], [Population("n", 1, model, {"bias": bias}, dtype="float64")],
                          [Projection("x", "n", Dense([[w]]))])
        inputs = {"x": SpikeRaster([0.5], [0], size=1, duration=1.0)}
        result = run(network, inputs)
        assert result.rasters["n"].n_spikes == 1
        for found in both(network, inputs, result, LossGradient(0.0, {"n": np.ones(1)}), monkeypatch):
            assert found.weights[0] == 0 and found.input_times["x"] == 0 and found.parameters["n"]["bias"] == 0
