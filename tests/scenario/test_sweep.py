"""Sweeps: all combinations, one folder each, skipped when finished, kept with their error when failed."""

import csv
from concurrent.futures import ThreadPoolExecutor

import pytest

from eventsnn.errors import ScenarioError
from eventsnn.scenario import sweep as sweeps
from eventsnn.scenario.sweep_plan import values_of
from tests.scenario.helpers import Here, make_tiny


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("seed=0..3", [0, 1, 2, 3]), ("a=3..1", [3, 2, 1]), ("a.b=1,2.5,x", [1, 2.5, "x"]), ("a=[1,2],null", [[1, 2], None]),
     ("a=5 ms,10 ms", ["5 ms", "10 ms"])],
)  # fmt: skip
def test_values(text, wanted):
    assert values_of(text)[1] == wanted


@pytest.mark.parametrize("text", ["seed", "seed=", "=1", "seed=0..9999999", "a=[1"])
def test_what_is_no_list_of_values(text):
    with pytest.raises(ScenarioError):
        values_of(text)


def test_all_combinations_run_once_and_are_then_skipped(tmp_path):
    path = make_tiny(tmp_path)
    plan = sweeps.plan(path, ["convert.zeta=0.2,0.5", "run.batch=3..4"], ["data.limit=6"])
    assert [p.values for p in plan] == [
        {"convert.zeta": z, "run.batch": b} for z in (0.2, 0.5) for b in (3, 4)
    ]  # fmt: skip
    here = Here()
    rows = sweeps.sweep(plan, tmp_path / "s", executor=here)
    assert here.count == 4 and {row["status"] for row in rows} == {"finished"}
    with open(tmp_path / "s" / "index.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["convert.zeta"] for row in table] == ["0.2", "0.2", "0.5", "0.5"]
    assert all(float(row["agreement"]) == 1.0 for row in table)
    again = Here()
    assert sweeps.sweep(plan, tmp_path / "s", executor=again) == rows and again.count == 0


def test_failed_runs_are_kept_with_their_error_and_tried_again(tmp_path):
    path = make_tiny(tmp_path)
    plan = sweeps.plan(path, ["data.limit=4,99"])
    rows = sweeps.sweep(plan, tmp_path / "s", executor=Here())
    assert [row["status"] for row in rows] == ["finished", "failed"] and "has 24 samples" in rows[1]["error"]
    here = Here()
    sweeps.sweep(plan, tmp_path / "s", executor=here)
    assert here.count == 1


def index_of(folder):
    """The rows of index.csv."""
    with open(folder / "index.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_second_sweep_into_a_folder_keeps_the_finished_rows_of_the_first(tmp_path):
    path, out = make_tiny(tmp_path), tmp_path / "s"
    sweeps.sweep(sweeps.plan(path, ["data.limit=4,99"]), out, executor=Here())
    first = index_of(out)
    sweeps.sweep(sweeps.plan(path, ["convert.zeta=0.2,0.5"], ["data.limit=6"]), out, executor=Here())
    rows = index_of(out)
    assert [(row["convert.zeta"], row["data.limit"]) for row in rows] == [("0.2", ""), ("0.5", ""), ("", "4")]
    assert {key: rows[2][key] for key in first[0]} == first[0] and rows[2]["status"] == "finished"
    sweeps.sweep(sweeps.plan(path, ["data.limit=4"]), out, executor=Here())
    assert sorted(row["run"] for row in index_of(out)) == sorted(row["run"] for row in rows)


def test_the_index_has_latencies_and_no_empty_columns(tmp_path):
    plan = sweeps.plan(make_tiny(tmp_path), ["data.limit=4"])
    (row,) = sweeps.sweep(plan, tmp_path / "s", executor=Here())
    (written,) = index_of(tmp_path / "s")
    assert float(written["latency.mean_ms"]) == row["latency.mean_ms"] > 0 and "source_accuracy" in written
    assert not any(key.startswith(("pattern", "best_pattern", "learned", "early_exit")) for key in written)


def test_an_index_runs_one(tmp_path):
    plan = sweeps.plan(make_tiny(tmp_path), ["data.limit=2,3,4"])
    rows = sweeps.sweep(plan, tmp_path / "s", index=1)
    assert [row["data.limit"] for row in rows] == [3]
    with open(tmp_path / "s" / "index.csv", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["waiting", "finished", "waiting"]
    with pytest.raises(ScenarioError, match="allowed 0 to 2"):
        sweeps.sweep(plan, tmp_path / "s", index=3)


def test_any_executor_gives_the_same_result(tmp_path):
    plan = sweeps.plan(make_tiny(tmp_path), ["data.limit=2..5"])
    with ThreadPoolExecutor(2) as pool:
        threaded = sweeps.sweep(plan, tmp_path / "threads", executor=pool)
    processes = sweeps.sweep(plan, tmp_path / "processes", workers=1)
    assert threaded == processes == sweeps.sweep(plan, tmp_path / "here", executor=Here())


def test_mistakes_are_found_before_anything_runs(tmp_path):
    path = make_tiny(tmp_path)
    with pytest.raises(ScenarioError, match="did you mean 'zeta'"):
        sweeps.plan(path, ["convert.zta=1,2"])
    with pytest.raises(ScenarioError) as caught:
        sweeps.plan(path, ["run.batch=1,0,-1"])
    assert len(str(caught.value).splitlines()) == 2
