"""Where the networks of `convert: {to: ramps}` come from: Keras weight files, and what an earlier conversion has left."""

import h5py
import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net
from eventsnn.ann.files import load_graph, save_graph
from eventsnn.errors import EventsnnError, ScenarioError
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario

TEXT = """
format: 1
title: ramps
data: {file: tiny.npz}
network: {source: {file: net.h5}}
convert: {to: ramps, dtype: float64, calibration: {data: {file: tiny.npz}}}
encode: {code: ttfs, dtype: float64}
run: {}
"""
KERAS = (
    "network.source={file: keras.h5, keras: {architecture: {kind: conv_net, features: [3, P], hidden: [5], batch_norm: true, "
    "norm_place: after_relu}, input_shape: [6, 6, 1], classes: 3}}"
)
FIELDS = {"weights": "kernel", "bias": "bias", "gamma": "gamma", "beta": "beta", "mean": "moving_mean",
          "variance": "moving_variance"}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """A scenario with random images, and a network whose batch norms stand behind the ReLUs and have gammas of both signs."""
    rng = np.random.default_rng(8)
    np.savez(tmp_path / "tiny.npz", x=rng.integers(0, 256, (40, 6, 6, 1), dtype=np.uint8), y=np.arange(40) % 3)
    graph = conv_net((6, 6, 1), [3, "P"], [5], 3, batch_norm=True, norm_place="after_relu", seed=2)
    values = {k: rng.uniform(0.5, 1.5, v.shape).astype(np.float32) for k, v in graph.parameters().items() if "norm" in k}
    values["norm1.gamma"] *= np.array([1, -1, 1], np.float32)
    save_graph(tmp_path / "net.h5", graph.with_parameters(values))
    (tmp_path / "s.yml").write_text(TEXT)
    return tmp_path / "s.yml"


def write_keras(path, graph):
    """Write the arrays of a network as Keras 2 does."""
    with h5py.File(path, "w") as h5:
        layers = [layer for layer in graph.layers if layer.arrays()]
        h5.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = h5.create_group(layer.name)
            names = {f"{layer.name}/{FIELDS[key]}:0": value for key, value in layer.arrays().items()}
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in names.items():
                group[name] = value


def test_a_keras_file_is_mapped_like_any_other(path, tmp_path):
    graph = load_graph(tmp_path / "net.h5")
    write_keras(tmp_path / "keras.h5", graph)
    epsilon = graph.layers[graph.index("norm1")].epsilon
    ours = run_scenario(load(path), tmp_path / "ours")
    keras = run_scenario(load(path, [KERAS, f"network.source.keras.epsilon={epsilon}"]), tmp_path / "keras")
    assert ours.metrics["agreement"] == 1 and ours.metrics["spikes"]["total"] > 0
    assert keras.metrics["raster_sha256"] == ours.metrics["raster_sha256"]
    other = run_scenario(load(path, [KERAS]), tmp_path / "other")
    assert other.metrics["agreement"] == 1 and other.metrics["raster_sha256"] != ours.metrics["raster_sha256"]
    with pytest.raises(ScenarioError, match="architecture needs"):
        run_scenario(load(path, [KERAS.replace("[5]", "[6]")]), tmp_path / "wrong")


def test_a_conversion_leaves_what_the_next_one_needs_without_samples(path, tmp_path):
    first = run_scenario(load(path), tmp_path / "first")
    (left,) = first.folder.glob("stages/convert-*/folded.npz")
    folded = load_graph(left)
    assert not any("norm" in layer.name for layer in folded.layers)
    rows = {row["layer"]: row["x_max"] for row in first.content["conversion"]["layers"]}
    assert folded.meta["x_max"] == rows
    (tmp_path / "folded.npz").write_bytes(left.read_bytes())
    saved = ["network.source.file=folded.npz", "convert.rule=saved", "convert.calibration=null"]
    again = run_scenario(load(path, saved), tmp_path / "again")
    assert again.metrics["raster_sha256"] == first.metrics["raster_sha256"]
    wide = run_scenario(load(path, [*saved, "convert.zeta=2"]), tmp_path / "wide")
    windows = [row["window"] for row in wide.content["conversion"]["layers"]]
    assert windows == pytest.approx([3 * x for x in rows.values()]) and wide.metrics["agreement"] == 1
    with pytest.raises(EventsnnError, match="'saved' needs a network with its x_max"):
        run_scenario(load(path, saved[1:]), tmp_path / "without")
