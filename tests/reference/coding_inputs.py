"""Plain twins of the input codes (reference 2.2): values of one sample -> amplitudes (step, neuron), 0 where silent."""

import numpy as np


def real(x, steps, only_first=False):
    """The value itself, at every step or at the first."""
    frames = np.tile(np.asarray(x, np.float64), (steps, 1))
    frames[1 if only_first else steps :] = 0
    return frames


def poisson(x, draws, amplitude=1.0):
    """Spike where the value exceeds the draw of its step; draws (step, neuron)."""
    return np.where(np.asarray(x) > draws, amplitude, 0.0)


def phase_input(x, steps, period=8, dtype=np.float64):
    """Binary digits of the value, largest first: threshold 1/2, 1/4, ... within every period."""
    frames, v = np.zeros((steps, np.size(x))), None
    for t in range(steps):
        if t % period == 0:
            v = np.array(x, dtype)
        theta = dtype(2.0 ** -(1 + t % period))
        fired = v >= theta
        frames[t, fired] = theta
        v[fired] -= theta
    return frames


def burst_input(x, steps, threshold=0.125, growth=2.0, reload="silent", dtype=np.float64):
    """Bursts of growing amplitude; x (n,) or (samples, n), presented again every `reload` steps or after a silent step."""
    frames, v = np.zeros((steps, *np.shape(x))), np.array(x, dtype)
    base = theta = np.full(v.shape, threshold, dtype)
    for t in range(steps):
        if reload != "silent" and t % reload == 0:
            v, theta = np.array(x, dtype), base
        fired = v >= theta
        frames[t][fired] = theta[fired]
        v[fired] -= theta[fired]
        theta = np.where(fired, dtype(growth) * theta, base).astype(dtype)
        if reload == "silent" and not fired.any():
            v = np.array(x, dtype)
    return frames


def kernel(steps, tau, delay=0.0, later=0.0):
    """exp(-(n + later - delay) / tau) at n = 0, 1, ..., in float64."""
    return np.exp(-(np.arange(steps) + later - delay) / tau)


def first_crossing(v, table):
    """Smallest n with v >= table[n], or None."""
    for n, theta in enumerate(table):
        if v >= theta:
            return n
    return None


def ttfs_input(x, steps, window, tau, delay=0.0, theta0=1.0, later=0.0, dtype=np.float64):
    """One spike when the falling threshold meets the value, if that is not 0; it carries the value of the kernel."""
    frames, decoded = np.zeros((steps, np.size(x))), kernel(window, tau, delay).astype(dtype)
    table = (theta0 * kernel(window, tau, delay, later)).astype(dtype)
    for i, value in enumerate(np.asarray(x, dtype)):
        n = first_crossing(value, table)
        if n is not None and value > 0:
            frames[n, i] = decoded[n]
    return frames
