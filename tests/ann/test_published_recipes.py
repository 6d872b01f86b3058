"""The networks and training recipes of the TTFS publications: sizes, places of norm and dropout, input maps, augmentation."""

from pathlib import Path

import numpy as np
import pytest

from eventsnn.ann.architectures import build, conv_net, lenet5, mlp, vgg16
from eventsnn.ann.layers import BatchNorm, Conv2d, Dense, Dropout, ReLU
from eventsnn.ann.schedules import learning_rate
from eventsnn.ann.settings import TrainSettings
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.segments import cut
from eventsnn.errors import DataError, ModelError
from eventsnn.scenario.load import load
from eventsnn.scenario.samples import load_samples

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios" / "ann"
MNIST_VGG = (64, 64, 128, 128, "P", 256, 256, 256, "P", 512, 512, 512, "P", 512, 512, 512, "P")
RECIPE = {"norm_place": "after_relu", "dropout": 0.5, "feature_dropout": 0.5, "conv_dropout": (0.3, *[0.4] * 7)}


def sizes(graph):
    """Weights and biases, hidden spiking neurons, multiply-adds of one image."""
    segments = cut(fold_batch_norm(graph))[1]
    parameters = sum(s.layer.weights.size + s.bias().shape[-1] for s in segments)
    hidden = sum(int(np.prod(s.shape)) for s in segments[:-1])
    return parameters, hidden, sum(int(np.prod(s.shape[:-1])) * s.layer.weights.size for s in segments)


def test_sizes_are_the_published_ones():
    assert sizes(mlp(784, [340], 10)) == (270310, 340, 784 * 340 + 3400)
    parameters, hidden, products = sizes(vgg16(batch_norm=False))
    assert (round(parameters / 1e6, 2), hidden, round(products / 1e6, 1)) == (14.98, 276992, 313.5)
    assert round(sizes(vgg16(n_out=100, batch_norm=False))[0] / 1e6, 2) == 15.03
    parameters, hidden, products = sizes(conv_net((28, 28, 1), MNIST_VGG, (512, 512), 10))
    assert (round(parameters / 1e6, 2), hidden, round(products / 1e6, 1)) == (15.24, 541696, 845.0)


def test_vgg16_for_large_images_in_small():
    graph = vgg16((64, 64, 3), 7, hidden=(40, 30), batch_norm=False)  # 224 x 224 and (4096, 4096): the same, 135.8 M weights
    kinds = [layer for layer in graph.layers if isinstance(layer, Conv2d | Dense)]
    assert len(kinds) == 16 and [x.weights.shape for x in kinds[13:]] == [(2 * 2 * 512, 40), (40, 30), (30, 7)]
    assert graph.forward(np.zeros((1, 64, 64, 3), np.float32)).shape == (1, 7)


@pytest.mark.parametrize(("batch_norm", "place"), [(False, "before_relu"), (True, "before_relu"), (True, "after_relu")])
@pytest.mark.parametrize("make", [lenet5, lambda **o: vgg16((32, 32, 3), hidden=(16,), **o)])
def test_every_place_of_batch_norm(make, batch_norm, place):
    graph = make(batch_norm=batch_norm, norm_place=place)
    kinds = [type(layer) for layer in graph.layers]
    hidden = sum(kind in (Conv2d, Dense) for kind in kinds) - 1
    assert kinds.count(BatchNorm) == hidden * batch_norm and kinds.count(ReLU) == hidden
    for i, kind in enumerate(kinds):
        if kind is BatchNorm:
            assert (kinds[i - 1] is ReLU) == (place == "after_relu") and (kinds[i + 1] is ReLU) == (place == "before_relu")


def test_lenet5():
    graph = lenet5(batch_norm=False, dropout=0.08)
    shapes = {layer.name: shape for layer, shape in zip(graph.layers, graph.shapes)}
    assert [shapes[n] for n in ("conv1", "pool1", "conv2", "pool2", "conv3", "dense1", "output")] == [
        (28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120), (84,), (10,)]  # fmt: skip
    assert [layer.padding for layer in graph.layers if isinstance(layer, Conv2d)] == ["same", "valid", "valid"]
    assert [layer.rate for layer in graph.layers if isinstance(layer, Dropout)] == [0.08, 0.08]
    assert sizes(graph)[0] == 25 * 6 + 6 + 25 * 6 * 16 + 16 + 25 * 16 * 120 + 120 + 120 * 84 + 84 + 850
    assert build("lenet5", input_shape=(32, 32, 1), n_out=4, dropout=0).output_shape == (4,)


def test_dropout_of_the_cifar_recipe():
    graph = vgg16(**RECIPE)
    names, drops = [layer.name for layer in graph.layers], [i for i, x in enumerate(graph.layers) if isinstance(x, Dropout)]
    rates = {names[i - 3]: graph.layers[i].rate for i in drops if names[i - 3].startswith("conv")}
    inner = ["conv1", "conv3", "conv5", "conv6", "conv8", "conv9", "conv11", "conv12"]
    assert rates == dict(zip(inner, RECIPE["conv_dropout"]))
    assert [(names[i - 1], graph.layers[i].rate) for i in drops[-2:]] == [("flatten", 0.5), (names[-3], 0.5)]
    assert isinstance(graph.layers[-3], BatchNorm)
    with pytest.raises(ModelError, match=r"must have 8 rates.* got 2"):
        vgg16(conv_dropout=(0.1, 0.2))


def test_the_rate_of_the_cifar_recipe():
    settings = TrainSettings(learning_rate=0.1, schedule="step", step_epochs=20, step_factor=0.5, rate_decay=1e-6)
    for epoch in (0, 19, 20, 249):
        step = epoch * 390 + 7
        assert learning_rate(settings, step, 250 * 390, 390) == pytest.approx(0.1 * 0.5 ** (epoch // 20) / (1 + 1e-6 * step))


@pytest.mark.parametrize(("name", "mean", "deviation"), [("cifar10", 120.707, 64.15), ("cifar100", 121.936, 68.389)])
def test_input_maps_of_the_vgg_scenarios(name, mean, deviation, tmp_path):
    low, high = (-mean / (deviation + 1e-7), (255 - mean) / (deviation + 1e-7))
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.savez(tmp_path / "all.npz", x=pixels, y=np.zeros(1, np.int64))
    (tmp_path / "s.yml").write_text(
        f"format: 1\ntitle: t\ndata: {{file: all.npz, range: [{low!r}, {high!r}]}}\nnetwork: {{source: {{file: w.npz}}}}\n"
        "convert: {to: ramps, rule: fixed, windows: 1}\nencode: {code: ttfs, p: -3, q: 3}\nrun: {engine: event}\n"
    )
    loaded = load(tmp_path / "s.yml")
    x = load_samples(loaded, loaded.spec.data).x
    assert np.allclose(x, (pixels - mean) / (deviation + 1e-7), rtol=0, atol=1e-6)
    assert x.min() > -3 and x.max() < 3
    given = load(SCENARIOS / f"train_{name}_vgg16_published.yml").spec
    assert np.allclose(given.data.range, (low, high), rtol=0, atol=1e-6) and given.train.data.range == given.data.range


def test_images_are_turned():
    torch = pytest.importorskip("torch")
    from eventsnn.ann.batches import prepared, turned

    image = torch.zeros(1, 9, 9, 1)
    image[0, 4, 6, 0] = 1.0  # two to the right of the middle
    quarter = turned(image, torch.tensor([1.0]), 90.0)
    back = turned(image, torch.tensor([0.0]), 90.0)
    assert quarter[0, 2, 4, 0] == pytest.approx(1.0, abs=1e-5) and back[0, 6, 4, 0] == pytest.approx(1.0, abs=1e-5)
    assert torch.allclose(turned(image, torch.tensor([0.5]), 15.0), image, atol=1e-6)
    wide = torch.rand(2, 4, 8, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(turned(wide, torch.tensor([1.0, 1.0]), 180.0), wide.flip(1, 2), atol=1e-5)
    still = torch.full((6, 2), 0.5)
    batch = torch.randint(0, 255, (2, 6, 6, 1), dtype=torch.uint8)
    settings = TrainSettings(rotate=15.0)
    assert torch.allclose(prepared(batch, (6, 6, 1), settings, still), prepared(batch, (6, 6, 1), settings), atol=1e-5)
    with pytest.raises(DataError, match="rotate needs images"):
        turned(torch.zeros(2, 36), torch.zeros(2), 5.0)
