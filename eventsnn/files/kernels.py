"""Kernel files of T2FSNN: text with one line per layer, `tc,<layer>,<value>`, an empty line, then `td,<layer>,<value>`."""

import math
from pathlib import Path

from eventsnn import disk
from eventsnn.conversion.kernels import IN, Kernels
from eventsnn.errors import DataError, EventsnnError

LARGEST = 2**20  # bytes; the file of a network of 10,000 layers is smaller
SECTIONS = ("tc", "td")


def file_name(tau, window, images, outlier=False):
    """Return the published name of a kernel file.

    Parameters
    ----------
    tau : float
        Time constant that the optimisation started from, steps.
    window : int
        T_fd, steps.
    images : int
        Images seen in all.
    outlier : bool, optional
        Whether the minimum loss took a percentile instead of the minimum.

    Returns
    -------
    str

    Examples
    --------
    >>> file_name(20.0, 80, 60000)
    'tc-20_tw-80_itr-60000'
    """
    return f"tc-{tau:g}_tw-{window}_itr-{images}{'_outlier' if outlier else ''}"


def write_kernels(path, kernels):
    """Write kernels; they read back bit for bit.

    Parameters
    ----------
    path : str or Path
        Written whole or not at all.
    kernels : Kernels

    Raises
    ------
    DataError
        If a layer's name cannot stand in such a file.
    RunError
        If the file cannot be written.
    """
    for name in kernels.layers:
        if not name or name != name.strip() or any(c in name for c in ",\r\n"):
            raise DataError(f"{path}: layer {name!r} cannot be written: names must not hold commas or line breaks")
    parts = [[f"{section},{name},{value!r}" for name, value in values.items()]
             for section, values in zip(SECTIONS, (kernels.tau, kernels.td))]  # fmt: skip
    with disk.finished(path) as part:
        part.write_text("\n".join(parts[0]) + "\n\n" + "\n".join(parts[1]) + "\n", "utf-8", newline="\n")


def read_kernels(path):
    """Read a kernel file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Kernels
        Layers in the order of the file.

    Raises
    ------
    DataError
        If the file is missing, too large, or not of this form; the line is told.
    """
    try:
        if Path(path).stat().st_size > LARGEST:
            raise DataError(f"{path}: is larger than 1 MiB; is this a kernel file?")
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise DataError(f"{path}: cannot be read as a kernel file: {reason}") from error
    found = {section: {} for section in SECTIONS}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            section, name, value = _line(path, number, line)
            if name in found[section]:
                raise DataError(f"{path}:{number}: layer '{name}' has a second {section}")
            found[section][name] = value
    for section in SECTIONS:
        if IN not in found[section]:
            raise DataError(f"{path}: has no line '{section},{IN},...' for the input; got {len(found[section])} {section} lines")
    missing = sorted(found["tc"].keys() ^ found["td"].keys())
    if missing:
        raise DataError(f"{path}: layer '{missing[0]}' needs both a tc and a td line")
    try:
        return Kernels(found["tc"], {name: found["td"][name] for name in found["tc"]})
    except EventsnnError as error:
        raise DataError(f"{path}: {error}") from None


def _line(path, number, line):
    """Return (section, layer, value) of one line."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 3 or parts[0] not in SECTIONS or not parts[1]:
        raise DataError(f"{path}:{number}: must be 'tc,<layer>,<value>' or 'td,<layer>,<value>', got {line[:80]!r}")
    try:
        value = float(parts[2])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{path}:{number}: the value must be a finite number, got {parts[2][:80]!r}")
    return parts[0], parts[1], value
