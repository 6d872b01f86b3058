"""Who may import whom, what stays unloaded until it is needed, and how long files and functions may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__import__("eventsnn").__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = [  # a file imports from its own layer and from those below
    {"errors", "units", "random", "compile", "kernel_digest", "bits", "disk", "settings"},
    {"raster", "raster_checks", "raster_io"},
    {"network", "network_checks", "parameters", "wiring", "neurons", "relays", "projections", "encoders"},
    {"engines"},
    {"files", "conversion", "gradients", "learning", "ann", "metrics", "analysis", "plot", "report", "quantise"},
    {"scenario"},
    {"cli"},
    {"__main__"},
]
LAYER = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
HEAVY = ["numba", "scipy", "torch", "matplotlib", "pydantic"]


def room(parts):
    """Return the room of a dotted path inside eventsnn."""
    return parts[0].removesuffix(".py") if parts else "eventsnn"


def imported(tree):
    """Return the rooms of eventsnn that a file imports, wherever in it."""
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "eventsnn" else [node.module]
        yield from (name.split(".")[1] for name in names if name.startswith("eventsnn."))


def test_imports_point_down():
    wrong = []
    for file in FILES:
        own = room(file.relative_to(PACKAGE).parts)
        for other in imported(ast.parse(file.read_text())) if own != "__init__" else ():
            if own not in LAYER:
                wrong.append(f"{file.name} is in no layer: add it above")
            elif LAYER.get(other, -1) > LAYER[own]:
                wrong.append(f"{file.relative_to(PACKAGE)} imports eventsnn.{other}")
    assert not wrong, wrong


@pytest.mark.parametrize("how", ["import eventsnn", "from eventsnn.cli import main; main(['--help'])"])
def test_heavy_libraries_stay_unloaded(how):
    look = f"print(); print([n for n in {HEAVY} if n in sys.modules])"
    code = f"import sys, contextlib\nwith contextlib.suppress(SystemExit): {how}\n{look}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_files_and_functions_stay_short():
    long = [f"{f.name}: {n} lines" for f in FILES if (n := len(f.read_text().splitlines())) > 400]
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > 100:
                long.append(f"{file.name}: {node.name} has {node.end_lineno - node.lineno + 1} lines")
    assert not long, long


def test_everything_public_says_what_it_is():
    silent = []
    for file in FILES:
        tree = ast.parse(file.read_text())
        silent += [] if ast.get_docstring(tree) or not tree.body else [str(file.relative_to(PACKAGE))]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node):
                silent.append(f"{file.relative_to(PACKAGE)}: {node.name}")
    assert not silent, silent
