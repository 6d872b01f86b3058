"""The networks that come with the project: small, described, and as good as they say."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

import eventsnn
from eventsnn.ann.files import load_graph
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.errors import DataError
from eventsnn.files import datasets

PATH = Path(eventsnn.__file__).parent / "shipped" / "mnist_fc.h5"
CNN = Path(__file__).resolve().parents[2] / "data" / "mnist_cnn.h5"


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


def test_the_cnn_is_described():
    graph, readme = load_graph(CNN), (CNN.parent / "README.md").read_text("utf-8")
    assert CNN.stat().st_size < 130_000 and graph.input_shape == (28, 28, 1)
    assert [s for s in graph.shapes if len(s) == 3][::3] == [(24, 24, 12), (12, 12, 12), (8, 8, 64)]
    assert graph.meta["command"] == "eventsnn run scenarios/ann/train_mnist_cnn.yml"
    assert hashlib.sha256(CNN.read_bytes()).hexdigest() in readme


def test_the_cnn_on_real_digits_folded_and_not():
    graph, data = load_graph(CNN), datasets.load("digits", "test")
    x = (data.images / np.float32(255))[:1000]
    prediction = graph.forward(x).argmax(1)
    assert (prediction == data.labels[:1000]).mean() >= 0.992 <= graph.meta["test_accuracy"]
    assert (fold_batch_norm(graph).forward(x).argmax(1) == prediction).all()
