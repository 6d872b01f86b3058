"""Recording points and early exits: each point is the end of a shorter run, in every engine, and looking changes no bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import run
from tests import strategies as draws
from tests.properties.settings import CONFIGS, examples
from tests.properties.test_grid import go
from tests.reference.compare import assert_same, final, same

WHICH = ("spikes", "amplitudes", "synaptic_events")


def options(data):
    """A way to run that must not matter."""
    return {
        "engine": data.draw(st.sampled_from(["event", "stepped"]), label="engine"),
        "schedule": data.draw(st.sampled_from(["streamed", "interleaved"]), label="schedule"),
        "slab": data.draw(st.sampled_from([None, 1, 2, 3, 7]), label="slab"),
        "threads": data.draw(st.sampled_from([1, 2]), label="threads"),
    }


@examples(30)
@given(draws.cases(CONFIGS), st.integers(1, 6), st.data())
def test_a_point_is_the_end_of_a_shorter_run(case, every, data):
    plain, seen = go(case), go(case, record_every=every, **options(data))
    assert_same(seen, plain, ["spikes", "synaptic_events"])
    points = seen.points
    assert points.times.tolist() == [*range(every, case.duration, every), case.duration]
    assert np.array_equal(points.readout[:, -1], plain.readout) and np.array_equal(points.prediction[:, -1], plain.prediction)
    k = data.draw(st.integers(0, points.times.size - 1), label="point")
    names = [p.name for p in case.network.populations]
    short = run(case.network, case.inputs, duration=int(points.times[k]), record_state=names)
    assert np.array_equal(points.readout[:, k], short.readout) and np.array_equal(points.prediction[:, k], short.prediction)
    for name in names:
        assert np.array_equal(points.spikes[name][:, k], short.rasters[name].counts().sum(axis=1))
        sums = [np.cumsum([0.0, *part])[-1] for part in amplitudes(short.rasters[name])]
        assert np.array_equal(points.amplitudes[name][:, k], sums)
    assert sum(events[:, k].sum() for events in points.synaptic_events.values()) == short.counters["synaptic_events"]
    for name, v in final(plain).items():
        assert np.allclose(points.residual[name], np.abs(v.astype(np.float64)).sum(axis=1), rtol=1e-12)


def amplitudes(raster):
    """Amplitudes of each sample in order of time."""
    values = np.ones(raster.n_spikes) if raster.amplitudes is None else raster.amplitudes
    return np.split(values, raster.offsets[1:-1])


@examples(30)
@given(draws.cases(CONFIGS), st.integers(1, 5), st.integers(0, 14), st.data())
def test_an_early_exit_is_a_shorter_run(case, every, least, data):
    def rule(done, steps, readout):
        return done >= least + (np.nanargmax(readout) if np.isfinite(readout).any() else 2)

    result = go(case, record_every=every, exit_rule=rule, **options(data))
    points, total = go(case, record_every=every).points, 0
    for k, steps in enumerate(result.exit_steps.tolist()):
        left = [t for t, r in zip(points.times[:-1].tolist(), points.readout[k]) if rule(t, case.duration, r)]
        assert steps == min([*left, case.duration])
        one = {name: given.select([k]) for name, given in case.inputs.items()}
        short = go(draws.Case(case.network, one, steps))
        assert np.array_equal(result.readout[k], short.readout[0]) and result.prediction[k] == short.prediction[0]
        assert result.latency[k] == short.latency[0]
        for name, raster in short.rasters.items():
            part = result.rasters[name].sample(k)
            assert np.array_equal(part.times, raster.times) and np.array_equal(part.ids, raster.ids)
            assert part.duration == case.duration
        for name, v in final(short).items():
            assert same(final(result)[name][k], v[0])
        stand = np.minimum(np.searchsorted(points.times, steps), points.times.size - 1)
        assert (result.points.readout[k, stand:] == result.readout[k]).all()
        for which in WHICH:
            for name, values in getattr(result.points, which).items():
                assert np.array_equal(values[k, : stand + 1], getattr(points, which)[name][k, : stand + 1])
                assert (values[k, stand:] == values[k, stand]).all()
        total += short.counters["synaptic_events"]
    assert result.counters["synaptic_events"] == total and result.counters["instants"] == result.exit_steps.sum()
