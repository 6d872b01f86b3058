"""Van Rossum distance between spike trains, and the losses made from it, with their gradients.

A train is filtered with H(t) exp(-t / tau); the distance of two trains with filtered f and g is::

    D² = (1/tau) ∫ (f - g)² dt            one spike against none: D² = 1/2; equal trains: exactly 0, for every tau

=================  ======================================================================================================
normalisation      factor of D
=================  ======================================================================================================
``"van_rossum"``   1: the distance as published
``"elephant"``     √2: one spike against none is 1, as in the package elephant
=================  ======================================================================================================

Several neurons are labelled lines (their D² are added), a population (their spikes are pooled), or anything between, by the
cosine of the angle between neurons. On a grid, `grid_loss` is the loss L of the pattern learner: d filtered with factor kappa
per step, and L = sqrt(Σ d² / tau_syn) over all steps and neurons; without the factor of the step, so that L √dt is a distance
D for dt in seconds.

Everything is computed from spike times in one pass with decaying traces; the work is linear in the number of spikes.

Sources: van Rossum, Neural Computation 13 (2001); the traces, Houghton & Kreuz, Network 23 (2012); L, Schaefer & Joshi, ICONS
2020.
"""

import math

import numpy as np

from eventsnn.compile import specialise
from eventsnn.errors import DataError, did_you_mean
from eventsnn.gradients import van_rossum_kernels as kernels
from eventsnn.raster import SpikeRaster

NORMALISATIONS = {"van_rossum": 1.0, "elephant": math.sqrt(2.0)}


def distance(a, b, tau, *, normalisation="van_rossum", duration=None):
    """Return the van Rossum distance of two spike trains.

    Parameters
    ----------
    a, b : array_like
        Spike times, ms, in any order.
    tau : float
        Time constant, ms, from 0 (trains differ in every spike that is not shared) to infinity (in their counts).
    normalisation : {"van_rossum", "elephant"}
    duration : float, optional
        End of the window over which is integrated, ms; None: without end.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If times are not finite or lie behind the window, or the time constant is negative.
    """
    stop = _window(duration)
    return _factor(normalisation) * math.sqrt(_squared(_train("a", a, stop), _train("b", b, stop), _constant(tau), stop))


def distances(trains, tau, *, normalisation="van_rossum"):
    """Return the distances of all pairs of spike trains.

    Parameters
    ----------
    trains : SpikeRaster or list of array_like
        Neurons of a raster of one sample; or one array of times each, ms.
    tau : float
        Time constant, ms.
    normalisation : {"van_rossum", "elephant"}

    Returns
    -------
    array, shape (n, n)
        Symmetric, 0 on the diagonal and between equal trains.

    Notes
    -----
    Squared distances are sums whose rounding is about 1e-16 per spike; `distance` is the more exact for trains that are
    nearly equal.
    """
    times, ids, n = _events(trains)
    found, squares = np.zeros((n, n)), np.zeros(n)
    specialise(kernels.matrix_squared)(times, ids, n, _constant(tau), found, squares)
    specialise(kernels.matrix_distance)(found, squares, _factor(normalisation))
    return found


def raster_distance(a, b, tau, *, cosine=0.0, normalisation="van_rossum", windowed=False):
    """Return the distance of two rasters of one sample.

    Parameters
    ----------
    a, b : SpikeRaster
        Of equal size.
    tau : float
        Time constant, ms.
    cosine : float
        Of the angle between neurons, 0 (labelled lines) to 1 (one population).
    normalisation : {"van_rossum", "elephant"}
    windowed : bool
        Integrate up to the end of the rasters instead of without end.

    Returns
    -------
    float
        D of D² = (1 - cosine) Σ D²(neuron by neuron) + cosine D²(all spikes pooled).
    """
    _same_size(a, b)
    if not 0 <= cosine <= 1:
        raise DataError(f"cosine: must be from 0 to 1, got {cosine}")
    stop, squared = _stop(a, b, windowed), 0.0
    if cosine < 1:
        each = np.empty(a.size)
        specialise(kernels.pairs_squared)(*_by_neuron(a)[:2], *_by_neuron(b)[:2], _constant(tau), stop, each)
        squared += (1 - cosine) * float(np.sum(each))
    if cosine > 0:
        pooled = (np.sort(r.times_ms).astype(np.float64) for r in (a, b))
        squared += cosine * _squared(*pooled, _constant(tau), stop)
    return _factor(normalisation) * math.sqrt(squared)


def distance_gradient(found, wanted, tau, *, windowed=False):
    """Return the distance of two rasters (labelled lines) and its derivative in the spike times of the first.

    Parameters
    ----------
    found, wanted : SpikeRaster
        One sample each, of equal size.
    tau : float
        Time constant, ms.
    windowed : bool
        Integrate up to the end of the rasters instead of without end.

    Returns
    -------
    distance : float
    gradient : array, shape (n_spikes,)
        1/ms, in the order of `found.times`; 0 at ties, where the distance has a cusp, and where the distance is 0.

    Notes
    -----
    dD²/dt_a = (N_a - M_a) / tau with M_a and N_a the traces of what came before and of what comes later.
    """
    value = raster_distance(found, wanted, tau, windowed=windowed)
    times, ptr, order = _by_neuron(found)
    sorted_gradient, gradient = np.zeros(times.size), np.zeros(times.size)
    specialise(kernels.pairs_gradient)(times, ptr, *_by_neuron(wanted)[:2], _constant(tau), _stop(found, wanted, windowed),
                                       sorted_gradient)  # fmt: skip
    if value > 0:
        gradient[order] = sorted_gradient / (2 * value)
    return value, gradient


def grid_loss(found, wanted, kappa, tau_syn=5.0):
    """Return the published loss L of two grid rasters and its derivative in the grid cells of the first one's spikes.

    Parameters
    ----------
    found, wanted : SpikeRaster
        One sample each on the grid clock, of equal size and duration.
    kappa : float
        Decay of the filter per step, from 0 to below 1.
    tau_syn : float
        Time constant in the factor 1 / tau_syn, ms.

    Returns
    -------
    loss : float
        L = sqrt(Σ d² / tau_syn), tau_syn in seconds.
    gradient : array, shape (n_spikes,)
        dL/dz at each spike of `found`, in the order of `found.times`; 0 where L is 0.
    """
    _same_size(found, wanted)
    if found.clock != "grid" or wanted.clock != "grid" or found.duration != wanted.duration:
        raise DataError("grid_loss: needs two rasters on the grid clock of equal duration, got "
                        f"{found.duration} steps and {wanted.duration}")  # fmt: skip
    if not 0 <= kappa < 1 or not tau_syn > 0:
        raise DataError(f"grid_loss: kappa must be from 0 to below 1 and tau_syn > 0, got {kappa} and {tau_syn}")
    times, ptr, order = _by_neuron(found, steps=True)
    half, gradient = np.zeros(times.size), np.zeros(times.size)
    other = _by_neuron(wanted, steps=True)[:2]
    total = specialise(kernels.grid_pairs)(times, ptr, *other, float(kappa), int(found.duration), half)
    value = math.sqrt(total / (tau_syn * 1e-3))
    if value > 0:
        gradient[order] = half / (tau_syn * 1e-3 * value)
    return value, gradient


def _squared(a, b, tau, stop):
    out = np.empty(1)
    specialise(kernels.pairs_squared)(a, np.array([0, a.size]), b, np.array([0, b.size]), tau, stop, out)
    return float(out[0])


def _factor(normalisation):
    if normalisation not in NORMALISATIONS:
        raise DataError(f"normalisation: must be one of {', '.join(NORMALISATIONS)}, got {normalisation!r}"
                        f"{did_you_mean(normalisation, NORMALISATIONS)}")  # fmt: skip
    return NORMALISATIONS[normalisation]


def _constant(tau):
    if not tau >= 0:
        raise DataError(f"tau: the time constant must be from 0 ms on, got {tau}")
    return float(tau)


def _window(duration):
    if duration is not None and not duration > 0:
        raise DataError(f"duration: must be > 0 ms, got {duration}")
    return math.inf if duration is None else float(duration)


def _train(name, times, stop):
    times = np.sort(np.asarray(times, np.float64).reshape(-1))
    if times.size and not (np.isfinite(times).all() and times[-1] <= stop):
        raise DataError(f"{name}: spike times must be finite and lie in the window, got {times[0]} to {times[-1]} ms")
    return times


def _same_size(a, b):
    if a.size != b.size or a.n_samples != 1 or b.n_samples != 1:
        raise DataError(f"rasters must hold one sample and the same neurons, got {a.n_samples} and {b.n_samples} samples of "
                        f"{a.size} and {b.size} neurons")  # fmt: skip


def _stop(a, b, windowed):
    return min(r.duration * (r.dt_ms or 1.0) for r in (a, b)) if windowed else math.inf


def _by_neuron(raster, steps=False):
    """Times sorted by neuron, where each neuron begins, and the place of each in the raster."""
    ptr, order = np.zeros(raster.size + 1, np.int64), np.empty(raster.n_spikes, np.int64)
    specialise(kernels.order_by_neuron)(raster.ids.astype(np.int64), ptr, order)
    return (raster.times[order].astype(np.int64) if steps else raster.times_ms[order].astype(np.float64)), ptr, order


def _events(trains):
    """All spikes sorted by time, their trains, and how many trains there are."""
    if isinstance(trains, SpikeRaster):
        if trains.n_samples != 1:
            raise DataError(f"trains: must be a raster of one sample, got {trains.n_samples}")
        return trains.times_ms.astype(np.float64), trains.ids.astype(np.int64), trains.size
    arrays = [_train(f"train {k}", times, math.inf) for k, times in enumerate(trains)]
    times = np.concatenate([np.empty(0), *arrays])
    ids = np.repeat(np.arange(len(arrays)), [x.size for x in arrays])
    order = np.argsort(times, kind="stable")
    return times[order], ids[order], len(arrays)
