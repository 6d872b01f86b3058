"""Losses of spike times and potentials, with their derivatives: what `eventsnn.gradients.adjoint.gradient` starts from.

Every function takes the run and returns a `LossGradient`; values are means over samples. Neurons that do not spike have no spike
time and hence no derivative: what helps them is a regulariser of its own, `silent_lift`.

Sources: softmax over first spike times, Goeltz et al., Nature Machine Intelligence 3 (2021); distance, van Rossum, Neural
Computation 13 (2001).
"""

import numpy as np

from eventsnn.errors import DataError
from eventsnn.gradients.adjoint import LossGradient
from eventsnn.gradients.van_rossum import distance_gradient


def first_spike_cross_entropy(result, population, labels, tau, *, early=0.0, tau_early=None):
    """Return the cross-entropy of a softmax over minus the first spike times: the class that spikes first is the answer.

    Parameters
    ----------
    result : RunResult
    population : str
        One neuron per class.
    labels : array_like of int, (n_samples,)
    tau : float
        Time constant of the softmax, ms, > 0.
    early : float
        Factor of an additional term that draws the first spike of the right class to early times, >= 0.
    tau_early : float, optional
        Time constant of that term, ms; None: tau.

    Returns
    -------
    LossGradient

    Raises
    ------
    DataError
        If labels or constants do not fit.

    Notes
    -----
    L = log sum_k exp(-t_k / tau) + t_y / tau + early (exp(t_y / tau_early) - 1), y the label. A silent neuron counts as spiking
    at the end of the run, where nothing moves it.
    """
    raster = _raster(result, population)
    labels, tau = _labels(labels, raster), _positive("tau", tau)
    tau_early = tau if tau_early is None else _positive("tau_early", tau_early)
    first = raster.first_times()
    t = np.where(np.isfinite(first), first, raster.duration)
    value, share = _softmax(-t / tau, labels)
    wanted = t[np.arange(len(t)), labels]
    slope = -share / tau
    if early:
        value += early * np.mean(np.expm1(wanted / tau_early))
        slope[np.arange(len(t)), labels] += early * np.exp(wanted / tau_early) / tau_early
    return LossGradient(float(value), {population: _at_first(raster, slope / len(t))})


def spike_time_error(result, population, wanted):
    """Return half the squared error of first spike times, summed over neurons.

    Parameters
    ----------
    result : RunResult
    population : str
    wanted : array_like, (n_samples, size)
        Times, ms; NaN where any will do. A silent neuron counts as spiking at the end of the run.

    Returns
    -------
    LossGradient
    """
    raster = _raster(result, population)
    wanted = np.asarray(wanted, np.float64)
    if wanted.shape != (raster.n_samples, raster.size):
        raise DataError(f"wanted: must have shape {(raster.n_samples, raster.size)}, got {wanted.shape}")
    first = raster.first_times()
    error = np.nan_to_num(np.where(np.isfinite(first), first, raster.duration) - wanted)
    return LossGradient(float(0.5 * (error**2).sum() / len(error)), {population: _at_first(raster, error / len(error))})


def potential_cross_entropy(result, population, labels):
    """Return the cross-entropy of a softmax over the potentials at the end of the run.

    Parameters
    ----------
    result : RunResult
        With the population's membrane as readout.
    population : str
    labels : array_like of int, (n_samples,)

    Returns
    -------
    LossGradient
    """
    labels = _labels(labels, _raster(result, population))
    value, share = _softmax(np.asarray(result.readout, np.float64), labels)
    return LossGradient(float(value), potentials={population: share / len(labels)})


def van_rossum_error(result, population, wanted, tau):
    """Return the squared van Rossum distance of all spikes to wanted ones, labelled lines, without end.

    Parameters
    ----------
    result : RunResult
    population : str
    wanted : SpikeRaster
        Of the same samples and neurons.
    tau : float
        Time constant, ms.

    Returns
    -------
    LossGradient
    """
    raster = _raster(result, population)
    if wanted.n_samples != raster.n_samples:
        raise DataError(f"wanted: must hold {raster.n_samples} samples, got {wanted.n_samples}")
    value, parts = 0.0, []
    for k in range(raster.n_samples):
        distance, slope = distance_gradient(raster.sample(k), wanted.sample(k), tau)
        value += distance * distance
        parts.append(2.0 * distance * slope)
    return LossGradient(value / raster.n_samples, {population: np.concatenate([np.zeros(0), *parts]) / raster.n_samples})


def silent_lift(network, result, populations, strength):
    """Return the regulariser ``lift`` of silent neurons: its value, and its derivative in the weights of every projection.

    Parameters
    ----------
    network : Network
    result : RunResult
    populations : iterable of str
        Whose silent neurons are lifted.
    strength : float
        >= 0.

    Returns
    -------
    value : float
    slopes : tuple of (ndarray or None)
        To be added to `Gradients.weights`.

    Notes
    -----
    R = -strength sum_i q_i sum_j w_ij, q_i the share of samples in which neuron i is silent: every synapse of a silent neuron
    is drawn up alike. q counts as a constant.
    """
    value, slopes = 0.0, []
    silent = {name: (_raster(result, name).counts() == 0).mean(axis=0) for name in populations}
    for projection in network.projections:
        if strength == 0.0 or projection.target not in silent:
            slopes.append(None)
            continue
        share, synapses = silent[projection.target], projection.synapses
        if hasattr(synapses, "targets"):
            slope, weights = share[synapses.targets], synapses.synapse_weights()
        else:
            slope, weights = np.broadcast_to(share, synapses.weights.shape), synapses.weights
        value -= strength * float((slope * weights).sum())
        slopes.append(-strength * slope)
    return value, tuple(slopes)


def _softmax(scores, labels):
    """Return the mean cross-entropy and (p - y)."""
    scores = scores - scores.max(axis=1, keepdims=True)
    share = np.exp(scores)
    share /= share.sum(axis=1, keepdims=True)
    rows = np.arange(len(scores))
    value = -np.mean(np.log(np.maximum(share[rows, labels], np.finfo(float).tiny)))
    share[rows, labels] -= 1.0
    return value, share


def _at_first(raster, slope):
    """Put a derivative per (sample, neuron) at each neuron's first spike."""
    cell = raster.sample_of_spike() * raster.size + raster.ids
    spikes, places = np.unique(cell, return_index=True)
    found = np.zeros(raster.n_spikes)
    found[places] = slope.reshape(-1)[spikes]
    return found


def _raster(result, population):
    if population not in result.rasters:
        raise DataError(f"loss: the result holds no raster of {population!r}, it holds {', '.join(result.rasters) or 'none'}")
    return result.rasters[population]


def _labels(labels, raster):
    labels = np.asarray(labels)
    if labels.shape != (raster.n_samples,) or labels.dtype.kind not in "iu":
        raise DataError(f"labels: must be {raster.n_samples} whole numbers, got shape {labels.shape} of {labels.dtype}")
    if labels.size and (labels.min() < 0 or labels.max() >= raster.size):
        raise DataError(f"labels: must be from 0 to {raster.size - 1}, got {labels.min()} to {labels.max()}")
    return labels.astype(np.int64)


def _positive(name, value):
    if not value > 0:
        raise DataError(f"{name}: must be > 0 ms, got {value}")
    return float(value)
