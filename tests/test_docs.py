"""The code in the documentation runs, and does what the text says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(path):
    """Return the Python blocks of a Markdown file as one program."""
    return "\n\n".join(re.findall(r"```python\n(.*?)```", path.read_text(), re.S))


@pytest.mark.parametrize("name", ["docs/your_own_neuron.md", "docs/patterns.md", "docs/hybrid.md", "docs/ttfs_training.md",
                                  "docs/adjoint.md", "README.md"])
@pytest.mark.parametrize("jit", ["0", "1"])
def test_the_code_of_a_page_runs(name, jit, tmp_path):
    program = blocks(ROOT / name)
    assert program
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "NUMBA_DISABLE_JIT": jit, "MPLBACKEND": "Agg"}, timeout=300)
    assert done.returncode == 0, done.stderr
