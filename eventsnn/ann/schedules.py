"""Courses of the learning rate of a training run."""

import math


def learning_rate(settings, step, steps, steps_per_epoch):
    """Return the learning rate of one step; a pure function, so that resuming needs no scheduler state.

    Parameters
    ----------
    settings : TrainSettings
        ``learning_rate`` = a, ``schedule`` and its options.
    step, steps, steps_per_epoch : int
        This step (from 0), all steps, steps of one epoch.

    Returns
    -------
    float

    Notes
    -----
    constant: a.  milestones: a / lr_reduce^k in epoch e (from 1), k the number of milestones `passed` (hybrid-stdb A10).  step:
    a f^floor(epoch / step_epochs).  cosine: a (1 + cos(pi s)) / 2 with s = step / steps.  one_cycle: cosine from a / 25 up to a
    over the first ``warm_up`` of all steps, then cosine down to a / 250 000 (Smith and Topin, arXiv:1708.07120, in the form of
    PyTorch's OneCycleLR).  All of them are divided by 1 + rate_decay step.
    """
    peak = settings.learning_rate / (1 + settings.rate_decay * step)
    if settings.schedule == "constant":
        return peak
    if settings.schedule == "milestones":
        return peak / settings.lr_reduce ** passed(settings, step // steps_per_epoch + 1)
    if settings.schedule == "step":
        return peak * settings.step_factor ** (step // steps_per_epoch // settings.step_epochs)

    def between(start, end, s):
        return end + (start - end) * (1 + math.cos(math.pi * s)) / 2

    if settings.schedule == "cosine":
        return between(peak, 0.0, step / max(1, steps))
    rise = settings.warm_up * steps
    if step < rise:
        return between(peak / 25, peak, step / rise)
    return between(peak, peak / 25e4, (step - rise) / max(1.0, steps - rise))


def passed(settings, epoch):
    """Return how many milestones a run has passed.

    Parameters
    ----------
    settings : TrainSettings or StdbSettings
        ``epochs``, and ``lr_interval``: parts of them.
    epoch : int
        This epoch, from 1.

    Returns
    -------
    int

    Notes
    -----
    The number of different int(f epochs) from 2 to epoch: short runs pass each once, and begin with the full rate.
    """
    return sum(1 < mark <= epoch for mark in {int(f * settings.epochs) for f in settings.lr_interval})
