"""The ReLU network alone in a scenario: accuracy unfolded and folded, statistics and their reuse, training through the twin."""

import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net
from eventsnn.ann.files import load_graph, save_graph
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import ReLU
from eventsnn.errors import ScenarioError
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario

TEXT = """
format: 1
title: source
data: {file: tiny.npz}
network: {source: {file: net.h5}}
"""
CONVERT = [
    "convert={to: coding, hidden: rate, rule: neuron_percentile, calibration: {data: {file: tiny.npz}}}", "encode.code=constant",
    "run.duration=20",
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    """A scenario with images of three classes and an untrained network that has batch norms."""
    rng = np.random.default_rng(5)
    labels = np.arange(60) % 3
    x = rng.integers(0, 120, (60, 6, 6, 1), dtype=np.uint8)
    for i, c in enumerate(labels):
        x[i, 2 * c : 2 * c + 2] += 120
    np.savez(tmp_path / "tiny.npz", x=x, y=labels)
    graph = conv_net((6, 6, 1), [3, "P"], [8], 3, batch_norm=True, feature_dropout=0.2, seed=2)
    values = {k: rng.uniform(0.5, 1.5, v.shape) for k, v in graph.parameters().items() if "norm" in k}
    save_graph(tmp_path / "net.h5", graph.with_parameters(values))
    (tmp_path / "s.yml").write_text(TEXT)
    return tmp_path / "s.yml"


def test_the_network_alone(path, tmp_path):
    result = run_scenario(load(path), tmp_path / "run")
    graph, data = load_graph(tmp_path / "net.h5"), np.load(tmp_path / "tiny.npz")
    values = graph.forward(data["x"] / np.float32(255), keep=True)
    found = result.metrics
    assert found["source_accuracy"] == found["folded_accuracy"] == (values["output"].argmax(1) == data["y"]).mean()
    assert found["samples"] == 60 and found["folded_agreement"] == 1
    share = found["active_share"]["per_layer"]
    assert share == pytest.approx({"conv1": (values["relu1"] > 0).mean(), "dense1": (values["relu2"] > 0).mean()}, abs=1e-3)
    assert found["active_share"]["total"] == pytest.approx((108 * share["conv1"] + 8 * share["dense1"]) / 116)


def test_crops_and_standardised_images(path, tmp_path):
    graph = conv_net((4, 4, 1), [3, "P"], [8], 3, seed=2)
    save_graph(tmp_path / "net.h5", graph)
    found = run_scenario(load(path, ["data.crop=4", "data.standardise=true"]), tmp_path / "run").metrics
    data = np.load(tmp_path / "tiny.npz")
    x = (data["x"][:, 1:5, 1:5] / 255).astype(np.float64)
    x = (x - x.mean((1, 2, 3), keepdims=True)) / x.std((1, 2, 3), keepdims=True)
    assert found["source_accuracy"] == (graph.forward(x, dtype=np.float64).argmax(1) == data["y"]).mean()
    with pytest.raises(ScenarioError, match="crop 7 needs images of at least 7 x 7"):
        run_scenario(load(path, ["data.crop=7"]), tmp_path / "large")
    train = "train={data: {file: tiny.npz}, settings: {crop: 4, standardise: true}}"
    with pytest.raises(ScenarioError, match=r"(?s)data.crop: the network is trained on squares of side 4.*data.standardise: the"):
        load(path, [train])
    with pytest.raises(ScenarioError, match=r"(?s)data.crop: .*whole images: remove it.*data.standardise: .*as they are: remove"):
        load(path, ["train={data: {file: tiny.npz}}", "data.crop=4", "data.standardise=true"])


def test_what_cannot_be_folded_is_still_evaluated(path, tmp_path):
    graph = conv_net((6, 6, 1), [3, "P"], [8], 3, batch_norm=True, norm_place="after_relu", seed=2)
    save_graph(tmp_path / "net.h5", graph.with_parameters({"norm1.gamma": np.array([1, -1, 1])}))
    found = run_scenario(load(path), tmp_path / "minimum").metrics  # the pool in front takes the minimum of that channel
    assert found["folded_accuracy"] == found["source_accuracy"] and found["folded_agreement"] == 1
    layers = list(graph.layers)
    layers.insert(graph.index("norm1") + 1, ReLU("again"))
    save_graph(tmp_path / "net.h5", LayerGraph(graph.input_shape, layers, "net"))
    result = run_scenario(load(path), tmp_path / "run")
    assert "folded_accuracy" not in result.metrics and result.metrics["source_accuracy"] >= 0
    assert "ReLU 'again' follows" in result.content["warnings"][0]


@pytest.mark.parametrize("by", ["neuron", "channel"])
def test_statistics_are_written_and_reused(path, tmp_path, by):
    scan = [f"statistics={{data: {{file: tiny.npz}}, by: {by}, percentiles: [99.9, 100], prefix: act}}"]
    result = run_scenario(load(path, scan), tmp_path / "scan")
    text = (result.folder / "statistics.csv").read_text()
    assert text.startswith("# eventsnn activation statistics") and "\nact_conv1_max_999," in text
    scanned = run_scenario(load(path, CONVERT), tmp_path / "scanned")
    reuse = [*CONVERT, "convert.statistics.file=scan/statistics.csv"]
    reused = run_scenario(load(path, reuse), tmp_path / "reused")
    assert reused.metrics["raster_sha256"] == scanned.metrics["raster_sha256"]
    assert reused.content["conversion"]["statistics"] == "statistics.csv"
    again = run_scenario(load(path, scan), tmp_path / "again")
    assert (again.folder / "statistics.csv").read_text() == text
    (tmp_path / "scan" / "statistics.csv").write_text(text.replace("act_conv1", "act_conv7"))
    with pytest.raises(ScenarioError, match="names no layer"):
        run_scenario(load(path, reuse), tmp_path / "reused2")


def test_mistakes(path):
    for overrides, message in (
        (["data=null"], "run: required"),
        (["convert={to: coding, hidden: rate, calibration: {data: {file: tiny.npz}}}"], "run: required"),
        (["statistics={data: {file: tiny.npz}, percentiles: [0]}"], "statistics.percentiles"),
        (["network=null", "train={data: {file: tiny.npz}, architecture: {kind: mlp}, twin: {}}"], "train.twin.*trained"),
    ):
        with pytest.raises(ScenarioError, match=message):
            load(path, overrides)


@pytest.mark.parametrize(("changes", "message"), [
    (["convert.rule=percentile"], "convert.rule: must be none behind train.twin.*got 'percentile'"),
    (["convert.t_fire_duration=3"], "convert.t_fire_duration: must be train.twin.window.*: 2, got 3"),
    (["convert.in_tau=true"], "convert.t_fire_duration: must be train.twin.window.*: 2, got 1"),
    (["convert.half_step=true"], "convert.half_step: must be false"), (["convert.theta0=2"], "convert.theta0: must be 1"),
    (["encode.analog=true"], "encode.analog: must be false behind train.twin with input: ttfs"),
    (["train.twin.input=real"], "encode.analog: must be true behind train.twin with input: real"),
])  # fmt: skip
def test_a_twin_is_converted_to_what_it_was_trained_as(path, changes, message):
    twin = [
        "train={data: {file: tiny.npz}, twin: {window: 2, tau: 0.5}}", "encode.code=ttfs_kernel", "run={}",
        "convert={to: t2fsnn, rule: none, tau: 0.5, t_fire_start: 2, t_fire_duration: 2}",
        "convert.calibration={data: {file: tiny.npz}}",
    ]  # fmt: skip
    load(path, twin)
    with pytest.raises(ScenarioError, match=message):
        load(path, [*twin, *changes])


def test_training_through_the_twin_and_running_what_it_leaves(path, tmp_path):
    pytest.importorskip("torch")
    settings = "settings: {epochs: 20, batch_size: 10, learning_rate: 0.01, device: cpu, threads: 1}"
    run_scenario(load(path, [f"train={{data: {{file: tiny.npz}}, {settings}}}"]), tmp_path / "ann")
    twin = [
        "network.source.file=ann/weights.h5",
        f"train={{data: {{file: tiny.npz}}, twin: {{window: 2, tau: 0.5}}, {settings}}}", "train.settings.learning_rate=1e-3",
        "convert={to: t2fsnn, rule: none, output_scale: false, tau: 0.5, t_fire_start: 2, t_fire_duration: 2}",
        "convert.calibration={data: {file: tiny.npz}}", "encode.code=ttfs_kernel", "run={}",
    ]  # fmt: skip
    before = run_scenario(load(path, [*twin, "train.settings.epochs=0"]), tmp_path / "before")
    after = run_scenario(load(path, twin), tmp_path / "after")
    kernels = load_graph(after.folder / "weights.h5").meta["ttfs_kernels"]
    rows = {row["layer"]: row for row in after.content["conversion"]["layers"]}
    assert rows["conv1"]["tau"] == kernels["tau"]["conv1"] != 0.5 and rows["dense1"]["td"] == kernels["td"]["dense1"]
    assert after.metrics["accuracy"] > 0.9 > before.metrics["accuracy"]
    assert after.metrics["training"]["last"]["train_accuracy"] > 0.9
