"""ReLU network to T2FSNN: windows and latency, what it computes, early firing, readouts, noise, files, refusals."""

import numpy as np
import pytest

from eventsnn import run
from eventsnn.ann.architectures import build
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, Dense, Flatten, MaxPool2d
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.kernels import Kernels
from eventsnn.conversion.t2fsnn import to_t2fsnn
from eventsnn.encoders import ttfs_kernel
from eventsnn.errors import ModelError
from eventsnn.relays import Deletion, EarliestPool, GatedMaxPool, Jitter
from eventsnn.scenario.network.file import load_network, save_network
from tests.reference.compare import assert_same

N = 24
SHORT = {"tau": 5.0, "t_fire_start": 20, "t_fire_duration": 20}


@pytest.fixture(scope="module")
def source():
    """A random network with batch norm and both of its pools, and images."""
    rng = np.random.default_rng(2)
    graph = build("conv_net", input_shape=(10, 10, 1), n_out=5, features=[4, "P", 6, "P"], hidden=[16], kernel=3,
                  padding="same", batch_norm=True, pool="max", dropout=0.0, seed=3)  # fmt: skip
    graph = graph.with_parameters({k: rng.normal(0, 0.2, v.shape) for k, v in graph.parameters().items() if "bias" in k})
    return graph, rng.random((N, 10, 10, 1)).astype(np.float32)


def simulate(source, analog=False, n=N, seed=0, **options):
    """Convert and run; returns (network, report, result)."""
    graph, x = source
    network, report = to_t2fsnn(graph, x, analog=analog, **options)
    given = report["input"]
    code = ttfs_kernel.analog(x[:n], **{k: given[k] for k in ("dt_ms", "grid", "duration")}) if analog else (
        ttfs_kernel.encode(x[:n], **given))  # fmt: skip
    return network, report, run(network, {"input": code}, seed=seed)


@pytest.mark.parametrize("start, duration, readout, steps, clock", [
    (80, 80, "membrane", 320, "gated"), (40, 80, "membrane", 200, "grid"), (20, 20, "first_spike", 100, "gated"),
    (10, 20, "count", 60, "grid"), (30, 20, "membrane", 110, "gated"),
])  # fmt: skip
def test_windows_latency_and_clock(source, start, duration, readout, steps, clock):
    _, report, result = simulate(source, t_fire_start=start, t_fire_duration=duration, readout=readout, n=2)
    assert report["latency_steps"] == steps == report["latency"] and report["clock"] == clock
    firing = [row for row in report["layers"] if row["t_open"] is not None]
    assert [(row["t_open"], row["t_close"]) for row in firing] == [
        (k * start, k * start + duration) for k in range(1, len(firing) + 1)]  # fmt: skip
    for row in firing:
        times = result.rasters[row["layer"]].times
        assert times.size and times.min() >= row["t_open"] and times.max() < row["t_close"]
        assert result.rasters[row["layer"]].counts().max() == 1
    if readout == "membrane":
        assert (result.latency == steps).all()


def test_windows_in_units_of_tau(source):
    _, report = to_t2fsnn(*source, tau=10.0, in_tau=True, t_fire_start=3, t_fire_duration=4)
    assert (report["t_fire_start"], report["t_fire_duration"]) == (30, 40)


@pytest.mark.parametrize("analog", [False, True])
def test_long_windows_compute_the_relu_network(source, analog):
    graph, x = source
    logits = graph.forward(graph.as_inputs(x))
    _, report, result = simulate(source, analog, tau=300.0, t_fire_start=3000, t_fire_duration=3000, half_step=True,
                                 percentile=100.0)  # fmt: skip
    values = result.readout * report["layers"][-1]["scale"]
    assert values == pytest.approx(logits, abs=0.02 * np.abs(logits).max())
    assert (result.prediction == logits.argmax(axis=1)).mean() > 0.9


def test_what_a_spike_says_is_never_above_the_potential(source):
    graph, x = source
    network, report = to_t2fsnn(graph, x, **SHORT, dtype="float64")
    hidden = [p.name for p in network.populations[:-1]]
    result = run(network, {"input": ttfs_kernel.encode(x, **report["input"])}, record_state=hidden)
    for name in hidden:
        v, said = result.states[name]["v"], result.rasters[name].amplitude_sums()
        fired = said > 0
        inside = fired & (v <= 1)
        assert (said[inside] <= v[inside]).all() and (said[inside] > v[inside] * np.exp(-1 / 5)).all()
        assert (v[~fired] < np.exp(-19 / 5)).all()


def test_the_three_readouts_agree_where_they_can(source):
    predictions = [simulate(source, readout=kind, tau=30.0, t_fire_start=300, t_fire_duration=300, half_step=True)[2].prediction
                   for kind in ("membrane", "first_spike", "count")]  # fmt: skip
    assert (predictions[1] == predictions[2]).all()
    assert (predictions[0] == predictions[1]).mean() > 0.7


def test_first_spike_takes_the_earliest_and_lasts_long_enough(source):
    _, report, result = simulate(source, **SHORT, readout="first_spike")
    out = result.rasters["output" if "output" in result.rasters else report["layers"][-1]["layer"]]
    first = out.first_times()
    assert out.n_spikes and (result.prediction == first.argmin(axis=1)).all()
    assert np.array_equal(result.readout, first)


@pytest.mark.parametrize("options", [SHORT | {"t_fire_start": 8}, SHORT | {"t_fire_start": 8, "robust": 2},
                                     SHORT | {"noise": Deletion(0.2)}, SHORT | {"noise": Jitter(1.5), "t_fire_start": 12},
                                     SHORT | {"noise": Jitter(2.0, absolute=True)}],
                         ids=["early", "robust", "deletion", "jitter", "late jitter"])  # fmt: skip
def test_every_engine_gives_the_same(source, options, tmp_path):
    graph, x = source
    network, report = to_t2fsnn(graph, x, **options)
    save_network(tmp_path / "n.npz", network)
    raster = ttfs_kernel.encode(x[:6], **report["input"])
    event = run(network, {"input": raster}, seed=5)
    slab = {"slab": 5} if report["clock"] == "grid" else {}
    assert_same(run(load_network(tmp_path / "n.npz"), {"input": raster}, seed=5, engine="stepped", **slab), event)
    assert_same(run(network, {"input": raster}, seed=5, schedule="interleaved", threads=2, **slab), event)
    part = run(network, {"input": raster.select([4, 2])}, seed=5, sample_ids=[4, 2])
    for name, found in event.rasters.items():
        assert part.rasters[name] == found.select([4, 2]), name


def test_noise_acts_on_input_and_hidden_spikes_alike(source):
    quiet, noisy = (simulate(source, **SHORT, noise=noise)[2].rasters for noise in (None, Deletion(0.25)))
    for name in (n for n in noisy if n.startswith("noise_")):
        sent, passed = noisy[name.removeprefix("noise_")], noisy[name]
        assert 0.65 < passed.n_spikes / sent.n_spikes < 0.85, name
        assert set(zip(passed.sample_of_spike(), passed.ids)) <= set(zip(sent.sample_of_spike(), sent.ids))
    assert quiet["input"] == noisy["input"]
    other = simulate(source, **SHORT, noise=Deletion(0.25), seed=1)[2].rasters
    assert any(other[n] != noisy[n] for n in noisy if n.startswith("noise_"))


@pytest.mark.parametrize("noise", [Deletion(0.3), Jitter(1.0)])
@pytest.mark.parametrize("clock", ["gated", "grid"])
def test_noise_leaves_analog_input_alone(source, noise, clock):
    quiet, noisy = (simulate(source, analog=True, **SHORT, noise=n, clock=clock)[2].rasters for n in (None, noise))
    assert "noise_input" not in noisy and noisy["conv1"] == quiet["conv1"] and noisy["noise_conv1"] != quiet["conv1"]


def test_noise_is_equal_on_both_clocks(source):
    """Numbers belong to sample, step and neuron: gated and grid networks lose the same spikes."""
    for noise in (Deletion(0.25), Jitter(1.0)):
        options = SHORT | {"noise": noise, "dtype": "float64"}
        gated, grid = (simulate(source, **options, clock=clock)[2].rasters for clock in ("gated", "grid"))
        for name in gated:
            assert np.array_equal(np.sort(gated[name].counts().ravel()), np.sort(grid[name].counts().ravel()))
            assert np.array_equal(gated[name].first_times(), grid[name].first_times()), name


def test_robust_weights_make_up_for_further_and_for_lost_spikes():
    graph = LayerGraph((4,), (Dense("a", np.eye(4), None), *relu(), Dense("b", np.eye(4), None)))
    x = np.full((3, 4), 0.5)
    x[:, 0] = 1.0
    plain = to_t2fsnn(graph, x, **SHORT)[0].projections
    robust = to_t2fsnn(graph, x, **SHORT, robust=2, noise=Deletion(0.2))[0].projections
    ratios = [r.synapses.weights[0, 0] / p.synapses.weights[0, 0] for r, p in zip(robust, plain)]
    assert ratios == pytest.approx([1 / 0.8, 1 / (0.8 * (1 + np.exp(-1 / 5) + np.exp(-2 / 5)))], rel=1e-6)
    analog = to_t2fsnn(graph, x, **SHORT, robust=2, noise=Deletion(0.2), analog=True)[0].projections
    assert np.array_equal(analog[0].synapses.weights, plain[0].synapses.weights)
    assert np.array_equal(analog[1].synapses.weights, robust[1].synapses.weights)
    result = simulate((graph, x), **SHORT, robust=2)[2]
    single = simulate((graph, x), **SHORT)[2]
    assert result.rasters["a"].n_spikes == 3 * single.rasters["a"].n_spikes
    assert result.readout == pytest.approx(single.readout, rel=1e-5)


def relu():
    """One ReLU layer."""
    from eventsnn.ann.layers import ReLU

    return (ReLU("relu"),)


def test_pools(source):
    graph, x = source
    assert {type(r.kind) for r in to_t2fsnn(graph, x, **SHORT)[0].relays} == {EarliestPool}
    assert {type(r.kind) for r in to_t2fsnn(graph, x, **SHORT, robust=1)[0].relays} == {GatedMaxPool}
    mean = LayerGraph(graph.input_shape, tuple(
        AveragePool2d(layer.name, layer.size) if isinstance(layer, MaxPool2d) else layer for layer in graph.layers))  # fmt: skip
    logits = mean.forward(mean.as_inputs(x))
    result = simulate((mean, x), tau=100.0, t_fire_start=1000, t_fire_duration=1000, half_step=True)[2]
    assert (result.prediction == logits.argmax(axis=1)).mean() > 0.85
    both = list(fold_batch_norm(mean).layers)
    at = next(k for k, layer in enumerate(both) if isinstance(layer, AveragePool2d))
    both.insert(at + 1, MaxPool2d("max", 2))
    head = both[: at + 2]
    wide = LayerGraph(graph.input_shape, (*head, Flatten("f"), Dense("o", np.ones((16, 3)), None)))
    with pytest.raises(ModelError, match="follows the average pool"):
        to_t2fsnn(wide, x, **SHORT)


def test_kernels_and_the_output_decode_quirk(source):
    graph, x = source
    names = [row["layer"] for row in to_t2fsnn(graph, x, **SHORT)[1]["layers"]][:-1]
    kernels = Kernels.uniform(names, 6.0, -1.0)
    network, report = to_t2fsnn(graph, x, **SHORT, kernels=kernels)
    assert {(row["tau"], row["td"]) for row in report["layers"][:-1]} == {(6.0, -1.0)}
    assert (report["input"]["tau"], report["input"]["td"]) == (6.0, 0.0)
    odd = to_t2fsnn(graph, x, **SHORT, kernels=kernels, quirks=("output_decode",))[0]
    assert odd.populations[-2].parameters["tau_out"] == 5.0 and network.populations[-2].parameters["tau_out"] == 0.0
    with pytest.raises(ModelError, match="are for the layers"):
        to_t2fsnn(graph, x, **SHORT, kernels=Kernels.uniform(names[1:], 5.0))


@pytest.mark.parametrize("options, words", [
    ({"clock": "gated", "t_fire_start": 40}, "early firing"), ({"clock": "gated", "robust": 1}, "gated neurons fire once"),
    ({"readout": "spikes"}, "readout must be one of"), ({"t_fire_duration": 2.5}, "whole number of steps"),
    ({"tau": -1.0}, "tau must be a number in"), ({"robust": -1}, "robust must be"), ({"quirks": ("x",)}, "quirks must be one of"),
    ({"tau": "a", "in_tau": True}, "tau must be a number"), ({"t_fire_start": "a"}, "t_fire_start must be a number"),
    ({"noise": "deletion"}, "noise must be Deletion"), ({"kernels": {"tau": 3}}, "kernels must be Kernels"),
    ({"in_tau": "yes"}, "in_tau must be one of True, False"), ({"half_step": "no"}, "half_step must be one of"),
    ({"analog": 2}, "analog must be one of"),
    ({"readout": "count", "output": False}, "needs outputs scaled"), ({"dtype": "int32"}, "dtype must be one of"),
], ids=lambda x: x if isinstance(x, str) else "-".join(x))
def test_options_out_of_range_are_refused_in_words(source, options, words):
    with pytest.raises(ModelError, match=words):
        to_t2fsnn(*source, **options)
