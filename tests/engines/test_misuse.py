"""What does not fit is refused where it is handed in, in words, not by a library; nothing is rounded or left out silently."""

import numpy as np
import pytest

from eventsnn import (
    AveragePool,
    BiasDrive,
    ContinuousModel,
    Conv2d,
    Dense,
    Drive,
    EarliestPool,
    EventsnnError,
    GatedModel,
    GridModel,
    Input,
    Network,
    Param,
    PoissonTimes,
    Population,
    Projection,
    Readout,
    Relay,
    Sparse,
    SparseMs,
    SpikeRaster,
    prepare,
    run,
)
from eventsnn.compile import jit_enabled, specialise
from eventsnn.encoders import ENCODERS
from eventsnn.neurons import base, find_model, register
from eventsnn.relays import Deletion, Flip, FrozenMask, Jitter

X, ONES = Input("x", 3), np.ones((3, 2))


def network(weights=0.6, model="if", parameters=None, dt_ms=1.0, delay=0, dtype=None, **parts):
    """Three inputs to two neurons."""
    return Network([X], [Population("p", 2, model, parameters or {}, dtype)],
                   [Projection("x", "p", Dense(weights * ONES), delay=delay)], dt_ms=dt_ms, **parts)  # fmt: skip


def spikes(amplitude=1.0, steps=4):
    """Every input in every step."""
    return {"x": SpikeRaster.from_dense(np.full((1, steps, 3), amplitude))}


WRONG = {
    "shape": lambda: Input("x", 2.5), "whole shape": lambda: Input("x", (2.5, 1, 1)), "text": lambda: Input("x", "ab"),
    "too many": lambda: Input("x", 2**40), "name": lambda: Input(5, 2), "no model": lambda: Population("p", 2, []),
    "parameters": lambda: Population("p", 2, "if", None), "switch": lambda: Population("p", 2, "if", {"reset": np.ones(2)}),
    "int gate": lambda: Population("p", 2, "ramp", {"t_open": 1.0, "window": 1.0}, "int32"),
    "any time float32": lambda: Population("p", 2, "cuba_lif", dtype="float32"),
    "ragged": lambda: Dense([[1], [1, 2]]), "text weight": lambda: Dense([["a"]]), "complex": lambda: Dense([[1j]]),
    "stride": lambda: Conv2d(np.ones((3, 3, 1, 1)), "a"), "nan stride": lambda: Conv2d(np.ones((3, 3, 1, 1)), np.nan),
    "padding": lambda: Conv2d(np.ones((3, 3, 1, 1)), padding=np.ones(3)), "no kernel": lambda: Conv2d(np.ones((0, 3, 1, 1))),
    "uint64": lambda: Sparse(np.array([2**63], np.uint64), [0], 1.0), "float ids": lambda: Sparse([0.0], [0], 1.0),
    "matrix": lambda: Sparse.from_matrix(np.eye(3)), "matrix ms": lambda: SparseMs.from_matrix(np.eye(3)),
    "indptr": lambda: SparseMs([0, 0.5, 1.0], [0], 1.0), "ms": lambda: SparseMs([0, 1], [0], 1.0, "a"),
    "n_sources": lambda: SparseMs.from_lists([0], [0], 1.0, n_sources=1.5),
    "signs": lambda: EarliestPool(2, signs=[1.5]), "pool": lambda: AveragePool("a"), "deletion": lambda: Deletion("a"),
    "window": lambda: Jitter(1.0, window=(0.5, 2)), "flip": lambda: Flip(0.1, "a"), "mask": lambda: FrozenMask(None),
    "drive": lambda: Drive([[1], [1, 2]]), "drive shape": lambda: Drive([[1, 2]], shape="ab"),
    "drive part": lambda: Drive([[1, 2]]).select([5]), "rate": lambda: PoissonTimes(-1), "rates": lambda: PoissonTimes("a"),
    "samples": lambda: PoissonTimes(5, samples=1.5),
    "ids": lambda: ENCODERS["poisson"].encode([[0.5]], steps=2, seed=0, sample_ids=["a"]),
    "gain": lambda: ENCODERS["constant"].encode([[0.5]], gain="a"),
    "dtype": lambda: ENCODERS["ttfs"].encode([[0.5]], dtype="int8"),
    "no gain": lambda: ENCODERS["constant"].decode(Drive([[1.0]]), gain=0),
    "no rate": lambda: ENCODERS["poisson"].decode(SpikeRaster([1], [0], size=1, duration=2, dt_ms=1.0), gain=0),
    "clip": lambda: ENCODERS["poisson"].encode([[0.5]], steps=2, seed=0, clip="no"),
    "clock": lambda: ENCODERS["phase"].decode(SpikeRaster([1.0], [0], size=1, duration=2.0)),
    "raster shape": lambda: SpikeRaster([], [], size=2, duration=1, shape=((1, 2), 1)),
    "shift": lambda: SpikeRaster([], [], size=2, duration=1).shifted("a"),
    "order": lambda: SpikeRaster([], [], size=2, duration=1).permuted([0.0, 1.0]),
    "rasters": lambda: SpikeRaster.concatenate([1]), "dense": lambda: SpikeRaster.from_dense([[[1], [1, 2]]]),
    "2**40 samples": lambda: SpikeRaster.from_events([1], [0], samples=[2**40], size=1, duration=2),
    "step": lambda: network(dt_ms="1"), "delay": lambda: network(delay=np.nan), "endless": lambda: network(delay=np.inf),
    "true": lambda: network(delay=True), "no list": lambda: Network(X), "no part": lambda: Network([X], [3]),
    "synapses": lambda: Network([X], [Population("p", 2)], [Projection("x", "p", ONES)], dt_ms=1.0),
    "relay": lambda: Network([X], relays=[Relay("r", "x", "average")], dt_ms=1.0),
    "readout": lambda: network(readout="p"),
    "silent readout": lambda: network(model="accumulator", readout=Readout("p", "count")),
    "bias": lambda: network(drives=[BiasDrive("p", [np.nan])]),
    "schedule": lambda: network(drives=[BiasDrive("p", 1.0, "evry")]),
    "period": lambda: network(drives=[BiasDrive("p", 1.0, 0)]), "beyond float32": lambda: network(1e300),
    "plan": lambda: prepare(5), "inputs": lambda: run(network(), None),
    "duration": lambda: run(network(), spikes(), duration=np.inf),
    "threads": lambda: run(network(), spikes(), threads=None), "seed": lambda: run(network(), spikes(), seed="a"),
    "record": lambda: run(network(), spikes(), record="p"), "state": lambda: run(network(), spikes(), record_state=None),
    "traces": lambda: run(network(), spikes(), trace_state=["p"]),
    "pair": lambda: run(network(), spikes(), trace_state={"p": (2,)}),
    "rule": lambda: run(network(readout=Readout("p")), spikes(), record_every=1, exit_rule=5),
    "progress": lambda: run(network(), spikes(), progress=5),
    "sample": lambda: run(network(), spikes(), sample_ids=[[1], [1, 2]]),
    "parameter beyond int16": lambda: run(network(1, parameters={"v_threshold": 1e6}, dtype="int16"), spikes()),
    "parameter beyond float32": lambda: run(network(parameters={"v_threshold": 1e300}), spikes()),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_in_words(make):
    with pytest.raises(EventsnnError):
        make()


@pytest.mark.parametrize("amplitude", [0.5, 40000.0])
def test_whole_numbers_take_whole_amplitudes_of_their_range(amplitude):
    with pytest.raises(EventsnnError, match=r"x: a spike of amplitude .* reaches a population of dtype int16"):
        run(network(1, dtype="int16"), spikes(amplitude))
    assert run(network(1, "accumulator", dtype="int16"), spikes(2.0), record_state=["p"]).states["p"]["v"].tolist() == [[24, 24]]


@pytest.mark.parametrize("engine", ["event", "stepped"])
@pytest.mark.parametrize("how", [{"weights": 3e38}, {"weights": -3e38}, {"parameters": {"bias": np.inf}}], ids=str)
def test_a_state_that_is_no_longer_finite_ends_the_run(engine, how):
    with pytest.raises(EventsnnError, match="population p, sample 0: the state is no longer finite"):
        run(network(**how), spikes(), engine=engine)


def test_the_default_dtype_is_that_of_the_clock():
    assert [Population("p", 1, m).dtype for m in ("if", "ramp_readout", "cuba_lif")] == ["float32", "float32", "float64"]


@pytest.mark.parametrize("engine", ["event", "stepped"])
def test_a_delay_beyond_any_run_delivers_nothing(engine):
    long, never = (run(network(delay=d), spikes(), engine=engine, record_every=1) for d in (5, 2**31 - 1))
    assert long.rasters == never.rasters and len(never.rasters["p"]) == 0
    assert np.array_equal(long.points.synaptic_events["p"], never.points.synaptic_events["p"])


def test_no_samples_have_states_and_readouts_of_no_rows():
    none = {"x": spikes()["x"].select([])}
    found = run(network(readout=Readout("p")), none, record_state=["p"])
    assert found.states["p"]["v"].shape == found.readout.shape == (0, 2) and found.prediction.shape == found.latency.shape == (0,)
    silent = SpikeRaster([], [], size=3, duration=1.0).select([])
    found = run(network(model="cuba_lif", dt_ms=None, readout=Readout("p")), {"x": silent})
    assert found.readout.shape == (0, 2) and found.prediction.shape == (0,)


def of_class(body, base=GridModel):
    """A network of a user's model with these members."""
    return network(model=type("User", (base,), {"name": "user", **body}), dt_ms=1.0 if base is GridModel else None)


def nan(state, i, inputs, t, p, maps):
    """A step that bears the name of something that it uses."""
    state[0, i] = np.nan
    return False


def unknown(state, i, inputs, t, p, maps):
    """A step that asks for a parameter that is not declared."""
    return inputs[0, i] > p.threshold


@pytest.mark.parametrize("make, says", [
    (lambda: of_class({}), "define step"), (lambda: of_class({}, GatedModel), "define fire"),
    (lambda: of_class({"fire": staticmethod(nan)}, GatedModel), "needs a parameter t_open"),
    (lambda: run(of_class({}, ContinuousModel), {"x": PoissonTimes(1.0)}, duration=1.0), "define rows"),
    (lambda: of_class({"parameters": (Param("a", "b", "c"),), "step": staticmethod(nan)}), "p.a: must be a number"),
])  # fmt: skip
def test_a_model_of_ones_own_that_is_not_whole(make, says):
    with pytest.raises(EventsnnError, match=says):
        make()


def drawing(state, i, inputs, t, p, maps):
    """A step that draws random numbers of its own."""
    return inputs[0, i] > np.random.rand()


@pytest.mark.parametrize("engine", ["event", "stepped"])
def test_a_step_draws_no_random_numbers_of_its_own(engine):
    with pytest.raises(EventsnnError, match=r"drawing .*'random' cannot be used here: its draws would differ from run to run"):
        run(of_class({"step": staticmethod(drawing)}), spikes(), engine=engine)


def named(name, qualname="Mine"):
    """A model with a name, defined as the class `qualname` of this file."""
    body = {"name": name, "step": staticmethod(nan), "__module__": __name__, "__qualname__": qualname}
    return type(qualname, (GridModel,), body)


def test_a_name_is_that_of_one_model(monkeypatch):
    monkeypatch.setattr(base, "_registered", dict(base._registered))
    with pytest.raises(EventsnnError, match=r"test_misuse\.Mine: the name 'lif' is that of a model of eventsnn"):
        register(named("lif"))
    assert find_model("lif").__module__.startswith("eventsnn.")
    register(named("mine"))
    again = register(named("mine"))  # the cell of a notebook once more
    with pytest.raises(EventsnnError, match=r"test_misuse\.Other: the name 'mine' is that of .*test_misuse\.Mine; take"):
        register(named("mine", "Other"))
    assert find_model("mine") is again


def test_a_function_may_bear_the_name_of_something_that_it_uses():
    assert callable(specialise(nan))


def nothing(state, i, inputs, t, p, maps):
    """A step that forgets to say whether it spikes."""
    state[0, i] += inputs[0, i]


def half(v):
    """What a step calls."""
    return v.half


def calling(state, i, inputs, t, p, maps):
    """A step that calls something that cannot be compiled."""
    return half(inputs[0, i]) > 1


@pytest.mark.skipif(not jit_enabled(), reason="as plain Python it is an AttributeError of the user's own line")
@pytest.mark.parametrize("step, says", [
    (unknown, r"unknown \(.*test_misuse\.py:\d+\): .* p\.threshold is no parameter that the model declares"),
    (nothing, r"nothing \(.*test_misuse\.py:\d+\): .* it returns nothing"),
    (calling, r"half \(.*test_misuse\.py:\d+\): .* Unknown attribute 'half' of type float32"),
])  # fmt: skip
def test_what_the_compiler_says_is_put_in_words(step, says):
    with pytest.raises(EventsnnError, match=says):
        run(of_class({"step": staticmethod(step)}), spikes())


class TestAnyTime:
    """Options of `run` where spikes come at any time."""

    any_time = network(model="cuba_lif", dt_ms=None, readout=Readout("x", "count"))

    def test_a_shorter_run_takes_a_part_of_its_inputs(self):
        given = SpikeRaster([1.0, 2.0, 4.0], [0, 0, 1], [2.0, 3.0, 4.0], size=3, duration=5.0)
        found = run(self.any_time, {"x": given}, duration=2.0)
        assert found.rasters["x"] == SpikeRaster([1.0], [0], [2.0], size=3, duration=2.0)
        assert found.readout.tolist() == [[2.0, 0.0, 0.0]]

    def test_states_are_refused_not_left_out(self):
        with pytest.raises(EventsnnError, match="record_state: needs the grid clock"):
            run(self.any_time, {"x": PoissonTimes(50.0)}, duration=5.0, record_state=["p"])

    def test_a_part_of_the_samples_hears_the_same_trains(self):
        seen = []
        whole = run(self.any_time, {"x": PoissonTimes(200.0, samples=3)}, duration=20.0).rasters["x"]
        part = run(self.any_time, {"x": PoissonTimes(200.0)}, duration=20.0, sample_ids=[2], progress=lambda *n: seen.append(n))
        assert part.rasters["x"] == whole.sample(2) and whole.sample(2) != whole.sample(0) and seen == [(1, 1)]
