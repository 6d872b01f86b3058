"""The Yin-Yang data set: points in the sign of yin and yang, made here by its published geometry.

A disc of radius 1/2 around (1/2, 1/2) holds two dots of radius 1/10 at (1/4, 1/2) and (3/4, 1/2). With d_l and d_r the
distances to their middles, a point is in a dot where one of them is at most 1/10; else in yin where d_l is at most 1/4, or where
y > 1/2 and d_r > 1/4; else in yang. A sample is (x, y, 1 - x, 1 - y), its class drawn first, the point then from the class
uniformly.

Points come from the counter-based generator: u = uniform(key(0, "yinyang", split), sample, trial, (class, x, y)).

Source: Kriener, Goeltz & Petrovici, NICE 2022, doi 10.1145/3517343.3517380.
"""

import numpy as np

from eventsnn.random import key, uniform

CLASSES = ("yang", "yin", "dot")
SIZES = {"train": 5000, "test": 1000}
BIG, SMALL = 0.5, 0.1


def classes_of(x, y):
    """Return the class of points inside the disc: 0 yang, 1 yin, 2 dot.

    Parameters
    ----------
    x, y : ndarray
        Coordinates in [0, 1].

    Returns
    -------
    ndarray of int
    """
    left, right = np.hypot(x - 0.5 * BIG, y - BIG), np.hypot(x - 1.5 * BIG, y - BIG)
    yin = (right <= SMALL) | ((left > SMALL) & (left <= 0.5 * BIG)) | ((y > BIG) & (right > 0.5 * BIG))
    return np.where((left <= SMALL) | (right <= SMALL), 2, yin.astype(np.int64))


def points(split):
    """Return the samples of a part.

    Parameters
    ----------
    split : {"train", "test"}
        5,000 or 1,000 samples.

    Returns
    -------
    values : ndarray, shape (n, 4)
        (x, y, 1 - x, 1 - y).
    labels : ndarray of uint8, shape (n,)
    """
    n, stream = SIZES[split], key(0, "yinyang", split)
    wanted = np.floor(3 * uniform(stream, np.arange(n), 0, 3)[:, 0]).astype(np.int64)
    found, open_, trial = np.empty((n, 2)), np.arange(n), 0
    while open_.size:
        xy = uniform(stream, open_, trial, 3)[:, 1:] * 2 * BIG
        good = np.hypot(xy[:, 0] - BIG, xy[:, 1] - BIG) <= BIG
        good &= classes_of(xy[:, 0], xy[:, 1]) == wanted[open_]
        found[open_[good]] = xy[good]
        open_, trial = open_[~good], trial + 1
    return np.concatenate([found, 1 - found], axis=1), wanted.astype(np.uint8)
