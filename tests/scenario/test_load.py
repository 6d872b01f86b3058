"""Scenarios are validated as a whole: every mistake at once, with file, line, path, value, and the right spelling."""

import re

import pytest

from eventsnn.errors import ScenarioError
from eventsnn.scenario.load import load
from eventsnn.scenario.network import convert
from eventsnn.scenario.network.build import SYNAPSES
from eventsnn.scenario.network.wire import LISTS
from eventsnn.scenario.schema import scenario as schema
from eventsnn.scenario.schema import source as schema_source
from eventsnn.scenario.simulate import encode
from eventsnn.scenario.text.problems import _tags
from tests.scenario.helpers import ROOT, SCENARIOS, TINY, make_tiny, resolved

GRID = """
format: 1
title: grid
network:
  dt: 1 ms
  inputs: {a: {shape: [4]}}
  populations: {b: {shape: [4], model: if}}
  projections:
    ab: {source: a, target: b, synapses: {kind: dense, weights: {init: constant, value: 1}}}
encode: {code: raster, times: [0], neurons: [1]}
run: {duration: 10}
"""
T2FSNN = TINY.replace("to: ramps", "to: t2fsnn").replace("code: ttfs", "code: ttfs_kernel")
GATED = """
format: 1
title: windows written out
data: {name: digits}
network:
  inputs: {a: {shape: [28, 28, 1]}}
  populations: {b: {shape: [4], model: ramp, parameters: {t_open: 1, t_close: 2}}}
  projections: {ab: {source: a, target: b, synapses: {kind: dense, weights: {init: constant, value: 1}}}}
encode: {code: ttfs}
run: {}
"""
ANY_TIME = TINY.replace("to: ramps,", "to: ramps, model: ungated,")
BAD = [
    # (text, override or None, line, what the message must say)
    (TINY, "run.thread=2", None, "run.thread: unknown key, allowed engine, .*did you mean 'threads'"),
    (TINY, "dta.limit=2", None, "dta: unknown key, .*did you mean 'data'"),
    (TINY, "convert.to=ramp", None, "convert.to: unknown value, got 'ramp', allowed ramps, coding, t2fsnn, integer, "
                                    "hybrid, did you mean 'ramps'"),
    (TINY, "encode.code=ttf", None, "encode.code: unknown value, got 'ttf'.*did you mean 'ttfs'"),
    (TINY, "run.engine=evnt", None, "got 'evnt', allowed event, stepped, analytic, auto, did you mean 'event'"),
    (TINY, "run.threads=0", None, "run.threads: must be >= 1, got 0"),
    (TINY, "run.threads=1.5", None, "run.threads: must be a whole number"),
    (TINY, "run.threads=true", None, "run.threads: must be a whole number, got true"),
    (TINY, "run.duration=10 mss", None, "unknown unit of time, got 'mss'.*did you mean 'ms'"),
    (TINY, "run.duration=.nan", None, "must be a finite time"),
    (TINY, "run.duration=5 ms", None, "run.duration: the neurons' windows set how long a sample takes.*; remove it"),
    (T2FSNN, "run.duration=30 ms", None, "run.duration: the neurons' windows"),
    (GATED, "run.duration=30 ms", None, "run.duration: the neurons' windows"),
    (TINY, "title=[1]", None, "title: must be text, got a list"),
    (TINY, "convert.zeta=big", None, "convert.zeta: must be a number, got 'big'"),
    (TINY, "convert.zeta=.inf", None, "convert.zeta: must be a finite number"),
    (TINY, "data=3", None, "data: must be a mapping"),
    (TINY, "data={name: mnst}", None, "data.name: unknown data set, got 'mnst', allowed digits, .*did you mean 'mnist'"),
    (TINY, "data={}", None, "data: needs either name"),
    (TINY, "network={sorce: {file: a.npz}}", None, "network.sorce: unknown key, allowed source.*did you mean 'source'"),
    (TINY, "network={}", None, "network.source: required"),
    (TINY, "convert=null", None, "convert: required to run"),
    (TINY, "encode=null", None, "encode: required to run"),
    (TINY, "run=null", None, "run: required"),
    (TINY, "format=2", None, "format: unknown value, got 2, allowed 1"),
    (TINY, "published.acuracy={value: 1, source: x}", None, "published.acuracy: .*did you mean 'accuracy'"),
    (TINY, "convert.model=ungatd", None, "convert.model: .*got 'ungatd', allowed gated, ungated, alpha1"),
    (TINY, "convert.alpha=2", None, "convert.alpha: belongs to model alpha1"),
    (TINY, "convert.alpha=0", None, "convert.alpha: must be > 0"),
    (ANY_TIME.replace("ungated", "alpha1"), None, 7, "encode.silent: must be false with convert.model alpha1"),
    (ANY_TIME, "convert.early=refuse", None, "convert.early: belongs to model gated"),
    (ANY_TIME, "run.engine=stepped", None, "run.engine: ungated ramps.*event engine only, got 'stepped', allowed event, auto"),
    (ANY_TIME, "encode.code=constant", None, "encode.code: ungated ramps hear spike times, got 'constant', allowed ttfs, raster"),
    (TINY, "run", None, "must look like a.b=value"),
    (TINY.replace("ttfs}", "ttfs, q: x}"), None, 7, "encode.q: must be a number, got 'x'"),
    (TINY + "smoke: {data.limt: 3}", None, 9, "data.limt: unknown key, .*did you mean 'limit'"),
    (TINY + "smoke: {run.batch: no}", None, 9, "run.batch: must be a whole number, got 'no'"),
    (GRID, "network.populations.b.modl=if", None, "modl: unknown key, allowed shape, model.*did you mean 'model'"),
    (GRID, "network.projections.ab.synapses.kind=dens", None, "synapses.kind: unknown value, got 'dens'.*did you mean 'dense'"),
    (GRID, "network.projections.ab.synapses.weights={}", None, "needs the key 'init', allowed normal, uniform"),
    (GRID, "encode.neurons=[1,2]", None, "encode.neurons: times and neurons must be equally long, got 1 and 2"),
    (GRID, "encode={b: {code: raster, file: x.h5}}", None, "encode.b: unknown input, allowed a"),
    (GRID, "convert={to: coding, hidden: rate, calibration: {data: {name: mnist}}}", None,
     "convert: an explicit network is spiking already"),
]


@pytest.mark.parametrize(("text", "override", "line", "message"), BAD)
def test_mistakes_name_place_and_remedy(text, override, line, message):
    with pytest.raises(ScenarioError) as caught:
        resolved(text, [override] if override else [])
    found = str(caught.value)
    assert re.search(message, found), found
    assert f"s.yml:{line}:" in found if line else f"--set {override}" in found


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        (GATED, ["encode={code: latency}"]),  # latencies have no end
        (GATED, ["encode={code: raster, times: [1], neurons: [3]}", "data=null"]),
        (T2FSNN, ["convert.t_fire_start=40"]),  # early firing is on the grid
        (T2FSNN, ["convert.clock=grid"]),
        (ANY_TIME, []),
    ],
)
def test_a_duration_that_has_a_meaning_is_taken(text, overrides):
    assert resolved(text, [*overrides, "run.duration=30 ms"]).spec.run.duration == 30.0


def test_all_mistakes_at_once():
    text = TINY.replace("title: tiny", "titel: tiny").replace("batch: 4", "batch: 0, engine: x") + "extra: 1\n"
    with pytest.raises(ScenarioError) as caught:
        resolved(text, ["convert.zeta=q"])
    lines = str(caught.value).splitlines()
    assert len(lines) == 6  # title missing, titel, batch, engine, extra, zeta
    assert all(re.match(r"(s\.yml:\d+|--set [^:]+): [a-z.]+: ", line) for line in lines)


def test_overrides_change_what_they_name_and_the_hash():
    plain, changed = resolved(TINY), resolved(TINY, ["run.batch=5", "seed=3", "convert.zeta=1e-1"])
    assert (changed.spec.run.batch, changed.spec.seed, changed.spec.convert.zeta) == (5, 3, 0.1)
    assert plain.sha256 != changed.sha256
    assert resolved(TINY, ["run.threads=2"]).sha256 == plain.sha256  # threads change no result
    assert resolved(TINY, ["run.engine=event"]).sha256 == plain.sha256  # a default written out is no change
    assert resolved(changed.text).sha256 == changed.sha256  # the resolved text says everything


def test_later_overrides_win_and_lists_are_indexed():
    loaded = resolved(TINY + "smoke: {run.batch: 9}\n", ["run.record=[a, b]", "run.record.1=c"], smoke=True)
    assert loaded.spec.run.batch == 9 and loaded.spec.run.record == ["a", "c"] and loaded.spec.smoke == {}
    with pytest.raises(ScenarioError, match="must name an entry"):
        resolved(TINY, ["run.record=[a]", "run.record.4=c"])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_every_scenario_is_valid_in_both_forms(path):
    assert load(path).spec.smoke
    assert load(path, smoke=True).spec.format == 1


def test_the_shipped_quick_start_is_the_one_in_scenarios(tmp_path, monkeypatch):
    shipped = ROOT / "eventsnn" / "shipped" / "quickstart.yml"
    assert shipped.read_bytes() == (ROOT / "scenarios" / "quickstart.yml").read_bytes()
    monkeypatch.chdir(tmp_path)  # as after installing a wheel: no scenarios folder
    assert load("scenarios/quickstart.yml").sha256 == load("shipped:quickstart.yml").sha256


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ScenarioError, match="no such file"):
        load(tmp_path / "missing.yml")
    (tmp_path / "latin.yml").write_bytes(b"title: \xe9\xff")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load(tmp_path / "latin.yml")
    (tmp_path / "big.yml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ScenarioError, match="too large"):
        load(tmp_path / "big.yml")
    (tmp_path / "list.yml").write_text("- 1\n")
    with pytest.raises(ScenarioError, match="must be a mapping"):
        load(tmp_path / "list.yml")


def test_relative_paths_start_at_the_file(tmp_path, monkeypatch):
    path = make_tiny(tmp_path)
    monkeypatch.chdir("/")
    assert load(path).file("tiny.npz") == tmp_path.resolve() / "tiny.npz"


def test_every_tag_of_the_schema_has_its_entry():
    def tags(union, key):
        members = union.__args__[0].__args__
        return {tag for m in members for tag in _tags(m) & set(m.model_fields[key].annotation.__args__)}

    assert tags(schema.Convert, "to") == set(convert.CONVERTERS)
    assert tags(schema.Encoder, "code") == {*encode.ENCODERS, "raster"}
    from eventsnn.scenario.schema.network import Synapses

    assert tags(Synapses, "kind") == set(SYNAPSES) | set(LISTS)


def test_training_settings_are_those_of_the_trainer():
    from eventsnn.ann.settings import TrainSettings

    ours, theirs = schema_source.TrainSettings(), TrainSettings()
    assert {**ours.model_dump(), "twin": None} == theirs.to_dict()  # the twin has a section of its own: train.twin


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["run.record=[a]", "run.record.0.b=1"], "run.record.0: must be text, got a mapping"),
        (["run.record=[a]", "run.record.²=1"], "allowed 0 to 0"),
        (["run.record=[]", "run.record.0=a"], "which is empty"),
        (['title="a\\0b"'], "character '.x00' is not allowed"),
        (['title="\\ud800"'], "is not allowed"),
        (["run=null", "network=null", "train={data: {name: digits}, architecture: {kind: mlp}}"], "encode: belongs to a run:"),
        (["run=null", "measure.layers=true"], "measure.layers: is measured in a run:"),
        (["run.record=[]", "measure.histograms=true"], "measure.histograms: needs recorded spikes"),
        (["run.record=[]", "measure.conversion=4"], "measure.conversion: needs recorded spikes"),
        (["convert.windows=3"], "convert.windows: belongs to rule fixed"),
        (["encode={code: poisson}"], "encode.code: 'poisson' works in steps"),
    ],
)
def test_what_has_no_effect_or_no_place_is_refused(tmp_path, overrides, words):
    with pytest.raises(ScenarioError, match=words):
        load(make_tiny(tmp_path), overrides)


def test_an_empty_file_is_called_one(tmp_path):
    (tmp_path / "s.yml").write_text("")
    with pytest.raises(ScenarioError, match=r"s\.yml:1: scenario: must be a mapping of keys, got an empty file"):
        load(tmp_path / "s.yml")
