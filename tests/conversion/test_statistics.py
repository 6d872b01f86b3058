"""Activation statistics: exact percentiles in bounded memory, files that read back bit for bit, and their use."""

from functools import partial

import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net
from eventsnn.conversion import statistics
from eventsnn.conversion.normalise import neuron_thresholds, normalise
from eventsnn.conversion.scales import layer_scales
from eventsnn.conversion.statistics import TopValues, scan
from eventsnn.conversion.statistics_file import label, read, write
from eventsnn.errors import DataError, ModelError

RNG = np.random.default_rng(8)
GRAPH = conv_net((8, 8, 1), [3, "P"], [5], 2, seed=4)
X = RNG.random((33, 8, 8, 1), dtype=np.float32)


@pytest.mark.parametrize("n", [1, 2, 7, 100, 1001])
def test_top_values_are_numpys_percentiles(n):
    values = RNG.choice([-1.0, 0.0, 0.5, 2.0], (n, 3)) + RNG.random((n, 3)) * (RNG.random() > 0.5)
    for lowest in (0.5, 50, 99, 99.9, 100):
        top, first = TopValues(n, lowest), 0
        while first < n:
            size = int(RNG.integers(1, 40))
            top.add(values[first : first + size])
            first += size
        assert sum(len(part) for part in top.parts) <= max(2 * top.kept + 40, 1)
        for percentile in {lowest, max(lowest, 99.95), 100}:
            assert np.allclose(top.result(percentile), np.percentile(values, percentile, axis=0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("batch_bytes", [2**26, 10000])
def test_scan(monkeypatch, batch_bytes):
    monkeypatch.setattr("eventsnn.ann.graph.BATCH_BYTES", batch_bytes)
    found = scan(GRAPH, X, percentiles=(90, 99.9, 100), calibration="mine")
    values = GRAPH.forward(X, keep=True)
    for name in ("conv1", "dense1", "output"):
        a = values[name].reshape(33, -1)
        a = a if name == "output" else np.maximum(a, 0)
        for p in (90, 99.9, 100):
            assert np.allclose(found.percentile(name, p), np.percentile(a, p, axis=0), rtol=1e-6)
    by_channel = scan(GRAPH, X, percentiles=(90,), by="channel")
    expected = found.percentile("conv1", 90).reshape(8, 8, 3).max((0, 1))
    assert (by_channel.percentile("conv1", 90) == expected).all()
    assert found.calibration["name"] == "mine" and found.calibration["samples"] == 33


@pytest.mark.parametrize("by", ["neuron", "channel"])
def test_files_read_back_bit_for_bit(tmp_path, by):
    found = scan(GRAPH, X, percentiles=(97.25, 99.9, 100), by=by, calibration="mine")
    write(tmp_path / "a.csv", found, prefix="act")
    again = read(tmp_path / "a.csv", GRAPH)
    assert again.by == by and again.calibration == found.calibration and again.file == "a.csv"
    assert {n: {p: v.tobytes() for p, v in of.items()} for n, of in found.values.items()} == {
        n: {p: v.tobytes() for p, v in of.items()} for n, of in again.values.items()}  # fmt: skip
    names = [row.split(",")[0] for row in (tmp_path / "a.csv").read_text().splitlines()[1:]]
    assert names[:3] == ["act_conv1_max_9725", "act_conv1_max_999", "act_conv1_max"] and len(names) == 9


def test_names_of_percentiles():
    assert [label(p) for p in (100, 99.9, 99, 98, 99.99)] == ["max", "max_999", "max_99", "max_98", "max_9999"]


def test_a_network_normalised_from_a_file_is_the_same(tmp_path):
    write(tmp_path / "a.csv", scan(GRAPH, X, percentiles=(99.9, 100), calibration="mine"))
    kept = read(tmp_path / "a.csv", GRAPH)
    for rule in ("neuron_percentile", "layer_max", "channel", "diehl"):
        scanned, first = normalise(GRAPH, X, rule=rule, calibration="mine")
        reused, second = normalise(GRAPH, None, rule=rule, statistics=kept)
        one, other = scanned.parameters(), reused.parameters()
        assert all(one[key].tobytes() == other[key].tobytes() for key in one)
        assert first["statistics"] is None and second["statistics"] == "a.csv"
        assert {**first, "statistics": 0} == {**second, "statistics": 0}
    for rule in ("neuron_percentile", "layer_max", "model"):
        theta, other = neuron_thresholds(GRAPH, X, rule=rule), neuron_thresholds(GRAPH, None, rule=rule, statistics=kept)
        assert all((theta[name] == other[name]).all() for name in theta)
    by_channel = scan(GRAPH, X, percentiles=(99.9,), by="channel")
    scanned, reused = (normalise(GRAPH, X, rule="channel", statistics=kept)[0] for kept in (None, by_channel))
    assert all(reused.parameters()[key].tobytes() == value.tobytes() for key, value in scanned.parameters().items())
    with pytest.raises(ModelError, match="pools all activations"):
        normalise(GRAPH, None, rule="percentile", statistics=kept)
    with pytest.raises(ModelError, match=r"a\.csv: layer 'conv1' has the percentiles 99\.9, 100, needed 98"):
        normalise(GRAPH, None, percentile=98.0, statistics=kept)


def test_published_one_row_files_can_be_put_together(tmp_path):
    rows = {"act_n_train_conv1_max_999": 192, "act_n_train_dense1_max_999": 5, "act_n_train_output_max_999": 2}
    text = "".join(f"{name},{','.join(map(str, range(size)))}\n" for name, size in rows.items())
    (tmp_path / "p.csv").write_text(text)
    kept = read(tmp_path / "p.csv", GRAPH)
    _, report = normalise(GRAPH, X, statistics=kept)
    assert [row["scale"] for row in report["layers"]] == [191.0, 4.0, 1.0] and report["calibration"] is None


@pytest.mark.parametrize(("text", "message"), [
    (None, "a.csv: cannot be read"),
    (b"\xff\xfe\x00", "not UTF-8"),
    (b"act_conv9_max_999,1,2\n", r"a\.csv:1: row 'act_conv9_max_999' names no layer.*conv1, dense1, output"),
    (b"act_dense1_max_999,1,2\n", "has 2 values, layer 'dense1' has 5 neurons"),
    (b"\nact_output_max_999,1,nan\n", "a.csv:2.*finite"),
    (b"act_output_max_999,1,two\n", "finite"),
    (b"# eventsnn activation statistics {\n", "a.csv:1: the first line"),
    (b'# eventsnn activation statistics {"by": "row"}\n', "a.csv:1: the first line"),
    (b'# eventsnn activation statistics {"percentiles": 3}\n', "a.csv:1: the first line"),
])  # fmt: skip
def test_damaged_files_are_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "a.csv").write_bytes(text)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.csv", GRAPH)


def test_bad_options(monkeypatch):
    for options in ({"percentiles": ()}, {"percentiles": (0,)}, {"percentiles": 99.9}, {"percentiles": "a"}, {"by": "neurons"}):
        with pytest.raises(ModelError, match="statistics"):
            scan(GRAPH, X, **options)
    with pytest.raises(ModelError, match="at least one"):
        scan(GRAPH, X[:0])
    broken = X.copy()
    broken[4, 0, 0] = np.nan
    for look in (scan, layer_scales, partial(neuron_thresholds, rule="percentile")):
        with pytest.raises(ModelError, match="must be finite, sample 4 is not"):
            look(GRAPH, broken)
    with pytest.raises(ModelError, match=r"no layer 'conv2'.*did you mean 'conv1'"):
        scan(GRAPH, X).percentile("conv2", 99.9)
    monkeypatch.setattr(statistics, "LARGEST_SCAN", 1000)
    with pytest.raises(ModelError, match="GiB of values"):
        scan(GRAPH, X)
