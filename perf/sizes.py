"""Print the sizes of the package: files, lines per file and function, share of documented names."""

import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).parent.parent / "eventsnn"


def body_lines(node):
    """Return the lines of a function without its docstring."""
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= first.end_lineno - first.lineno + 1
    return lines


def main():
    """Print one table."""
    files, functions, documented, public = [], [], 0, 0
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text()
        files.append((len(text.splitlines()), str(path.relative_to(ROOT.parent))))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                functions.append((body_lines(node), f"{path.name}:{node.name}"))
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                public += 1
                documented += ast.get_docstring(node) is not None
    for name, sizes in (("files", files), ("functions", functions)):
        counts = sorted(n for n, _ in sizes)
        print(f"{name}: {len(counts)}, lines median {statistics.median(counts):.0f}, p90 {counts[int(0.9 * len(counts))]}, "
              f"largest {', '.join(f'{where} {n}' for n, where in sorted(sizes, reverse=True)[:3])}")
    print(f"public names with a docstring: {documented} of {public}")


if __name__ == "__main__":
    main()
