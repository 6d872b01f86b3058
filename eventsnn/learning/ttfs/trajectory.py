"""Two trainings side by side from the same initial values on the same batches: how far do their weights part?"""

from dataclasses import replace

import numpy as np

from eventsnn.errors import DataError
from eventsnn.learning.ttfs.backend import make_backend


class Twins:
    """A spiking network and its ReLU twin as one backend: the loop trains both, the spiking one speaks.

    Parameters
    ----------
    backend : DenseTtfs, Alpha1Ttfs or TorchTtfs
        The spiking network.
    every : int
        Steps between two comparisons.

    Attributes
    ----------
    first, second : backend
        The spiking network, and the ReLU network of the same initial weights, optimiser and rates.
    records : list of dict
        step; largest_difference (of any weight or bias) and cosine (of all weights as one vector), in weights of the ReLU
        network.

    Notes
    -----
    ttfs-relu-equivalence T11. Noise, roundings and windows are the spiking network's alone.
    """

    def __init__(self, backend, every):
        own = replace(backend.settings, neuron="relu", noise_times=0.0, noise_alpha=0.0, time_bits=0, weight_bits=0,
                      silent_help=0.0, window="fixed", windows=tuple(backend.windows))  # fmt: skip
        self.first, self.second, self.every = backend, make_backend(backend.graph(), own), every
        self.source, self.settings, self.windows = backend.source, backend.settings, backend.windows
        self.records, self.steps = [], 0
        self._compare()

    @property
    def norms(self):
        """Gradient norms of the spiking network."""
        return self.first.norms

    def step(self, x, labels, key):
        """Run a batch through both; returns the Step of the spiking network."""
        self.second.step(x, labels, key)
        return self.first.step(x, labels, key)

    def update(self, rate):
        """Move both."""
        self.second.update(rate)
        self.first.update(rate)
        self.steps += 1
        if self.steps % self.every == 0:
            self._compare()

    def _compare(self):
        ours, theirs = self.first.graph().parameters(), self.second.graph().parameters()
        pairs = [(name, ours[name].astype(np.float64), theirs[name].astype(np.float64)) for name in ours]
        a, b = (np.concatenate([pair[k].ravel() for pair in pairs if pair[k].ndim > 1]) for k in (1, 2))
        self.records.append({
            "step": self.steps, "largest_difference": max(float(np.abs(u - w).max(initial=0.0)) for _, u, w in pairs),
            "cosine": float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))})  # fmt: skip

    def outputs(self, x, key=None, noise=False):
        """Return the output potentials of the spiking network."""
        return self.first.outputs(x, key, noise)

    def activity(self, x):
        """Return the spike counts of the spiking network."""
        return self.first.activity(x)

    def graph(self):
        """Return the spiking network's graph."""
        return self.first.graph()

    def state(self):
        """Return all that goes on from step to step of both."""
        rows = np.array([[r["step"], r["largest_difference"], r["cosine"]] for r in self.records])
        both = {"first": self.first.state(), "second": self.second.state()}
        arrays = {f"{which}.{name}": array for which, state in both.items() for name, array in state.items()}
        return arrays | {"records": rows, "twin_steps": np.array(self.steps)}

    def load(self, state):
        """Go on from `state`."""
        for which in ("first", "second"):
            own = {name.partition(".")[2]: array for name, array in state.items() if name.startswith(f"{which}.")}
            getattr(self, which).load(own)
        if "records" not in state or state["records"].ndim != 2:
            raise DataError("checkpoint: has no records of the twin; remove it to start anew")
        names = ("step", "largest_difference", "cosine")
        self.records = [dict(zip(names, (int(row[0]), *map(float, row[1:])))) for row in state["records"]]
        self.steps = int(state["twin_steps"])
