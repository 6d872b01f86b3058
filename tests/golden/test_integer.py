"""The shipped ternary networks on 100 real digits: answers, spikes and operations; both engines and the twin; every level."""

import itertools

import numpy as np
import pytest

from eventsnn import run
from eventsnn.ann.files import load_graph
from eventsnn.ann.layers import Conv2d
from eventsnn.ann.quantised import QuantConv2d
from eventsnn.conversion.integer import to_integer
from eventsnn.conversion.integer_levels import levels
from eventsnn.encoders.base import Drive
from eventsnn.files.datasets import load
from eventsnn.scenario.samples import middle, scale, standardised
from tests.reference import integer as twin
from tests.scenario.helpers import ROOT

STEPS = 8
# right answers at the end, spikes of both signs in the hidden layers, over 100 digits
FIGURES = {"lenet_k0": (94, 102702, 12369), "lenet_k1": (96, 198264, 31794), "vgg_k0": (96, 500684, 40768),
           "vgg_k1": (94, 1037026, 106322)}  # fmt: skip


def case(name):
    """Graph, images and labels."""
    digits, graph = load("digits", "test"), load_graph(ROOT / "data" / f"digits_{name}.npz")
    x = scale(digits.images[2000:2100]).reshape(-1, 28, 28, 1)
    return graph, standardised(middle(x, 24, "digits")) if "vgg" in name else x, np.asarray(digits.labels[2000:2100])


def blocks_of(graph):
    """The network as the twin takes it."""
    found = []
    for conv, norm in itertools.pairwise(graph.layers):
        if isinstance(conv, Conv2d):
            kernel = conv.used() if isinstance(conv, QuantConv2d) else conv.weights
            found.append({"kernel": kernel.astype(np.float64), "stride": conv.stride, "same": conv.padding == "same",
                          "gamma": norm.gamma, "beta": norm.beta, "mean": norm.mean, "var": norm.variance.astype(np.float64),
                          "eps": norm.epsilon})  # fmt: skip
    return found, graph.layers[-1].weights


@pytest.mark.parametrize("name", FIGURES)
def test_real_networks(name):
    graph, x, labels = case(name)
    k = graph.layers[5].k
    drive = {"input": Drive(x.reshape(len(x), -1).astype(np.float64), "first", graph.input_shape)}
    for rule in ("exact", "published"):
        network, report = to_integer(graph, steps=STEPS, thresholds=rule)
        assert {row["dtype"] for row in report["layers"][1:-1]} == {"int16"}
        event, stepped = (run(network, drive, duration=STEPS, engine=engine) for engine in ("event", "stepped"))
        assert event.rasters == stepped.rasters and np.array_equal(event.readout, stepped.readout)
        spikes, _, logs = twin.run(*blocks_of(graph), x.astype(np.float64), k=k, rule=rule, steps=STEPS, labels=labels)
        for population, layer in zip(network.populations, spikes):
            found = event.rasters[population.name].to_dense()
            np.testing.assert_array_equal(found, layer.reshape(found.shape), err_msg=population.name)
        if rule == "exact":
            number, signed = logs["spike_num"][-1], logs["spike_collect"][-1]
            assert (logs["accuracy"][-1], (number + signed) // 2, (number - signed) // 2) == FIGURES[name]
            assert (event.prediction == labels).sum() == logs["accuracy"][-1]
    wanted, logits = levels(graph, x)
    settled = run(to_integer(graph, steps=48)[0], drive, duration=48)
    for population in settled.rasters.keys() & wanted.keys():
        unit = 2**k if population == "conv1" else 1
        np.testing.assert_array_equal(settled.rasters[population].amplitude_sums(), wanted[population] * unit)
        assert len(settled.rasters[population].times) == 0 or settled.rasters[population].times.max() < 47
    np.testing.assert_array_equal(settled.prediction, logits.argmax(axis=1))
