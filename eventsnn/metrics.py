"""What a run is judged by; every definition is stated where it is computed."""

import numpy as np

from eventsnn.errors import DataError
from eventsnn.raster import SpikeRaster


def _pair(first, second, what):
    """Return two whole-number vectors of one length."""
    first, second = np.asarray(first), np.asarray(second)
    if first.ndim != 1 or first.shape != second.shape or first.dtype.kind not in "iu" or second.dtype.kind not in "iu":
        raise DataError(f"{what}: needs two lists of whole numbers of equal length, got {first.dtype} {first.shape} "
                        f"and {second.dtype} {second.shape}")  # fmt: skip
    if not first.size:
        raise DataError(f"{what}: needs at least one sample, got none")
    return first, second


def accuracy(prediction, labels):
    """Return the share of samples whose predicted class is the label.

    Parameters
    ----------
    prediction, labels : array_like of int, shape (n_samples,)
        Classes.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    DataError
        If lengths differ or there is no sample.

    Examples
    --------
    >>> accuracy([1, 2, 3, 4], [1, 2, 3, 0])
    0.75
    """
    first, second = _pair(prediction, labels, "accuracy")
    return float((first == second).mean())


def agreement(prediction, reference):
    """Return the share of samples on which two networks choose the same class, right or wrong; see :func:`accuracy`."""
    first, second = _pair(prediction, reference, "agreement")
    return float((first == second).mean())


def confusion_matrix(prediction, labels, n_classes):
    """Count samples by label and prediction.

    Parameters
    ----------
    prediction, labels : array_like of int, shape (n_samples,)
        Classes in [0, n_classes).
    n_classes : int
        Number of classes.

    Returns
    -------
    numpy.ndarray of int64, shape (n_classes, n_classes)
        Row: label; column: prediction.
    """
    first, second = _pair(prediction, labels, "confusion matrix")
    if min(first.min(), second.min()) < 0 or max(first.max(), second.max()) >= n_classes:
        raise DataError(f"confusion matrix: classes must lie in [0, {n_classes}), got {min(first.min(), second.min())} "
                        f"to {max(first.max(), second.max())}")  # fmt: skip
    return np.bincount(second * n_classes + first, minlength=n_classes**2).reshape(n_classes, n_classes)


def _count(value, n_samples):
    """Return (spikes, neurons times samples) of a raster or of a {"spikes", "neurons"} record."""
    if isinstance(value, SpikeRaster):
        return value.n_spikes, value.size * value.n_samples
    if n_samples is None:
        raise DataError("spikes per neuron: counts without rasters need n_samples")
    return int(value["spikes"]), int(value["neurons"]) * n_samples


def spikes_per_neuron(populations, n_samples=None):
    """Return the mean number of spikes of a neuron in one sample.

    Parameters
    ----------
    populations : dict of str to SpikeRaster or dict
        Spiking populations, each with its raster or its ``{"spikes": total over samples, "neurons": n}``.  For the
        published figure give the hidden populations alone (not inputs, pools and the output).
    n_samples : int, optional
        Number of samples; needed where no rasters are given.

    Returns
    -------
    dict
        ``total``: sum of spikes / (samples x sum of neurons); ``populations``: the same for each.

    Notes
    -----
    ttfs-relu-equivalence 2.9: for single-spike networks this is the share of neurons that fire.
    """
    counts = {name: _count(value, n_samples) for name, value in populations.items()}
    spikes, places = (sum(c[k] for c in counts.values()) for k in (0, 1))
    each = {name: s / n if n else 0.0 for name, (s, n) in counts.items()}
    return {"total": spikes / places if places else 0.0, "populations": each}


def silent_populations(populations):
    """Return the names of populations without a single spike in the whole run (input as for spikes_per_neuron)."""
    return [name for name, value in populations.items() if _count(value, 1)[0] == 0]


def saturated_share(raster, t_open=None):
    """Return the share of neurons at the end of their range, over all samples.

    Parameters
    ----------
    raster : SpikeRaster
        Output of one population.
    t_open : float, optional
        Opening of the window of a time-to-first-spike population, ms.

    Returns
    -------
    float
        With ``t_open``: neurons whose first spike is at the opening (activation at or above the window), of all
        neurons.  On the grid without ``t_open``: neurons that spike at 90 % of the steps or more.
    """
    places = raster.size * raster.n_samples
    if not places:
        return 0.0
    if t_open is not None:
        return float((raster.first_times() <= t_open).sum() / places)
    if raster.clock != "grid":
        raise DataError("saturation: a raster on the continuous clock needs t_open, the opening of its window")
    return float((raster.counts() >= 0.9 * raster.duration).sum() / places) if raster.duration else 0.0


def saturated_populations(rasters, opens=None, share=0.01):
    """Return the names of populations of which more than ``share`` of the neurons are saturated.

    Parameters
    ----------
    rasters : dict of str to SpikeRaster
        Output by population.
    opens : dict of str to float, optional
        Opening of the window by population, for time-to-first-spike networks.
    share : float, optional
        Bound on :func:`saturated_share`.

    Returns
    -------
    list of str
    """
    opens = opens or {}
    usable = {name: r for name, r in rasters.items() if name in opens or r.clock == "grid"}
    return [name for name, r in usable.items() if saturated_share(r, opens.get(name)) > share]


def latency_to_accuracy(times_ms, accuracies, target):
    """Return the first recording time at which the accuracy reaches a target.

    Parameters
    ----------
    times_ms : array_like, shape (n,)
        Recording times, ascending.
    accuracies : array_like, shape (n,)
        Accuracy at each.
    target : float
        Accuracy to reach.

    Returns
    -------
    float or None
        None if it is never reached.
    """
    reached = np.flatnonzero(np.asarray(accuracies) >= target)
    return float(np.asarray(times_ms)[reached[0]]) if reached.size else None


def _by_neuron(raster):
    """Return (sample * size + id, time in ms) of all spikes, sorted by neuron, then time."""
    samples = np.repeat(np.arange(raster.n_samples), np.diff(raster.offsets))
    place = samples * raster.size + raster.ids
    order = np.argsort(place, kind="stable")
    return place[order], raster.times_ms[order]


def intervals(raster):
    """Return all inter-spike intervals, pooled over samples and neurons.

    Parameters
    ----------
    raster : SpikeRaster
        Spikes.

    Returns
    -------
    numpy.ndarray of float64
        Intervals in ms between successive spikes of one neuron in one sample.
    """
    place, times = _by_neuron(raster)
    return np.diff(times)[np.diff(place) == 0]


def interval_variation(raster):
    """Return the coefficient of variation of the inter-spike intervals of each neuron in each sample.

    Parameters
    ----------
    raster : SpikeRaster
        Spikes.

    Returns
    -------
    numpy.ndarray of float64, shape (n_samples, size)
        Standard deviation / mean of the intervals (both over n intervals); NaN with fewer than two intervals.
    """
    place, times = _by_neuron(raster)
    same = np.diff(place) == 0
    gaps, owner, total = np.diff(times)[same], place[1:][same], raster.n_samples * raster.size
    n = np.bincount(owner, minlength=total)
    mean = np.bincount(owner, gaps, minlength=total) / np.maximum(n, 1)
    spread = np.bincount(owner, (gaps - mean[owner]) ** 2, minlength=total) / np.maximum(n, 1)
    usable = (n >= 2) & (mean > 0)
    out = np.full(total, np.nan)
    out[usable] = np.sqrt(spread[usable]) / mean[usable]
    return out.reshape(raster.n_samples, raster.size)
