"""Networks from rules, and synapses with delays in ms."""

import numpy as np
import pytest
import scipy.sparse

from eventsnn.compile import specialise
from eventsnn.errors import NetworkError
from eventsnn.projections.sparse_ms import SparseMs
from eventsnn.random import key, key_words, uniform, uniform_at
from eventsnn.wiring import by_distance, fixed_in_degree, fixed_probability, one_to_one


def lists(synapses):
    """Return (sources, targets)."""
    return np.repeat(np.arange(synapses.indptr.size - 1), np.diff(synapses.indptr)), synapses.targets


def draw(k0, k1, out):
    """Fill a table (sample, step, element) of random numbers."""
    for sample in range(out.shape[0]):
        for step in range(out.shape[1]):
            for element in range(out.shape[2]):
                out[sample, step, element] = uniform_at(k0, k1, sample, step, element)


def test_compiled_generator_equals_the_arrays():
    stream, out = key(5, "a"), np.zeros((2, 3, 7))
    specialise(draw)(*key_words(stream), out)
    wanted = [[uniform(stream, s, t, 7) for t in range(3)] for s in range(2)]
    assert np.array_equal(out, np.array(wanted))


def test_fixed_in_degree():
    made = fixed_in_degree(200, 200, 20, weight=0.5, delay_ms=1.5, self_connections=False, seed=1, name="a")
    sources, targets = lists(made)
    assert (np.bincount(targets, minlength=200) == 20).all()
    assert (sources != targets).all()
    assert np.unique(sources * 200 + targets).size == 4000
    assert abs(made.fan_out(200, 200).std() - np.sqrt(20 * 0.9)) < 1.0
    again = fixed_in_degree(200, 200, 20, weight=0.5, delay_ms=1.5, self_connections=False, seed=1, name="a")
    assert np.array_equal(made.targets, again.targets) and np.array_equal(made.indptr, again.indptr)
    other = fixed_in_degree(200, 200, 20, weight=0.5, self_connections=False, seed=1, name="b")
    assert not np.array_equal(made.targets, other.targets)
    every = fixed_in_degree(5, 3, 5, weight=1.0, seed=1, name="a")
    assert sorted(zip(*(a.tolist() for a in lists(every)))) == [(s, t) for s in range(5) for t in range(3)]


def test_multapses_are_merged():
    made = fixed_in_degree(4, 50, 12, weight=0.5, multapses=True, seed=1, name="a")
    sums = np.zeros(50)
    np.add.at(sums, made.targets, made.weights)
    assert (sums == 6.0).all() and made.size <= 200


def test_fixed_probability():
    made = fixed_probability(300, 400, 0.1, weight=1.0, seed=1, name="a")
    assert abs(made.size - 12_000) < 5 * np.sqrt(12_000 * 0.9)
    assert fixed_probability(30, 40, 1.0, weight=1.0, seed=1, name="a").size == 1200
    assert fixed_probability(30, 40, 0.0, weight=1.0, seed=1, name="a").size == 0
    sources, targets = lists(fixed_probability(300, 300, 0.5, weight=1.0, self_connections=False, seed=1, name="a"))
    assert (sources != targets).all()
    assert abs(np.bincount(targets, minlength=300).mean() - 149.5) < 3


def test_one_to_one_and_distance():
    made = one_to_one(5, weight=np.arange(5.0), delay_ms=2.0)
    assert made.targets.tolist() == [0, 1, 2, 3, 4] and made.weights.tolist() == [0, 1, 2, 3, 4]
    places = np.linspace(0, 1, 101)[:, None]
    made = by_distance(places, places, lambda d: np.where(d < 0.1001, 0.5, 0.0), weight=lambda d: 1 - d, delay_ms=1.0, speed=0.1,
                       seed=1, name="a")
    sources, targets = lists(made)
    assert np.abs(sources - targets.astype(int)).max() == 10
    distance = np.abs(places[sources, 0] - places[targets, 0])
    np.testing.assert_allclose(made.delays, 1.0 + distance / 0.1)
    np.testing.assert_allclose(made.weights, 1 - distance)


def test_synapses_are_sorted_and_twins_merged():
    delays = [0.5, 1.0, 1.5, 0.5, 1.0]
    made = SparseMs.from_lists([1, 0, 1, 1, 1], [2, 1, 0, 2, 2], [1.0, 2.0, 3.0, 4.0, 5.0], delays, n_sources=2)
    assert made.indptr.tolist() == [0, 1, 4]
    assert made.targets.tolist() == [1, 2, 2, 0]
    assert made.delays.tolist() == [1.0, 0.5, 1.0, 1.5] and made.weights.tolist() == [2.0, 5.0, 5.0, 3.0]
    scaled = SparseMs([0, 2, 3], [0, 1, 0], 0.5, 1.0, source_weights=[2.0, -4.0])
    assert scaled.per_source and scaled.synapse_weights().tolist() == [1.0, 1.0, -2.0]
    matrix = scipy.sparse.random(20, 30, 0.2, random_state=1)
    made = SparseMs.from_matrix(matrix, 1.0)
    dense = np.zeros((20, 30))
    dense[lists(made)] = made.weights
    assert np.array_equal(dense, matrix.toarray())


@pytest.mark.parametrize("make", [
    lambda: fixed_in_degree(5, 5, 6, weight=1.0, seed=1, name="a"),
    lambda: fixed_in_degree(5, 5, 5, weight=1.0, self_connections=False, seed=1, name="a"),
    lambda: fixed_probability(5, 5, 1.5, weight=1.0, seed=1, name="a"),
    lambda: fixed_probability(5, 0, 0.5, weight=1.0, seed=1, name="a"),
    lambda: fixed_probability(5, 6, 0.5, weight=1.0, self_connections=False, seed=1, name="a"),
    lambda: by_distance(np.zeros((2, 1)), np.zeros((2, 2)), lambda d: d, weight=1.0, seed=1, name="a"),
    lambda: by_distance(np.zeros((2, 1)), np.ones((2, 1)), lambda d: 2 * d, weight=1.0, seed=1, name="a"),
    lambda: SparseMs([0, 1], [0], np.nan),
    lambda: SparseMs([0, 1], [0], 1.0, -1.0),
    lambda: SparseMs([0, 2], [0], 1.0),
    lambda: SparseMs([0, 1], [0.5], 1.0),
    lambda: SparseMs.from_lists([3], [0], 1.0, n_sources=2),
])
def test_refused(make):
    with pytest.raises(NetworkError):
        make()
