"""Picture and report: what they show, and that the report needs nothing from outside."""

import re

import numpy as np
import pytest

from eventsnn.plot import runs as plot
from eventsnn.raster import SpikeRaster
from eventsnn.report import page as report
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import ROOT


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_scenario(load(ROOT / "scenarios" / "quickstart.yml", smoke=True), tmp_path_factory.mktemp("r") / "run")


def test_the_picture_holds_the_spikes_of_each_population_in_its_band(run, tmp_path):
    view = plot.View.of(run.folder)
    assert list(view.rasters) == ["input", "hidden1", "output"]
    figure = plot.draw_run(view, tmp_path / "p.png", rows=2, title="t")
    assert len(figure.axes) == 6  # image, spikes, readout; twice
    lines = [line for line in figure.axes[1].get_lines() if line.get_marker() == "|"]
    for line, raster in zip(lines, view.rasters.values()):
        assert np.array_equal(line.get_xdata(), raster.sample(0).times_ms)
        assert len(set(line.get_ydata())) == len(set(raster.sample(0).ids))
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_too_many_spikes_are_thinned_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(plot, "MOST_SPIKES", 100)
    raster = SpikeRaster.from_events(np.arange(250.0), np.arange(250) % 7, size=7, duration=250.0)
    figure = plot.draw_run(plot.View({"p": raster}), tmp_path / "p.png")
    assert "one spike in 3 shown" in figure.get_suptitle()
    assert len(figure.axes[0].get_lines()[0].get_xdata()) == 84


def test_silent_and_empty_rasters_are_drawn(tmp_path):
    silent = SpikeRaster(np.empty(0), np.empty(0, int), size=5, duration=10.0)
    plot.draw_run(plot.View({"silent": silent}), tmp_path / "a.png")
    plot.draw_run(plot.View({}), tmp_path / "b.png")


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_of_any_kind(channels):
    image = plot.to_image(np.random.default_rng(0).random((5, 6, channels)))
    assert image.shape == (5, 6, 3) and image.dtype == np.uint8


def test_the_report_is_one_small_file_that_says_it_all(run):
    text = (run.folder / "report.html").read_text("utf-8")
    assert len(text) < 1_000_000
    assert not re.search(r"(src|href)\s*=(?!\s*['\"]data:)", text) and "@import" not in text and "<script" not in text
    for wanted in ("Published and measured", "hidden1", "Confusion", "Provenance", "eventsnn run raster.h5"):
        assert wanted in text
    assert text.count("<figure>") == 20


def test_the_report_escapes_what_it_is_given(run):
    content = {**run.content, "title": "<script>alert(1)</script>", "warnings": ["<b>"]}
    text = report.write(content, plot.View.of(run.folder), run.folder / "raster.png")
    assert "<script>" not in text and "&lt;b&gt;" in text
