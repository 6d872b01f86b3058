"""Every scenario of the repository in its smoke form, all in one process."""

import pytest

from eventsnn.errors import ScenarioError
from eventsnn.files.datasets import available
from eventsnn.scenario.load import load
from eventsnn.scenario.network.clocks import runs_any_time
from eventsnn.scenario.rules.sections import data_specs, explicit
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import ROOT, SCENARIOS


def _require(loaded):
    """Skip where a data set or PyTorch is not here."""
    there = available()
    for _, spec in data_specs(loaded.spec):
        if spec.name is not None and not there[spec.name].get(spec.split):
            pytest.skip(f"no data set {spec.name}")
    learn = loaded.spec.learn
    convolutions = getattr(learn, "rule", None) == "ttfs" and getattr(learn.architecture, "kind", None) != "mlp"
    if loaded.spec.train is not None or convolutions or getattr(learn, "rule", None) in ("decolle", "stdb"):
        pytest.importorskip("torch")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: str(p.relative_to(ROOT / "scenarios").with_suffix("")))
def test_smoke(path, tmp_path):
    loaded = load(path, smoke=True)
    _require(loaded)
    result = run_scenario(loaded, tmp_path / "run")
    assert result.metrics
    if loaded.spec.run is None and loaded.spec.learn is not None:
        assert result.metrics["learning"]["test"]
        return
    if loaded.spec.run is None:
        assert result.metrics["source_accuracy"] > 0
        assert (result.folder / ("weights.h5" if loaded.spec.train else "statistics.csv")).exists()
        return
    assert result.metrics["spikes"]["total"] > 0 and (result.folder / "report.html").stat().st_size > 5000
    assert not [line for line in result.content["warnings"] if "silent" in line]
    ungated = getattr(loaded.spec.convert, "model", "gated") != "gated"
    if ungated or runs_any_time(explicit(loaded.spec)):  # one engine: the raster runs again from what it stores
        other = run_scenario(load(result.folder / "raster.h5"), tmp_path / "again")
    else:
        other = run_scenario(load(path, ["run.engine=stepped"], smoke=True), tmp_path / "stepped")
    assert other.metrics["raster_sha256"] == result.metrics["raster_sha256"]
    assert other.metrics["spikes"] == result.metrics["spikes"]


def test_the_ring_keeps_its_wave(tmp_path):
    result = run_scenario(load(ROOT / "scenarios" / "recurrent" / "grid_ring.yml"), tmp_path / "run")
    from eventsnn.files.raster_h5 import read_rasters

    ring = read_rasters(result.folder / "raster.h5")[0]["ring"]
    assert ring.times.max() > 990 and set(ring.ids) == set(range(100))


def test_a_missing_data_set_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENTSNN_DATA", str(tmp_path))
    with pytest.raises(ScenarioError, match="data get mnist"):
        run_scenario(load(ROOT / "scenarios" / "ttfs" / "mnist_fc_mapped.yml"), tmp_path / "run")
