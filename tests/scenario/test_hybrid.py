"""Hybrid networks in scenarios: conversion, stored thresholds, warm start, the range of inputs, the estimate of energy."""

import json

import numpy as np
import pytest

from eventsnn.ann.architectures import build
from eventsnn.ann.files import save_graph
from eventsnn.conversion.hybrid import HybridNet, load_hybrid, save_hybrid
from eventsnn.conversion.hybrid_build import spiking_layers
from eventsnn.errors import EventsnnError
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario

TEXT = """
format: 1
title: test
data: {name: digits, split: test, limit: 3, range: [-1, 1]}
network:
  source: {file: net.h5}
convert:
  to: hybrid
  balance: {steps: 20, batch: 2}
  calibration:
    data: {name: digits, split: test, limit: 5, range: [-1, 1]}
encode: {code: poisson, gain: 0.9}
run: {duration: 30 ms, every: 10 ms}
measure: {energy: {}}
"""


def graph():
    """A small VGG5 that spikes."""
    made = build("hybrid", input_shape=(28, 28, 1), net="vgg5", n_out=10, width=1 / 16, hidden=(8,), seed=3)
    return made.with_parameters({k: v * (30 if "dense" in k or "output" in k else 2) for k, v in made.parameters().items()})


@pytest.fixture
def folder(tmp_path):
    save_graph(tmp_path / "net.h5", graph())
    (tmp_path / "s.yml").write_text(TEXT)
    return tmp_path


def outcome(folder, *sets, out="run"):
    return run_scenario(load(folder / "s.yml", list(sets)), folder / out)


def problems(folder, *sets):
    with pytest.raises(EventsnnError) as found:
        outcome(folder, *sets, out=f"bad{len(list(folder.glob('bad*')))}")
    return str(found.value)


def report(result):
    return json.loads(next(result.folder.glob("stages/convert-*/conversion.json")).read_text())


def test_a_converted_network_can_be_taken_up_again(folder):
    result = outcome(folder)
    found = result.folder / "hybrid.h5"
    hybrid = load_hybrid(found)
    assert hybrid.settings() == report(result)["hybrid"] and hybrid.gain == 0.9
    (folder / "net.h5").write_bytes(found.read_bytes())
    text = TEXT.replace("{steps: 20, batch: 2}", "{rule: stored}")
    start, end = text.index("  calibration"), text.index("encode")
    (folder / "s.yml").write_text(text[:start] + text[end:])
    again = outcome(folder, out="again")
    assert again.metrics["raster_sha256"] == result.metrics["raster_sha256"] and not report(again)["differs"]
    assert not again.content["warnings"]
    sets = "convert.leak=0.9", "convert.v_init=0.5", "convert.propagation=same_step"
    other = outcome(folder, *sets, out="other")
    assert report(other)["differs"] == {"propagation": {"scenario": "same_step", "file": "pipelined"},
                                        "v_init": {"scenario": 0.5, "file": 0.0}, "leak": {"scenario": 0.9, "file": 1.0}}
    assert other.content["warnings"][1:] == [f"convert.{key}, the stored network was made with {own}, which is what ran"
                                             for key, own in (("v_init is 0.5", 0.0), ("leak is 0.9", 1.0))]
    assert "convert.leak is 0.9, the stored" in (other.folder / "report.html").read_text("utf-8")
    assert other.metrics["raster_sha256"] == result.metrics["raster_sha256"]
    # thresholds are those of one input
    assert "gain 0.9, this is gain 1.0" in problems(folder, "encode.gain=1")
    assert "input 'poisson', this is input 'direct'" in problems(folder, "encode={code: constant}")


def test_stored_thresholds_must_be_there(folder):
    (folder / "s.yml").write_text(TEXT.replace("{steps: 20, batch: 2}", "{rule: stored}"))
    assert "looks at no images" in problems(folder)
    text = (folder / "s.yml").read_text()
    start, end = text.index("  calibration"), text.index("encode")
    (folder / "s.yml").write_text(text[:start] + text[end:])
    assert "without thresholds" in problems(folder)


def test_energy_is_made_of_counted_operations(folder):
    result = outcome(folder)
    energy = result.metrics["energy"]
    assert sum(row["additions"] for row in energy["layers"]) == pytest.approx(result.metrics["synaptic_events_per_sample"])
    assert energy["total_pj"] == pytest.approx(0.9 * energy["additions"]) and energy["macs"] == 0
    assert energy["dense_pj"] == pytest.approx(4.6 * sum(row["dense"] for row in energy["layers"]))
    for row in energy["layers"][:-1]:
        assert row["spikes_per_neuron"] == pytest.approx(
            result.metrics["spikes"]["per_population"][row["layer"]] / (3 * row["neurons"]))  # fmt: skip
    page = (result.folder / "report.html").read_text("utf-8")
    assert "Thresholds of the conversion" in page and f"estimated {energy['total_pj'] / 1e6:.4g} µJ" in page
    direct = outcome(folder, "encode={code: constant}", "convert.propagation=same_step", "measure.energy.add=1",
                     out="direct").metrics["energy"]  # fmt: skip
    first = direct["layers"][0]
    assert direct["macs"] == 30 * first["dense"] and direct["layers_pj"]["conv1"] == pytest.approx(4.6 * 30 * first["dense"])
    assert direct["additions"] == pytest.approx(sum(row["additions"] for row in direct["layers"][1:]))
    assert "required by measure.energy" in problems(folder, "run.every=null")


def test_contradictions_are_named(folder):
    assert "poisson or constant" in problems(folder, "encode={code: phase}")
    assert "must be that of data: [-1, 1]" in problems(folder, "convert.calibration.data.range=[0, 1]")
    assert "data.standardise: must be that of data: false" in problems(folder, "convert.calibration.data.standardise=true")
    assert "calibration.data.crop: must be that of data: 24" in problems(folder, "data.crop=24")
    assert "in every step: remove gain" in problems(folder, "encode={code: constant, schedule: first}")
    assert "a spike takes 4 steps" in problems(folder, "run.duration=4 ms", "run.every=2 ms")
    crossing = outcome(folder, "run.duration=4 ms", "run.every=2 ms", "convert.propagation=same_step", out="short")
    assert crossing.metrics["samples"] == 3
    assert "required: balance.rule 'maximum'" in problems(folder, "convert.calibration=null")
    assert "remove gain" in problems(folder, "encode={code: constant, gain: 2}")


def test_the_range_reaches_the_encoder(folder):
    from eventsnn.scenario.samples import load_samples

    loaded = load(folder / "s.yml")
    signed = load_samples(loaded, loaded.spec.data)
    plain = load_samples(loaded, loaded.spec.data.model_copy(update={"range": [0.0, 1.0]}))
    assert np.allclose(signed.x, 2 * plain.x - 1) and signed.x.dtype == np.float32 and signed.sha256 != plain.sha256


def test_the_encoder_clips_in_balancing_too(folder):
    assert "or clip" in problems(folder, "encode.gain=2")
    result = outcome(folder, "encode={code: poisson, gain: 2, clip: true}")
    assert report(result)["hybrid"]["clip"] and report(result)["hybrid"]["strict"]


def test_masks_are_part_of_a_run(folder):
    plain, masked = outcome(folder), outcome(folder, "convert.masks=true", out="masked")
    again = outcome(folder, "convert.masks=true", "run.engine=stepped", out="again")
    assert plain.metrics["raster_sha256"] != masked.metrics["raster_sha256"] == again.metrics["raster_sha256"]


def test_training_takes_a_warm_start_and_the_stated_range(folder):
    pytest.importorskip("torch")
    train = """
train:
  data: {name: digits, split: test, limit: 30, range: [-1, 1]}
  architecture: {kind: hybrid, net: vgg5, width: 0.0625, hidden: [8]}
  warm_start: {file: start.h5}
  settings: {epochs: 1, batch_size: 10, threads: 1, device: cpu}
"""
    start, end = TEXT.index("network:"), TEXT.index("convert:")
    (folder / "s.yml").write_text(TEXT[:start] + train + TEXT[end:])
    save_graph(folder / "start.h5", graph())
    result = outcome(folder)
    from eventsnn.ann.files import load_graph

    trained = load_graph(result.folder / "weights.h5")
    assert len(trained.meta["warm_start"]["copied"]) == 5 and not trained.meta["warm_start"]["kept"]
    assert "the network is trained on values in [-1, 1]" in problems(folder, "data.range=[0, 1]")
    other = build("hybrid", input_shape=(28, 28, 1), net="vgg5", n_out=10, width=1 / 16, hidden=(9,))
    save_graph(folder / "start.h5", other)
    assert "partial: true" in problems(folder)


def test_a_file_with_impossible_thresholds_is_refused(folder):
    net = graph()
    save_hybrid(folder / "net.h5", HybridNet(net, [1.0] * len(spiking_layers(net))))
    from dataclasses import replace

    from eventsnn.ann.files import load_graph

    found = load_graph(folder / "net.h5")
    for change in ({"thresholds": [1.0, 0.0, 1.0, 1.0]}, {"thresholds": "x"}, {"leaks": [2] * 4}, {"surprise": 1}):
        meta = {"hybrid": {**found.meta["hybrid"], **change}}
        save_graph(folder / "bad.h5", replace(found, meta=meta))
        with pytest.raises(EventsnnError, match=r"bad\.h5"):
            load_hybrid(folder / "bad.h5")
