"""Training by the adjoint: it learns, goes on where it stopped, stops early, and says what it cannot do."""

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Population, Projection, Readout, SparseMs, run
from eventsnn.encoders.ttfs import encode
from eventsnn.errors import DataError, ModelError
from eventsnn.files import datasets
from eventsnn.files.datasets_yinyang import classes_of
from eventsnn.gradients.spike_losses import first_spike_cross_entropy
from eventsnn.learning.adjoint.settings import AdjointSettings
from eventsnn.learning.adjoint.training import learn

OWN = {"tau_mem": 0.5, "tau_syn": 0.5}
SHORT = {"epochs": 3, "batch": 10, "learning_rate": 5e-3, "delay_rate": 1.0, "parameters": ("bias",), "silent_lift": 1e-3}


def listed(rng, n, m, mean, std):
    return SparseMs.from_lists(np.repeat(np.arange(n), m), np.tile(np.arange(m), n), rng.normal(mean, std, n * m),
                               rng.uniform(0, 0.5, n * m), n_sources=n)


def network(hidden=12, seed=1):
    rng = np.random.default_rng(seed)
    return Network([Input("x", 4)], [Population("h", hidden, "cuba_lif", OWN, dtype="float64"),
                                     Population("o", 3, "cuba_lif", OWN, dtype="float64")],
                   [Projection("x", "h", listed(rng, 4, hidden, 1.5, 0.8)),
                    Projection("h", "o", listed(rng, hidden, 3, 0.6, 0.6))], readout=Readout("o", "first_spike"))  # fmt: skip


def points(n=40):
    found = datasets.load("yinyang", "train", limit=n)
    return {"x": encode(found.images, silent=False, dtype="float64")}, found.labels.astype(np.int64)


def loss(result, labels):
    return first_spike_cross_entropy(result, "o", labels, 0.2)


def trained(changes=(), **options):
    x, y = points()
    return learn(network(), x, y, AdjointSettings(**(SHORT | dict(changes))), loss, duration=3.0, **options)


def same(a, b):
    for p, q in zip(a.network.projections, b.network.projections):
        assert np.array_equal(p.synapses.weights, q.synapses.weights) and np.array_equal(p.synapses.delays, q.synapses.delays)
    assert a.curve == b.curve and a.epoch == b.epoch
    assert np.array_equal(a.network.populations[0].parameters["bias"], b.network.populations[0].parameters["bias"])


def test_it_learns_and_a_resumed_training_gives_the_same_bits(tmp_path):
    whole = trained()
    assert whole.curve[-1]["train_loss"] < whole.curve[0]["train_loss"]
    assert [r["epoch"] for r in whole.curve] == [1, 2, 3] and whole.curve[0]["min_slope"] > 0
    trained({"epochs": 2}, checkpoint=tmp_path / "kept.npz", identity="one")
    same(trained(checkpoint=tmp_path / "kept.npz", identity="one"), whole)
    with pytest.raises(DataError, match="other settings"):
        trained(checkpoint=tmp_path / "kept.npz", identity="two")
    start = network()
    assert not np.allclose(np.sort(start.projections[0].synapses.delays), np.sort(whole.network.projections[0].synapses.delays))
    assert (whole.network.projections[1].synapses.delays >= 0).all() and np.ptp(
        whole.network.populations[0].parameters["bias"]) > 0  # fmt: skip


def test_it_stops_early_and_keeps_the_best():
    # a rate at which the loss only jumps about
    result = trained({"epochs": 12, "learning_rate": 0.5, "validation": 10, "patience": 2, "keep": "best"})
    held = [r["validation_loss"] for r in result.curve]
    assert result.stopped and len(held) < 12 and result.epoch == int(np.argmin(held)) + 1 == len(held) - 2


def test_the_best_without_a_validation_part_is_the_best_on_the_training_part():
    result = trained({"epochs": 5, "learning_rate": 0.1, "keep": "best"})
    after = [r["loss_after"] for r in result.curve]
    x, y = points()
    assert result.epoch == int(np.argmin(after)) + 1 < 5
    assert loss(run(result.network, x, duration=3.0), y).value == pytest.approx(min(after), rel=1e-12)


def test_dense_weights_alone():
    rng = np.random.default_rng(0)
    start = Network([Input("x", 4)], [Population("o", 3, "cuba_lif", OWN, dtype="float64")],
                    [Projection("x", "o", Dense(rng.uniform(1.0, 2.0, (4, 3))), delay=0.1)], readout=Readout("o", "first_spike"))
    x, y = points()
    result = learn(start, x, y, AdjointSettings(epochs=3, batch=20, learning_rate=0.02, optimiser="sgd"), loss, duration=3.0)
    assert result.curve[-1]["train_loss"] < result.curve[0]["train_loss"]
    right = np.mean(run(result.network, x, duration=3.0).prediction == y)
    assert right == pytest.approx(np.mean(run(result.network, x, duration=3.0).readout.argmin(1) == y))
    assert result.network.projections[0].delay == 0.1 and (start.projections[0].synapses.weights >= 1.0).all()


def test_what_is_refused():
    for wrong, message in (({"epochs": -1}, "epochs"), ({"optimiser": "adma"}, "did you mean 'adam'"), ({"decay": 2.0}, "decay"),
                           ({"patience": 2}, "validation"), ({"parameters": ("bais",)}, "'bais'"), ({"batch": 1.5}, "batch")):
        with pytest.raises(ModelError, match=message):
            trained(wrong)
    with pytest.raises(DataError, match="validation"):
        trained({"validation": 40})
    twins = SparseMs.from_lists([0, 0], [0, 0], [1.0, 2.0], [0.1, 0.2], n_sources=4)
    double = Network([Input("x", 4)], [Population("o", 3, "cuba_lif", OWN, dtype="float64")], [Projection("x", "o", twins)])
    with pytest.raises(ModelError, match="two synapses"):
        learn(double, *points(), AdjointSettings(delay_rate=1.0), loss)


def test_yin_yang_is_its_geometry():
    train, test = (datasets.load("yinyang", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (5000, 1000) and train.classes == ("yang", "yin", "dot")
    for part in (train, test):
        x, y = part.images[:, 0], part.images[:, 1]
        assert np.array_equal(part.images[:, 2:], 1 - part.images[:, :2]) and (np.hypot(x - 0.5, y - 0.5) <= 0.5).all()
        assert np.array_equal(classes_of(x, y), part.labels)
        np.testing.assert_allclose(np.bincount(part.labels) / len(part), 1 / 3, atol=0.05)
    # by the symmetry of the figure: half a turn exchanges yin and yang
    dots = train.labels == 2
    turned = classes_of(1 - train.images[:, 0], 1 - train.images[:, 1])
    assert (turned[dots] == 2).all() and (turned[~dots] == 1 - train.labels[~dots]).mean() > 0.999
    assert datasets.load("yinyang", "test", limit=7).sha256 != test.sha256
    assert datasets.available()["yinyang"]["train"] == "inside the package"
    assert set(datasets.verify("yinyang")) == {"train", "test"}
