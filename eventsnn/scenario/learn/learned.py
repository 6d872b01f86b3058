"""Stage `learn`: a learning rule that is clocked by nature makes a spiking network, which then runs like any other."""

import importlib
from dataclasses import dataclass, field

import numpy as np

from eventsnn import disk

ARRAYS = "learned.npz"


@dataclass
class Learned:
    """What a learning rule leaves behind.

    Attributes
    ----------
    network : Network or None
        None: nothing is run.
    metrics : dict
        Plain data for result.json, free of timings; key `learning` holds the rule's own figures.
    inputs : dict of str to SpikeRaster
        What the network was taught with, where that is its input; empty: the scenario encodes samples.
    arrays : dict of str to array
        Kept in the run folder as learned.npz.
    pictures : dict of str to (callable, object)
        Kind -> what draws it, (what, path, title), and what it draws.
    files : list of Path
        Of the stage's folder, copied into the run folder.
    graph : LayerGraph or None
        The ReLU network that the spiking one should equal: the run states their agreement.
    """

    network: object
    metrics: dict
    inputs: dict = field(default_factory=dict)
    arrays: dict = field(default_factory=dict)
    pictures: dict = field(default_factory=dict)
    files: list = field(default_factory=list)
    graph: object = None


LEARNERS = {"van_rossum": "patterns", "decolle": "decolle", "ttfs": "ttfs", "stdb": "stdb", "adjoint": "adjoint"}
"""Rule -> module of this folder with `learn(job) -> Learned`."""


def learn(job):
    """Run the learning rule of a scenario.

    Parameters
    ----------
    job : Job

    Returns
    -------
    Learned
    """
    return importlib.import_module(f"eventsnn.scenario.learn.{LEARNERS[job.spec.learn.rule]}").learn(job)


def write_learned(job):
    """Write learned.npz into the run folder.

    Parameters
    ----------
    job : Job
    """
    if job.results["learn"].arrays:
        with disk.finished(job.folder / ARRAYS) as part, open(part, "wb") as file:
            np.savez(file, **job.results["learn"].arrays)
