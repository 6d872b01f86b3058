"""Anytime inference: rules by which a sample ends before its run does, and what they cost.

A rule is a callable (steps done, steps of the run, readout (n,)) -> bool, asked at every recording point
(`run(..., record_every=k, exit_rule=rule)`). `ProvenBound` (in `anytime_bound`) leaves when no class can overtake the leader any
more: the class is that of the whole run, always. `Margin` leaves when the leader is far enough ahead: how far is calibrated on
one set of samples, its error is stated on another.
"""

from dataclasses import dataclass

import numpy as np

from eventsnn.errors import ModelError


@dataclass(frozen=True)
class Margin:
    """Leave when the readout of the leader exceeds that of every rival by `margin` (membranes and counts).

    Parameters
    ----------
    margin : float
        In units of the readout, as accumulated so far; see `calibrate`.
    """

    margin: float

    def __call__(self, done, steps, readout):
        """Return whether the lead is large enough."""
        return bool(leads(readout) >= self.margin)


def leads(readout):
    """Return how far the leader is ahead of the second.

    Parameters
    ----------
    readout : ndarray (..., n)

    Returns
    -------
    ndarray (...)
        Not below 0; infinite with one class only.
    """
    if readout.shape[-1] < 2:
        return np.full(readout.shape[:-1], np.inf)
    top = np.partition(readout, readout.shape[-1] - 2, axis=-1)
    return top[..., -1] - top[..., -2]


def calibrate(points, tolerance=0.001):
    """Find the smallest margin with which, and with any larger one, few samples would leave with another class than at the end.

    Parameters
    ----------
    points : Points
        Of whole runs (no early exit) on the calibration samples.
    tolerance : float
        Share of these samples that may leave with another class, in [0, 1).

    Returns
    -------
    Margin
        State its error on other samples: `outcome` of a `replay`.

    Raises
    ------
    ModelError
        If there are no samples, the readout is of first spikes, or the tolerance is out of range.

    Notes
    -----
    A sample leaves at point p for margins in (largest lead before p, lead at p]. The intervals in which it leaves with another
    class are summed over samples, and the sum is followed from above down to where it first exceeds the tolerance: exact, no
    grid of candidates.
    """
    if not 0 <= tolerance < 1:
        raise ModelError(f"early exit: tolerance must lie in [0, 1), got {tolerance}")
    if points.readout is None or not len(points.readout) or not np.isfinite(points.readout).all():
        raise ModelError("early exit: a margin needs at least one sample and a readout of membranes or counts")
    lead = leads(points.readout[:, :-1])
    before = np.maximum.accumulate(np.concatenate([np.full((len(lead), 1), -np.inf), lead], axis=1), axis=1)[:, :-1]
    wrong = (points.prediction[:, :-1] != points.prediction[:, -1:]) & (lead > before)
    ends = np.concatenate([lead[wrong], before[wrong]])
    change = np.concatenate([np.ones(wrong.sum()), -np.ones(wrong.sum())])
    values, place = np.unique(ends, return_inverse=True)
    count = np.cumsum(np.bincount(place, change, values.size)[::-1])[::-1]  # wrong exits for margins up to each value
    above = np.flatnonzero(count > tolerance * len(lead))
    return Margin(float(np.nextafter(values[above[-1]], np.inf)) if above.size else 0.0)


def replay(rule, points):
    """Apply a rule to whole runs that have been recorded.

    Parameters
    ----------
    rule : callable
        As `exit_rule` of `run`.
    points : Points

    Returns
    -------
    exit_steps, prediction : ndarray of int64 (n_samples,)
        What a run with this rule gives.
    """
    steps, last = int(points.times[-1]), points.times.size - 1
    leaves = np.full(len(points.readout), last)
    for sample, readouts in enumerate(points.readout):
        for k in range(last):
            if rule(int(points.times[k]), steps, readouts[k]):
                leaves[sample] = k
                break
    return points.times[leaves].astype(np.int64), points.prediction[np.arange(leaves.size), leaves]


def outcome(exit_steps, prediction, whole, steps, dt_ms, labels=None):
    """Say what early exits cost and save, on samples that no rule was calibrated on.

    Parameters
    ----------
    exit_steps, prediction : ndarray (n_samples,)
        Of runs with a rule.
    whole : ndarray (n_samples,)
        Predictions of the whole runs.
    steps : int
        Length of a whole run.
    dt_ms : float
        Length of a step.
    labels : ndarray (n_samples,), optional

    Returns
    -------
    dict
        samples; mean_ms, median_ms of the exits; time_saved and left_early (shares); changed: share of samples whose class is
        not that of the whole run, with its exact upper bound at 95 % confidence (Clopper-Pearson); accuracy, accuracy_whole.
    """
    from eventsnn.metrics import accuracy, error_bound

    n, changed = len(exit_steps), int(np.count_nonzero(prediction != whole))
    found = {
        "samples": n, "mean_ms": float(exit_steps.mean() * dt_ms), "median_ms": float(np.median(exit_steps) * dt_ms),
        "time_saved": float(1 - exit_steps.mean() / steps), "left_early": float((exit_steps < steps).mean()),
        "changed": changed / n, "changed_at_most": error_bound(changed, n),
    }  # fmt: skip
    if labels is not None:
        found |= {"accuracy": accuracy(prediction, labels), "accuracy_whole": accuracy(whole, labels)}
    return found
