"""DVS Gesture, proven on synthetic archives in the published forms: no recording of the set is here."""

import io
import tarfile

import numpy as np
import pytest

from eventsnn.errors import DataError
from eventsnn.files import datasets
from eventsnn.files.datasets_gesture import read_aedat
from eventsnn.files.events import CAMERA_DTYPE


def gesture(seed, n=50):
    """Random events, sorted; times in whole ms."""
    rng = np.random.default_rng(seed)
    events = np.empty(n, CAMERA_DTYPE)
    events["x"], events["y"], events["p"] = rng.integers(0, 128, n), rng.integers(0, 128, n), rng.integers(0, 2, n)
    events["t"] = np.sort(rng.integers(0, 900, n)) * 1000
    return events


def npy(events):
    """As tonic's archives hold them: rows (x, y, polarity, t in ms)."""
    buffer = io.BytesIO()
    np.save(buffer, np.stack([events["x"], events["y"], events["p"], events["t"] / 1000], 1).astype(float))
    return buffer.getvalue()


def write_tar(root, files, split="Train"):
    root.mkdir(exist_ok=True)
    with tarfile.open(root / f"ibmGesture{split}.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"ibmGesture{split}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def aedat(events, packet=20, overflow=0):
    """Bytes of an AEDAT 3.1 file."""
    out = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"
    for k in range(0, len(events), packet):
        part = events[k : k + packet]
        out += np.array([1, 0], "<u2").tobytes() + np.array([8, 4, overflow, len(part), len(part), len(part)], "<u4").tobytes()
        address = part["x"].astype(np.int64) << 17 | part["y"].astype(np.int64) << 2 | part["p"].astype(np.int64) << 1 | 1
        out += np.stack([address, part["t"]], 1).astype("<u4").tobytes()
    other = np.array([2, 0], "<u2").tobytes() + np.array([4, 4, 0, 1, 1, 1], "<u4").tobytes() + b"abcd"  # another type: skipped
    return out + other


def test_the_archives_of_tonic_and_their_folders(tmp_path):
    made = {f"user{u:02}_led/{label}.npy": gesture(10 * u + label) for u, label in ((1, 0), (1, 10), (2, 3))}
    root = tmp_path / "dvs-gesture"
    write_tar(root, {**{name: npy(events) for name, events in made.items()}, "readme.txt": b"x"})
    data = datasets.load("dvs-gesture", "train", root=tmp_path)
    assert data.labels.tolist() == [0, 10, 3]
    assert data.shape == (128, 128, 2)
    assert data.classes[10] == "other gestures"
    for found, expected in zip(data.recordings(), made.values()):
        assert np.array_equal(found, expected)
    assert np.array_equal(next(data.recordings([2])), made["user02_led/3.npy"])
    assert len(datasets.load("dvs-gesture", "train", root=tmp_path, limit=2)) == 2
    assert data.rasters([0], dt_ms=1.0, duration_ms=900.0).n_spikes > 40
    assert datasets.verify("dvs-gesture", tmp_path) == {"train": data.verified()}
    digest = data.verified()
    with tarfile.open(root / "ibmGestureTrain.tar.gz") as archive:
        archive.extractall(root, filter="data")
    (root / "ibmGestureTrain.tar.gz").unlink()
    assert datasets.load("dvs-gesture", "train", root=tmp_path).verified() == digest
    with pytest.raises(DataError, match="no test split"):
        datasets.load("dvs-gesture", "test", root=tmp_path)


def test_the_authors_recordings(tmp_path):
    root = tmp_path / "DVSGesture" / "DvsGesture"
    root.mkdir(parents=True)
    events = gesture(0, 70)
    (root / "user01_fluorescent.aedat").write_bytes(aedat(events))
    (root / "user01_fluorescent_labels.csv").write_text("class,startTime_usec,endTime_usec\n1,0,300000\n11,400000,900000\n")
    (root / "trials_to_test.txt").write_text("user01_fluorescent.aedat\n")
    data = datasets.load("dvs-gesture", "test", root=tmp_path)
    assert data.labels.tolist() == [0, 10]
    first, second = data.recordings()
    assert np.array_equal(first, events[events["t"] <= 300_000])
    later = events[events["t"] >= 400_000]
    assert np.array_equal(second["t"], later["t"] - 400_000)
    assert np.array_equal(second["x"], later["x"])
    shifted = tmp_path / "late.aedat"
    shifted.write_bytes(aedat(events, overflow=1))
    assert np.array_equal(read_aedat(shifted)["t"], events["t"] + 2**31)


@pytest.mark.parametrize(
    "data, words",
    [
        (npy(gesture(0))[:200], "damaged"),
        (b"no numpy file", "damaged"),
        (npy(np.array([(200, 1, 0, 1)], CAMERA_DTYPE)), "outside of the 128 x 128 sensor"),
    ],
)
def test_damaged_gestures_are_named(tmp_path, data, words):
    write_tar(tmp_path / "dvs-gesture", {"user01_led/0.npy": data})
    with pytest.raises(DataError, match=words) as raised:
        list(datasets.load("dvs-gesture", "train", root=tmp_path).recordings())
    assert "user01_led/0.npy" in str(raised.value)


def test_other_damage_is_named(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((3, 5)))
    write_tar(tmp_path / "dvs-gesture", {"user01_led/0.npy": buffer.getvalue()})
    with pytest.raises(DataError, match="rows"):
        list(datasets.load("dvs-gesture", "train", root=tmp_path).recordings())
    write_tar(tmp_path / "dvs-gesture", {"0.npy": b""})
    with pytest.raises(DataError, match="holds no"):
        datasets.load("dvs-gesture", "train", root=tmp_path)
    (tmp_path / "dvs-gesture" / "ibmGestureTrain.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(DataError, match="damaged or incomplete"):
        datasets.load("dvs-gesture", "train", root=tmp_path)
    cut = tmp_path / "cut.aedat"
    for length, words in ((-30, "ends within|does not fit"), (-45, "does not fit")):
        cut.write_bytes(aedat(gesture(1))[:length])
        with pytest.raises(DataError, match=words):
            read_aedat(cut)
    root = tmp_path / "dvsgesture"
    root.mkdir()
    (root / "trials_to_test.txt").write_text("user09_led.aedat\n")
    with pytest.raises(DataError, match="not here"):
        datasets.load("dvs-gesture", "test", root=tmp_path)
    (root / "user09_led.aedat").write_bytes(aedat(gesture(1)))
    (root / "user09_led_labels.csv").write_text("class,startTime_usec,endTime_usec\n12,0,3\n")
    with pytest.raises(DataError, match="class 1 to 11"):
        datasets.load("dvs-gesture", "test", root=tmp_path)
