"""DECOLLE: the learner against its plain twin, finite differences, integers, the engine; memory, resumption, feedback."""

import tracemalloc

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eventsnn import run  # noqa: E402
from eventsnn.errors import DataError, ModelError  # noqa: E402
from eventsnn.learning.decolle import training as decolle  # noqa: E402
from eventsnn.learning.decolle.input import Images, Recordings  # noqa: E402
from eventsnn.learning.decolle.layer import DecolleLayer  # noqa: E402
from eventsnn.learning.decolle.net import Net  # noqa: E402
from eventsnn.learning.decolle.network import to_network  # noqa: E402
from eventsnn.learning.decolle.plan import make_plan  # noqa: E402
from eventsnn.learning.decolle.settings import DecolleSettings  # noqa: E402
from eventsnn.quantise import random_words  # noqa: E402
from eventsnn.random import key  # noqa: E402
from tests.reference import decolle as twin  # noqa: E402

SMALL = {
    "layers": [{"channels": 4, "kernel": 3, "padding": 1, "pool": 2}, {"channels": 5, "kernel": 3, "padding": 1}],
    "dt_ms": 2.0, "tau_mem": [8, 40], "tau_syn": [5, 12], "tau_ref": 5.7, "weight_unit": 3e-3, "burn_in": 8.0, "train_ms": 60.0,
    "test_ms": 80.0, "downsample": 1, "epochs": 2, "batch_size": 4, "validation": 0.0,
    "precision": "float64", "threads": 1, "jitter": 0.5,
}  # fmt: skip
KINDS = {
    "published": {},
    "narrow": {"bits": {"wb": 2, "qb": 4, "pb": 6, "sb": 2, "ub": 4, "eb": 4, "gb": 6, "rfb": 1}, "pq_cap": 0.5},
    "float": {"bits": "float", "optimiser": "adamax", "rate": 1e-2},
    "both signs": {"threshold": 0.4, "l2": 3.0},
    "quirks": {"quirks": ["wide_membrane", "swapped_regularisers", "dropout_in_test", "jitter_in_test"], "l1": 2.0, "l2": 40.0},
    "float both signs": {"bits": "float", "threshold": 0.4, "pq_cap": 0.3, "rate": 1e-7, "l1": 0.1, "l2": 40.0},
}


def settings_of(kind="published", **more):
    return DecolleSettings.of(SMALL | KINDS[kind] | more)


def twin_of(layer, settings):
    """The plain layer with the constants of a learner's."""
    plan, bits = layer.plan, settings.bits
    return twin.Layer(
        alpha=plan.alpha, beta=plan.beta, gamma=plan.gamma, w=layer.arrays["w"].copy(), b=layer.arrays["b"].copy(),
        scale=plan.scale,
        readout=plan.readout, feedback=plan.feedback, rscale=plan.readout_scale, padding=plan.layer.padding, pool=plan.layer.pool,
        cap=settings.pq_cap, widths=bits, threshold=settings.threshold, ternary=settings.threshold > 0,
        l1=settings.l1, l2=settings.l2,
        weight_unit=settings.weight_unit, bound=8.0 if "wide_membrane" in settings.quirks else 1.0,
        swapped="swapped_regularisers" in settings.quirks,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def without_tape():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 1])
def test_a_layer_is_its_plain_twin(kind, number):
    """Traces, membrane, spikes, scores, gradients and updates of 15 steps with learning in between."""
    settings = settings_of(kind)
    layer = DecolleLayer(make_plan(settings, (2, 6, 7), 3)[number], settings)
    plain, rng, quantised = twin_of(layer, settings), np.random.default_rng(number), settings.bits["gb"] is not None
    layer.start(4)
    plain.start(4)
    target = np.eye(3)[[0, 1, 2, 1]]
    for t in range(15):
        spikes = (rng.random((4, *layer.plan.in_shape)) < 0.2) * rng.choice([1.0, -1.0 if settings.threshold else 1.0])
        handed, expected = layer.forward(torch.as_tensor(spikes)), plain.forward(spikes)
        np.testing.assert_allclose(layer.p.numpy() * layer.plan.p_step, plain.p, rtol=1e-11, atol=1e-9)
        np.testing.assert_allclose(layer.u.numpy(), plain.u, rtol=1e-10, atol=1e-11)
        assert np.array_equal(handed.numpy(), expected)
        mask = (rng.random((4, 3)) < 0.5) * 1.0
        scores = layer.read()
        np.testing.assert_allclose(scores.numpy(), plain.read(), rtol=1e-12, atol=1e-14)
        found = layer.gradients(torch.as_tensor(target), torch.as_tensor(mask), scores)
        for mine, theirs in zip(found, plain.gradients(target, mask)):
            np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())
        if quantised:
            streams = [(key(0, "decolle rounding", n, number + 1), a) for n, a in layer.arrays.items()]
            words = [random_words(s, t, (len(a), a.size // len(a))).reshape(a.shape) * 2.0**-32 for s, a in streams]
            moved = layer.learn(torch.as_tensor(target), torch.as_tensor(mask), scores, 1.5, t)
            assert moved == plain.update(target, mask, 1.5, words)
            np.testing.assert_array_equal(layer.arrays["w"], twin.clip(plain.w, settings.bits["gb"]))
    assert np.ptp(layer.u.numpy()) > 0
    assert 0 < plain.s.mean() < 1 or settings.threshold


def test_whole_numbers_say_the_same():
    """Quantised, U is a whole-number sum times one factor: 64-bit integers give the learner's membrane exactly."""
    settings = settings_of()
    layer = DecolleLayer(make_plan(settings, (2, 6, 7), 3)[0], settings)
    layer.start(2)
    rng = np.random.default_rng(0)
    for _ in range(20):
        before = layer.r.clone()
        layer.forward(torch.as_tensor((rng.random((2, 2, 6, 7)) < 0.3) * 1.0))
        p, w = layer.p.numpy(), layer.weights.numpy()
        assert np.array_equal(p, np.rint(p))
        assert p.min() >= 0
        assert p.max() <= 2 ** settings.bits["pb"]
        assert np.array_equal(w, np.rint(w))
        assert np.abs(w).max() < 2 ** (settings.bits["wb"] - 1)
        sums = twin.convolve(p.astype(np.int64), w.astype(np.int64), 1)
        r = np.rint(before.numpy() / layer.plan.r_step).astype(np.int64) * layer.plan.r_step * layer.plan.gamma
        u = sums * layer.plan.gain + layer.bias.numpy() - r
        assert np.array_equal(layer.u.numpy(), np.rint(np.clip(u / 8, -1, 1) * 31) / 31 * 8)


@pytest.mark.parametrize("quirks", [(), ("swapped_regularisers",)])
def test_local_gradients_are_finite_differences(quirks):
    """With the readout itself as feedback (halved: y = (x + 1) / 2) the rule is the gradient of the step's local loss."""
    settings = settings_of("float", quirks=quirks, l1=0.01, l2=30.0)
    layer = DecolleLayer(make_plan(settings, (2, 6, 7), 3)[0], settings)
    layer.feedback = layer.readout / 2
    rng = np.random.default_rng(1)
    layer.start(2)
    for _ in range(12):
        layer.forward(torch.as_tensor((rng.random((2, 2, 6, 7)) < 0.3) * 1.0))
    plain = twin_of(layer, settings)
    plain.p, plain.r, plain.alpha, plain.gamma = layer.p.numpy() / 1.0, layer.r.numpy() * 0, 1.0, 1.0
    layer.r.zero_()
    layer.u = torch.nn.functional.conv2d(layer.p, layer.weights, padding=1) * layer.plan.gain + layer.bias
    target, mask = np.eye(3)[[0, 2]], np.array([[1, 0, 1], [1, 1, 0.0]])
    dw, db = layer.gradients(*map(torch.as_tensor, (target, mask)), layer.read())

    def loss(w, b):
        plain.u = settings.weight_unit * (twin.convolve(plain.p, w, 1) + b[:, None, None])
        return plain.loss(target, mask)

    w, b, h = layer.arrays["w"], layer.arrays["b"], 1e-6
    for at in [(0, 0, 0, 0), (3, 1, 2, 1), (2, 0, 1, 1)]:
        step = np.zeros_like(w)
        step[at] = h
        slope = (loss(w + step, b) - loss(w - step, b)) / (2 * h * settings.weight_unit)
        assert slope == pytest.approx(float(dw[at]), rel=1e-5)
    step = np.eye(4)[1] * h
    slope = (loss(w, b + step) - loss(w, b - step)) / (2 * h * settings.weight_unit)
    assert slope == pytest.approx(float(db[1]), rel=1e-5)


def test_feedback_agrees_in_sign_and_in_nothing_else():
    for bits in ("float", {}):
        plan = make_plan(settings_of(bits=bits), (2, 24, 25), 10)[0]
        B, F = plan.readout, plan.feedback
        assert ((np.sign(B) == np.sign(F)) | (B == 0) | (F == 0)).all()
        assert abs(np.corrcoef(np.abs(B).ravel(), np.abs(F).ravel())[0, 1]) < 0.1


def recordings(settings, n=8, size=6, seed=0):
    """Three classes of moving dots: along x, along y, and standing; labels 0, 1, 2."""
    rng = np.random.default_rng(seed)
    labels, made = rng.integers(0, 3, n), []
    for label in labels:
        t = np.sort(rng.integers(0, 120_000, 150))
        at = (t // 20_000 + rng.integers(0, 2, t.size)) % size
        x = np.where(label == 0, at, rng.integers(2, 4, t.size))
        y = np.where(label == 1, at, rng.integers(2, 4, t.size))
        made.append(np.array(list(zip(x, y, t, rng.integers(0, 2, t.size))),
                             [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]))  # fmt: skip
    return Recordings(made, (size, size, 2), np.arange(n), settings), labels


@pytest.mark.parametrize("kind", ["published", "narrow", "both signs", "quirks"])
def test_the_engine_is_the_learner_spike_for_spike(kind):
    settings = settings_of(kind, epochs=1, quirks=[q for q in KINDS[kind].get("quirks", []) if q != "dropout_in_test"],
                           polarity="signed_pair" if kind == "both signs" else "separate")  # fmt: skip
    source, labels = recordings(settings)
    result = decolle.learn(source, labels, 3, settings)
    raster, network = source.batch(np.arange(8)), to_network(result)
    event, stepped = (run(network, {"events": raster}, engine=e) for e in ("event", "stepped"))
    with decolle.threads(settings):
        net = decolle.make_net(result)
        spikes, scores = [[], []], [[], []]
        for _, x in net.steps(raster):
            for k, layer in enumerate(net.layers):
                x = layer.forward(x)
                spikes[k].append(x.numpy().transpose(0, 2, 3, 1).reshape(8, -1))
                scores[k].append(layer.read().numpy())
    start = settings.steps(settings.burn_in) + 1
    for k in range(2):
        node = "pool1" if k == 0 else "spikes2"
        dense = np.stack(spikes[k], 1)
        assert 0.01 < np.abs(dense).mean() < 0.99
        for found in (event, stepped):
            assert np.array_equal(found.rasters[node].to_dense().reshape(dense.shape), dense), node
            assert np.array_equal(found.rasters[f"readout{k + 1}"].to_dense()[:, start:], np.stack(scores[k], 1)[:, start:])
    assert np.array_equal(event.prediction, decolle.predict(result, source)[1])
    assert np.array_equal(event.prediction, twin.vote(np.stack(scores[1]), start - 1))
    assert event.readout.sum() == 8 * (raster.duration - start)


def test_float_networks_agree_to_rounding():
    settings = settings_of("float", epochs=1)
    source, labels = recordings(settings)
    result = decolle.learn(source, labels, 3, settings)
    raster = source.batch(np.arange(8))
    event = run(to_network(result), {"events": raster})
    assert event.rasters == run(to_network(result), {"events": raster}, engine="stepped").rasters
    assert np.array_equal(event.prediction, decolle.predict(result, source)[1])
    shown = run(to_network(result, 1), {"events": raster})
    assert np.array_equal(shown.prediction, decolle.predict(result, source)[0])


def test_it_learns_more_than_chance():
    settings = settings_of(epochs=10, precision="float32", batch_size=20, rate_epochs=4, train_ms=120.0, test_ms=120.0)
    source, labels = recordings(settings, 60)
    result = decolle.learn(source, labels, 3, settings)
    held_out, expected = recordings(settings, 60, seed=1)
    right = (decolle.predict(result, held_out) == expected).mean(1)
    assert right.max() > 0.6, right  # chance is a third, with a standard error of 0.06
    first, last = result.curve[0], result.curve[-1]
    assert last["loss"][-1] < first["loss"][-1]
    assert last["rate"] == 0.25
    assert all(n > 0 for n in [*last["updates"], *last["spikes"]])


@pytest.mark.parametrize("kind", ["published", "float"])
def test_a_resumed_run_is_bit_identical(kind, tmp_path):
    keeps = {"validation": 0.25} if kind == "published" else {"average": 2}
    settings = settings_of(kind, epochs=3, precision="float32", **keeps)
    source, labels = recordings(settings)
    whole = decolle.learn(source, labels, 3, settings)

    class Killed(Exception):
        pass

    def kill(record):
        if record["epoch"] == 2:
            raise Killed

    path = tmp_path / "c.npz"
    with pytest.raises(Killed):
        decolle.learn(source, labels, 3, settings, checkpoint=path, progress=kill)
    resumed = decolle.learn(source, labels, 3, settings, checkpoint=path)
    assert resumed.curve == whole.curve
    assert resumed.epoch == whole.epoch
    assert all(np.array_equal(a, b) for a, b in zip(whole.weights + whole.biases, resumed.weights + resumed.biases))
    with pytest.raises(DataError, match="other settings"):
        decolle.learn(source, labels, 3, settings_of(kind, epochs=4, precision="float32", **keeps), checkpoint=path)
    damaged = tmp_path / "d.npz"
    np.savez(damaged, state=np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="not a training checkpoint"):
        decolle.learn(source, labels, 3, settings, checkpoint=damaged)


def test_averaged_weights_are_the_mean_of_all_updates(monkeypatch):
    settings = settings_of(epochs=2, average=1)
    source, labels = recordings(settings)
    seen, learn = [], DecolleLayer.learn

    def watched(self, *arguments):
        moved = learn(self, *arguments)
        if self.plan.number == 1:
            seen.append(self.arrays["w"].copy())
        return moved

    monkeypatch.setattr(DecolleLayer, "learn", watched)
    result = decolle.learn(source, labels, 3, settings)
    np.testing.assert_allclose(result.weights[0], np.mean(seen[len(seen) // 2 :], axis=0), rtol=1e-12, atol=1e-15)
    assert not np.array_equal(result.weights[0], seen[-1])


def test_memory_does_not_grow_with_time():
    """No tape: tensors are as many after 80 steps of learning as after 30, and Python's own memory hardly grows."""
    import gc

    settings = settings_of(precision="float32", test_ms=2000.0, train_ms=2000.0)
    x = np.zeros((4, 6, 7, 2))
    net = Net(settings, (2, 6, 7), 3)
    target, mask = torch.eye(3)[[0, 1, 2, 0]], torch.ones(4, 3)
    raster = Images(x + 1.0, np.arange(4), settings, 30.0).batch(np.arange(4), 0)
    sizes, blocks = {}, {}
    tracemalloc.start()
    for t, frame in net.steps(raster):
        for layer in net.layers:
            frame = layer.forward(frame)
            layer.learn(target, mask, layer.read(), 1.0, t)
        if t in (30, 80):  # caches of the first steps are filled
            gc.collect()
            sizes[t] = sum(o.numel() for o in gc.get_objects() if type(o) is torch.Tensor)
            blocks[t] = tracemalloc.get_traced_memory()[0]
        if t == 80:
            break
    tracemalloc.stop()
    assert sizes[30] == sizes[80]
    tape = 50 * 4 * sum(layer.p.numel() + layer.u.numel() for layer in net.layers)
    assert blocks[80] - blocks[30] < tape / 5


def test_inputs_crop_jitter_and_polarity():
    made = [np.array([(3, 5, 1000, 1), (3, 5, 1200, 1), (3, 5, 1400, 0), (0, 0, 9000, 0), (7, 1, 5200, 0)],
                     [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])]  # fmt: skip
    common = {"downsample": 2, "jitter": 0.0, "dt_ms": 1.0, "test_ms": 10.0, "train_ms": 10.0, "burn_in": 0.0, "tau_ref": 3.0}

    def dense(**more):
        return Recordings(made, (8, 8, 2), [0], settings_of(**common, **more)).batch([0]).to_dense()[0]

    # times count from the first event of the recording; 4 x 4 pixels remain
    separate = dense().reshape(10, 4, 4, 2)
    assert separate.sum() == 4
    assert separate[0, 2, 1].tolist() == [1, 1]
    assert separate[8, 0, 0].tolist() == separate[4, 0, 3].tolist() == [1, 0]
    assert dense(polarity="counts").reshape(10, 4, 4, 2)[0, 2, 1].tolist() == [1, 2]
    signed = dense(polarity="signed")
    assert signed.reshape(10, 4, 4)[0, 2, 1] == 1
    assert signed.sum() == -1
    assert np.array_equal(dense(polarity="signed_pair").reshape(10, 16, 2), np.stack([signed, signed], -1).reshape(10, 16, 2))
    settings = settings_of(jitter=0.5, dt_ms=1.0, tau_ref=3.0, burn_in=0.0, train_ms=100.0)
    many = [np.array([(0, 0, 0, 0)] + [(1, 1, 50_000, 0)] * 1 + [(k % 6, k // 6 % 6, 50_000, k // 36) for k in range(72)],
                     [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])]  # fmt: skip
    source = Recordings(many, (6, 6, 2), [7], settings)
    times = np.concatenate([source.batch([0], epoch).times[1:] for epoch in range(60)]) - 50
    assert abs((times != 0).mean() - 0.0455) < 0.01
    assert set(np.unique(times)) <= {-2, -1, 0, 1, 2}
    long = [np.array([(0, 0, t, 0) for t in range(0, 500_000, 1000)], made[0].dtype)]
    source = Recordings(long, (6, 6, 2), [0], settings_of(jitter=0.0, downsample=1))
    assert len(source.batch([0], 0)) > 25
    assert source.batch([0], 3) == source.batch([0], 3)


@pytest.mark.parametrize("wrong, words", [
    ({"bits": {"wb": 1}}, "bits.wb"), ({"bits": {"wq": 4}}, "did you mean 'wb'|unknown width"), ({"tau_ref": 1.0}, "tau_ref"),
    ({"tau_mem": [1, 2]}, "tau_mem"), ({"pq_cap": 0}, "pq_cap"), ({"polarity": "both"}, "polarity"),
    ({"burn_in": 70.0}, "burn_in"),
    ({"layers": []}, "layers"), ({"quirks": ["zero"]}, "quirk"), ({"optimiser": "adamax"}, "optimiser"), ({"rates": 1}, "rate"),
    ({"batch_size": 0}, "batch_size"),
    ({"average": 1, "validation": 0.1}, "average"), ({"offsets": {"pq": -20}}, "bits.qb|bits.pb"),
    ({"bits": {"rb": None}}, "bits.rb"),
])  # fmt: skip
def test_what_cannot_be_is_refused_in_words(wrong, words):
    with pytest.raises(ModelError, match=words):
        DecolleSettings.of(SMALL | wrong)


def test_small_images_and_labels_are_refused():
    with pytest.raises(ModelError, match="do not fit"):
        make_plan(settings_of(layers=[{"channels": 2, "kernel": 9, "padding": 1}]), (2, 4, 4), 3)
    source, _ = recordings(settings_of())
    with pytest.raises(DataError, match="labels"):
        decolle.learn(source, np.arange(8), 3, settings_of())


def test_published_scales_and_offsets():
    plans = make_plan(DecolleSettings(), (2, 32, 32), 11)
    assert [p.shape for p in plans] == [(64, 30, 30), (128, 13, 13), (128, 11, 11)]
    assert [int(np.prod(p.pooled)) for p in plans] == [14_400, 21_632, 3_200]
    assert [p.readout_scale for p in plans] == [256, 256, 128]
    for wb, scales in ((8, [1, 1, 1]), (6, [1, 2, 4]), (2, [8, 32, 64])):
        assert [p.scale for p in make_plan(DecolleSettings(bits={"wb": wb}), (2, 32, 32), 11)] == scales
    bits = DecolleSettings(offsets={"pq": -4, "s": 1, "eg": -2}).bits
    assert [bits[n] for n in ("pb", "qb", "sb", "eb", "gb", "wb")] == [8, 6, 7, 4, 8, 8]
    start = decolle.make_start(DecolleSettings(quirks=["zero_weights"], layers=[{"channels": 2}]), (2, 16, 16), 3)
    assert not start.weights[0].any()
    assert decolle.make_start(DecolleSettings(layers=[{"channels": 2}]), (2, 16, 16), 3).weights[0].any()
