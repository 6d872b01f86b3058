"""The input code of T2FSNN: published steps, values decoded, options, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn.encoders import ENCODERS, ttfs_kernel
from eventsnn.errors import DataError
from tests.properties.settings import examples

SIZES = st.floats(0, 1, allow_subnormal=False)


def test_published_steps_and_values():
    steps = {1.0: 0, 0.99: 1, 0.9: 3, 0.75: 6, 0.5: 14, 0.25: 28, 0.1: 47, 0.05: 60, 0.02: 79, 0.0193: 79}
    raster = ENCODERS["ttfs_kernel"].encode([[*steps, 0.0192, 0.0, -1.0]])
    assert dict(zip(raster.ids.tolist(), raster.times.tolist())) == dict(enumerate(steps.values()))
    said = ttfs_kernel.decode(raster)[0]
    assert said[[2, 4, 6]] == pytest.approx([0.860708, 0.496585, 0.095369], abs=5e-7)
    assert raster.duration == 80.0 and raster.clock == "continuous"


@examples(60)
@given(st.lists(SIZES, min_size=1, max_size=20), st.floats(3, 60), st.floats(-4, 4), st.booleans())
def test_values_come_back_within_a_factor(values, tau, td, half_step):
    x = np.array([values])
    raster = ttfs_kernel.encode(x, tau=tau, td=td, half_step=half_step, dtype="float64", grid=True)
    said, high, low = ttfs_kernel.decode(raster), math.exp(td / tau), math.exp(-(79 - td) / tau)
    late = 0.5 if half_step else 0.0
    inside = (x < high * math.exp(-late / tau)) & (x >= low * math.exp(-late / tau)) & (x > 0)
    ratio = said[inside] / x[inside]
    assert ((ratio > math.exp((late - 1) / tau) * (1 - 1e-12)) & (ratio <= math.exp(late / tau) * (1 + 1e-12))).all()
    assert (said[x < low * math.exp(-late / tau) * (1 - 1e-12)] == 0).all()
    assert raster.counts().max() <= 1


def test_clocks_and_durations():
    gated = ttfs_kernel.encode([[0.5, 0.25]], dt_ms=0.5)
    grid = ttfs_kernel.encode([[0.5, 0.25]], dt_ms=0.5, grid=True, duration=160)
    assert gated.times.tolist() == [7.0, 14.0] and gated.duration == 40.0
    assert grid.times.tolist() == [14, 28] and (grid.duration, grid.dt_ms) == (160, 0.5)
    assert np.array_equal(gated.amplitudes, grid.amplitudes)


def test_analog_values_arrive_once_as_they_are():
    raster = ttfs_kernel.analog([[0.3, 0.0, -2.0]], grid=True)
    assert raster.times.tolist() == [0, 0] and raster.ids.tolist() == [0, 2] and raster.amplitudes.tolist() == [0.3, -2.0]


def test_large_values_are_refused_or_clipped():
    with pytest.raises(DataError, match=r"at most 1\.0, got 1\.5 in sample 0, element 1"):
        ttfs_kernel.encode([[0.5, 1.5]])
    assert ttfs_kernel.encode([[0.5, 1.5]], clip=True).times.tolist() == [0.0, 14.0]


@pytest.mark.parametrize("options, words", [
    ({"tau": 0.0}, "tau must be a number in"), ({"window": 0}, "whole number >= 1"),
    ({"duration": 10}, "whole number of steps >= 80"),
    ({"tau": 0.1}, "float32 cannot hold"), ({"dtype": "int32"}, "dtype must be"),
    ({"theta0": -1.0}, "theta0 must be a number in"), ({"window": 2**22 + 1}, "<= 4194304"),
    ({"half_step": "no"}, "half_step must be one of"), ({"clip": "no"}, "clip must be one of"),
], ids=lambda x: x if isinstance(x, str) else str(x))
def test_options_out_of_range_are_refused_in_words(options, words):
    with pytest.raises(DataError, match=words):
        ttfs_kernel.encode([[0.5]], **options)
