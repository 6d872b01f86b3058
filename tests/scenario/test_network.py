"""Explicit networks: what is drawn, what is read, and that every mistake names its place in the file."""

import numpy as np
import pytest
from scipy import sparse

from eventsnn.errors import EventsnnError
from eventsnn.random import key, uniform
from eventsnn.scenario.dry_run import dry_run
from eventsnn.scenario.network.build import build
from tests.scenario.helpers import resolved

TEXT = """
format: 1
title: net
seed: 3
network:
  dt: 1 ms
  inputs:
    camera: {shape: [6, 6, 2]}
  populations:
    conv: {shape: [6, 6, 3], model: lif, parameters: {leak: 0.9}}
    out: {shape: [4]}
  projections:
    first:
      source: camera
      target: conv
      synapses: {kind: conv2d, kernel: [3, 3], weights: {init: normal, std: 0.5, step: 0.125}}
    second:
      source: pool
      target: out
      synapses: {kind: dense, weights: {init: uniform, low: -1, high: 1}}
    loop:
      source: out
      target: out
      delay: 2
      synapses: {kind: ring, offsets: [1, -1], weights: {init: constant, value: 0.25}}
  relays:
    pool: {source: conv, kind: average_pool, size: 2}
  drives:
    push: {target: out, values: 0.1, schedule: 5}
encode: {code: raster, times: [0, 3 ms], neurons: [1, 70]}
run: {duration: 20 ms}
readout: {kind: count, population: out}
"""


def test_weights_come_from_named_streams():
    network = build(resolved(TEXT))
    first, second, loop = network.projections
    assert first.synapses.weights.shape == (3, 3, 2, 3)
    assert np.array_equal(first.synapses.weights * 8, np.rint(first.synapses.weights * 8)) and first.synapses.weights.std() > 0.2
    drawn = 2 * uniform(key(3, "weights", "second"), 0, 0, 27 * 4) - 1
    assert np.array_equal(second.synapses.weights.ravel(), drawn)
    assert set(zip(loop.synapses.sources.tolist(), loop.synapses.targets.tolist())) == {
        (i, j % 4) for i in range(4) for j in (i + 1, i - 1)
    }
    other = build(resolved(TEXT, ["network.populations.extra={shape: [3]}"]))
    assert np.array_equal(other.projections[0].synapses.weights, first.synapses.weights)


def test_it_runs(tmp_path):
    from eventsnn.scenario.run import run_scenario

    result = run_scenario(resolved(TEXT, folder=tmp_path), tmp_path / "run")
    assert result.metrics["spikes"]["inputs"] == {"camera": 2} and result.metrics["samples"] == 1


BAD = [
    ("network.populations.conv.model=lief", "network.populations.conv: .*unknown neuron model 'lief'.*did you mean 'lif'"),
    ("network.populations.conv.parameters.leek=1", "network.populations.conv: .*'leek'.*did you mean 'leak'"),
    ("network.populations.conv.parameters.leak=2", "network.populations.conv: .*leak: must be from .* got 2"),
    ("network.populations.out.shape=[5]", None),
    ("network.projections.first.synapses.kernel=[3, 3, 3]", "must have at most 2 entries"),
    ("network.projections.first.target=out", "network.projections.first: "),
    ("network.projections.first.source=cammera", "network.projections.first: .*did you mean 'camera'"),
    ("network.projections.loop.delay=0", "network.projections.loop: "),
    ("network.projections.loop.delay=-1", "must be >= 0, got -1"),
    ("network.projections.second.port=inputs", "network.projections.second: .*did you mean 'input'"),
    ("network.relays.pool.source=camra", "network.relays.pool: .*camra.*did you mean 'camera'"),
    ("network.drives.push.target=oot", "network.drives.push: .*'oot'.*did you mean 'out'"),
    ("network.drives.push.values=[1, 2]", "network.drives.push: values must be one number, 4 .*got 2"),
    ("readout.population=oot", "readout: .*oot"),
    ("encode.neurons=[1, 72]", "72"),
    ("encode.times=[0, 25]", "25"),
    ("encode.times=[0, 0.5 ms]", "encode.*: times must be whole steps of 1.0 ms"),
    ("run.duration=0.5 ms", "run.duration: must be whole steps of 1.0 ms"),
    ("run.record=[cnv]", "did you mean 'conv'"),
]


@pytest.mark.parametrize(("override", "message"), BAD)
def test_mistakes_of_a_network(override, message):
    if message is None:  # a ring of five is as good as one of four
        assert dry_run(resolved(TEXT, [override])).results["network"]
        return
    with pytest.raises(EventsnnError, match=message):
        job = dry_run(resolved(TEXT, [override]))
        assert job.results["encode"].steps and job.results["encode"].batch(0, 1)


def test_weights_from_files(tmp_path):
    matrix = sparse.random_array((12, 4), density=0.4, random_state=np.random.default_rng(0), format="csr")
    sparse.save_npz(tmp_path / "w.npz", matrix)
    change = "network.projections.second.synapses={kind: sparse, file: w.npz}"
    loaded = resolved(TEXT, [change], folder=tmp_path)
    with pytest.raises(EventsnnError, match=r"network\.projections\.second"):
        build(loaded)  # 27 sources, not 12
    sparse.save_npz(tmp_path / "w.npz", sparse.random_array((27, 4), density=0.4, format="coo"))
    assert build(loaded).projections[1].synapses.weights.size == 43
    np.savez(tmp_path / "w.npz", weights=np.full((27, 4), np.nan))
    with pytest.raises(EventsnnError, match=r"second: .*w\.npz: not a csr, csc or coo matrix"):
        build(loaded)
    change = "network.projections.second.synapses={kind: dense, weights: {init: file, file: w.npz}}"
    with pytest.raises(EventsnnError, match=r"(?i)second: .*nan"):
        build(resolved(TEXT, [change], folder=tmp_path))
    with pytest.raises(EventsnnError, match="has no array 'weihts'"):
        build(resolved(TEXT, [change.replace("w.npz}", "w.npz, array: weihts}")], folder=tmp_path))
