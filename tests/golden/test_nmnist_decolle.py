"""The shipped DECOLLE network on real N-MNIST recordings: its accuracy, and the engine's answers beside the learner's."""

import numpy as np
import pytest

pytest.importorskip("torch")

from eventsnn import run
from eventsnn.errors import DataError
from eventsnn.files.datasets import load
from eventsnn.learning.decolle import training as decolle
from eventsnn.learning.decolle.input import Recordings
from eventsnn.learning.decolle.network import INPUT, to_network
from eventsnn.scenario import load as scenario
from eventsnn.scenario.learn.decolle import read_weights, settings_of
from tests.scenario.helpers import ROOT


def test_the_shipped_network_answers_held_out_recordings():
    try:
        data = load("nmnist", "test", limit=60)
    except DataError:
        pytest.skip("no data set nmnist")
    settings = settings_of(scenario.load(ROOT / "scenarios" / "gesture" / "nmnist_decolle.yml"))
    source = Recordings(data.recordings(), data.shape, np.arange(len(data)), settings)
    weights, biases = read_weights(ROOT / "data" / "nmnist_decolle.npz")
    result = decolle.DecolleResult(settings, weights, biases, (2, *source.shape[:2]), 10)
    answers = decolle.predict(result, source)
    assert (answers[-1] == data.labels).mean() > 0.85
    few = run(to_network(result), {INPUT: source.batch(np.arange(4))}, record=["spikes3"])
    assert np.array_equal(few.prediction, answers[-1, :4])
    assert 5 < few.rasters["spikes3"].n_spikes / (4 * 8 * 8 * 128) < 60
