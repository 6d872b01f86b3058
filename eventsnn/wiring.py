"""Networks from rules: which neuron is connected to which, from counter-based random numbers.

Every rule draws from the stream (seed, name, rule), one counter per target or source, so that a network is the same on every
machine and does not depend on what else is built. Sources and targets may be the same population.
"""

import numpy as np

from eventsnn.compile import specialise
from eventsnn.errors import NetworkError
from eventsnn.projections.sparse_ms import SparseMs
from eventsnn.random import key, key_words, uniform, uniform_at


def below(u, n):
    """Return an integer in [0, n) from a number in [0, 1)."""
    return np.int64(u * n)


def draw_in_degree(k0, k1, n_sources, first_target, n_targets, degree, skip_self, repeats, out):
    """Fill ``out[target, k]`` with sources: distinct ones by Floyd's algorithm, or independent ones (`repeats`)."""
    stamp = np.zeros(n_sources, np.uint32)
    for r in range(n_targets):
        target = first_target + r
        pool = n_sources - 1 if skip_self else n_sources
        for k in range(degree):
            if repeats:
                s = below(uniform_at(k0, k1, 0, k, target), pool)
            else:
                s = below(uniform_at(k0, k1, 0, k, target), pool - degree + k + 1)
                if stamp[s] == target + 1:
                    s = pool - degree + k
                stamp[s] = target + 1
            out[r, k] = s + 1 if skip_self and s >= target else s


def draw_gaps(k0, k1, n_sources, n_targets, log_silent, skip_self, indptr, targets, fill):
    """Walk each source's targets by geometric gaps; counts them, and with `fill` writes them."""
    for s in range(n_sources):
        place, draw, count = -1, 0, 0
        while True:
            u = uniform_at(k0, k1, 0, draw, s)
            gap = np.floor(np.log(1.0 - u) / log_silent)
            if gap >= n_targets:
                break
            place += 1 + np.int64(gap)
            draw += 1
            if place >= n_targets:
                break
            if not (skip_self and place == s):
                if fill:
                    targets[indptr[s] + count] = place
                count += 1
        if not fill:
            indptr[s + 1] = count


def by_source(sources, n_sources, indptr, targets):
    """Turn ``sources[target, k]`` into targets listed by source, ascending (counting sort)."""
    for r in range(sources.shape[0]):
        for k in range(sources.shape[1]):
            indptr[sources[r, k] + 1] += 1
    for s in range(n_sources):
        indptr[s + 1] += indptr[s]
    for r in range(sources.shape[0]):
        for k in range(sources.shape[1]):
            s = sources[r, k]
            targets[indptr[s]] = r
            indptr[s] += 1
    for s in range(n_sources, 0, -1):
        indptr[s] = indptr[s - 1]
    indptr[0] = 0


def _stream(seed, name, rule):
    return key_words(key(seed, "wiring", rule, name))


def _sizes(n_sources, n_targets, self_connections):
    for what, n in (("n_sources", n_sources), ("n_targets", n_targets)):
        if not isinstance(n, int | np.integer) or not 1 <= n < 2**32:
            raise NetworkError(f"wiring: {what} must be a whole number from 1 to 2**32 - 1, got {n!r}")
    if not self_connections and n_sources != n_targets:
        raise NetworkError("wiring: self_connections=False needs one population as source and target, got "
                           f"{n_sources} sources and {n_targets} targets")


def fixed_probability(n_sources, n_targets, p, *, weight, delay_ms=0.0, self_connections=True, seed, name):
    """Connect every pair with probability `p`, independently.

    Parameters
    ----------
    n_sources, n_targets : int
        Sizes of the populations.
    p : float
        Probability, 0 to 1.
    weight, delay_ms : float or array_like (n_synapses,)
        One number, or one per synapse in the order (source, target); delays in ms.
    self_connections : bool
        False: no neuron is connected to itself (one population as source and target).
    seed : int
    name : str
        Name of the projection: other names get other numbers.

    Returns
    -------
    SparseMs

    Raises
    ------
    NetworkError
        If a size or the probability is out of range.
    """
    _sizes(n_sources, n_targets, self_connections)
    if not 0 <= p <= 1:
        raise NetworkError(f"wiring: p must be from 0 to 1, got {p}")
    k0, k1 = _stream(seed, name, "fixed_probability")
    kernel, indptr = specialise(draw_gaps), np.zeros(n_sources + 1, np.int64)
    if p == 0:
        return SparseMs(indptr, np.zeros(0, np.uint32), weight, delay_ms)
    log_silent = -np.inf if p == 1 else float(np.log1p(-p))
    kernel(k0, k1, n_sources, n_targets, log_silent, not self_connections, indptr, np.zeros(1, np.uint32), False)
    np.cumsum(indptr, out=indptr)
    targets = np.zeros(int(indptr[-1]), np.uint32)
    kernel(k0, k1, n_sources, n_targets, log_silent, not self_connections, indptr, targets, True)
    return SparseMs(indptr, targets, weight, delay_ms)


def fixed_in_degree(n_sources, n_targets, degree, *, weight, delay_ms=0.0, self_connections=True, multapses=False, seed, name):
    """Give every target `degree` sources drawn at random.

    Parameters
    ----------
    n_sources, n_targets : int
        Sizes of the populations.
    degree : int
        Sources per target.
    weight, delay_ms, self_connections, seed, name
        As for `fixed_probability`; several numbers are in the order (source, target).
    multapses : bool
        True: sources are drawn independently, so that one may be drawn twice (twins with one delay act as one synapse).

    Returns
    -------
    SparseMs

    Raises
    ------
    NetworkError
        If there are not that many sources.
    """
    _sizes(n_sources, n_targets, self_connections)
    pool = n_sources if self_connections else n_sources - 1
    if not isinstance(degree, int | np.integer) or degree < 0 or (degree > pool and not multapses) or pool < 1:
        raise NetworkError(f"wiring: degree must be a whole number from 0 to {pool} (the sources), got {degree!r}")
    k0, k1 = _stream(seed, name, "fixed_in_degree")
    sources = np.zeros((n_targets, degree), np.uint32)
    specialise(draw_in_degree)(k0, k1, n_sources, 0, n_targets, degree, not self_connections, multapses, sources)
    indptr, targets = np.zeros(n_sources + 1, np.int64), np.zeros(sources.size, np.uint32)
    specialise(by_source)(sources, n_sources, indptr, targets)
    return SparseMs(indptr, targets, weight, delay_ms)


def one_to_one(n, *, weight, delay_ms=0.0):
    """Connect neuron i to neuron i; `weight` and `delay_ms` are one number or one per neuron."""
    _sizes(n, n, True)
    return SparseMs(np.arange(n + 1), np.arange(n, dtype=np.uint32), weight, delay_ms)


def by_distance(source_places, target_places, probability, *, weight, delay_ms=0.0, speed=np.inf, seed, name):
    """Connect pairs with a probability that depends on their distance.

    Parameters
    ----------
    source_places, target_places : array_like (n, dimensions)
        Positions, in one unit of length.
    probability : callable
        Takes distances (an array), returns probabilities from 0 to 1.
    weight : float or callable
        A number, or a function of the distance, mV.
    delay_ms : float
        Delay at distance 0.
    speed : float
        Length per ms: distance / speed is added to the delay; inf: nothing is.
    seed, name
        As for `fixed_probability`.

    Returns
    -------
    SparseMs

    Raises
    ------
    NetworkError
        If places have other dimensions, or a probability is out of range.
    """
    a, b = (np.asarray(q, float) for q in (source_places, target_places))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise NetworkError(f"wiring: places must be (n, dimensions) with equal dimensions, got {a.shape} and {b.shape}")
    if not speed > 0:
        raise NetworkError(f"wiring: speed must be > 0, got {speed}")
    stream, counts, targets, lengths = key(seed, "wiring", "by_distance", name), [], [], []
    for s in range(len(a)):
        distance = np.sqrt(((b - a[s]) ** 2).sum(axis=1))
        chance = np.asarray(probability(distance), float)
        if chance.shape != distance.shape or not ((chance >= 0) & (chance <= 1)).all():
            raise NetworkError("wiring: probability must return one number from 0 to 1 per distance")
        chosen = np.flatnonzero(uniform(stream, 0, s, len(b)) < chance)
        counts.append(chosen.size)
        targets.append(chosen.astype(np.uint32))
        lengths.append(distance[chosen])
    lengths = np.concatenate([np.zeros(0), *lengths])
    delays = delay_ms if speed == np.inf else delay_ms + lengths / speed
    weights = weight(lengths) if callable(weight) else weight
    return SparseMs(np.concatenate(([0], np.cumsum(counts))), np.concatenate([np.zeros(0, np.uint32), *targets]), weights, delays)
