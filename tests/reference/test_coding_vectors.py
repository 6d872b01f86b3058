"""The twins hold the reference's worked numbers (2.10): what the engines are compared with is itself compared."""

import numpy as np
import pytest

from tests.reference import coding
from tests.reference import coding_conversion as conversion
from tests.reference import coding_inputs as inputs
from tests.reference import coding_pools as pools


def alone(neurons, given, steps):
    """Drive one neuron with {step: input}; return its amplitudes and its membrane after every step."""
    neurons.start(1)
    sent, v = [], []
    for t in range(steps):
        sent.append(float(neurons.step(np.array([given.get(t, 0.0)], neurons.dtype), t)[0]))
        v.append(float(neurons.v[0]))
    return sent, v


TTFS = [
    (20.0, 0.0, 80, {1.0: 0, 0.99: 1, 0.9: 3, 0.75: 6, 0.5: 14, 0.25: 28, 0.1: 47, 0.05: 60, 0.02: 79, 0.0193: 79, 0.0192: None}),
    (5.0, 0.0, 20, {0.9: 1, 0.75: 2, 0.5: 4, 0.25: 7, 0.1: 12, 0.05: 15, 0.0224: 19, 0.022: None}),
    (19.455557, -2.0043764, 80, {1.0: 0, 0.9: 1, 0.5: 12, 0.1: 43, 0.02: 75}),
]  # fmt: skip


@pytest.mark.parametrize("tau, delay, window, wanted", TTFS)
def test_ttfs_times(tau, delay, window, wanted):
    frames = inputs.ttfs_input(list(wanted), window, window, tau, delay, dtype=np.float32)
    assert [(i, t) for t, i, _ in sorted(coding.spikes(frames), key=lambda s: s[1])] == [
        (i, n) for i, n in enumerate(wanted.values()) if n is not None
    ]
    for gated in (True, False):  # a hidden neuron whose window opens at 3 with that membrane
        neurons = coding.Ttfs(opens=3, window=window, tau=tau, delay=delay)
        neurons.start(len(wanted))
        cell = np.array(list(wanted), np.float32)
        late = window + 3
        sent = neurons.gated(cell) if gated else np.array([neurons.step(cell * (t == 0), t) for t in range(late)])
        assert coding.spikes(sent) == [(t + 3, i, a) for t, i, a in coding.spikes(frames)], gated


def test_ttfs_decoded():
    frames = inputs.ttfs_input([0.9, 0.5, 0.1], 80, 80, 20.0)
    assert frames.sum(axis=0) == pytest.approx([0.860708, 0.496585, 0.095369], abs=5e-7)
    assert inputs.kernel(1, 19.455557, -2.0043764) == pytest.approx([0.902106], abs=5e-7)


def test_phase_input():
    frames = inputs.phase_input([0.7, 0.3, 0.003, 1.0], 16, dtype=np.float32)
    assert frames[:8, 0].tolist() == [1 / 2, 0, 1 / 8, 1 / 16, 0, 0, 1 / 128, 1 / 256]
    assert frames[:8].sum(axis=0).tolist() == [0.69921875, 0.296875, 0.0, 255 / 256]
    assert (frames[8:] == frames[:8]).all()


@pytest.mark.parametrize("x, wanted", [
    (1.0, [0.125, 0.25, 0.5, 0.0]), (0.7, [0.125, 0.25, 0.0]), (0.5, [0.125, 0.25, 0.0]), (0.3, [0.125, 0.0]), (0.1, [0.0]),
])
def test_burst_input(x, wanted):
    assert inputs.burst_input([x], 12, dtype=np.float32)[:, 0].tolist() == (wanted * 12)[:12]


def test_rate():
    sent, v = alone(coding.Rate(theta=0.4, height=1.0), dict.fromkeys(range(12), 0.3), 12)
    assert [t for t, a in enumerate(sent) if a] == [1, 4, 7, 11]
    assert set(sent) == {0.0, 1.0}
    assert (v[7], v[11]) == pytest.approx((-0.6, -0.4), abs=1e-6)


def test_burst():
    sent, v = alone(coding.Burst(theta=0.4), {0: 3.0}, 6)
    assert sent == pytest.approx([0.4, 0.8, 1.6, 0, 0, 0])
    assert v[-1] == pytest.approx(0.2, abs=1e-6)
    sent, v = alone(coding.Burst(theta=0.125), {0: 1.1}, 8)
    assert sent == [0.125, 0.25, 0.5, 0, 0.125, 0, 0, 0]  # the doubled threshold holds at the first silent step
    assert v[-1] == pytest.approx(0.1, abs=1e-6)


def test_phase():
    sent, v = alone(coding.Phase(theta=1.0), {0: 0.8}, 8)
    assert sent == [0, 0.5, 0.25, 0, 0, 0.03125, 0.015625, 0]
    assert v[-1] == pytest.approx(0.003125, abs=1e-6)
    sent, _ = alone(coding.Phase(theta=1.0), {5: 0.3}, 16)
    found = {t: a for t, a in enumerate(sent) if a}
    assert found == {5: 2.0**-5, 6: 2.0**-6, 7: 2.0**-7} | {t: 2.0 ** -(t - 8) for t in range(11, 16)}


def test_kernel_optimisation():
    x = np.array([[0.9, 0.5, 0.3, 0.1, 0.05, 0, 0, 0]])
    s = np.array([[3, 14, 25, 47, 60, -1, -1, -1]])
    x_min = conversion.smallest(x, silent=True)
    assert conversion.loss_precision(x, s, 20, 0) == pytest.approx(1.09946e-4, rel=1e-5)
    assert conversion.loss_minimum(x_min, 20, 0, 80) == pytest.approx(1.67731e-4, rel=1e-5)
    g1, g2 = conversion.tau_steps(x, s, x_min, 20, 0, 80)
    assert (g1, g2) == pytest.approx((1.21625e-4, -6.70925e-5), rel=1e-5)
    tau = 20 + 10 * g1 + 100 * g2
    assert tau == pytest.approx(19.994507, abs=1e-6)
    assert conversion.loss_maximum(conversion.largest(s, 20, 0), 20, 0) == pytest.approx(9.70113e-3, rel=1e-5)
    assert conversion.td_step(conversion.largest(s, tau, 0), tau, 0) == pytest.approx(-0.00696829, rel=1e-5)


def test_steps_descend_their_losses():
    """With targets held, the steps are minus the derivatives of the losses (precision: where all terms are positive)."""
    x, s, tau, td, h = np.array([[0.9, 0.55, 0.3]]), np.array([[3, 14, 25]]), 18.0, -1.5, 1e-5
    x_min, x_max = np.array([0.3]), np.array([0.7])
    g1, g2 = conversion.tau_steps(x, s, x_min, tau, td, 79)

    def slope(loss, at):
        return -(loss(at + h) - loss(at - h)) / (2 * h)

    z = conversion.decoded(s, tau, td)
    terms = ((x - z) * z * (s - td)).ravel()
    assert slope(lambda a: conversion.loss_precision(x, s, a, td), tau) == pytest.approx(terms.mean() / tau**2, rel=1e-6)
    assert g1 == terms[terms > 0].mean() / tau**2
    assert slope(lambda a: conversion.loss_minimum(x_min, a, td, 79), tau) == pytest.approx(g2, rel=1e-6)
    assert slope(lambda a: conversion.loss_maximum(x_max, tau, a), td) == pytest.approx(
        conversion.td_step(x_max, tau, td), rel=1e-6
    )


def test_percentiles_and_scales():
    a = np.random.default_rng(0).normal(0.5, 1, (37, 6)).clip(0)
    assert conversion.per_neuron(a) == pytest.approx(np.percentile(a, 99.9, axis=0), rel=1e-14)
    assert conversion.pooled_scale(a) == pytest.approx(np.percentile(a, 99.9), rel=1e-14)
    assert conversion.layer_scale(a) == conversion.per_neuron(a).max() > conversion.pooled_scale(a)
    assert conversion.thresholds(a).max() == 1.0
    assert conversion.channel_scale(np.hstack([a[:, :1], 0 * a[:, :1], a[:, 1:2], 0 * a[:, :1]]), 2)[1] == 1.0


def test_pools():
    def through(kind, frames):
        pool = pools.Pool(kind, (2, 2, 1))
        pool.start()
        return [float(pool.step(np.array(now))[0]) for now in frames]

    frames = [[1.0, 0, 0, 1.0], [0, 0, 0, 1.0], [0.5, 4.0, 0, 0], [2.0, 0, 0, 0]]
    assert through("gated", frames) == [1.0, 1.0, 4.0, 0.0]
    assert through("max", frames) == [1.0, 1.0, 4.0, 2.0]
    assert through("average", frames) == [0.5, 0.25, 1.125, 0.5]
    assert through("earliest", frames) == [1.0, 0, 0, 0]
