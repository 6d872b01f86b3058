"""The network inside the package: small, described, and as good as it says."""

import os
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn.ann.files import load_graph
from eventsnn.errors import DataError
from eventsnn.files import datasets

PATH = Path(eventsnn.__file__).parent / "shipped" / "mnist_fc.h5"


def test_file():
    graph = load_graph(PATH)
    assert PATH.stat().st_size < 1.2e6 and graph.dtype == np.float32
    assert graph.parameters()["hidden1.weights"].shape == (784, 340) and graph.output_shape == (10,)
    assert graph.meta["command"] == "eventsnn run scenarios/ann/train_mnist_fc.yml"
    assert graph.meta["training"]["images"] == 55000 and graph.meta["training"]["settings"]["validation"] == 5000


def test_accuracy_on_the_official_test_images():
    if not os.environ.get("EVENTSNN_DATA"):
        pytest.skip("needs the data set mnist: set EVENTSNN_DATA")
    try:
        data = datasets.load("mnist", "test")
    except DataError as error:
        pytest.skip(str(error))
    graph = load_graph(PATH)
    found = (graph.forward(data.images / np.float32(255)).argmax(1) == data.labels).mean()
    assert found == graph.meta["test_accuracy"] and found >= 0.983
