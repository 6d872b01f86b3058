"""Event = stepped = twin, bit for bit, analytic and ReLU to rounding: gated networks, docs/semantics.md section 4."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventsnn import Network, SpikeRaster, run
from eventsnn.errors import RunError
from eventsnn.network import Input, Population, Projection, Readout, Relay
from eventsnn.projections import Conv2d, Dense
from eventsnn.relays import AveragePool, EarliestPool
from tests import strategies as draws
from tests.properties.settings import examples
from tests.reference import gated
from tests.reference.compare import assert_like_twin, assert_same, final, spikes_of


def go(case, **options):
    """Run a case with everything recorded."""
    return run(case.network, case.inputs, record_state=[p.name for p in case.network.populations], **options)


@examples(50)
@given(draws.gated_cases())
def test_event_and_stepped_equal_the_twin(case):
    twin = gated.simulate(case.network, case.inputs)
    event = go(case)
    assert_like_twin(event, twin)
    assert event.counters["synaptic_events"] == twin.synaptic_events
    assert event.counters["spikes"] == sum(len(twin.spikes[p.name]) for p in case.network.populations)
    assert_same(go(case, engine="stepped"), event)


@examples(20)
@given(draws.gated_cases(), st.sampled_from([2, 3]), st.sampled_from(["streamed", "interleaved"]))
def test_threads_schedule_and_sample_order_change_nothing(case, threads, schedule):
    wanted = go(case)
    assert_same(go(case, threads=threads, schedule=schedule), wanted, ["spikes", "synaptic_events"])
    raster = case.inputs["in"]
    order = list(range(raster.n_samples))[::-1]
    mixed = go(draws.Case(case.network, {"in": raster.select(order)}, None))
    for name in wanted.rasters:
        assert mixed.rasters[name] == wanted.rasters[name].select(order), name


@examples(40)
@given(draws.gated_cases(window=60.0))
def test_wide_windows_equal_the_relu_network(case):
    result, (value, tolerance) = go(case), gated.relu(case.network, case.inputs)
    for p in case.network.populations:
        assume((value[p.name] < 0.5 * p.parameters.get("window", np.inf)).all())  # no early spike
        x = final(result)[p.name] if p.model.name == "ramp_readout" else result.rasters[p.name].amplitude_sums()
        assert (np.abs(x - value[p.name]) <= tolerance[p.name]).all(), p.name
        if p.model.name == "ramp":
            fired, clear = x > 0, value[p.name] > tolerance[p.name]
            assert fired[clear].all()


@examples(25)
@given(draws.gated_cases(averages=False))  # merged spikes have no closed form of their own
def test_analytic_equals_event_to_rounding(case):
    event, closed = go(case), run(case.network, case.inputs, engine="analytic")
    assert closed.engine == "analytic"
    _, tolerance = gated.relu(case.network, case.inputs)
    assert event.rasters.keys() == closed.rasters.keys()
    for name, raster in event.rasters.items():
        a, b = raster.amplitude_sums(), closed.rasters[name].amplitude_sums()
        assert (np.abs(a - b) <= 2 * tolerance[name] + 1e-12).all(), name
    assert (np.abs(event.readout - closed.readout) <= 2 * tolerance[case.network.readout.population]).all()


def ramp(weights, raster, early="saturate", window=2.0, bias=0.0, dtype="float64"):
    """Run one ramp population."""
    population = Population("p", len(weights[0]), "ramp", {"window": window, "early": early, "bias": bias}, dtype)
    network = Network([Input("in", len(weights))], [population], [Projection("in", "p", Dense(weights))])
    return run(network, {"in": raster}).rasters["p"]


def test_worked_example_of_the_reference():
    """x = (0.8, 0.5), w = (1, -0.4), b = 0.1, R = 3: t = 3.3, x = 0.7."""
    raster = SpikeRaster([0.2, 0.5], [0, 1], [0.8, 0.5], size=2, duration=1.0)
    found = ramp([[1.0], [-0.4]], raster, window=3.0, bias=0.1)
    assert found.times == pytest.approx([3.3], rel=1e-15)
    assert found.amplitudes == pytest.approx([0.7], rel=1e-15)


def test_raster_without_amplitudes_carries_the_time_left():
    raster = SpikeRaster([0.25, 1.0], [0, 1], size=2, duration=1.0)
    assert spikes_of(ramp([[1.0], [5.0]], raster)) == [(0, 1.0 + 1.25, 0, 0.75)]


def test_early_spikes_saturate_or_are_refused():
    raster = SpikeRaster([0.0], [0], [1.0], size=1, duration=1.0)
    assert spikes_of(ramp([[5.0, 2.0, 1.0]], raster)) == [(0, 1.0, 0, 2.0), (0, 1.0, 1, 2.0), (0, 2.0, 2, 1.0)]
    with pytest.raises(RunError, match=r"population p: 1 spike.*before the window opened"):
        ramp([[5.0, 2.0, 1.0]], raster, early="refuse")


def test_several_spikes_of_one_source_keep_their_order():
    raster = SpikeRaster([0.0, 0.25, 0.25, 0.5], [0, 0, 0, 0], [1e8, 1.0, -1e8, 1.0], size=1, duration=1.0)
    population = Population("p", 1, "ramp_readout", {}, "float32")
    network = Network([Input("in", 1)], [population], [Projection("in", "p", Dense([[1.0]]))], readout=Readout("p"))
    for engine in ("event", "stepped"):
        assert run(network, {"in": raster}, engine=engine).readout.tolist() == [[1.0]], engine


@pytest.mark.parametrize("signs, passes", [(None, 0.9), ((-1,), 0.2)])
def test_earliest_pool_takes_the_largest_or_the_smallest(signs, passes):
    x = np.array([0.5, 0.9, 0.2, 0.9])
    population = Population("p", 1, "ramp_readout", {}, "float64")
    network = Network([Input("in", (2, 2, 1))], [population], [Projection("pool", "p", Dense([[1.0]]))],
                      [Relay("pool", "in", EarliestPool(2, signs=signs))], readout=Readout("p"))

    def read(x):
        keep = np.flatnonzero(x)
        return run(network, {"in": SpikeRaster.from_events(1 - x[keep], keep, x[keep], size=4, duration=1.0)}).readout[0, 0]

    assert read(x) == passes
    assert read(x * [0, 1, 1, 1]) == (0.9 if signs is None else 0.0)  # a silent position keeps a min pool silent


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_overlapping_average_pools_fill_a_convolution(dtype):
    """An average pool hands on many spikes of one channel: more than a kernel has weights."""
    rng = np.random.default_rng(0)
    x = np.round(rng.uniform(0.1, 1.0, (2, 6 * 6 * 2)), 3)
    sample, i = np.nonzero(x)
    raster = SpikeRaster.from_events(1 - x[sample, i], i, x[sample, i], sample, size=72, duration=1.0)
    conv = Conv2d(rng.normal(0, 0.2, (3, 3, 2, 3)))
    population = Population("p", (4, 4, 3), "ramp", {"window": 30.0}, dtype)
    relay = Relay("pool", "in", AveragePool(3, 1))
    network = Network([Input("in", (6, 6, 2))], [population], [Projection("pool", "p", conv)], [relay])
    twin = gated.simulate(network, {"in": raster})
    for engine in ("event", "stepped"):
        assert_like_twin(run(network, {"in": raster}, engine=engine), twin)
