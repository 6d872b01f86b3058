"""Keras weight files: a synthetic one in the layout of cifar10vgg.h5 against a NumPy forward of its arrays; damage and malice."""

import h5py
import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net
from eventsnn.ann.keras_file import from_keras, read_keras
from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.errors import DataError

FEATURES, HIDDEN = (4, 4, "P", 6, "P"), (5,)
RNG = np.random.default_rng(17)


def architecture(place="after_relu"):
    """Narrow twin of the published VGG: ReLU, then batch norm, dropout between convolutions."""
    return conv_net((8, 8, 3), FEATURES, HIDDEN, 10, batch_norm=True, norm_place=place, dropout=0.5, feature_dropout=0.5,
                    conv_dropout=(0.3,))  # fmt: skip


def keras_model():
    """Layers as Keras 2 names them, in the order of the published model, with random weights; gammas of both signs."""
    layers, counts, channels = [], {}, 3

    def add(kind, **arrays):
        counts[kind] = counts.get(kind, 0) + 1
        layers.append((f"{kind}_{counts[kind]}", {k: np.asarray(v, np.float32) for k, v in arrays.items()}))

    def norm(width):
        add("batch_normalization", gamma=RNG.normal(size=width), beta=RNG.normal(size=width),
            moving_mean=RNG.normal(size=width), moving_variance=RNG.uniform(0.1, 2, width))  # fmt: skip

    for feature in FEATURES:
        if feature == "P":
            add("max_pooling2d")
            continue
        add("conv2d", kernel=RNG.normal(size=(3, 3, channels, feature)) / 5, bias=RNG.normal(size=feature))
        add("activation")
        norm(feature)
        add("dropout")
        channels = feature
    add("flatten")
    add("dense", kernel=RNG.normal(size=(24, 5)), bias=RNG.normal(size=5))
    add("activation")
    norm(5)
    add("dropout")
    add("dense", kernel=RNG.normal(size=(5, 10)), bias=RNG.normal(size=10))
    add("activation")
    return layers


def write(path, layers, inside=None, cut=False, backend=b"tensorflow"):
    """Write a weight file in the layout of Keras 2."""
    with h5py.File(path, "w") as h5:
        root = h5 if inside is None else h5.create_group(inside)
        names = [name.encode() for name, _ in layers]
        if cut:
            root.attrs["layer_names0"], root.attrs["layer_names1"] = names[:5], names[5:]
        else:
            root.attrs["layer_names"] = names
        root.attrs["backend"], root.attrs["keras_version"] = backend, b"2.1.2"
        for name, arrays in layers:
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in arrays]
            for key, value in arrays.items():
                group[f"{name}/{key}:0"] = value
    return path


def forward(layers, x):
    """Forward pass of the file's arrays, by the layers' names; the softmax is left out. Computed in float64."""
    x, last = x.astype(np.float64), len(layers) - 1
    for k, (name, arrays) in enumerate(layers):
        a = {key: value.astype(np.float64) for key, value in arrays.items()}
        kind = name.rsplit("_", 1)[0]
        if kind == "conv2d":
            wide, out = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), np.zeros((*x.shape[:3], a["bias"].size)) + a["bias"]
            for dy in range(3):
                for dx in range(3):
                    out += wide[:, dy : dy + x.shape[1], dx : dx + x.shape[2]] @ a["kernel"][dy, dx]
            x = out
        elif kind == "activation" and k != last:
            x = np.maximum(x, 0)
        elif kind == "batch_normalization":
            x = (x - a["moving_mean"]) / np.sqrt(a["moving_variance"] + 1e-3) * a["gamma"] + a["beta"]
        elif kind == "max_pooling2d":
            x = np.stack([x[:, dy::2, dx::2] for dy in (0, 1) for dx in (0, 1)]).max(axis=0)
        elif kind == "flatten":
            x = x.reshape(len(x), -1)
        elif kind == "dense":
            x = x @ a["kernel"] + a["bias"]
    return x


@pytest.mark.parametrize("how", [{}, {"inside": "model_weights"}, {"cut": True}])
def test_the_network_computes_what_the_arrays_of_the_file_say(tmp_path, how):
    layers = keras_model()
    path = write(tmp_path / "vgg.h5", layers, **how)
    graph = from_keras(path, architecture())
    x = RNG.uniform(-2, 2, (5, 8, 8, 3))
    expected = forward(layers, x)
    assert np.abs(graph.forward(x, dtype=np.float64) - expected).max() <= 1e-6 * np.abs(expected).max()
    exact = graph.astype(np.float64)
    assert np.abs(exact.forward(x) - expected).max() <= 1e-12 * np.abs(expected).max()
    folded = fold_batch_norm(exact)
    assert np.abs(folded.forward(x) - expected).max() <= 1e-11 * np.abs(expected).max()
    assert any(-1 in layer.signs for layer in folded.layers if hasattr(layer, "signs"))  # negative gammas across pools
    assert [name for name, _ in read_keras(path)] == [name for name, arrays in layers if arrays]
    other = from_keras(path, architecture(), epsilon=0.5)
    assert not np.allclose(other.forward(x), expected, atol=1e-2)


@pytest.mark.parametrize(("harm", "message"), [
    (lambda h: h.attrs.pop("layer_names"), "lacks the attribute 'layer_names'"),
    (lambda h: h.__delitem__("conv2d_2"), "lacks the group 'conv2d_2'"),
    (lambda h: h["conv2d_2"].__delitem__("conv2d_2/kernel:0"), "lacks the data set 'conv2d_2/kernel:0'"),
    (lambda h: h["conv2d_2"].attrs.__setitem__("weight_names", [b"conv2d_2/gru:0"]), "variable 'conv2d_2/gru:0'"),
    (lambda h: h["conv2d_2"].attrs.__setitem__("weight_names", 7), "list of at most"),
    (lambda h: h.attrs.__setitem__("backend", b"theano"), "Theano"),
    (lambda h: h.__setitem__("dense_1", h5py.ExternalLink("/etc/passwd", "/")) if h.pop("dense_1") else None, "never followed"),
    (lambda h: h["conv2d_1/conv2d_1/kernel:0"].__setitem__((0, 0, 0, 0), np.nan), "not finite"),
    (lambda h: h["batch_normalization_1/batch_normalization_1/moving_variance:0"].__setitem__(0, -1), "negative"),
    (lambda h: h.attrs.__setitem__("layer_names", [b"conv2d_1", b"batch_normalization_1"]), "holds 2 layers .* has 9; 'conv2'"),
    (lambda h: h.attrs.__setitem__("layer_names", [b"dense_2", b"dense_1"]), r"weights have shape \(5, 10\)"),
    (lambda h: h.attrs.__setitem__("layer_names", [b"batch_normalization_1"]), "'conv1' of the architecture is a Conv2d"),
])  # fmt: skip
def test_damage_is_one_clear_error(tmp_path, harm, message):
    path = write(tmp_path / "vgg.h5", keras_model())
    with h5py.File(path, "r+") as h5:
        harm(h5)
    with pytest.raises(DataError, match=message):
        from_keras(path, architecture())


def test_what_is_no_such_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_keras(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        read_keras(tmp_path / "text.h5")
    path = write(tmp_path / "vgg.h5", keras_model())
    whole = path.read_bytes()
    for stop in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:stop])
        with pytest.raises(DataError):
            read_keras(path)
    with pytest.raises(DataError, match="'conv1' of the architecture needs"):
        from_keras(write(path, keras_model()), conv_net((8, 8, 1), FEATURES, HIDDEN, 10, batch_norm=True))
