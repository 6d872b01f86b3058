"""A run: what it leaves, that it can be had again bit for bit, that nothing finished is ever touched."""

import errno
import json

import numpy as np
import pytest

from eventsnn.errors import RunError, ScenarioError
from eventsnn.files.raster_h5 import read_rasters
from eventsnn.scenario.dry_run import dry_run
from eventsnn.scenario.load import load
from eventsnn.scenario.results import read_json
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import ROOT, make_tiny

QUICKSTART = ROOT / "scenarios" / "quickstart.yml"


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick") / "run"
    return run_scenario(load(QUICKSTART, smoke=True), folder)


def test_the_quick_start_classifies_digits_by_events(quick):
    metrics = quick.metrics
    assert metrics["samples"] == 50 and metrics["agreement"] == 1.0 and metrics["accuracy"] >= 0.94
    assert metrics["engine"] == "event" and all(metrics["queue"][key] > 0 for key in ("pushes", "pops"))
    assert 0 < metrics["spikes_per_neuron"]["total"] < 0.5
    assert set(metrics["spikes_per_neuron"]["per_population"]) == {"hidden1"}
    assert {"synaptic_events", "neuron_updates", "latency", "source_accuracy"} <= metrics.keys()
    assert quick.content["published"]["agreement"]["value"] == 1.0
    assert quick.content["timing"]["compile_seconds"] >= 0
    origin = quick.content["provenance"]
    assert origin["scenario_sha256"] and origin["versions"]["numpy"] and "shipped:mnist_fc.h5" in origin["inputs"]


def test_a_run_folder_is_complete_and_has_nothing_half_written(quick):
    names = {path.name for path in quick.folder.iterdir()}
    assert {"result.json", "raster.h5", "raster.png", "report.html", "samples.npz", "run.json", "stages"} <= names
    assert not [name for name in names if name.endswith(".part")]
    assert read_json(quick.folder / "result.json") == json.loads(json.dumps(quick.content))


def test_the_counts_are_those_of_the_raster(quick):
    rasters, meta = read_rasters(quick.folder / "raster.h5")
    assert len(rasters["hidden1"]) == quick.metrics["spikes"]["total"]
    assert len(rasters["input"]) == quick.metrics["spikes"]["inputs"]["input"]
    assert meta["raster_sha256"] == quick.metrics["raster_sha256"]
    samples = np.load(quick.folder / "samples.npz")
    assert np.mean(samples["prediction"] == samples["label"]) == quick.metrics["accuracy"]
    assert np.array_equal(samples["readout"].argmax(1), samples["prediction"])


def test_the_scenario_stored_in_a_raster_gives_the_same_bytes(quick, tmp_path):
    again = run_scenario(load(quick.folder / "raster.h5"), tmp_path / "again")
    assert (again.folder / "raster.h5").read_bytes() == (quick.folder / "raster.h5").read_bytes()
    assert again.metrics == quick.metrics
    assert load(quick.folder).sha256 == load(again.folder).sha256


def test_a_finished_result_is_reused_and_never_touched(quick, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in quick.folder.iterdir() if path.is_file() and path.name != ".lock"}
    assert run_scenario(load(QUICKSTART, smoke=True), quick.folder).reused
    with pytest.raises(RunError, match="another experiment"):
        run_scenario(load(QUICKSTART, ["seed=3"], smoke=True), quick.folder)
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("change", ["run.threads=2", "run.schedule=interleaved", "run.engine=stepped", "run.batch=7"])
def test_threads_schedule_engine_and_batch_change_no_spike(quick, tmp_path, change):
    other = run_scenario(load(QUICKSTART, [change], smoke=True), tmp_path / "other")
    assert other.metrics["raster_sha256"] == quick.metrics["raster_sha256"]
    assert other.metrics["accuracy"] == quick.metrics["accuracy"]


def test_errors_of_a_run_leave_no_final_name(tmp_path):
    path = make_tiny(tmp_path)
    (tmp_path / "tiny_net.npz").write_bytes(b"not weights")
    with pytest.raises(ScenarioError, match=r"tiny_net\.npz"):
        run_scenario(load(path), tmp_path / "out")
    assert read_json(tmp_path / "out" / "run.json")["status"] == "failed"
    assert not list((tmp_path / "out").glob("r[ae]*[!n]"))
    make_tiny(tmp_path)
    assert not run_scenario(load(path), tmp_path / "out").reused  # a failed run may simply be run again


@pytest.mark.parametrize(
    ("override", "kind", "message"),
    [
        ("data.file=none.npz", ScenarioError, "tiny.yml:4: data: .*none.npz: no such file"),
        ("data.limit=99", ScenarioError, "has 24 samples"),
        ("network.source.file=net.pt", ScenarioError, "net.pt"),
        ("run.record=[hiden1]", ScenarioError, "run.record.0: no such population.*did you mean 'hidden1'"),
        ("readout={kind: count, population: outputs}", ScenarioError, "readout: .*outputs"),
        ("convert.zeta=-2", None, "zeta must be > -1"),
        ("encode={foo: {code: ttfs}}", ScenarioError, "encode.foo: unknown input, allowed input"),
        ("data.file=labels.npz", ScenarioError, "data: .*has the label 9, but 'output' decides between 3 classes"),
        ("data.file=wide.npz", ScenarioError, "encode: input input: has 16 channels, the given one has 9"),
        ("encode.q=0.5", ScenarioError, "at most"),
    ],
)
def test_what_a_dry_run_or_a_run_refuses(tmp_path, override, kind, message):
    from eventsnn.errors import EventsnnError

    (tmp_path / "net.pt").write_bytes(b"x")
    np.savez(tmp_path / "labels.npz", x=np.zeros((2, 16)), y=np.array([0, 9]))
    np.savez(tmp_path / "wide.npz", x=np.zeros((2, 9)), y=np.array([0, 1]))
    loaded = load(make_tiny(tmp_path), [override])
    with pytest.raises(kind or EventsnnError, match=message):
        dry_run(loaded)
        run_scenario(loaded, tmp_path / "out")
    assert not (tmp_path / "out" / "result.json").exists()


def test_an_interrupted_run_wants_resume(tmp_path):
    path = make_tiny(tmp_path)

    def stop(stage, done, total):
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scenario(load(path), tmp_path / "out", progress=stop)
    assert (tmp_path / "out" / "raster.h5.part").exists() and not (tmp_path / "out" / "raster.h5").exists()
    with pytest.raises(RunError, match="--resume"):
        run_scenario(load(path), tmp_path / "out")
    with pytest.raises(RunError, match="unfinished run of another"):
        run_scenario(load(path, ["seed=9"]), tmp_path / "out", resume=True)
    resumed = run_scenario(load(path), tmp_path / "out", resume=True)
    straight = run_scenario(load(path), tmp_path / "straight")
    assert resumed.metrics == straight.metrics
    assert (resumed.folder / "raster.h5").read_bytes() == (straight.folder / "raster.h5").read_bytes()


def test_slices_of_other_inputs_are_not_used(tmp_path):
    path = make_tiny(tmp_path)

    def stop(stage, done, total):
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scenario(load(path), tmp_path / "out", progress=stop)
    arrays = dict(np.load(tmp_path / "tiny.npz"))
    np.savez(tmp_path / "tiny.npz", x=255 - arrays["x"], y=arrays["y"])  # same scenario, other data
    resumed = run_scenario(load(path), tmp_path / "out", resume=True)
    straight = run_scenario(load(path), tmp_path / "straight")
    assert (resumed.folder / "raster.h5").read_bytes() == (straight.folder / "raster.h5").read_bytes()


def test_two_processes_cannot_share_a_folder(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "out").mkdir()
    with open(tmp_path / "out" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process"):
            run_scenario(load(make_tiny(tmp_path)), tmp_path / "out")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match="could not be written"):
        run_scenario(load(make_tiny(tmp_path)), tmp_path / "file" / "out")


def test_a_full_disk_is_one_message_and_the_run_goes_on_later(tmp_path, monkeypatch):
    loaded, real = load(make_tiny(tmp_path)), np.savez

    def full(file, **arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(RunError, match="disk is full"):
        run_scenario(loaded, tmp_path / "out")
    assert not (tmp_path / "out" / "result.json").exists() and not (tmp_path / "out" / "raster.h5").exists()
    monkeypatch.setattr(np, "savez", real)
    assert run_scenario(loaded, tmp_path / "out").metrics["samples"] == 24


def test_silent_and_saturated_populations_are_named(tmp_path):
    path = make_tiny(tmp_path)
    high = run_scenario(load(path, ["convert.rule=fixed", "convert.windows=0.01"]), tmp_path / "high")
    assert any("population 'hidden1' is saturated" in line for line in high.content["warnings"])
    arrays = dict(np.load(tmp_path / "tiny.npz"))
    np.savez(tmp_path / "dark.npz", x=0 * arrays["x"], y=arrays["y"])
    dark = run_scenario(load(path, ["data.file=dark.npz"]), tmp_path / "dark")
    assert {"population 'hidden1' is silent: none of its 12 neurons spiked in any sample",
            "input 'input' is silent: nothing entered the network"} <= set(dark.content["warnings"])  # fmt: skip


def test_synaptic_events_are_those_counted_by_hand(quick):
    from eventsnn.analysis.operations import synaptic_events
    from eventsnn.scenario.network.file import load_network

    (kept,) = quick.folder.glob("stages/convert-*/network.npz")
    rasters, _ = read_rasters(quick.folder / "raster.h5")
    assert synaptic_events(load_network(kept), rasters)["total"] == quick.metrics["synaptic_events"]
