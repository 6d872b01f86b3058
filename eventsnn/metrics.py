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


def saturation(counts, n_samples, steps=None):
    """Return how much of its range a population uses up.

    Parameters
    ----------
    counts : dict
        ``{"spikes", "neurons"}`` over all samples; of a gated population also "early", its spikes at the very opening of
        the window: activations that did not fit into it.
    n_samples : int
        Number of samples.
    steps : float, optional
        Length of a sample on the grid clock.

    Returns
    -------
    float
        In [0, 1]. Gated: the share of its spikes that are early. Grid: spikes per neuron and step. Otherwise 0.
    """
    if "early" in counts:
        return counts["early"] / counts["spikes"] if counts["spikes"] else 0.0
    places = counts["neurons"] * n_samples * (steps or 0)
    return counts["spikes"] / places if places else 0.0


def latency_to_accuracy(times_ms, accuracies, target, stays=False):
    """Return the first recording time at which the accuracy reaches a target.

    Parameters
    ----------
    times_ms : array_like, shape (n,)
        Recording times, ascending.
    accuracies : array_like, shape (n,)
        Accuracy at each.
    target : float
        Accuracy to reach.
    stays : bool
        Whether it must not fall below the target at any later recording time.

    Returns
    -------
    float or None
        None if it is never reached.
    """
    reached = np.asarray(accuracies) >= target
    if stays:
        reached = np.logical_and.accumulate(reached[::-1])[::-1]
    found = np.flatnonzero(reached)
    return float(np.asarray(times_ms)[found[0]]) if found.size else None


def error_bound(errors, n, confidence=0.95):
    """Return the exact upper confidence bound of a share (Clopper & Pearson, Biometrika 26, 1934).

    Parameters
    ----------
    errors, n : int
        Errors among n independent samples.
    confidence : float
        In (0, 1), one-sided.

    Returns
    -------
    float
        The share at which `errors` or fewer would have probability 1 - confidence; 1 where all are errors.
    """
    from scipy.stats import beta

    return 1.0 if errors >= n else float(beta.ppf(confidence, errors + 1, n - errors))
