"""Surrogate derivatives of a spike for hybrid networks: by membrane (`linear`) or by time since the last spike (`stdb`).

Both stand for ds/dv at v = u / theta - 1 and are constants for everything else::

    linear    gamma max(0, 1 - |v|)                       source: Bellec et al., NeurIPS 2018; hybrid-stdb S8
    stdb      alpha (exp(-gap))^beta, gap in steps        source: Rathi et al., ICLR 2020, equation 8; hybrid-stdb S9

`gap` counts the steps since the neuron's last spike, at least 1; a neuron that has not spiked yet gets 0. The published code
computes the inner exponential in float32, where it is exactly 0 from a gap of 104 on: that is the cutoff "float32".
"""

import numpy as np

from eventsnn.errors import ModelError

SURROGATES = ("linear", "stdb")
UNDERFLOW = 104  # the first gap at which exp(-gap) rounds to 0 in float32


def linear(v, gamma):
    """Return the triangular surrogate.

    Parameters
    ----------
    v : ndarray
        u / theta - 1.
    gamma : float
        Its peak, at v = 0.

    Returns
    -------
    ndarray
    """
    return gamma * np.maximum(0.0, 1.0 - np.abs(v))


def stdb_table(alpha, beta, cutoff, longest):
    """Return the spike-timing surrogate for every gap.

    Parameters
    ----------
    alpha, beta : float
        Size, and decay per step; > 0.
    cutoff : "float32", int or None
        Gap from which on it is 0: as in the published float32 arithmetic (104), a number of steps >= 1, or never.
    longest : int
        Steps of a run: no gap of a neuron that has spiked is longer.

    Returns
    -------
    ndarray of float64
        Entry g belongs to gap g; entry 0 is unused; the last entry, 0, belongs to all longer gaps and to neurons that have
        not spiked.

    Raises
    ------
    ModelError
        If the cutoff is none of these.

    Notes
    -----
    alpha exp(-beta g); with "float32" alpha (fl32(exp(-g)))^beta, whose inner rounding moves it by less than 0.3 % for gaps of
    88 to 103.  The rounding is done on the float64 exponential, so that the table is the same on every machine.
    """
    whole = isinstance(cutoff, int | np.integer) and not isinstance(cutoff, bool) and cutoff >= 1
    if not (cutoff is None or whole or (isinstance(cutoff, str) and cutoff == "float32")):
        raise ModelError(f"stdb: cutoff must be 'float32', a number of steps >= 1 or none, got {cutoff!r}")
    first_zero = longest + 1 if cutoff is None else min(longest + 1, UNDERFLOW if cutoff == "float32" else int(cutoff))
    gaps = np.arange(first_zero + 1, dtype=np.float64)
    if cutoff == "float32":
        table = alpha * np.exp(-gaps).astype(np.float32).astype(np.float64) ** beta
    else:
        table = alpha * np.exp(-beta * gaps)
    table[-1] = 0.0
    return table
