"""Patterns by their recipes, pictures as patterns, the reachable level, memory layouts."""

import numpy as np
import pytest

from eventsnn import SpikeRaster
from eventsnn.analysis import memory_layout
from eventsnn.errors import DataError
from eventsnn.gradients.van_rossum import grid_loss
from eventsnn.learning.patterns.data import graded_input, image_pattern, smiley, thinned
from eventsnn.learning.patterns.floor import reachable_loss
from eventsnn.learning.patterns.learner import PatternSettings
from eventsnn.learning.patterns.published import run_of


def empty(like):
    return SpikeRaster([], [], size=like.size, duration=like.duration, dt_ms=like.dt_ms)


def test_the_smile_is_that_of_the_recipe():
    target = thinned(smiley())
    assert target.n_spikes == 7870
    assert grid_loss(empty(target), target, 0.875)[0] == pytest.approx(7530.35, abs=0.01)
    assert grid_loss(empty(target), target, 0.75)[0] == pytest.approx(4316.24, abs=0.01)


def test_the_input_has_the_statistics_of_the_recipe():
    made = [graded_input(seed=seed) for seed in range(4)]
    counts = np.array([raster.n_spikes for raster in made])
    assert abs(counts.mean() - 16105) < 100 and len(set(counts)) == 4
    per_neuron = np.mean([np.bincount(raster.ids, minlength=700) for raster in made], axis=0)
    assert per_neuron[:5].mean() == pytest.approx(142.6, abs=4) and per_neuron[-5:].mean() == pytest.approx(6.4, abs=1)
    assert graded_input(seed=2) == made[2]


def test_a_picture_is_a_pattern(tmp_path):
    from PIL import Image

    pixels = np.full((8, 6, 3), 255, np.uint8)
    pixels[2, 1:4] = (200, 200, 99)
    Image.fromarray(pixels).save(tmp_path / "bar.png")
    found = image_pattern(tmp_path / "bar.png", steps=8, neurons=6)
    assert np.argwhere(found).tolist() == [[2, 1], [2, 2], [2, 3]]
    assert not image_pattern(tmp_path / "bar.png", 8, 6, threshold=499).any()
    (tmp_path / "none.png").write_text("nothing")
    for name in ("none.png", "absent.png"):
        with pytest.raises(DataError, match=name):
            image_pattern(tmp_path / name, 8, 6)


def brute(target, kappa, latency, apart):
    """Lowest loss over all rasters of one neuron."""
    steps, best = int(target.duration), np.inf
    for code in range(2**steps):
        fires = np.array([code >> t & 1 for t in range(steps)])
        if fires[:latency].any() or (apart and (fires[1:] & fires[:-1]).any()):
            continue
        raster = SpikeRaster(np.flatnonzero(fires), [0] * int(fires.sum()), size=1, duration=steps, dt_ms=1.0)
        best = min(best, grid_loss(raster, target, kappa)[0])
    return best


@pytest.mark.parametrize("apart", [True, False])
def test_the_reachable_level_is_the_lowest_of_all_rasters(apart):
    target = SpikeRaster([1, 3, 4, 5, 6, 8], [0] * 6, size=1, duration=9, dt_ms=1.0)
    assert reachable_loss(target, 0.875, 5.0, apart=apart) == pytest.approx(brute(target, 0.875, 4, apart))


def test_the_reachable_level_of_the_smile():
    assert reachable_loss(thinned(smiley()), 0.875, 5.0, apart=True, beam=50) == pytest.approx(2998, abs=15)


def test_layouts_and_the_published_saving():
    assert memory_layout.saving(("bitmap", 2), ("crossbar", 5)) == pytest.approx(1.369, abs=5e-4)
    best = {width: min(memory_layout.energies(width).values(), key=lambda row: row.joules).layout for width in range(2, 7)}
    assert best == {2: "bitmap", 3: "crossbar", 4: "crossbar", 5: "crossbar", 6: "crossbar"}
    assert memory_layout.with_leakage(3.0, 0.25) == pytest.approx(4.0)
    w = np.random.default_rng(0).integers(-1, 2, (40, 25))
    bits = {layout: memory_layout.layout_bits(layout, 40, 25, int(np.count_nonzero(w)), 2) for layout in memory_layout.LAYOUTS}
    nonzero = [(i, j) for i, j in np.ndindex(40, 25) if w[i, j]]
    assert bits["crossbar"] == 2 * w.size and bits["functional"] == 2 * len(nonzero)
    assert bits["bitmap"] == w.size + 2 * len(nonzero)
    assert bits["csr"] == sum(2 + 5 for _ in nonzero) + 41 * len(bin(len(nonzero))[2:])
    with pytest.raises(DataError, match="crossbar"):
        memory_layout.layout_bits("crosbar", 1, 1, 1, 1)


def test_published_runs_are_found_by_their_widths():
    assert run_of(PatternSettings())[1][10000] == 3010.5
    assert run_of(PatternSettings(wb=None, ab=None, gb=None, eb=None))[0] == "32323232"
    assert run_of(PatternSettings(wb=4)) is None


def test_the_rasters_in_the_repository_are_those_of_the_recipes():
    import importlib.util
    from pathlib import Path

    path = Path(__file__).resolve().parents[2] / "data" / "make_patterns.py"
    spec = importlib.util.spec_from_file_location("make_patterns", path)
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    for name, raster in maker.patterns().items():
        assert SpikeRaster.from_npz(maker.FOLDER / f"{name}.npz") == raster, name
