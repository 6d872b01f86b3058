"""Find the text of a scenario: a file, one inside the package, or the one that a raster stores."""

import contextlib
import json
from pathlib import Path

from eventsnn.errors import ScenarioError
from eventsnn.scenario.text import yaml

SHIPPED = Path(__file__).resolve().parents[2] / "shipped"


def find(path):
    """Find the text of a scenario.

    Parameters
    ----------
    path : str or Path
        A .yml file, `shipped:NAME` or NAME, a raster.h5 or a run folder.

    Returns
    -------
    text, source : str
    folder : Path
        Where relative paths start.

    Raises
    ------
    ScenarioError
        If there is no such file, it is no text, or the raster stores no scenario.
    """
    text = str(path)
    target = SHIPPED / text.removeprefix("shipped:") if text.startswith("shipped:") else Path(text)
    inside = SHIPPED / f"{target.name.removesuffix('.yml')}.yml"
    if not target.exists() and str(target.parent) in (".", "scenarios") and inside.exists():
        target = inside  # by its name alone; or installed from a wheel: there is no scenarios folder
    if target.is_dir():
        target = target / "raster.h5"
    if target.suffix in (".h5", ".part"):
        return _stored(target)
    try:
        if target.stat().st_size > yaml.LARGEST:
            raise ScenarioError(f"{text}:1: file too large, allowed {yaml.LARGEST} bytes")
        return target.read_bytes().decode("utf-8-sig"), text, target.resolve().parent
    except FileNotFoundError:
        known = ", ".join(sorted(f"shipped:{p.name}" for p in SHIPPED.glob("*.yml")))
        raise ScenarioError(f"{text}: no such file (inside the package there is: {known})") from None
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{text}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise ScenarioError(f"{text}: cannot be read: {error.strerror}") from None


def _stored(path):
    """The scenario inside a raster; relative paths start where they did, if that is known."""
    from eventsnn.files.raster_h5 import read_rasters

    _, meta = read_rasters(path, partial=path.suffix == ".part")
    text = meta.get("scenario")
    if not isinstance(text, str):
        raise ScenarioError(f"{path}: stores no scenario; run it from its .yml file")
    folder = path.resolve().parent
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        folder = Path(json.loads((folder / "result.json").read_text("utf-8"))["provenance"]["scenario_folder"])
    return text, str(path), folder
