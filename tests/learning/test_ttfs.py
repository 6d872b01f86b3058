"""TTFS training in closed form: gradients three ways, the twin's trajectory, windows, roundings, noise, resumption, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from eventsnn import run
from eventsnn.ann.architectures import conv_net, mlp
from eventsnn.conversion.ttfs import to_ramps
from eventsnn.encoders import ttfs as code
from eventsnn.errors import DataError, ModelError, RunError
from eventsnn.learning.optimisers import Optimiser, learning_rate
from eventsnn.learning.ttfs import training as ttfs
from eventsnn.learning.ttfs.backend import latency, make_backend, split
from eventsnn.learning.ttfs.rounding import WeightGrid, normals, round_times
from eventsnn.learning.ttfs.settings import TtfsSettings
from eventsnn.learning.ttfs.trajectory import Twins
from tests.reference import ttfs_training as reference

RNG = np.random.default_rng(3)
X, LABELS = RNG.random((12, 7)) * (RNG.random((12, 7)) < 0.7), RNG.integers(0, 4, 12)
FIXED = TtfsSettings(window="fixed", windows=9.0, batch=4, epochs=3)


def graph_of(hidden=(6, 5), seed=1):
    """A small network with biases that are not 0."""
    graph = mlp(7, list(hidden), 4, seed=seed).astype("float64")
    rng = np.random.default_rng(seed)
    return graph.with_parameters({k: 0.3 * rng.standard_normal(v.shape) for k, v in graph.parameters().items() if v.ndim == 1})


def layers_of(backend):
    """Parameters as lists of (J, D)."""
    return [(backend.parameters[f"{n}.weights"].copy(), backend.parameters[f"{n}.bias"].copy()) for n in backend.names]


def differences(backend, x, labels, h=1e-6):
    """Central differences of the loss in every parameter."""
    found = {}
    for name, w in backend.parameters.items():
        flat, slope = w.reshape(-1), np.zeros(w.size)
        for i in range(w.size):
            own = flat[i]
            flat[i] = own + h
            above = backend.step(x, labels, (0, 0)).loss
            flat[i] = own - h
            slope[i] = (above - backend.step(x, labels, (0, 0)).loss) / (2 * h)
            flat[i] = own
        found[name] = slope.reshape(w.shape)
    return found


@pytest.mark.parametrize("options", [
    {}, {"neuron": "relu"}, {"windows": 0.6}, {"windows": 0.6, "early": "unclamped"}, {"silent_help": 0.2, "weight_decay": 1e-2},
    {"noise_alpha": 0.3}, {"neuron": "alpha1"}, {"neuron": "alpha1", "windows": 0.7, "noise_alpha": 0.05}, {"noise_times": 0.05},
    {"noise_times": 0.05, "noise_silent": True}, {"activity_penalty": 0.05, "windows": 0.6},
], ids=str)  # fmt: skip
def test_gradients_are_central_differences(options):
    backend = make_backend(graph_of(), replace(FIXED, **options))
    backend.step(X, LABELS, (0, 0))
    found = {name: g + 2 * backend.settings.weight_decay * backend.parameters[name] * (g.ndim > 1)
             for name, g in backend.gradients.items()}  # fmt: skip
    for name, slope in differences(backend, X, LABELS).items():
        np.testing.assert_allclose(found[name], slope, atol=2e-8, err_msg=name)
    assert any(np.any(g) for name, g in found.items() if "hidden" in name)


@pytest.mark.parametrize("alpha", [None, 1.5])
def test_gradients_and_logits_are_those_of_the_twin(alpha):
    kind = {} if alpha is None else {"neuron": "alpha1", "alpha": alpha}
    backend = make_backend(graph_of(), replace(FIXED, windows=(30.0, 40.0), early="unclamped", **kind))
    step = backend.step(X, LABELS, (0, 0))
    loss, logits, gradients, largest = reference.batch(X, LABELS, layers_of(backend), backend.windows, alpha)
    assert abs(step.loss - loss) < 1e-12
    np.testing.assert_allclose(backend.outputs(X), logits, atol=1e-11)
    np.testing.assert_allclose(step.largest, largest, atol=1e-12)
    for name, own in zip(backend.names, gradients):
        np.testing.assert_allclose(backend.gradients[f"{name}.weights"], own[0], atol=1e-11)
        np.testing.assert_allclose(backend.gradients[f"{name}.bias"], own[1], atol=1e-11)
    counts = np.concatenate(backend.activity(X))
    assert (counts == len(X)).all() if alpha else 0 < counts.min() < counts.max() == len(X)  # some are silent, some spike


def test_gradients_are_those_of_relu_backpropagation():
    torch = pytest.importorskip("torch")
    backend = make_backend(graph_of(), FIXED)
    backend.step(X, LABELS, (0, 0))
    tensors = {n: torch.tensor(w, requires_grad=True) for n, w in backend.parameters.items()}
    x = torch.tensor(X)
    for name in backend.names:
        x = x @ tensors[f"{name}.weights"] + tensors[f"{name}.bias"]
        x = torch.relu(x) if name != "output" else x
    torch.nn.functional.cross_entropy(x, torch.tensor(LABELS)).backward()
    for name, tensor in tensors.items():
        scale = tensor.grad.abs().max().item()
        np.testing.assert_allclose(backend.gradients[name], tensor.grad.numpy(), atol=1e-12 * scale, err_msg=name)


def test_ties_are_named():
    """A spike exactly at the end of the window is silence; one exactly at its opening is in time; both without an average."""
    graph = mlp(1, [3], 2, seed=0).astype("float64")
    graph = graph.with_parameters({"hidden1.weights": np.array([[0.0, 2.0, 3.0]]), "output.weights": np.array([[1.0, 0.0]] * 3)})
    backend = make_backend(graph, replace(FIXED, windows=2.0))
    step = backend.step(np.array([[1.0]]), np.array([0]), (0, 0))
    assert backend.gradients["hidden1.bias"][0] == backend.gradients["hidden1.bias"][2] == 0
    assert backend.gradients["hidden1.bias"][1] != 0 and step.largest[0] == 2
    assert [int(c) for c in backend.activity(np.array([[1.0]]))[0]] == [0, 1, 1]


def test_training_follows_the_twin():
    """Thirty steps of Adam with growing windows, in the twin's absolute times; the ReLU twin beside it."""
    settings = replace(FIXED, window="grow", windows=5.0, epochs=1)
    backend = Twins(make_backend(graph_of(), settings), every=10)
    layers, windows = layers_of(backend.first), list(backend.windows)
    adam = reference.Adam(layers)
    for k in range(30):
        part = np.arange(4 * k, 4 * k + 4) % len(X)
        step = backend.step(X[part], LABELS[part], (0, k))
        _, _, gradients, largest = reference.batch(X[part], LABELS[part], layers, windows)
        backend.update(learning_rate(settings, k) * 20)
        adam.update(gradients, 20 * 5e-4)
        np.maximum(backend.windows, 10 * step.largest, out=backend.windows)
        windows = reference.grown(windows, largest)
    np.testing.assert_allclose(backend.windows, windows, atol=1e-10)
    assert max(windows) > 10  # the rule acted
    for (weights, offsets), (own, bias) in zip(layers, layers_of(backend.first)):
        np.testing.assert_allclose(own, weights, atol=1e-10)
        np.testing.assert_allclose(bias, offsets, atol=1e-10)
    assert [r["step"] for r in backend.records] == [0, 10, 20, 30]
    assert all(r["largest_difference"] < 1e-12 and abs(r["cosine"] - 1) < 1e-12 for r in backend.records)
    start = graph_of().parameters()["hidden1.weights"]
    assert np.abs(layers[0][0] - start).max() > 0.1  # they moved, together


def test_adam_and_sgd_are_as_stated():
    w, g = np.array([[1.0, -2.0], [0.5, 3.0]]), {"w": np.array([[0.1, 0.2], [-0.3, 0.0]]), "b": np.array([0.4, 0.0])}
    for kind in ("adam", "sgd"):
        parameters = {"w": w.copy(), "b": np.zeros(2)}
        optimiser = Optimiser(parameters, kind, 0.9, weight_decay=0.05)
        expected, m, v = [w.copy(), np.zeros(2)], [0.0, 0.0], [0.0, 0.0]
        for t in (1, 2, 3):
            optimiser.update(g, 0.01)
            for k, slope in enumerate((g["w"] + 0.1 * expected[0], g["b"])):
                if kind == "sgd":
                    m[k] = 0.9 * m[k] - 0.01 * slope
                    expected[k] = expected[k] + m[k]
                    continue
                m[k], v[k] = 0.9 * m[k] + 0.1 * slope, 0.999 * v[k] + 0.001 * slope**2
                rate = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
                expected[k] = expected[k] - rate * m[k] / (np.sqrt(v[k]) + 1e-7)
        np.testing.assert_allclose(parameters["w"], expected[0], rtol=1e-13)
        np.testing.assert_allclose(parameters["b"], expected[1], rtol=1e-13, atol=1e-300)
    assert learning_rate(FIXED, 2500) == pytest.approx(5e-4 * 0.9**0.5)
    assert learning_rate(replace(FIXED, schedule="constant"), 2500) == 5e-4


@pytest.mark.parametrize("early, window", [("saturate", 40.0), ("saturate", 0.5)])
@pytest.mark.parametrize("options", [{}, {"weight_bits": 4}, {"precision": "float32"}], ids=str)
def test_the_event_network_is_the_trained_one(early, window, options):
    settings = replace(FIXED, early=early, windows=window, epochs=2, learning_rate=0.02, **options)
    backend = make_backend(graph_of(), settings, X)
    result = ttfs.train(backend, X, LABELS, settings)
    graph = ttfs.trained_graph(backend, settings, result)
    network, report = to_ramps(graph, None, rule="trained", dtype=settings.precision)
    assert [row["window"] for row in report["layers"]] == [window, window] and report["calibration"] is None
    found = run(network, {"input": code.encode(X, dtype="float64")})
    tolerance = 1e-12 if settings.precision == "float64" else 2e-5
    np.testing.assert_allclose(found.readout, backend.outputs(X), atol=tolerance)
    spikes = [np.bincount(found.rasters[name].ids, minlength=c.size) for name, c in zip(backend.hidden, backend.activity(X))]
    assert all((a == b).all() for a, b in zip(spikes, backend.activity(X)))
    assert result.curve[-1]["latency"] == report["latency"] == 1 + 2 * window


def test_alpha1_runs_as_an_event_network_with_one_spike_of_every_neuron():
    settings = replace(FIXED, neuron="alpha1", windows=12.0, epochs=2, alpha=1.2, learning_rate=1e-3)
    backend = make_backend(graph_of(), settings, X)
    graph = ttfs.trained_graph(backend, settings, ttfs.train(backend, X, LABELS, settings))
    np.testing.assert_allclose(graph.forward(X), backend.outputs(X), atol=1e-10)
    network, _ = to_ramps(graph, None, rule="trained", model="ramp_alpha1", alpha=1.2)
    found = run(network, {"input": code.encode(X, dtype="float64", silent=False)})
    np.testing.assert_allclose(found.readout, backend.outputs(X), atol=1e-9)
    assert [found.rasters[name].n_spikes for name in backend.hidden] == [6 * len(X), 5 * len(X)]


def test_standard_alpha1_has_no_equivalent_and_exploding_gradients():
    x, labels = np.random.default_rng(0).random((20, 30)), np.arange(20) % 4
    growth = {}
    for seed in range(6):
        deep = mlp(30, [60] * 8, 4, seed=seed).astype("float64")
        for kind in (("b1", "smart"), ("alpha1", "smart"), ("alpha1", "standard")):
            settings = replace(FIXED, neuron=kind[0], alpha_initial=kind[1], windows=50.0, early="unclamped")
            backend = make_backend(deep, settings)
            backend.step(x, labels, (0, 0))
            growth.setdefault(kind, []).append(max(backend.norms) / backend.norms[0])
    assert max(growth["b1", "smart"]) < 2 and max(growth["alpha1", "smart"]) < 2  # as in the ReLU network
    assert np.exp(np.mean(np.log(growth["alpha1", "standard"]))) > 1e3
    with pytest.raises(ModelError, match="slope"):
        backend.graph()


@pytest.mark.parametrize("options", [
    {}, {"optimiser": "sgd", "weight_decay": 1e-3}, {"noise_times": 0.1, "keep": "best"}, {"window": "grow", "patience": 4},
], ids=str)  # fmt: skip
def test_a_resumed_training_gives_the_same_bits(options, tmp_path):
    settings = replace(FIXED, **{"epochs": 4, "validation": 3, **options})
    whole = Twins(make_backend(graph_of(), settings, X), 2)
    result = ttfs.train(whole, X, LABELS, settings)
    seen = []

    def killed(record):
        seen.append(record)
        if len(seen) == 2:
            raise KeyboardInterrupt

    path = tmp_path / "c.npz"
    with pytest.raises(KeyboardInterrupt):
        ttfs.train(Twins(make_backend(graph_of(), settings, X), 2), X, LABELS, settings, checkpoint=path, progress=killed)
    again = Twins(make_backend(graph_of(), settings, X), 2)
    resumed = ttfs.train(again, X, LABELS, settings, checkpoint=path)
    assert resumed.curve == result.curve and resumed.epoch == result.epoch and again.records == whole.records
    ours, theirs = whole.state(), again.state()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    with pytest.raises(DataError, match="does not fit"):
        ttfs.train(Twins(make_backend(graph_of((6, 4)), settings, X), 2), X, LABELS, settings, checkpoint=path)
    with pytest.raises(DataError, match="belongs to"):
        ttfs.train(again, X, LABELS, settings, checkpoint=path, identity="other")


def test_early_stopping_looks_at_held_out_samples_alone():
    settings = replace(FIXED, epochs=40, validation=4, patience=3, keep="best", learning_rate=0.3, schedule="constant")
    backend = make_backend(graph_of(), settings, X)
    members, held = split(settings, len(X))
    assert sorted([*members, *held]) == list(range(12)) and len(held) == 4
    result = ttfs.train(backend, X, LABELS, settings)
    losses = [r["validation_loss"] for r in result.curve]
    best = int(np.argmin(losses)) + 1
    assert result.stopped and result.epoch == best and len(losses) == best + 3 < 40
    logits = backend.outputs(X[held])
    loss = np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(4), LABELS[held]])
    assert loss == pytest.approx(losses[best - 1], rel=1e-12)
    changed = X.copy()
    changed[held] = 0.5
    other = make_backend(graph_of(), replace(settings, keep="last", patience=0, epochs=2), X)
    third = make_backend(graph_of(), replace(settings, keep="last", patience=0, epochs=2), changed)
    for one, x in ((other, X), (third, changed)):
        ttfs.train(one, x, LABELS, one.settings)
    assert (other.parameters["hidden1.weights"] == third.parameters["hidden1.weights"]).all()


def test_windows_follow_their_rule():
    backend = make_backend(graph_of(), TtfsSettings(window="fit", zeta=0.5), X)
    most = [np.maximum(backend.source.forward(X, name), 0).max() for name in backend.hidden]
    np.testing.assert_allclose(backend.windows, 1.5 * np.array(most), rtol=1e-12)
    shorter = make_backend(graph_of(), TtfsSettings(window="fit", zeta=0.0, latency_quantile=0.9), X)
    every = [np.maximum(backend.source.forward(X, name), 0) for name in backend.hidden]
    np.testing.assert_allclose(shorter.windows, [np.quantile(a, 0.9) for a in every], rtol=1e-12)
    settings = replace(FIXED, epochs=2, window="grow", windows=1.0, gamma=10.0)
    grown = make_backend(graph_of(), settings, X)
    ttfs.train(grown, X, LABELS, settings)
    assert (grown.windows > 1).all()
    settings = replace(settings, final_window="fit", zeta=0.0)
    fitted = make_backend(graph_of(), settings, X)
    ttfs.train(fitted, X, LABELS, settings)
    final = [np.maximum(fitted.graph().forward(X, name), 0).max() for name in fitted.hidden]
    np.testing.assert_allclose(fitted.windows, final, rtol=1e-12)


def test_latency_of_a_quantile_is_shorter_and_can_be_trained():
    settings = TtfsSettings(window="fit", zeta=0.0, latency_quantile=0.8, epochs=60, batch=4, learning_rate=0.01)
    backend = make_backend(graph_of(), settings, X)
    whole = make_backend(graph_of(), replace(settings, latency_quantile=1.0), X)
    assert latency(backend.windows) < latency(whole.windows)
    before = backend.step(X, LABELS, (0, 0)).loss
    ttfs.train(backend, X, LABELS, settings)
    assert backend.step(X, LABELS, (0, 0)).loss < 0.8 * before


def test_weight_levels_are_the_published_ones():
    grid = WeightGrid.of(replace(FIXED, weight_bits=2, weight_range=(-1.0, 1.0)), np.zeros(1))
    np.testing.assert_allclose(grid.round(np.array([-2.0, -0.6, 0.1, 0.9])), [-4 / 3, -2 / 3, 0, 2 / 3], rtol=1e-6)
    assert grid.inside(np.array([-1.34, -1.3, 0.66, 0.7])).tolist() == [False, True, True, False]
    grid = WeightGrid.of(replace(FIXED, weight_bits=4, weight_range=(-1.0, 1.0)), np.zeros(1))
    np.testing.assert_allclose([grid.lowest * grid.step, grid.highest * grid.step], [-0.9333333, 1.0666667], rtol=1e-6)
    w = np.random.default_rng(0).uniform(-2, 2, 200)
    for bits, low, high in ((2, -1.0, 1.0), (4, -1.0, 1.0), (3, -0.2, 1.5), (8, -1.0, 1.0)):
        grid = WeightGrid.of(replace(FIXED, weight_bits=bits, weight_range=(low, high)), w)
        np.testing.assert_allclose(grid.round(w), [reference.fake_quantised(v, bits, low, high) for v in w], atol=1e-12)
    grid = WeightGrid.of(replace(FIXED, weight_bits=3, weight_grid="symmetric"), w)
    found = np.unique(grid.round(w))
    np.testing.assert_allclose(found, np.abs(w).max() * np.arange(-3, 4) / 3, atol=1e-12)


def test_time_levels():
    x = np.array([0.0, 0.3, 0.5, 1.99, 2.0, 2.5, -0.1])
    np.testing.assert_allclose(round_times(x, 2.0, 2, "nearest"), [0, 0, 2 / 3, 2, 2, 2, 0], atol=1e-15)
    np.testing.assert_allclose(round_times(x, 2.0, 2, "floor"), [0, 0, 0.5, 1.5, 2, 2, 0], atol=1e-15)
    settings = replace(FIXED, windows=4.0, time_bits=3, time_rounding="floor")
    backend, graph = make_backend(graph_of(), settings), graph_of()
    seen, before = X, 1.0
    for name, window in zip(backend.hidden, backend.windows):
        read = np.floor(seen / (before / 8)) * (before / 8)
        seen = np.clip(read @ graph.parameters()[f"{name}.weights"] + graph.parameters()[f"{name}.bias"], 0, window)
        before = window
    logits = seen @ graph.parameters()["output.weights"] + graph.parameters()["output.bias"]
    np.testing.assert_allclose(backend.outputs(X), logits, atol=1e-12)


@pytest.mark.parametrize("options", [
    {"time_bits": 3}, {"weight_bits": 3}, {"weight_bits": 3, "weight_grid": "symmetric"}], ids=str)  # fmt: skip
def test_roundings_pass_gradients_straight_through_and_can_be_trained(options):
    settings = replace(FIXED, windows=6.0, epochs=60, learning_rate=0.01, **options)
    backend = make_backend(graph_of(), settings)
    before = backend.step(X, LABELS, (0, 0)).loss
    ttfs.train(backend, X, LABELS, settings)
    assert backend.step(X, LABELS, (0, 0)).loss < 0.8 * before


def test_noise_belongs_to_the_sample_and_reaches_silent_neurons_only_if_asked():
    drawn = normals(0, "hidden1", 3, 2000, 30)
    assert abs(drawn.mean()) < 0.02 and abs(drawn.std() - 1) < 0.02
    assert (normals(0, "hidden1", 3, np.array([5, 7]), 30) == drawn[[5, 7]]).all()
    assert (normals(0, "hidden1", 4, 1, 30) != drawn[:1]).all()
    settings = replace(FIXED, noise_times=0.2)
    for silent in (False, True):
        backend = make_backend(graph_of((6,)), replace(settings, noise_silent=silent))
        a = np.maximum(graph_of((6,)).forward(X, "hidden1"), 0)
        noise = 0.2 * normals(9, "hidden1", 1, len(X), 6)
        moved = a - noise if silent else np.where(a > 0, np.maximum(a - noise, 0), 0)
        logits = moved @ backend.parameters["output.weights"] + backend.parameters["output.bias"]
        np.testing.assert_allclose(backend.outputs(X, (9, 1), noise=True), logits, atol=1e-12)
        assert (backend.outputs(X, (9, 1)) == backend.outputs(X)).all()


def test_slope_noise_is_a_frozen_offset_of_the_window_before():
    backend = make_backend(graph_of(), replace(FIXED, noise_alpha=0.01))
    graph = graph_of()
    shifts = {f"{n}.bias": graph.parameters()[f"{n}.bias"] + backend.slopes[n] * before
              for n, before in zip(backend.hidden, (1.0, 9.0))}  # fmt: skip
    np.testing.assert_allclose(backend.outputs(X), graph.with_parameters(shifts).forward(X), atol=1e-12)


def test_help_for_silent_neurons_wakes_them():
    graph = graph_of((6,)).with_parameters({"hidden1.bias": np.full(6, -3.0)})
    counts = {}
    for factor in (0.0, 0.1):
        settings = replace(FIXED, epochs=40, learning_rate=0.02, silent_help=factor)
        backend = make_backend(graph, settings)
        ttfs.train(backend, X, LABELS, settings)
        counts[factor] = int(np.count_nonzero(backend.activity(X)[0]))
    assert counts[0.0] < counts[0.1] == 6


def test_float32_follows_float64():
    settings = replace(FIXED, windows=20.0, epochs=2)
    found = {}
    for precision in ("float64", "float32"):
        own = replace(settings, precision=precision)
        backend = make_backend(graph_of(), own)
        ttfs.train(backend, X, LABELS, own)
        assert backend.outputs(X).dtype == precision == backend.parameters["hidden1.weights"].dtype
        found[precision] = backend.outputs(X)
    np.testing.assert_allclose(found["float32"], found["float64"], atol=1e-4)


@pytest.mark.parametrize("options, words", [
    ({"window": "fixd"}, "did you mean 'fixed'"), ({"window": "fixed"}, "needs windows"), ({"windows": (1.0, -2.0)}, "windows"),
    ({"batch": 0}, "batch"), ({"batch": 2.5}, "whole"), ({"learning_rate": float("nan")}, "learning_rate"),
    ({"keep": "best"}, "validation"), ({"weight_bits": 1}, "from 2 on"), ({"weight_range": (1.0, 2.0)}, "hold 0"),
    ({"weight_grid": "symmetric", "weight_range": (-1.0, 2.0)}, "around 0"), ({"neuron": "relu", "time_bits": 3}, "spikes"),
    ({"neuron": "alpha1"}, "fixed"), ({"window": "fit", "windows": 3.0}, "scan"), ({"noise_silent": 1}, "true or false"),
    ({"noise_silent": True, "activity_penalty": 0.1}, "activity_penalty"),
], ids=str)  # fmt: skip
def test_wrong_settings_are_refused(options, words):
    with pytest.raises(ModelError, match=words):
        TtfsSettings(**options)


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ModelError, match="unknown setting 'epoch', did you mean 'epochs'"):
        TtfsSettings.of({"epoch": 3})
    with pytest.raises(ModelError, match="2, one for each hidden layer"):
        make_backend(graph_of(), replace(FIXED, windows=(1.0, 2.0, 3.0)))
    with pytest.raises(ModelError, match="needs training inputs"):
        make_backend(graph_of(), TtfsSettings())
    conv = conv_net((6, 6, 1), [2, "P"], [], 3)
    with pytest.raises(ModelError, match="dense layers only"):
        make_backend(conv, TtfsSettings(neuron="alpha1", window="fixed", windows=2.0))
    for x, labels, words in ((X, LABELS[:3], "12 samples"), (X[:, :5], LABELS, "shape"), (X, LABELS + 1, "in 0..3"),
                             (X, LABELS * 1.0, "whole number")):  # fmt: skip
        with pytest.raises(DataError, match=words):
            ttfs.train(make_backend(graph_of(), FIXED), x, labels, FIXED)
    with pytest.raises(DataError, match="validation 12"):
        ttfs.train(make_backend(graph_of(), FIXED), X, LABELS, replace(FIXED, validation=12))
    with pytest.raises(ModelError, match="trained"):
        to_ramps(graph_of(), None, rule="trained")
    with pytest.raises(ModelError, match="calibration"):
        to_ramps(graph_of(), None)
    wild = replace(FIXED, learning_rate=1e200, optimiser="sgd", early="unclamped")
    with np.errstate(all="ignore"), pytest.raises(RunError, match="lower learning_rate"):
        ttfs.train(make_backend(graph_of(), wild), X, LABELS, wild)
