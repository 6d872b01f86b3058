"""Run a scenario into its folder: refuse to touch finished results, resume, write everything whole or not at all."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from eventsnn import disk
from eventsnn.errors import EventsnnError, RunError
from eventsnn.scenario import results

STATE = "run.json"
RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes
    ----------
    folder : Path
    content : dict
        Content of result.json.
    reused : bool
        Whether it was there before.
    """

    folder: Path
    content: dict
    reused: bool = False

    @property
    def metrics(self):
        """The figures of the run."""
        return self.content["metrics"]


def default_folder(loaded):
    """Return where a scenario runs if nobody says: runs/<name>-<hash>.

    Parameters
    ----------
    loaded : LoadedScenario

    Returns
    -------
    Path
    """
    return Path("runs") / f"{loaded.name}-{loaded.sha256[:10]}"


def run_scenario(loaded, out=None, *, resume=False, progress=None, sweep=None):
    """Run a scenario.

    Parameters
    ----------
    loaded : LoadedScenario
    out : str or Path, optional
        Run folder; default `default_folder`.
    resume : bool
        Go on with what an interrupted run has left there.
    progress : callable, optional
        Called with (stage, done, total).
    sweep : str or Path, optional
        Folder of run folders: weights that one of them has trained from the very same inputs are taken over.

    Returns
    -------
    Result

    Raises
    ------
    RunError
        If the folder holds another experiment, or an interrupted run and `resume` is not set; if the disk is full.
    EventsnnError
        Whatever a stage finds wrong.
    """
    folder = Path(out) if out is not None else default_folder(loaded)
    with _own(folder):
        finished = _admit(folder, loaded, resume)
        if finished is not None:
            return finished
        _write_state(folder, loaded, "running")
        try:
            return _run(folder, loaded, progress or (lambda stage, done, total: None), sweep)
        except KeyboardInterrupt:
            _write_state(folder, loaded, "interrupted")
            raise
        except (EventsnnError, OSError, MemoryError) as error:
            problem = _in_words(error, folder)
            with contextlib.suppress(EventsnnError, OSError):
                _write_state(folder, loaded, "failed", str(problem))
            raise problem from error


def _in_words(error, folder):
    if isinstance(error, EventsnnError):
        return error
    if isinstance(error, MemoryError):
        return RunError("not enough memory; make run.batch smaller, or record fewer populations (run.record)")
    return disk.disk_error(error.filename or folder, error)


@contextlib.contextmanager
def _own(folder):
    """Hold the folder against a second process; the lock goes with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115
    except OSError as error:
        raise disk.disk_error(folder, error) from error
    with lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass  # not on this system
        except OSError:
            raise RunError(f"{folder}: another process is running in this folder; wait for it or use --out") from None
        yield


def read_result(folder):
    """Read result.json of a run folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict

    Raises
    ------
    RunError
        If it is damaged.
    """
    content = results.read_json(folder / RESULT)
    if not all(isinstance(content.get(key), dict) for key in ("metrics", "published", "timing", "provenance")):
        raise RunError(f"{folder / RESULT}: damaged, no result of a run; remove this file and go on with --resume")
    return content


def _admit(folder, loaded, resume):
    """Look at what a folder holds: a finished result to reuse, nothing, or a reason to refuse."""
    state = results.read_json(folder / STATE)
    if (folder / RESULT).exists():
        content = read_result(folder)
        if content["provenance"].get("scenario_sha256") == loaded.sha256:
            _clear_parts(folder)
            return Result(folder, content, True)
        raise RunError(f"{folder}: holds the finished result of another experiment and stays as it is; use --out")
    if state and state.get("scenario_sha256") != loaded.sha256:
        raise RunError(f"{folder}: holds an unfinished run of another experiment; use --out, or remove the folder")
    if not state and (folder / "raster.h5").exists():
        raise RunError(f"{folder}: holds a raster.h5 that this scenario did not make; use --out")
    kept = [p for pattern in ("slice-*.npz", "checkpoint.npz", "weights.h5") for p in folder.glob(f"stages/*/{pattern}")]
    if kept and not resume:
        raise RunError(f"{folder}: holds an interrupted run of this scenario; go on with --resume, or remove the folder")
    return None


def _clear_parts(folder):
    """Remove what runs that were killed while they wrote have left of a file."""
    for left in folder.glob("*.part"):
        left.unlink(missing_ok=True)


def _write_state(folder, loaded, status, error=None):
    content = {"status": status, "scenario_sha256": loaded.sha256, "scenario_file": loaded.source, "error": error}
    results.write_json(folder / STATE, content)


def _run(folder, loaded, progress, sweep):
    from eventsnn.scenario.ahead import look_ahead
    from eventsnn.scenario.job import Job
    from eventsnn.scenario.learn.learned import write_learned
    from eventsnn.scenario.stages import execute

    start = time.perf_counter()
    job = Job(loaded, folder, progress, None if sweep is None else Path(sweep))
    if loaded.spec.train is not None or loaded.spec.learn is not None:
        look_ahead(job)  # what stops a late stage is known before hours of training
    execute(job)
    content = results.content_of(job, time.perf_counter() - start)
    if "run" in job.results:
        results.write_samples(job)
        started = time.perf_counter()
        results.write_pictures(job, content)
        content["timing"]["stages"]["report"] = time.perf_counter() - started
    if "learn" in job.results:
        write_learned(job)
    kept = [job.results["train"]["weights"]] if "train" in job.results else []
    kept += job.results["convert"]["files"] if "convert" in job.results else []
    kept += job.results["learn"].files if "learn" in job.results else []
    kept += [job.results["statistics"]] if "statistics" in job.results else []
    for path in [*kept, *(job.results["optimise"]["files"] if "optimise" in job.results else [])]:
        with disk.finished(folder / path.name) as part:
            part.write_bytes(path.read_bytes())
    results.write_json(folder / RESULT, content)
    _clear_parts(folder)
    _write_state(folder, loaded, "finished")
    return Result(folder, content)
