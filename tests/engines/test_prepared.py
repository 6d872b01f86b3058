"""A prepared network gives what the network gives, however often and from however many threads it is run."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Population, Projection, Readout, prepare, run
from eventsnn.encoders import constant, ttfs
from eventsnn.errors import NetworkError

RNG = np.random.default_rng(11)
WEIGHTS = RNG.normal(0.1, 0.3, (12, 9)), RNG.normal(0.1, 0.3, (9, 4))


def two_layers(hidden, output, **clock):
    """Return a network of two dense layers; models with their parameters."""
    return Network(
        inputs=[Input("input", 12)],
        populations=[Population("hidden", 9, hidden[0], hidden[1]), Population("output", 4, output[0], output[1])],
        projections=[Projection("input", "hidden", Dense(WEIGHTS[0])), Projection("hidden", "output", Dense(WEIGHTS[1]))],
        readout=Readout("output", "membrane"), **clock)  # fmt: skip


CASES = {
    "gated": (two_layers(("ramp", {"t_open": 1.0, "window": 3.0}), ("ramp_readout", {"t_open": 4.0})),
              lambda n: ttfs.encode(RNG.random((n, 12))), {}),
    "grid": (two_layers(("if", {}), ("accumulator", {}), dt_ms=1.0), lambda n: constant.encode(RNG.random((n, 12))),
             {"duration": 20}),
}  # fmt: skip


def assert_same(one, two):
    assert (one.readout == two.readout).all() and one.counters == two.counters
    assert all(one.rasters[name] == two.rasters[name] for name in one.rasters)


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("engine", ["event", "stepped"])
def test_runs_of_a_prepared_network(kind, engine):
    network, make, options = CASES[kind]
    ready = prepare(network)
    for samples in (1, 7, 1, 40):
        inputs = {"input": make(samples)}
        wanted = run(network, inputs, engine=engine, record=["hidden"], **options)
        assert wanted.counters["spikes"] > 0
        assert_same(run(ready, inputs, engine=engine, record=["hidden"], **options), wanted)


def test_from_several_threads():
    network, make, _ = CASES["gated"]
    ready, inputs = prepare(network), [{"input": make(3)} for _ in range(24)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: run(ready, one), inputs))
    for one, result in zip(inputs, found):
        assert_same(result, run(network, one))


def test_an_earlier_result_stands():
    weights = np.ones((2, 1))
    network = Network([Input("input", 2)], [Population("output", 1, "ramp_readout", {"t_open": 1.0})],
                      [Projection("input", "output", Dense(weights))], readout=Readout("output", "membrane"))  # fmt: skip
    ready, inputs = prepare(network), {"input": ttfs.encode(np.array([[0.5, 0.25]]))}
    before = run(ready, inputs).readout
    run(ready, {"input": ttfs.encode(np.array([[1.0, 1.0]]))})
    assert before[0, 0] == 0.75 and run(ready, inputs).readout[0, 0] == 0.75


def test_networks_whose_layout_depends_on_their_input():
    network = Network([Input("input", 2)], [Population("output", 1, "cuba_lif")],
                      [Projection("input", "output", Dense(np.ones((2, 1))))])  # fmt: skip
    with pytest.raises(NetworkError, match="give the network itself to run"):
        prepare(network)
