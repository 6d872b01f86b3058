"""The stage `learn`: published names, mistakes, an interrupted run, what a run leaves."""

import numpy as np
import pytest

from eventsnn.errors import ScenarioError
from eventsnn.files.raster_h5 import read_rasters
from eventsnn.scenario.learn.patterns import settings_of
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import ROOT, resolved

SMALL = """
format: 1
title: small
learn: {rule: van_rossum, inputs: 40, hidden: 20, outputs: 15, steps: 30, presentations: 12, checkpoint: 4}
run: {}
"""


def test_published_names_say_the_same():
    folder = ROOT / "scenarios" / "patterns"
    ours, theirs = load(folder / "van_rossum.yml"), load(folder / "bits_2_8_8_8.yml")
    assert ours.spec.learn == theirs.spec.learn and settings_of(ours) == settings_of(theirs)
    text = SMALL.replace("steps: 30", "nb_steps: 30, tau_syn: 0.004, time_step: 0.002, kappa: alpha, global_eb: 33, tau_vr: 1")
    spec = resolved(text.replace("title: small", "title: small").replace("tau_vr: 1", "tau_vr: 1.0")).spec.learn
    assert (spec.steps, spec.tau, spec.dt, spec.eb) == (30, 4.0, 2.0, 33)
    settings = settings_of(resolved(SMALL.replace("steps: 30", "steps: 30, eb: ab, ab: 6, kappa: 0.5")))
    assert (settings.eb, settings.ab, settings.kappa) == (6, 6, 0.5)
    assert settings_of(resolved(SMALL.replace("steps: 30", "steps: 30, eb: null"))).eb is None


@pytest.mark.parametrize("change, says", [
    (("inputs: 40", "inputs: 40, global_wb: 1"), "learn.global_wb: must be >= 2, got 1"),
    (("inputs: 40", "inputs: 40, wb: 3, global_wb: 3"), "global_wb and wb say the same, keep one"),
    (("inputs: 40", "inputs: 40, tau: 5 ms, tau_syn: 0.005"), "keep one of them"),
    (("inputs: 40", "inputs: 40, kapa: 1"), "did you mean 'kappa'"),
    (("rule: van_rossum", "rule: van_rosum"), "van_rossum"),
    (("run: {}", "run: {}\nencode: {code: ttfs}"), "encode: learning rule 'van_rossum' brings its own input"),
    (("run: {}", "run: {duration: 3}"), "run.duration: the taught pattern says how long"),
    (("run: {}", ""), "run: required"),
    (("run: {}", "run: {}\ntrain: {data: {name: digits}}"), "train: learn: makes the spiking network itself"),
])  # fmt: skip
def test_mistakes_are_named(change, says):
    with pytest.raises(ScenarioError) as found:
        resolved(SMALL.replace(*change))
    assert says in str(found.value), str(found.value)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path):
    loaded = resolved(SMALL)
    whole = run_scenario(loaded, tmp_path / "whole")

    def stop(stage, done, total):
        if stage == "run":
            raise KeyboardInterrupt

    longer = resolved(SMALL.replace("12", "8"))
    with pytest.raises(KeyboardInterrupt):
        run_scenario(longer, tmp_path / "cut", progress=stop)
    early = next((tmp_path / "cut" / "stages").glob("learn-*")) / "checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        run_scenario(loaded, tmp_path / "again", progress=stop)
    late = next((tmp_path / "again" / "stages").glob("learn-*")) / "checkpoint.npz"
    late.write_bytes(early.read_bytes())  # as if the run had been killed after 8 presentations
    again = run_scenario(loaded, tmp_path / "again", resume=True)
    assert again.metrics == whole.metrics
    assert read_rasters(tmp_path / "again" / "raster.h5")[0] == read_rasters(tmp_path / "whole" / "raster.h5")[0]


def test_what_a_run_leaves_and_a_raster_as_target(tmp_path):
    first = run_scenario(resolved(SMALL), tmp_path / "first")
    found, kept = first.metrics["learning"], np.load(tmp_path / "first" / "learned.npz")
    assert kept["loss"].size == 12 and found["last"] == kept["loss"][-1] == first.metrics["pattern_loss"]
    assert kept["output"].sum() == found["spikes"]["output"] == first.metrics["spikes"]["per_population"]["output"]
    assert found["reachable"] < found["silent"] and len(found["density"]) == 2
    page = (tmp_path / "first" / "report.html").read_text("utf-8")
    assert "best reachable" in page and "Memory layouts" in page and (tmp_path / "first" / "patterns.png").stat().st_size > 5000
    text = SMALL.replace("steps: 30", "steps: 30, target: first/raster.h5").replace("target: first/raster.h5",
                         "target: {kind: raster, file: first/raster.h5, population: output}")  # fmt: skip
    second = run_scenario(resolved(text, folder=tmp_path), tmp_path / "second")
    assert second.metrics["learning"]["spikes"]["target"] == found["spikes"]["output"]
    with pytest.raises(Exception, match="must hold one sample of 14 neurons"):
        run_scenario(resolved(text.replace("outputs: 15", "outputs: 14"), folder=tmp_path), tmp_path / "third")
