"""All-integer networks in scenarios: logs against the independent twin, noise, ends in whole numbers, taught mistakes."""

import itertools

import numpy as np
import pytest

from eventsnn import run
from eventsnn.ann.architectures import build
from eventsnn.ann.files import load_graph, save_graph
from eventsnn.ann.layers import BatchNorm, Conv2d
from eventsnn.ann.quantised import TernaryConv2d, ternarised, ternary
from eventsnn.conversion.integer import to_integer
from eventsnn.encoders.base import Drive
from eventsnn.errors import ScenarioError
from eventsnn.files.raster_h5 import read_rasters
from eventsnn.projections import Conv2d as ConvSynapses
from eventsnn.random import key, uniform
from eventsnn.scenario.load import load
from eventsnn.scenario.measure.integer_logs import LOGS, nonzero_fan_out
from eventsnn.scenario.network.integer import with_noise
from eventsnn.scenario.run import run_scenario
from tests.reference import integer as twin

STEPS = 7
TEXT = """
format: 1
title: whole numbers
data: {file: tiny.npz}
network: {source: {file: net.npz}}
convert: {to: integer}
encode: {code: constant, schedule: first}
run: {duration: 7, every: 1, batch: 4}
measure: {integer_logs: {}}
"""


def network(k):
    """A small quantised network whose levels spread, in float64."""
    graph = build("quantised", input_shape=(8, 8, 1), layers="6C3-P2-10", n_out=3, k=k, seed=3).astype(np.float64)
    rng, changed = np.random.default_rng(k), {}
    for conv, norm in itertools.pairwise(graph.layers):
        if isinstance(norm, BatchNorm):
            weights = np.round(256 * conv.weights * (1 if isinstance(conv, TernaryConv2d) else 20)) / 256
            used = ternary(weights) if isinstance(conv, TernaryConv2d) else weights
            power, n = (used**2).sum((0, 1, 2)) + 0.1, weights.shape[3]
            found = {"mean": rng.normal(0, 0.3, n) * np.sqrt(power), "variance": power * rng.uniform(0.3, 0.6, n),
                     "beta": rng.normal(0.3, 0.3, n)}  # fmt: skip
            changed |= {f"{conv.name}.weights": weights} | {f"{norm.name}.{key}": value for key, value in found.items()}
    return graph.with_parameters(changed)


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "tiny.npz", x=rng.integers(0, 9, (10, 8, 8, 1)).astype(np.float32) / 8, y=np.arange(10) % 3)
    save_graph(tmp_path / "net.npz", network(1))
    (tmp_path / "s.yml").write_text(TEXT)
    return tmp_path / "s.yml"


def described(graph):
    """The network as the twin takes it."""
    blocks, layers = [], list(graph.layers)
    for conv, norm in itertools.pairwise(layers):
        if isinstance(conv, Conv2d):
            kernel = ternary(conv.weights) if isinstance(conv, TernaryConv2d) else conv.weights
            blocks.append({"kernel": kernel, "stride": conv.stride if isinstance(conv.stride, int) else conv.stride[0],
                           "same": conv.padding == "same", "gamma": norm.gamma, "beta": norm.beta, "mean": norm.mean,
                           "var": norm.variance, "eps": norm.epsilon})  # fmt: skip
    return blocks, layers[-1].weights


@pytest.mark.parametrize(("rule", "classifier"), [("exact", True), ("published", False)])
def test_the_six_logs_are_those_of_the_twin(path, tmp_path, rule, classifier):
    overrides = [f"convert.thresholds={rule}", f"measure.integer_logs.classifier={str(classifier).lower()}"]
    result = run_scenario(load(path, overrides), tmp_path / "run")
    blocks, output = described(load_graph(tmp_path / "net.npz"))
    with np.load(tmp_path / "tiny.npz") as file:
        data = dict(file)
    lines, counts, nonzero = {name: [] for name in LOGS}, np.zeros(3), np.zeros(STEPS)
    for start in range(0, 10, 4):
        part = slice(start, start + 4)
        spikes, _, logs = twin.run(blocks, output, data["x"][part], k=1, rule=rule, steps=STEPS, labels=data["y"][part],
                                   classifier=classifier)  # fmt: skip
        for name in LOGS:
            lines[name] += logs[name]
        counts += logs["spike_num"][-1], logs["spike_collect"][-1], logs["sop_num"][-1]
        for block, layer in zip(blocks[1:], spikes):
            mask = dict(block, kernel=(block["kernel"] != 0).astype(np.int64))
            nonzero += [twin.conv(np.abs(layer[:, t]), mask).sum() for t in range(STEPS)]
        reach = np.count_nonzero(output, axis=1) * classifier
        nonzero += np.abs(spikes[-1]).reshape(len(spikes[-1]), STEPS, -1).sum(axis=0) @ reach
    assert counts[0] > counts[1] > 0  # spikes of both signs
    for name in LOGS:
        text = (tmp_path / "run" / "integer_logs" / f"{name}.txt").read_text().split()
        assert [float(line) for line in text] == lines[name], name
        assert all(("." in line) == (name == "spike_collect") for line in text)
    found = result.metrics["integer"]
    assert (tmp_path / "run" / "integer.png").stat().st_size > 5000
    assert found["per_step"]["sop_num"][-1] == counts[2]
    assert found["per_sample"]["positive"] * 10 == (counts[0] + counts[1]) / 2
    assert found["per_sample"]["negative"] * 10 == (counts[0] - counts[1]) / 2
    assert found["per_step"]["sop_num_nonzero_weights"] == np.cumsum(nonzero).tolist()
    assert found["per_sample"]["sops_nonzero_weights"] == pytest.approx(nonzero.sum() / 10)
    rasters = read_rasters(tmp_path / "run" / "raster.h5")[0]  # signed amplitudes: the same counts once more
    signed = sum(np.bincount(r.times, r.amplitudes, STEPS) for name, r in rasters.items() if name in ("conv2", "conv3"))
    assert found["per_step"]["sum_spike"] == signed.tolist()
    number = sum(np.bincount(rasters[name].times, minlength=STEPS) for name in ("conv2", "conv3"))
    assert found["per_step"]["abs_spike"] == number.tolist()
    assert found["per_sample"]["sops"] > found["per_sample"]["sops_nonzero_weights"]
    assert found["energy_estimate"]["snn_nj_per_sample"] == pytest.approx(counts[2] / 10 * 0.9e-3)


@pytest.mark.parametrize(("kernel", "stride", "padding", "shape"), [
    (3, 1, "same", (5, 6, 2)), (2, 2, "valid", (5, 7, 2)), (3, 2, 1, (6, 5, 2)), (4, 3, "valid", (9, 4, 1)),
])  # fmt: skip
def test_synapses_that_are_not_zero(kernel, stride, padding, shape):
    rng = np.random.default_rng(kernel)
    weights = rng.integers(-1, 2, (kernel, kernel, shape[2], 3)).astype(float)
    synapses = ConvSynapses(weights, stride, padding)
    target = synapses.output_shape(shape)
    assert np.array_equal(nonzero_fan_out(ConvSynapses(np.ones_like(weights), stride, padding), shape, target),
                          synapses.fan_out(shape, target))  # fmt: skip
    py, px = synapses.pads(*shape[:2])
    wanted = np.zeros(shape, int)
    for y, x in np.ndindex(*target[:2]):
        for dy, dx in np.ndindex(kernel, kernel):
            at = y * stride + dy - py, x * stride + dx - px
            if 0 <= at[0] < shape[0] and 0 <= at[1] < shape[1]:
                wanted[at] += np.count_nonzero(weights[dy, dx], axis=1)
    assert np.array_equal(nonzero_fan_out(synapses, shape, target), wanted.ravel())


def test_a_ternarised_network_is_the_one_to_compare_with(path, tmp_path):
    save_graph(tmp_path / "net.npz", build("quantised", input_shape=(8, 8, 1), layers="6C3-P2-10", n_out=3, k=1, seed=3,
                                           ternary=False))  # fmt: skip
    found = run_scenario(load(path, ["convert.ternarise=true", "measure.integer_levels={steps: 60}"]), tmp_path / "run").metrics
    assert found["integer_levels"]["wrong_levels"] == 0
    with np.load(tmp_path / "tiny.npz") as data:
        right = ternarised(load_graph(tmp_path / "net.npz")).forward(data["x"]).argmax(axis=1) == data["y"]
    assert found["source_accuracy"] == right.mean()


def test_an_image_that_enters_once_is_multiplied_once(path, tmp_path):
    found = run_scenario(load(path, ["measure.energy={}", "run.duration=9"]), tmp_path / "run").metrics["energy"]
    assert found["macs"] == found["layers"][0]["dense"] > 0


def test_whole_inputs_have_16_bits(path, tmp_path):
    with pytest.raises(ScenarioError, match=r"at most 32767.*convert\.input_scale"):
        run_scenario(load(path, ["convert.ends=integer", "convert.input_scale=40000"]), tmp_path / "run")


def test_noise_and_whole_ends(path, tmp_path):
    def logs(name, *overrides):
        return run_scenario(load(path, overrides), tmp_path / name).content

    plain = logs("plain")
    noisy = logs("noisy", "encode.noise=0.8")
    assert noisy["metrics"]["raster_sha256"] != plain["metrics"]["raster_sha256"]
    assert noisy["metrics"]["raster_sha256"] == logs("other_batch", "encode.noise=0.8", "run.batch=3")["metrics"]["raster_sha256"]
    assert logs("other_seed", "encode.noise=0.8", "seed=1")["metrics"]["raster_sha256"] != noisy["metrics"]["raster_sha256"]
    lossy = logs("lossy", "convert.deletion=0.5")
    encoder = [run["metrics"]["spikes"]["per_population"]["conv1"] for run in (plain, lossy)]
    assert encoder[0] == encoder[1]  # they are lost on the way
    assert lossy["metrics"]["integer"]["per_step"]["sop_num"][0] < plain["metrics"]["integer"]["per_step"]["sop_num"][0]
    with_noise = lossy["metrics"]["integer"]["per_sample"]
    assert 0 < with_noise["sops_nonzero_weights"] < with_noise["sops"]
    few = logs("few", "run.record=[conv2]")["metrics"]
    assert few["integer"] == plain["metrics"]["integer"] and few["raster_sha256"] != plain["metrics"]["raster_sha256"]
    flipped = logs("flipped", "convert.flip=0.1")["metrics"]
    assert flipped["integer"]["per_sample"]["sops_nonzero_weights"] > with_noise["sops_nonzero_weights"]
    whole = logs("whole", "convert.ends=integer", "convert.weight_bits=12", "convert.input_scale=8")
    assert all(row["dtype"].startswith("int") for row in whole["conversion"]["layers"])
    counts = [run["metrics"]["integer"]["per_sample"]["spikes"] for run in (whole, plain)]
    assert counts[0] == pytest.approx(counts[1], rel=0.1)


def test_flips_confuse_spike_and_silence_while_the_encoder_speaks():
    """Against the rule: u(i) of the stream of the relay, in the encoder's four steps alone, amplitude 2^k."""
    noisy, ids = with_noise(to_integer(network(1), steps=STEPS)[0], 0.0, 0.3), np.array([4, 9])
    x = np.random.default_rng(5).random((2, 8, 8, 1))
    drive = {"input": Drive(x.reshape(2, -1), "first", (8, 8, 1))}
    results = [run(noisy, drive, duration=STEPS, engine=engine, seed=2, sample_ids=ids) for engine in ("event", "stepped")]
    assert results[0].rasters == results[1].rasters
    sent, passed = (results[0].rasters[name].to_dense() for name in ("conv1", "flip"))
    assert set(np.unique(sent)) == {0, 2}
    for row, sample in enumerate(ids):
        flips = uniform(key(2, "relay", "flip"), int(sample), np.arange(4), sent.shape[2]) < 0.3
        assert np.array_equal(passed[row, :4], np.where(flips, 2 - sent[row, :4], sent[row, :4]))
    assert not passed[:, 4:].any()


def test_every_level_is_compared(path, tmp_path):
    overrides = ["measure.integer_levels={steps: 40}"]
    found = run_scenario(load(path, overrides), tmp_path / "run").metrics["integer_levels"]
    blocks, output = described(load_graph(tmp_path / "net.npz"))
    with np.load(tmp_path / "tiny.npz") as file:
        x = file["x"]
    levels = twin.ann_levels(blocks, x, 1)
    spikes = twin.run(blocks, output, x, k=1, rule="exact", steps=40)[0]
    assert found["levels_compared"] == sum(level.size for level in levels) and found["wrong_levels"] == 0
    assert found["equal_share"] == 1 == found["same_answer_share"] and found["settled_samples"] == 10
    assert {name: row["largest_level"] for name, row in found["per_population"].items()} == {
        f"conv{i}": int(level.max()) for i, level in enumerate(levels, start=1)}  # fmt: skip
    last = max(np.flatnonzero(layer.any(axis=(0, 2, 3, 4))).max() for layer in spikes) + 1
    assert found["silent_after_steps"] == last < 40
    every = [dict(block, kernel=np.ones_like(block["kernel"])) for block in blocks[1:]]
    sops = sum(twin.conv(level * unit, block).sum() for level, block, unit in zip(levels, every, (2, 1)))
    sops += levels[-1].sum() * output.shape[1]
    assert found["sops_of_levels_per_sample"] == pytest.approx(sops / 10)
    coded = run_scenario(load(path, [*overrides, "convert.thresholds=published"]), tmp_path / "coded").metrics["integer_levels"]
    differ = [np.abs(s.sum(axis=1) - level * unit) > 0 for s, level, unit in
              zip(twin.run(blocks, output, x, k=1, rule="published", steps=40)[0], levels, (2, 1, 1))]  # fmt: skip
    assert coded["wrong_levels"] == sum(int(d.sum()) for d in differ) > 0
    assert coded["samples_with_wrong_levels"] == np.any([d.reshape(10, -1).any(axis=1) for d in differ], axis=0).sum()
    short = run_scenario(load(path, ["measure.integer_levels={steps: 2}"]), tmp_path / "short").metrics["integer_levels"]
    assert short["settled_samples"] < 10 and short["equal_share"] < 1


@pytest.mark.parametrize(("overrides", "message"), [
    (["measure.integer_levels={}", "convert.flip=0.1"], "measure.integer_levels: .*levels differ by design"),
    (["measure.integer_levels={}", "convert.ends=integer"], "measure.integer_levels: .*levels differ by design"),
    (["measure.conversion=4"], "measure.conversion: .*integer_levels"),
    (["convert.flip=0.1", "convert.deletion=0.1"], "convert.flip: .*one kind of noise"),
    (["encode={code: constant}"], "encode: .*write 'code: constant, schedule: first'"),
    (["encode={code: poisson}"], "encode: .*takes the values themselves"),
    (["run={every: 1}"], "run.duration: required: widths are proven"),
    (["run={duration: 7}"], "measure.integer_logs: .*set run.every to 1 ms"),
    (["convert.weight_bits=4"], "convert.weight_bits: belongs to 'ends: integer'"),
    (["convert.thresholds=exakt"], "did you mean 'exact'"),
    (["convert.calibration={data: {file: tiny.npz}}"], "convert.calibration"),
    (["convert={to: coding, hidden: rate, calibration: {data: {file: tiny.npz}}}"], "encode.schedule: convert.to 'coding' needs"),
    (["convert.deletion=1.5"], "convert.deletion"), (["encode.noise=-1"], "encode.noise"),
])  # fmt: skip
def test_mistakes(path, overrides, message):
    with pytest.raises(ScenarioError, match=message):
        load(path, overrides)


def test_a_network_that_cannot_be_integer(path, tmp_path):
    from eventsnn.ann.architectures import mlp

    save_graph(tmp_path / "net.npz", mlp(64, [12], 3))
    with pytest.raises(ScenarioError, match=r"convert: .*Conv2d, BatchNorm and QuantReLU"):
        run_scenario(load(path), tmp_path / "run")
