"""Make data/patterns: the input and the targets of the pattern task as rasters, by the recipes of
`eventsnn.learning.patterns.data`.

    python data/make_patterns.py

The same version gives the same bytes. A scenario takes them with `{kind: raster, file: …}`.
"""

from pathlib import Path

from eventsnn.learning.patterns.data import graded_input, smiley, thinned

FOLDER = Path(__file__).resolve().parent / "patterns"
KEEP = (30, 50, 70, 95, 100)  # percent of the spikes


def patterns():
    """Return the rasters by file name."""
    return {"input_700_250": graded_input(), **{f"smile{keep}": thinned(smiley(), keep / 100) for keep in KEEP}}


def main():
    """Write them and print what they hold."""
    FOLDER.mkdir(exist_ok=True)
    for name, raster in patterns().items():
        path = FOLDER / f"{name}.npz"
        raster.to_npz(path)
        print(f"{path}: {raster.n_spikes} spikes of {raster.size} neurons, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
