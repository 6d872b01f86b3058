"""Spike-train statistics against straightforward NumPy on dense arrays and lists, in one part and in many."""

import numpy as np
import pytest

from eventsnn.analysis.trains import TrainStatistics, chosen, of_raster
from eventsnn.raster import SpikeRaster


def straightforward(raster, bin_ms, least, subset):
    """The definitions, one neuron, sample and pair at a time."""
    n_bins, trains = int(raster.duration_ms / bin_ms + 1e-9), {}
    for k in range(raster.n_samples):
        part = raster.sample(k)
        for i in range(raster.size):
            trains[k, i] = part.times_ms[part.ids == i]
    seconds = raster.n_samples * raster.duration_ms / 1000
    rates = np.array([sum(trains[k, i].size for k in range(raster.n_samples)) for i in range(raster.size)]) / seconds
    gaps = [np.diff(t) for t in trains.values()]
    cvs = [g.std() / g.mean() for g in gaps if g.size >= least and g.mean() > 0]
    edges = np.arange(n_bins + 1) * bin_ms
    counts = np.zeros((raster.size, raster.n_samples * n_bins))
    for (k, i), times in trains.items():
        inside = times[times // bin_ms < n_bins]
        counts[i, k * n_bins : (k + 1) * n_bins] = np.bincount((inside // bin_ms).astype(int), minlength=n_bins)[: edges.size - 1]
    population = counts.sum(axis=0) / (raster.size * bin_ms / 1000)
    used = [c for c in counts[chosen(raster.size, subset)] if c.std() > 0]
    pairs = [np.corrcoef(used[a], used[b])[0, 1] for a in range(len(used)) for b in range(a)]
    all_gaps = np.concatenate(gaps)
    return {
        "rate_hz": rates.mean(), "rate_sd_hz": rates.std(), "rate_min_hz": rates.min(), "rate_max_hz": rates.max(),
        "silent": int((rates == 0).sum()), "isi_mean_ms": all_gaps.mean() if all_gaps.size else None,
        "isi_cv": np.mean(cvs) if cvs else None, "isi_cv_neurons": len(cvs), "isi_cv_least_intervals": least,
        "population_rate": {"bin_ms": bin_ms, "mean_hz": population.mean(), "sd_hz": population.std(),
                            "max_hz": population.max()},
        "correlation": None if not pairs else {"mean": np.mean(pairs), "pairs": len(pairs),
                                               "neurons": min(raster.size, subset), "bin_ms": bin_ms},
    }  # fmt: skip


def close(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if isinstance(value, dict):
            close(value, theirs[name])
        else:
            assert value == (theirs[name] if value is None else pytest.approx(theirs[name], rel=1e-9, abs=1e-9)), name


def some_raster(seed, grid=False, size=13, n_samples=3, spikes=900):
    rng = np.random.default_rng(seed)
    ids = np.minimum(rng.geometric(0.15, spikes) - 1, size - 2)  # the last one stays silent
    common = np.repeat(rng.uniform(0, 400, spikes // 6 + 1), 6)[:spikes]  # spikes in company: correlation is not zero
    times = np.clip(common + rng.exponential(2.0, spikes), 0, 400)
    if grid:
        cells = np.unique(np.stack([rng.integers(0, n_samples, spikes), (times * 2).astype(int).clip(0, 799), ids]), axis=1)
        return SpikeRaster.from_events(cells[1], cells[2], samples=cells[0], size=size, duration=800, dt_ms=0.5,
                                       n_samples=n_samples)  # fmt: skip
    samples = rng.integers(0, n_samples, spikes)
    return SpikeRaster.from_events(times, ids, samples=samples, size=size, duration=400.0, n_samples=n_samples)


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize(("bin_ms", "least", "subset"), [(5.0, 5, 100), (7.0, 2, 5), (500.0, 2, 3)])
def test_definitions(grid, bin_ms, least, subset):
    raster = some_raster(4, grid)
    if bin_ms == 500.0:  # longer than a sample: no bin is complete
        found = of_raster(raster, bin_ms=bin_ms, least=least, subset=subset)
        assert found["population_rate"] is None and found["correlation"] is None and found["rate_hz"] > 0
        return
    options = {"bin_ms": bin_ms, "least": least, "subset": subset}
    close(of_raster(raster, **options), straightforward(raster, **options))


@pytest.mark.parametrize("seed", range(5))
def test_parts_do_not_matter(seed):
    raster, rng = some_raster(seed), np.random.default_rng(seed)
    whole = of_raster(raster)
    parts = TrainStatistics(raster.size, raster.duration_ms, raster.n_samples)
    for k in range(raster.n_samples):
        one = raster.sample(k)
        cuts = np.sort(rng.integers(0, one.n_spikes + 1, 9))
        for times, ids in zip(np.split(one.times_ms, cuts), np.split(one.ids, cuts)):
            parts.add(k, times, ids)
    close(parts.result(), whole)


def test_known_trains():
    times = np.arange(0.0, 1000.0, 10.0)
    raster = SpikeRaster.from_events(np.tile(times, 2), np.repeat([0, 1], 100), size=4, duration=1000.0)
    found = of_raster(raster)
    assert found["rate_hz"] == 50 and found["silent"] == 2 and found["isi_mean_ms"] == pytest.approx(10)
    assert found["isi_cv"] == pytest.approx(0, abs=1e-12) and found["correlation"]["mean"] == pytest.approx(1)
    assert found["population_rate"] == {"bin_ms": 5.0, "mean_hz": 50.0, "sd_hz": 50.0, "max_hz": 100.0}


def test_poisson_trains_are_irregular_and_uncorrelated():
    rng = np.random.default_rng(3)
    counts = rng.poisson(400, 60)
    raster = SpikeRaster.from_events(rng.uniform(0, 20_000, counts.sum()), np.repeat(np.arange(60), counts), size=60,
                                     duration=20_000.0)  # fmt: skip
    found = of_raster(raster)
    assert found["rate_hz"] == pytest.approx(20, rel=0.05) and found["isi_cv"] == pytest.approx(1, abs=0.05)
    assert abs(found["correlation"]["mean"]) < 0.01 and found["correlation"]["pairs"] == 60 * 59 // 2


def test_nothing_spikes():
    found = of_raster(SpikeRaster(np.empty(0), np.empty(0, int), size=3, duration=100.0))
    assert found["rate_hz"] == 0 and found["silent"] == 3
    assert found["isi_mean_ms"] is None and found["isi_cv"] is None and found["correlation"] is None


def test_the_subset_is_spread_evenly():
    assert chosen(10, 4).tolist() == [0, 2, 5, 7] and chosen(3, 100).tolist() == [0, 1, 2]
