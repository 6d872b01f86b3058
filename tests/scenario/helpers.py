"""What the scenario tests share: the scenario files, a tiny data set and network, a short way to make a scenario, an executor."""

from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np

from eventsnn.scenario.load import resolve
from eventsnn.scenario.text import yaml

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").rglob("*.yml"))
TINY = """
format: 1
title: tiny
data: {file: tiny.npz}
network: {source: {file: tiny_net.npz}}
convert: {to: ramps, calibration: {data: {file: tiny.npz}}}
encode: {code: ttfs}
run: {batch: 4}
"""


def make_tiny(folder, n=24):
    """Write tiny.npz, tiny_net.npz and tiny.yml into a folder; return the path of the scenario."""
    from eventsnn.ann.architectures import mlp
    from eventsnn.ann.files import save_graph

    rng = np.random.default_rng(5)
    np.savez(folder / "tiny.npz", x=rng.integers(0, 256, (n, 4, 4), dtype=np.uint8), y=np.arange(n) % 3)
    save_graph(folder / "tiny_net.npz", mlp(16, [12], 3, seed=2))
    (folder / "tiny.yml").write_text(TINY, "utf-8")
    return folder / "tiny.yml"


def resolved(text, overrides=(), smoke=False, folder="."):
    """Check a scenario given as text; the file is called s.yml in messages."""
    data, lines = yaml.parse(text, "s.yml")
    return resolve(data, "s.yml", Path(folder), overrides, smoke, {p: f"s.yml:{n}" for p, n in lines.items()})


class Here(Executor):
    """Runs at once, in this process, and counts."""

    def __init__(self):
        self.count = 0

    def submit(self, work, /, *given, **named):
        self.count += 1
        future = Future()
        try:
            future.set_result(work(*given, **named))
        except BaseException as error:
            future.set_exception(error)
        return future
