"""Hypothesis profiles, a cold kernel cache in CI, and a line that says how many tests lacked data."""

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

from eventsnn import compile as compiling

CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if CI else "default")


def pytest_configure(config):
    """In CI: one folder of kernels for the session and its workers, empty at its start: compilation is measured cold."""
    if CI and "EVENTSNN_CACHE" not in os.environ:
        folder = os.environ["EVENTSNN_CACHE"] = tempfile.mkdtemp(prefix="kernels-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_sessionfinish(session):
    """Tell the process that prints the summary what this worker spent on compiling."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["seconds_compiling"] = compiling.seconds_compiling


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Add a worker's compiling to this process's."""
    compiling.seconds_compiling += getattr(node, "workeroutput", {}).get("seconds_compiling", 0.0)


def pytest_terminal_summary(terminalreporter):
    """Print what was skipped for want of data, and what compiling took."""
    skipped = terminalreporter.stats.get("skipped", [])
    missing = [r for r in skipped if "data" in str(r.longrepr[-1] if isinstance(r.longrepr, tuple) else r.longrepr).lower()]
    terminalreporter.write_line(f"skipped for want of data: {len(missing)} tests; compiling kernels: "
                                f"{compiling.seconds_compiling:.1f} s")
