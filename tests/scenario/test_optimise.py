"""The stage `optimise`: losses in result.json, kernel files, resuming, continuing; and scenarios of TTFS networks refused."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from eventsnn.ann.files import load_graph, save_graph
from eventsnn.errors import ScenarioError
from eventsnn.files.kernels import read_kernels
from eventsnn.scenario.load import load
from eventsnn.scenario.network import kernels
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import make_tiny

OPTIMISE = """
format: 1
title: tiny kernels
data: {file: tiny.npz}
network: {source: {file: tiny_net.npz}}
optimise: {data: {file: tiny.npz}, epochs: 3, batch: 8, save_every: 24, rho: [30, 300, 3]}
convert: {to: t2fsnn, tau: 5, t_fire_start: 10, t_fire_duration: 20, calibration: {data: {file: tiny.npz}}}
encode: {code: ttfs_kernel}
run: {batch: 12}
"""


@pytest.fixture
def scenario(tmp_path):
    """A tiny data set, network and scenario."""
    make_tiny(tmp_path)
    (tmp_path / "k.yml").write_text(OPTIMISE)
    return tmp_path / "k.yml"


def test_losses_files_and_kernels(scenario, tmp_path):
    result = run_scenario(load(scenario), tmp_path / "run")
    report = result.content["kernel_optimisation"]
    assert report["losses_after"]["total"] < report["losses_before"]["total"]
    assert (report["images"], report["batches"], report["file"]) == (72, 9, "tc-5_tw-20_itr-72_outlier")
    found = read_kernels(tmp_path / "run" / report["file"])
    assert {"tau": found.tau, "td": found.td} == report["kernels"]
    used = {row["layer"]: (row["tau"], row["td"]) for row in result.content["conversion"]["layers"] if row["tau"] is not None}
    assert used == {name: (found.tau[name], found.td[name]) for name in found.layers if name != "in"}
    assert result.content["conversion"]["input"]["tau"] == found.tau["in"] != 5
    saved = sorted(p.name for p in (tmp_path / "run" / "stages").glob("optimise-*/tc-*"))
    assert saved == [f"tc-5_tw-20_itr-{n}_outlier" for n in (24, 48, 72)]
    rows = list(csv.DictReader((tmp_path / "run" / "kernel_losses.csv").read_text().splitlines()))
    assert [int(row["images"]) for row in rows] == list(range(8, 73, 8))
    assert result.metrics["latency"]["max_ms"] == 30


def test_an_interrupted_optimisation_goes_on_where_it_stopped(scenario, tmp_path, monkeypatch):
    wanted = run_scenario(load(scenario), tmp_path / "whole").content["kernel_optimisation"]
    keep, count = kernels._keep, []

    def stop(*arguments):
        keep(*arguments)
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(kernels, "_keep", stop)
    with pytest.raises(KeyboardInterrupt):
        run_scenario(load(scenario), tmp_path / "run")
    found = run_scenario(load(scenario), tmp_path / "run", resume=True).content["kernel_optimisation"]
    assert len(count) == 9 and json.dumps(found) == json.dumps(wanted)


def test_kernels_go_on_from_a_file(scenario, tmp_path):
    first = run_scenario(load(scenario), tmp_path / "first")
    name = first.content["kernel_optimisation"]["file"]
    (tmp_path / "k0").write_bytes((tmp_path / "first" / name).read_bytes())
    changes = ["convert.kernels.file=k0", "optimise.images=72", "optimise.epochs=1"]
    more = run_scenario(load(scenario, changes), tmp_path / "more").content["kernel_optimisation"]
    assert more["file"] == "tc-5_tw-20_itr-96_outlier"
    assert more["losses_before"]["total"] == pytest.approx(first.content["kernel_optimisation"]["losses_after"]["total"])


def test_saved_files_count_earlier_images(scenario, tmp_path):
    """24 images in batches of 8 after 24: 40 is a multiple of the period."""
    first = run_scenario(load(scenario, ["optimise.epochs=1"]), tmp_path / "first")
    (tmp_path / "k0").write_bytes((tmp_path / "first" / first.content["kernel_optimisation"]["file"]).read_bytes())
    changes = ["convert.kernels.file=k0", "optimise.images=24", "optimise.epochs=1", "optimise.save_every=40"]
    run_scenario(load(scenario, changes), tmp_path / "more")
    saved = sorted(p.name for p in (tmp_path / "more" / "stages").glob("optimise-*/tc-*"))
    assert saved == [f"tc-5_tw-20_itr-{n}_outlier" for n in (40, 48)]


def test_kernels_of_training_are_where_the_optimisation_starts(scenario, tmp_path):
    graph = load_graph(tmp_path / "tiny_net.npz")
    names = ["in", *(layer.name for layer in graph.layers if hasattr(layer, "weights"))][:-1]
    trained = {"tau": dict.fromkeys(names, 6.5), "td": {name: 0.0 if name == "in" else -0.5 for name in names}}
    save_graph(tmp_path / "tiny_net.npz", replace(graph, meta={**graph.meta, "ttfs_kernels": trained}))
    found = run_scenario(load(scenario, ["optimise.rho=[0, 0, 0]"]), tmp_path / "run").content["kernel_optimisation"]
    assert found["kernels"] == trained


def test_traces_of_gated_neurons_say_which_key_makes_a_grid(scenario, tmp_path):
    asked = ["optimise=null", "convert.t_fire_start=20", "measure.traces={hidden1: [0, 3]}"]
    with pytest.raises(ScenarioError, match=r"measure\.traces: .*set convert\.clock: grid"):
        run_scenario(load(scenario, asked), tmp_path / "gated")
    run_scenario(load(scenario, [*asked, "convert.clock=grid"]), tmp_path / "grid")
    assert np.load(tmp_path / "grid" / "traces.npz")["hidden1/v"].shape == (40, 2)


def test_noise_leaves_analog_values_alone(scenario, tmp_path):
    asked = ["convert.noise={kind: deletion, probability: 0.5}", "encode.analog=true", "optimise=null"]
    noisy, quiet = (run_scenario(load(scenario, a), tmp_path / n).metrics["spikes"]["per_population"]
                    for n, a in (("noisy", asked), ("quiet", [*asked, "convert.noise=null"])))  # fmt: skip
    assert noisy["hidden1"] == quiet["hidden1"] > 0


@pytest.mark.parametrize("changes", [["convert.readout=first_spike", "encode.analog=true", "convert.robust=1"],
                                     ['convert.noise={kind: deletion, probability: 0.2}'],
                                     ['convert.noise={kind: jitter, std: 1.0}', "convert.t_fire_start=20"]],
                         ids=lambda c: c[0].partition("=")[0])  # fmt: skip
def test_options_run_on_both_engines(scenario, tmp_path, changes):
    changes = [*changes, "optimise.epochs=1", "run.batch=7"]
    event = run_scenario(load(scenario, changes), tmp_path / "event")
    other = run_scenario(load(scenario, [*changes, "run.engine=stepped", "run.batch=24"]), tmp_path / "stepped")
    assert event.metrics["raster_sha256"] == other.metrics["raster_sha256"]
    assert np.isfinite(event.content["kernel_optimisation"]["losses_after"]["total"])


def test_a_run_must_last_until_the_answer_stands(scenario, tmp_path):
    with pytest.raises(ScenarioError, match="the answer stands after 30 ms"):
        run_scenario(load(scenario, ["optimise.epochs=1", "run.duration=29 ms"]), tmp_path / "run")


@pytest.mark.parametrize("changes, words", [
    (["encode.code=poisson"], "decoded as so many values"),
    (["encode.code=events"], "events come as trains of spikes"),
    (["encode.tau=5"], "the conversion says it"),
    (["convert.clock=gated"], "gated needs t_fire_start >= t_fire_duration"),
    (["convert.readout=count", "convert.output_scale=false"], "the output spikes, too"),
    (["readout={kind: count}"], "contradicts convert.readout, which is 'membrane'"),
    (["optimise.images=5"], "there are none; remove it"),
    (["convert={to: coding, hidden: rate, calibration: {data: {file: tiny.npz}}}"], "fits the kernels of"),
    (["optimise.quirks=[sentinell]"], "sentinel"),
], ids=["code", "events", "tau", "clock", "scale", "readout", "images", "other conversion", "quirk"])
def test_contradictions_are_told(scenario, changes, words):
    with pytest.raises(ScenarioError) as error:
        load(scenario, changes)
    assert words in str(error.value)
