"""Strict YAML 1.2: values, line numbers, refusals, and writing what is read back unchanged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.errors import ScenarioError
from eventsnn.scenario.text import yaml


def test_yaml_is_version_1_2():
    text = "a: 1e-3\nb: no\nc: 012\nd: 1:30\ne: 2001-01-01\nf: [1, {g: ~}]\nh: 0x1F\ni: true\n"
    data, lines = yaml.parse(text, "f.yml")
    assert data == {"a": 1e-3, "b": "no", "c": 12, "d": "1:30", "e": "2001-01-01", "f": [1, {"g": None}], "h": 31, "i": True}
    assert lines[("d",)] == 4 and lines[("f", 1, "g")] == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "f.yml:1: anchors and aliases"),
        ("a: !!python/object:os.system 1", "f.yml:1: tags are not allowed"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "f.yml:4: b.c: duplicate key, first written in line 3"),
        ("<<: {a: 1}", "merge keys"),
        ("a: [1, 2", "not valid YAML"),
        ("a: {" * 60, "nested too deep"),
        ("--- 1\n--- 2", "one document"),
        ("%YAML 1.1\n---\na: yes", "YAML 1.2"),
        ("? [1]\n: 2", "a key must be a name"),
        ("a: \x00", "not valid YAML"),
        ("a: " + "9" * 5000, "not a valid int"),
        ("a: 1\n" * 200_001, "file too large"),
    ],
)
def test_refused(text, message):
    with pytest.raises(ScenarioError, match=r"f\.yml:") as caught:
        yaml.parse(text, "f.yml")
    assert message in str(caught.value)


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=100)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), _PLAIN, max_size=4))
def test_what_is_written_reads_back(data):
    assert yaml.parse(yaml.write(data), "w.yml")[0] == data
