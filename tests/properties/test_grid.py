"""Event = stepped = twin, bit for bit, and what must not change a bit: docs/semantics.md on the grid clock."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import Network, SpikeRaster, run
from eventsnn.network import BiasDrive, Input, Population, Projection, Readout, Relay
from eventsnn.projections import Conv2d, Dense, Sparse
from eventsnn.relays import AveragePool, EarliestPool, GatedMaxPool
from tests import strategies as draws
from tests.properties.settings import CONFIGS, examples
from tests.reference import grid
from tests.reference.compare import assert_like_twin, assert_same, final, spikes_of


def go(case, **options):
    """Run a case with everything recorded."""
    names = [p.name for p in case.network.populations]
    return run(case.network, case.inputs, duration=case.duration, record_state=names, **options)


def driven(case):
    """Names of inputs without spikes of their own."""
    return [name for name, given in case.inputs.items() if hasattr(given, "schedule")]


@examples(80)
@given(draws.cases(CONFIGS))
def test_event_and_stepped_equal_the_twin(case):
    twin = grid.simulate(case.network, case.inputs, case.duration)
    for engine in ("stepped", "event"):
        result = go(case, engine=engine)
        assert_like_twin(result, twin, driven(case))
        assert result.counters["synaptic_events"] == twin.synaptic_events, engine
        spikes = {p.name: len(twin.spikes[p.name]) for p in case.network.populations}
        assert {name: of["spikes"] for name, of in result.per_population.items()} == spikes
        assert result.counters["spikes"] == sum(spikes.values())


@examples(40)
@given(draws.cases(CONFIGS), st.data())
def test_schedule_slab_and_threads_change_nothing(case, data):
    wanted = go(case)
    engine = data.draw(st.sampled_from(["event", "stepped"]), label="engine")
    schedule = data.draw(st.sampled_from(["streamed", "interleaved"]), label="schedule")
    slab = data.draw(st.sampled_from([None, 1, 2, 3, 7, 100]), label="slab")
    threads = data.draw(st.sampled_from([1, 2, 3]), label="threads")
    assert_same(go(case, engine=engine, schedule=schedule, slab=slab, threads=threads), wanted, ["spikes", "synaptic_events"])


@examples(20)
@given(draws.cases(CONFIGS, samples=3), st.permutations(range(3)))
def test_samples_do_not_know_of_each_other(case, order):
    whole = go(case)
    mixed = go(draws.Case(case.network, {name: x.select(order) for name, x in case.inputs.items()}, case.duration))
    for name, raster in whole.rasters.items():
        assert mixed.rasters[name] == raster.select(order), name
    for name, v in final(whole).items():
        assert np.array_equal(final(mixed)[name], v[order]), name
    single = [{name: x.select([k]) for name, x in case.inputs.items()} for k in range(3)]
    alone = [go(draws.Case(case.network, inputs, case.duration)) for inputs in single]
    for name, raster in whole.rasters.items():
        assert SpikeRaster.concatenate([a.rasters[name] for a in alone]) == raster, name
    assert np.array_equal(np.concatenate([a.readout for a in alone]), whole.readout)


@examples(25)
@given(draws.cases([c for c in CONFIGS if not c.bias], driven=False), st.integers(0, 5))
def test_shifted_input_gives_shifted_output(case, delta):
    late = {name: raster.shifted(delta) for name, raster in case.inputs.items()}
    before, after = go(case), go(draws.Case(case.network, late, case.duration + delta))
    for name, raster in before.rasters.items():
        assert after.rasters[name] == raster.shifted(delta), name
    for name, v in final(before).items():
        assert np.array_equal(final(after)[name], v), name


@examples(15)
@given(draws.cases(CONFIGS))
def test_an_unconnected_population_changes_nothing(case):
    n = case.network
    extra = Population("alone", (2, 2, 3), "if", {"v_init": 1.5, "v_threshold": 0.5})
    wider = Network(n.inputs, (extra, *n.populations), n.projections, n.relays, n.drives, n.readout, n.dt_ms)
    before, after = go(case), go(draws.Case(wider, case.inputs, case.duration))
    assert (after.rasters.pop("alone").counts() == min(3, case.duration)).all()
    after.states.pop("alone")
    assert_same(after, before, ["synaptic_events"])


@examples(15)
@given(draws.seeds())
def test_permuted_neurons_give_permuted_spikes_on_dyadic_weights(rng):
    weights, loop = rng.integers(-6, 10, (9, 12)) / 8, rng.integers(-6, 6, (12, 12)) / 8
    raster = SpikeRaster.from_dense((rng.random((2, 10, 9)) < 0.3) * 1.0)
    order, into = rng.permutation(9), rng.permutation(12)

    def result(weights, loop, raster):
        links = [Projection("in", "p", Dense(weights)), Projection("p", "p", Dense(loop), delay=2)]
        network = Network([Input("in", 9)], [Population("p", 12, "if", {})], links, dt_ms=1.0)
        return run(network, {"in": raster}).rasters["p"]

    plain = result(weights, loop, raster)
    assert result(weights[order][:, into], loop[into][:, into], raster.permuted(order)) == plain.permuted(into)


def steps(*times, size=1, duration=6):
    """A raster of neuron 0 spiking at the given steps."""
    return SpikeRaster(list(times), [0] * len(times), size=size, duration=duration, dt_ms=1.0)


def chain(first, second, delay):
    """Two single neurons in a row."""
    links = [Projection("in", "a", Dense([[1.0]])), Projection("a", "b", Dense([[1.0]]), delay=delay)]
    return Network([Input("in", 1)], [Population("a", 1, "if", first), Population("b", 1, "if", second)], links, dt_ms=1.0)


@pytest.mark.parametrize("delay", [0, 1, 3])
@pytest.mark.parametrize("options", [{}, {"schedule": "interleaved"}, {"slab": 1}, {"engine": "stepped"}], ids=str)
def test_delayed_spikes_cross_components(delay, options):
    result = run(chain({}, {}, delay), {"in": steps(0, 2)}, **options)
    assert result.rasters["a"].times.tolist() == [0, 2]
    assert result.rasters["b"].times.tolist() == [delay, 2 + delay]


def test_counters_equal_hand_counts():
    """3 input spikes x 4 targets, 3 x 4 output spikes x 2 recurrent synapses of which the last instant's never arrive."""
    loop = Sparse([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 1, 2, 2, 3, 3, 0], -0.25)
    links = [Projection("in", "p", Dense(np.full((2, 4), 2.0))), Projection("p", "p", loop, delay=1)]
    network = Network([Input("in", 2)], [Population("p", 4, "if", {"reset": "value"})], links, dt_ms=1.0)
    raster = SpikeRaster([0, 2, 5], [0, 1, 0], size=2, duration=6, dt_ms=1.0)
    for engine in ("event", "stepped"):
        counters = run(network, {"in": raster}, engine=engine).counters
        assert (counters["spikes"], counters["synaptic_events"]) == (12, 3 * 4 + 2 * 4 * 2), engine
        assert counters["instants"] == 6


def test_event_engine_leaves_silent_neurons_alone():
    updates = {}
    for engine in ("event", "stepped"):
        result = run(chain({}, {}, 0), {"in": steps(3, duration=500)}, engine=engine)
        updates[engine] = result.counters["neuron_updates"]
    assert updates["stepped"] == 1000
    assert updates["event"] <= 6


@pytest.mark.parametrize("parameters", [
    {"reset": "value", "v_reset": -1.0, "v_floor": -0.5},  # reset to below the floor
    {"v_init": 1.25, "v_floor": 0.5},  # a residue below the floor
    {"v_init": 1.25, "v_floor": 1.0},  # the floor lifts the residue to the threshold
], ids=str)
def test_floor_acts_in_the_silent_step_after_a_reset(parameters):
    network = chain(parameters, {}, 0)
    stepped, event = (run(network, {"in": steps(0, 4)}, engine=e, record_state=["a"]) for e in ("stepped", "event"))
    assert_like_twin(stepped, grid.simulate(network, {"in": steps(0, 4)}, 6))
    assert_same(event, stepped)


def test_bias_whose_rounding_reaches_the_threshold():
    """Close to its fixed point a leaky neuron rises by rounding alone: the event engine must not sleep through it."""
    p = {"leak": 0.49286654616164377, "bias": 0.5286575985846357, "v_threshold": 1.0424427625181676}
    population, silent = Population("p", 1, "lif", p, "float64"), Projection("in", "p", Dense([[0.0]]))
    network = Network([Input("in", 1)], [population], [silent], dt_ms=1.0)
    stepped, event = (run(network, {"in": steps(duration=120)}, engine=e, record_state=["p"]) for e in ("stepped", "event"))
    assert stepped.rasters["p"].n_spikes == 2
    assert_same(event, stepped)


@pytest.mark.parametrize("first, second", [("int32", "float32"), ("float32", "float64"), ("float64", "float32")])
def test_amplitudes_reach_populations_of_different_dtypes(first, second):
    raster = SpikeRaster.from_dense(np.array([[[0.3, 0.5, 2.0], [2.0, 0.5, 0.3]]]))
    one = Sparse([2] if first != "int32" else [0], [0], 1)
    links = [Projection("in", "a", one), Projection("in", "b", Dense(np.full((3, 1), 0.7)))]
    if first == "int32":  # takes whole amplitudes only
        raster = SpikeRaster([0, 1], [0, 2], [2.0, 3.0], size=3, duration=2, dt_ms=1.0)
    populations = [Population("a", 1, "accumulator", {}, first), Population("b", 1, "accumulator", {}, second)]
    network = Network([Input("in", 3)], populations, links, dt_ms=1.0)
    twin = grid.simulate(network, {"in": raster}, 2)
    for engine in ("stepped", "event"):
        assert_like_twin(run(network, {"in": raster}, engine=engine, record_state=["a", "b"]), twin)


def test_an_input_raster_comes_back_as_it_was_given():
    raster = SpikeRaster([0, 1], [0, 0], [0.3, 0.7], size=1, duration=3, dt_ms=1.0)
    assert run(chain({}, {}, 0), {"in": raster}).rasters["in"] == raster


def pooled(kind, shape, weights=None):
    """A pool on an input and one neuron per output that adds up what passes."""
    n = int(np.prod(kind.output_shape(shape)))
    population = Population("p", n, "accumulator", {}, "float64")
    return Network([Input("in", shape)], [population], [Projection("pool", "p", Dense(np.eye(n)))],
                   [Relay("pool", "in", kind)], dt_ms=1.0)


def test_gated_max_pool_counts_first_and_first_position_wins():
    dense = np.zeros((1, 3, 4))
    dense[0, 0, [0, 3]] = 1.0  # equal counters: position 0
    dense[0, 1, 3] = 1.0  # position 3 leads
    dense[0, 2, [0, 1]] = 0.5, 4.0  # position 1 has 4 and passes
    result = run(pooled(GatedMaxPool(2), (2, 2, 1)), {"in": SpikeRaster.from_dense(dense)})
    assert spikes_of(result.rasters["pool"]) == [(0, 0, 0, 1.0), (0, 1, 0, 1.0), (0, 2, 0, 4.0)]


def test_average_pool_drops_what_cancels():
    dense = np.zeros((1, 2, 4))
    dense[0, 0, [1, 2]] = 1.0, -1.0
    dense[0, 1, [0, 2, 3]] = 1.0
    result = run(pooled(AveragePool(2), (2, 2, 1)), {"in": SpikeRaster.from_dense(dense)})
    assert spikes_of(result.rasters["pool"]) == [(0, 1, 0, 0.75)]


@pytest.mark.parametrize("sign, passes", [(1, (0, 0, 0, 2.0)), (-1, (0, 2, 0, 5.0))])
def test_earliest_pool_passes_the_deciding_spike(sign, passes):
    dense = np.zeros((1, 4, 4))
    dense[0, 0, [1, 2]] = 2.0, 3.0  # sign +1: the first position's
    dense[0, 1, 0] = 1.0
    dense[0, 2, 3] = 5.0  # completes the window
    dense[0, 3, :] = 7.0
    result = run(pooled(EarliestPool(2, signs=[sign]), (2, 2, 1)), {"in": SpikeRaster.from_dense(dense)})
    assert spikes_of(result.rasters["pool"]) == [passes]


def test_readouts_and_their_ties():
    def read(kind):
        links = [Projection("in", "p", Dense([[1.0, 1.0, 0.5]]))]
        network = Network([Input("in", 1)], [Population("p", 3, "if", {})], links, readout=Readout("p", kind), dt_ms=0.5)
        return run(network, {"in": SpikeRaster([1, 2], [0, 0], size=1, duration=4, dt_ms=0.5)})

    assert read("membrane").readout.tolist() == [[0.0, 0.0, 0.0]]
    assert read("count").readout.tolist() == [[2.0, 2.0, 1.0]]
    assert read("first_spike").readout.tolist() == [[0.5, 0.5, 1.0]]
    assert read("first_spike").prediction.tolist() == [0]


def test_mask_of_a_drive_and_one_value_per_channel():
    drive = BiasDrive("p", [1.0, 0.5], np.array([True, False, True, False]))
    conv = Conv2d(np.zeros((1, 1, 1, 2)), padding="valid")
    population, silent = Population("p", (2, 1, 2), "if", {}), Projection("in", "p", conv)
    network = Network([Input("in", (2, 1, 1))], [population], [silent], drives=[drive], dt_ms=1.0)
    for engine in ("event", "stepped"):
        result = run(network, {"in": SpikeRaster([], [], size=2, duration=4, dt_ms=1.0)}, engine=engine)
        fired = [(t, i) for _, t, i, _ in spikes_of(result.rasters["p"])]
        assert fired == [(0, 0), (0, 2), (2, 0), (2, 1), (2, 2), (2, 3)]


def test_looking_at_the_state_changes_no_bit():
    """Traces hold the state after every period, equal in both engines, and the run goes on as if nobody had looked."""
    rng = np.random.default_rng(4)
    network = Network([Input("in", 7)], [Population("p", 5, "lif", {"leak": 0.8, "bias": 0.06}, "float64")],
                      [Projection("in", "p", Dense(rng.normal(0.1, 0.4, (7, 5))))], dt_ms=1.0)
    given = {"in": SpikeRaster.from_dense((rng.random((2, 24, 7)) < 0.1).astype(float))}
    plain = run(network, given, record_state=["p"])
    for engine in ("event", "stepped"):
        traced = run(network, given, engine=engine, record_state=["p"], trace_state={"p": 6})
        assert_same(traced, plain)
        seen = traced.traces["p"]["v"]
        assert seen.shape == (2, 4, 5)
        assert (seen[:, -1] == plain.states["p"]["v"]).all()
        for k, steps_done in enumerate((6, 12, 18)):
            part = run(network, given, duration=steps_done, record_state=["p"])
            assert (seen[:, k] == part.states["p"]["v"]).all()
