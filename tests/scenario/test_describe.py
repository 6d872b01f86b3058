"""What is said about files and runs: one true sentence, whatever the file is."""

import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from eventsnn import SpikeRaster
from eventsnn.errors import DataError
from eventsnn.files.raster_h5 import read_rasters, write_rasters
from eventsnn.plot.curves import draw_over_time
from eventsnn.scenario.describe import describe
from eventsnn.scenario.progress import summary
from eventsnn.scenario.run import STATE, run_scenario
from eventsnn.scenario.text.find import find
from tests.scenario.helpers import ROOT, resolved


@pytest.mark.parametrize("name", ["net.pt", "net.json", "net.safetensors"])
def test_a_file_that_is_no_network_has_one_mistake(tmp_path, name):
    (tmp_path / name).write_bytes(b"no network")
    with pytest.raises(DataError) as caught:
        describe(str(tmp_path / name))
    assert len(str(caught.value).splitlines()) == 1


def test_a_run_that_did_not_end_may_have_been_killed(tmp_path):
    (tmp_path / STATE).write_text(json.dumps({"status": "running", "scenario_file": "s.yml", "error": None}))
    assert "not finished (running now, or killed: --resume goes on), scenario s.yml" in describe(str(tmp_path))


def test_a_scenario_inside_the_package_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, _, folder = find("shipped:quickstart.yml")
    for name in ("quickstart", "quickstart.yml", "scenarios/quickstart.yml"):
        assert find(name) == (text, name, folder)
    (tmp_path / "quickstart.yml").write_text("title: mine")
    assert find("quickstart.yml")[0] == "title: mine"


def test_the_network_written_out_in_the_docs_runs(tmp_path):
    text = (ROOT / "docs" / "scenarios.md").read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    assert run_scenario(resolved(text), tmp_path / "run").metrics["spikes"]


def test_samples_lie_end_to_end_in_the_file_and_apart_when_read(tmp_path):
    raster = SpikeRaster([1, 3, 0, 2], [0, 1, 1, 0], size=2, duration=4, dt_ms=0.5, offsets=[0, 2, 4])
    write_rasters(tmp_path / "raster.h5", {"p": raster})
    with h5py.File(tmp_path / "raster.h5") as file:
        assert file["spikes/p/timestamps"][:].tolist() == [0.5, 1.5, 2.0, 3.0]
        assert file["spikes/p/node_ids"][:].tolist() == [0, 1, 1, 0]
        assert file["eventsnn/p/sample_offsets"][:].tolist() == [0, 2, 4]
    assert read_rasters(tmp_path / "raster.h5")[0]["p"].sample(1).times_ms.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("last, scale", [(40.0, "linear"), (99.0, "linear"), (100.0, "log"), (500.0, "log")])
def test_the_axis_of_time_is_linear_below_two_decades(tmp_path, last, scale):
    times = np.linspace(1.0, last, 9).tolist()
    curve = {"times_ms": times, "spikes": times, "accuracy": [0.5] * 9, "spikes_per_population": {"p": times}}
    figure = draw_over_time({"over_time": curve}, tmp_path / "x.png")
    assert [axes.get_xscale() for axes in figure.axes[:2]] == [scale, scale]


@pytest.mark.parametrize("early, says", [
    ({"time_saved": 0.9822, "changed": 0.0024}, "98.2 % of the time saved, 0.24 % of the classes changed"),
    ({"time_saved": 0.03}, "3.0 % of the time saved"),
])  # fmt: skip
def test_the_summary_says_what_an_early_exit_saved_and_changed(tmp_path, early, says):
    content = {"title": "t", "published": {}, "timing": {"seconds": 1.0}, "warnings": []}
    text = summary(SimpleNamespace(metrics={"early_exit": early}, content=content, reused=False, folder=tmp_path))
    assert any(line.split("early exit")[-1].strip() == says for line in text.splitlines())
