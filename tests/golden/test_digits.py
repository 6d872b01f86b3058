"""Shipped weights on 100 real digits: accuracy, spikes and synaptic events are known."""

import numpy as np
import pytest

from eventsnn import run
from eventsnn.ann.files import load_graph
from eventsnn.conversion.coding import to_coding
from eventsnn.conversion.ttfs import to_ramps
from eventsnn.encoders import constant, ttfs
from eventsnn.files.datasets import load
from eventsnn.scenario.text.find import SHIPPED


@pytest.fixture(scope="module")
def digits():
    data = load("digits", limit=100)
    graph = load_graph(SHIPPED / "mnist_fc.h5")
    return graph, graph.as_inputs(data.images).astype(np.float32) / np.float32(255), data.labels


def test_ramps(digits):
    graph, x, labels = digits
    network, _ = to_ramps(graph, x, calibration="digits")
    found = run(network, {"input": ttfs.encode(x)})
    assert (found.prediction == graph.forward(x).argmax(axis=1)).all()
    assert (found.prediction == labels).all()
    # a neuron within rounding of its threshold may fall either way on another processor
    assert abs(found.counters["spikes"] - 8168) <= 2
    assert found.counters["synaptic_events"] == np.count_nonzero(x) * 340 + found.counters["spikes"] * 10


def test_integrate_and_fire(digits):
    graph, x, labels = digits
    network, _ = to_coding(graph, x, input_code="constant", hidden_code="rate", neurons={"v_init": 0.5}, calibration="digits")
    drive = constant.encode(x)
    event, stepped = (run(network, {"input": drive}, duration=50, engine=e) for e in ("event", "stepped"))
    assert event.rasters["hidden1"] == stepped.rasters["hidden1"]
    assert (event.prediction == labels).all()
    assert abs(event.counters["spikes"] - 104354) <= 40
