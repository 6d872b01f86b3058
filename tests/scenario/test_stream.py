"""Runs on the continuous clock: one long sample on its way to the disk, statistics and pictures from the file, batches."""

import numpy as np
import pytest

from eventsnn import run
from eventsnn.analysis.trains import of_raster
from eventsnn.engines import continuous
from eventsnn.files.raster_h5 import RasterWriter, read_rasters, write_rasters
from eventsnn.files.raster_h5_blocks import read_blocks, read_heads, read_meta
from eventsnn.raster import SpikeRaster
from eventsnn.scenario.dry_run import dry_run
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario
from eventsnn.scenario.simulate import stream
from tests.scenario.helpers import ROOT, make_tiny, resolved
from tests.scenario.test_continuous import TEXT


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run_scenario(resolved(TEXT), tmp_path_factory.mktemp("c") / "run")


def test_a_streamed_run_is_the_run_in_memory(finished, tmp_path, monkeypatch):
    job = dry_run(resolved(TEXT))
    network, maker = job.results["network"], job.results["encode"]
    result = run(network, maker.batch(0, 1), duration=200.0, seed=4)
    kept = read_rasters(finished.folder / "raster.h5")[0]
    assert kept == result.rasters and kept["b"].n_spikes > 10
    assert finished.metrics["spikes"]["inputs"] == {"noise": result.rasters["noise"].n_spikes}
    monkeypatch.setattr(continuous, "SLAB", 50)
    small = run_scenario(resolved(TEXT), tmp_path / "small")
    assert (small.folder / "raster.h5").read_bytes() == (finished.folder / "raster.h5").read_bytes()
    assert small.metrics == finished.metrics


def test_one_rate_for_each_neuron_and_given_rasters(tmp_path):
    rates = [0.0] * 39 + [2000.0]
    result = run_scenario(resolved(TEXT, [f"encode.rate={rates}"]), tmp_path / "run")
    assert set(read_rasters(result.folder / "raster.h5")[0]["noise"].ids) == {39}
    given = resolved(TEXT, ["encode={code: raster, times: [0, 0.123 ms, 0.123 ms], neurons: [3, 3, 4]}"])
    result = run_scenario(given, tmp_path / "given")
    raster = read_rasters(result.folder / "raster.h5")[0]["noise"]
    assert raster.times.tolist() == [0, 0.123, 0.123] and result.metrics["spikes"]["inputs"] == {"noise": 3}


def test_statistics_come_from_the_file(finished):
    kept = read_rasters(finished.folder / "raster.h5")[0]
    assert finished.metrics["spike_trains"] == {name: of_raster(kept[name]) for name in ("a", "b")}
    text = (finished.folder / "report.html").read_text("utf-8")
    assert "Spike trains" in text and "CV of ISI" in text and "cuba_lif" in text


def test_the_picture_shows_some_neurons_and_the_rate(finished, tmp_path):
    from eventsnn.plot.activity import draw_activity, read_shown

    shown = read_shown(finished.folder / "raster.h5", ["a", "b"])
    kept = read_rasters(finished.folder / "raster.h5")[0]
    for name, part in shown.items():
        assert np.array_equal(np.concatenate(part.times), kept[name].times)  # few neurons: all are shown
        assert part.rate_hz.mean() == pytest.approx(kept[name].n_spikes / kept[name].size / 0.2)
    figure = draw_activity(finished.folder / "raster.h5", tmp_path / "p.png", ["a", "b"], "t")
    assert len(figure.axes) == 2 and (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_a_killed_sample_begins_anew(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(continuous, "SLAB", 50)
    calls, take = [], stream.SlabWriter.__call__

    def stop_at_the_fifth(self, *part):
        calls.append(part)
        if len(calls) == 5:
            raise KeyboardInterrupt
        take(self, *part)

    monkeypatch.setattr(stream.SlabWriter, "__call__", stop_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        run_scenario(resolved(TEXT), tmp_path / "run")
    assert (tmp_path / "run" / "raster.h5.part").exists() and not (tmp_path / "run" / "raster.h5").exists()
    again = run_scenario(resolved(TEXT), tmp_path / "run", resume=True)
    assert (again.folder / "raster.h5").read_bytes() == (finished.folder / "raster.h5").read_bytes()
    assert again.metrics == finished.metrics


def test_a_run_killed_after_its_last_spike_only_closes_its_file(finished, tmp_path, monkeypatch):
    close = RasterWriter.close

    def killed(self):
        self.abort()
        raise KeyboardInterrupt

    monkeypatch.setattr(RasterWriter, "close", killed)
    with pytest.raises(KeyboardInterrupt):
        run_scenario(resolved(TEXT), tmp_path / "run")
    monkeypatch.setattr(RasterWriter, "close", close)
    monkeypatch.setattr(stream, "_run", None)  # nothing runs again
    again = run_scenario(resolved(TEXT), tmp_path / "run", resume=True)
    assert (again.folder / "raster.h5").read_bytes() == (finished.folder / "raster.h5").read_bytes()
    assert again.metrics == finished.metrics


def test_several_samples_run_in_batches(tmp_path):
    make_tiny(tmp_path)
    text = """
format: 1
title: batches
data: {file: tiny.npz}
network:
  inputs: {image: {shape: [4, 4, 1]}}
  populations: {out: {shape: [3], model: lif_continuous}}
  projections:
    in_out: {source: image, target: out, delay: 0.5, synapses: {kind: dense, weights: {init: uniform, low: 0, high: 1}}}
encode: {code: ttfs}
run: {duration: 5 ms, batch: 7}
readout: {kind: count}
"""
    result = run_scenario(resolved(text, folder=tmp_path), tmp_path / "run")
    job = dry_run(resolved(text, folder=tmp_path))
    whole = run(job.results["network"], job.results["encode"].batch(0, 24), duration=5.0)
    assert read_rasters(result.folder / "raster.h5")[0] == whole.rasters and whole.rasters["out"].n_spikes > 10
    assert "accuracy" in result.metrics and "spike_trains" not in result.metrics


def test_no_inputs_at_all(tmp_path):
    text = """
format: 1
title: alone
network:
  inputs: {}
  populations: {a: {shape: [2], model: lif_continuous, parameters: {v_rest: 2, refractory: 3}}}
run: {duration: 100 ms}
"""
    result = run_scenario(resolved(text), tmp_path / "run")
    trains = result.metrics["spike_trains"]["a"]
    assert trains["isi_mean_ms"] == pytest.approx(3 + 20 * np.log(2), rel=1e-12)
    assert trains["isi_cv"] == pytest.approx(0, abs=1e-9)


def test_statistics_of_a_grid_run_without_labels(tmp_path):
    result = run_scenario(load(ROOT / "scenarios" / "recurrent" / "grid_ring.yml", smoke=True), tmp_path / "run")
    assert result.metrics["spike_trains"] == {"ring": of_raster(read_rasters(result.folder / "raster.h5")[0]["ring"])}


@pytest.mark.parametrize("grid", [False, True])
def test_blocks_of_a_file(grid, tmp_path):
    rng = np.random.default_rng(2)
    times, samples = rng.integers(0, 50, 300), np.repeat([0, 2, 3], 100)
    if grid:
        cells = np.unique(np.stack([samples, times, rng.integers(0, 9, 300)]), axis=1)
        raster = SpikeRaster.from_events(cells[1], cells[2], samples=cells[0], size=9, duration=50, dt_ms=0.5, n_samples=5)
    else:
        raster = SpikeRaster.from_events(times + rng.random(300) / 3, rng.integers(0, 9, 300), samples=samples, size=9,
                                         duration=51.0, n_samples=5)  # fmt: skip
    write_rasters(tmp_path / "r.h5", {"p": raster}, {"seed": 3})
    head, n_samples, spikes = read_heads(tmp_path / "r.h5")["p"]
    assert (head.size, n_samples, spikes) == (9, 5, raster.n_spikes) and read_meta(tmp_path / "r.h5")["seed"] == 3
    blocks = list(read_blocks(tmp_path / "r.h5", "p", 17))
    assert max(ids.size for *_, ids in blocks) == 17
    for k in range(5):
        one = raster.sample(k)
        for column, wanted in ((1, one.times_ms), (2, one.ids)):
            assert np.array_equal(np.concatenate([np.zeros(0), *(b[column] for b in blocks if b[0] == k)]), wanted)


def test_the_rate_of_the_brunel_network_follows_its_parameter(tmp_path):
    path, rates = ROOT / "scenarios" / "recurrent" / "brunel_delta.yml", []
    for hertz in (550, 800, 1000):
        result = run_scenario(load(path, [f"encode.rate={hertz}", "run.duration=300 ms"]), tmp_path / str(hertz))
        rates.append(result.metrics["spike_trains"]["exc"]["rate_hz"])
    assert 0.1 < rates[0] < 0.4 and 7 < rates[1] < 12 and 17 < rates[2] < 24
