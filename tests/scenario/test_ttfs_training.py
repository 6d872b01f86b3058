"""Scenarios with `learn: {rule: ttfs}`: what a run states, resumption, trained windows elsewhere, twins, robustness, refusals."""

import numpy as np
import pytest

from eventsnn.ann.architectures import mlp
from eventsnn.ann.files import load_graph
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.errors import ScenarioError
from eventsnn.files.datasets import load as load_data
from eventsnn.files.raster_h5 import read_rasters
from eventsnn.scenario.learn import ttfs as learn_ttfs
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario
from eventsnn.scenario.sweep import plan, sweep
from tests.scenario.helpers import ROOT, resolved

TTFS = ROOT / "scenarios" / "ttfs"
SCRATCH = """
format: 1
title: small
data: {name: digits, start: 2000, limit: 40}
learn:
  rule: ttfs
  data: {name: digits, limit: 160}
  test: [{name: digits, start: 2000, limit: 40}]
  architecture: {kind: mlp, hidden: [16]}
  epochs: 2
  validation: 20
encode: {code: ttfs, dtype: float64}
run: {}
"""


def scenario(*overrides):
    """The small scenario with changes."""
    return resolved(SCRATCH, overrides)


def test_the_run_states_accuracy_agreement_spikes_and_latency(tmp_path):
    metrics = run_scenario(scenario("learn.twin={every: 5}"), tmp_path / "run").metrics
    learned, test = metrics["learning"], metrics["learning"]["test"][0]
    assert metrics["agreement"] == 1 and metrics["accuracy"] == metrics["source_accuracy"] == test["after"]["accuracy"]
    assert test["after"]["accuracy"] > test["before"]["accuracy"] + 0.1
    assert metrics["spikes_per_neuron"]["total"] == test["after"]["spikes_per_neuron"] > 0.1
    assert metrics["latency"]["mean_ms"] == learned["latency"] == 1 + sum(learned["windows"])
    assert test["after"]["twin_agreement"] == 1 and test["after"]["twin_difference"] < 1e-12
    assert [r["step"] for r in learned["trajectory"]] == list(range(0, 36, 5))
    assert all(r["largest_difference"] < 1e-13 for r in learned["trajectory"])
    assert len(learned["curve"]) == learned["epochs"] == 2 and learned["samples"] == 140
    hidden = read_rasters(tmp_path / "run" / "raster.h5")[0]["hidden1"]
    assert hidden.times.max() < learned["latency"]  # every hidden spike comes before the decision
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Learning" in page and "agreement with the ReLU twin" in page
    assert (tmp_path / "run" / "learning_curve.png").stat().st_size > 5000


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    loaded = scenario("learn.noise={times: 0.05}")
    whole = run_scenario(loaded, tmp_path / "whole")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(learn_ttfs, "_figures", killed)
        with pytest.raises(KeyboardInterrupt):
            run_scenario(loaded, tmp_path / "cut")
    resumed = run_scenario(loaded, tmp_path / "cut", resume=True)
    assert resumed.metrics == whole.metrics
    for name in ("raster.h5", "weights.h5"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_potentials_over_time_are_those_of_the_definition(tmp_path):
    """With convolutions and pools: V meets the threshold at the spike, the silent stay below, the readout is the run's."""
    neurons = list(range(0, 6900, 7))
    text = f"format: 1\ntitle: t\ndata: {{name: digits, limit: 1}}\nnetwork: {{source: {{file: {ROOT / 'data/mnist_cnn.h5'}}}}}\n"
    text += "convert: {to: ramps, rule: fixed, windows: 9, dtype: float64}\nencode: {code: ttfs, dtype: float64}\nrun: {}\n"
    text += f"measure: {{traces: {{conv1: {neurons}, conv2: [5, 90, 1000], output: [0, 7]}}}}\n"
    found = run_scenario(resolved(text), tmp_path / "run")
    seen = np.load(tmp_path / "run" / "traces.npz")
    graph = fold_batch_norm(load_graph(ROOT / "data/mnist_cnn.h5")).astype("float64")
    times, v, x = seen["times_ms"], seen["conv1/v"], load_data("digits", limit=1).images.astype("float32") / np.float32(255)
    threshold = 9 - np.broadcast_to(graph.parameters()["conv1.bias"], (24, 24, 12)).reshape(-1)[neurons]
    spikes = read_rasters(tmp_path / "run" / "raster.h5")[0]["conv1"].first_times()[0][neurons]
    fired = times[:, None] >= spikes
    assert (seen["conv1/count"] == fired).all() and 50 < np.isfinite(spikes).sum() < len(neurons)
    assert np.allclose((v - threshold)[fired], 0, atol=1e-12) and ((v - threshold)[~fired] < 1e-12).all()
    opened = np.flatnonzero(times == 1.0)[0]
    np.testing.assert_allclose(v[opened] + 9 - threshold, graph.forward(x, "conv1").reshape(-1)[neurons], atol=1e-12)
    np.testing.assert_allclose(seen["output/v"][-1], graph.forward(x)[0, [0, 7]], atol=1e-9)
    assert times[-1] == found.metrics["latency"]["mean_ms"] and (tmp_path / "run" / "traces.png").stat().st_size > 5000


def test_training_alone_takes_the_code_without_data(tmp_path):
    """A ReLU twin of samples in another range than [0, 1] needs p and q, and nothing to run."""
    alone = ["learn.neuron=relu", "data=null", "run=null"]
    both = [scenario("encode.p=-1", "encode.q=1", "learn.epochs=1", *more) for more in ([], alone)]
    spiking, relu = (run_scenario(loaded, tmp_path / str(k)).metrics for k, loaded in enumerate(both))
    assert relu["learned_accuracy"] == spiking["learned_accuracy"] == spiking["accuracy"] and "raster_sha256" not in relu
    ours, theirs = (load_graph(tmp_path / str(k) / "weights.h5") for k in (0, 1))
    assert all(np.abs(array - theirs.parameters()[name]).max() < 1e-12 for name, array in ours.parameters().items())
    assert ours.meta["windows"] == pytest.approx(theirs.meta["windows"], rel=1e-12)


def test_trained_weights_and_windows_run_elsewhere(tmp_path):
    first = run_scenario(scenario("encode.p=-0.5", "encode.q=1.5"), tmp_path / "a")
    text = SCRATCH[: SCRATCH.index("learn:")] + f"network: {{source: {{file: {tmp_path / 'a' / 'weights.h5'}}}}}\n"
    text += "convert: {to: ramps, rule: trained, dtype: float64}\nrun: {}\n"
    text += "encode: {code: ttfs, dtype: float64, p: -0.5, q: 1.5}\n"
    again = run_scenario(resolved(text), tmp_path / "b")
    assert again.metrics["latency"] == first.metrics["latency"] and again.metrics["agreement"] == first.metrics["agreement"] == 1
    rasters = [read_rasters(tmp_path / name / "raster.h5")[0]["hidden1"] for name in "ab"]
    assert (rasters[0].ids == rasters[1].ids).all()
    np.testing.assert_allclose(rasters[0].times, rasters[1].times, atol=1e-12)
    assert list(load_graph(tmp_path / "a" / "weights.h5").meta["windows"]) == ["hidden1"]


def test_a_mapped_network_is_trained_on_and_a_relu_twin_leaves_weights(tmp_path):
    tuned = run_scenario(load(TTFS / "mnist_fc_finetune.yml", smoke=True), tmp_path / "a").metrics
    assert tuned["agreement"] == 1 and tuned["learning"]["test"][0]["before"]["accuracy"] > 0.9
    relu = run_scenario(load(TTFS / "mnist_fc_scratch_relu.yml", smoke=True), tmp_path / "b")
    b1 = run_scenario(load(TTFS / "mnist_fc_scratch.yml", smoke=True), tmp_path / "c")
    ours, theirs = (load_graph(tmp_path / name / "weights.h5").parameters() for name in "cb")
    assert all(np.abs(ours[name] - theirs[name]).max() < 1e-12 for name in ours)
    assert relu.metrics["learned_accuracy"] == b1.metrics["learned_accuracy"] == b1.metrics["accuracy"]
    assert not (tmp_path / "b" / "raster.h5").exists()


def test_the_trajectory_and_its_control(tmp_path):
    twins = run_scenario(load(TTFS / "trajectory.yml", smoke=True), tmp_path / "a").metrics["learning"]
    assert len(twins["trajectory"]) == 7 and twins["trajectory"][-1]["step"] == 30
    assert all(r["largest_difference"] < 1e-12 and r["cosine"] > 1 - 1e-12 for r in twins["trajectory"])
    control = run_scenario(load(TTFS / "alpha1_control.yml", smoke=True), tmp_path / "b").metrics["learning"]
    norms = control["gradient_norms"]["before"]
    assert norms[0] > norms[-1] and "slope" in control["network"]
    changes = ["learn.alpha_initial=smart", "learn.twin={every: 5}", "learn.learning_rate=1e-5", "learn.window.lengths=200"]
    smart = run_scenario(load(TTFS / "alpha1_control.yml", changes, smoke=True), tmp_path / "c").metrics["learning"]
    apart = [r["largest_difference"] for r in smart["trajectory"]]
    assert apart[0] < 1e-12 < 1e-4 < apart[-1]  # equal at the start, parted after thirty steps


def test_alpha1_runs_with_one_spike_of_every_neuron(tmp_path):
    changes = ("learn.neuron=alpha1", "learn.window={rule: fixed, lengths: 60}", "learn.learning_rate=1e-5")
    metrics = run_scenario(scenario(*changes, "encode.silent=false"), tmp_path / "run").metrics
    assert metrics["agreement"] == 1 and metrics["spikes_per_neuron"]["total"] == 1


@pytest.mark.parametrize("kind, change, harm", [
    ("noise", "learn.noise.times=6.0", 0.02), ("time_bits", "learn.time_grid.bits=1", 0.2),
    ("weight_bits", "learn.weight_grid.bits=2", 0.2), ("latency", "learn.window.quantile=0.8", 0.02),
])  # fmt: skip
def test_harm_is_stated_and_mended(kind, change, harm, tmp_path):
    path = TTFS / f"robustness_{kind}.yml"
    changes = [change, "learn.data.limit=600", "learn.epochs=4", "learn.batch=8", "learn.learning_rate=5e-4"]
    metrics = run_scenario(load(path, changes, smoke=True), tmp_path / "run").metrics
    test = metrics["learning"]["test"][0]
    assert test["before"]["accuracy"] < 0.98 - harm
    assert test["after"]["accuracy"] > test["before"]["accuracy"] + harm / 2
    if kind == "noise":
        assert test["after"]["trials"] == 16 and test["after"]["accuracy"] == pytest.approx(np.mean(test["after"]["accuracies"]))
    if kind in ("weight_bits", "latency"):  # these the event network has, too
        assert metrics["accuracy"] == test["after"]["accuracy"]
    if kind == "latency":
        assert metrics["latency"]["mean_ms"] < 4


def test_a_sweep_over_noise_lists_accuracies_before_and_after(tmp_path):
    path = TTFS / "robustness_noise.yml"
    planned = plan(path, ["learn.noise.times=0.01,6.0"], ["learn.epochs=0", "learn.trials=2"], smoke=True)
    rows = sweep(planned, tmp_path)
    assert [row["status"] for row in rows] == ["finished", "finished"]
    assert rows[0]["learned_accuracy_before"] > rows[1]["learned_accuracy_before"] + 0.02


@pytest.mark.parametrize("rule", ["he_normal", "he_uniform", "glorot_uniform"])
def test_fresh_weights_are_drawn_as_asked(rule):
    graph = learn_ttfs.redrawn(mlp(300, [200], 10).astype("float64"), rule, seed=1)
    hidden, output = (graph.parameters()[f"{name}.weights"] for name in ("hidden1", "output"))
    wanted = {"he_normal": 2 / 300, "he_uniform": 2 / 300, "glorot_uniform": 2 / 500}[rule]
    assert hidden.var() == pytest.approx(wanted, rel=0.03) and hidden.dtype == np.float64
    assert output.var() == pytest.approx(2 / 200 if rule == "he_normal" else 2 / 210, rel=0.1)
    if rule != "he_normal":
        assert np.abs(hidden).max() < np.sqrt(3 * wanted) and (hidden.ravel()[:2000] != output.ravel()[:2000]).all()


def test_input_jitter_moves_test_samples_alone(tmp_path):
    found = []
    for sigma in (0.0, 0.6):
        loaded = scenario(f"learn.noise.input={sigma}", "learn.trials=2")
        found.append(run_scenario(loaded, tmp_path / f"{sigma}").metrics["learning"])
    assert found[0]["curve"] == found[1]["curve"]
    assert found[1]["test"][0]["after"]["accuracy"] < found[0]["test"][0]["after"]["accuracy"]


@pytest.mark.parametrize("overrides, words", [
    (["learn.window.rule=fixed"], "needs windows"), (["learn.epoch=3"], "epochs"), (["learn.optimiser=adm"], "adam"),
    (["encode={code: constant}"], "must be ttfs"), (["learn.neuron=relu"], "nothing to run"),
    (["convert={to: ramps}"], "makes the spiking network itself"),
    (["network={source: {file: 'shipped:mnist_fc.h5'}}"], "has others"),
    (["learn.neuron=alpha1", "learn.window={rule: fixed, lengths: 9}"], "spike of every input"),
    (["learn.keep=best", "learn.validation=0"], "validation"), (["learn.data.name=digts"], "digits"),
    (["run=null"], "learn.test"), (["run.duration=5 ms"], "windows set how long"),
])  # fmt: skip
def test_mistakes_are_named(overrides, words):
    with pytest.raises(ScenarioError, match=words):
        learn_ttfs.settings_of(scenario(*overrides))


def test_data_that_do_not_fit_the_network_are_named(tmp_path):
    rng = np.random.default_rng(0)
    for shape, labels, words in (((30, 5), 10, "shape"), ((30, 784), 12, r"in 0\.\.9")):
        np.savez(tmp_path / "own.npz", x=rng.random(shape).astype("float32"), y=np.arange(30) % labels)
        changes = (f"learn.data={{file: {tmp_path / 'own.npz'}}}", "learn.architecture=null",
                   "network={source: {file: 'shipped:mnist_fc.h5'}}", "learn.validation=0")  # fmt: skip
        with pytest.raises(ScenarioError, match=words):
            run_scenario(scenario(*changes), tmp_path / "run")


def test_conversion_needs_samples_or_trained_windows(tmp_path):
    text = "format: 1\ntitle: t\ndata: {name: digits, limit: 2}\nnetwork: {source: {file: 'shipped:mnist_fc.h5'}}\n"
    text += "convert: {to: ramps}\nencode: {code: ttfs}\nrun: {}\n"
    with pytest.raises(ScenarioError, match="required by rule fit"):
        resolved(text)
    with pytest.raises(ScenarioError, match=r"s\.yml:5: convert: .*with its windows"):
        run_scenario(resolved(text.replace("ramps", "ramps, rule: trained")), tmp_path / "run")
    fixed = run_scenario(resolved(text.replace("ramps", "ramps, rule: fixed, windows: 20")), tmp_path / "fixed")
    assert fixed.metrics["latency"]["mean_ms"] == 21 and fixed.content["conversion"]["calibration"] is None
