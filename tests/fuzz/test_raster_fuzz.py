"""Damaged and hostile raster files: one clean error or a valid raster, never a crash, a hang or a look outside."""

import functools
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.errors import EventsnnError, RasterError
from eventsnn.files.raster_h5 import RasterWriter, read_rasters, write_rasters
from eventsnn.raster import SpikeRaster

LATEST = ("v108", "v110")


def rasters():
    rng = np.random.default_rng(1)
    grid = SpikeRaster.from_dense(rng.integers(-1, 2, (2, 5, 4)), dt_ms=0.1)
    columns = (rng.random(50), rng.integers(0, 4, 50), rng.random(50), rng.integers(0, 2, 50))
    return {"grid": grid, "out": SpikeRaster.from_events(*columns, size=4, duration=1.0)}


@functools.cache
def valid(tmp):
    """Bytes of a finished file and of the `.part` of a stopped writer."""
    write_rasters(tmp / "whole.h5", rasters(), {"seed": 1, "versions": {"a": 1}})
    writer = RasterWriter(tmp / "growing.h5")
    writer.append(rasters())
    writer.abort()
    return (tmp / "whole.h5").read_bytes(), (tmp / "growing.h5.part").read_bytes()


def check(path):
    """The promise: EventsnnError with the file's name, or rasters that passed every check."""
    for partial in (False, True):
        try:
            found, meta = read_rasters(path, partial=partial)
        except EventsnnError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert all(isinstance(raster, SpikeRaster) for raster in found.values()) and isinstance(meta, dict)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_bytes(tmp_path_factory, data):
    tmp = tmp_path_factory.getbasetemp()
    raw = bytearray(valid(tmp)[data.draw(st.integers(0, 1))])
    # what HDF5 says about the data lies in front, most other bytes are data or padding
    front = min(len(raw), 12_000)
    if data.draw(st.booleans()):
        places = [k for k, byte in enumerate(raw[:front]) if byte]
        for _ in range(data.draw(st.integers(1, 8))):
            raw[places[data.draw(st.integers(0, len(places) - 1))]] = data.draw(st.integers(0, 255))
    else:
        start = data.draw(st.integers(0, front - 1))
        raw[start : start + data.draw(st.integers(0, 64))] = data.draw(st.binary(max_size=64))
    path = tmp / "mutated.h5"
    path.write_bytes(raw)
    check(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_truncated(tmp_path_factory, data):
    tmp = tmp_path_factory.getbasetemp()
    raw = valid(tmp)[data.draw(st.integers(0, 1))]
    path = tmp / "short.h5"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
    check(path)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(4096), b"x" * 5000])
def test_no_hdf5_at_all(tmp_path, content):
    (tmp_path / "r.h5").write_bytes(content)
    with pytest.raises(RasterError, match="cannot be read as HDF5"):
        read_rasters(tmp_path / "r.h5")


def spikes(h5, sorting=None):
    group = h5.create_group("spikes/p")
    if sorting is not None:
        group.attrs["sorting"] = sorting
    return group


def external_link(h5, tmp):
    with h5py.File(tmp / "other.h5", "w") as other:
        other["data"] = np.arange(3.0)
    spikes(h5)["node_ids"] = np.zeros(3, "u8")
    h5["spikes/p/timestamps"] = h5py.ExternalLink(str(tmp / "other.h5"), "/data")


def external_group(h5, tmp):
    h5["spikes"] = h5py.ExternalLink(str(tmp / "other.h5"), "/")


def external_storage(h5, tmp):
    (tmp / "secret").write_bytes(np.arange(3.0).tobytes())
    options = {"external": [(str(tmp / "secret"), 0, 24)]}
    spikes(h5)["node_ids"] = np.zeros(3, "u8")
    h5["spikes/p"].create_dataset("timestamps", (3,), "f8", **options)


def virtual(h5, tmp):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp / "other.h5"), "data", (3,))
    spikes(h5)["node_ids"] = np.zeros(3, "u8")
    h5["spikes/p"].create_virtual_dataset("timestamps", layout)


def eight_terabytes(h5, tmp):
    for name, dtype in (("timestamps", "f8"), ("node_ids", "u8")):
        (h5["spikes/p"] if "spikes" in h5 else spikes(h5)).create_dataset(name, (2**40,), dtype, chunks=(2**16,))


def eight_terabytes_contiguous(h5, tmp):
    spikes(h5).create_dataset("timestamps", (2**40,), "f8")
    h5["spikes/p"].create_dataset("node_ids", (2**40,), "u8")


def huge_chunk(h5, tmp):
    spikes(h5).create_dataset("timestamps", (4,), "f8", chunks=(2**28,), maxshape=(None,), compression="gzip")
    h5["spikes/p"]["node_ids"] = np.zeros(4, "u8")


def objects(h5, tmp):
    spikes(h5).create_dataset("timestamps", (2,), h5py.string_dtype())
    h5["spikes/p"]["node_ids"] = np.zeros(2, "u8")


def references(h5, tmp):
    spikes(h5).create_dataset("timestamps", (2,), h5py.ref_dtype)
    h5["spikes/p"]["node_ids"] = np.zeros(2, "u8")


def cycle(h5, tmp):
    spikes(h5)["timestamps"] = h5py.SoftLink("/spikes/p/node_ids")
    h5["spikes/p"]["node_ids"] = h5py.SoftLink("/spikes/p/timestamps")


def matrix(h5, tmp):
    spikes(h5)["timestamps"] = np.zeros((2, 2))
    h5["spikes/p"]["node_ids"] = np.zeros(2, "u8")


def scalar(h5, tmp):
    spikes(h5)["timestamps"] = 1.0
    h5["spikes/p"]["node_ids"] = np.zeros(1, "u8")


def group_for_data(h5, tmp):
    spikes(h5).create_group("timestamps")
    h5["spikes/p"]["node_ids"] = np.zeros(2, "u8")


def data_for_group(h5, tmp):
    h5["spikes/p"] = np.zeros(3)


def nothing_in_it(h5, tmp):
    h5.create_group("spikes/p")


def no_spikes(h5, tmp):
    h5.create_group("cells")


def unknown_format(h5, tmp):
    h5.create_group("spikes")
    h5.create_group("eventsnn").attrs["format"] = 99


def object_attribute(h5, tmp):
    group = spikes(h5)
    group["timestamps"], group["node_ids"] = np.zeros(1), np.zeros(1, "u8")
    group.attrs.create("sorting", h5["spikes"].ref, dtype=h5py.ref_dtype)


HOSTILE = {
    external_link: r"/spikes/p/timestamps: is a soft or external link",
    external_group: r"/spikes: is a soft or external link",
    external_storage: r"/spikes/p/timestamps: takes its data from other files",
    virtual: r"/spikes/p/timestamps: takes its data from other files",
    eight_terabytes: r"/spikes/p/timestamps: declares 1099511627776 rows",
    eight_terabytes_contiguous: r"/spikes/p/timestamps: declares 1099511627776 rows",
    huge_chunk: r"/spikes/p/timestamps: declares",
    objects: r"/spikes/p/timestamps: must be plain numbers",
    references: r"/spikes/p/timestamps: must be plain numbers",
    cycle: r"/spikes/p/timestamps: is a soft or external link",
    matrix: r"/spikes/p/timestamps: must have 1 dimension.*\(2, 2\)",
    scalar: r"/spikes/p/timestamps: must have 1 dimension",
    group_for_data: r"/spikes/p/timestamps: must be a dataset, got a group",
    data_for_group: r"/spikes/p: must be a group, got a dataset",
    nothing_in_it: r"/spikes/p: needs the data sets",
    no_spikes: r"lacks the group 'spikes'",
    unknown_format: r"/eventsnn@format: must be 1, got 99",
    object_attribute: r"/spikes/p@sorting: must be a number or a text",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_hostile_files(tmp_path, make):
    path = tmp_path / "hostile.h5"
    with h5py.File(path, "w", libver=LATEST) as h5:
        make(h5, tmp_path)
    assert path.stat().st_size < 10_000
    with pytest.raises(RasterError, match=HOSTILE[make]) as caught:
        read_rasters(path)
    assert str(path) in str(caught.value)


def test_text_sorting_is_read(tmp_path):
    with h5py.File(tmp_path / "r.h5", "w") as h5:
        group = spikes(h5, "by_time")
        group["timestamps"], group["node_ids"] = [1.0, 2.0], np.array([1, 0], "u8")
    assert read_rasters(tmp_path / "r.h5")[0]["p"].times.tolist() == [1, 2]


def test_many_links_to_one_array_cannot_fill_the_memory(tmp_path):
    """Hard links make one compressed array of zeros count many times."""
    path = tmp_path / "r.h5"
    with h5py.File(path, "w") as h5:
        options = {"compression": "gzip", "chunks": (2**16,)}
        data = h5.create_dataset("zeros", data=np.zeros(2**22), **options)
        ids = h5.create_dataset("ids", data=np.zeros(2**22, "u8"), **options)
        for k in range(40):
            group = h5.create_group(f"spikes/p{k}")
            group["timestamps"], group["node_ids"] = data, ids
    with pytest.raises(RasterError, match="declares 4194304 rows"):
        read_rasters(path)


CHANGES = [
    ("size", 2, r"ids\[\d+\] = [23]"),
    ("size", -1, "size must be"),
    ("size", "many", "size must be"),
    ("duration", 3, "timestamps do not lie"),
    ("duration", 2**60, "exceed"),
    ("duration", np.nan, "duration"),
    ("dt_ms", 0.2, "timestamps do not lie"),
    ("dt_ms", 0.0, "dt_ms must be"),
    ("dt_ms", "fast", "dt_ms must be"),
    ("clock", "continuous", "grid"),
    ("shape", [7], "product 7"),
    ("shape", np.zeros(0, int), "shape"),
]


@pytest.mark.parametrize(("name", "value", "message"), CHANGES)
def test_lies_about_a_population(tmp_path, name, value, message):
    path = tmp_path / "r.h5"
    write_rasters(path, rasters())
    with h5py.File(path, "r+") as h5:
        h5["eventsnn/grid"].attrs[name] = value
    with pytest.raises(RasterError) as caught:
        read_rasters(path)
    assert str(path) in str(caught.value)


def test_lies_about_samples_and_meta(tmp_path):
    path = tmp_path / "r.h5"
    for name, value in (("sample_offsets", [0, 5, 2]), ("sample_offsets", [1, 2, 3]), ("amplitudes", [np.nan])):
        write_rasters(path, rasters())
        with h5py.File(path, "r+") as h5:
            del h5["eventsnn/grid"][name]
            h5["eventsnn/grid"][name] = np.array(value)
        with pytest.raises(RasterError, match="/grid"):
            read_rasters(path)
    for text in (b"[1]", b"{", b"[" * 100_000, json.dumps("x").encode()):
        write_rasters(path, rasters())
        with h5py.File(path, "r+") as h5:
            del h5["eventsnn/meta.json"]
            h5["eventsnn/meta.json"] = np.frombuffer(text, np.uint8)
        with pytest.raises(RasterError, match=r"r\.h5"):
            read_rasters(path)


MANY = """
import sys, random, pathlib
sys.setrecursionlimit(1000)
from tests.fuzz.test_raster_fuzz import check, valid
tmp = pathlib.Path(sys.argv[1])
chance = random.Random(11)
for raw in valid(tmp):
    for _ in range(1500):
        copy = bytearray(raw)
        for _ in range(chance.randint(1, 5)):
            copy[chance.randrange(len(copy)) if chance.random() < 0.3 else chance.randrange(3000)] = chance.choice(
                (0, 1, 255, 127, 128, chance.randrange(256)))
        (tmp / "m.h5").write_bytes(copy)
        check(tmp / "m.h5")
print("all well")
"""


@pytest.mark.slow
def test_three_thousand_mutations_in_a_process_of_their_own(tmp_path, request):
    """The process must neither crash in the HDF5 library nor hang."""
    root = str(request.config.rootpath)
    answer = subprocess.run(
        [sys.executable, "-c", MANY, tmp_path], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert answer.stdout.endswith("all well\n"), answer.stderr[-3000:]
