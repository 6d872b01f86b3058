"""Data sets: every form they come in, content checked, and errors that say what to do."""

import gzip
import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eventsnn.errors import DataError
from eventsnn.files import datasets, datasets_formats
from eventsnn.files.datasets_registry import REGISTRY, Download
from eventsnn.files.events import CAMERA_DTYPE, encode_nmnist

RNG = np.random.default_rng(5)


def real(name, split, folder=None):
    """The real data set, or a skip that says that it is not there."""
    if not os.environ.get("EVENTSNN_DATA"):
        pytest.skip("EVENTSNN_DATA is not set: the full data set is not at hand")
    if datasets.available()[name][split] is None:
        pytest.skip(f"the full data set {name} is not in EVENTSNN_DATA")
    return datasets.load(name, split)


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


SHAPES = {
    ("mnist", "train"): (60000, 28, 28, 1),
    ("mnist", "test"): (10000, 28, 28, 1),
    ("fashion-mnist", "train"): (60000, 28, 28, 1),
    ("fashion-mnist", "test"): (10000, 28, 28, 1),
    ("cifar10", "train"): (50000, 32, 32, 3),
    ("cifar10", "test"): (10000, 32, 32, 3),
    ("cifar100", "test"): (10000, 32, 32, 3),
}
CIFAR = {
    "train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "test": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "split"), SHAPES)
def test_real_images(name, split):
    data = real(name, split)
    assert data.images.shape == SHAPES[name, split] and data.images.dtype == np.uint8
    assert data.labels.shape == data.images.shape[:1] == (len(data),) and data.labels.dtype == np.uint8
    per_class = np.bincount(data.labels)
    assert len(per_class) == len(data.classes)
    if name != "mnist":
        assert (per_class == len(data) // len(data.classes)).all()
    if name == "cifar10":
        assert digest(data.images) == CIFAR[split]
    part = datasets.load(name, split, limit=17)
    assert np.array_equal(part.images, data.images[:17]) and part.sha256 != data.sha256


@pytest.mark.slow
def test_real_cifar100_order_free_digest():
    """The digest by which the official binary test split is recognised, taken from the same images in another order."""
    data = real("cifar100", "test")
    order = RNG.permutation(len(data))
    form = datasets_formats.Form("binary", Path(), [])
    datasets_formats.check(REGISTRY["cifar100"], form, "test", 0, data.images[order], data.labels[order])
    changed = data.images.copy()
    changed[3, 3, 3, 0] ^= 1
    with pytest.raises(DataError, match="not the published content"):
        datasets_formats.check(REGISTRY["cifar100"], form, "test", 0, changed, data.labels)


def test_real_recordings():
    data = real("nmnist", "test")
    mnist = real("mnist", "test")
    assert np.array_equal(data.labels, mnist.labels[data.numbers - 1])
    raster = data.rasters([0, -1], dt_ms=1.0)
    assert raster.n_samples == 2 and raster.shape == (34, 34, 2) and raster.n_spikes > 1000
    assert datasets.load("nmnist", "test", limit=3).labels.tolist() == data.labels[:3].tolist()


def test_shipped_digits_are_the_documented_ones():
    data = datasets.load("digits")
    assert data.images.shape == (3000, 28, 28, 1) and (np.bincount(data.labels) == 300).all()
    assert data.labels[:20].tolist() == [*range(10), *range(10)]
    readme = Path(__file__).parents[2] / "data" / "README.md"
    assert data.sha256 in readme.read_text() and datasets.verify("digits") == {"test": data.sha256}
    assert len(datasets.load("digits", limit=7)) == 7
    assert repr(data) == "Dataset('digits', test: 3000 of shape (28, 28, 1), uint8; 10 classes)"
    with pytest.raises(DataError, match="it has test"):
        datasets.load("digits", "train")
    with pytest.raises(DataError, match="inside the package"):
        datasets.get("digits")


def test_shipped_digits_are_mnist():
    mnist, data = real("mnist", "test"), datasets.load("digits")
    first = np.stack([np.flatnonzero(mnist.labels == k)[:300] for k in range(10)], axis=1).ravel()
    assert np.array_equal(mnist.images[first], data.images)


def idx(array):
    """Bytes of an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Data sets of made-up content, known to the registry, and an empty root."""
    images, labels = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8), np.array([0, 1, 2, 3, 4, 5], np.uint8)
    parts = {("idx", split): ((digest(images), digest(labels)),) for split in ("train", "test")}
    monkeypatch.setitem(REGISTRY, "mnist", replace(REGISTRY["mnist"], parts=parts))
    colour = RNG.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    one = (digest(colour), digest(labels))
    parts = {("binary", "test"): (one,), ("binary", "train"): (one,) * 5}
    monkeypatch.setitem(REGISTRY, "cifar10", replace(REGISTRY["cifar10"], parts=parts))
    free = {"parts": {}, "unordered": {}, "counts": {}}
    monkeypatch.setitem(REGISTRY, "cifar100", replace(REGISTRY["cifar100"], **free))
    return images, labels, colour, tmp_path


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw"])
def test_idx_plain_and_packed(small, packed, folder):
    images, labels, _, root = small
    (root / folder).mkdir(parents=True)
    for name, array in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        path = root / folder / (name + ".gz" * packed)
        path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    data = datasets.load("mnist", "test", root=root)
    assert np.array_equal(data.images[..., 0], images) and np.array_equal(data.labels, labels)
    assert datasets.available(root)["mnist"] == {"train": None, "test": str(root / folder)}
    assert datasets.verify("mnist", root) == {"test": data.sha256}
    good = path.read_bytes()
    for bad in (good[:-3], good[:10], b"", idx(images) if not packed else gzip.compress(idx(images))):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=r"t10k-labels.*get it again"):
            datasets.load("mnist", "test", root=root)
    path.write_bytes(gzip.compress(idx(labels[::-1])) if packed else idx(labels[::-1]))
    with pytest.raises(DataError, match=r"not the published content.*eventsnn data get mnist"):
        datasets.load("mnist", "test", root=root)


def records(images, labels, coarse=False):
    pixels = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    columns = [labels[:, None] // 20] * coarse + [labels[:, None], pixels]
    return np.concatenate(columns, axis=1).astype(np.uint8).tobytes()


@pytest.mark.parametrize("form", ["archive", "archive in root", "folder"])
def test_cifar_binary(small, form):
    _, labels, images, root = small
    members = {f"data_batch_{k}.bin": records(images, labels) for k in range(1, 6)}
    members["test_batch.bin"] = records(images, labels)
    place = root if form == "archive in root" else root / "cifar10"
    place.mkdir(exist_ok=True)
    if form == "folder":
        (place / "cifar-10-batches-bin").mkdir()
        for name, data in members.items():
            (place / "cifar-10-batches-bin" / name).write_bytes(data)
    else:
        tarred(place / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", members)
    data = datasets.load("cifar10", "train", root=root)
    assert np.array_equal(data.images, np.concatenate([images] * 5)) and len(data.labels) == 30
    assert len(datasets.load("cifar10", "train", limit=8, root=root)) == 8
    assert np.array_equal(datasets.load("cifar10", "test", root=root).images, images)


def tarred(path, folder, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_cifar100_binary_uses_fine_labels(small):
    _, labels, images, root = small
    names = "".join(f"class{k}\n" for k in range(100)).encode()
    folder = root / "cifar100"
    folder.mkdir()
    members = {"test.bin": records(images, labels + 90, coarse=True), "fine_label_names.txt": names}
    tarred(folder / "cifar-100-binary.tar.gz", "cifar-100-binary", members)
    data = datasets.load("cifar100", "test", root=root)
    assert data.labels.tolist() == [90, 91, 92, 93, 94, 95] and data.classes[95] == "class95"
    assert np.array_equal(data.images, images)
    with pytest.raises(DataError, match=r"lacks cifar-100-binary/train.bin"):
        datasets.load("cifar100", "train", root=root)
    raw = (folder / "cifar-100-binary.tar.gz").read_bytes()
    (folder / "cifar-100-binary.tar.gz").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match="damaged"):
        datasets.load("cifar100", "test", root=root)


def test_sheets(small):
    root = small[-1]
    folder = root / "cifar100"
    folder.mkdir()
    sheet = RNG.integers(0, 256, (3200, 3200, 3), dtype=np.uint8)
    Image.fromarray(sheet).save(folder / "test.webp", lossless=True, method=0, quality=0)
    labels = np.arange(10000, dtype=np.uint8) % 100
    np.savez(folder / "labels.npz", test_labels=labels, class_names=np.array([b"c%d" % k for k in range(100)]))
    data = datasets.load("cifar100", "test", root=root, limit=150)
    assert np.array_equal(data.images[101], sheet[32:64, 32:64]) and data.classes[7] == "c7"
    Image.fromarray(sheet[:64]).save(folder / "test.webp", lossless=True)
    with pytest.raises(DataError, match=r"test.webp: must be RGB, 3200 x 3200"):
        datasets.load("cifar100", "test", root=root)
    (folder / "test.webp").write_bytes(b"RIFF no image")
    with pytest.raises(DataError, match=r"test.webp: .*damaged"):
        datasets.load("cifar100", "test", root=root)


def test_pickles_are_never_opened(small):
    root = small[-1]
    (root / "cifar10").mkdir()
    (root / "cifar10" / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"pickles, which are never loaded.*binary version.*data get cifar10"):
        datasets.load("cifar10", "test", root=root)


def recording(label):
    events = np.zeros(3 + label, CAMERA_DTYPE)
    events["t"], events["x"] = np.arange(3 + label) * 1000, label
    return encode_nmnist(events)


@pytest.mark.parametrize("form", ["Test.zip", "test-4.zip", "folder"])
def test_recordings_are_read_when_asked_for(tmp_path, form):
    root = tmp_path / "nmnist"
    root.mkdir()
    members = {f"Test/{label}/{number:05}.bin": recording(label) for number, label in ((1, 7), (2, 2), (4, 1), (3, 0))}
    if form == "folder":
        for name, data in members.items():
            (root / name).parent.mkdir(parents=True)
            (root / name).write_bytes(data)
    else:
        with zipfile.ZipFile(root / form, "w") as archive:
            for name, data in (members | {"Test/readme.txt": b"no recording"}).items():
                archive.writestr(name, data)
    data = datasets.load("nmnist", "test", root=tmp_path)
    assert data.labels.tolist() == [7, 2, 0, 1] and data.numbers.tolist() == [1, 2, 3, 4] and len(data) == 4
    raster = data.rasters(duration_ms=50)
    assert np.diff(raster.offsets).tolist() == [10, 5, 3, 4] and raster.duration == 50
    assert data.rasters([-1], duration_ms=50) == raster.sample(3)
    assert list(datasets.verify("nmnist", tmp_path)) == ["test"]
    assert data.limited(2).numbers.tolist() == [1, 2] and data.limited(2).sha256 != data.sha256
    with pytest.raises(DataError, match="recording 4 does not exist"):
        data.rasters([4])


def test_damaged_recordings(tmp_path):
    root = tmp_path / "nmnist"
    root.mkdir()
    (root / "Test.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"Test.zip: .*damaged"):
        datasets.load("nmnist", "test", root=tmp_path)
    with zipfile.ZipFile(root / "Test.zip", "w") as archive:
        archive.writestr("Test/0/00001.bin", recording(0))
        archive.writestr("Test/0/00002.bin", b"1234567")
    data = datasets.load("nmnist", "test", root=tmp_path)
    with pytest.raises(DataError, match=r"00002.bin: 7 bytes"):
        data.rasters()
    raw = bytearray((root / "Test.zip").read_bytes())
    raw[raw.index(recording(0)) + 3] ^= 255
    (root / "Test.zip").write_bytes(raw)
    with pytest.raises(DataError, match=r"00001.bin: .*CRC"):
        data.rasters([0])
    with zipfile.ZipFile(root / "Test.zip", "w") as archive:
        archive.writestr("other.txt", b"")
    with pytest.raises(DataError, match="holds no Test/<label>"):
        datasets.load("nmnist", "test", root=tmp_path)


def test_own_npz(tmp_path):
    path = str(tmp_path / "own.npz")
    x, y = RNG.integers(0, 256, (5, 4, 4), dtype=np.uint8), np.array([0, 1, 2, 1, 0])
    np.savez(path, x=x, y=y)
    data = datasets.load(path, "train", limit=4)
    assert data.images.shape == (4, 4, 4, 1)
    assert data.labels.tolist() == [0, 1, 2, 1] and data.classes == ("0", "1", "2")
    np.savez(path, x_train=x / 255, y_train=y, x_test=x[:2], y_test=y[:2])
    assert datasets.load(path, "train").images.dtype == np.float64 and len(datasets.load(path, "test")) == 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(1)}, "needs the arrays x and y"),
        ({"x": np.zeros(3), "y": np.zeros(3, int)}, "x must be numbers"),
        ({"x": np.array([["a"]]), "y": np.zeros(1, int)}, "x must be numbers"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(2, int)}, "y must be 3 integer labels"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3)}, "y must be 3 integer labels"),
        ({"x": np.zeros((3, 2)), "y": np.array([0, 1, -1])}, "y must be 3 integer labels"),
        ({"x": np.array([[0.0], [np.nan]]), "y": np.zeros(2, int)}, "not finite .*sample 1"),
        ({"x": np.array([[{}]], object), "y": np.zeros(1, int)}, "Python objects"),
    ],
)
def test_own_npz_refusals(tmp_path, arrays, message):
    path = tmp_path / "own.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message):
        datasets.load(str(path))


def test_hostile_npz(tmp_path):
    path = tmp_path / "own.npz"
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(1000))
    with pytest.raises(DataError, match="declares shape"):
        datasets.load(str(path))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="damaged"):
        datasets.load(str(path))
    with pytest.raises(DataError, match="no such file"):
        datasets.load(str(tmp_path / "absent.npz"))


def test_missing_and_misspelt(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENTSNN_DATA", str(tmp_path / "there"))
    with pytest.raises(DataError, match=r"there/mnist .*wanted: train-images-idx3-ubyte.*`eventsnn data get mnist`"):
        datasets.load("mnist")
    with pytest.raises(DataError, match=r"wanted: Train.zip"):
        datasets.verify("nmnist")
    with pytest.raises(DataError, match=r"'mnst', did you mean 'mnist'\?"):
        datasets.load("mnst")
    with pytest.raises(DataError, match="split must be"):
        datasets.load("mnist", "validation")
    with pytest.raises(DataError, match="limit must be"):
        datasets.load("mnist", limit=0)
    monkeypatch.delenv("EVENTSNN_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert datasets.data_root() == tmp_path / "eventsnn" / "data"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; knows Range; cuts the first answer of each file in `server.cut` short."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        stop = len(data) // 2 if self.path in self.server.cut else len(data)
        self.server.cut.discard(self.path)
        self.wfile.write(data[start:stop])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A server on this machine and a registry entry whose only file it holds."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.cut, server.asked, server.ranges = {"/file.gz": bytes(range(256)) * 400}, set(), [], True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.base = f"http://127.0.0.1:{server.server_address[1]}"
    good = hashlib.sha256(server.files["/file.gz"]).hexdigest()

    def entry(*paths, sha=good):
        item = Download("file.gz", tuple(server.base + path for path in paths), f"sha256:{sha}")
        monkeypatch.setitem(REGISTRY, "mnist", replace(REGISTRY["mnist"], downloads=(item,)))

    server.entry, server.root = entry, tmp_path
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_get_downloads_once(mirror):
    mirror.entry("/file.gz")
    seen = []
    folder = datasets.get("mnist", mirror.root, progress=lambda *step: seen.append(step))
    assert (folder / "file.gz").read_bytes() == mirror.files["/file.gz"] and os.listdir(folder) == ["file.gz"]
    assert seen[-1] == ("file.gz", 102400, 102400)
    datasets.get("mnist", mirror.root)
    assert len(mirror.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_get_resumes(mirror, ranges):
    mirror.entry("/file.gz")
    mirror.cut, mirror.ranges = {"/file.gz"}, ranges
    with pytest.raises(DataError, match=r"ended after 51200 of 102400 bytes.*resumes"):
        datasets.get("mnist", mirror.root)
    assert os.listdir(mirror.root / "mnist") == ["file.gz.part"]
    folder = datasets.get("mnist", mirror.root)
    assert mirror.asked == [("/file.gz", None), ("/file.gz", "bytes=51200-")]
    assert (folder / "file.gz").read_bytes() == mirror.files["/file.gz"]


def test_get_goes_on_at_the_next_mirror(mirror):
    mirror.files["/second/file.gz"] = mirror.files["/file.gz"]
    mirror.cut = {"/file.gz"}
    mirror.entry("/absent.gz", "/file.gz", "/second/file.gz")
    datasets.get("mnist", mirror.root)
    assert mirror.asked[-1] == ("/second/file.gz", "bytes=51200-")


def test_get_discards_what_is_not_the_published_file(mirror):
    mirror.entry("/file.gz", sha="0" * 64)
    with pytest.raises(DataError, match=r"file.gz could not be downloaded: .*wrong sha256, discarded"):
        datasets.get("mnist", mirror.root)
    assert os.listdir(mirror.root / "mnist") == []
    mirror.entry("/file.gz")
    for stale in (b"junk", bytes(200_000)):
        (mirror.root / "mnist" / "file.gz.part").write_bytes(stale)
        folder = datasets.get("mnist", mirror.root)
        assert (folder / "file.gz").read_bytes() == mirror.files["/file.gz"]
        (folder / "file.gz").unlink()


def test_get_unreachable(mirror):
    mirror.entry("/absent.gz")
    with pytest.raises(DataError, match=r"HTTP 404.*by hand \(sha256"):
        datasets.get("mnist", mirror.root)
    mirror.base = "http://127.0.0.1:1"
    mirror.entry("/file.gz")
    with pytest.raises(DataError, match="could not be downloaded"):
        datasets.get("mnist", mirror.root)
