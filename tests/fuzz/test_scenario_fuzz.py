"""Mutated scenario files: a valid scenario or a ScenarioError with the name of the file, never anything else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.errors import ScenarioError
from eventsnn.scenario.load import load
from tests.scenario.helpers import SCENARIOS

TEXTS = [path.read_bytes() for path in SCENARIOS]
WORDS = [b"&a ", b"*a", b"!!x ", b"<<: ", b"{", b"}", b"[", b"]", b": ", b"- ", b"\t", b"'", b'"', b"|", b">", b"#", b"?", b"%",
         b"\n\n", b"...\n", b"---\n", b"null", b"1e999", b".nan", b"-1", b"0x", b"\xff", b"\xc3\xa9", b"\x00", b"~", b"9" * 50,
         b"true", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"a.b.c: 1\n", b"smoke:\n  x..y: 1\n", b"  0: 1\n"]  # fmt: skip


@st.composite
def mutated(draw):
    """A scenario with a few bytes cut, doubled, moved or replaced."""
    text = bytearray(draw(st.sampled_from(TEXTS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(text) - 1)))
        stop = min(len(text), start + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["cut", "double", "word", "bytes"]))
        if kind == "cut":
            del text[start:stop]
        elif kind == "double":
            text[start:start] = text[start:stop]
        elif kind == "word":
            text[start:stop] = draw(st.sampled_from(WORDS))
        else:
            text[start:stop] = draw(st.binary(max_size=8))
    return bytes(text)


def _check(path, **options):
    try:
        loaded = load(path, **options)
    except ScenarioError as error:
        lines = str(error).splitlines()
        assert lines and any(str(path) in line or "--set" in line for line in lines)
    else:
        assert loaded.spec.format == 1 and loaded.sha256


@settings(max_examples=250)
@given(text=mutated(), smoke=st.booleans())
def test_mutated_files(tmp_path_factory, text, smoke):
    path = tmp_path_factory.getbasetemp() / "fuzz.yml"
    path.write_bytes(text)
    _check(path, smoke=smoke)


@settings(max_examples=100)
@given(where=st.text(max_size=12), value=st.text(max_size=12))
def test_any_override(where, value):
    path = SCENARIOS[-1]
    _check(path, overrides=[f"{where}={value}"])


ODD = [b"", b"\n", b"null", b"[]", b"1", b"a", b"\xef\xbb\xbf", b"{}", b"? ", b"-", b"!", b"&a", b"*a", b"%"]


@pytest.mark.parametrize("text", ODD)
def test_odd_little_files(tmp_path, text):
    (tmp_path / "odd.yml").write_bytes(text)
    with pytest.raises(ScenarioError, match=r"odd\.yml"):
        load(tmp_path / "odd.yml")
