"""Many runs of one scenario: all combinations of values, a folder each, restartable."""

import csv
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from eventsnn import disk
from eventsnn.errors import EventsnnError, ScenarioError
from eventsnn.scenario.load import load
from eventsnn.scenario.results import read_json
from eventsnn.scenario.run import RESULT, STATE, run_scenario
from eventsnn.scenario.sweep_plan import Planned, plan

__all__ = ["INDEX", "Planned", "folder_of", "plan", "row_of", "run_one", "sweep"]

INDEX = "index.csv"
FIGURES = ("accuracy", "agreement", "source_accuracy", "spikes_per_neuron", "synaptic_events", "latency.mean_ms",
           "latency_to_accuracy.reached_ms", "early_exit.mean_ms", "early_exit.time_saved", "early_exit.changed", "pattern_loss",
           "best_pattern_loss", "learned_accuracy_before", "learned_accuracy")  # fmt: skip


def folder_of(planned, out=None):
    """Return the folder of a sweep.

    Parameters
    ----------
    planned : list of Planned
    out : str or Path, optional
        Default: runs/sweep-<name>.

    Returns
    -------
    Path
    """
    return Path(out) if out is not None else Path("runs") / f"sweep-{Path(planned[0].scenario).stem}"


def sweep(planned, out=None, *, index=None, workers=1, executor=None, progress=None):
    """Run a sweep: finished runs are skipped, interrupted ones resumed, failed ones tried again.

    Parameters
    ----------
    planned : list of Planned
        From `plan`.
    out : str or Path, optional
        Folder of the sweep.
    index : int, optional
        Run only this one.
    workers : int
        Processes at a time, when no executor is given.
    executor : concurrent.futures.Executor, optional
        Anything with `submit`: a pool of threads or processes, dask's `client.get_executor()`, mpi4py.futures.
    progress : callable, optional
        Called with the row of every run that is over.

    Returns
    -------
    list of dict
        One row each: run, status, error, values, figures; as in index.csv.
    """
    folder = folder_of(planned, out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk.disk_error(folder, error) from error
    if index is not None and index >= len(planned):
        raise ScenarioError(f"--index {index}: the sweep has {len(planned)} runs, allowed 0 to {len(planned) - 1}")
    chosen = planned if index is None else [planned[index]]
    chosen = list({p.run: p for p in chosen}.values())  # the same scenario twice is one run
    waiting = [p for p in chosen if row_of(folder, p)["status"] != "finished"]
    if index is not None:
        for one in waiting:
            run_one(one, folder)
    elif waiting:
        _spread(waiting, folder, planned, workers, executor, progress)
    _write_index(folder, planned)
    return [row_of(folder, p) for p in chosen]


def _spread(waiting, folder, planned, workers, executor, progress):
    """Hand runs to an executor; the first alone, so that several processes do not compile the same kernels at once."""
    own = executor is None
    pool = executor
    if own:
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread)
    try:
        for group in (waiting[:1], waiting[1:]):
            futures = {pool.submit(run_one, one, folder): one for one in group}
            for future in as_completed(futures):
                try:
                    future.result()
                except BrokenProcessPool:
                    _note(folder, futures[future], "the worker process died (out of memory, or killed)")
                _write_index(folder, planned)
                if progress is not None:
                    progress(row_of(folder, futures[future]))
    finally:
        if own:
            pool.shutdown(cancel_futures=True)


def _one_thread():
    os.environ["NUMBA_NUM_THREADS"] = "1"


def run_one(one, folder):
    """Run one member of a sweep; an error becomes part of its folder.

    Parameters
    ----------
    one : Planned
    folder : str or Path
        Of the sweep.

    Returns
    -------
    str
        finished or failed.
    """
    try:
        run_scenario(load(one.scenario, one.overrides, one.smoke), Path(folder) / one.run, resume=True, sweep=folder)
    except EventsnnError as error:
        _note(folder, one, str(error))
        return "failed"
    return "finished"


def _note(folder, one, problem):
    own = Path(folder) / one.run
    own.mkdir(parents=True, exist_ok=True)
    state = read_json(own / STATE) | {"status": "failed", "error": problem}
    with disk.finished(own / STATE) as part:
        part.write_text(json.dumps(state, indent=1) + "\n", "utf-8")


def row_of(folder, one):
    """Return the row of one run as the disk says it.

    Parameters
    ----------
    folder : Path
        Of the sweep.
    one : Planned

    Returns
    -------
    dict
    """
    own = Path(folder) / one.run
    result, state = read_json(own / RESULT), read_json(own / STATE)
    said = state.get("status", "waiting")
    status = "finished" if result else "waiting" if said == "finished" else said  # a result that is gone or damaged is made again
    row = {"run": one.run, "status": status, "error": "" if result else (state.get("error") or "")}
    figures = {key: _figure(result.get("metrics", {}), key) for key in FIGURES}
    return row | one.values | figures


def _figure(metrics, key):
    from eventsnn.report.page import headline

    name, _, part = key.partition(".")
    return (metrics.get(name) or {}).get(part) if part else headline(metrics, name)


def _earlier(folder, planned):
    """Rows of other sweeps into this folder: their finished runs are still there."""
    try:
        with open(folder / INDEX, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return []
    own = {one.run for one in planned}
    return [row for row in rows if row.get("run") and row["run"] not in own and (folder / row["run"] / RESULT).exists()]


def _write_index(folder, planned):
    """index.csv from what the disk says: any process may write it, the last one is right."""
    rows = [row_of(folder, one) for one in planned] + _earlier(folder, planned)
    said = dict.fromkeys(key for row in rows for key in row if key is not None)
    figures = [key for key in FIGURES if any(row.get(key) not in (None, "") for row in rows)]  # nobody reads empty columns
    columns = [*(key for key in said if key not in FIGURES), *figures]
    with disk.finished(folder / INDEX, f".{os.getpid()}.part") as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
