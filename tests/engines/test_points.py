"""Recording points of gated networks, traces of chosen neurons, and what is refused."""

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Population, Projection, SpikeRaster, run
from eventsnn.errors import NetworkError
from eventsnn.network import Readout


def gated(n=6):
    """Two windows and an input of three samples."""
    rng = np.random.default_rng(3)
    populations = [Population("h", n, "ramp", {"t_open": 1.0, "window": 2.0}),
                   Population("o", 3, "ramp_readout", {"t_open": 3.0})]  # fmt: skip
    links = [Projection("in", "h", Dense(rng.normal(0.3, 0.6, (5, n)))), Projection("h", "o", Dense(rng.normal(0, 1, (n, 3))))]
    x = rng.uniform(0, 1, (3, 5))
    sample, i = np.nonzero(x > 0)
    given = SpikeRaster.from_events(1 - x[sample, i], i, x[sample, i], sample, size=5, duration=1.0, n_samples=3)
    return Network([Input("in", 5)], populations, links, readout=Readout("o")), {"in": given}


@pytest.mark.parametrize("engine", ["event", "stepped", "analytic"])
def test_a_gated_network_has_one_point_the_end(engine):
    network, given = gated()
    plain = run(network, given, record_state=["h", "o"])
    result = run(network, given, engine=engine, record_every=1)
    points = result.points
    assert points.times.tolist() == [3.0] and points.readout.shape == (3, 1, 3)
    assert np.allclose(points.readout[:, 0], plain.readout) and np.array_equal(points.prediction[:, 0], plain.prediction)
    assert np.array_equal(points.spikes["h"][:, 0], plain.rasters["h"].counts().sum(axis=1))
    assert np.allclose(points.amplitudes["h"][:, 0], plain.rasters["h"].amplitude_sums().sum(axis=1))
    assert np.allclose(points.residual["h"], np.abs(plain.states["h"]["v"]).sum(axis=1))
    assert sum(e.sum() for e in points.synaptic_events.values()) == plain.counters["synaptic_events"]


def small(kind="membrane"):
    readout = None if kind is None else Readout("p", kind)
    network = Network([Input("in", 2)], [Population("p", 3, "if", {"bias": 0.25})],
                      [Projection("in", "p", Dense(np.full((2, 3), 0.5)))], readout=readout, dt_ms=1.0)  # fmt: skip
    return network, {"in": SpikeRaster([0, 2, 5], [0, 1, 0], size=2, duration=8, dt_ms=1.0)}


def test_states_of_chosen_neurons():
    network, given = small()
    everything = run(network, given, trace_state={"p": 2}).traces["p"]["v"]
    assert everything.shape == (1, 4, 3)
    assert np.array_equal(run(network, given, trace_state={"p": (2, [2, 0])}).traces["p"]["v"], everything[:, :, [2, 0]])
    for wrong in ([3], [-1], [0.5], [[0]]):
        with pytest.raises(NetworkError, match=r"trace_state\.p: neurons"):
            run(network, given, trace_state={"p": (1, wrong)})


def test_points_need_no_readout():
    network, given = small(None)
    points = run(network, given, record_every=3).points
    assert points.readout is None and points.prediction is None and points.spikes["p"].shape == (1, 3)


def test_no_samples_give_empty_points():
    network, given = small()
    points = run(network, {"in": given["in"].select(slice(0, 0))}, record_every=3).points
    assert points.times.tolist() == [3, 6, 8] and points.readout is None


@pytest.mark.parametrize("options, says", [
    ({"record_every": 0}, "steps must be a whole number"),
    ({"record_every": 1.5}, "steps must be a whole number"),
    ({"exit_rule": lambda *_: True}, "recording points"),
    ({"exit_rule": lambda *_: True, "record_every": 1, "trace_state": {"p": 1}}, "trace_state"),
])  # fmt: skip
def test_what_is_refused(options, says):
    with pytest.raises(NetworkError, match=says):
        run(*small(), **options)


def test_clocks_without_points_say_so():
    network, given = gated()
    with pytest.raises(NetworkError, match="exit_rule: needs the grid clock"):
        run(network, given, record_every=1, exit_rule=lambda *_: True)
    free = Network([Input("in", 1)], [Population("p", 1, "lif_continuous", dtype="float64")],
                   [Projection("in", "p", Dense([[1.0]]), delay=1.0)])  # fmt: skip
    with pytest.raises(NetworkError, match="record_every: needs the grid clock or gated"):
        run(free, {"in": SpikeRaster([0.5], [0], size=1, duration=2.0)}, record_every=1)
