"""Conversion to the multi-spike codings: what a cycle sums up to, every legal pair, every option, every refusal."""

import json

import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net, mlp
from eventsnn.conversion import pairs
from eventsnn.conversion.coding import to_coding
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.normalise import neuron_thresholds, normalise
from eventsnn.encoders import ENCODERS
from eventsnn.engines.run import run
from eventsnn.errors import ModelError, NetworkError
from eventsnn.relays import GatedMaxPool, StepMaxPool

GRID = [p for p in pairs.LEGAL if p[1] != "ttfs"]


def noisy(graph, seed=4):
    """The graph in float64 with biases and batch norms away from the identity."""
    rng, graph = np.random.default_rng(seed), graph.astype(np.float64)
    return graph.with_parameters({
        key: rng.uniform(0.5, 1.5, v.shape) if "norm" in key else v + rng.normal(0, 0.1, v.shape)
        for key, v in graph.parameters().items()
    })  # fmt: skip


def values(graph, n=4, levels=8):
    """Inputs that every input code says exactly: multiples of 1/8 below 1."""
    return np.random.default_rng(2).integers(0, levels, (n, *graph.input_shape)) / levels


def given(code, x, steps):
    """Encode with what a code needs."""
    return ENCODERS[code].encode(x, **{"constant": {}, "poisson": {"steps": steps, "seed": 0}}.get(code, {"steps": steps}))


def test_fourteen_pairs_are_legal_and_the_others_say_why():
    assert len(GRID) == 12 and len(pairs.LEGAL) == 14
    assert {p for p in pairs.LEGAL if p[1] == "ttfs"} == {("constant", "ttfs"), ("ttfs_kernel", "ttfs")}
    for input_code, hidden in pairs.REASONS:
        with pytest.raises(ModelError, match=r"kernel.*allowed"):
            pairs.check_pair(input_code, hidden)
    assert len(pairs.REASONS) + len(pairs.LEGAL) == len(pairs.INPUT_CODES) * len(pairs.HIDDEN_CODES)
    graph = mlp(3, [4], 2)
    for input_code, hidden, words in (("ttfs_kernel", "rate", "biases"), ("poisson", "brust", "did you mean 'burst'"),
                                      ("reel", "rate", "unknown input code"), ("constant", "ttfs", "converter of its own")):
        with pytest.raises(ModelError, match=words):
            to_coding(graph, np.ones((2, 3)), input_code=input_code, hidden_code=hidden)


@pytest.mark.parametrize("input_code, hidden", GRID)
def test_the_mean_of_a_cycle_approaches_the_relu_network(input_code, hidden):
    """Every pair: the output membrane per cycle tends to the logits, hidden amplitudes per cycle to the activations."""
    graph = noisy(conv_net((5, 5, 1), [3, "P"], [6], 3, kernel=2, pool="average"))
    x = values(graph)
    network, report = to_coding(graph, x, input_code=input_code, hidden_code=hidden, percentile=100)
    normalised, _ = normalise(fold_batch_norm(graph), x, rule="percentile", percentile=100, output=False)
    logits, hidden1 = normalised.forward(x), normalised.forward(x, keep=True)["relu1"].reshape(len(x), -1)
    errors = []
    for cycles in (16, 512):
        steps = cycles * report["cycle"]
        found = run(network, {"input": given(input_code, x, steps)}, duration=steps)
        errors.append(np.abs(found.readout / cycles - logits).max() / np.abs(logits).max())
        sent = found.rasters["conv1"].amplitude_sums() / cycles
    noise = 0.15 if input_code == "poisson" else 0.02
    assert errors[1] < noise and errors[1] < errors[0]
    assert np.abs(sent - hidden1).max() < 2 * noise
    assert report["cycle"] == (8 if "phase" in (input_code, hidden) or input_code == "burst" else 1)
    json.dumps(report)


@pytest.mark.parametrize("hidden", pairs.MULTI_SPIKE)
@pytest.mark.parametrize("readout", ["count", "first_spike"])
def test_an_output_that_spikes(hidden, readout):
    graph = noisy(mlp(8, [9], 4))
    x = values(graph, 12)
    network, report = to_coding(graph, x, input_code="phase", hidden_code=hidden, readout=readout, percentile=100)
    assert report["output_scaled"] and network.populations[-1].model.name == hidden
    found = run(network, {"input": given("phase", x, 640)}, duration=640)
    sums = found.rasters["output"].amplitude_sums() / 80
    logits = normalise(graph, x, rule="percentile", percentile=100)[0].forward(x)
    assert np.abs(sums - np.maximum(logits, 0)).max() < 0.03
    first = found.rasters["output"].first_times()
    chosen = np.argmin(first, axis=1) if readout == "first_spike" else np.argmax(sums, axis=1)
    assert np.array_equal(found.prediction, chosen)


@pytest.mark.parametrize("hidden", pairs.MULTI_SPIKE)
@pytest.mark.parametrize("max_pool", ["gated", "step"])
def test_engines_agree_on_pools_and_thresholds(hidden, max_pool):
    graph = noisy(conv_net((6, 6, 1), [4, "P", 5], [6], 3))
    x = values(graph, 3)
    thresholds = {name: 0.25 * t for name, t in neuron_thresholds(fold_batch_norm(graph), x, rule="neuron_percentile").items()}
    network, report = to_coding(graph, x, input_code="burst", hidden_code=hidden, thresholds=thresholds,
                                rule="neuron_percentile", max_pool=max_pool)  # fmt: skip
    assert isinstance(network.relays[0].kind, {"gated": GatedMaxPool, "step": StepMaxPool}[max_pool])
    assert report["layers"][0]["v_threshold"][1] <= 0.25
    spikes = given("burst", x, 48)
    event, stepped = (run(network, {"input": spikes}, engine=e) for e in ("event", "stepped"))
    assert event.counters["spikes"] > 500 and np.array_equal(event.readout, stepped.readout)
    assert all(event.rasters[name] == stepped.rasters[name] for name in event.rasters)


def test_rate_spikes_carry_their_threshold_unless_told_otherwise():
    graph = noisy(mlp(5, [4], 3))
    x = values(graph)
    common = {"input_code": "constant", "hidden_code": "rate"}
    plain, _ = to_coding(graph, x, **common, neurons={"v_threshold": 0.25})
    quirk, _ = to_coding(graph, x, **common, neurons={"v_threshold": 0.4, "amplitude": 1.0})
    assert plain.populations[0].parameters["amplitude"] == 0.25
    assert quirk.populations[0].parameters["amplitude"] == 1.0 and quirk.populations[0].parameters["v_threshold"] == 0.4


def test_published_schedules():
    graph = noisy(mlp(5, [4], 3))
    x = values(graph)
    for code, hidden, options, period, scale in [
        ("constant", "burst", {}, 1, 1), ("phase", "burst", {}, 8, 1), ("burst", "rate", {"bias_period": 1}, 1, 1),
        ("constant", "phase", {}, 8, 1 / 8), ("poisson", "phase", {"input_scale": 1}, 8, 1),
        ("phase", "rate", {"input_period": 5}, 5, 1), ("constant", "phase", {"neurons": {"period": 4}}, 4, 1 / 4),
    ]:  # fmt: skip
        network, report = to_coding(graph, x, input_code=code, hidden_code=hidden, dtype="float64", **options)
        assert (report["bias_period"], report["input_scale"]) == (period, scale)
        own = normalise(graph, x, rule="percentile", output=False)[0].parameters()
        assert np.array_equal(network.projections[0].synapses.weights, own["hidden1.weights"] * scale)
        if period == 1 and hidden != "phase":
            assert not network.drives and np.array_equal(network.populations[0].parameters["bias"], own["hidden1.bias"])
        else:
            assert [d.schedule for d in network.drives] == [period, period]
            assert np.array_equal(network.drives[1].values, own["output.bias"])


@pytest.mark.parametrize("options, words", [
    ({"dtype": "float16"}, "dtype"), ({"max_pool": "gate"}, "did you mean 'gated'"), ({"readout": "membran"}, "membrane"),
    ({"input_scale": 0}, "input_scale"), ({"bias_period": 0}, "bias_period"), ({"input_period": 1.5}, "input_period"),
    ({"neurons": {"period": "x"}, "hidden_code": "phase"}, "period"), ({"rule": "max"}, "rule"),
    ({"input_scale": "a"}, "input_scale"), ({"neurons": [1]}, "neurons must be a dict"),
    ({"percentile": "a"}, "percentile must be"),
    ({"neurons": {"bias": 0.1}}, "bias is that of the ReLU network"), ({"thresholds": {"hiden1": 1}}, "did you mean 'hidden1'"),
])  # fmt: skip
def test_bad_options(options, words):
    with pytest.raises(ModelError, match=words):
        to_coding(mlp(3, [4], 2), np.ones((2, 3)), **{"input_code": "constant", "hidden_code": "rate", **options})


def test_bad_neurons_are_named_by_their_layer():
    with pytest.raises(NetworkError, match=r"hidden1.*no parameter 'betta'.*beta"):
        to_coding(mlp(3, [4], 2), np.ones((2, 3)), input_code="phase", hidden_code="burst", neurons={"betta": 2.0})


def test_an_accumulator_beside_a_layer_sums_its_whole_input():
    """The raw input sum of each neuron: the same projections onto a population that never fires."""
    from dataclasses import replace

    from eventsnn.network import Population

    graph = noisy(mlp(5, [4], 3))
    x = values(graph)
    network, _ = to_coding(graph, x, input_code="constant", hidden_code="rate", dtype="float64")
    hidden, link = network.populations[0], network.projections[0]
    beside = Population("sum", hidden.shape, "accumulator", {"bias": hidden.parameters["bias"]}, "float64")
    wider = replace(network, populations=(*network.populations, beside),
                    projections=(*network.projections, replace(link, target="sum")))  # fmt: skip
    found = run(wider, {"input": given("constant", x, 20)}, duration=20, record_state=["sum"])
    wanted = 20 * (x @ link.synapses.weights + hidden.parameters["bias"])
    assert np.allclose(found.states["sum"]["v"], wanted, rtol=0, atol=1e-12)


def test_a_pool_at_the_input_takes_spikes_only():
    from eventsnn.ann.graph import LayerGraph
    from eventsnn.ann.layers import Dense, Flatten, MaxPool2d

    graph = LayerGraph((4, 4, 2), [MaxPool2d("p"), Flatten(), Dense("d", np.ones((8, 3)))])
    with pytest.raises(ModelError, match=r"'p'.*poisson, phase or burst"):
        to_coding(graph, np.ones((1, 4, 4, 2)), input_code="constant", hidden_code="rate")
    to_coding(graph, np.ones((1, 4, 4, 2)), input_code="phase", hidden_code="rate")
