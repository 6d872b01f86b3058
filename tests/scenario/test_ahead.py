"""What training, learning and measuring would stumble over is known on loading, or in a dry run: every mistake, with its line."""

import re
import subprocess
import sys

import numpy as np
import pytest

from eventsnn.ann.architectures import mlp
from eventsnn.ann.files import save_graph
from eventsnn.errors import ScenarioError
from eventsnn.scenario.dry_run import dry_run
from eventsnn.scenario.learn import ahead
from eventsnn.scenario.learn.learned import LEARNERS
from eventsnn.scenario.learn.settings import RULES
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import ROOT, TINY, make_tiny, resolved

TRAIN = """
format: 1
title: trains
train:
  data: {name: digits, limit: 60}
  architecture: {kind: mlp, hidden: [8]}
  settings:
    epochs: 1
    learning_rate: 0.1
"""
LINE = {"data": 5, "architecture": 6, "settings": 7, "epochs": 8, "learning_rate": 9}


def problems(text, overrides=(), dry=False, folder="."):
    """Return the lines of what is wrong with a scenario."""
    with pytest.raises(ScenarioError) as caught:
        loaded = resolved(text, overrides, folder=folder)
        if dry:
            dry_run(loaded)
    return str(caught.value).splitlines()


def stumbles(path, *overrides):
    """Return the lines of what is wrong with the smoke form of a scenario of the repository, changed."""
    with pytest.raises(ScenarioError) as caught:
        dry_run(load(ROOT / "scenarios" / f"{path}.yml", overrides, smoke=True))
    return str(caught.value).splitlines()


def test_all_settings_of_training_are_looked_at_on_loading():
    text = TRAIN.replace("epochs: 1", "epochs: -1").replace("0.1", "-0.1")
    found = problems(text + "    lr_interval: [2]\n    keep: best\n    momentum: 1.0\n")
    assert found == [
        f"s.yml:{LINE['epochs']}: train.settings.epochs: must be a whole number in [0, inf), got -1",
        f"s.yml:{LINE['learning_rate']}: train.settings.learning_rate: must be a number in [0, inf), got -0.1",
        "s.yml:12: train.settings.momentum: must be a number in [0, 1), got 1.0",
        "s.yml:10: train.settings.lr_interval: must be parts of all epochs, each in [0, 1], got [2.0]",
        "s.yml:11: train.settings.keep: keep 'best' needs a validation part, got validation 0; set validation to 5000",
    ]


def test_what_follows_from_a_mistake_is_no_second_one():
    found = problems(TRAIN + "    validation: -3\n    keep: best\n")  # whatever is meant by -3, it is a validation part
    assert found == ["s.yml:10: train.settings.validation: must be a whole number in [0, inf), got -3"]


@pytest.mark.parametrize(("path", "overrides", "words"), [
    ("hybrid/cifar10_vgg5_slim_stdb", ["learn.steps=40000", "learn.lr_interval=[0.9,0.1]"],
     ["learn.steps: must be a whole number in [1, 30000]", "learn.lr_interval: must be shares of the epochs in [0, 1]"]),
    ("gesture/mnist_decolle", ["learn.tau_ref=0.1", "learn.burn_in=900", "learn.optimiser=adamax"],
     ["learn.tau_ref: must be ms above", "learn.burn_in: must be shorter", "learn.optimiser: must be sgd"]),
    ("ttfs/mnist_fc_scratch", ["learn.window={rule: fit, lengths: 3}", "learn.patience=2", "learn.keep=best",
                               "learn.validation=0"],
     ["learn.window.lengths: windows belong to", "learn.patience: patience needs", "learn.keep: keep 'best' needs"]),
    ("ttfs/mnist_fc_scratch", ["learn.neuron=alpha1", "learn.time_grid={bits: 3}", "learn.window={rule: grow}",
                               "encode={code: ttfs, silent: false}", "measure={}"],
     ["learn.window.rule: must be 'fixed' with neuron 'alpha1'", "learn.time_grid.bits: time_bits belongs to neuron 'b1'"]),
    ("ttfs/yinyang_lif", ["learn.patience=3", "learn.validation=0", "measure.traces={output: [0]}"],
     ["learn.patience: patience needs a validation part", "measure.traces: needs a network on the grid clock"]),
    ("coding/mnist_ttfs_twin", ["train.twin.tau=0.01", "train.settings.precision=bfloat16"],
     ["train.twin.tau: must be a number in [0.1, inf)", "train.settings.precision: must be float32 with a TTFS twin"]),
])  # fmt: skip
def test_settings_of_every_learner_are_looked_at_on_loading(path, overrides, words):
    with pytest.raises(ScenarioError) as caught:
        load(ROOT / "scenarios" / f"{path}.yml", overrides)
    found = str(caught.value).splitlines()
    assert len(found) == len(words), found
    for word in words:
        (line,) = [line for line in found if word in line]
        assert line.startswith("--set ")


@pytest.mark.parametrize(("override", "words"), [
    ("{kind: mlp, hidden: [8], dropout: 1.0}", "architecture.dropout: must be < 1.0"),
    ("{kind: hybrid, net: vgg5, kernel: 4}", "kernel must be an odd"),
    ("{kind: conv_net, features: [4, P], conv_dropout: [0.1, 0.2]}", "conv_dropout must have 0 rates"),
    ("{kind: quantised, layers: 4C3-P2-x}", "parts like 32C5"),
    ("{kind: quantised, layers: 4C5-P5}", "does not divide a map"),
    ("{kind: quantised, layers: 4C5-8, weight_bits: 2}", "weight_bits is for networks"),
    ("{kind: vgg16}", "pool5.*do not fit"),
])  # fmt: skip
def test_architectures_are_built_in_a_dry_run(override, words):
    (found,) = problems(TRAIN, [f"train.architecture={override}"], dry=True)
    assert found.startswith(f"--set train.architecture={override}: train.architecture")
    assert re.search(words, found), found


def test_architectures_have_the_size_that_training_crops():
    (found,) = problems(TRAIN, ["train.architecture={kind: hybrid, net: vgg19, width: 0.1}", "train.settings.crop=8"], dry=True)
    assert "train.architecture: layer 'pool4' (AveragePool2d): cells of 2 x 2 do not fit its input (1, 1)" in found


@pytest.mark.parametrize("kind", ["conv_net, features: [4]", "vgg16", "lenet5", "quantised, layers: 4C3", "hybrid, net: vgg5"])
def test_architectures_of_images_refuse_vectors(kind, tmp_path):
    np.savez(tmp_path / "own.npz", x=np.zeros((4, 16)), y=np.arange(4))
    text = TRAIN.replace("name: digits, limit: 60", "file: own.npz").replace("kind: mlp, hidden: [8]", f"kind: {kind}")
    (found,) = problems(text, dry=True, folder=tmp_path)
    assert "s.yml:6: train.architecture: architecture:" in found and "takes images (y, x, channel), got shape (16,)" in found


def test_samples_files_and_architecture_at_once(tmp_path):
    text = TRAIN.replace("mlp, hidden: [8]", "hybrid, net: vgg5, kernel: 2") + "    validation: 60\n  warm_start: {file: no.h5}\n"
    text += "data: {file: none.npz}\nconvert: {to: t2fsnn, calibration: {data: {name: digits}}, kernels: {file: k.txt}}\n"
    found = problems(text + "encode: {code: ttfs_kernel}\nrun: {}\n", dry=True, folder=tmp_path)
    assert [line.split(": ")[:2] for line in found] == [
        ["s.yml:12", "data"], ["s.yml:11", "train.warm_start.file"], ["s.yml:13", "convert.kernels.file"],
        ["s.yml:10", "train.settings.validation"], ["s.yml:6", "train.architecture"],
    ]  # fmt: skip
    assert "no.h5: no such file" in found[1] and "takes 60 of 60 samples" in found[3]


def test_a_warm_start_must_fit(tmp_path):
    save_graph(tmp_path / "other.npz", mlp(784, [9], 10, seed=1))
    (found,) = problems(TRAIN, [f"train.warm_start.file={tmp_path / 'other.npz'}"], dry=True)
    assert "train.warm_start: warm start: " in found and "'hidden1.weights' has shape (784, 8), in the file (784, 9)" in found
    fits = resolved(TRAIN, [f"train.warm_start={{file: {tmp_path / 'other.npz'}, partial: true}}"])
    assert dry_run(fits).results == {}


def test_what_is_trained_must_be_what_is_converted():
    changes = "train.architecture={kind: quantised, layers: 4C5-P2-8}", "train.settings.validation=60"
    held, built = stumbles("hybrid/mnist_vgg9", *changes)
    assert "validation: training: validation takes 60 of 60" in held and ": convert: layer 'norm1'" in built
    (found,) = stumbles("integer/mnist_lenet_k0", "network=null", "train={data: {name: digits}, architecture: {kind: mlp}}")
    assert ": convert: integer network: blocks of Conv2d" in found


@pytest.mark.parametrize(("path", "overrides", "words"), [
    ("hybrid/cifar10_vgg5_slim_stdb", ["learn.validation=40"], ["learn.validation: training: validation takes 40 of 40"]),
    ("gesture/mnist_decolle", ["learn.layers=[{channels: 2, kernel: 40}]", "learn.test=[{file: no.npz}]"],
     ["learn.test.0: .*no.npz: no such file", "learn.layers: decolle: layer 1: a kernel of 40"]),
    ("ttfs/mnist_fc_scratch", ["learn.window={rule: fixed, lengths: [1, 2, 3]}", "learn.validation=200"],
     ["learn.validation: training: validation takes 200 of 200", "learn.window.lengths: training: windows must be one length"]),
    ("ttfs/mnist_fc_scratch", ["learn.architecture={kind: conv_net, features: [4], padding: valid, kernel: 30}"],
     ["learn.architecture: layer 'conv1' .*kernel .30, 30. is larger than its input"]),
    ("ttfs/yinyang_lif", ["learn.validation=80", "learn.parameters=[foo]"],
     ["learn: training: no population's adjoint has a parameter 'foo'", "learn.validation: .* takes 80 of 80"]),
    ("patterns/van_rossum", ["learn.input={kind: raster, file: b.npz}", "learn.target={kind: image, file: a.png}"],
     ["learn.input.file: .*b.npz: no such file", "learn.target.file: .*a.png: no such file"]),
])  # fmt: skip
def test_every_learner_is_looked_at_in_a_dry_run(path, overrides, words):
    found = stumbles(path, *overrides)
    assert len(found) == len(words), found
    assert all(any(re.search(word, line) for line in found) for word in words), found


def test_weights_of_another_decolle_network_are_refused(tmp_path):
    np.savez(tmp_path / "learned.npz", w1=np.zeros((3, 1, 2, 2)), b1=np.zeros(3))
    (found,) = stumbles("gesture/mnist_decolle", f"learn.weights={tmp_path / 'learned.npz'}")
    assert "learn.weights: " in found and "has weights of shapes [(3, 1, 2, 2)]" in found


@pytest.mark.parametrize(("overrides", "words"), [
    (["convert.model=alpha1", "encode.silent=false", "measure.conversion=2"], "measure.conversion: .*does not say how"),
    (["run.record=[]", "measure.conversion=2"], "measure.conversion: needs recorded spikes"),
    (["measure={histograms: true, phases: 8}"], "measure.phases: counts steps"),
    (["convert.model=ungated", "measure.traces={hidden1: [0]}"], "measure.traces: needs a network on the grid clock"),
])  # fmt: skip
def test_figures_that_a_conversion_cannot_give_are_refused_on_loading(overrides, words):
    with pytest.raises(ScenarioError, match=words):
        resolved(TINY, overrides)


def test_a_hybrid_network_has_no_conversion_report():
    with pytest.raises(ScenarioError, match=r"measure.conversion: compares decoded spikes.*'convert: \{to: hybrid\}'"):
        load(ROOT / "scenarios" / "hybrid" / "mnist_vgg5.yml", ["measure.conversion=2", "run.record=null"])


def test_traced_neurons_must_exist(tmp_path):
    path = make_tiny(tmp_path)
    for traces, words in (("{hiden1: [0]}", "did you mean 'hidden1'"), ("{hidden1: [12]}", "from 0 to 11")):
        with pytest.raises(ScenarioError, match=words):
            dry_run(load(path, [f"measure.traces={traces}"]))
    assert dry_run(load(path, ["measure.traces={hidden1: [11]}"])).results["network"]


def test_a_run_looks_ahead_before_it_trains(tmp_path):
    loaded = load(ROOT / "scenarios" / "hybrid" / "cifar10_vgg5_slim_stdb.yml", ["learn.validation=40"], smoke=True)
    began = []
    with pytest.raises(ScenarioError, match="takes 40 of 40"):
        run_scenario(loaded, tmp_path / "out", progress=lambda stage, done, total: began.append(stage))
    assert not began and not (tmp_path / "out" / "stages").exists()


def test_every_learning_rule_has_its_settings_and_its_look_ahead():
    assert set(LEARNERS) == set(RULES) == set(ahead.LEARNERS)


def test_looking_ahead_needs_no_pytorch():
    names = ["ann/train_mnist_fc", "hybrid/cifar10_vgg5_slim_stdb", "gesture/mnist_decolle", "ttfs/mnist_lenet_scratch",
             "patterns/sweep", "coding/mnist_ttfs_twin"]  # fmt: skip
    files = [str(ROOT / "scenarios" / f"{name}.yml") for name in names]
    code = ("import sys; sys.modules['torch'] = None\n"
            "from eventsnn.scenario.load import load; from eventsnn.scenario.dry_run import dry_run\n"
            f"for file in {files}: dry_run(load(file, smoke=True))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
