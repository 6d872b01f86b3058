"""Networks on the continuous clock put on the grid: equal where times lie on it, and an error that shrinks with the step."""

import json

import numpy as np
import pytest

from eventsnn.conversion.to_grid import raster_to_grid, to_grid
from eventsnn.conversion.ttfs import to_ramps
from eventsnn.engines.run import run
from eventsnn.errors import NetworkError, RasterError
from eventsnn.network import Input, Network, Population, Projection, Readout
from eventsnn.projections import Dense, Sparse
from eventsnn.projections.sparse_ms import SparseMs
from eventsnn.raster import SpikeRaster

MEMBRANE = {"tau_mem": 10.0, "v_rest": -65.0, "v_threshold": -50.0, "v_reset": -60.0, "v_init": -65.0}


def two_layers(bias=0.0, *, step=None, recurrent=False, seed=3, strength=1.0, **parameters):
    """20 inputs, 60 and 40 neurons; delays that differ, multiples of `step` if given."""
    rng = np.random.default_rng(seed)
    delays = rng.uniform(0.5, 4, 2400)
    delays = delays if step is None else step * np.rint(delays / step)
    first = rng.normal(3, 2, (20, 60)) * strength
    second = SparseMs(40 * np.arange(61), np.tile(np.arange(40), 60), rng.normal(1, 1, 2400) * strength, delays)
    drive = {"bias": bias + rng.uniform(0, 4, 60) * (bias > 0), "v_init": rng.uniform(-70, -55, 60)}
    projections = [Projection("input", "a", Dense(first), 1.25), Projection("a", "b", second, 0.25)]
    if recurrent:
        back = Sparse(rng.integers(0, 40, 300), rng.integers(0, 60, 300), rng.normal(0, 2, 300))
        projections.append(Projection("b", "a", back, 1.5))
    populations = [Population("a", 60, "lif_continuous", {**MEMBRANE, **drive, **parameters}, "float64"),
                   Population("b", 40, "lif_continuous", {**MEMBRANE, **parameters}, "float64")]
    return Network([Input("input", 20)], populations, projections, readout=Readout("b", "count"))


def spikes(step=None, duration=100.0, count=600, seed=6):
    rng = np.random.default_rng(seed)
    times = rng.uniform(0, duration, count)
    times = times if step is None else step * np.floor(times / step)
    amplitudes = rng.choice([0.5, 1.0, 2.0], count)
    return SpikeRaster.from_events(times, rng.integers(0, 20, count), amplitudes, size=20, duration=duration)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("parameters", [
    {}, {"tau_mem": 2.5}, {"reset": "subtract", "v_reset": -65.0, "strength": 0.7},
    {"refractory": 2.0, "v_reset": -65.0},
])  # fmt: skip
def test_equal_where_all_times_lie_on_the_grid(recurrent, parameters):
    dt = 0.125
    network, raster = two_layers(step=dt, recurrent=recurrent, **parameters), spikes(dt)
    grid, report = to_grid(network, dt)
    assert all(row["delay_error"] == 0 for row in report["projections"].values())
    exact, found = run(network, {"input": raster}), run(grid, {"input": raster_to_grid(raster, dt)})
    for name in ("a", "b"):
        own, other = exact.rasters[name], found.rasters[name]
        if parameters.get("reset") == "subtract":  # several spikes of one instant are one a step
            assert np.abs(own.counts() - other.counts()).sum() < 0.1 * own.n_spikes
            continue
        assert own.n_spikes > 100 and (own.ids == other.ids).all() and (own.times == other.times_ms).all()
    if parameters.get("reset") != "subtract":
        assert (exact.prediction == found.prediction).all() and (exact.readout == found.readout).all()


@pytest.mark.parametrize("parameters", [{}, {"refractory": 2.0}, {"reset": "subtract"}])
def test_errors_shrink_in_proportion_to_the_step(parameters):
    """A driven layer whose neurons spike by themselves: spike times and counts converge with order one."""
    network, raster = two_layers(22.0, strength=0.25, **parameters), spikes(count=300)
    exact = run(network, {"input": raster}).rasters
    steps, late, missed = 2.0 ** -np.arange(2, 9), [], []
    for dt in steps:
        found = run(to_grid(network, dt)[0], {"input": raster_to_grid(raster, dt)}).rasters
        late.append(np.mean([_lateness(exact["a"], found["a"], rank) for rank in (0, 1)]))
        missed.append(sum(np.abs(exact[n].counts() - found[n].counts()).sum() for n in ("a", "b")) / 100)
    slope = np.polyfit(np.log2(steps), np.log2(late), 1)[0]
    assert 0.8 < slope < 1.2, (slope, late)
    assert late[-1] < steps[-1] and missed[-1] <= missed[0] / 8, missed


def _lateness(exact, found, rank):
    """Mean difference of spike number `rank` of every neuron that has it in both, ms."""
    pairs = []
    for i in range(exact.size):
        own, other = exact.times[exact.ids == i], found.times_ms[found.ids == i]
        if min(own.size, other.size) > rank:
            pairs.append(abs(own[rank] - other[rank]))
    return np.mean(pairs)


@pytest.mark.parametrize("bias", [-4.0, 3.0])
def test_potential_between_spikes_is_exact(bias):
    """A population without spikes has the potential of the exact one at every step, counted from v_reset."""
    dt, n = 0.25, 6
    values = {**MEMBRANE, "bias": np.linspace(-3, 1, n) + bias, "v_init": np.linspace(-80, -60, n), "v_threshold": 1000.0}
    population = Population("a", n, "lif_continuous", values, "float64")
    network = Network([Input("input", 2)], [population], [Projection("input", "a", Dense(np.arange(12.0).reshape(2, 6)), 0.5)],
                      readout=Readout("a"))
    raster = SpikeRaster([0.0, 1.5, 7.25], [0, 1, 0], size=2, duration=9.0)
    exact = run(network, {"input": raster}, duration=9.0 - dt).readout
    grid = run(to_grid(network, dt)[0], {"input": raster_to_grid(raster, dt)}).readout
    assert np.allclose(grid + values["v_reset"], exact, rtol=0, atol=1e-11)


def test_report_and_parameters():
    network, report = to_grid(two_layers(refractory=2.0), 0.5)
    json.dumps(report)
    assert report["populations"]["a"] == {"leak": np.exp(-0.05), "refractory": 3} and network.dt_ms == 0.5
    assert 0.2 < report["projections"]["a -> b"]["delay_error"] <= 0.25
    assert report["projections"]["input -> a"]["delay_error"] == 0.25 and network.projections[0].delay == 2
    tiny = Network([], [Population("a", 1, "lif_continuous")], [Projection("a", "a", Dense([[0.5]]), 0.01)])
    assert to_grid(tiny, 1.0)[0].projections[0].delay == 1
    assert to_grid(Network([], [Population("a", 1, "lif_continuous")]), 1.0)[1]["projections"] == {}


def test_what_cannot_be_put_on_a_grid():
    for model in ("cuba_lif", "ramp_ungated", "ramp_alpha1"):
        with pytest.raises(NetworkError, match=f"population p: only 'lif_continuous'.*'{model}'"):
            to_grid(Network([], [Population("p", 2, model)]), 1.0)
    from eventsnn.ann.architectures import mlp

    with pytest.raises(NetworkError, match=r"'ramp'.*windows"):
        to_grid(to_ramps(mlp(3, [4], 2), np.ones((2, 3)))[0], 1.0)
    network = two_layers()
    for dt in (0, -1.0, np.nan, np.inf, "1", True):
        with pytest.raises(NetworkError, match="dt_ms must be a number > 0"):
            to_grid(network, dt)
    with pytest.raises(NetworkError, match="on the grid already"):
        to_grid(to_grid(network, 1.0)[0], 1.0)
    values = {"v_reset": np.array([0.0, -1.0])}
    odd = Network([], [Population("p", 2, "lif_continuous", values)], readout=Readout("p"))
    with pytest.raises(NetworkError, match="population p count from v_reset"):
        to_grid(odd, 1.0)


def test_rasters_move_to_the_nearest_step():
    raster = SpikeRaster.from_events([0.0, 0.1, 0.3, 0.9, 2.0, 1.0], [0, 0, 1, 1, 2, 2], [1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 1],
                                     size=3, duration=2.0, shape=(3,))
    found = raster_to_grid(raster, 0.5)
    assert found.duration == 4 and found.dt_ms == 0.5 and found.n_samples == 2
    dense = found.to_dense()
    assert dense[0, 0, 0] == 3 and dense[0, 1, 1] == 3 and dense[0, 2, 1] == 4 and dense[0, 3, 2] == 5 and dense[1, 2, 2] == 6
    assert np.count_nonzero(dense) == 5
    cancel = SpikeRaster([0.1, 0.2], [0, 0], [1.0, -1.0], size=1, duration=1.0)
    assert raster_to_grid(cancel, 1.0).n_spikes == 0 and raster_to_grid(cancel, 1.0).duration == 1
    assert raster_to_grid(SpikeRaster([], [], size=2, duration=1.0), 0.25).n_spikes == 0
    fine = spikes(0.125)
    assert raster_to_grid(fine, 0.125).n_spikes == len({*zip(fine.times, fine.ids)})


def test_bad_rasters():
    raster = SpikeRaster([0.1], [0], size=1, duration=1.0)
    with pytest.raises(RasterError, match="dt_ms must be"):
        raster_to_grid(raster, 0)
    with pytest.raises(RasterError, match="on a grid already"):
        raster_to_grid(raster_to_grid(raster, 1.0), 1.0)
