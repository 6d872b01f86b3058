"""Threshold balancing: the same as a brute-force maximum, layer after layer; percentile, activations, scale and offset."""

from dataclasses import replace

import numpy as np
import pytest

from eventsnn.conversion.balance import _drawn, balance
from eventsnn.conversion.hybrid import HybridNet, encode, to_network
from eventsnn.conversion.hybrid_build import spiking_layers
from eventsnn.engines import run
from eventsnn.errors import EventsnnError, ModelError
from eventsnn.random import key
from tests.conversion.test_hybrid import dense_input
from tests.hybrid_cases import graph_of, nodes_for_twin
from tests.reference import hybrid as twin

STEPS, BATCH = 12, 3


def start(net="vgg5", **options):
    graph = graph_of(net, 5)
    return HybridNet(graph, [1.0] * len(spiking_layers(graph)), **options)


def images(n=6):
    return np.random.default_rng(2).uniform(-1, 1, (n, 6, 6, 2)).astype(np.float32)


def brute_force(hybrid, x, steps, batch, layers):
    """The largest drives by the twin: one fresh batch per layer, thresholds found so far below it."""
    found = [1.0] * len(hybrid.layers)
    for k in layers:
        members = _drawn(len(x), batch, 0, k)
        trial = replace(hybrid, thresholds=found)
        made = encode(trial, x[members], steps=steps, seed=int(key(0, "balance", k)) >> 1, sample_ids=members)
        largest = 0.0
        for sample in range(len(members)):
            entering = dense_input(made, sample, steps, 72)
            drives = twin.run(nodes_for_twin(trial), entering, hybrid.propagation)[3]
            largest = max(largest, float(drives[hybrid.layers[k]].max()))
        found[k] = largest
    return found


@pytest.mark.parametrize("propagation", ["pipelined", "same_step"])
@pytest.mark.parametrize("code", ["poisson", "direct"])
def test_equals_a_brute_force_maximum(propagation, code):
    hybrid = start(propagation=propagation, input=code, leaks=[0.5] * 4)
    balanced, report = balance(hybrid, images(), steps=STEPS, batch=BATCH)
    wanted = brute_force(start(propagation=propagation, input=code), images(), STEPS, BATCH, range(4))
    assert list(balanced.thresholds) == wanted and balanced.leaks == (0.5,) * 4
    assert [row["found"] for row in report["layers"]] == wanted and all(row["balanced"] for row in report["layers"])


def test_blocks_keep_their_default():
    hybrid = start("resnet8")
    balanced, _ = balance(hybrid, images(), steps=STEPS, batch=BATCH, scale=0.5, offset=0.25, default_threshold=0.75)
    wanted = brute_force(hybrid, images(), STEPS, BATCH, range(3))
    assert list(balanced.thresholds) == [0.5 * w + 0.25 for w in wanted[:3]] + [0.75] * 4


def test_scale_offset_and_rounding_come_after_all_layers():
    plain, _ = balance(start(), images(), steps=STEPS, batch=BATCH)
    other, report = balance(start(), images(), steps=STEPS, batch=BATCH, scale=0.7, offset=0.1, decimals=2)
    assert list(other.thresholds) == [round(0.7 * t + 0.1, 2) for t in plain.thresholds]
    assert [row["found"] for row in report["layers"]] == list(plain.thresholds)


def test_percentile_lies_below_the_maximum():
    largest, _ = balance(start(), images(), steps=STEPS, batch=BATCH)
    whole, _ = balance(start(), images(), rule="percentile", percentile=100, steps=STEPS, batch=BATCH)
    most, _ = balance(start(), images(), rule="percentile", percentile=90, steps=STEPS, batch=BATCH)
    assert whole.thresholds == largest.thresholds and most.thresholds[0] < largest.thresholds[0]


def test_activation_thresholds_make_rates_follow_activations():
    hybrid = start(propagation="same_step", input="direct", v_init=0.5)
    balanced, _ = balance(hybrid, images(), rule="activation", percentile=100, batch=6)
    values = hybrid.graph.forward(images(), keep=True)
    levels = [np.maximum(values[name], 0).max() for name in hybrid.layers]
    assert np.allclose(np.cumprod(balanced.thresholds), levels, rtol=1e-6)
    steps = 400
    result = run(to_network(balanced), {"input": encode(balanced, images(), steps=steps)}, duration=steps)
    for name, level in zip(hybrid.layers, levels):
        rate = result.rasters[name].counts() / steps
        assert np.abs(rate - np.maximum(values[name], 0).reshape(6, -1) / level).max() < 0.05
    logits = result.readout / steps * levels[-1]
    assert np.allclose(logits, values["output"], atol=0.05 * np.abs(values["output"]).max())


def test_poisson_gain_counts_in_the_first_threshold():
    full, _ = balance(start(), images(), rule="activation")
    low, _ = balance(start(gain=0.5), images(), rule="activation")
    assert np.allclose(low.thresholds, [0.5 * full.thresholds[0], *full.thresholds[1:]])


@pytest.mark.parametrize("rule", ["maximum", "activation"])
def test_values_beyond_a_spike_per_step_are_clipped_where_that_is_said(rule):
    how = {"rule": rule, "steps": STEPS, "batch": BATCH}
    wide, bounded = (balance(start(gain=2.0, clip=True), x, **how)[0] for x in (images(), np.clip(images(), -0.5, 0.5)))
    assert wide.thresholds == bounded.thresholds
    if rule == "maximum":
        with pytest.raises(EventsnnError, match="or clip"):
            balance(start(gain=2.0), images(), **how)


def test_none_gives_every_layer_the_default():
    untrained, report = balance(start(), None, rule="none", default_threshold=1.5)
    assert untrained.thresholds == (1.5,) * 4 and report["batch"] == 0


def test_seeds_and_batches_count_and_threads_do_not():
    one, _ = balance(start(), images(), steps=STEPS, batch=BATCH, seed=1)
    again, _ = balance(start(), images(), steps=STEPS, batch=BATCH, seed=1, threads=2)
    other, _ = balance(start(), images(), steps=STEPS, batch=BATCH, seed=2)
    assert one.thresholds == again.thresholds != other.thresholds
    assert len(set(map(tuple, (_drawn(50, 10, 0, k) for k in range(5))))) == 5


def test_what_is_refused():
    graph = graph_of("vgg5", 5)
    dead = graph.with_parameters({"conv2.weights": -np.abs(graph.parameters()["conv2.weights"])})
    with pytest.raises(ModelError, match="no drive of layer 'conv2' is positive"):
        balance(HybridNet(dead, [1.0] * 4), images(), steps=STEPS, batch=BATCH)
    with pytest.raises(ModelError, match="did you mean 'percentile'"):
        balance(start(), images(), rule="percentle")
    for options, match in (({"steps": 0}, "steps"), ({"scale": 0}, "scale"), ({"percentile": 0}, "percentile"),
                           ({"batch": 1.5}, "batch"), ({"scale": "a"}, "scale"),
                           ({"percentile": "a"}, "percentile"), ({"decimals": 400}, "decimals"), ({"offset": None}, "offset"),
                           ({"default_threshold": -1}, "default_threshold")):  # fmt: skip
        with pytest.raises(ModelError, match=match):
            balance(start(), images(), **options)
    for more in ({"scale": 0.7}, {"offset": 0.1}, {"decimals": 2}):
        with pytest.raises(ModelError, match="nothing to scale, shift or round"):
            balance(start(), None, rule="none", **more)
    with pytest.raises(ModelError, match="at least one image"):
        balance(start(), images()[:0])
    with pytest.raises(ModelError, match="threshold of layer 'conv1' must be > 0"):
        balance(start(), images(), steps=STEPS, batch=BATCH, offset=-1000)
    with pytest.raises(ModelError, match="residual block"):
        balance(start("resnet8"), images(), rule="activation")
