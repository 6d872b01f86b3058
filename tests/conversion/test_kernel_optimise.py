"""Kernel optimisation: published check values, steps against finite differences, quirks, losses that fall."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn.ann.architectures import build
from eventsnn.conversion import kernel_optimise
from eventsnn.conversion.kernel_losses import QUIRKS, LayerSums
from eventsnn.conversion.kernel_optimise import KernelOptimiser, Rules
from eventsnn.conversion.kernels import IN, Kernels
from eventsnn.conversion.normalise import normalise
from eventsnn.conversion.t2fsnn_build import Coding
from eventsnn.conversion.t2fsnn_build import build as build_network
from eventsnn.errors import ModelError
from tests.properties.settings import examples

X = np.array([[0.9, 0.5, 0.3, 0.1, 0.05, 0.0, 0.0, 0.0]])
S = np.array([[3.0, 14.0, 25.0, 47.0, 60.0, np.inf, np.inf, np.inf]])
UPSTREAM = {"silent_minimum", "window_end"}


def sums(x=X, s=S, tau=20.0, td=0.0, window=80, opens=0, outlier=False, quirks=()):
    """Gather one layer."""
    layer = LayerSums(tau, td, window, opens, outlier, frozenset(quirks))
    layer.add(x, s)
    return layer


def test_published_check_values():
    layer = sums(quirks=UPSTREAM)
    (precision, g1), (minimum, g2) = layer.precision(), layer.minimum()
    assert precision == pytest.approx(1.09946e-4, rel=5e-6) and g1 == pytest.approx(1.21625e-4, rel=5e-6)
    assert minimum == pytest.approx(1.67731e-4, rel=5e-6) and g2 == pytest.approx(-6.70925e-5, rel=5e-6)
    tau = 20 + 10 * g1 + 100 * g2
    assert tau == pytest.approx(19.994507, abs=5e-7)
    assert layer.maximum()[0] == pytest.approx(9.70113e-3, rel=5e-6)
    assert layer.maximum(tau)[1] == pytest.approx(-0.00696829, rel=5e-6)


@examples(40)
@given(st.floats(3, 40), st.floats(-4, 2), st.booleans(), st.integers(0, 2**32 - 1))
def test_steps_are_the_slopes_of_their_formulas(tau, td, outlier, seed):
    """Central differences; the precision step is the slope over those neurons that count in it."""
    rng = np.random.default_rng(seed)
    x = rng.random((3, 12)) * (rng.random((3, 12)) < 0.7)
    s = np.where(x > 0, rng.integers(0, 20, x.shape), np.inf)
    layer, h = sums(x, s, tau, td, 20, outlier=outlier), 1e-5 * tau

    def slope(loss, **at):
        return (loss(**{k: v + h for k, v in at.items()}) - loss(**{k: v - h for k, v in at.items()})) / (2 * h)

    assert layer.minimum()[1] == pytest.approx(-slope(lambda tau: sums(x, s, tau, td, 20, outlier=outlier).minimum()[0], tau=tau),
                                               rel=1e-4, abs=1e-8)

    def largest(td_said):  # the earliest spike's value is held while td moves
        heard = np.exp(-(np.array(layer.earliest) - td) / tau)
        return 0.5 * ((heard - np.exp(td_said / tau)) ** 2).mean()

    assert layer.maximum()[1] == pytest.approx(-slope(largest, td_said=td), rel=1e-4, abs=1e-8)
    coded = np.where(np.isfinite(s), np.exp(-(np.where(np.isfinite(s), s, 0) - td) / tau), 0.0)
    counts = (x - coded) * coded * (np.where(np.isfinite(s), s, 0) - td) > 0

    def precise(tau):
        said = np.exp(-(s[counts] - td) / tau)
        return 0.5 * ((x[counts] - said) ** 2).mean()

    wanted = -slope(precise, tau=tau) if counts.any() else 0.0
    assert layer.precision()[1] == pytest.approx(wanted, rel=1e-4, abs=1e-8)


def test_parts_of_a_batch_add_up():
    rng = np.random.default_rng(0)
    x = rng.random((6, 10))
    s = np.where(x > 0.3, np.ceil(-20 * np.log(np.maximum(x, 1e-9))), np.inf)
    whole, parts = sums(x, s), LayerSums(20.0, 0.0, 80, 0, False)
    parts.add(x[:4], s[:4])
    parts.add(x[4:], s[4:])
    for loss in ("precision", "minimum", "maximum"):
        assert getattr(parts, loss)() == pytest.approx(getattr(whole, loss)(), rel=1e-12)


def test_quirks_do_what_the_released_code_does():
    assert sums().minimum()[0] == pytest.approx(0.5 * (0.05 - np.exp(-79 / 20)) ** 2)
    assert sums(quirks={"silent_minimum"}).minimum()[0] == pytest.approx(0.5 * np.exp(-79 / 20) ** 2)
    assert sums(quirks={"window_end"}).minimum()[0] == pytest.approx(0.5 * (0.05 - np.exp(-4.0)) ** 2)
    assert sums(outlier=True).smallest == [pytest.approx(np.percentile(X[X > 0], 2))]
    inverted = np.where(np.isfinite(S), 0.0, np.exp(-80 / 20))
    assert sums(quirks={"inverted_precision"}).precision()[0] == pytest.approx(0.5 * ((X - inverted) ** 2).mean())
    late = np.where(np.isfinite(S), np.exp(-(np.where(np.isfinite(S), S, 0) + 40) / 20), 0.0)
    assert sums(opens=40, quirks={"global_time"}).precision()[0] == pytest.approx(0.5 * ((X - late) ** 2).mean())
    first = np.array([[0.0, 7.0]])
    assert sums(X[:, :2], first, opens=80).earliest == [0.0]
    assert sums(X[:, :2], first, opens=80, quirks={"sentinel"}).earliest == [7.0]  # step 80 of the run counts as silent
    silent = sums(np.zeros((1, 2)), np.full((1, 2), np.inf), opens=80)
    assert silent.minimum() == (0.0, 0.0) and silent.earliest == [99999.9 - 80]


@pytest.fixture(scope="module")
def small():
    """A small random convolutional network, normalised, and images."""
    rng = np.random.default_rng(1)
    graph = build("conv_net", input_shape=(8, 8, 1), n_out=3, features=[3, "P", 4], hidden=[6], kernel=3, padding="same",
                  batch_norm=False, pool="max", dropout=0.0, seed=4)  # fmt: skip
    graph = graph.with_parameters({k: rng.normal(0, 0.1, v.shape) for k, v in graph.parameters().items() if "bias" in k})
    x = rng.random((30, 8, 8, 1)).astype(np.float32)
    return normalise(graph, x, dtype="float64")[0], x


def optimiser(small, **rules):
    """Start from tau 5 in windows of 20 steps."""
    normalised, x = small
    names = [layer.name for layer in normalised.layers if hasattr(layer, "weights")][:-1]
    rules = Rules(**({"epochs": 4, "batch": 12, "rho": (30.0, 300.0, 3.0)} | rules))
    return KernelOptimiser(normalised, x, Kernels.uniform(names, 5.0), Coding(20, 20), tau=5.0, rules=rules)


def test_losses_fall_and_batches_are_counted(small):
    worker = optimiser(small)
    before = worker.losses(small[1])
    assert worker.batches == 12  # 30 images are batches of 12, 12 and 6
    while worker.done < worker.batches:
        worker.advance()
    after = worker.losses(small[1])
    assert after["total"] < 0.8 * before["total"] and after["precision"] < before["precision"]
    assert [row["images"] for row in worker.log[:4]] == [12, 24, 30, 42]
    assert before["total"] == pytest.approx(sum(sum(layer.values()) for layer in before["layers"].values()))
    assert worker.kernels.td[IN] == 0 and worker.kernels.tau[IN] != 5 and min(worker.kernels.td.values()) < 0


def test_it_goes_on_from_any_batch(small):
    whole = optimiser(small, epochs=1)
    for _ in range(3):
        whole.advance()
    first = optimiser(small, epochs=1)
    first.advance()
    other = optimiser(small, epochs=1)
    other.kernels, other.done, other.log = first.kernels, first.done, first.log
    for _ in range(2):
        other.advance()
    assert other.kernels == whole.kernels and other.log == whole.log


def test_large_batches_run_in_parts(small):
    whole, parts = optimiser(small), optimiser(small)
    parts.part = 5
    assert parts.losses(small[1])["total"] == pytest.approx(whole.losses(small[1])["total"], rel=1e-9)


def test_an_analog_input_has_no_kernel(small):
    worker = optimiser(small, analog=True)
    worker.advance()
    assert IN not in worker.losses(small[1])["layers"] and worker.kernels.tau[IN] == 5


@pytest.mark.parametrize("quirk", sorted(QUIRKS))
def test_every_quirk_changes_the_result(small, quirk):
    plain, odd = optimiser(small), optimiser(small, quirks=(quirk,))
    for worker in (plain, odd):
        worker.kernels = Kernels.uniform(worker.hidden, 5.0, -1.0)  # the largest activations spike in step 0
        worker.advance()
        worker.advance()
    assert plain.kernels != odd.kernels


def test_the_first_td_does_not_reach_the_layer_behind(small, monkeypatch):
    built = []
    monkeypatch.setattr(kernel_optimise, "build", lambda *a, **k: built.append(build_network(*a, **k)[0]) or (built[-1], None))
    for quirks in ((), ("first_td",)):
        worker = optimiser(small, quirks=quirks)
        worker.kernels = Kernels.uniform(worker.hidden, 6.0, -1.0)
        worker.losses(small[1])
    plain, odd = ([(p.parameters["td"], p.parameters["tau_out"], p.parameters["td_out"]) for p in network.populations[:-1]]
                  for network in built)  # fmt: skip
    assert plain == [(-1.0, 0.0, 0.0)] * 3  # tau_out 0: the spikes carry their own kernel
    assert odd == [(-1.0, 6.0, 0.0), *plain[1:]]


def test_targets_lack_biases_from_the_second_batch_on_and_reported_losses_never(small):
    plain, odd, without = optimiser(small), optimiser(small, quirks=("targets_without_bias",)), optimiser(small)
    values = {key: np.zeros_like(v) for key, v in without.graph.parameters().items() if "bias" in key}
    without.graph = without.graph.with_parameters(values)
    assert odd.advance() == plain.advance()
    without.kernels = odd.kernels
    wanted = without.losses(small[1][12:24])
    record = odd.advance()
    assert record == {"images": 24, **{loss: wanted[loss] for loss in kernel_optimise.LOSSES}}
    plain.kernels = odd.kernels
    assert odd.losses(small[1]) == plain.losses(small[1]) != without.losses(small[1])


@pytest.mark.parametrize("rules, words", [({"epochs": 0}, "epochs must be"), ({"rho": (1.0,)}, "three numbers"),
                                          ({"rho": "abc"}, "rho must be numbers"), ({"rho": 3.0}, "three numbers"),
                                          ({"outlier": "x"}, "outlier must be one of"),
                                          ({"quirks": ("sentinell",)}, "did you mean")],
                         ids=["epochs", "rho", "text", "one number", "outlier", "quirk"])  # fmt: skip
def test_options_out_of_range_are_refused(rules, words):
    with pytest.raises(ModelError, match=words):
        Rules(**rules)


@pytest.mark.parametrize("tau, words", [({"in": "a"}, "tau of layer 'in' must be a number"), (3, "tau must be a dict")])
def test_kernels_are_numbers_by_layer(tau, words):
    with pytest.raises(ModelError, match=words):
        Kernels(tau, {"in": 0.0})
