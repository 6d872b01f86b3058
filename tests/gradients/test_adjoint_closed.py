"""The adjoint against closed forms of first spike times, and against automatic differentiation through them."""

import numpy as np
import pytest
from scipy.special import lambertw

from eventsnn import Dense, Input, Network, Population, Projection, SpikeRaster, run
from eventsnn.gradients.adjoint import LossGradient, gradient
from tests.gradients.test_adjoint_user import Charge

TIMES, WEIGHTS = np.array([0.3, 1.1, 1.2, 2.0, 2.4]), np.array([0.9, 0.8, -0.3, 1.1, 0.7])


def first_spike(model, parameters, weights=WEIGHTS, times=TIMES):
    """Return (first spike time, its derivatives in weights, input times, parameters) of a neuron with an input per weight."""
    network = Network([Input("x", times.size)], [Population("n", 1, model, parameters, dtype="float64")],
                      [Projection("x", "n", Dense(weights[:, None]))])
    inputs = {"x": SpikeRaster(times, np.arange(times.size), size=times.size, duration=40.0)}
    result = run(network, inputs)
    seed = np.zeros(result.rasters["n"].n_spikes)
    seed[0] = 1.0
    found = gradient(network, inputs, result, LossGradient(0.0, {"n": seed}))
    return result.rasters["n"].times[0], found.weights[0][:, 0], found.input_times["x"], found.parameters["n"]


@pytest.mark.parametrize("tau, theta", [(1.0, 0.45), (2.5, 0.6), (0.7, 0.45)])
def test_equal_constants_are_the_lambert_form(tau, theta):
    """Goeltz et al. 2021 (and, with K = 1 / tau, Comsa et al. 2020): t = tau (b/a - W0(-(theta/a) e^(b/a)))."""
    t, dw, dt, _ = first_spike("cuba_lif", {"tau_mem": tau, "tau_syn": tau, "v_threshold": theta, "v_reset": -9.0})
    heard = t > TIMES
    assert heard.sum() >= 2
    e = np.where(heard, np.exp(TIMES / tau), 0.0)
    a, b = (WEIGHTS * e).sum(), (WEIGHTS * e * TIMES / tau).sum()
    w0 = lambertw(-(theta / a) * np.exp(b / a)).real
    np.testing.assert_allclose(t, tau * (b / a - w0), rtol=1e-13)
    np.testing.assert_allclose(dw, -e * (t - TIMES) / (a * (1 + w0)), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(dt, -WEIGHTS * e * (t - TIMES - tau) / (tau * a * (1 + w0)), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("tau_syn, theta", [(1.0, 0.3), (0.6, 0.3)])
def test_twice_the_constant_is_the_quadratic_form(tau_syn, theta):
    """Goeltz et al. 2021: t = 2 tau_s ln(2 a1 / (a2 + sqrt(a2^2 - 4 a1 theta)))."""
    t, dw, dt, own = first_spike("cuba_lif", {"tau_mem": 2 * tau_syn, "tau_syn": tau_syn, "v_threshold": theta, "v_reset": -9.0})
    heard = t > TIMES
    e1, e2 = (np.where(heard, np.exp(TIMES / (k * tau_syn)), 0.0) for k in (1, 2))
    a1, a2 = (WEIGHTS * e1).sum(), (WEIGHTS * e2).sum()
    root = np.sqrt(a2**2 - 4 * a1 * theta)
    np.testing.assert_allclose(t, 2 * tau_syn * np.log(2 * a1 / (a2 + root)), rtol=1e-13)
    by_a1 = 2 * tau_syn * (1 / a1 + 2 * theta / (root * (a2 + root)))
    by_a2 = -2 * tau_syn / root
    np.testing.assert_allclose(dw, by_a1 * e1 + by_a2 * e2, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(dt, WEIGHTS * (by_a1 * e1 / tau_syn + by_a2 * e2 / (2 * tau_syn)), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(own["v_threshold"], 4 * tau_syn * a1 / (root * (a2 + root)), rtol=1e-9)


def test_without_leak_it_is_mostafas_form():
    """Mostafa 2017: with z = e^t, z = sum J z_j / (sum J - theta), J the weight times tau = 1."""
    t, dw, dt, own = first_spike(Charge, {"tau": 1.0, "threshold": 1.2})
    heard = t > TIMES
    z, total = np.exp(TIMES), (WEIGHTS * heard).sum()
    np.testing.assert_allclose(np.exp(t), (WEIGHTS * z)[heard].sum() / (total - 1.2), rtol=1e-13)
    np.testing.assert_allclose(dw, np.where(heard, (z * np.exp(-t) - 1) / (total - 1.2), 0), rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(dt, np.where(heard, WEIGHTS * z * np.exp(-t) / (total - 1.2), 0), rtol=1e-11)
    np.testing.assert_allclose(own["threshold"], 1 / (total - 1.2), rtol=1e-11)


def test_a_ramp_is_the_rational_form():
    """t = (theta + alpha t_0 + sum J t_j) / (alpha + sum J), reference 4.5: dt/dJ = -(t - t_j) / g, dt/dt_j = J / g."""
    parameters = {"t_open": 30.0, "window": 5.0, "bias": 0.4, "alpha": 0.3, "slope": 0.2, "t_start": 0.5}
    t, dw, dt, own = first_spike("ramp_alpha1", parameters)
    heard, start = t > TIMES, np.maximum(TIMES, 0.5)
    theta, g = 0.2 * (5.0 - 0.4) + 0.3 * 29.5, 0.3 + (WEIGHTS * (t > TIMES)).sum()
    np.testing.assert_allclose(t, (theta + 0.3 * 0.5 + (WEIGHTS * start)[heard].sum()) / g, rtol=1e-13)
    np.testing.assert_allclose(dw, np.where(heard, -(t - start) / g, 0), rtol=1e-12)
    np.testing.assert_allclose(dt, np.where(heard & (TIMES >= 0.5), WEIGHTS / g, 0), rtol=1e-12)
    np.testing.assert_allclose([own["bias"][0], own["slope"][0]], [-0.2 / g, 4.6 / g], rtol=1e-12)


def test_two_layers_agree_with_automatic_differentiation():
    """A differentiable twin: the quadratic form of every neuron, differentiated by PyTorch, causal sets from the run."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    tau, sizes, shared = 1.0, (7, 5, 3), {"tau_mem": 2.0, "tau_syn": 1.0, "v_reset": -50.0}
    w = [rng.uniform(0.1, 0.8, (sizes[k], sizes[k + 1])) for k in range(2)]
    theta = [rng.uniform(0.2, 0.3, n) for n in sizes[1:]]
    times = np.sort(rng.uniform(0, 2, sizes[0]))
    network = Network([Input("x", 7)], [Population(n, size, "cuba_lif", shared | {"v_threshold": th}, dtype="float64")
                                        for n, size, th in zip("ho", sizes[1:], theta)],
                      [Projection("x", "h", Dense(w[0]), delay=0.25), Projection("h", "o", Dense(w[1]), delay=0.5)])  # fmt: skip
    inputs = {"x": SpikeRaster(times, np.arange(7), size=7, duration=30.0)}
    result = run(network, inputs)
    assert all(result.rasters[n].counts().max() == 1 for n in "ho") and result.rasters["o"].n_spikes == 3

    leaves = [torch.tensor(a, requires_grad=True) for a in (*w, *theta, times)]
    w1, w2, theta1, theta2, x = leaves

    def layer(t, weights, threshold, delay):
        found, sources = [], t + delay
        for i in range(weights.shape[1]):
            for n in range(1, len(t) + 1):  # causal prefixes in the order of arrival; the first that fits its gap
                order = torch.argsort(sources)[:n]
                e1, e2 = torch.exp(sources[order] / tau), torch.exp(sources[order] / (2 * tau))
                a1, a2 = (weights[order, i] * e1).sum(), (weights[order, i] * e2).sum()
                inside = a2**2 - 4 * a1 * threshold[i]
                spike = 2 * tau * torch.log(2 * a1 / (a2 + torch.sqrt(inside))) if inside > 0 else None
                later = torch.sort(sources)[0][n] if n < len(t) else np.inf
                if spike is not None and sources[order[-1]] <= spike < later:
                    found.append(spike)
                    break
        return torch.stack(found)

    out = layer(layer(x, w1, theta1, 0.25), w2, theta2, 0.5)
    factors = torch.tensor([0.7, -1.3, 0.4])
    (out * factors).sum().backward()
    raster = result.rasters["o"]
    np.testing.assert_allclose(raster.times, out.detach().numpy()[raster.ids], rtol=1e-12)
    found = gradient(network, inputs, result, LossGradient(0.0, {"o": factors.numpy().astype(float)[raster.ids]}))
    pairs = [(found.weights[0], w1), (found.weights[1], w2), (found.parameters["h"]["v_threshold"], theta1),
             (found.parameters["o"]["v_threshold"], theta2), (found.input_times["x"], x)]  # fmt: skip
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-9, atol=1e-12)
