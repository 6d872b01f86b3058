"""Weight files: exact round trips, refusals, damage."""

import json
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest

from eventsnn.ann.architectures import conv_net, mlp
from eventsnn.ann.exchange import from_torch
from eventsnn.ann.files import load_graph, read_arrays, save_graph
from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import MaxPool2d
from eventsnn.errors import DataError

SUFFIXES = [".npz", ".h5", ".hdf5", ".safetensors"]


def path_for(tmp_path, suffix):
    """Return a file name; skip where the extra is missing."""
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"net{suffix}"


@pytest.fixture
def graph():
    net = conv_net((6, 6, 2), [3, "P"], [4], 3, batch_norm=True, dropout=0.25, seed=4)
    return LayerGraph(net.input_shape, net.layers, "small", {"training": {"epochs": 3, "rate": 1e-3}, "note": "déjà"})


def same(a, b):
    """Whether two graphs are equal, bit for bit."""
    pa, pb = a.parameters(), b.parameters()
    return (
        a.input_shape == b.input_shape and a.name == b.name and a.meta == b.meta and list(pa) == list(pb)
        and all(pa[k].dtype == pb[k].dtype and pa[k].tobytes() == pb[k].tobytes() for k in pa)
        and [(type(x), x.name, x.options()) for x in a.layers] == [(type(x), x.name, x.options()) for x in b.layers]
    )  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_is_exact(tmp_path, graph, suffix, dtype):
    graph, path = graph.astype(dtype), path_for(tmp_path, suffix)
    save_graph(path, graph)
    assert same(load_graph(path), graph)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    first = path.read_bytes()
    save_graph(path, load_graph(path))
    assert path.read_bytes() == first
    assert set(read_arrays(path)) == set(graph.parameters())


def test_min_pools_are_kept_and_max_pools_need_no_signs(tmp_path, graph):
    layers = [replace(x, signs=(1, -1, 1)) if isinstance(x, MaxPool2d) else x for x in graph.layers]
    turned, path = replace(graph, layers=tuple(layers)), tmp_path / "net.npz"
    save_graph(path, turned)
    assert same(load_graph(path), turned) and turned.layers[graph.index("pool1")].signs == (1, -1, 1)
    with np.load(path) as data:
        arrays = {key: data[key] for key in data}
    header = bytes(arrays.pop("header")).decode()
    for signs in ("[1, 2, 1]", "[1, -1]", "7", "[[1], -1, 1]", "[1.5, -1, 1]"):
        np.savez(path, header=np.frombuffer(header.replace("[1, -1, 1]", signs).encode(), np.uint8), **arrays)
        with pytest.raises(DataError, match="not valid"):
            load_graph(path)
    save_graph(path, graph)
    with np.load(path) as data:
        assert b"signs" not in bytes(data["header"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_float16_storage(tmp_path, graph, suffix):
    path = path_for(tmp_path, suffix)
    save_graph(path, graph, dtype="float16")
    back = load_graph(path).parameters()
    for key, value in graph.parameters().items():
        stored = value.astype(np.float16).astype(np.float32) if value.ndim > 1 else value
        assert back[key].dtype == np.float32 and (back[key] == stored).all()
    big = graph.with_parameters({"output.weights": np.full((4, 3), 1e6, np.float32)})
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"output.weights.*float16"):
        save_graph(path, big, dtype="float16")
    assert path.read_bytes() == before


def test_attributes_for_people(tmp_path, graph):
    save_graph(tmp_path / "a.h5", graph)
    with h5py.File(tmp_path / "a.h5") as h5:
        assert h5.attrs["meta note"] == "déjà" and json.loads(h5.attrs["meta training"])["epochs"] == 3


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.pkl", "NET.PT"])
def test_pickles_are_refused_with_the_remedy(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match=r"save_file\(model.state_dict\(\), \"model.safetensors\"\)"):
        load_graph(tmp_path / name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_is_one_clear_error(tmp_path, graph, suffix):
    path = path_for(tmp_path, suffix)
    with pytest.raises(DataError, match="no such file"):
        load_graph(path)
    save_graph(path, graph)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    variants = [whole[: int(len(whole) * f)] for f in (0, 0.01, 0.3, 0.7, 0.99)]
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] ^= int(rng.integers(1, 256))
        variants.append(bytes(damaged))
    for content in variants:
        path.write_bytes(content)
        try:
            loaded = load_graph(path)
        except DataError as error:
            assert path.name in str(error)
        else:
            assert isinstance(loaded, LayerGraph)


def rewrite(path, change):
    """Change the header of a .npz weight file."""
    with np.load(path) as data:
        arrays = dict(data)
    header = json.loads(arrays.pop("header").tobytes())
    change(header, arrays)
    np.savez(path, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)


@pytest.mark.parametrize(("change", "message"), [
    (lambda h, a: h.update(format="other"), "format"),
    (lambda h, a: h.update(version=99), "version 99"),
    (lambda h, a: h["layers"][0].update(type="__class__"), "__class__"),
    (lambda h, a: h["layers"][0].update(out_shape=3), "unknown entries"),
    (lambda h, a: h["layers"][0].update(stride="2"), "stride"),
    (lambda h, a: h["layers"][0]["arrays"].update(weights=[1, 1]), "header says"),
    (lambda h, a: a.pop("output.bias"), "output.bias"),
    (lambda h, a: a.update(extra=np.zeros(3)), "'extra'"),
    (lambda h, a: a.update({"output.bias": np.full(3, np.nan, np.float32)}), "finite"),
    (lambda h, a: a.update({"output.bias": np.array(["a", "b", "c"])}), "numbers"),
    (lambda h, a: h.update(layers=[]), "at least one"), (lambda h, a: h.update(layers=3), "valid"),
    (lambda h, a: h.update(input_shape=[-1, 6, 2]), "input_shape"), (lambda h, a: h.update(meta=[]), "meta"),
    (lambda h, a: h.pop("input_shape"), "input_shape"),
])  # fmt: skip
def test_hostile_headers(tmp_path, graph, change, message):
    path = tmp_path / "a.npz"
    save_graph(path, graph)
    rewrite(path, change)
    with pytest.raises(DataError, match=message):
        load_graph(path)


def test_hostile_containers(tmp_path, graph):
    np.savez(tmp_path / "o.npz", a=np.array([print], dtype=object))
    with pytest.raises(DataError, match="pickle"):
        load_graph(tmp_path / "o.npz")
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("a.npy", b"no array")
    with pytest.raises(DataError):
        load_graph(tmp_path / "z.npz")
    with h5py.File(tmp_path / "l.h5", "w") as h5:
        h5["header"] = np.zeros(3, np.uint8)
        h5.create_group("parameters")["x"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(DataError, match="link"):
        load_graph(tmp_path / "l.h5")
    with h5py.File(tmp_path / "e.h5", "w") as h5:
        h5["spikes"] = 1
    with pytest.raises(DataError, match="parameters"):
        load_graph(tmp_path / "e.h5")
    for name in ("a.json", "a"):
        with pytest.raises(DataError, match="allowed"):
            save_graph(tmp_path / name, graph)
    with pytest.raises(DataError, match="dtype"):
        save_graph(tmp_path / "a.npz", graph, dtype="int8")
    with pytest.raises(DataError, match="meta"):
        save_graph(tmp_path / "a.npz", LayerGraph((2,), graph.layers[2:3], meta={"x": object()}))


def test_foreign_arrays_in_natural_order(tmp_path):
    graph = mlp(3, [4] * 11, 2, seed=1)
    own = graph.parameters()
    layers = [x for x in graph.layers if x.arrays()]
    foreign = {f"net.{2 * i}.{t}": own[f"{x.name}.{o}"].T for i, x in enumerate(layers) for t, o in
               (("weight", "weights"), ("bias", "bias"))}  # fmt: skip
    np.savez(tmp_path / "w.npz", **foreign)
    with pytest.raises(DataError, match="from_torch"):
        load_graph(tmp_path / "w.npz")
    filled = from_torch(mlp(3, [4] * 11, 2, seed=7), read_arrays(tmp_path / "w.npz"))
    assert all((filled.parameters()[key] == value).all() for key, value in own.items())
    for wrong in ({"a.weight": np.ones((4, 3))}, {**foreign, "net.0.weight": np.ones((4, 2))},
                  {k: v for k, v in foreign.items() if k != "net.2.bias"}):  # fmt: skip
        with pytest.raises(DataError, match="PyTorch weights"):
            from_torch(graph, wrong)
