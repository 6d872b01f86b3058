"""raster.h5: exact round trips, equal bytes, an independent reader, and files that appear whole or not at all."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsnn.errors import RasterError, RunError
from eventsnn.files.raster_h5 import RasterWriter, read_rasters, write_rasters
from eventsnn.raster import SpikeRaster

META = {"engine": "event", "seed": 3, "scenario": "name: é\n", "x": 0.1, "versions": {"a": [1]}, "none": None}
META |= {"b": True, "long": "y" * 100_000, "big": 2**70, "empty": ""}


def continuous(samples=4, count=300, duration=0.7, seed=0, amplitudes=True):
    """A raster whose times round when they are shifted to the sample's place."""
    rng = np.random.default_rng(seed)
    columns = [rng.random(count) * duration, rng.integers(0, 9, count)]
    columns += [rng.random(count) if amplitudes else None, rng.integers(0, samples, count)]
    return SpikeRaster.from_events(*columns, size=9, duration=duration, n_samples=samples)


def grid(samples=4, seed=0, dt_ms=0.1, values=(0, 1, -1)):
    dense = np.random.default_rng(seed).choice(values, (samples, 11, 6))
    return SpikeRaster.from_dense(dense, dt_ms=dt_ms, shape=(1, 2, 3))


def silent(samples=4):
    return SpikeRaster([], [], size=5, duration=0.7, offsets=[0] * (samples + 1))


def everything(samples=4):
    """Rasters of every kind; "meta.json"-like names are in other tests."""
    found = {"out": continuous(samples), "grid": grid(samples), "silent": silent(samples)}
    return found | {"plain": continuous(samples, amplitudes=False), "ünits 1": grid(samples, values=(0, 1))}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "raster.h5"


def test_round_trip_is_exact(path):
    rasters = everything()
    write_rasters(path, rasters, META)
    back, meta = read_rasters(path)
    assert list(back) == sorted(rasters) and back == rasters
    assert all(back[name].shape == rasters[name].shape for name in rasters)
    assert len(meta.pop("raster_sha256")) == 64
    assert meta == META and {k: type(v) for k, v in meta.items()} == {k: type(v) for k, v in META.items()}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-3, 1e6), st.integers(1, 6), st.booleans())
def test_round_trip_of_any_times(tmp_path_factory, seed, duration, samples, on_grid):
    path = tmp_path_factory.mktemp("h5") / "r.h5"
    if on_grid:
        rng = np.random.default_rng(seed)
        steps = np.sort(rng.choice(2**40, 50, replace=False) if seed % 2 else rng.permutation(60)[:50])
        options = {"size": 3, "duration": 2**40, "dt_ms": duration}
        part = SpikeRaster(steps, rng.integers(0, 3, 50), **options)
        raster = SpikeRaster.concatenate([part] * samples)
    else:
        raster = continuous(samples, 60, duration, seed)
        ends = SpikeRaster([0.0, duration, duration], [0, 1, 1], size=9, duration=duration)
        raster = SpikeRaster.concatenate([raster, ends, ends])
    write_rasters(path, {"p": raster})
    assert read_rasters(path)[0]["p"] == raster
    with h5py.File(path) as h5:
        assert (np.diff(h5["spikes/p/timestamps"][:]) >= 0).all()


def test_true_times_are_stored_only_where_shifting_rounds(path):
    eighths = SpikeRaster([0.125, 0.5], [0, 0], size=1, duration=0.75, offsets=[0, 1, 2])
    write_rasters(path, {"exact": eighths, "one": continuous(1), "rounded": continuous(4)})
    with h5py.File(path) as h5:
        assert [name for name in ("exact", "one", "rounded") if "times" in h5["eventsnn"][name]] == ["rounded"]


def test_equal_content_gives_equal_bytes(path, tmp_path):
    write_rasters(path, everything(), META)
    time.sleep(1.1)
    write_rasters(tmp_path / "b.h5", everything(), dict(reversed(META.items())))
    assert path.read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("cuts", [[0, 6], [0, 1, 2, 3, 4, 5, 6], [0, 3, 3, 6]])
def test_slices_of_any_size_give_the_same_bytes(path, tmp_path, cuts):
    rasters = everything(6)
    write_rasters(path, rasters, META)
    with RasterWriter(tmp_path / "sliced.h5", META) as writer:
        for start, stop in itertools.pairwise(cuts):
            writer.append({name: raster.select(slice(start, stop)) for name, raster in rasters.items()})
    assert path.read_bytes() == (tmp_path / "sliced.h5").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["raster.h5", "sliced.h5"]


def test_slices_of_time_continue_a_sample(path, tmp_path):
    raster = grid(2)
    write_rasters(path, {"p": raster})
    with RasterWriter(tmp_path / "b.h5") as writer:
        for k, (start, stop) in itertools.product(range(2), [(0, 4), (4, 5), (5, 11)]):
            one = raster.sample(k)
            inside = (one.times >= start) & (one.times < stop)
            amplitudes = None if one.amplitudes is None else one.amplitudes[inside]
            piece = SpikeRaster(
                one.times[inside], one.ids[inside], amplitudes, size=6, duration=11, dt_ms=0.1, shape=(1, 2, 3)
            )
            writer.append({"p": piece}, continues=start > 0)
        assert (writer.n_samples, writer.n_slices) == (2, 6)
        with pytest.raises(RasterError, match="last spike was"):
            writer.append({"p": raster.sample(0)}, continues=True)
    assert path.read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_slices_that_do_not_fit_are_refused(path):
    with pytest.raises(RasterError, match=r"differs in \['other'\]"), RasterWriter(path) as writer:
        writer.append({"p": grid()})
        with pytest.raises(RasterError, match=r"differs in \['p'\]"):
            writer.append({"p": grid(dt_ms=0.2)})
        with pytest.raises(RasterError, match="one sample"):
            writer.append({"p": grid()}, continues=True)
        writer.append({"p": grid(), "other": grid()})
    assert not path.exists()
    assert read_rasters(f"{path}.part", partial=True)[0] == {"p": grid()}
    with pytest.raises(RasterError, match="different numbers of samples"), RasterWriter(path) as writer:
        writer.append({"a": grid(2), "b": grid(2)})
        writer.append({"a": grid(2), "b": grid(3)})


def test_aborted_writer_leaves_only_the_part_and_resumes(path):
    rasters = everything(6)
    write_rasters(path, rasters, META)
    finished = path.read_bytes()

    def slice_of(start, stop):
        return {name: raster.select(slice(start, stop)) for name, raster in rasters.items()}

    with pytest.raises(KeyboardInterrupt), RasterWriter(path, META) as writer:
        writer.append(slice_of(0, 2))
        writer.append(slice_of(2, 3))
        raise KeyboardInterrupt
    assert path.read_bytes() == finished and os.path.exists(f"{path}.part")
    with pytest.raises(RasterError, match=r"complete.*is not 1.*partial=True"):
        read_rasters(f"{path}.part")
    assert read_rasters(f"{path}.part", partial=True)[0] == slice_of(0, 3)
    path.unlink()
    with RasterWriter(path, META, resume=True) as writer:
        assert (writer.n_samples, writer.n_slices) == (3, 2)
        writer.append(slice_of(3, 6))
    assert path.read_bytes() == finished and os.listdir(path.parent) == ["raster.h5"]


def test_unreadable_part_starts_anew(path):
    (path.parent / "raster.h5.part").write_bytes(b"not HDF5")
    with RasterWriter(path, resume=True) as writer:
        assert writer.n_samples == 0
        writer.append({"p": grid()})
    assert read_rasters(path)[0] == {"p": grid()}


def test_no_populations(path):
    write_rasters(path, {})
    assert read_rasters(path)[0] == {}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "meta.json", 3])
def test_names_that_hdf5_cannot_hold(path, name):
    with pytest.raises(RasterError, match="cannot be stored"):
        write_rasters(path, {name: grid()})
    assert not os.listdir(path.parent)


@pytest.mark.parametrize("meta", [{"complete": 1}, {3: 1}, {"a": object()}])
def test_meta_that_cannot_be_stored(path, meta):
    with pytest.raises(RasterError, match="meta"):
        write_rasters(path, {"p": grid()}, meta)
    assert not os.listdir(path.parent)


def test_axis_too_long_for_exact_steps(path):
    far = SpikeRaster([0], [0], size=1, duration=2**50, dt_ms=1, offsets=[0, 1, 1])
    with pytest.raises(RasterError, match="exceed 2"):
        write_rasters(path, {"p": far})


def test_libsonata_reads_it(path):
    libsonata = pytest.importorskip("libsonata")
    rasters = everything()
    write_rasters(path, rasters, META)
    reader = libsonata.SpikeReader(str(path))
    assert sorted(reader.get_population_names()) == sorted(rasters)
    for name, raster in rasters.items():
        got = reader[name].get()
        assert reader[name].sorting == "by_time" and len(got) == raster.n_spikes
        if raster.n_spikes:
            place = raster.sample_of_spike() * raster.duration_ms + raster.times_ms
            np.testing.assert_allclose([when for _, when in got], place, rtol=1e-12)
            assert [node for node, _ in got] == raster.ids.tolist()
    assert reader["silent"].get() == []


def sonata(path, stamps, ids, sorting="by_time", units="ms", text=False):
    """A file as another program would write it."""
    with h5py.File(path, "w") as h5:
        group = h5.create_group("spikes/cortex")
        if sorting is not None:
            codes = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1")
            group.attrs.create("sorting", sorting) if text else group.attrs.create(
                "sorting", {"none": 0, "by_id": 1, "by_time": 2}[sorting], dtype=codes
            )
        group["timestamps"], group["node_ids"] = np.array(stamps, float), np.array(ids, "u8")
        if units:
            group["timestamps"].attrs["units"] = units


@pytest.mark.parametrize("text", [False, True])
def test_files_of_others(path, text):
    for sorting, stamps in (("by_time", [1, 2, 2, 3]), ("by_id", [3, 1, 2, 2]), (None, [2, 1, 3, 2])):
        sonata(path, stamps, [4, 0, 2, 1], sorting, text=text)
        rasters, meta = read_rasters(path)
        raster = rasters["cortex"]
        assert meta == {} and raster.clock == "continuous" and raster.size == 5 and raster.duration == 3.0
        assert sorted(raster.times.tolist()) == raster.times.tolist() == [1, 2, 2, 3]
    assert read_rasters(path, sizes={"cortex": 10})[0]["cortex"].size == 10
    with pytest.raises(RasterError, match=r"/spikes/cortex: .*ids\[0\] = 4"):
        read_rasters(path, sizes={"cortex": 3})


def test_units_and_emptiness_of_others(path):
    sonata(path, [0.001, 0.002], [0, 0], units="s")
    assert read_rasters(path)[0]["cortex"].times.tolist() == [1, 2]
    sonata(path, [1.0], [0], units="fortnights")
    with pytest.raises(RasterError, match=r"timestamps@units.*fortnights.*allowed: ms"):
        read_rasters(path)
    sonata(path, [], [])
    assert len(read_rasters(path)[0]["cortex"]) == 0


def test_wrong_claims_of_others(path):
    sonata(path, [2, 1], [0, 0])
    with pytest.raises(RasterError, match=r"/spikes/cortex/timestamps: entry 1 .*earlier"):
        read_rasters(path)
    sonata(path, [1, np.nan], [0, 0])
    with pytest.raises(RasterError, match="entry 1 is nan"):
        read_rasters(path)
    sonata(path, [1, 2], [0])
    with pytest.raises(RasterError, match="2 rows, node_ids 1"):
        read_rasters(path)
    sonata(path, [1], [2**40])
    with pytest.raises(RasterError, match="size must be a whole number"):
        read_rasters(path)


def test_edited_file_is_noticed(path):
    write_rasters(path, {"p": grid()})
    with h5py.File(path, "r+") as h5:
        h5["eventsnn/p/amplitudes"][0] *= 3
    with pytest.raises(RasterError, match="raster_sha256: differs"):
        read_rasters(path)
    write_rasters(path, {"p": grid()})
    with h5py.File(path, "r+") as h5:
        h5["spikes/p/timestamps"][-1] += 0.01
    with pytest.raises(RasterError, match="/spikes/p: timestamps do not lie"):
        read_rasters(path)


def test_missing_and_unwritable(path):
    with pytest.raises(RasterError, match="no such file"):
        read_rasters(path)
    for call in (lambda p: write_rasters(p, {"p": grid()}), RasterWriter):
        with pytest.raises(RunError, match="could not be written"):
            call(path.parent / "absent" / "r.h5")


FULL = """
import resource, signal, sys
import numpy as np
from eventsnn.errors import RunError
from eventsnn.files.raster_h5 import RasterWriter, write_rasters
from eventsnn.raster import SpikeRaster
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
rng = np.random.default_rng(0)
raster = SpikeRaster(np.sort(rng.random(200_000)), rng.integers(0, 9, 200_000), rng.random(200_000), size=9, duration=1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
def sliced():
    with RasterWriter(sys.argv[1]) as writer:
        for _ in range(8):
            writer.append({"p": raster})
for call in (lambda: write_rasters(sys.argv[1], {"p": raster}), sliced):
    try:
        call()
    except RunError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_full_disk_is_one_clear_error(path):
    path.write_text("an older result")
    answer = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, timeout=120)
    lines = answer.stdout.splitlines()
    assert len(lines) == 2, answer.stderr
    assert not answer.stderr and all("the disk is full" in line and str(path) in line for line in lines)
    assert path.read_text() == "an older result"
    assert set(os.listdir(path.parent)) <= {"raster.h5", "raster.h5.part"}


CHILD = """
import sys
from tests.files.test_raster_h5 import child
child(sys.argv[1])
"""


def slice_number(k):
    return {"out": continuous(3, 400, seed=k), "grid": grid(3, seed=k, values=(0, 1, 1, 3))}


def child(path):
    """Write slices of known content until somebody stops it, finishing a file every 12 slices."""
    print("ready", flush=True)
    while True:
        with RasterWriter(path, {"seed": 1}, resume=True) as writer:
            for k in range(writer.n_slices, 12):
                writer.append(slice_number(k))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_at_random_instants(path, request):
    """After each of 24 kills the name is absent or complete, and the `.part` holds whole slices or is torn.

    A kill within a flush tears the `.part`; the next child then starts it anew, and its file is complete in the end.
    """
    whole = {name: SpikeRaster.concatenate([slice_number(k)[name] for k in range(12)]) for name in slice_number(0)}
    chance, seen = random.Random(7), set()
    root = str(request.config.rootpath)
    for _ in range(24):
        before = path.read_bytes() if path.exists() else None
        process = subprocess.Popen([sys.executable, "-c", CHILD, path], cwd=root, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.communicate()
        part = path.with_name("raster.h5.part")
        if path.exists():
            assert read_rasters(path)[0] == whole
            assert before is None or path.read_bytes() == before
        if part.exists() and part.stat().st_size:
            check_part(part, whole, seen)
    assert path.exists() and seen


def check_part(part, whole, seen):
    """A `.part` that can be read holds some first slices; one that was torn by a kill within a flush is refused cleanly."""
    try:
        rasters, _ = read_rasters(part, partial=True)
    except RasterError:
        torn = part.with_name("again.h5.part")
        torn.write_bytes(part.read_bytes())
        writer = RasterWriter(part.with_name("again.h5"), {"seed": 1}, resume=True)
        assert writer.n_slices == 0
        writer.abort()
        return
    for name, raster in rasters.items():
        assert raster.n_samples % 3 == 0 and raster == whole[name].select(slice(0, raster.n_samples))
        seen.add(raster.n_samples)
