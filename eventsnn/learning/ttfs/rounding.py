"""What hardware does to spike times and weights: grids, their straight-through masks, and counter-based noise.

    times     s = R / (2^k - 1),  t = s floor(t / s + 1/2)             nearest, published; t from the window's opening
              s = R / 2^k,        x = s floor(x / s)                   floor: a simulation in 2^k steps per window, x = R - t
    weights   s = (hi - lo) / (2^k - 1),  z = round(-lo / s)           nudged, published: range [-z s, (2^k - 1 - z) s]
              s = r / (2^(k-1) - 1)                                    symmetric: range [-r, r], one level fewer

Gradients pass where a number was inside its range, and are 0 outside. Arrays may be of any library with the operators and the
`clip` of NumPy: the functions take its `floor`.

Source: ttfs-relu-equivalence 2.10, 2.11.
"""

from dataclasses import dataclass

import numpy as np

from eventsnn.random import key, uniform


def round_times(x, window, bits, rule, floor=np.floor):
    """Return activations x = R - t after their spike times have been rounded; 0 stays 0.

    Parameters
    ----------
    x : array
        In [0, R]; what is outside is clipped.
    window : float
        R, ms.
    bits : int
        >= 1.
    rule : {"nearest", "floor"}
        Ties of "nearest" go to the later time.
    floor : callable, optional
        `numpy.floor`, or that of the library that made x.

    Returns
    -------
    array
    """
    held = x.clip(0.0, window)
    if rule == "floor":
        step = window / 2**bits
        return step * floor(held / step)
    step = window / (2**bits - 1)
    return step * ((2**bits - 1) - floor((window - held) / step + 0.5))


@dataclass(frozen=True)
class WeightGrid:
    """Levels of the weights of one layer.

    Parameters
    ----------
    step : float
        Distance of levels.
    lowest, highest : int
        Their range, in steps.
    """

    step: float
    lowest: int
    highest: int

    @classmethod
    def of(cls, settings, weights):
        """Return the grid of a layer: from the range in the settings, or from that of its weights; None without bits.

        Parameters
        ----------
        settings : TtfsSettings
        weights : ndarray
            Initial weights of the layer.

        Returns
        -------
        WeightGrid or None
        """
        if not settings.weight_bits:
            return None
        low, high = settings.weight_range or (min(0.0, float(weights.min())), max(0.0, float(weights.max())))
        if settings.weight_grid == "symmetric":
            top = 2 ** (settings.weight_bits - 1) - 1
            return cls((max(-low, high) or 1.0) / top, -top, top)
        # float32, as in the published code: -1..1 gives the lopsided ranges of the published networks only so
        top, low, high = 2**settings.weight_bits - 1, np.float32(low), np.float32(high)
        step = (high - low) / np.float32(top) or np.float32(1.0)
        zero = int(min(max(np.floor(-low / step + np.float32(0.5)), 0), top))
        return cls(float(step), -zero, top - zero)

    def round(self, w, floor=np.floor):
        """Return weights on the grid, of the same dtype."""
        return self.step * floor((w / self.step).clip(self.lowest, self.highest) + 0.5)

    def inside(self, w):
        """Return where weights are inside the range: gradients pass there."""
        return (w >= self.lowest * self.step) & (w <= self.highest * self.step)


def normals(seed, name, step, samples, elements):
    """Return standard normal numbers that belong to (seed, name, sample, step, element), by the Box-Muller transform.

    Parameters
    ----------
    seed : int
    name : str
        What they are for: the layer.
    step : int
        Of the training; in [0, 2**32).
    samples : int or array of int
        Rows: the number of samples in the batch (then 0, 1, ...), or their numbers.
    elements : int
        Neurons.

    Returns
    -------
    ndarray of float64, shape (samples, elements)
    """
    stream = key(seed, "ttfs", "noise", name)
    rows = np.arange(samples) if np.ndim(samples) == 0 else samples
    radius = np.sqrt(-2 * np.log1p(-uniform(stream, rows, step, elements)))
    return radius * np.cos(2 * np.pi * uniform(stream, rows, step, elements, lane=1))
