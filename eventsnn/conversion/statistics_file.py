"""Activation statistics on disk: CSV with one row per layer and percentile, under the published names."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from eventsnn import disk
from eventsnn.conversion.segments import cut
from eventsnn.conversion.statistics import KINDS, ActivationStatistics
from eventsnn.errors import DataError

LARGEST_FILE = 2**30
HEADER = "# eventsnn activation statistics "


def label(percentile):
    """Return the name of a percentile in a file: 100 -> ``max``, 99.9 -> ``max_999``, 98 -> ``max_98``."""
    return "max" if percentile == 100 else "max_" + f"{percentile:.12g}".replace(".", "")


def write(path, statistics, *, prefix="act_n_train"):
    """Write statistics as CSV: one row per layer and percentile, ``{prefix}_{layer}_max_999`` and the values.

    Parameters
    ----------
    path : str or Path
        Name of the file.
    statistics : ActivationStatistics
    prefix : str, optional
        Beginning of the names of the rows.

    Raises
    ------
    RunError
        If the file cannot be written.

    Notes
    -----
    A first line, which starts with #, says how and on what they were taken.  Values are written so that they read back
    bit for bit.
    """
    note = {"by": statistics.by, "percentiles": sorted({p for of in statistics.values.values() for p in of}),
            "calibration": statistics.calibration}  # fmt: skip
    with disk.finished(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        file.write(f"{HEADER}{json.dumps(note)}\n")
        rows = csv.writer(file, lineterminator="\n")
        for layer, of in statistics.values.items():
            for percentile, values in of.items():
                rows.writerow([f"{prefix}_{layer}_{label(percentile)}", *map(repr, values.tolist())])


def read(path, graph):
    """Read statistics of a network, written by :func:`write` or put together from published one-row files.

    Parameters
    ----------
    path : str or Path
        CSV file; each row a name that ends in ``_{layer}_max``, ``_{layer}_max_999``, ..., then numbers.
    graph : LayerGraph
        Folded network whose layers they are about.

    Returns
    -------
    ActivationStatistics

    Raises
    ------
    DataError
        If the file is missing or no such file, or a row has the wrong length or an unknown layer; line and name are told.
    """
    shapes = {s.name: s.shape for s in cut(graph)[1]}
    note, text = _text(path)
    known = {f"_{name}_{label(p)}": (name, p) for name in shapes for p in (100.0, 99.9, 99.0, 98.0, *note["percentiles"])}
    values, by = {}, note["by"]
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row or row[0].startswith("#"):
            continue
        fitting = [end for end in known if row[0].endswith(end)]
        if not fitting:
            raise DataError(f"{path}:{number}: row '{row[0][:80]}' names no layer and percentile of the network; its layers "
                            f"are {', '.join(shapes)}")  # fmt: skip
        layer, percentile = known[max(fitting, key=len)]
        numbers = _numbers(path, number, row)
        sizes = {"neuron": int(np.prod(shapes[layer])), "channel": shapes[layer][-1]}
        if numbers.size != sizes[by]:
            raise DataError(f"{path}:{number}: row '{row[0]}' has {numbers.size} values, layer '{layer}' has {sizes[by]} "
                            f"{by}s")  # fmt: skip
        values.setdefault(layer, {})[percentile] = numbers
    return ActivationStatistics(by, values, note["calibration"], Path(path).name)


def _text(path):
    """Return the first line's note (or what holds without one) and the text of a file."""
    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise DataError(f"{path}: is larger than 1 GiB; is this a file of statistics?")
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise DataError(f"{path}: cannot be read as statistics: {reason}") from error
    note = {"by": "neuron", "percentiles": [], "calibration": None}
    if not text.startswith(HEADER):
        return note, text
    try:
        note |= json.loads(text.partition("\n")[0].removeprefix(HEADER))
        good = note["by"] in KINDS and isinstance(note["calibration"], dict | None)
        note["percentiles"] = [float(p) for p in note["percentiles"]]
    except (ValueError, TypeError, RecursionError):
        good = False
    if not good:
        raise DataError(f"{path}:1: the first line is not the note of an eventsnn file of statistics")
    return note, text


def _numbers(path, number, row):
    """Return the values of a row."""
    try:
        numbers = np.array(row[1:], dtype=np.float64)
    except ValueError:
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        raise DataError(f"{path}:{number}: row '{row[0]}' must hold finite numbers only")
    return numbers
