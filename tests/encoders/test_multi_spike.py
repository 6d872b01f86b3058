"""Phase and burst input codes, and the amplitude of Poisson spikes: the published vectors, the way back, refusals."""

import numpy as np
import pytest

from eventsnn import SpikeRaster
from eventsnn.encoders import burst, phase, poisson
from eventsnn.errors import DataError

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("x, amplitudes, total", [
    (0.7, [0.5, 0, 0.125, 0.0625, 0, 0, 1 / 128, 1 / 256], 0.69921875),
    (0.3, [0, 0.25, 0, 0, 1 / 32, 1 / 64, 0, 0], 0.296875),
    (0.003, [0] * 8, 0.0),
    (1.0, [2.0**-k for k in range(1, 9)], 255 / 256),
])  # fmt: skip
def test_phase_is_the_binary_digits(x, amplitudes, total):
    raster = phase.encode([[x]], steps=19)
    dense = raster.to_dense()[0, :, 0]
    assert dense[:8].tolist() == dense[8:16].tolist() == amplitudes and dense[16:].tolist() == amplitudes[:3]
    assert phase.decode(raster).tolist() == [[total]] == phase.decode(phase.encode([[x]], steps=8)).tolist()


def test_phase_equals_its_thresholds():
    """The same digits by comparing and subtracting, as the code is published, for another period."""
    x = RNG.random((3, 50))
    v, wanted = x.copy(), np.zeros((3, 12, 50))
    for t in range(12):
        v = x.copy() if t % 5 == 0 else v
        theta = 2.0 ** -(1 + t % 5)
        wanted[:, t] = np.where(v >= theta, theta, 0)
        v = v - wanted[:, t]
    assert phase.encode(x, steps=12, period=5, dt_ms=0.5) == SpikeRaster.from_dense(wanted, dt_ms=0.5)


@pytest.mark.parametrize("x, cycle", [
    (1.0, [0.125, 0.25, 0.5, 0]), (0.7, [0.125, 0.25, 0]), (0.5, [0.125, 0.25, 0]), (0.3, [0.125, 0]), (0.1, [0]),
])  # fmt: skip
@pytest.mark.parametrize("reload", ["sample", "batch"])
def test_burst_presents_again_when_all_is_silent(x, cycle, reload):
    raster = burst.encode([[x]], steps=4 * len(cycle) + 1, reload=reload)
    assert raster.to_dense()[0, :, 0].tolist() == 4 * cycle + cycle[:1]
    assert burst.decode(raster, reload=reload).tolist() == [[sum(cycle)]]


def test_burst_in_a_fixed_period_says_every_multiple_of_the_threshold():
    x = np.arange(9)[None] / 8 + 0.01 * (np.arange(9) < 8)
    raster = burst.encode(x, steps=24)
    assert np.array_equal(burst.decode(raster)[0], np.arange(9) / 8)
    assert np.array_equal(raster.to_dense()[:, :8], raster.to_dense()[:, 16:])
    assert raster.to_dense()[0, :8, 5].tolist() == [0.125, 0.25, 0, 0.125, 0, 0.125, 0, 0]


def test_the_batch_rule_depends_on_the_company_and_nothing_else_does():
    x = np.array([[0.2, 0.0], [1.0, 0.2]])
    for reload, alike in (("batch", False), ("sample", True), (8, True)):
        both, alone = burst.encode(x, steps=20, reload=reload), burst.encode(x[:1], steps=20, reload=reload)
        assert (both.sample(0) == alone) is alike


def test_burst_of_growing_spikes():
    raster = burst.encode([[1.0]], steps=5, threshold=0.1, beta=1.5)
    assert np.allclose(raster.amplitudes, [0.1, 0.15, 0.225, 0.3375]) and raster.times.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("encode, options, words", [
    (phase.encode, {"steps": 0}, "steps"), (phase.encode, {"steps": 4, "period": 33}, "<= 32"),
    (burst.encode, {"steps": 4, "threshold": 0}, "threshold"), (burst.encode, {"steps": 4, "beta": 0.5}, "beta"),
    (burst.encode, {"steps": 4, "reload": "smaple"}, "did you mean 'sample'"),
    (burst.encode, {"steps": 4, "reload": 0}, "reload"),
])  # fmt: skip
def test_bad_options(encode, options, words):
    with pytest.raises(DataError, match=words):
        encode([[0.5]], **options)


@pytest.mark.parametrize("encode", [phase.encode, burst.encode])
def test_values_must_lie_in_the_unit_interval(encode):
    for x, words in ((1.5, "at most 1.0"), (-0.25, "at least 0")):
        with pytest.raises(DataError, match=f"{words}.*sample 1, element 0"):
            encode([[0.5], [x]], steps=8)
    assert encode(np.zeros((2, 3)), steps=8).n_spikes == 0


def test_poisson_spikes_of_another_amplitude():
    x = RNG.uniform(-1, 1, (2, 20))
    plain, small = (poisson.encode(x, steps=30, seed=1, amplitude=a) for a in (1.0, 0.125))
    assert np.array_equal(plain.to_dense() * 0.125, small.to_dense())
    assert np.allclose(poisson.decode(small, amplitude=0.125), poisson.decode(plain))
    with pytest.raises(DataError, match="amplitude must be a number in"):
        poisson.encode(x, steps=3, seed=1, amplitude=0)
