"""Kernel files: the published form read and written bit for bit, and everything that is not one refused in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn.conversion.kernels import Kernels
from eventsnn.errors import DataError, EventsnnError, ModelError
from eventsnn.files.kernels import file_name, read_kernels, write_kernels
from tests.properties.settings import examples

PUBLISHED = "tc,in,25.4929\ntc,conv1,19.455557\ntc,conv1_1,19.9047\n\ntd,in,0.0\ntd,conv1,-2.0043764\ntd,conv1_1,-1.7328\n"
KERNELS = Kernels({"in": 25.4929, "conv1": 19.455557, "conv1_1": 19.9047}, {"in": 0.0, "conv1": -2.0043764, "conv1_1": -1.7328})


def test_the_published_form(tmp_path):
    path = tmp_path / "k"
    path.write_text(PUBLISHED)
    assert read_kernels(path) == KERNELS
    write_kernels(path, KERNELS)
    assert path.read_text() == PUBLISHED


@examples(50)
@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=6))
def test_written_kernels_read_back_bit_for_bit(tmp_path_factory, values):
    names = ["in", *(f"layer {k}" for k in range(1, len(values)))]
    kernels = Kernels({n: tau for n, (tau, _) in zip(names, values)}, {n: td for n, (_, td) in zip(names, values)})
    path = tmp_path_factory.mktemp("k") / "k"
    write_kernels(path, kernels)
    assert read_kernels(path) == kernels


@examples(150)
@given(st.data())
def test_a_mutated_file_is_read_or_refused_in_words(tmp_path_factory, data):
    text = bytearray(PUBLISHED.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at:at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        text = text or bytearray(b"\n")
    path = tmp_path_factory.mktemp("k") / "k"
    path.write_bytes(bytes(text))
    try:
        kernels = read_kernels(path)
    except EventsnnError:
        return
    assert kernels.layers[0:1] and all(np.isfinite([*kernels.tau.values(), *kernels.td.values()]))


@pytest.mark.parametrize("text, words", [
    ("", "no line 'tc,in,...'"),
    ("tc,in,20\n", "no line 'td,in,...'"),
    ("tc,in,20\ntc,in,20\n\ntd,in,0\n", ":2: layer 'in' has a second tc"),
    ("tc,in,20\ntc,a,20\n\ntd,in,0\n", "layer 'a' needs both"),
    ("tc,in,nan\n", ":1: the value must be a finite number, got 'nan'"),
    ("tc,in,-3\n\ntd,in,0\n", "layer 'in' needs 0 < tau"),
    ("tau,in,20\n", ":1: must be 'tc,<layer>,<value>'"),
    ("tc,in,20,5\n", ":1: must be"),
], ids=range(8))
def test_what_is_wrong_is_told(tmp_path, text, words):
    (tmp_path / "k").write_text(text)
    with pytest.raises(DataError) as error:
        read_kernels(tmp_path / "k")
    assert words in str(error.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "large").write_bytes(b"tc,in,20\n" * 200_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, words in (("large", "larger than 1 MiB"), ("binary", "not UTF-8"), ("nowhere", "No such file")):
        with pytest.raises(DataError, match=words):
            read_kernels(tmp_path / name)
    with pytest.raises(DataError, match="must not hold commas"):
        write_kernels(tmp_path / "k", Kernels({"in": 1.0, "a,b": 1.0}, {"in": 0.0, "a,b": 0.0}))


def test_published_names():
    assert file_name(20.0, 80, 60000) == "tc-20_tw-80_itr-60000"
    assert file_name(5.0, 20, 400, True) == "tc-5_tw-20_itr-400_outlier"


def test_kernels_find_their_layers():
    assert KERNELS.for_layers(["conv1", "conv1_1"]) == KERNELS
    renamed = KERNELS.for_layers(["a", "b"], by_order=True)
    assert renamed.layers == ["in", "a", "b"] and renamed.tau["b"] == 19.9047
    with pytest.raises(ModelError, match="are for the layers in, conv1, conv1_1, the network has in, a, b; by_order"):
        KERNELS.for_layers(["a", "b"])
    with pytest.raises(ModelError, match="are for the layers"):
        KERNELS.for_layers(["a"], by_order=True)
    assert Kernels.uniform(["a"], 5.0) == Kernels({"in": 5.0, "a": 5.0}, {"in": 0.0, "a": 0.0})
