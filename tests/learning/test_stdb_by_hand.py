"""What a training of a hybrid network does, written out in plain PyTorch: truncated gradients, steps, masks, augmentation."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from eventsnn.ann.graph import LayerGraph  # noqa: E402
from eventsnn.ann.layers import Dense, Dropout, ReLU  # noqa: E402
from eventsnn.conversion.hybrid import HybridNet  # noqa: E402
from eventsnn.learning.stdb import training as stdb  # noqa: E402
from eventsnn.learning.stdb.net import StdbNet  # noqa: E402
from eventsnn.learning.stdb.settings import StdbSettings  # noqa: E402
from eventsnn.random import key, uniform  # noqa: E402
from tests.learning.test_stdb import hybrid, problem  # noqa: E402

STEPS, THETAS, LEAKS = 17, (0.5, 0.4), (0.95, 0.9)
LABELS = torch.tensor([0, 1, 2, 0])
RNG = np.random.default_rng(0)
WEIGHTS = [RNG.normal(0.1, 0.6, shape) for shape in ((5, 7), (7, 6), (6, 3))]
IMAGES = RNG.uniform(-1, 1, (4, 5)).astype(np.float32)


def dense(**options):
    layers = [Dense("a", WEIGHTS[0]), ReLU("ra"), Dense("b", WEIGHTS[1]), ReLU("rb"), Dense("o", WEIGHTS[2])]
    return HybridNet(LayerGraph((5,), layers).astype(np.float64), THETAS, LEAKS, input="direct", **options)


class Spike(torch.autograd.Function):
    """A spike with the linear surrogate."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).double()

    @staticmethod
    def backward(ctx, e):
        return e * 0.3 * torch.clamp(1 - ctx.saved_tensors[0].abs(), min=0)


def plain(weights, propagation="pipelined", attached=True, truncate=0):
    """Yield (steps so far, output) where a piece of the run ends, and forget the past behind it."""
    x = torch.tensor(IMAGES.astype(np.float64))
    u = [torch.zeros(4, 7).double(), torch.zeros(4, 6).double()]
    s, out = [torch.zeros_like(part) for part in u], torch.zeros(4, 3).double()
    for t in range(STEPS):
        z = x
        for k in range(2):
            if propagation == "pipelined":
                s[k] = Spike.apply(u[k] / THETAS[k] - 1)
            reset = s[k] if attached else s[k].detach()
            u[k] = LEAKS[k] * u[k] + z @ weights[k] - THETAS[k] * reset
            if propagation == "same_step":
                s[k] = Spike.apply(u[k] / THETAS[k] - 1)
            z = s[k]
        out = out + z @ weights[2]
        if t == STEPS - 1 or (truncate and (t + 1) % truncate == 0):
            yield t + 1, out
            out, u, s = out.detach(), [part.detach() for part in u], [part.detach() for part in s]


@pytest.mark.parametrize("propagation", ["pipelined", "same_step"])
@pytest.mark.parametrize("reset", ["attached", "detached"])
@pytest.mark.parametrize("truncate, chunk", [(5, 0), (6, 4), (8, 3)])
def test_truncated_gradients(propagation, reset, truncate, chunk):
    settings = StdbSettings(steps=STEPS, truncate=truncate, chunk=chunk, precision="float64", reset_gradient=reset)
    net, weights = StdbNet(dense(propagation=propagation), settings), [torch.tensor(w, requires_grad=True) for w in WEIGHTS]
    losses = []
    for walk in (net.segments(IMAGES, np.arange(4), 0), plain(weights, propagation, reset == "attached", truncate)):
        losses.append([])
        for elapsed, logits, *_ in walk:
            loss = torch.nn.functional.cross_entropy(logits / elapsed, LABELS)
            loss.backward()
            losses[-1].append((elapsed, loss.item()))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-12)
    for module, weight in zip(net.weights, weights):
        assert weight.grad.abs().max() > 1e-4
        np.testing.assert_allclose(module.weight.grad.T, weight.grad, rtol=1e-10, atol=1e-13)


def adam(weights, **changed):
    return torch.optim.Adam(weights, **{"lr": 0.05, "weight_decay": 0.1, "amsgrad": True, **changed})


def sgd(weights, **changed):
    return torch.optim.SGD(weights, **{"lr": 0.05, "weight_decay": 0.1, "momentum": 0.95, **changed})


@pytest.mark.parametrize("make, without", [
    (adam, {"weight_decay": 0}), (adam, {"amsgrad": False}), (sgd, {"weight_decay": 0}), (sgd, {"momentum": 0.5}),
])  # fmt: skip
@pytest.mark.parametrize("logits", ["sum", "mean"])
def test_steps_are_those_of_the_stated_optimiser(make, without, logits):
    settings = {"steps": STEPS, "epochs": 8, "batch_size": 4, "precision": "float64", "reset_gradient": "attached",
                "learning_rate": 0.05, "abort_after": 0, "weight_decay": 0.1, "lr_interval": (), "optimiser": make.__name__,
                "logits": logits}  # fmt: skip

    def by_hand(changed, divided):
        weights = [torch.tensor(w, requires_grad=True) for w in WEIGHTS]
        optimiser = make(weights, **changed)
        for _ in range(8):
            optimiser.zero_grad()
            ((steps, out),) = plain(weights)
            torch.nn.functional.cross_entropy(out / steps if divided else out, LABELS).backward()
            optimiser.step()
        return [w.detach().numpy() for w in weights]

    found = stdb.train(dense(), (IMAGES, LABELS.numpy()), settings).hybrid.graph.parameters()
    mean = logits == "mean"
    for name, wanted in zip("abo", by_hand({}, mean)):
        np.testing.assert_allclose(found[f"{name}.weights"], wanted, rtol=1e-9, atol=1e-11)
    for others in (by_hand(without, mean), by_hand({}, not mean)):  # each of these choices can be told from the weights
        assert max(np.abs(found[f"{name}.weights"] - w).max() for name, w in zip("abo", others)) > 1e-7


@pytest.mark.parametrize("how", [{}, {"dropout": 0.25}, {"shift": 1}, {"flip": True}], ids=str)
def test_a_batch_has_the_stated_masks_and_places(how):
    """One SGD step on one batch, from the masks and the places that the counter-based generator gives."""
    images, labels = problem(16)
    net = hybrid("vgg", input="direct")
    rate = how.get("dropout", 0.5)
    settings = StdbSettings(steps=12, epochs=1, batch_size=16, optimiser="sgd", learning_rate=0.1, weight_decay=0.0, seed=3,
                            precision="float64", abort_after=0, lr_interval=(), **how)  # fmt: skip
    found = stdb.train(net, (images, labels), settings).hybrid.graph.parameters()
    split = np.argsort(uniform(key(3, "stdb split"), 0, 0, 16), kind="stable")
    members = split[np.argsort(uniform(key(3, "stdb order"), 0, 0, 16), kind="stable")]
    draws = uniform(key(3, "stdb augment"), 0, np.arange(3), 16)
    shift, moved = how.get("shift", 0), []
    for image, (down, right, turn) in zip(images[members], draws.T):
        y, x = int(down * (2 * shift + 1)), int(right * (2 * shift + 1))
        image = np.pad(image, ((shift, shift), (shift, shift), (0, 0)))[y : y + 6, x : x + 6]
        moved.append(image[:, ::-1] if how.get("flip") and turn < 0.5 else image)
    masked = [Dropout(x.name, rate) if x.name == "drop2" else x for x in net.graph.layers]
    twin = StdbNet(HybridNet(LayerGraph(net.graph.input_shape, masked), net.thresholds, net.leaks, input="direct"),
                   StdbSettings(steps=12, precision="float64"))  # fmt: skip
    ((_, logits, _),) = twin.segments(np.array(moved), members, int(key(3, "stdb batch", 0, 0)) >> 1, masks=True)
    torch.nn.functional.cross_entropy(logits, torch.as_tensor(labels[members])).backward()
    changed = False
    for node, module in zip(twin.nodes, twin.weights):
        step = module.weight.grad.permute(2, 3, 1, 0) if module.weight.ndim == 4 else module.weight.grad.T
        own = net.graph.parameters()[f"{node.name}.weights"]
        np.testing.assert_allclose(found[f"{node.name}.weights"], own - 0.1 * step.numpy(), rtol=1e-10, atol=1e-12)
        changed |= bool(step.abs().max() > 1e-4)
    assert changed
