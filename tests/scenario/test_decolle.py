"""Scenarios with `learn: {rule: decolle}`: gestures from a synthetic archive, given weights, resumption, refusals, memory."""

import pytest

pytest.importorskip("torch")

from eventsnn.errors import ScenarioError
from eventsnn.files.raster_h5 import read_rasters
from eventsnn.learning.decolle.memory import footprint
from eventsnn.learning.decolle.plan import make_plan
from eventsnn.learning.decolle.settings import DecolleSettings
from eventsnn.scenario.learn import decolle as learn_decolle
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario
from tests.files.test_gesture import gesture, npy, write_tar
from tests.reference.decolle import memory_bits
from tests.scenario.helpers import ROOT

FILES = {name: ROOT / "scenarios" / "gesture" / f"{name}_decolle.yml" for name in ("dvs", "nmnist", "mnist")}


@pytest.fixture
def gestures(tmp_path, monkeypatch):
    """A synthetic archive of DVS Gesture under EVENTSNN_DATA: random events in the published form."""
    root = tmp_path / "data" / "dvs-gesture"
    root.parent.mkdir()
    for split, seed in (("Train", 0), ("Test", 100)):
        write_tar(root, {f"user0{k // 4}_led/{k % 11}.npy": npy(gesture(seed + k, 3000)) for k in range(8)}, split)
    monkeypatch.setenv("EVENTSNN_DATA", str(root.parent))


def test_gestures_are_learnt_and_run_from_an_archive(gestures, tmp_path):
    two = "learn.test=[{name: dvs-gesture, split: test, limit: 2}, {name: dvs-gesture, split: test, start: 3, limit: 2}]"
    metrics = run_scenario(load(FILES["dvs"], [two], smoke=True), tmp_path / "a").metrics
    found = metrics["learning"]
    assert found["kept_epoch"] == found["epochs"] == 1
    assert len(found["last"]["validation_accuracy"]) == len(found["test"][0]["accuracy"]) == 3
    assert found["test"][0]["samples"] == metrics["samples"] == 2
    both = found["test"][-1]
    assert both["samples"] == 4
    assert both["accuracy"] == [sum(test["accuracy"][k] for test in found["test"][:2]) / 2 for k in range(3)]
    assert both["standard_error"] == [(p * (1 - p) / 4) ** 0.5 for p in both["accuracy"]]
    assert set(metrics["spikes_per_neuron"]["per_population"]) == {"spikes1", "spikes2", "spikes3"}
    overrides = [f"learn.weights={tmp_path / 'a' / 'learned.npz'}", "learn.epochs=0"]
    run_scenario(load(FILES["dvs"], overrides, smoke=True), tmp_path / "b")
    first, again = (read_rasters(tmp_path / name / "raster.h5")[0]["spikes3"] for name in "ab")
    assert first == again
    assert first.n_spikes > 0
    with pytest.raises(ScenarioError, match="do not fit"):
        other = "learn.layers=[{channels: 3}, {channels: 2, kernel: 3}, {channels: 2, kernel: 3}]"
        run_scenario(load(FILES["dvs"], [*overrides, other], smoke=True), tmp_path / "c")


def test_a_killed_scenario_goes_on(tmp_path, monkeypatch):
    loaded = load(FILES["mnist"], ["learn.epochs=2"], smoke=True)
    whole = run_scenario(loaded, tmp_path / "whole")

    def killed(job, result):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(learn_decolle, "_figures", killed)
        with pytest.raises(KeyboardInterrupt):
            run_scenario(loaded, tmp_path / "cut")
    resumed = run_scenario(loaded, tmp_path / "cut", resume=True)
    assert resumed.metrics == whole.metrics
    assert (tmp_path / "cut" / "raster.h5").read_bytes() == (tmp_path / "whole" / "raster.h5").read_bytes()
    images = sum(whole.metrics["spikes"]["inputs"].values())
    assert 0.3 < images / (2 * 20 * 784 * 0.13 * 0.25) < 3  # 2 digits, 20 steps, mean pixel 0.13, 50 Hz x 5 ms


@pytest.mark.parametrize("overrides, words", [
    (["encode={code: events}"], "makes spikes of the samples itself"), (["run.duration=3 ms"], "learn.test_window"),
    (["learn.bits.wb=1"], "bits.wb"),
    (["learn.bits.wq=4"], "wb"), (["learn.tau_ref=2 ms"], "tau_ref"), (["learn.data.name=nmist"], "nmnist"),
    (["learn.quirks=[dropout]"], "dropout_in_test"),
])  # fmt: skip
def test_mistakes_are_named(overrides, words, tmp_path):
    with pytest.raises(ScenarioError, match=words):
        learn_decolle.settings_of(load(FILES["mnist"], overrides, smoke=True))


def test_published_names_and_float_are_understood():
    overrides = ["learn.bits={global_wb: 4, global_pb: 9}", "learn.lc_ampl=1.5", "learn.global_lr=2.0", "learn.offsets={eg: -2}"]
    settings = learn_decolle.settings_of(load(FILES["mnist"], overrides, smoke=True))
    assert (settings.bits["wb"], settings.bits["pb"], settings.bits["eb"], settings.bits["gb"]) == (4, 9, 4, 8)
    assert (settings.readout_amplitude, settings.rate, settings.pq_cap) == (1.5, 2.0, 0.75)
    settings = learn_decolle.settings_of(load(FILES["nmnist"], ["learn.bits=float", "learn.optimiser=adamax", "learn.rate=3e-3"]))
    assert set(settings.bits.values()) == {None}
    published = learn_decolle.settings_of(load(FILES["dvs"]))
    assert published == DecolleSettings(seed=published.seed)


def test_the_published_memory_footprint():
    settings = DecolleSettings()
    found = footprint(make_plan(settings, (2, 32, 32), 11), settings.bits)
    assert (found["published"]["bits"], found["published"]["float_bits"]) == (26_462_796, 100_928_576)
    assert (found["pooled"]["bits"], found["pooled"]["float_bits"]) == (28_354_956, 111_296_576)
    assert [round(100 * found[name]["saving"], 2) for name in found] == [73.78, 74.52, 74.92]
    weights, inputs = [6272, 401_408, 802_816], [2048, 14_400, 21_632]
    unpooled = memory_bits(weights, inputs, [14_400, 21_632, 3_200], [57_600, 21_632, 15_488], 11, settings.bits)
    assert found["unpooled"]["bits"] == unpooled
