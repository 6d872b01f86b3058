"""Training with PyTorch: the twin equals the NumPy forward, runs resume bit for bit, settings are checked."""

import numpy as np
import pytest

from eventsnn.ann.schedules import learning_rate
from eventsnn.ann.settings import TrainSettings
from eventsnn.errors import DataError, ModelError, RunError

torch = pytest.importorskip("torch")

from eventsnn.ann.architectures import conv_net, mlp  # noqa: E402
from eventsnn.ann.batches import augment, hidden, prepared, recolour, standardised  # noqa: E402
from eventsnn.ann.exchange import from_torch  # noqa: E402
from eventsnn.ann.graph import LayerGraph  # noqa: E402
from eventsnn.ann.layers import Conv2d, Flatten  # noqa: E402
from eventsnn.ann.torch_net import TorchNet  # noqa: E402
from eventsnn.ann.train import train  # noqa: E402

RNG = np.random.default_rng(2)
# Four classes of images that differ in where they are bright.
LABELS = RNG.integers(0, 4, 120)
IMAGES = RNG.integers(0, 120, (120, 6, 6, 1), dtype=np.uint8)
for _i, _c in enumerate(LABELS):
    IMAGES[_i, 3 * (_c // 2) : 3 * (_c // 2) + 3, 3 * (_c % 2) : 3 * (_c % 2) + 3] += 120
BASE = {"epochs": 4, "batch_size": 16, "learning_rate": 0.01, "threads": 1, "device": "cpu", "validation": 24,
        "seed": 5}  # fmt: skip


def small(dropout=0.3):
    """A network with everything that has state: batch norm and dropout."""
    return conv_net((6, 6, 1), [4, "P", 6], [8], 4, batch_norm=True, dropout=dropout, seed=1)


def bits(graph):
    """All parameters as bytes."""
    return {key: value.tobytes() for key, value in graph.parameters().items()}


@pytest.mark.parametrize("graph", [
    mlp(36, [7, 5], 3), small(), conv_net((6, 6, 1), [4, "P"], [], 3, kernel=5, padding="valid", pool="average"),
    conv_net((6, 6, 1), [4, 3], [], 3, kernel=4), conv_net((6, 6, 1), [4, "P"], [5], 3, kernel=3),
    LayerGraph((6, 6, 1), [Conv2d("c", RNG.normal(size=(3, 2, 1, 2)), RNG.normal(size=(3, 3, 2)), 2), Flatten()]),
])  # fmt: skip
def test_forward_equals_torch(graph):
    trained = graph.with_parameters({key: RNG.uniform(0.1, 1, v.shape) for key, v in graph.parameters().items()})
    trained = trained.astype(np.float64)
    x = RNG.normal(size=(5, *graph.input_shape))
    net = TorchNet(trained).eval()
    with torch.no_grad():
        for layout in (torch.contiguous_format, torch.channels_last):
            logits = net.to(memory_format=layout)(torch.as_tensor(x)).numpy()
            assert np.allclose(logits, trained.forward(x), rtol=1e-12, atol=1e-12)
    arrays = net.arrays()
    assert all((arrays[key] == value).all() for key, value in trained.parameters().items())


def test_state_dict_of_an_ordinary_torch_model():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(36, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4),
    )  # fmt: skip
    graph = conv_net((6, 6, 1), [4, "P"], [8], 4, batch_norm=True)
    graph = LayerGraph((6, 6, 1), [x for x in graph.layers if x.name != "norm2"])
    with torch.no_grad():
        model(torch.rand(20, 1, 6, 6))
        filled = from_torch(graph, {key: value.numpy() for key, value in model.state_dict().items()})
        x = torch.rand(5, 1, 6, 6)
        expected = model.eval()(x).numpy()
    assert np.allclose(filled.forward(x.permute(0, 2, 3, 1).numpy()), expected, atol=1e-5)


def test_training_learns_and_reports():
    seen, graph = [], small(dropout=0.0)
    before = bits(graph)
    result = train(graph, (IMAGES, LABELS), {**BASE, "epochs": 12}, progress=seen.append)
    assert bits(graph) == before and graph.meta == {}
    assert seen == result.curve and [r["epoch"] for r in seen] == list(range(1, 13))
    assert result.curve[-1]["validation_accuracy"] > 0.9 > 0.5 > result.curve[0]["learning_rate"]
    x = IMAGES / np.float32(255)
    assert (result.graph.forward(x).argmax(1) == LABELS).mean() > 0.9
    assert result.graph.meta["training"]["settings"]["seed"] == 5 and result.epoch == 12
    assert result.graph.dtype == np.float32


@pytest.mark.parametrize("extra", [
    {}, {"optimiser": "sgd", "schedule": "step", "step_epochs": 2, "weight_decay": 1e-3},
    {"keep": "best", "shift": 1, "flip": True, "schedule": "one_cycle", "label_smoothing": 0.1},
])  # fmt: skip
def test_resume_is_bit_identical(tmp_path, extra):
    settings, data = {**BASE, **extra}, (IMAGES, LABELS)
    straight = train(small(), data, settings)
    assert bits(train(small(), data, settings).graph) == bits(straight.graph)
    for stop in (1, 3):
        path = tmp_path / f"{stop}.npz"

        def kill(record, stop=stop):
            if record["epoch"] == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(small(), data, settings, checkpoint=path, progress=kill)
        resumed = train(small(), data, settings, checkpoint=path)
        assert bits(resumed.graph) == bits(straight.graph)
        assert resumed.curve == straight.curve and resumed.epoch == straight.epoch
        again = train(small(), data, settings, checkpoint=path)
        assert bits(again.graph) == bits(straight.graph)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".npz", ".npz"]


def test_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "c.npz"
    train(small(), (IMAGES, LABELS), {**BASE, "epochs": 1}, checkpoint=path)
    for net, data, settings in (
        (small(), (IMAGES, LABELS), {**BASE, "epochs": 2}), (small(0.2), (IMAGES, LABELS), {**BASE, "epochs": 1}),
        (small(), (IMAGES[::-1], LABELS), {**BASE, "epochs": 1}),
    ):  # fmt: skip
        with pytest.raises(DataError, match="other settings"):
            train(net, data, settings, checkpoint=path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"c\.npz"):
        train(small(), (IMAGES, LABELS), {**BASE, "epochs": 1}, checkpoint=path)


def test_best_epoch_and_bfloat16():
    result = train(small(), (IMAGES, LABELS), {**BASE, "keep": "best", "precision": "bfloat16", "epochs": 5})
    best = max(r["validation_accuracy"] for r in result.curve)
    assert result.curve[result.epoch - 1]["validation_accuracy"] == best
    assert all(v.dtype == np.float32 for v in result.graph.parameters().values())


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_takes_the_stated_steps(amsgrad, decoupled):
    """Batches of the whole training part, so that only the optimiser is left to say: the weights are those of plain PyTorch."""
    how = {"epochs": 12, "batch_size": 120, "optimiser": "adam", "learning_rate": 0.05, "schedule": "constant",
           "weight_decay": 0.1, "validation": 0, "threads": 1, "device": "cpu", "channels_last": False}  # fmt: skip
    start = mlp(36, [7], 4, seed=3)
    found = train(start, (IMAGES, LABELS), {**how, "amsgrad": amsgrad, "decoupled": decoupled}).graph

    def by_hand(kind, **options):
        net = TorchNet(start, torch.float32)
        weights, biases = ([p for p in net.parameters() if (p.ndim > 1) == wide] for wide in (True, False))
        optimiser = kind([{"params": weights, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0.0}], lr=0.05, **options)
        for _ in range(12):
            optimiser.zero_grad()
            logits = net(torch.as_tensor(IMAGES.reshape(120, 36) / np.float32(255)))
            torch.nn.functional.cross_entropy(logits, torch.as_tensor(LABELS)).backward()
            optimiser.step()
        return net.arrays()

    def distance(wanted):
        return max(np.abs(found.parameters()[name] - value).max() for name, value in wanted.items())

    kinds = torch.optim.Adam, torch.optim.AdamW
    assert distance(by_hand(kinds[decoupled], amsgrad=amsgrad)) < 1e-4
    assert distance(by_hand(kinds[not decoupled], amsgrad=amsgrad)) > 1e-2


def test_amsgrad_divides_by_the_largest_moment(monkeypatch):
    seen = {}
    for kind in ("Adam", "AdamW"):
        real = getattr(torch.optim, kind)
        monkeypatch.setattr(torch.optim, kind, lambda *a, real=real, kind=kind, **k: (seen.update({kind: k}), real(*a, **k))[1])
    for decoupled, amsgrad in ((True, False), (True, True), (False, True)):
        seen.clear()
        train(small(), (IMAGES, LABELS), {**BASE, "epochs": 1, "decoupled": decoupled, "amsgrad": amsgrad})
        assert seen == {"AdamW" if decoupled else "Adam": {"lr": BASE["learning_rate"], "amsgrad": amsgrad}}


def test_zero_epochs_return_the_network():
    graph = mlp(36, [4], 4)
    result = train(graph, (IMAGES, LABELS), {**BASE, "epochs": 0})
    assert bits(result.graph) == bits(graph) and result.curve == [] and result.epoch == 0


def test_augmentation_shifts_and_flips():
    image = torch.arange(1, 13, dtype=torch.uint8).reshape(1, 3, 4)
    still = torch.tensor([[0.5], [0.5], [0.9]])
    assert (augment(image, still, 1, True) == image).all()
    up_left = augment(image, torch.tensor([[0.9], [0.9], [0.9]]), 1, False)
    assert up_left[0].tolist() == [[6, 7, 8, 0], [10, 11, 12, 0], [0, 0, 0, 0]]
    assert (augment(image, torch.tensor([[0.5], [0.5], [0.1]]), 0, True) == image.flip(2)).all()
    colour = torch.rand(3, 5, 5, 2)
    assert augment(colour, torch.rand(3, 3), 2, True).shape == colour.shape


def test_crops_are_whole_squares_from_everywhere():
    image = torch.arange(30, dtype=torch.uint8).reshape(1, 5, 6).repeat(200, 1, 1)
    cut = augment(image, torch.rand(3, 200, generator=torch.Generator().manual_seed(0)), 0, False, 3)
    corners = {(int(c[0, 0]) // 6, int(c[0, 0]) % 6) for c in cut}
    assert corners == {(y, x) for y in range(3) for x in range(4)}
    assert all((c == c[0, 0] + torch.tensor([[0, 1, 2], [6, 7, 8], [12, 13, 14]])).all() for c in cut)
    settings = TrainSettings(crop=3)
    middle = prepared(image[:1], (3, 3, 1), settings)
    assert (middle[0, 0, :, 0] * 255).round().tolist() == [7, 8, 9]  # from row 1, column 1 on
    flipped = augment(image[:1], torch.tensor([[0.0], [0.0], [0.1]]), 0, True, 3)
    assert flipped[0, 0].tolist() == [2, 1, 0]


def test_brightness_contrast_and_standardisation():
    images = torch.rand(3, 4, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    draws = torch.tensor([[0.0] * 3, [0.0] * 3, [0.0] * 3, [0.75, 0.5, 0.0], [0.25, 0.5, 1.0]], dtype=torch.float64)
    changed = recolour(images, draws, 0.2, 0.8)
    for k, (shift, factor) in enumerate(((0.1, 0.6), (0.0, 1.0), (-0.2, 1.8))):
        mean = images[k].mean((0, 1)) + shift
        assert torch.allclose(changed[k], factor * (images[k] + shift - mean) + mean)
    flat = standardised(images).flatten(1)
    assert torch.allclose(flat.mean(1), torch.zeros(3, dtype=torch.float64)) and torch.allclose(flat.std(1, unbiased=False),
                                                                                                torch.ones(3).double())
    dull = torch.full((1, 2, 2, 1), 0.5)
    dull[0, 0, 0, 0] += 1e-4  # its deviation, 4e-5, counts as 1 / (255 * 2)
    assert standardised(dull).abs().max().item() == pytest.approx(0.75e-4 * 510, rel=1e-3)


def test_cutout_hides_a_square_under_the_mean():
    images = torch.rand(3, 6, 5, 2, generator=torch.Generator().manual_seed(2))
    draws = torch.tensor([[0.5, 0.0, 0.99], [0.5, 0.0, 0.99]])  # middles (3, 2), (0, 0), (5, 4)
    cut = hidden(images, draws, 3)
    for k, (rows, columns) in enumerate(((slice(2, 5), slice(1, 4)), (slice(0, 2), slice(0, 2)), (slice(4, 6), slice(3, 5)))):
        wanted = images[k].clone()
        wanted[rows, columns] = images[k].mean((0, 1))
        assert (cut[k] == wanted).all()
    assert (hidden(images, draws, 4)[0, 1:5, :4] == images[0].mean((0, 1))).all()


def test_what_training_prepares_is_what_evaluation_sees():
    """The samples of a scenario, in NumPy, against PyTorch's batches without augmentation."""
    from eventsnn.scenario.samples import middle, scale
    from eventsnn.scenario.samples import standardised as standardised_numpy

    images = RNG.integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    wanted = standardised_numpy(middle(scale(images), 4, "images"))
    found = prepared(torch.as_tensor(images), (4, 4, 3), TrainSettings(crop=4, standardise=True)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


def test_training_on_crops_resumes_and_refuses():
    graph = conv_net((4, 4, 1), [3], [], 4, batch_norm=True, seed=1)
    settings = {**BASE, "epochs": 2, "crop": 4, "flip": True, "brightness": 0.2, "contrast": 0.5, "cutout": 2}
    settings["standardise"] = True
    once = train(graph, (IMAGES, LABELS), settings)
    assert bits(train(graph, (IMAGES, LABELS), settings).graph) == bits(once.graph)
    plain = train(graph, (IMAGES, LABELS), {**settings, "contrast": 0.0})
    assert bits(plain.graph) != bits(once.graph) and once.curve[-1]["validation_accuracy"] is not None
    with pytest.raises(DataError, match="crop 7 needs images of at least 7 x 7"):
        train(graph, (IMAGES, LABELS), {**settings, "crop": 7})
    with pytest.raises(DataError, match="after the crop, the network takes"):
        train(graph, (IMAGES, LABELS), {**settings, "crop": 5})
    with pytest.raises(DataError, match="brightness, contrast, cutout and rotate need"):
        train(mlp(36, [4], 4), (IMAGES.reshape(-1, 36), LABELS), {**BASE, "contrast": 0.5})
    with pytest.raises(ModelError, match="contrast"):
        TrainSettings(contrast=1.5)


def test_schedules():
    def rates(**options):
        settings = TrainSettings(epochs=10, learning_rate=1.0, **options)
        return [learning_rate(settings, s, 100, 10) for s in range(100)]

    assert rates(schedule="constant") == [1.0] * 100
    assert rates(schedule="step", step_epochs=5, step_factor=0.5) == [1.0] * 50 + [0.5] * 50
    cosine, cycle = rates(schedule="cosine"), rates(schedule="one_cycle", warm_up=0.3)
    assert cosine[0] == 1 and abs(cosine[50] - 0.5) < 1e-12 and all(np.diff(cosine) < 0)
    assert abs(cycle[0] - 0.04) < 1e-12 and np.argmax(cycle) == 30 and cycle[-1] < 0.01
    parameter = torch.nn.Parameter(torch.zeros(1))
    torch_cycle = torch.optim.lr_scheduler.OneCycleLR(torch.optim.SGD([parameter], 1.0), 1.0, 1000, pct_start=0.3)
    assert abs(torch_cycle.get_last_lr()[0] - cycle[0]) < 1e-12


@pytest.mark.parametrize(("values", "message"), [
    ({"epoch": 3}, "did you mean 'epochs'"),
    ({"optimiser": "adamm"}, "did you mean 'adam'"), ({"epochs": -1}, "epochs"),
    ({"epochs": 2.5}, "whole"), ({"learning_rate": float("nan")}, "learning_rate"), ({"momentum": 1}, "momentum"),
    ({"keep": "best"}, "validation"), ({"batch_size": True}, "batch_size"),
    ({"learning_rate": "1e-3"}, "learning_rate"), ({"deterministic": "no"}, "deterministic must be true or false"),
    ({"nesterov": 0}, "nesterov"), ({"lr_interval": 0.5}, "lr_interval"), (None, "must be a dict or TrainSettings"),
])  # fmt: skip
def test_bad_settings(values, message):
    with pytest.raises(ModelError, match=message):
        TrainSettings.of(values)


@pytest.mark.parametrize(("data", "message"), [
    ((IMAGES[:, :5], LABELS), "shape"), ((IMAGES, LABELS[:-1]), "label"), ((IMAGES, LABELS + 1), r"\[0, 4\)"),
    ((IMAGES, LABELS / 2), "label"), ((np.full(IMAGES.shape, np.nan), LABELS), "NaN"), ("mnist", "pair"),
])  # fmt: skip
def test_bad_data(data, message):
    with pytest.raises(DataError, match=message):
        train(mlp(36, [3], 4), data, BASE)


def test_bad_runs():
    with pytest.raises(RunError, match="learning_rate"):
        train(mlp(36, [3], 4), (IMAGES, LABELS), {**BASE, "optimiser": "sgd", "learning_rate": 1e30})
    with pytest.raises(DataError, match="validation"):
        train(mlp(36, [3], 4), (IMAGES, LABELS), {**BASE, "validation": 120})
    with pytest.raises(DataError, match="shift"):
        train(mlp(36, [3], 4), (IMAGES.reshape(120, 36), LABELS), {**BASE, "shift": 1})
    if not torch.cuda.is_available():
        with pytest.raises(RunError, match="GPU"):
            train(mlp(36, [3], 4), (IMAGES, LABELS), {**BASE, "device": "cuda"})


def test_missing_torch_is_explained(monkeypatch):
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("torch_net", "torch_quantised"):
        monkeypatch.delitem(sys.modules, f"eventsnn.ann.{name}")
    with pytest.raises(RunError, match=r"pip install eventsnn\[ann\]"):
        importlib.import_module("eventsnn.ann.torch_net")
