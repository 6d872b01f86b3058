"""Stages are hashed over what decides them, kept, and found again."""

import numpy as np
import pytest

from eventsnn import AveragePool, Conv2d, Dense, Input, Network, Population, Projection, Readout, Relay, Sparse
from eventsnn.scenario.job import Job
from eventsnn.scenario.load import load
from eventsnn.scenario.network.file import load_network, save_network
from eventsnn.scenario.run import run_scenario
from eventsnn.scenario.stages import STAGES, execute
from tests.scenario.helpers import make_tiny


def _digests(path, *overrides):
    return execute(Job(load(path, overrides), None), until="encode").digests


def test_a_change_changes_the_hash_of_its_stage_and_of_those_after_it(tmp_path):
    path = make_tiny(tmp_path)
    plain = _digests(path)
    assert set(plain) == {"data", "source", "convert", "network", "encode"}
    assert _digests(path) == plain and _digests(path, "title=other", "run.threads=2") == plain

    def changed(*overrides):
        return {name for name, digest in _digests(path, *overrides).items() if digest != plain[name]}

    assert changed("convert.zeta=0.7") == {"convert", "network", "encode"}
    assert changed("data.limit=5") == {"data", "encode"}
    assert changed("encode.dtype=float64") == {"convert", "network", "encode"}
    arrays = dict(np.load(tmp_path / "tiny_net.npz"))
    np.savez(tmp_path / "tiny_net.npz", **arrays)  # other bytes in the file
    assert changed() >= {"source", "convert", "network", "encode"}


def test_stages_are_in_the_order_of_their_needs():
    seen = set()
    for stage in STAGES:
        assert set(stage.needs) <= seen
        seen.add(stage.name)


def test_a_resumed_run_converts_only_once(tmp_path, monkeypatch):
    from eventsnn.scenario.network import convert

    path, calls = make_tiny(tmp_path), []
    real = convert.CONVERTERS["ramps"]
    monkeypatch.setitem(convert.CONVERTERS, "ramps", lambda *given: calls.append(1) or real(*given))

    def stop(stage, done, total):
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scenario(load(path), tmp_path / "out", progress=stop)
    run_scenario(load(path), tmp_path / "out", resume=True)
    assert len(calls) == 1


def test_a_dry_run_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = make_tiny(tmp_path)
    before = set(tmp_path.rglob("*"))
    _digests(path)
    assert set(tmp_path.rglob("*")) == before


def test_networks_are_kept_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    network = Network(
        [Input("in", (4, 4, 1))],
        [Population("conv", (4, 4, 2), "lif", {"v_threshold": rng.random(32), "leak": 0.9}),
         Population("out", 3, "if", {"reset": "value", "strict": True}, "float64")],
        [Projection("in", "conv", Conv2d(rng.random((3, 3, 1, 2)).astype(np.float32))),
         Projection("pool", "out", Dense(rng.random((8, 3)))),
         Projection("out", "out", Sparse([0, 0, 2], [1, 1, 0], [0.1, 0.2, 0.3], [1, 2, 3]), delay=1)],
        [Relay("pool", "conv", AveragePool(2))],
        readout=Readout("out", "count"), dt_ms=0.5,
    )  # fmt: skip
    save_network(tmp_path / "n.npz", network)
    again = load_network(tmp_path / "n.npz")
    save_network(tmp_path / "m.npz", again)
    assert (tmp_path / "n.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()
    assert again.readout == network.readout and again.dt_ms == 0.5 and list(again.nodes) == list(network.nodes)
    for a, b in zip(again.populations, network.populations):
        assert a.model is b.model and a.dtype == b.dtype and a.shape == b.shape
        assert all(np.array_equal(a.parameters[k], b.parameters[k]) for k in b.parameters)
