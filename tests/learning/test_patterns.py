"""The pattern learner: kernels = twin, bit for bit; fixed point = floating point; what it learns runs in the engine."""

import numpy as np
import pytest

from eventsnn import SpikeRaster, run
from eventsnn.errors import ModelError
from eventsnn.learning.patterns.learner import PatternLearner, PatternSettings, initial_weights, spike_lists
from eventsnn.random import key
from tests.reference.patterns import Twin, integer_layer

SIZES, STEPS = (24, 19, 13), 40
CASES = {
    "2888": {},
    "3-12-8-12": {"wb": 3, "ab": 12, "eb": 12},
    "6-6-10-5 rb 4": {"wb": 6, "ab": 6, "gb": 10, "eb": 5, "rb": 4},
    "adamax": {"optimiser": "adamax", "gradient_rate": 0.1, "kappa": 0.75, "fan_in": (784, 784)},
    "float": {"wb": None, "ab": None, "gb": None, "eb": 33, "rb": None, "learning_rate": 1e-3},
    "float adamax": {"wb": None, "ab": None, "gb": None, "eb": None, "optimiser": "adamax", "learning_rate": 0.01,
                     "alpha": 0.8187307530779818, "beta": 0.9048374180359595},
    "states alone": {"wb": None, "ab": 7, "gb": None, "eb": None, "learning_rate": 1e-3},
    "errors in float": {"eb": None, "rb": None},
}  # fmt: skip


def raster(rng, size, probability):
    return SpikeRaster.from_dense((rng.random((1, STEPS, size)) < probability) * 1.0, dt_ms=1.0)


def learner(seed=3, **settings):
    """A small learner whose layers spike: a fan-in of a few neurons keeps the scale of the weights at 1 or 2."""
    rng = np.random.default_rng(seed)
    settings = {"hidden": SIZES[1], "init_gain": 3.0 if settings.get("wb", 2) is None else 1.0, **settings}
    return PatternLearner(raster(rng, SIZES[0], 0.4), raster(rng, SIZES[2], 0.2), PatternSettings(**settings), seed)


def twin_of(made):
    s = made.settings
    bits = {name: getattr(s, name) for name in ("wb", "ab", "gb", "eb", "rb")}
    weights, scales = initial_weights(s, SIZES, made.seed)
    keys = [key(made.seed, "patterns", "rounding", k) for k in range(2)]
    return Twin(made.given.to_dense()[0], made.target.to_dense()[0], weights, scales, bits, keys, alpha=s.alpha, beta=s.beta,
                kappa=s.kappa, tau=s.tau * 1e-3, rate=s.gradient_rate, lr=s.learning_rate, adamax=s.optimiser == "adamax")


@pytest.mark.parametrize("name", CASES)
def test_every_number_is_the_twins(name):
    made = learner(**CASES[name])
    twin = twin_of(made)
    for _ in range(6):
        assert made.present() == twin.present()
        for layer, other, err in zip(made.layers, (twin.hidden, twin.out), twin.errors):
            n = layer.neurons
            assert np.array_equal(layer.th[:, :n], other.th) and np.array_equal(layer.membrane[:, :n], other.m)
            assert np.array_equal(layer.raster(1.0).to_dense()[0], other.z) and np.array_equal(layer.err[:, :n], err)
    twin.forward()
    for layer, w in zip(made.layers, twin.w):
        assert np.array_equal(layer.stored_weights, w)
    spikes = {name: raster.n_spikes for name, raster in made.rasters().items()}
    assert min(spikes.values()) > 5 and any(err.any() for err in twin.errors), spikes


@pytest.mark.parametrize("weight_bits, scale, state_bits", [(2, 16, 8), (3, 8, 12), (5, 1, 6), (6, 16, 5)])
def test_integers_give_the_same_states(weight_bits, scale, state_bits):
    """Fixed point = floating point: the forward pass of a layer in integers alone."""
    made = learner(wb=weight_bits, ab=state_bits)
    layer, rng = made.layers[0], np.random.default_rng(7)
    one = 2 ** (weight_bits - 1)
    whole = rng.integers(1 - one, one, (SIZES[0], SIZES[1]))
    layer.used_weights[:] = whole / one / scale
    layer.forward()
    z, m = integer_layer(made.given.to_dense()[0], whole, weight_bits, scale, state_bits)
    n = layer.neurons
    assert np.array_equal(layer.membrane[:, :n] * 2 ** (state_bits - 1), m)
    assert np.array_equal(layer.raster(1.0).to_dense()[0], z)


@pytest.mark.parametrize("name", ["2888", "float"])
def test_what_was_learned_runs_in_the_engine(name):
    made = learner(**CASES[name])
    for _ in range(4):
        made.present()
    made.forward()
    network, wanted = made.network(), made.rasters()
    long = SpikeRaster(made.given.times, made.given.ids, size=SIZES[0], duration=4 * STEPS, dt_ms=1.0)  # then silence
    for given in (made.given, long):
        event, stepped = (run(network, {"input": given}, engine=e, record_state=list(wanted)) for e in ("event", "stepped"))
        for layer in ("hidden", "output"):
            assert event.rasters[layer] == stepped.rasters[layer] and event.rasters[layer].n_spikes
            assert all(np.array_equal(event.states[layer][v], stepped.states[layer][v]) for v in "vs")
        if given is made.given:
            assert all(event.rasters[layer] == wanted[layer] for layer in wanted)
            assert np.array_equal(event.states["hidden"]["v"].ravel(), made.layers[0].membrane[-1, : SIZES[1]])
    if name == "2888":  # they come to rest, off zero, and are left alone
        assert event.states["hidden"]["v"].any() and event.counters["neuron_updates"] < stepped.counters["neuron_updates"]


def test_a_layer_of_two_waits_four_steps_and_few_bits_are_silent():
    for bits in (2, 3, 4):
        made = learner(ab=bits)
        assert made.forward() == made.layers[1].loss() and not made.rasters()["hidden"].n_spikes
    made = learner(wb=None, ab=None, gb=None, eb=None)
    for layer in made.layers:
        layer.used_weights[:] = 1.0
    made.given = SpikeRaster([5], [0], size=SIZES[0], duration=STEPS, dt_ms=1.0)
    made.layers[0].listen(*spike_lists(made.given))
    made.forward()
    assert made.rasters()["hidden"].times.min() == 7 and made.rasters()["output"].times.min() == 9


def test_clipped_states_keep_spikes_apart_and_come_to_rest_off_zero():
    made = learner()
    made.layers[0].used_weights[:] = 1.0
    made.forward()
    spikes = made.rasters()["hidden"].to_dense()[0]
    assert made.settings.apart and spikes.any() and not (spikes[1:] * spikes[:-1]).any()
    silent = SpikeRaster([0, 1, 2], [0, 0, 0], size=SIZES[0], duration=3 * STEPS, dt_ms=1.0)
    result = run(made.network(), {"input": silent}, record_state=["hidden"])
    lsb = 2.0 ** (made.settings.ab - 1)
    assert (result.states["hidden"]["s"] * lsb == 2).all() and (result.states["hidden"]["v"] * lsb == 20).all()
    assert PatternSettings(ab=None).apart is False


@pytest.mark.parametrize("sizes, wb, scales", [((700, 400, 250), 2, [16, 8]), ((700, 400, 250), 6, [16, 16])])
def test_published_scales(sizes, wb, scales):
    weights, found = initial_weights(PatternSettings(wb=wb), sizes, 0)
    assert found == scales
    assert all(np.array_equal(w * 128, np.rint(w * 128)) for w in weights)
    assert initial_weights(PatternSettings(fan_in=(784, 784)), sizes, 0)[1] == [16, 16]
    other = initial_weights(PatternSettings(ab=5, init_on_state_grid=True), sizes, 0)[0][0]
    assert np.array_equal(other * 16, np.rint(other * 16))


def test_it_goes_on_from_a_state_as_if_it_had_not_stopped():
    through, first, second = (learner(**CASES["adamax"]) for _ in range(3))
    for _ in range(6):
        through.present()
    for _ in range(3):
        first.present()
    second.restore(first.state())
    for _ in range(3):
        second.present()
    assert second.losses == through.losses
    assert all(np.array_equal(a, b) for a, b in zip(second.state().values(), through.state().values()))


@pytest.mark.parametrize("wrong, says", [
    ({"wb": 1}, "wb"), ({"eb": 2.5}, "eb"), ({"kappa": 1.0}, "kappa"), ({"optimiser": "adam"}, "adamax"), ({"tau": 0}, "tau"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(wrong, says):
    with pytest.raises(ModelError, match=says):
        PatternSettings(**wrong)
    short = SpikeRaster([0], [0], size=3, duration=STEPS + 1, dt_ms=1.0)
    with pytest.raises(ModelError, match="steps"):
        PatternLearner(short, SpikeRaster([0], [0], size=3, duration=STEPS, dt_ms=1.0))
