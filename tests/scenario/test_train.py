"""The training stage: a scenario trains its source network, keeps the weights, and resumes to the same bits."""

import pytest

from eventsnn.scenario import sweep as sweeps
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import Here, make_tiny

pytest.importorskip("torch")
from eventsnn.ann import train as training

TRAIN = [
    "network=null", "train.data.file=tiny.npz", "train.architecture={kind: mlp, hidden: [8]}",
    "train.settings={epochs: 4, batch_size: 8, device: cpu, threads: 1}",
]  # fmt: skip


def test_train_convert_and_run_in_one_file(tmp_path):
    result = run_scenario(load(make_tiny(tmp_path), TRAIN), tmp_path / "out")
    assert result.metrics["agreement"] == 1.0 and result.metrics["training"]["epochs"] == 4
    fixed = ["network.source.file=out/weights.h5"]
    again = run_scenario(load(tmp_path / "tiny.yml", fixed), tmp_path / "again")
    assert again.metrics["raster_sha256"] == result.metrics["raster_sha256"]


def test_a_sweep_trains_once_for_what_differs_only_afterwards(tmp_path, monkeypatch):
    path, trained = make_tiny(tmp_path), []
    monkeypatch.setattr(training, "train", lambda *a, _train=training.train, **k: trained.append(1) or _train(*a, **k))
    plan = sweeps.plan(path, ["convert.zeta=0.2,0.5", "seed=0,1"], TRAIN)
    rows = sweeps.sweep(plan, tmp_path / "s", executor=Here())
    assert [row["status"] for row in rows] == ["finished"] * 4 and len(trained) == 2  # one for each seed
    weights = {(tmp_path / "s" / row["run"] / "weights.h5").read_bytes() for row in rows}
    assert len(weights) == 2
    run_scenario(load(path, TRAIN), tmp_path / "alone")
    assert len(trained) == 3


def test_an_interrupted_training_resumes_to_the_same_weights(tmp_path):
    path = make_tiny(tmp_path)

    def stop(stage, done, total):
        if stage == "train" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scenario(load(path, TRAIN), tmp_path / "out", progress=stop)
    epochs = []
    resumed = run_scenario(load(path, TRAIN), tmp_path / "out", resume=True,
                           progress=lambda stage, done, total: epochs.append(done) if stage == "train" else None)  # fmt: skip
    straight = run_scenario(load(path, TRAIN), tmp_path / "straight")
    assert epochs == [3, 4]
    assert resumed.metrics == straight.metrics
    assert (resumed.folder / "weights.h5").read_bytes() == (straight.folder / "weights.h5").read_bytes()
