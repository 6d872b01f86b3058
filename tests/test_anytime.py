"""Early exits: the proven bound never changes a class, margins are calibrated exactly, replaying equals running."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import BiasDrive, Conv2d, Dense, Input, Network, Population, Projection, Relay, Sparse, SpikeRaster, run
from eventsnn.analysis.anytime import Margin, calibrate, leads, outcome, replay
from eventsnn.analysis.anytime_bound import ProvenBound
from eventsnn.engines.points import Points
from eventsnn.errors import ModelError
from eventsnn.network import Readout
from eventsnn.relays import AveragePool
from tests import strategies as draws
from tests.properties.settings import examples

STEPS = 24


@st.composite
def cases(draw):
    """A network whose readout can be bounded, with an adversary's choice of weights: large, tied, delayed, driven."""
    rng, kind = draw(draws.seeds()), draw(st.sampled_from(["membrane", "membrane", "count", "first_spike"]))
    dtype, classes = draw(st.sampled_from(["float32", "float64"])), draw(st.sampled_from([1, 2, 4]))
    scale = draw(st.sampled_from([0.05, 0.3, 1.0]))

    def weights(n, m):
        return draws.numbers(rng, (n, m), False, draw(st.booleans())) * scale

    hidden = Population("h", 12, "if", {"bias": rng.normal(0, 0.05, 12)}, dtype)
    model = "accumulator" if kind == "membrane" else "if"
    output = Population("o", classes, model, {"bias": draws.numbers(rng, classes, False, True) * scale}, dtype)
    links = [Projection("in", "h", Dense(weights(8, 12)))]
    if draw(st.booleans()):
        links.append(Projection("h", "o", Dense(weights(12, classes)), delay=draw(st.sampled_from([0, 2]))))
    else:
        count = 5 * classes
        links.append(Projection("h", "o", Sparse(rng.integers(0, 12, count), rng.integers(0, classes, count),
                                                 weights(count, 1).ravel(), rng.integers(0, 3, count))))  # fmt: skip
    drives = []
    if draw(st.booleans()):
        drives = [BiasDrive("o", weights(1, classes).ravel(), draw(draws.schedules(STEPS)))]
    network = Network([Input("in", 8)], [hidden, output], links, (), drives, Readout("o", kind), 1.0)
    fired = rng.random((4, STEPS, 8)) < draw(st.sampled_from([0.02, 0.2, 0.6]))
    return network, {"in": SpikeRaster.from_dense(fired * 1.0)}


@examples(60)
@given(cases())
def test_a_proven_exit_never_changes_the_class(case):
    network, inputs = case
    rule, every = ProvenBound(network), 1
    whole = run(network, inputs, record=[], record_every=every)
    early = run(network, inputs, record=[], record_every=every, exit_rule=rule)
    assert np.array_equal(early.prediction, whole.prediction)
    steps, prediction = replay(rule, whole.points)
    assert np.array_equal(early.exit_steps, steps) and np.array_equal(early.prediction, prediction)


def one_to_one(kind="membrane", model="accumulator", source="if", **parameters):
    """Two hidden neurons, each for its own class."""
    readout = Population("o", 2, model, parameters)
    return Network([Input("in", 2)], [Population("h", 2, source), readout],
                   [Projection("in", "h", Dense(np.eye(2))), Projection("h", "o", Dense(np.eye(2)))],
                   readout=Readout("o", kind), dt_ms=1.0)  # fmt: skip


def first_only(steps=10, until=10):
    """Channel 0 spikes at every step before `until`, channel 1 never."""
    return {"in": SpikeRaster(np.arange(until), np.zeros(until, int), size=2, duration=steps, dt_ms=1.0)}


@pytest.mark.parametrize("kind, model, exits", [("membrane", "accumulator", 6), ("count", "if", 6), ("first_spike", "if", 1)])
def test_the_bound_is_as_good_as_can_be_where_the_rival_may_still_gain_everything(kind, model, exits):
    """After t of 10 steps class 0 has t: class 1 can gain 10 - t, so that t = 6 is the first lead that stands."""
    network = one_to_one(kind, model)
    result = run(network, first_only(), record_every=1, exit_rule=ProvenBound(network))
    assert result.exit_steps.tolist() == [exits] and result.prediction.tolist() == [0]


def test_a_lead_that_may_end_in_a_tie_stays():
    """5 ahead with 5 steps to go is not enough, though the lowest id would win the tie."""
    network = one_to_one()
    result = run(network, first_only(until=5), record_every=1, exit_rule=ProvenBound(network))
    assert result.exit_steps.tolist() == [6]


def test_a_scheduled_drive_is_known_beforehand():
    network = one_to_one()
    late = np.arange(10) == 9
    driven = Network(network.inputs, network.populations, network.projections, (), [BiasDrive("o", [0.0, 7.5], late)],
                     network.readout, 1.0)  # fmt: skip
    rule = ProvenBound(driven)
    assert not rule(9, 10, np.array([8.0, 0.0])) and rule(9, 10, np.array([8.6, 0.0]))
    assert not ProvenBound(network)(9, 10, np.array([0.9, 0.0]))


def test_rounding_is_not_forgotten():
    """A lead that exceeds the bound by less than float32 can round in the remaining steps does not count."""
    network = one_to_one(bias=[1e6, 1e6])
    ahead = 1.0 + 1e-3  # one step remains, in which the rival may gain 1; both membranes are near 1e6, spacing 1/16
    assert not ProvenBound(network)(9, 10, np.array([9e6 + ahead, 9e6]))


@pytest.mark.parametrize("network, says", [
    (one_to_one(model="if"), "accumulator with leak 1"),
    (one_to_one(leak=0.5), "accumulator with leak 1"),
    (Network([Input("in", 2)], [Population("o", 2, "accumulator")], [Projection("in", "o", Dense(np.eye(2)))],
             readout=Readout("o"), dt_ms=1.0), "hears the input 'in'"),
    (Network([Input("in", 2)], [Population("h", (2, 2, 1)), Population("o", (2, 2, 1), "accumulator")],
             [Projection("in", "h", Dense(np.ones((2, 4)))), Projection("h", "o", Conv2d(np.ones((1, 1, 1, 1))))],
             readout=Readout("o"), dt_ms=1.0), "convolution"),
    (Network([Input("in", 2)], [Population("h", 2)], [Projection("in", "h", Dense(np.eye(2)))], dt_ms=1.0), "a readout"),
])  # fmt: skip
def test_what_has_no_bound_is_refused(network, says):
    with pytest.raises(ModelError, match=says):
        ProvenBound(network)


def test_a_model_without_largest_amplitude_is_refused():
    from eventsnn.neurons.base import GridModel

    class Loud(GridModel):
        name = "loud"
        unit_amplitude = False

        @staticmethod
        def step(state, i, inputs, t, p, maps):
            return inputs[0, i]

    with pytest.raises(ModelError, match=r"'loud'.* no largest amplitude"):
        ProvenBound(one_to_one(source=Loud))


def test_a_pool_passes_the_bound_on():
    network = Network([Input("in", 2)], [Population("h", (2, 2, 1)), Population("o", 2, "accumulator")],
                      [Projection("in", "h", Dense(np.ones((2, 4)))), Projection("mean", "o", Dense([[1.0, 0.0]]))],
                      [Relay("mean", "h", AveragePool(2))], readout=Readout("o"), dt_ms=1.0)  # fmt: skip
    rule = ProvenBound(network)
    assert rule(8, 10, np.array([0.5, 0.0])) and not rule(8, 10, np.array([0.0, 1.9])) and rule(8, 10, np.array([0.0, 2.1]))


def test_neurons_that_spike_once_bound_more_tightly():
    """One spike each of at most e^0 = 1 is all that may still come, however many steps remain."""
    often, once = (one_to_one(source=model) for model in ("if", "ttfs_early"))
    ahead = np.array([1.5, 0.0])
    assert not ProvenBound(often)(2, 100, ahead) and ProvenBound(once)(2, 100, ahead)
    assert not ProvenBound(once)(2, 100, np.array([0.9, 0.0]))


@pytest.mark.parametrize("model, values, high", [
    ("rate", {"amplitude": 0.4}, 0.4), ("phase", {}, 0.5), ("phase", {"first": "whole", "v_threshold": 2.0}, 2.0),
    ("ttfs_early", {"td": -20.0}, np.exp(-1.0)), ("if", {}, 1.0),
])  # fmt: skip
def test_models_state_their_largest_amplitude(model, values, high):
    """Drive each as hard as it goes: nothing larger comes, and something as large does."""
    network = Network([Input("in", 1)], [Population("p", 1, model, values, "float64")], [Projection("in", "p", Dense([[50.0]]))],
                      dt_ms=1.0)  # fmt: skip
    found = run(network, {"in": SpikeRaster(np.arange(90), np.zeros(90, int), size=1, duration=130, dt_ms=1.0)}).rasters["p"]
    amplitudes = np.ones(found.n_spikes) if found.amplitudes is None else found.amplitudes
    population = network.populations[0]
    assert population.model.amplitude_range(population.parameters) == (0.0, pytest.approx(high, rel=1e-12))
    assert amplitudes.max() == pytest.approx(high, rel=1e-12)
    assert found.n_spikes <= population.model.most_spikes(population.parameters)


def some_points(seed, n=40, classes=3):
    """Readouts that drift towards a class and waver."""
    rng = np.random.default_rng(seed)
    drift = rng.normal(0, 0.4, (n, 1, classes))
    readout = np.cumsum(drift + rng.normal(0, 1.0, (n, 9, classes)), axis=1)
    readout = np.round(readout * 4) / 4 if seed % 2 else readout  # ties
    return Points(np.arange(2, 20, 2), readout, readout.argmax(axis=2))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.2])
def test_calibration_finds_the_smallest_margin(seed, tolerance):
    points = some_points(seed)
    found = calibrate(points, tolerance).margin

    def wrong(margin):
        return np.mean(replay(Margin(margin), points)[1] != points.prediction[:, -1])

    every = np.unique(leads(points.readout[:, :-1]))
    assert all(wrong(m) <= tolerance for m in [found, *every[every >= found]])
    smaller = every[every < found]
    assert not smaller.size or wrong(smaller[-1]) > tolerance


def test_calibration_refuses_what_has_no_margin():
    points = some_points(0)
    with pytest.raises(ModelError, match="tolerance"):
        calibrate(points, 1.0)
    with pytest.raises(ModelError, match="at least one sample"):
        calibrate(Points(points.times, points.readout[:0], points.prediction[:0]))
    with pytest.raises(ModelError, match="membranes or counts"):
        calibrate(Points(points.times, np.full((2, 9, 3), np.inf), np.zeros((2, 9), int)))


def test_a_margin_in_the_engine_is_its_replay():
    rng = np.random.default_rng(0)
    network = Network([Input("in", 8)], [Population("h", 20), Population("o", 4, "accumulator")],
                      [Projection("in", "h", Dense(rng.normal(0.2, 0.4, (8, 20)))),
                       Projection("h", "o", Dense(rng.normal(0, 1, (20, 4))))],
                      readout=Readout("o"), dt_ms=1.0)  # fmt: skip
    given = {"in": SpikeRaster.from_dense((rng.random((12, 30, 8)) < 0.3) * 1.0)}
    whole = run(network, given, record=[], record_every=3)
    rule = calibrate(whole.points, 0.1)
    early = run(network, given, record=[], record_every=3, exit_rule=rule, threads=2)
    steps, prediction = replay(rule, whole.points)
    assert np.array_equal(early.exit_steps, steps) and np.array_equal(early.prediction, prediction) and steps.min() < 30
    labels = whole.prediction.copy()
    labels[0] = (labels[0] + 1) % 4
    found = outcome(steps, prediction, whole.prediction, 30, 0.5, labels)
    assert found["mean_ms"] == steps.mean() / 2 and found["accuracy_whole"] == 11 / 12
    assert found["changed"] == np.mean(prediction != whole.prediction) and found["changed"] < found["changed_at_most"] < 1
    assert found["time_saved"] == pytest.approx(1 - steps.mean() / 30)


def test_one_class_leaves_at_once():
    assert np.isinf(leads(np.zeros((2, 1)))).all() and Margin(1e9)(1, 10, np.zeros(1))
