"""Event = stepped = twin, bit for bit, under every legal pair of codings; encoders = twin; what must not change a bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import run
from eventsnn.encoders import burst, constant, phase, poisson, ttfs_kernel
from eventsnn.random import key, uniform
from tests import coding_cases as draws
from tests.properties.settings import examples
from tests.reference import coding
from tests.reference import coding_inputs as inputs
from tests.reference.compare import assert_same, difference, final, same, spikes_of

PAIRS = [*draws.GRID_PAIRS, *draws.TTFS_PAIRS]


def cases(pair):
    """Networks of a pair; TTFS ones with windows one after another and overlapping."""
    return draws.ttfs_codings(pairs=(pair,)) if pair[1] == "ttfs" else draws.grid_codings(pairs=(pair,))


def go(case, **options):
    """Run a case with everything recorded."""
    if not case.gated:
        options["duration"] = case.steps
    names = [f"layer{k}" for k in range(len(case.layers))]
    return run(case.network(), case.given(), record_state=names, **options)


def assert_like_twin(result, case):
    """Hold every spike list, every membrane and the readout to the twin."""
    twin = case.twin()
    wanted = {"in": [coding.spikes(frames) for frames in case.frames()]}
    for k, layer in enumerate(case.layers):
        wanted[f"layer{k}"] = [coding.spikes(sent[k]) for sent, _, _ in twin]
        if layer.pool is not None:
            wanted[f"pool{k}"] = [coding.spikes(passed[k]) for _, passed, _ in twin]
    if "Drive" in type(case.given()["in"]).__name__:
        del wanted["in"]  # has no spikes of its own
    for name, lists in wanted.items():
        flat = sorted((sample, *spike) for sample, spikes in enumerate(lists) for spike in spikes)
        assert spikes_of(result.rasters[name]) == flat, (name, *difference(result.rasters[name], flat))
    for k in range(len(case.layers)):
        v = np.array([membranes[k] for _, _, membranes in twin])
        assert same(final(result)[f"layer{k}"], v), (k, final(result)[f"layer{k}"], v)
    answers = [coding.read_out(case.readout, coding.spikes(sent[-1]), v[-1]) for sent, _, v in twin]
    assert np.array_equal(result.readout, answers), (result.readout, answers)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_event_and_stepped_equal_the_twin(pair):
    @examples(8)
    @given(cases(pair))
    def holds(case):
        for engine in ("stepped", "event"):
            assert_like_twin(go(case, engine=engine), case)

    holds()


@examples(40)
@given(st.sampled_from(PAIRS).flatmap(cases), st.data())
def test_schedule_slab_and_threads_change_nothing(case, data):
    engine = data.draw(st.sampled_from(["event", "stepped"]))
    wanted = go(case, engine=engine)
    options = {"engine": engine, "threads": data.draw(st.sampled_from([1, 2]))}
    options["schedule"] = data.draw(st.sampled_from(["streamed", "interleaved"]))
    if not case.gated:
        options["slab"] = data.draw(st.sampled_from([None, 1, 3, 7]))
    assert_same(go(case, **options), wanted, ["spikes", "synaptic_events"])


@examples(20)
@given(draws.ttfs_codings(early=False))
def test_early_firing_without_overlap_is_the_base_run(case):
    """On the grid sums are taken by time, gated ones by source: the same spikes, potentials equal to rounding."""
    for layer in case.layers:
        layer.neurons.dtype = np.float64
    gated = case.twin()
    case.gated = False
    for (lists, _, v), (tables, _, w) in zip(gated, case.twin()):
        for of_layer, table, layer in zip(lists, tables, case.layers):
            if layer.pool is None or layer.pool.kind != "average":  # merged spikes round differently
                assert [s[:2] for s in coding.spikes(of_layer)] == [s[:2] for s in coding.spikes(table)]
        if isinstance(case.layers[-1].neurons, coding.Readout):
            assert np.allclose(v[-1], w[-1], rtol=1e-9, atol=1e-9)


def assert_frames(raster, frames):
    """Hold a raster to amplitudes (sample, step, ...)."""
    flat = sorted((sample, *spike) for sample, table in enumerate(frames) for spike in coding.spikes(table))
    assert spikes_of(raster) == flat, difference(raster, flat)


@examples(40)
@given(draws.value_tables(3, (7,), False), st.integers(1, 20), st.sampled_from([8, 5, 1]))
def test_encoders_equal_the_twin(x, steps, period):
    assert_frames(phase.encode(x, steps=steps, period=period), [inputs.phase_input(v, steps, period) for v in x])
    for threshold, beta in ((0.125, 2.0), (0.1, 1.5)):
        own = {"steps": steps, "threshold": threshold, "beta": beta}
        assert_frames(burst.encode(x, reload=period, **own), [inputs.burst_input(v, steps, threshold, beta, period) for v in x])
        assert_frames(burst.encode(x, reload="sample", **own), [inputs.burst_input(v, steps, threshold, beta) for v in x])
        together = inputs.burst_input(x, steps, threshold, beta)
        assert_frames(burst.encode(x, reload="batch", **own), together.swapaxes(0, 1))
    drawn = uniform(key(3, "encoder", "poisson", "input"), 1, np.arange(steps), 7)
    found = poisson.encode(x[1:2], steps=steps, seed=3, amplitude=0.4, sample_ids=[1])
    assert_frames(found, [inputs.poisson(x[1], drawn, 0.4)])
    assert (constant.encode(x).values == [inputs.real(v, 1)[0] for v in x]).all()


@examples(40)
@given(draws.value_tables(3, (7,), False), st.integers(1, 40), draws.kernels, st.sampled_from([1.0, 0.5]), st.booleans(),
       st.sampled_from(["float32", "float64"]))
def test_kernel_encoder_equals_the_twin(x, window, kernel, theta0, half_step, dtype):
    tau, td = kernel
    frames = [inputs.ttfs_input(v, window, window, tau, td, theta0, 0.5 * half_step, np.dtype(dtype).type) for v in x]
    for grid in (True, False):
        options = {"tau": tau, "td": td, "window": window, "theta0": theta0, "half_step": half_step, "dtype": dtype}
        assert_frames(ttfs_kernel.encode(x, grid=grid, **options), frames)
