"""Scenarios on the continuous clock: wiring by rule, delays, Poisson trains, one long sample on its way to the disk."""

import numpy as np
import pytest
from scipy import sparse

from eventsnn import wiring
from eventsnn.errors import EventsnnError, ScenarioError
from eventsnn.projections import Sparse
from eventsnn.projections.sparse_ms import SparseMs
from eventsnn.random import key, uniform
from eventsnn.scenario.dry_run import dry_run
from eventsnn.scenario.estimate import estimate, estimate_text
from eventsnn.scenario.load import load
from eventsnn.scenario.network.build import build
from tests.scenario.helpers import ROOT, resolved

TEXT = """
format: 1
title: any time
seed: 4
network:
  inputs:
    noise: {shape: [40]}
  populations:
    a: {shape: [40], model: lif_continuous, parameters: {v_threshold: 8, v_reset: 2, refractory: 1}}
    b: {shape: [20], model: cuba_lif, parameters: {v_threshold: 3}}
  projections:
    drive:
      source: noise
      target: a
      synapses: {kind: one_to_one, weights: {init: constant, value: 1.5}}
    loop:
      source: a
      target: a
      delay: 1.5 ms
      synapses: {kind: fixed_in_degree, degree: 5, self_connections: false, weights: {init: normal, mean: -0.5, std: 0.1}}
    on:
      source: a
      target: b
      delay: {uniform: [0.5 ms, 3]}
      synapses: {kind: fixed_probability, p: 0.3, weights: {init: constant, value: 2.0}}
encode: {code: poisson_times, rate: 0.6 kHz}
run: {duration: 0.2 s}
"""


def change(text):
    return f"network.projections.on.synapses={text}"


def test_rules_draw_from_the_projection_s_own_streams():
    drive, loop, on = build(resolved(TEXT)).projections
    assert all(isinstance(p.synapses, SparseMs) for p in (drive, loop, on)) and loop.delay == 1.5 and on.delay == 0.0
    assert np.array_equal(drive.synapses.targets, np.arange(40)) and drive.synapses.weights.tolist() == [1.5]
    wired = wiring.fixed_in_degree(40, 40, 5, weight=1.0, self_connections=False, seed=4, name="loop")
    assert np.array_equal(loop.synapses.indptr, wired.indptr) and np.array_equal(loop.synapses.targets, wired.targets)
    assert loop.synapses.weights.size == 200 and abs(loop.synapses.weights.mean() + 0.5) < 0.05
    wired = wiring.fixed_probability(40, 20, 0.3, weight=1.0, seed=4, name="on")
    delays = 0.5 + 2.5 * uniform(key(4, "delays", "on"), 0, 0, wired.size)
    wired = SparseMs(wired.indptr, wired.targets, 2.0, delays)
    assert np.array_equal(on.synapses.delays, wired.delays) and np.array_equal(on.synapses.targets, wired.targets)
    other = build(resolved(TEXT, ["network.populations.c={shape: [3], model: cuba_lif}"]))
    assert np.array_equal(other.projections[2].synapses.delays, on.synapses.delays)
    assert all(p.dtype == "float64" for p in other.populations)


def test_distance():
    text = "{kind: distance, profile: %s, width: 0.1, peak: 0.9, speed: 0.5, weights: {init: constant, value: 1}}"
    for profile, falls in (("gaussian", lambda d: 0.5 * (d / 0.1) ** 2), ("exponential", lambda d: d / 0.1)):
        on = build(resolved(TEXT, [change(text % profile), "network.projections.on.delay=2 ms"])).projections[2]
        a, b = ((np.arange(n)[:, None] + 0.5) / n for n in (40, 20))
        wired = wiring.by_distance(a, b, lambda d, falls=falls: 0.9 * np.exp(-falls(d)), weight=1.0, speed=0.5, seed=4, name="on")
        assert on.delay == 2 and np.array_equal(on.synapses.targets, wired.targets)
        assert np.array_equal(on.synapses.delays, wired.delays) and np.ptp(wired.delays) > 0


def test_sparse_files_and_rules_on_both_clocks(tmp_path):
    matrix = sparse.random_array((40, 20), density=0.2, random_state=np.random.default_rng(0), format="csr")
    sparse.save_npz(tmp_path / "w.npz", matrix)
    grid = ["network.dt=1", "network.populations.a={shape: [40], model: lif}", "network.populations.b={shape: [20], model: lif}",
            "network.projections.loop.delay=2", "network.projections.on.delay={uniform: [1, 4]}",
            "encode={code: raster, times: [0], neurons: [1]}"]  # fmt: skip
    for kind in ("{kind: sparse, file: w.npz}", "{kind: fixed_probability, p: 0.2, weights: {init: constant, value: 1}}"):
        free = build(resolved(TEXT, [change(kind)], folder=tmp_path)).projections[2].synapses
        steps = build(resolved(TEXT, [change(kind), *grid], folder=tmp_path)).projections[2].synapses
        assert isinstance(free, SparseMs) and isinstance(steps, Sparse) and free.size == steps.targets.size
        assert set(steps.delays.tolist()) == {1, 2, 3, 4} and free.delays.min() >= 0.5 and free.delays.max() < 3
        ours = {(s, t) for s, t in zip(np.repeat(np.arange(40), np.diff(free.indptr)).tolist(), free.targets.tolist())}
        assert ours == set(zip(steps.sources.tolist(), steps.targets.tolist()))
        if "sparse" in kind:
            assert np.array_equal(np.sort(free.weights), np.sort(matrix.data))


BAD = [
    ("network.populations.a.model=lif", r"populations\.a\.model: model 'lif' needs a grid: give network.dt .*lif_continuous"),
    ("network.dt=1 ms", r"network\.populations\.b\.model: model 'cuba_lif' is on the continuous clock, .* remove network.dt"),
    ("network.dt=1 ms", r"network\.projections\.loop\.delay: must be a whole number of steps of 1 ms .*got 1\.5 ms"),
    ("network.populations.a.dtype=float32", r"a\.dtype: model 'lif_continuous' computes in float64, got 'float32'"),
    ("network.populations.a.parameters.tau_men=1", r"populations\.a: .*'tau_men'.*did you mean 'tau_mem'"),
    ("network.populations.a.parameters.tau_mem=-1", r"populations\.a.*tau_mem: must be from"),
    ("network.projections.loop.delay=0", r"network\.projections\.loop: connections without delay form a cycle|network: .*cycle"),
    ("network.projections.loop.delay=-1 ms", r"loop\.delay: must be >= 0, got '-1 ms'"),
    ("network.projections.loop.delay=1 sm", r"loop\.delay: unknown unit of time, got 'sm'.*did you mean"),
    ("network.projections.loop.delay={unifrm: [1, 2]}", r"loop\.delay\.unifrm: unknown key, .*did you mean 'uniform'"),
    ("network.projections.loop.delay={uniform: [2, 1]}", r"loop\.delay: uniform must be \[lowest, highest\], got \[2, 1\]"),
    ("network.projections.loop.delay={uniform: [1]}", r"loop\.delay\.uniform: must have at least 2 entries"),
    ("network.projections.loop.synapses.degree=40", r"loop: wiring: degree must be a whole number from 0 to 39"),
    ("network.projections.on.synapses.p=1.5", r"on\.synapses\.p: must be <= 1.0, got 1\.5"),
    ("network.projections.on.synapses.self_connections=false", r"on: wiring: self_connections=False needs one population"),
    ("network.projections.on.synapses.kind=fixed_probabilty", r"unknown value.*did you mean 'fixed_probability'"),
    (change("{kind: one_to_one, weights: {init: constant, value: 1}}"), r"on: one_to_one needs as many .*got 40 and 20"),
    (change("{kind: dense, weights: {init: constant, value: 1}}"), r"on\.delay: synapses of kind 'dense' share one delay"),
    (change("{kind: conv2d, kernel: [1, 1], weights: {init: constant, value: 1}}"), r"on\.synapses\.kind: conv2d is not known"),
    ("network.drives={push: {target: a, values: 1}}", r"network\.drives\.push: drives need a grid .*bias"),
    ("network.relays={pool: {source: a, kind: average_pool}}", r"network\.relays\.pool: relays need a grid"),
    ("encode={code: poisson}", r"encode\.code: code 'poisson' works in steps and needs network\.dt; .*poisson_times"),
    ("encode.rate=5 Hertz", r"encode\.rate: unknown unit of rate, got 'Hertz', allowed mHz, Hz"),
    ("encode.rate=-5", r"encode\.rate: must be >= 0, got -5"),
    ("encode.rate=[1, 2]", r"encode\.rate: must be one rate, or one for each of the 40 input neurons, got 2"),
    ("run.duration=null", r"run\.duration: required: Poisson spikes need a duration"),
    ("run.engine=stepped", r"run\.engine: the continuous clock has the event engine only, got 'stepped'"),
    ("data={name: mnist}", r"encode: code 'poisson_times' makes one sample .* remove the data: section"),
]


@pytest.mark.parametrize(("override", "message"), BAD)
def test_mistakes(override, message):
    with pytest.raises(EventsnnError, match=message):
        dry_run(resolved(TEXT, [override]))


def test_poisson_times_need_the_continuous_clock():
    with pytest.raises(ScenarioError, match=r"encode\.code: code 'poisson_times' needs .*use code 'poisson'"):
        load(ROOT / "scenarios" / "recurrent" / "grid_ring.yml", ["encode={code: poisson_times, rate: 5}"])
    with pytest.raises(ScenarioError, match=r"encode\.code: code 'poisson_times' needs .*is not such a network"):
        load(ROOT / "scenarios" / "quickstart.yml", ["encode={code: poisson_times, rate: 5}"])


def test_the_estimate_knows_rates_and_models():
    job = dry_run(resolved(TEXT))
    found = estimate(job)
    assert found["synapses"] == 40 + 200 + job.results["network"].projections[2].synapses.size
    assert found["synaptic_events"] == pytest.approx(40 * 600 * 0.2 + (found["synapses"] - 40) * 10 * 0.2)
    assert "every neuron at 10 Hz" in estimate_text(job)
    longer = estimate(dry_run(resolved(TEXT, ["run.duration=2 s"])))
    assert longer["seconds"] == pytest.approx(10 * found["seconds"])
