"""Start-up: `eventsnn --help` against bare Python, and the quick start with empty and with filled compile caches."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import emit, median_seconds

QUICKSTART = Path(__file__).parent.parent / "scenarios" / "quickstart.yml"


def command(*words, cache=None):
    """Run a command; returns its wall time."""
    environment = os.environ | ({"EVENTSNN_CACHE": cache} if cache else {})
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main():
    """Print two lines."""
    bare = median_seconds(lambda: command(sys.executable, "-c", "pass"))
    asked = median_seconds(lambda: command(sys.executable, "-m", "eventsnn", "--help"))
    emit("help", seconds=asked, yardstick="bare Python", yardstick_seconds=bare, seconds_over_yardstick=asked - bare)
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for k in range(4):
            out = str(Path(folder) / f"run{k}")
            words = (sys.executable, "-m", "eventsnn.cli", "run", str(QUICKSTART), "--quiet", "--out", out)
            runs.append(command(*words, cache=str(Path(folder) / "kernels")))
        emit("quickstart", cold_seconds=runs[0], seconds=sorted(runs[1:])[1], yardstick="itself with empty caches",
             ratio=runs[0] / sorted(runs[1:])[1])


if __name__ == "__main__":
    main()
