"""Kill at random instants and resume: the same files, at least 100 kills.

A helper process compiles everything once and forks a child for each attempt, so that a kill costs milliseconds and can
fall anywhere: in the engine, between two files, in the middle of the picture.
"""

import os
import shutil
import subprocess
import sys
import time

import pytest

from eventsnn.errors import RunError
from eventsnn.scenario.load import load
from eventsnn.scenario.results import read_json
from eventsnn.scenario.run import run_scenario
from tests.scenario.helpers import ROOT, make_tiny

KILLS = 110
FILES = ("raster.h5", "samples.npz", "raster.png")
HELPER = '''
import os, random, shutil, signal, sys, time
from pathlib import Path
from eventsnn.scenario.load import load
from eventsnn.scenario.run import run_scenario

path, work, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
loaded = load(path)
run_scenario(loaded, work / "warm")  # compiles; the second one is timed
start = time.perf_counter()
run_scenario(loaded, work / "reference")
whole = time.perf_counter() - start
dice, killed, finished, attempt, waited = random.Random(1), 0, 0, 0, 0.0
while killed < kills or finished == 0:
    out = work / f"run{finished}"
    child = os.fork()
    if child == 0:
        try:
            run_scenario(loaded, out, resume=True)
            os._exit(0)
        except BaseException as error:
            print(error, flush=True)
            os._exit(3)
    # past the wanted number every attempt may go on to the end
    limit = dice.uniform(0.0, 1.1 * whole) if killed < kills else 60.0
    end = time.perf_counter() + limit
    status = 0
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.perf_counter() > end:
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            break
        time.sleep(0.001)
    if os.WIFSIGNALED(status):
        killed += 1
    elif os.WEXITSTATUS(status) != 0:
        sys.exit("a resumed run failed")
    else:
        finished += 1
print("killed", killed, "finished", finished, flush=True)
'''


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.slow
def test_kill_and_resume(tmp_path):
    path = make_tiny(tmp_path)
    command = [sys.executable, "-W", "ignore", "-c", HELPER, str(path), str(tmp_path), str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split()
    killed, finished = int(words[-3]), int(words[-1])
    assert killed >= 100 and finished >= 1
    reference = tmp_path / "reference"
    for k in range(finished):
        for name in FILES:
            assert (tmp_path / f"run{k}" / name).read_bytes() == (reference / name).read_bytes(), (k, name)
        assert read_json(tmp_path / f"run{k}" / "result.json")["metrics"] == read_json(reference / "result.json")["metrics"]
        assert not list((tmp_path / f"run{k}").glob("*.part"))


def test_a_killed_process_is_resumed_by_the_next(tmp_path):
    path = make_tiny(tmp_path, n=48)
    command = [sys.executable, "-m", "eventsnn", "run", str(path), "--set", "run.batch=1", "--out", str(tmp_path / "out")]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    give_up = time.monotonic() + 120
    while not list((tmp_path / "out").glob("stages/run-*/slice-*.npz")) and child.poll() is None:
        assert time.monotonic() < give_up
        time.sleep(0.002)
    child.kill()
    child.wait()
    loaded = load(path, ["run.batch=1"])
    resumed = run_scenario(loaded, tmp_path / "out", resume=True)
    straight = run_scenario(loaded, tmp_path / "straight")
    assert resumed.metrics == straight.metrics
    assert (resumed.folder / "raster.h5").read_bytes() == (straight.folder / "raster.h5").read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A scenario, and what its run has left."""
    folder = tmp_path_factory.mktemp("finished")
    path = make_tiny(folder)
    return path, run_scenario(load(path), folder / "out")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("stages/convert-*/conversion.json", b"{"), ("stages/convert-*/network.npz", None),
        ("stages/run-*/slice-000001.npz", b"cut"), ("raster.h5", b"cut"), ("result.json", b"[]"),
    ],
)  # fmt: skip
def test_damage_says_what_to_remove_and_then_the_run_goes_on(finished, tmp_path, name, content):
    (path, done), out = finished, tmp_path / "out"
    shutil.copytree(done.folder, out)
    (damaged,) = out.glob(name)
    if name != "result.json":
        (out / "result.json").unlink()
    damaged.write_bytes(content) if content is not None else damaged.unlink()
    if name != "raster.h5":  # which is made again from what the stages have kept
        with pytest.raises(RunError, match=r"damaged.*remove .* and go on with --resume"):
            run_scenario(load(path), out, resume=True)
        damaged.unlink() if name == "result.json" else shutil.rmtree(damaged.parent)
    again = run_scenario(load(path), out, resume=True)
    assert again.metrics["raster_sha256"] == done.metrics["raster_sha256"]
