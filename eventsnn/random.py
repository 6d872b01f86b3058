"""Counter-based random numbers: every number is a function of (seed, names, sample, step, element).

Nothing is drawn "in order": a number is computed from its own coordinates, so slices, threads, sample order and
engines cannot change it.  The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011): ten rounds of a keyed bijection of a 128-bit counter.

Counter words: (element // 2, step, sample, lane); the lane is 0 here and free for other uses of the same key.
"""

import hashlib

import numpy as np

from eventsnn.errors import RunError

MASK = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
MULTIPLIER_0 = np.uint64(0xD2511F53)
MULTIPLIER_1 = np.uint64(0xCD9E8D57)
WEYL_0 = np.uint64(0x9E3779B9)
WEYL_1 = np.uint64(0xBB67AE85)
# Blocks handled at once: ten rounds of temporaries stay inside a second-level cache.
CHUNK = 16384


def philox4x32(c0, c1, c2, c3, k0, k1):
    """Encrypt a counter of four 32-bit words with a key of two: Philox4x32-10.

    Parameters
    ----------
    c0, c1, c2, c3 : numpy.uint64 or array of uint64
        Counter words, each below 2**32.
    k0, k1 : numpy.uint64
        Key words, each below 2**32.

    Returns
    -------
    tuple of four numpy.uint64 or arrays
        Output words, each below 2**32.

    Notes
    -----
    Plain ``uint64`` arithmetic without overflow, so the same source serves arrays, scalars and Numba.
    """
    for _ in range(10):
        p0 = MULTIPLIER_0 * c0
        p1 = MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> SHIFT) ^ c1 ^ k0, p1 & MASK, (p0 >> SHIFT) ^ c3 ^ k1, p0 & MASK
        k0 = (k0 + WEYL_0) & MASK
        k1 = (k1 + WEYL_1) & MASK
    return c0, c1, c2, c3


def key(seed, *names):
    """Make the 64-bit key of a stream from a seed and names, the same on every machine and in every process.

    Parameters
    ----------
    seed : int
        Seed of the run, any integer.
    *names : str or int
        What the stream is for, from the general to the particular, for example ``"input", "poisson"``.

    Returns
    -------
    numpy.uint64
        First eight bytes (little-endian) of the BLAKE2b digest of the parts, each with its type and length.

    Raises
    ------
    RunError
        If the seed is not an integer, or a name is neither text nor integer.

    Examples
    --------
    >>> key(0, "input") == key(0, "input"), key(0, "input") == key(0, "in", "put")
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=8, person=b"eventsnn")
    for position, part in enumerate((seed, *names)):
        is_integer = isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_))
        if not is_integer and (position == 0 or not isinstance(part, str)):
            what = "seed: must be an integer" if position == 0 else "random key: names must be text or integers"
            raise RunError(f"{what}, got {part!r}")
        text = (str(int(part)) if is_integer else part).encode()
        digest.update(b"%c%d:" % (b"i" if is_integer else b"s", len(text)) + text)
    return np.uint64(int.from_bytes(digest.digest(), "little"))


def _word(value, what):
    """Check that coordinates fit a 32-bit counter word and return them as uint64."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise RunError(f"random numbers: {what} must be an integer, got {value!r}")
    if array.size and (int(array.min()) < 0 or int(array.max()) >= 2**32):
        raise RunError(f"random numbers: {what} must lie in [0, 2**32), got {int(array.min())} to {int(array.max())}")
    return array.astype(np.uint64)


def bits(key, sample, step, n, lane=0):
    """Return the random words that belong to elements: two 32-bit words each.

    Parameters
    ----------
    key : int or numpy.uint64
        Stream, from :func:`key`.
    sample, step : int or array of int
        Coordinates in [0, 2**32); they broadcast against each other.
    n : int or array of int, shape (m,)
        Number of elements (then elements 0..n-1), or the element numbers themselves, in any order.
    lane : int, optional
        Fourth counter word, for a second stream under the same key.

    Returns
    -------
    array of uint64, shape broadcast(sample, step) + (m,)
        64 random bits per element: low word first.
    """
    whole = np.ndim(n) == 0
    elements = np.arange(int(_word(n, "number of elements")), dtype=np.uint64) if whole else _word(n, "element")
    sample, step = np.broadcast_arrays(_word(sample, "sample"), _word(step, "step"))
    lane = _word(lane, "lane")
    k0, k1 = np.uint64(key) & MASK, np.uint64(key) >> SHIFT
    # Two elements share a counter; where all are asked for, each counter is encrypted once.
    blocks = np.arange((elements.size + 1) // 2, dtype=np.uint64) if whole else elements >> np.uint64(1)
    out = np.empty((sample.size, elements.size), dtype=np.uint64)
    rows = max(1, CHUNK // max(1, blocks.size))
    for first in range(0, sample.size, rows):
        s = sample.reshape(-1, 1)[first : first + rows]
        t = step.reshape(-1, 1)[first : first + rows]
        for low in range(0, blocks.size, CHUNK):
            c0 = np.broadcast_to(blocks[low : low + CHUNK], (s.shape[0], blocks[low : low + CHUNK].size))
            w0, w1, w2, w3 = philox4x32(c0, t, s, lane, k0, k1)
            even, odd = w0 | (w1 << SHIFT), w2 | (w3 << SHIFT)
            target = out[first : first + rows]
            if whole:
                target[:, 2 * low : 2 * (low + CHUNK) : 2] = even
                target[:, 2 * low + 1 : 2 * (low + CHUNK) : 2] = odd[:, : (elements.size - 2 * low) // 2]
            else:
                is_odd = (elements[low : low + CHUNK] & np.uint64(1)).astype(bool)
                target[:, low : low + CHUNK] = np.where(is_odd, odd, even)
    return out.reshape((*sample.shape, elements.size))


def uniform(key, sample, step, n, lane=0):
    """Return uniform random numbers in [0, 1), one per element.

    Parameters
    ----------
    key : int or numpy.uint64
        Stream, from :func:`key`.
    sample, step : int or array of int
        Coordinates in [0, 2**32); they broadcast against each other.
    n : int or array of int, shape (m,)
        Number of elements (then elements 0..n-1), or the element numbers themselves, in any order.
    lane : int, optional
        Fourth counter word, for a second stream under the same key.

    Returns
    -------
    array of float64, shape broadcast(sample, step) + (m,)
        The top 53 of 64 random bits, divided by 2**53.

    Examples
    --------
    >>> stream = key(1, "input")
    >>> bool((uniform(stream, 0, 7, 10)[[3, 8]] == uniform(stream, 0, 7, [3, 8])).all())
    True
    """
    return (bits(key, sample, step, n, lane) >> np.uint64(11)) * 2.0**-53


def uniform_at(k0, k1, sample, step, element):
    """Return ``uniform(key, sample, step, [element])[0]`` inside a compiled loop; see `key_words` for k0 and k1."""
    w0, w1, w2, w3 = philox4x32(np.uint64(element) >> np.uint64(1), np.uint64(step), np.uint64(sample), np.uint64(0), k0, k1)
    pair = w2 | (w3 << SHIFT) if element % 2 else w0 | (w1 << SHIFT)
    return np.float64(pair >> np.uint64(11)) * 2.0**-53


def key_words(stream):
    """Return the low and high 32-bit word of a key, as uint64."""
    return np.uint64(stream) & MASK, np.uint64(stream) >> SHIFT
