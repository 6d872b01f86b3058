"""Hypothesis profiles, a cold kernel cache in CI, and a line that says how many tests lacked data."""

import os

import pytest
from hypothesis import settings

CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if CI else "default")


@pytest.fixture(scope="session", autouse=True)
def _cold_cache(tmp_path_factory):
    """In CI: one folder of kernels for the session, empty at its start, so that compilation is measured cold."""
    if CI and "EVENTSNN_CACHE" not in os.environ:
        os.environ["EVENTSNN_CACHE"] = str(tmp_path_factory.mktemp("kernels"))
        yield
        del os.environ["EVENTSNN_CACHE"]
    else:
        yield


def pytest_terminal_summary(terminalreporter):
    """Print what was skipped for want of data, and what compiling took."""
    from eventsnn import compile as compiling

    skipped = terminalreporter.stats.get("skipped", [])
    missing = [r for r in skipped if "data" in str(r.longrepr[-1] if isinstance(r.longrepr, tuple) else r.longrepr).lower()]
    terminalreporter.write_line(f"skipped for want of data: {len(missing)} tests; compiling kernels: "
                                f"{compiling.seconds_compiling:.1f} s")
