"""Comparing results of runs with each other and with the twins, bit for bit."""

import numpy as np


def spikes_of(raster):
    """Return a raster as a sorted list of (sample, time, id, amplitude)."""
    amplitudes = np.ones(raster.n_spikes) if raster.amplitudes is None else raster.amplitudes
    columns = raster.sample_of_spike(), raster.times, raster.ids, amplitudes
    return sorted(zip(*(c.tolist() for c in columns)))


def difference(raster, wanted):
    """Return what only the raster has and what it lacks, as the words of a message."""
    found = spikes_of(raster)
    return "only here", sorted(set(found) - set(wanted)), "missing", sorted(set(wanted) - set(found))


def final(result):
    """Return the final membrane of every recorded population."""
    return {name: variables["v"] for name, variables in result.states.items()}


def same(a, b):
    """Tell whether two arrays agree in dtype, shape and every value."""
    return a.dtype == b.dtype and np.array_equal(a, b)


def assert_like_twin(result, twin, driven=()):
    """Hold a result to a twin; `driven` names inputs without spikes of their own."""
    for name, raster in result.rasters.items():
        if name not in driven:
            assert spikes_of(raster) == sorted(twin.spikes[name]), (name, *difference(raster, twin.spikes[name]))
    for name, v in final(result).items():
        assert same(v, twin.states[name]), (name, v, twin.states[name])
    if twin.readout is not None:
        assert np.array_equal(result.readout, twin.readout), (result.readout, twin.readout)


def assert_same(a, b, counters=()):
    """Hold two results to each other."""
    assert a.rasters.keys() == b.rasters.keys()
    for name in a.rasters:
        assert a.rasters[name] == b.rasters[name], (name, *difference(a.rasters[name], spikes_of(b.rasters[name])))
    for name, v in final(a).items():
        assert same(v, final(b)[name]), (name, v, final(b)[name])
    for which in ("readout", "prediction", "latency"):
        assert (getattr(a, which) is None) == (getattr(b, which) is None)
        if getattr(a, which) is not None:
            assert np.array_equal(getattr(a, which), getattr(b, which)), which
    for name in counters:
        assert a.counters[name] == b.counters[name], (name, a.counters, b.counters)
