"""The command line: what it prints, its exit status, one message for bad input, and that it starts light."""

import json
import os
import subprocess
import sys

import pytest

from eventsnn import cli
from tests.scenario.helpers import ROOT, make_tiny

QUICKSTART = str(ROOT / "scenarios" / "quickstart.yml")


@pytest.fixture
def call(capsys):
    """Run a command in this process; returns (status, stdout, stderr)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main([str(argument) for argument in arguments])
        out = capsys.readouterr()
        return caught.value.code, out.out, out.err

    return run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A scenario that has been run into folder `out`."""
    folder = tmp_path_factory.mktemp("cli")
    path = make_tiny(folder)
    with pytest.raises(SystemExit):
        cli.main(["run", str(path), "--out", str(folder / "out"), "--quiet"])
    return path


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom eventsnn.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numba', 'pydantic', 'matplotlib', 'h5py', 'scipy', 'torch', 'numpy', 'ruamel.yaml'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "heavy: []" in done.stdout and "sweep" in done.stdout


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "eventsnn", "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("eventsnn")


def test_run_prints_figures_and_writes_a_folder(call, tmp_path):
    status, out, err = call("run", QUICKSTART, "--smoke", "--threads", 2, "--engine", "event", "--out", tmp_path / "o")
    assert status == 0 and "accuracy" in out and "pushes" in out and "report.html" in out
    assert "run 50 of 50 (100 %)" in err and (tmp_path / "o" / "result.json").exists()
    status, out, _ = call("run", QUICKSTART, "--smoke", "--out", tmp_path / "o")
    assert status == 0 and "finished before" in out


def test_quiet_says_nothing(call, tmp_path):
    assert call("run", make_tiny(tmp_path), "--quiet", "--out", tmp_path / "o") == (0, "", "")


def test_progress_outside_a_terminal_is_one_line_for_each_tenth(call, tmp_path):
    _, _, err = call("run", make_tiny(tmp_path), "--set", "run.batch=1", "--out", tmp_path / "o")
    lines = err.splitlines()
    assert len(lines) <= 11 and lines[-1].endswith("(100 %)") and "\r" not in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run", "missing.yml"], 2, "missing.yml: no such file"),
        (["run", QUICKSTART, "--set", "dta.limit=1"], 2, "did you mean 'data'"),
        (["run", QUICKSTART, "--set", "run.threads=0"], 2, "must be >= 1, got 0"),
        (["run", QUICKSTART, "--engine", "evnt"], 2, "evnt"),
        (["check", QUICKSTART, "--set", "data.limit=9999"], 2, "has 3000 samples"),
        (["info", "missing.h5"], 2, "missing.h5: no such file"),
        (["info", str(ROOT)], 2, "not a run folder"),
        (["compare", "a.h5", "b.h5"], 2, "a.h5"),
        (["plot", "a.h5"], 2, "a.h5"),
        (["data", "verify", "mnst"], 2, "did you mean 'mnist'"),
        (["scenario", "copy", "nothing"], 2, "no such file"),
        (["sweep", QUICKSTART, "--over", "seed"], 2, "must look like"),
        (["sweep", QUICKSTART, "--over", "seed=1,2", "--over", "seed=3"], 2, "--over seed: given twice"),
        (["sweep", QUICKSTART, "--over", "seed=1", "--out", "/dev/null/x"], 1, "could not be written: Not a directory"),
        (["plot", "a.h5", "--out", "p.pdf"], 2, "pictures are PNG, got '.pdf'"),
        (["info", "x" * 300], 2, "File name too long"),
        (["compare", QUICKSTART, "b.h5"], 2, "it is no HDF5 file; make or copy it again"),
        (["check", str(ROOT / "scenarios" / "ann" / "train_mnist_fc.yml"), "--smoke", "--set", "train.data.limit=9999"], 2,
         "train.data: data set"),
        (["rn"], 2, "No such command"),
    ],
)
def test_bad_input_is_one_message(call, tmp_path, monkeypatch, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    got, out, err = call(*arguments)
    assert got == status and message in out + err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_several_mistakes_are_listed(call):
    status, _, err = call("check", QUICKSTART, "--set", "run.threads=0", "--set", "convert.zta=1")
    assert status == 2 and err.startswith("error: several mistakes\n") and len(err.splitlines()) == 3


def test_a_failed_run_has_status_1(call, tiny):
    status, _, err = call("run", tiny, "--set", "seed=4", "--out", tiny.parent / "out")
    assert status == 1 and "another experiment" in err


def test_damaged_results_are_told_by_info(call, tmp_path):
    for name, status in (("result.json", 1), ("run.json", 2)):
        (tmp_path / name).write_text('{"status": 1}')
        got, _, err = call("info", tmp_path)
        assert got == status and str(tmp_path) in err and "Traceback" not in err
        (tmp_path / name).unlink()


def test_a_terminal_without_unicode_shows_numbers(tmp_path):
    path = make_tiny(tmp_path)
    path.write_text(path.read_text("utf-8").replace("title: tiny", "title: πr"), "utf-8")
    command = [sys.executable, "-m", "eventsnn", "info", str(path)]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0 and rb"'\u03c0r'" in done.stdout and not done.stderr


def test_interrupt_has_status_130(call, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("eventsnn.scenario.run.run_scenario", interrupted)
    status, _, err = call("run", make_tiny(tmp_path), "--out", tmp_path / "o")
    assert status == 130 and "--resume" in err


def test_check_says_what_it_would_cost(call):
    status, out, _ = call("check", QUICKSTART, "--estimate")
    assert status == 0 and "good" in out and "269,960 synapses" in out and "ns per synaptic event" in out


def test_schema_is_json_with_descriptions(call):
    status, out, _ = call("schema")
    found = json.loads(out)
    assert status == 0 and found["properties"]["seed"] and "DataSpec" in found["$defs"]
    assert "description" in found["$defs"]["DataSpec"]["properties"]["limit"]


def test_info_on_everything(call, tiny):
    folder = tiny.parent
    for name, wanted in [
        (folder / "out", "agreement"), (folder / "out" / "raster.h5", "hidden1"), (folder / "tiny_net.npz", "ReLU network"),
        (folder / "tiny.npz", "arrays"), (tiny, "scenario 'tiny'"), ("models", "v_threshold"),
        (ROOT / "eventsnn" / "shipped" / "mnist_fc.h5", "ReLU network"),
    ]:  # fmt: skip
        status, out, err = call("info", name)
        assert status == 0 and (wanted in out or (wanted == "agreement" and "same class" in out)), (name, out, err)


def test_compare_says_where_two_rasters_differ(call, tiny, tmp_path):
    same = call("compare", tiny.parent / "out", tiny.parent / "out" / "raster.h5")
    assert same[0] == 0 and same[1].endswith("equal\n")
    call("run", tiny, "--set", "data.start=1", "--set", "data.limit=23", "--out", tmp_path / "other", "--quiet")
    status, out, _ = call("compare", tiny.parent / "out", tmp_path / "other")
    assert status == 1 and "n_samples 24 and 23" in out and out.endswith("different\n")


def test_plot_draws_a_raster(call, tiny, tmp_path):
    status, _, _ = call("plot", tiny.parent / "out" / "raster.h5", "--out", tmp_path / "p.png", "--samples", 1)
    assert status == 0 and (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_data_list_and_verify(call):
    status, out, _ = call("data", "list")
    assert status == 0 and "digits" in out and "inside the package" in out and "nmnist" in out
    status, out, _ = call("data", "verify", "digits")
    assert status == 0 and "good, sha256" in out


def test_scenarios_are_listed_and_copied(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "shipped:quickstart.yml" in call("scenario", "list")[1]
    assert call("scenario", "copy", "quickstart")[0] == 0
    assert (tmp_path / "quickstart.yml").read_bytes() == (ROOT / "scenarios" / "quickstart.yml").read_bytes()
    assert call("scenario", "copy", "quickstart")[0] == 2  # never written over
    assert call("check", "quickstart.yml")[0] == 0


def test_sweep_from_the_command_line(call, tiny, tmp_path):
    arguments = ["sweep", tiny, "--over", "data.limit=3,99", "--out", tmp_path / "s"]
    assert call(*arguments, "--index", 0)[0] == 0
    assert call(*arguments, "--index", 1)[0] == 1
    status, out, _ = call(*arguments, "--index", 0)
    assert status == 0 and "1 of 1 runs finished" in out and (tmp_path / "s" / "index.csv").exists()
