"""The penalty on activity: its gradient, its shares, its place in training."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eventsnn.ann.architectures import conv_net, mlp  # noqa: E402
from eventsnn.ann.graph import LayerGraph  # noqa: E402
from eventsnn.ann.layers import Dense, ReLU  # noqa: E402
from eventsnn.ann.settings import TrainSettings  # noqa: E402
from eventsnn.ann.sparsity import ActivityPenalty, _Penalty, fan_out_shares  # noqa: E402
from eventsnn.ann.torch_net import TorchNet  # noqa: E402
from eventsnn.ann.train import train  # noqa: E402
from eventsnn.errors import ModelError  # noqa: E402

RNG = np.random.default_rng(4)
LABELS = RNG.integers(0, 4, 160)
IMAGES = RNG.integers(0, 120, (160, 6, 6, 1), dtype=np.uint8)
for _i, _c in enumerate(LABELS):
    IMAGES[_i, 3 * (_c // 2) : 3 * (_c // 2) + 3, 3 * (_c % 2) : 3 * (_c % 2) + 3] += 120
BASE = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "threads": 1, "device": "cpu", "seed": 5}


def formula(a, kind):
    """The penalty as it is documented, mean over samples."""
    flat = a.flatten(1)
    n = flat.shape[1]
    if kind in ("l1", "l1_sum"):
        return (flat.abs().sum(1) / (n if kind == "l1" else 1)).mean()
    return (flat.abs().sum(1) ** 2 / (n * flat.square().sum(1))).mean()


@pytest.mark.parametrize("kind", ["l1", "l1_sum", "hoyer"])
@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 6, 2)])
def test_gradient_is_that_of_the_formula(kind, shape):
    a = torch.tensor(np.maximum(RNG.normal(size=shape), 0), requires_grad=True)
    downstream = torch.tensor(RNG.normal(size=shape))
    meter = torch.zeros((), dtype=torch.float64)
    out = _Penalty.apply(a, 0.3, kind, meter)
    assert torch.equal(out, a)
    (own,) = torch.autograd.grad((out * downstream).sum(), a)
    loss = (a * downstream).sum() + 0.3 * formula(a, kind)
    (expected,) = torch.autograd.grad(loss, a)
    # where a = 0 the derivative of |a| is the right-hand one: the ReLU before it decides
    acting = a.detach() > 0
    assert torch.allclose(own[acting], expected[acting], rtol=1e-5, atol=1e-7)
    assert meter.item() == pytest.approx(0.3 * formula(a, kind).item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["l1", "hoyer"])
def test_gradient_through_a_relu_is_that_of_the_formula(kind):
    z = torch.tensor(RNG.normal(size=(4, 9)), requires_grad=True)
    meter = torch.zeros((), dtype=torch.float64)
    (own,) = torch.autograd.grad(_Penalty.apply(torch.relu(z), 0.7, kind, meter).square().sum(), z)
    a = torch.relu(z)
    (expected,) = torch.autograd.grad(a.square().sum() + 0.7 * formula(a, kind), z)
    assert torch.allclose(own, expected, rtol=1e-5, atol=1e-7)


def test_a_silent_layer_has_a_finite_gradient_and_no_penalty():
    a = torch.zeros((3, 5), requires_grad=True)
    meter = torch.zeros((), dtype=torch.float64)
    (own,) = torch.autograd.grad(_Penalty.apply(a, 1.0, "hoyer", meter).sum(), a)
    assert torch.isfinite(own).all() and meter.item() == 0


def test_the_hoyer_measure_does_not_see_scale():
    a = torch.relu(torch.tensor(RNG.normal(size=(4, 30))))
    values = []
    for factor in (1.0, 1e-3, 1e4):
        meter = torch.zeros((), dtype=torch.float64)
        _Penalty.apply(a * factor, 2.0, "hoyer", meter)
        values.append(meter.item())
    assert values == pytest.approx([values[0]] * 3, rel=1e-5)
    one_hot, even = torch.eye(4)[:, :3] * 7, torch.full((4, 3), 2.0)
    assert formula(one_hot[:3], "hoyer") == pytest.approx(1 / 3) and formula(even, "hoyer") == pytest.approx(1)


def test_shares_are_those_of_the_additions():
    graph = conv_net((6, 6, 1), [4, "P", 6], [8], 4, batch_norm=True)
    # relu1 -> conv2: 3 x 3 places, 3 x 3 x 4 x 6 weights; relu2 -> dense1: 54 x 8; relu3 -> output: 8 x 4
    costs = {"relu1": 9 * 216, "relu2": 432, "relu3": 32}
    shares = fan_out_shares(graph)
    assert shares == pytest.approx({name: cost / 2408 for name, cost in costs.items()})
    assert sum(shares.values()) == pytest.approx(1)
    last = LayerGraph((3,), [Dense("d", np.ones((3, 2))), ReLU("r")])
    assert fan_out_shares(last) == {} and fan_out_shares(mlp(3, [], 2)) == {}


def test_training_counts_the_penalty_and_evaluation_does_not():
    graph = conv_net((6, 6, 1), [4, "P"], [8], 4, seed=1)
    net = TorchNet(graph)
    penalty = ActivityPenalty(net, graph, 0.5, "hoyer", "cpu")
    x = torch.rand(7, 6, 6, 1)
    plain = TorchNet(graph).eval()(x)
    assert torch.equal(net.eval()(x), plain) and penalty.take().item() == 0
    assert torch.equal(net.train()(x), plain)
    values = graph.forward(x.numpy(), keep=True)
    shares = fan_out_shares(graph)
    expected = 0.5 * sum(share * formula(torch.tensor(values[name]), "hoyer").item() for name, share in shares.items())
    assert penalty.take().item() == pytest.approx(expected, rel=1e-5) and penalty.take().item() == 0


@pytest.mark.parametrize("kind", ["l1", "hoyer"])
def test_it_makes_a_network_quiet(kind):
    graph, x = conv_net((6, 6, 1), [6, "P"], [12], 4, batch_norm=True, seed=1), IMAGES / np.float32(255)
    active, curves = [], []
    for strength in (0.0, 3.0):
        result = train(graph, (IMAGES, LABELS), {**BASE, "epochs": 8, "activity_penalty": strength, "activity_kind": kind})
        values = result.graph.forward(x, keep=True)
        active.append(formula(torch.tensor(values["relu1"]), kind).item())
        curves.append([row["activity_penalty"] for row in result.curve])
        assert (values["output"].argmax(1) == LABELS).mean() > 0.9
    assert active[1] < 0.8 * active[0]
    assert curves[0] == [0.0] * 8 and curves[1][-1] < curves[1][0] and min(curves[1]) > 0
    assert set(result.curve[0]) >= {"train_loss", "activity_penalty"}


def test_a_resumed_run_is_bit_identical(tmp_path):
    graph, settings = conv_net((6, 6, 1), [4, "P"], [8], 4, batch_norm=True, seed=1), {**BASE, "activity_penalty": 0.4}
    straight = train(graph, (IMAGES, LABELS), settings)

    def kill(record):
        if record["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(graph, (IMAGES, LABELS), settings, checkpoint=tmp_path / "c.npz", progress=kill)
    resumed = train(graph, (IMAGES, LABELS), settings, checkpoint=tmp_path / "c.npz")
    assert resumed.curve == straight.curve
    for key, value in straight.graph.parameters().items():
        assert value.tobytes() == resumed.graph.parameters()[key].tobytes()


def test_bad_settings_are_refused():
    for options, message in (({"activity_penalty": -1.0}, "activity_penalty"), ({"activity_kind": "hoyr"}, "mean 'hoyer'")):
        with pytest.raises(ModelError, match=message):
            TrainSettings(**options)
