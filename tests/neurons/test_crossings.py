"""Crossings of the CUBA membrane: none missed, none late, bounds never late; brute force on a grid, and exact decimals."""

from decimal import Decimal, getcontext

import numpy as np
import pytest

from eventsnn.compile import jit_enabled, specialise
from eventsnn.neurons.crossing import bound, crossing, largest_response, state_after

RATIOS = (4.0, 2.0, 1.0, 1.0 - 1e-12, 1.0 - 1e-7, 10 / 9, 0.25, 1000.0, 0.001)
CHUNK, CHUNKS = (20_000, 6) if jit_enabled() else (20, 1)  # 9 ratios x 120,000 states
GRID = 400


def check_states(v, i, theta, tau_mem, tau_syn, largest, roots, report):
    """Per state: is the root late, missed, or invented against a grid of points; is the bound above it?"""
    for k in range(v.size):
        root = crossing(v[k], i[k], theta[k], tau_mem, tau_syn)
        roots[k] = root
        low = bound(v[k], i[k], theta[k], 0.0, tau_mem, largest)
        scale = 4e-15 * (abs(v[k]) + abs(i[k]) + abs(theta[k]))
        if low > root * (1.0 + 1e-15):
            report[0] += 1
        x = root * k / v.size if root < np.inf else 0.1 * k  # also from a later time on, short of the root
        v_then, i_then = state_after(v[k], i[k], x, tau_mem, tau_syn)
        low = x + bound(v_then, i_then, theta[k], 1e-14 * (abs(v[k]) + abs(i[k])), tau_mem, largest)
        if v[k] < theta[k] and low > root * (1.0 + 1e-15):
            report[0] += 1
        if root < np.inf and abs(state_after(v[k], i[k], root, tau_mem, tau_syn)[0] - theta[k]) > scale and v[k] < theta[k]:
            report[1] += 1
        end = min(root, 12.0 * max(tau_mem, tau_syn))
        for q in range(1, 400):
            if state_after(v[k], i[k], end * q / 400, tau_mem, tau_syn)[0] > theta[k] + scale and v[k] < theta[k]:
                report[2] += 1  # above threshold before the root: it is late, or was missed
                break


def draw(rng, n, tau_mem, tau_syn):
    """Return random states, a third with the threshold at the peak times (1 +- 10^-u), some below 0."""
    v, i = rng.uniform(-3, 0.99, n), rng.uniform(-3, 6, n)
    theta = np.where(rng.random(n) < 0.15, -rng.random(n), rng.uniform(0, 1, n))
    peaks = specialise(peak_of)
    near = rng.random(n) < 1 / 3
    top = np.zeros(n)
    peaks(v, i, tau_mem, tau_syn, top)
    factor = 1 + rng.choice([-1, 1], n) * 10.0 ** -rng.uniform(1, 15, n)
    theta = np.where(near & (top > 0), top * factor, theta)
    return v, i, np.maximum(theta, np.nextafter(v, np.inf))


def peak_of(v, i, tau_mem, tau_syn, out):
    """Find the largest V by bisection of the sign of its slope (0 where V falls from the start)."""
    for k in range(v.size):
        low, high = 0.0, 60.0 * max(tau_mem, tau_syn)
        if i[k] > v[k] and i[k] > 0:
            for _ in range(200):
                x = 0.5 * (low + high)
                if i[k] * np.exp(-x / tau_syn) > state_after(v[k], i[k], x, tau_mem, tau_syn)[0]:
                    low = x
                else:
                    high = x
            out[k] = state_after(v[k], i[k], low, tau_mem, tau_syn)[0]


@pytest.mark.parametrize("ratio", RATIOS)
def test_no_crossing_is_missed_or_late_and_no_bound_is_late(ratio):
    rng, kernel = np.random.default_rng(int(ratio * 1000)), specialise(check_states)
    tau_mem, tau_syn = 20.0, 20.0 / ratio
    for _ in range(CHUNKS):
        v, i, theta = draw(rng, CHUNK, tau_mem, tau_syn)
        roots, report = np.zeros(CHUNK), np.zeros(3, np.int64)
        kernel(v, i, theta, tau_mem, tau_syn, largest_response(tau_mem, tau_syn), roots, report)
        assert report.tolist() == [0, 0, 0]
        assert 0.05 < np.isfinite(roots).mean() < 0.95


def exact(v, i, x, tau_mem, tau_syn):
    """V(x) with 50 digits."""
    v, i, x, tm, ts = (Decimal(float(q)) for q in (v, i, x, tau_mem, tau_syn))
    if tm == ts:
        return (v + i * x / tm) * (-x / tm).exp()
    k = ts / (ts - tm)
    return (v - k * i) * (-x / tm).exp() + k * i * (-x / ts).exp()


def exact_peak(v, i, tau_mem, tau_syn):
    """Return the largest V with 50 digits, or V now."""
    dv, di, tm, ts = (Decimal(float(q)) for q in (v, i, tau_mem, tau_syn))
    if di <= dv or di <= 0:
        return dv
    low, high = Decimal(0), 60 * max(tm, ts)
    for _ in range(170):
        x = (low + high) / 2
        low, high = (x, high) if di * (-x / ts).exp() > exact(v, i, x, tau_mem, tau_syn) else (low, x)
    return exact(v, i, low, tau_mem, tau_syn)


@pytest.mark.parametrize("ratio", RATIOS)
def test_crossings_against_fifty_digits(ratio):
    getcontext().prec = 50
    rng = np.random.default_rng(99)
    tau_mem, tau_syn, n = 20.0, 20.0 / ratio, 250
    v, i, theta = draw(rng, n, tau_mem, tau_syn)
    kernel = specialise(roots_of)
    roots = np.zeros(n)
    kernel(v, i, theta, tau_mem, tau_syn, roots)
    for k in range(n):
        scale = Decimal(float(abs(v[k]) + abs(i[k]) + abs(theta[k])))
        limit = Decimal(float(theta[k]))
        if roots[k] == np.inf:
            if k < 80 and theta[k] >= 0:  # bisection with 50 digits is slow
                assert exact_peak(v[k], i[k], tau_mem, tau_syn) < limit + Decimal("1e-15") * scale
        else:
            residual = exact(v[k], i[k], roots[k], tau_mem, tau_syn) - limit
            assert abs(residual) <= Decimal("1.9e-15") * scale


def roots_of(v, i, theta, tau_mem, tau_syn, roots):
    """Solve all states."""
    for k in range(v.size):
        roots[k] = crossing(v[k], i[k], theta[k], tau_mem, tau_syn)


def test_awkward_states():
    kernel = specialise(roots_of)
    cases = [  # v, i, theta, tau_mem, tau_syn, root
        (0.5, 0.0, 0.5, 20.0, 5.0, 0.0),            # at threshold already
        (0.0, 0.0, 1.0, 20.0, 5.0, np.inf),         # nothing drives it
        (0.0, -5.0, 1.0, 20.0, 5.0, np.inf),
        (-1.0, 0.0, -0.5, 20.0, 5.0, 20.0 * np.log(2)),  # rests above the threshold, comes from below
        (-1.0, 0.0, 0.0, 20.0, 5.0, np.inf),        # reaches rest only in the limit
        (0.0, 1e300, 1.0, 20.0, 5.0, 20.0 / 1e300),
        (1.0 - 2**-53, 1e-3, 1.0, 20.0, 5.0, np.inf),
    ]
    for v, i, theta, tau_mem, tau_syn, expected in cases:
        out = np.zeros(1)
        kernel(*(np.array([q]) for q in (v, i, theta)), tau_mem, tau_syn, out)
        assert out[0] == pytest.approx(expected, rel=1e-12)
    assert largest_response(20.0, 20.0) == pytest.approx(np.exp(-1), rel=1e-15)
