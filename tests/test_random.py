"""Counter-based random numbers: known answers, independence of chunking, keys."""

import os
import subprocess
import sys

import numpy as np
import pytest

from eventsnn.errors import RunError
from eventsnn.random import CHUNK, bits, key, philox4x32, uniform

# Random123, kat_vectors: philox 4x32 10 (counter, key, result)
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "words", "result"), KNOWN)
def test_philox_known_answers(counter, words, result):
    assert tuple(int(w) for w in philox4x32(*map(np.uint64, counter), *map(np.uint64, words))) == result


def test_philox_is_the_same_in_numba():
    numba = pytest.importorskip("numba")
    counter, words, result = KNOWN[2]
    compiled = numba.njit(philox4x32)
    assert tuple(int(w) for w in compiled(*map(np.uint64, counter), *map(np.uint64, words))) == result


def test_bits_are_the_words_of_their_counter():
    stream = key(3, "a")
    k0, k1 = np.uint64(int(stream) & 0xFFFFFFFF), np.uint64(int(stream) >> 32)
    element, step, sample, lane = 7, 11, 13, 2
    words = philox4x32(*map(np.uint64, (element // 2, step, sample, lane)), k0, k1)
    assert int(bits(stream, sample, step, [element], lane)[0]) == int(words[2]) | int(words[3]) << 32


@pytest.mark.parametrize("n", [0, 1, 2, 7, 2 * CHUNK - 1, 2 * CHUNK + 3])
def test_chunks_and_subsets_change_nothing(n):
    stream = key(1, "input")
    whole = uniform(stream, 5, 9, n)
    assert whole.shape == (n,)
    chosen = np.unique(np.linspace(0, max(n - 1, 0), min(n, 50)).astype(int))[::-1]
    assert (uniform(stream, 5, 9, chosen) == whole[chosen]).all()
    steps = uniform(stream, 5, np.arange(7, 12), min(n, 33))
    assert (steps[2] == whole[:33]).all()


def test_broadcast_over_samples_and_steps():
    stream = key(1)
    table = uniform(stream, np.arange(3)[:, None], np.arange(4), 5)
    assert table.shape == (3, 4, 5)
    assert (table[2, 1] == uniform(stream, 2, 1, 5)).all()


def test_uniform_is_uniform():
    values = uniform(key(0, "u"), 0, np.arange(100), 1000).ravel()
    assert values.min() >= 0 and values.max() < 1
    counts = np.histogram(values, 20, (0, 1))[0]
    # chi-square with 19 degrees of freedom: 43.8 is the 0.1 % point; the numbers are fixed, so this cannot flicker
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01


def test_key_is_stable_across_processes_and_separates_names():
    code = "from eventsnn.random import key; print(int(key(12, 'input', 3)))"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert int(other.stdout) == int(key(12, "input", 3))
    keys = [key(1, "ab", "c"), key(1, "a", "bc"), key(1, "abc"), key(1, "1"), key(1, 1), key(-1), key(2**70)]
    assert len({int(k) for k in keys}) == len(keys)
    assert int(key(np.int64(4), "x")) == int(key(4, "x"))


@pytest.mark.parametrize("call", [
    lambda: key(1.5), lambda: key(True), lambda: key(1, None), lambda: uniform(key(1), -1, 0, 3),
    lambda: uniform(key(1), 0, 2**32, 3), lambda: uniform(key(1), 0.5, 0, 3), lambda: uniform(key(1), 0, 0, [-1]),
])  # fmt: skip
def test_bad_coordinates_are_refused(call):
    with pytest.raises(RunError):
        call()


def test_no_heavy_imports():
    code = (
        "import sys, eventsnn.random, eventsnn.encoders, eventsnn.ann.files; "
        "print([m for m in ('numba', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
