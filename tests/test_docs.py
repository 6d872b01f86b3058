"""The code in the documentation runs, and does what the text says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(path, language="python"):
    """Return the blocks of a Markdown file in one language as one program."""
    return "\n\n".join(re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.S))


def succeed(command, folder, **settings):
    """Run a command in a folder."""
    done = subprocess.run([sys.executable, "-W", "error", *command], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "MPLBACKEND": "Agg", **settings}, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["docs/your_own_neuron.md", "docs/patterns.md", "docs/hybrid.md", "docs/ttfs_training.md",
                                  "docs/adjoint.md", "README.md"])
@pytest.mark.parametrize("jit", ["0", "1"])
def test_the_code_of_a_page_runs(name, jit, tmp_path):
    program = blocks(ROOT / name)
    assert program
    succeed(["-c", program], tmp_path, NUMBA_DISABLE_JIT=jit)


def test_a_network_of_your_own_from_pytorch_to_a_scenario(tmp_path):
    pytest.importorskip("torch")
    page = ROOT / "docs" / "your_own_network.md"
    said = succeed(["-c", blocks(page)], tmp_path)
    (tmp_path / "mine.yml").write_text(blocks(page, "yaml"))
    succeed(["-m", "eventsnn", "run", "mine.yml", "--out", "found"], tmp_path)
    found = json.loads((tmp_path / "found" / "result.json").read_text())
    burst = re.search(r"^burst .*48: ([0-9.]+)\}", said, re.M)
    assert float(burst[1]) == found["metrics"]["accuracy"]
