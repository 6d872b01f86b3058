"""Quantisers: their grids, the power of two of a scale, stochastic rounding."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import quantise
from eventsnn.errors import ModelError
from eventsnn.random import key, uniform
from tests.properties.settings import examples


@examples(30)
@given(st.floats(1e-30, 1e30))
def test_shift_is_the_nearest_power_of_two_on_a_logarithmic_scale(v):
    exponent = math.log2(quantise.shift(v))
    assert exponent == int(exponent) and abs(math.log2(v) - exponent) <= 0.5 + 1e-12
    assert quantise.shift(0.0) == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", [2, 3, 8, 12])
def test_grids(bits, dtype):
    x = np.random.default_rng(bits).normal(0, 1, 1000).astype(dtype)
    levels = 2 ** (bits - 1)
    found, inside = quantise.states(x, bits)
    assert found.dtype == dtype and np.array_equal(found * levels, np.rint(found * levels))
    assert np.abs(found).max() <= 1 - 1 / levels and np.unique(found).size <= 2**bits - 1
    assert np.array_equal(inside, np.abs(x) <= 1 - 1 / levels)
    assert np.array_equal(quantise.weights(x, bits, 16.0) * 16, found)
    e = quantise.errors(x * dtype(1e-5), bits)
    assert e.dtype == dtype and (0.7 < np.abs(e).max() <= 1 or bits == 2)
    assert not quantise.errors(np.zeros(4, dtype), bits).any()
    assert quantise.to_grid(dtype(0.75), 2) == 1.0 and quantise.to_grid(dtype(0.25), 2) == 0.0  # ties to even


def test_unsigned_symmetric_and_single_bits():
    assert quantise.unit(np.array([0, 0.3, 1]), 2).tolist() == [0, 0.25, 1]
    assert quantise.symmetric(np.array([-1, 0.4, 1]), 3).tolist() == [-1, 1 / 3, 1]
    assert quantise.to_grid(np.array([-3.0, 0.0, 0.2]), 1).tolist() == [-1, 0, 1] and quantise.bound(1) == 1


def test_switched_off():
    x = np.array([3.0, -0.1])
    for width in (None, 33, 64):
        assert quantise.weights(x, width, 8) is x and quantise.errors(x, width) is x and quantise.states(x, width)[1].all()
        assert quantise.gradients(x, width, 16, 0.5, np.zeros(2, np.uint32)).tolist() == [1.5, -0.05]
    for wrong in (0, 2.5, True):
        with pytest.raises(ModelError, match="bits"):
            quantise.check_width("wb", wrong)


@pytest.mark.parametrize("rate, width", [(1.0, 16), (0.1, 16), (1.0, None)])
def test_stochastic_rounding_is_right_on_average(rate, width):
    g = np.tile(np.array([0.9, -0.31, 0.0, 1e-3, -0.6], np.float32), (2000, 1))
    g[0, 0] = 1.3
    words = quantise.random_words(key(1, "test"), 0, g.shape)
    found = quantise.gradients(g, 8, width, rate, words) * 128
    assert set(np.unique(found)) <= {-2, -1, 0, 1, 2} and not found[:, 2].any()
    wanted = np.clip(rate * g[1], -1.414, 1.414)
    deviation = np.sqrt(np.abs(wanted) * (1 - np.abs(wanted)) / 2000) + 2.0**-16
    assert (np.abs(found[1:].mean(axis=0) - wanted) <= 3 * deviation + 1e-7).all()


def test_random_words_are_those_of_the_counter():
    stream = key(4, "words")
    words = quantise.random_words(stream, 3, (5, 7))
    assert words.shape == (5, 7)
    assert np.array_equal(words, quantise.random_words(stream, 3, (9, 7))[:5])
    high = uniform(stream, np.arange(5), 3, 4)  # the top bits of a pair are those of its second word
    assert np.array_equal(words[:, 1::2], np.floor(high[:, :3] * 2**32).astype(np.uint32))


def test_scales():
    assert quantise.layer_scale(2, 700) == (0.75, 16) and quantise.layer_scale(2, 400) == (0.75, 8)
    assert quantise.layer_scale(None, 300) == (0.1, 1.0)
    assert quantise.layer_scale(8, 98, beta=1.5, gain=1.0)[1] == 1
