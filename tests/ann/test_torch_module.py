"""A PyTorch module becomes a layer graph that computes the same, exactly, or is refused with a sentence."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from eventsnn import run  # noqa: E402
from eventsnn.ann.architectures import mlp  # noqa: E402
from eventsnn.ann.exchange import from_torch  # noqa: E402
from eventsnn.ann.files import load_graph, save_graph  # noqa: E402
from eventsnn.ann.graph import LayerGraph  # noqa: E402
from eventsnn.ann.layers import BatchNorm, Conv2d, Dense, Flatten, ReLU  # noqa: E402
from eventsnn.ann.torch_module import from_torch_module  # noqa: E402
from eventsnn.ann.torch_net import TorchNet  # noqa: E402
from eventsnn.conversion.fold import fold_batch_norm  # noqa: E402
from eventsnn.conversion.ttfs import to_ramps  # noqa: E402
from eventsnn.encoders import ttfs  # noqa: E402
from eventsnn.errors import DataError, ModelError  # noqa: E402
from tests.properties.settings import examples  # noqa: E402

# Weights and inputs on a grid: every sum is exact in float64, in whatever order it is added.
GRID = 2.0**-4


def on_grid(module, seed):
    """Fill a module with numbers of a grid; batch norms divide by powers of two. In float64."""
    draw = torch.Generator().manual_seed(seed)
    module.double()
    with torch.no_grad():
        for part in module.modules():
            for _, value in part.named_parameters(recurse=False):
                value.copy_(torch.randint(-8, 9, value.shape, generator=draw) * GRID)
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.running_mean.copy_(torch.randint(-8, 9, part.running_mean.shape, generator=draw) * GRID)
                part.running_var.copy_(4.0 ** torch.randint(-1, 2, part.running_var.shape, generator=draw) - part.eps)
    return module


def images(shape, n=3, seed=0):
    """Inputs on the grid, (n, y, x, channel) or (n, features)."""
    return np.random.default_rng(seed).integers(-8, 9, (n, *shape)) * GRID


def computed(module, x):
    """What PyTorch makes of a batch in eventsnn's layout, in eventsnn's layout."""
    x = torch.as_tensor(x)
    with torch.no_grad():
        out = module.eval()(x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x)
    return (out.permute(0, 2, 3, 1) if out.ndim == 4 else out).numpy()


def assert_same(module, shape, exact=True):
    """The imported network gives PyTorch's numbers: all bits of them, or to rounding behind a batch norm."""
    graph, x = from_torch_module(module, shape), images(shape)
    wanted, found = computed(module, x), graph.forward(x)
    assert wanted.dtype == found.dtype == np.float64
    assert (wanted == found).all() if exact else np.allclose(wanted, found, rtol=1e-9, atol=1e-9)
    assert wanted.std() > 0
    return graph


@st.composite
def sequentials(draw):
    """A random convolutional net in nested nn.Sequentials, and the shape of its input (y, x, channel)."""
    y, x, c = draw(st.integers(5, 9)), draw(st.integers(5, 9)), draw(st.integers(1, 3))
    shape, parts, normed = (y, x, c), [], False
    for _ in range(draw(st.integers(1, 3))):
        kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
        stride, out = draw(st.integers(1, 2)), draw(st.integers(1, 4))
        padding = draw(st.sampled_from([0, 1, (2, 1), (0, 1), "valid", *(["same"] if stride == 1 else [])]))
        if min(y, x) < 3:
            break
        block = [nn.Conv2d(c, out, kernel, stride, padding, bias=draw(st.booleans()))]
        if draw(st.booleans()):
            normed = True
            block.append(nn.BatchNorm2d(out, eps=draw(st.sampled_from([1e-5, 1e-3])), affine=draw(st.booleans())))
        block.append(nn.ReLU(inplace=draw(st.booleans())))
        _, c, y, x = block[0](torch.zeros(1, c, y, x)).shape
        if min(y, x) >= 4 and draw(st.booleans()):
            block.append(draw(st.sampled_from([nn.MaxPool2d(2), nn.AvgPool2d(2, 2), nn.MaxPool2d((2, 2), stride=(2, 2))])))
            y, x = y // 2, x // 2
        parts.append(nn.Sequential(*block) if draw(st.booleans()) else nn.Sequential(nn.Sequential(*block), nn.Dropout(0.3)))
    size = y * x * c
    parts.append(nn.Flatten())
    if draw(st.booleans()):
        normed = True
        parts.append(nn.BatchNorm1d(size))
    parts += [nn.Linear(size, 5, bias=draw(st.booleans())), nn.ReLU(), nn.Linear(5, 3)]
    return on_grid(nn.Sequential(*parts), draw(st.integers(0, 99))), shape, normed


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch, of its own speed
@examples(60)
@given(sequentials())
def test_any_sequential_computes_the_same(case):
    module, shape, normed = case
    graph, x = from_torch_module(module, shape), images(shape)
    wanted = computed(module, x)
    if normed:
        assert np.allclose(graph.forward(x), wanted, rtol=1e-9, atol=1e-9)
    else:
        assert (graph.forward(x) == wanted).all()
    with torch.no_grad():  # and so does the twin that training takes, with all its paddings
        assert np.allclose(TorchNet(graph).eval()(torch.as_tensor(x)).numpy(), wanted, rtol=1e-9, atol=1e-9)


class Ordinary(nn.Module):
    """A network as tutorials write it."""

    def __init__(self, flatten):
        super().__init__()
        self.conv1, self.bn = nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4, eps=1e-3)
        self.conv2, self.drop, self.how = nn.Conv2d(4, 3, 3, padding=1), nn.Dropout(0.2), flatten
        self.head = nn.Sequential(nn.Linear(12, 6), nn.Sequential(nn.ReLU(), nn.Linear(6, 3)))

    def forward(self, x):
        x = functional.relu(self.bn(self.conv1(x)))
        x = functional.avg_pool2d(torch.relu(self.conv2(x)).relu(), kernel_size=1)
        x = functional.max_pool2d(x, 2)
        x = functional.dropout(self.drop(x), 0.3, training=self.training)
        return self.head(self.how(x))


@pytest.mark.parametrize("flatten", [
    lambda x: x.view(x.size(0), -1), lambda x: x.reshape(x.shape[0], 12), lambda x: x.view((-1, 12)), lambda x: x.flatten(1),
    lambda x: torch.flatten(x, start_dim=1), lambda x: torch.reshape(x, (x.size()[0], -1)),
])  # fmt: skip
def test_an_ordinary_forward(flatten):
    module = on_grid(Ordinary(flatten), 1)
    module.train()
    graph = assert_same(module, (8, 8, 2), exact=False)
    assert [x.name for x in graph.layers][:3] == ["conv1", "bn", "relu"] and graph.layers[-1].name == "head_1_1"
    assert (graph.layers[0].padding, graph.layers[0].stride, graph.layers[1].epsilon) == (1, 2, 1e-3)
    assert graph.layers[3].padding == "same"


def test_the_module_stays_in_its_mode():
    module = Ordinary(torch.nn.Flatten())
    module.bn.eval()
    from_torch_module(module, (8, 8, 2))
    assert module.training and not module.bn.training


def test_names_of_a_plain_sequential_and_a_single_layer():
    graph = from_torch_module(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)), (6, 6, 1), "mine")
    assert [x.name for x in graph.layers] == ["conv1", "relu1", "flatten1", "dense1"] and graph.name == "mine"
    assert_same(on_grid(nn.Linear(4, 3), 2), (4,))
    assert_same(on_grid(nn.Conv2d(2, 3, 3, 2, 1), 3), (6, 6, 2))
    assert from_torch_module(nn.Linear(4, 3).half(), (4,)).dtype == np.float32


def test_a_pool_that_rounds_up_nothing():
    pool = nn.MaxPool2d(2, ceil_mode=True)
    assert_same(nn.Sequential(nn.Conv2d(1, 1, 1), pool).double(), (6, 6, 1), exact=False)
    with pytest.raises(ModelError, match="ceil_mode"):
        from_torch_module(pool, (7, 6, 1))


class Through(nn.Module):
    """Any forward."""

    def __init__(self, forward):
        super().__init__()
        self.conv, self.how = nn.Conv2d(1, 1, 3, padding=1), forward

    def forward(self, x):
        return self.how(self, x)


def beside(self, x):
    x = self.conv(x)
    functional.relu_(x)
    return x


@pytest.mark.parametrize("module, what", [
    (nn.Sequential(nn.GELU()), "'0' .GELU..*with ReLU.*allowed are Conv2d"), (nn.Conv2d(1, 2, 3, dilation=2), "dilation"),
    (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "reflect"), (nn.Conv2d(1, 1, 3, stride=(1, 2)), "stride"),
    (nn.Conv2d(6, 2, 3), "(28, 28, 1)"), (nn.MaxPool2d(3, 2), "stride equal"), (nn.MaxPool2d((1, 2)), "square"),
    (nn.MaxPool2d(2, padding=1), "no padding"), (nn.AvgPool2d(2, divisor_override=3), "divisor_override"),
    (nn.MaxPool2d(2, return_indices=True), "return_indices"), (nn.BatchNorm2d(1, track_running_stats=False), "statistics"),
    (nn.Flatten(2), "start_dim"), (nn.Linear(6, 2), "Flatten"), (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten()), "ends with"),
    (nn.Sequential(nn.Flatten(), nn.Linear(36, 2), nn.LogSoftmax(1)), "return the logits"),
    (nn.Sequential(), "at least one layer"), (nn.Conv2d(1, 2, 3, device="meta"), "meta"),
    (nn.Sequential(nn.AdaptiveAvgPool2d(1)), "AvgPool2d of the size"),
    (Through(lambda self, x: self.conv(x) + x), "Residual"), (Through(lambda self, x: self.conv(x) * 2), "no counterpart"),
    (Through(lambda self, x: self.conv((x - 0.1) / 0.3)), "BatchNorm in front"), (Through(beside), "beside the chain"),
    (Through(lambda self, x: self.conv(x) if x.sum() > 0 else x), "cannot follow"),
    (Through(lambda self, x: functional.dropout(self.conv(x))), "self.training"),
    (Through(lambda self, x: (self.conv(x), x)), "one tensor"), (Through(lambda self, x: self.conv(x).view(-1, 6)), "flatten"),
    (Through(lambda self, x: self.conv(x).view(x.shape[1:][0], -1)), "flatten"), (Through(lambda self, x: 1), "one tensor"),
    (Through(lambda self, x: functional.conv2d(x, self.conv.weight)), "nn.Conv2d"),
    (Through(lambda self, x: functional.max_pool2d(self.conv(x), x.size(1))), "plain value"),
    (nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 3)), "remove_parametrizations"), ({"a": 1}, "from_torch"),
])  # fmt: skip
def test_what_cannot_be_said_is_refused(module, what):
    with pytest.raises(ModelError) as error:
        from_torch_module(module, (6, 6, 1))
    assert re.search(what, str(error.value)), error.value


@pytest.mark.parametrize("shape", ["abc", None, (28, 28), (0, 4, 4)])
def test_the_input_shape_is_said(shape):
    with pytest.raises(ModelError, match="input_shape must be"):
        from_torch_module(nn.Linear(4, 3), shape)


def test_hooks_are_refused():
    module = nn.Sequential(nn.Linear(4, 3))
    module[0].register_forward_hook(lambda *_: None)
    with pytest.raises(ModelError, match=r"'0' \(Linear\) has a forward hook"):
        from_torch_module(module, (4,))


def test_a_border_of_its_own_is_kept_folded_and_saved(tmp_path):
    rng = np.random.default_rng(3)
    norm = BatchNorm("n", rng.uniform(0.5, 2, 2), rng.normal(size=2), rng.normal(size=2), rng.uniform(0.5, 2, 2))
    layers = [norm, Conv2d("c", rng.normal(size=(3, 3, 2, 4)), None, 2, (1, 2)), ReLU("r"), Flatten("f"),
              Dense("d", rng.normal(size=(80, 3)))]  # fmt: skip
    graph = LayerGraph((8, 7, 2), layers)
    x = images((8, 7, 2))
    assert np.allclose(fold_batch_norm(graph).forward(x), graph.forward(x))
    save_graph(tmp_path / "g.h5", graph)
    again = load_graph(tmp_path / "g.h5")
    assert again.layers[1].padding == (1, 2) and (again.forward(x) == graph.forward(x)).all()
    assert Conv2d("c", np.ones((3, 3, 1, 1)), None, 1, [1, 1]).padding == 1
    for wrong in (-1, 1.5, True, "full", (1, 2, 3), None):
        with pytest.raises(ModelError, match="whole number >= 0"):
            Conv2d("c", np.ones((3, 3, 1, 1)), None, 1, wrong)


@pytest.mark.parametrize("model, engine", [("ramp", "event"), ("ramp", "analytic"), ("ramp_ungated", "event")])
def test_a_border_of_its_own_becomes_spikes(model, engine):
    module = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3, 2, (1, 2)), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=2), nn.ReLU(),
                           nn.Flatten(), nn.Linear(4 * 6 * 7, 3))  # fmt: skip
    graph = from_torch_module(on_grid(module, 5), (8, 7, 2))
    x = np.abs(images((8, 7, 2)))
    network, _ = to_ramps(graph, x, model=model, dtype="float64")
    readout = run(network, {"input": ttfs.encode(x, dtype="float64")}, engine=engine).readout
    assert np.allclose(readout, computed(module, x), rtol=1e-8, atol=1e-8)


def test_arrays_for_a_convolution_that_pytorch_cannot_have():
    module = nn.Conv2d(1, 4, 3, stride=2, padding=1)
    arrays = {f"c.{key}": value.numpy() for key, value in module.state_dict().items()}
    weights, bias = np.zeros((3, 3, 1, 4)), np.zeros(4)
    with pytest.raises(ModelError, match="padding=1"):
        from_torch(LayerGraph((8, 8, 1), [Conv2d("c", weights, bias, 2, "same")]), arrays)
    x = images((8, 8, 1)).astype(np.float32)
    for shape, padding in (((8, 8, 1), 1), ((7, 7, 1), "same")):  # an odd image is padded alike on both sides
        part = x[:, : shape[0], : shape[1]]
        filled = from_torch(LayerGraph(shape, [Conv2d("c", weights, bias, 2, padding)]), arrays)
        assert np.allclose(filled.forward(part), computed(module, part), atol=1e-6)


def test_from_torch_says_where_a_module_goes():
    with pytest.raises(DataError, match="from_torch_module"):
        from_torch(mlp(4, [3], 2), nn.Sequential(nn.Linear(4, 3)))
