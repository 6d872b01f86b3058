"""Scenarios that look at runs over time: curves, early exits, histograms, tables; the same in any batch and after a kill."""

import csv
import json

import numpy as np
import pytest

from eventsnn.analysis.histograms import of_raster
from eventsnn.errors import ScenarioError
from eventsnn.files.raster_h5 import read_rasters
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import make_tiny, resolved

RATES = ["convert.to=coding", "convert.hidden=rate", "convert.neurons.v_init=0.5", "encode.code=constant", "run.duration=20 ms",
         "run.every=3 ms"]  # fmt: skip
MARGIN = ["run.exit.rule=margin", "run.exit.tolerance=0.2", "run.exit.calibration.data.file=tiny.npz",
          "run.exit.calibration.data.limit=12", "data.start=12"]  # fmt: skip
MEASURED = ["measure.target=0.4", "measure.histograms=true", "measure.phases=4", "measure.words=[2, 3]", "measure.first_spikes=5",
            "measure.layers=true", "measure.traces.hidden1=[0, 3]"]  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny scenario's folder."""
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def rates(tiny):
    """A run by rates with everything measured."""
    return run_scenario(load(tiny, [*RATES, *MEASURED, "measure.conversion=10"]), tiny.parent / "rates")


@pytest.fixture(scope="module")
def exits(tiny):
    """A run with calibrated early exits."""
    return run_scenario(load(tiny, [*RATES, *MARGIN]), tiny.parent / "exits")


def test_the_curve_ends_where_the_run_does(rates):
    curve, metrics = rates.metrics["over_time"], rates.metrics
    assert curve["times_ms"] == [3, 6, 9, 12, 15, 18, 20]
    assert curve["accuracy"][-1] == metrics["accuracy"] and curve["agreement"][-1] == metrics["agreement"]
    assert curve["spikes"][-1] == metrics["spikes"]["total"] / 24 == curve["amplitudes"][-1]
    assert curve["synaptic_events"][-1] == metrics["synaptic_events_per_sample"]
    assert curve["spikes_per_population"] == {"hidden1": curve["spikes"]} and np.all(np.diff(curve["spikes"]) >= 0)
    assert metrics["residual_membrane"].keys() == {"hidden1", "output"} and min(metrics["residual_membrane"].values()) > 0
    when = metrics["latency_to_accuracy"]
    first = [t for t, a in zip(curve["times_ms"], curve["accuracy"]) if a >= 0.4]
    assert when["reached_ms"] == (first[0] if first else None) and when["target"] == 0.4


def test_spikes_by_hand(rates):
    rasters, _ = read_rasters(rates.folder / "raster.h5")
    raster, found = rasters["hidden1"], rates.metrics["histograms"]
    assert found == {"hidden1": of_raster(raster, phases=4, words=(2, 3))}
    for k, t in enumerate(rates.metrics["over_time"]["times_ms"]):
        assert rates.metrics["over_time"]["spikes"][k] == np.count_nonzero(raster.times < t) / 24


def table(path):
    """Rows of a CSV file."""
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def test_tables_and_pictures(rates):
    rows = table(rates.folder / "over_time.csv")
    curve = rates.metrics["over_time"]
    assert [int(r["step"]) for r in rows] == curve["times_ms"] and [float(r["accuracy"]) for r in rows] == curve["accuracy"]
    assert [float(r["spikes_hidden1"]) for r in rows] == curve["spikes"]
    first = read_rasters(rates.folder / "raster.h5")[0]["hidden1"].first_times()[:5]
    rows = table(rates.folder / "first_spikes-hidden1.csv")
    assert {(int(r["sample"]), int(r["neuron"])): float(r["time_ms"]) for r in rows} == {
        (k, i): t for (k, i), t in np.ndenumerate(first) if np.isfinite(t)}  # fmt: skip
    for name in ("over_time", "histograms", "layers", "traces"):
        assert (rates.folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (rates.folder / "report.html").read_text("utf-8")
    for title in ("Over time", "Histograms", "Layers", "States", "What the conversion lost"):
        assert f"<h2>{title}</h2>" in page
    assert page.count("data:image/png") >= 5


def test_traces_show_the_first_sample(rates):
    seen = np.load(rates.folder / "traces.npz")
    raster = read_rasters(rates.folder / "raster.h5")[0]["hidden1"].sample(0)
    assert seen["hidden1/neurons"].tolist() == [0, 3] and seen["hidden1/v"].shape == (20, 2) and seen["times_ms"][-1] == 20
    for column, neuron in enumerate((0, 3)):
        counts = [np.count_nonzero(raster.times[raster.ids == neuron] <= t) for t in range(20)]
        assert seen["hidden1/count"][:, column].tolist() == counts


def test_the_conversion_is_compared_layer_by_layer(rates):
    found = rates.metrics["conversion_loss"]
    assert found["samples"] == 10 and [row["layer"] for row in found["layers"]] == ["hidden1"]
    row = found["layers"][0]
    assert len(row["error_over_time"]) == len(found["times_ms"]) == 7 and row["error_over_time"][-1] == row["error"] < 0.1


def test_exits_are_compared_with_whole_runs(exits, tiny):
    whole = run_scenario(load(tiny, [*RATES, "data.start=12"]), tiny.parent / "whole")
    found, kept = exits.metrics["early_exit"], np.load(exits.folder / "samples.npz")
    assert exits.metrics["over_time"] == whole.metrics["over_time"]
    assert exits.metrics["residual_membrane"] == whole.metrics["residual_membrane"]
    changed = np.mean(kept["prediction"] != np.load(whole.folder / "samples.npz")["prediction"])
    assert (found["samples"], found["changed"], found["accuracy_whole"]) == (12, changed, whole.metrics["accuracy"])
    assert found["accuracy"] == exits.metrics["accuracy"] and found["rule"] == "margin" and found["margin"] >= 0
    assert found["mean_ms"] == kept["latency_ms"].mean() < 20 and found["changed_at_most"] > changed
    assert found["spikes_saved"] == 1 - exits.metrics["spikes"]["total"] / whole.metrics["spikes"]["total"] > 0
    events = exits.metrics["synaptic_events"] / whole.metrics["synaptic_events"]
    assert found["synaptic_events_saved"] == pytest.approx(1 - events) and exits.content["timing"]["whole_runs_seconds"] > 0
    assert "<h2>Early exit</h2>" in (exits.folder / "report.html").read_text("utf-8")


def test_the_batch_does_not_matter(exits, tiny):
    other = run_scenario(load(tiny, [*RATES, *MARGIN, "run.batch=5", "run.threads=2"]), tiny.parent / "five")
    assert other.metrics == exits.metrics
    assert (other.folder / "over_time.csv").read_bytes() == (exits.folder / "over_time.csv").read_bytes()


def test_a_resumed_run_is_the_same(exits, tiny, monkeypatch):
    from eventsnn.scenario.simulate import simulate

    loaded, folder, real, calls = load(tiny, [*RATES, *MARGIN]), tiny.parent / "resumed", simulate.write_slice, []

    def once(*arguments):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        real(*arguments)

    monkeypatch.setattr(simulate, "write_slice", once)
    with pytest.raises(KeyboardInterrupt):
        run_scenario(loaded, folder)
    monkeypatch.setattr(simulate, "write_slice", real)
    assert len(list(folder.glob("stages/run-*/slice-*.npz"))) == 1 and list(folder.glob("stages/run-*/exit.json"))
    assert run_scenario(loaded, folder, resume=True).metrics == exits.metrics
    for name in ("raster.h5", "over_time.csv", "over_time.png", "samples.npz"):
        assert (folder / name).read_bytes() == (exits.folder / name).read_bytes(), name


def test_exits_alone_freeze_the_curve(tiny):
    found = run_scenario(load(tiny, [*RATES, *MARGIN, "run.exit.compare=false"]), tiny.parent / "alone").metrics
    assert "changed" not in found["early_exit"] and found["early_exit"]["time_saved"] > 0
    assert found["over_time"]["accuracy"][-1] == found["accuracy"]
    assert found["over_time"]["spikes"][-1] == found["spikes"]["total"] / found["samples"]


def test_a_proven_exit_changes_nothing(tiny):
    proven = [*RATES, "run.exit.rule=proven", "run.exit.compare=true"]
    found = run_scenario(load(tiny, proven), tiny.parent / "proven").metrics
    assert found["early_exit"]["changed"] == 0 and "margin" not in found["early_exit"]


def test_gated_networks_have_one_point(tiny):
    wanted = ["run.every=1 ms", "measure.histograms=true", "measure.conversion=4"]
    found = run_scenario(load(tiny, wanted), tiny.parent / "ramps")
    curve = found.metrics["over_time"]
    assert len(curve["times_ms"]) == 1 and curve["accuracy"] == [found.metrics["accuracy"]]
    row, window = found.metrics["histograms"]["hidden1"], found.content["conversion"]["layers"][0]
    assert row["window_ms"] == [window["t_open"], window["t_close"]]
    assert found.metrics["conversion_loss"]["layers"][0]["error"] < 1e-6 and json.dumps(found.metrics)


WRONG = [
    (["run.exit.rule=proven"], r"run\.every: required with run\.exit"),
    ([*RATES, *MARGIN, "measure.conversion=3"], r"measure\.conversion: reads whole runs"),
    (["measure.target=0.5"], r"measure\.target: needs recording points"),
    (["measure.words=[2]"], r"measure\.histograms: phases and words"),
    (["measure.words=[17]", "measure.histograms=true"], r"measure\.words"),
    ([*RATES, "run.every=0.4 ms"], r"run\.every: must be whole steps"),
    ([*RATES, "measure.traces.hiden1=[0]"], r"measure\.traces\.hiden1: no such population.*did you mean"),
    ([*RATES, "measure.traces.hidden1=[12]"], r"measure\.traces\.hidden1: .*0 to 11"),
    (["convert.model=ungated", "measure.traces.hidden1=[0]"], r"measure\.traces: needs a network on the grid clock"),
    (["measure={histograms: true, phases: 8}"], r"measure\.phases: counts steps"),
    (["measure.traces.hidden1=[12]"], r"measure\.traces\.hidden1: .*0 to 11"),
    ([*RATES, "run.exit.rule=margin", "run.exit.calibration.data.file=tiny.npz", "readout.kind=first_spike",
      "readout.population=hidden1"], r"run\.exit: .*membranes or counts"),
    ([*RATES, "run.exit.rule=proven", "readout.kind=membrane", "readout.population=hidden1"],
     r"run\.exit: .*accumulator with leak 1"),
]  # fmt: skip


@pytest.mark.parametrize("overrides, says", WRONG, ids=range(len(WRONG)))
def test_mistakes_say_where(tiny, tmp_path, overrides, says):
    with pytest.raises(ScenarioError, match=says):
        run_scenario(load(tiny, overrides), tmp_path / "out")


def test_points_need_a_clock_that_has_them(tmp_path):
    loaded = resolved("""
format: 1
title: any time
network:
  inputs: {in: {shape: [1]}}
  populations: {p: {shape: [1], model: lif_continuous}}
  projections: {a: {source: in, target: p, synapses: {kind: dense, weights: {init: constant, value: 1.0}}, delay: 1 ms}}
encode: {code: raster, times: [1 ms], neurons: [0]}
run: {duration: 5 ms, every: 1 ms}
""")
    with pytest.raises(ScenarioError, match=r"run\.every: needs network\.dt"):
        run_scenario(loaded, tmp_path / "out")
