"""The same properties with the JIT off: kernels as plain Python, over the whole space of switches and dtypes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventsnn.compile import jit_enabled

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(not jit_enabled(), reason="the properties run as plain Python in this very process")
@pytest.mark.parametrize("module", ["properties/test_grid.py", "properties/test_gated.py", "contract"])
def test_properties_hold_without_jit(module, tmp_path):
    root = HERE.parent.parent
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(HERE.parent / module)]
    done = subprocess.run(command, cwd=root, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
