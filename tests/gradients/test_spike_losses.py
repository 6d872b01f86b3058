"""Losses of spike times and potentials: values by hand, derivatives by differences, silent neurons, what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Population, Projection, SparseMs, SpikeRaster
from eventsnn.errors import DataError
from eventsnn.gradients import spike_losses as losses

TIMES, IDS, OFFSETS = np.array([1.0, 2.5, 3.0, 4.0, 0.5, 2.0, 2.25]), [0, 1, 0, 2, 1, 1, 2], [0, 4, 7]


def ran(times=TIMES, ids=IDS, offsets=OFFSETS, size=3):
    """Two samples; neuron 0 is silent in the second."""
    raster = SpikeRaster(times, ids, size=size, duration=6.0, offsets=offsets)
    return SimpleNamespace(rasters={"o": raster}, readout=np.array([[0.3, -0.2, 0.1], [1.0, 0.4, 0.0]]))


def by_differences(make, h=1e-6):
    found = np.zeros(TIMES.size)
    for k in range(TIMES.size):
        up, down = TIMES.copy(), TIMES.copy()
        up[k], down[k] = up[k] + h, down[k] - h
        found[k] = (make(ran(up)).value - make(ran(down)).value) / (2 * h)
    return found


WANTED = SpikeRaster([1.2, 3.3, 0.1], [0, 2, 1], size=3, duration=6.0, offsets=[0, 2, 3])
OF_TIMES = {
    "first spikes": lambda r: losses.first_spike_cross_entropy(r, "o", [0, 1], 0.7),
    "first spikes, early": lambda r: losses.first_spike_cross_entropy(r, "o", [2, 1], 0.7, early=0.1, tau_early=2.0),
    "squared error": lambda r: losses.spike_time_error(r, "o", [[1.5, np.nan, 3.0], [2.0, 0.75, np.nan]]),
    "van Rossum": lambda r: losses.van_rossum_error(r, "o", WANTED, 2.0),
}


@pytest.mark.parametrize("name", OF_TIMES)
def test_derivatives_are_those_of_the_value(name):
    loss = OF_TIMES[name](ran())
    np.testing.assert_allclose(loss.times["o"], by_differences(OF_TIMES[name]), rtol=1e-6, atol=1e-9)
    assert loss.value > 0 and not loss.potentials


def test_values_by_hand():
    t = np.array([[1.0, 2.5, 4.0], [6.0, 0.5, 2.25]])  # a silent neuron counts as spiking at the end
    p = np.exp(-t / 0.7) / np.exp(-t / 0.7).sum(1, keepdims=True)
    assert OF_TIMES["first spikes"](ran()).value == pytest.approx(-np.log(p[[0, 1], [0, 1]]).mean())
    assert OF_TIMES["squared error"](ran()).value == pytest.approx(0.5 * (0.25 + 1.0 + 16.0 + 0.0625) / 2)
    one = losses.van_rossum_error(ran(), "o", ran().rasters["o"], 2.0)
    assert one.value == 0 and not one.times["o"].any()


def test_cross_entropy_of_potentials():
    loss = losses.potential_cross_entropy(ran(), "o", np.array([0, 2]))
    h = 1e-6
    for k, i in np.ndindex(2, 3):
        values = []
        for s in (h, -h):
            changed = ran()
            changed.readout[k, i] += s
            values.append(losses.potential_cross_entropy(changed, "o", np.array([0, 2])).value)
        assert loss.potentials["o"][k, i] == pytest.approx((values[0] - values[1]) / (2 * h), abs=1e-8)


def test_the_lift_is_the_derivative_of_its_value():
    """A synapse into a neuron that is silent in half of the samples grows by half the strength."""
    w = np.arange(12.0).reshape(4, 3) / 10
    loop = SparseMs.from_lists([0, 1, 2, 2], [0, 1, 0, 2], [1.0, 2, 3, 4], n_sources=3)
    network = Network([Input("x", 4)], [Population(n, 3, "cuba_lif", dtype="float64") for n in "oq"],
                      [Projection("x", "o", Dense(w)), Projection("x", "q", Dense(w)),
                       Projection("q", "o", loop)])  # fmt: skip
    value, slopes = losses.silent_lift(network, ran(), ["o"], 0.2)
    assert slopes[1] is None and (slopes[0] == [[-0.1, 0, 0]] * 4).all() and slopes[2].tolist() == [-0.1, 0, -0.1, 0]
    assert value == pytest.approx(-0.1 * (w[:, 0].sum() + 4.0))
    assert losses.silent_lift(network, ran(), ["o"], 0.0) == (0.0, (None, None, None))


def test_what_is_refused():
    for labels in ([0], [0, 3], [0.0, 1.0]):
        with pytest.raises(DataError, match="labels"):
            losses.first_spike_cross_entropy(ran(), "o", labels, 1.0)
    with pytest.raises(DataError, match="tau"):
        losses.first_spike_cross_entropy(ran(), "o", [0, 1], 0.0)
    with pytest.raises(DataError, match="no raster"):
        losses.spike_time_error(ran(), "x", np.zeros((2, 3)))
    with pytest.raises(DataError, match="shape"):
        losses.spike_time_error(ran(), "o", np.zeros((2, 2)))
    with pytest.raises(DataError, match="2 samples"):
        losses.van_rossum_error(ran(), "o", WANTED.sample(0), 2.0)
