"""Noise on spikes, as relays: deletion, jitter and frozen masks, drawn from counter-based random numbers, equal in every engine.

A number belongs to (seed of the run, name of the relay, sample, step of the spike, neuron); that of a mask to step 0.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from eventsnn.errors import NetworkError
from eventsnn.random import key, uniform, uniform_at
from eventsnn.settings import as_numbers, check_number


@dataclass(frozen=True, eq=False)
class _Noise:
    def output_shape(self, source_shape):
        """Return the shape of what leaves: that of the source."""
        return source_shape

    def check(self, source_shape):
        """Return a sentence saying what does not fit, or None."""
        return None

    def _check_step(self):
        self._check("dt_ms", "(0, inf)", float | None)

    def _check(self, name, interval, kind=float):
        check_number(getattr(self, name), interval, f"{type(self).__name__} {name}", kind, NetworkError)


@dataclass(frozen=True, eq=False)
class Deletion(_Noise):
    """Each spike is lost with a fixed probability.

    Parameters
    ----------
    probability : float
        In [0, 1).
    dt_ms : float, optional
        Length of a step, ms; required on the continuous clock, where the step of a spike is its time divided by this.
    """

    probability: float
    dt_ms: float | None = None
    kind = "deletion"

    def __post_init__(self):
        self._check("probability", "[0, 1)")
        self._check_step()

    def describe(self):
        """Return it as plain data, for reports."""
        return {"kind": "deletion", "probability": float(self.probability)}

    def within(self, tau, window, dt_ms):
        """Return the same noise for a layer of a TTFS network on the given clock."""
        return replace(self, dt_ms=dt_ms)


@dataclass(frozen=True, eq=False)
class Jitter(_Noise):
    """Each spike is moved by a number of steps: a normal deviate, truncated to an integer.

    Parameters
    ----------
    std : float
        Standard deviation, steps, >= 0.
    absolute : bool
        Take the absolute value first: spikes come late, never early.
    tau : float, optional
        Time constant of the kernel with which the spikes are decoded, steps: a spike moved by d steps carries its amplitude
        times exp(-d / tau). None: it carries what it carried.
    window : (int, int), optional
        Steps [first, last) outside of which a moved spike is lost; None: the run.
    dt_ms : float, optional
        Length of a step, ms; required on the continuous clock.

    Notes
    -----
    Spikes of one neuron that meet in a step (on the grid) leave as one: amplitudes are summed in the order of their own
    times, and what sums to 0 is lost.
    """

    std: float
    absolute: bool = False
    tau: float | None = None
    window: tuple | None = None
    dt_ms: float | None = None
    kind = "jitter"

    def __post_init__(self):
        self._check("std", "[0, 1e6]")
        self._check("tau", "(0, inf)", float | None)
        if self.window is not None:
            window = as_numbers(self.window, "Jitter window", "iu", NetworkError)
            if window.shape != (2,) or not 0 <= window[0] < window[1]:
                raise NetworkError(f"Jitter window must be (first, last) with 0 <= first < last, got {self.window!r}")
            object.__setattr__(self, "window", tuple(window.tolist()))
        self._check_step()

    def describe(self):
        """Return it as plain data, for reports."""
        return {"kind": "jitter", "std": float(self.std), "absolute": bool(self.absolute)}

    def within(self, tau, window, dt_ms):
        """Return the same noise for a layer of a TTFS network: its kernel, its fire window, its clock."""
        return replace(self, tau=float(tau), window=window, dt_ms=dt_ms)


@dataclass(frozen=True, eq=False)
class Flip(_Noise):
    """A channel that confuses spike and silence: in each step each neuron's spike is lost, or its silence becomes a spike.

    Parameters
    ----------
    probability : float
        In [0, 1), of either.
    amplitude : float
        What a spike carries that comes of silence, not 0.
    steps : int, optional
        So many steps from the first one are concerned; None: all of the run. Grid clock only.
    """

    probability: float
    amplitude: float = 1.0
    steps: int | None = None
    kind = "flip"
    dt_ms = None

    def __post_init__(self):
        self._check("probability", "[0, 1)")
        self._check("amplitude", "(-inf, inf)")
        if self.amplitude == 0:
            raise NetworkError("Flip amplitude must be finite and not 0, got 0")
        self._check("steps", "[1, inf)", int | None)

    def describe(self):
        """Return it as plain data, for reports."""
        return {"kind": "flip", "probability": float(self.probability), "steps": self.steps}


@dataclass(frozen=True, eq=False)
class FrozenMask(_Noise):
    """Dropout that stands still: drawn once per sample, the same neurons are silenced at every step (grid clock).

    Parameters
    ----------
    rate : float
        Probability with which a neuron is silenced, in [0, 1); what passes is multiplied by 1 / (1 - rate).
    """

    rate: float
    kind = "mask"
    dt_ms = None

    def __post_init__(self):
        self._check("rate", "[0, 1)")

    @property
    def probability(self):
        """Of silence."""
        return self.rate

    def describe(self):
        """Return it as plain data, for reports."""
        return {"kind": "mask", "rate": float(self.rate)}


def frozen_masks(rate, seed, name, samples, size):
    """Return the factors with which a FrozenMask multiplies.

    Parameters
    ----------
    rate : float
        In [0, 1).
    seed : int
        Of the run.
    name : str
        Of the relay (of the dropout layer).
    samples : array_like of int, shape (n,)
        Numbers of the samples in their data set.
    size : int
        Number of neurons.

    Returns
    -------
    ndarray of float64, shape (n, size)
        0 or 1 / (1 - rate).

    Notes
    -----
    Neuron i of sample s passes if uniform(key(seed, "relay", name), s, 0, i) >= rate.
    """
    drawn = uniform(key(seed, "relay", name), np.asarray(samples), 0, size)
    return np.where(drawn >= rate, 1 / (1 - rate), 0.0)


def survivors(ids, steps, samples, k0, k1, probability, kept):
    """Mark in `kept` the spikes that a deletion spares."""
    for k in range(ids.size):
        kept[k] = uniform_at(k0, k1, samples[k], steps[k], ids[k]) >= probability


def shifts(ids, steps, samples, k0, k1, std, absolute, moved):
    """Write into `moved` by how many steps each spike moves: Box-Muller from two uniforms, then towards 0.

    z = sqrt(-2 ln(1 - u)) cos(2 pi u'), with u, u' of the elements 2 i and 2 i + 1.
    """
    for k in range(ids.size):
        u = uniform_at(k0, k1, samples[k], steps[k], 2 * np.int64(ids[k]))
        turn = uniform_at(k0, k1, samples[k], steps[k], 2 * np.int64(ids[k]) + 1)
        z = std * math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * turn)
        moved[k] = int(abs(z)) if absolute else int(z)
