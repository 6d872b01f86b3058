"""Multi-spike codings in scenarios: pairs of codes, options that reach the conversion, outputs that spike."""

import json

import numpy as np
import pytest

from eventsnn.ann.architectures import mlp
from eventsnn.ann.files import save_graph
from eventsnn.errors import ScenarioError
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario

TEXT = """
format: 1
title: codes
data: {file: tiny.npz}
network: {source: {file: net.h5}}
convert: {to: coding, hidden: burst, calibration: {data: {file: tiny.npz}}}
encode: {code: phase}
run: {duration: 48, batch: 4}
"""


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "tiny.npz", x=rng.integers(0, 9, (6, 12)).astype(np.float32) / 8, y=np.arange(6) % 3)
    save_graph(tmp_path / "net.h5", mlp(12, [8], 3))
    (tmp_path / "s.yml").write_text(TEXT)
    return tmp_path / "s.yml"


@pytest.mark.parametrize(("overrides", "message"), [
    (["encode={code: ttfs_kernel}"], "encode.code: input code 'ttfs_kernel' cannot feed hidden code 'burst'.*biases.*allowed "
                                     "constant, poisson, phase, burst"),
    (["encode={code: ttfs}"], "encode.code: input code 'ttfs' cannot feed"),
    (["convert={to: t2fsnn, calibration: {data: {file: tiny.npz}}}"], "encode.code: input code 'phase' cannot feed hidden code "
                                                                      "'ttfs'.*kernel"),
    (["convert={to: t2fsnn, calibration: {data: {file: tiny.npz}}}", "encode={code: constant}"], "analog: true"),
    (["convert.hidden=brust"], "did you mean 'burst'"), (["encode.period=33"], "encode.period"),
    (["encode={code: burst, reload: all}"], "encode.reload"),
    (["convert.neurons={bias: 0.1}"], "convert.neurons.bias: is that of the ReLU network"),
    (["convert.rule=layer_max", "convert.percentile=99"], "convert.percentile: belongs to the rules .*got rule layer_max"),
    (["convert=null", "run=null", "encode=null", "train={data: {file: tiny.npz}, twin: {rule: none, percentile: 99}}"],
     "train.twin.percentile: belongs to"),
    (["convert.neuron_thresholds=true", "convert.rule=channel"], "convert.neuron_thresholds: .*channel"),
])  # fmt: skip
def test_mistakes(path, overrides, message):
    with pytest.raises(ScenarioError, match=message):
        load(path, overrides)


def conversion(path, tmp_path, *overrides):
    """Run and return (metrics, conversion report)."""
    result = run_scenario(load(path, overrides), tmp_path / "run")
    return result.metrics, json.loads(json.dumps(result.content["conversion"]))


def test_an_output_that_spikes_under_thresholds_per_neuron(path, tmp_path):
    metrics, report = conversion(path, tmp_path, "convert.neuron_thresholds=true", "convert.percentile=80",
                                 "readout={kind: count}", "encode={code: burst, reload: 6}")  # fmt: skip
    assert report["cycle"] == 6 and report["output_scaled"] and report["input"] == "burst"
    low, high = report["layers"][0]["v_threshold"]
    assert 0 < low < 0.125 < high  # in units of the layer's scale, which pools all activations: below the largest neuron's
    assert metrics["spikes"]["per_population"]["output"] > 0


def test_schedules_may_be_set_apart(path, tmp_path):
    _, report = conversion(path, tmp_path, "convert.bias_period=1", "convert.input_scale=0.5", "convert.neurons={beta: 1.5}",
                           "encode={code: poisson, amplitude: 0.5}")  # fmt: skip
    assert (report["cycle"], report["bias_period"], report["input_scale"], report["output_scaled"]) == (1, 1, 0.5, False)


def test_a_code_in_steps_needs_a_duration(path, tmp_path):
    with pytest.raises(ScenarioError, match=r"run\.duration: required: phase spikes"):
        run_scenario(load(path, ["run.duration=null"]), tmp_path / "run")
