"""Scenarios with `learn: {rule: adjoint}`: what a run leaves, resumption, the pattern task, mistakes."""

import numpy as np
import pytest

from eventsnn.errors import ScenarioError
from eventsnn.learning.adjoint import training as adjoint
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import resolved

SMALL = """
format: 1
title: small
data: {name: yinyang, split: test, limit: 20}
network:
  inputs: {point: {shape: [4]}}
  populations:
    hidden: {shape: [10], model: cuba_lif, parameters: {tau_mem: 0.5, tau_syn: 0.5}}
    output: {shape: [3], model: cuba_lif, parameters: {tau_mem: 0.5, tau_syn: 0.5}}
  projections:
    in: {source: point, target: hidden, synapses: {kind: dense, weights: {init: normal, mean: 1.5, std: 0.8}}}
    out:
      source: hidden
      target: output
      synapses: {kind: fixed_probability, p: 1.0, weights: {init: normal, mean: 0.8, std: 0.5}}
      delay: {uniform: [0 ms, 0.5 ms]}
learn:
  rule: adjoint
  data: {name: yinyang, split: train, limit: 30}
  test: [{name: yinyang, split: test, limit: 20}]
  loss: {kind: first_spike, tau: 0.2 ms}
  epochs: 3
  batch: 10
  learning_rate: 5e-3
  delay_rate: 1.0
  parameters: [bias]
encode: {code: ttfs, silent: false, dtype: float64}
run: {duration: 3 ms}
readout: {kind: first_spike, population: output}
"""
PATTERN = """
format: 1
title: pattern
network:
  inputs: {given: {shape: [40]}}
  populations: {answer: {shape: [15], model: cuba_lif, parameters: {tau_mem: 8.0, tau_syn: 3.0}}}
  projections: {in: {source: given, target: answer, synapses: {kind: dense, weights: {init: normal, mean: 0.3, std: 0.3}}}}
learn:
  rule: adjoint
  loss: {kind: van_rossum, tau: 5 ms, steps: 30, dt: 0.5}
  epochs: 40
  batch: 1
  learning_rate: 0.01
run: {}
readout: {kind: count, population: answer}
"""


def test_a_run_is_resumed_bit_for_bit_and_equals_what_was_learned(tmp_path, monkeypatch):
    monkeypatch.setattr(adjoint, "SAVE_EVERY", 0.0)
    loaded = resolved(SMALL)
    whole = run_scenario(loaded, tmp_path / "whole")
    found = whole.metrics["learning"]
    assert found["rule"] == "adjoint" and found["epochs"] == 3 and found["last"]["min_slope"] > 0
    # the network that the run made is the one that was judged
    assert whole.metrics["accuracy"] == found["test"][0]["after"]["accuracy"] == whole.metrics["learned_accuracy"]
    kept = np.load(tmp_path / "whole" / "learned.npz")
    assert kept["point-hidden.weights"].shape == (4, 10) and kept["hidden-output.delays"].shape == (30,)
    assert "smallest slope" in (tmp_path / "whole" / "report.html").read_text("utf-8")

    def stop(stage, done, total):
        if stage == "learn" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scenario(loaded, tmp_path / "cut", progress=stop)
    assert list((tmp_path / "cut").rglob("checkpoint.npz"))
    again = run_scenario(loaded, tmp_path / "cut", resume=True)
    assert again.metrics == whole.metrics


def test_a_pattern_is_learned_and_run(tmp_path):
    result = run_scenario(resolved(PATTERN), tmp_path / "run")
    test = result.metrics["learning"]["test"][0]
    assert test["after"]["distance"] < test["before"]["distance"]
    assert test["after"]["spikes"] == result.metrics["spikes"]["per_population"]["answer"]
    assert test["after"]["target_spikes"] > 0 and test["after"]["silent_distance"] == test["before"]["silent_distance"]


@pytest.mark.parametrize("text, change, says", [
    (SMALL, ("model: cuba_lif", "model: if"), "network"), (SMALL, ("kind: first_spike, population", "kind: membrane, population"),
     "must be first_spike"),
    (SMALL, ("code: ttfs, silent: false, dtype: float64", "code: poisson"), "spike times of samples"),
    (SMALL, ("run: {duration: 3 ms}", "run: {}"), "run.duration: required"), (SMALL, ("epochs: 3", "epoch: 3"), "did you mean"),
    (SMALL, ("  data: {name: yinyang, split: train, limit: 30}\n", ""), "learn.data: required"),
    (SMALL, ("readout: {kind: first_spike, population: output}\n", ""), "readout: required"),
    (SMALL, ("title: small", "title: small\ntrain: {data: {name: digits}}"), "train: learning rule 'adjoint' trains"),
    (PATTERN, ("run: {}", "run: {}\ndata: {name: yinyang}"), "data: the van Rossum loss brings"),
    (PATTERN, ("van_rossum, tau: 5 ms", "van_rossum"), "tau"),
])  # fmt: skip
def test_mistakes_are_named(text, change, says):
    assert change[0] in text
    with pytest.raises(ScenarioError) as found:
        resolved(text.replace(*change))
    assert says in str(found.value), str(found.value)


def test_a_network_that_cannot_be_trained_is_named(tmp_path):
    with pytest.raises(ScenarioError, match="readout"):
        run_scenario(resolved(SMALL.replace("population: output", "population: outptu")), tmp_path / "run")
    with pytest.raises(ScenarioError, match="'bais'"):
        run_scenario(resolved(SMALL.replace("[bias]", "[bais]")), tmp_path / "other")
