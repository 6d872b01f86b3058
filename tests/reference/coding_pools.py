"""Plain twins of the pools between coded layers (reference 2.8): amplitudes of one step -> amplitudes of one step."""

from dataclasses import dataclass

import numpy as np

from tests.reference.grid import windows


@dataclass
class Pool:
    """`average`, `max` (of this step's amplitudes), `gated` (by summed amplitudes) or `earliest`; size x size windows."""

    kind: str
    shape: tuple
    size: int = 2
    stride: int = 2

    def start(self):
        self.groups = windows(self, self.shape)
        self.counters = np.zeros(int(np.prod(self.shape)))
        self.done = np.zeros(len(self.groups), bool)

    def step(self, sent):
        self.counters = self.counters + sent
        return np.array([getattr(self, self.kind)(k, sent[ids], ids) for k, ids in enumerate(self.groups)])

    def gated_clock(self, spikes):
        """All spikes of a sample at once: each passes a mean by itself; of a window the largest amplitude passes a maximum."""
        passed = []
        for k, ids in enumerate(self.groups):
            here = [spike for i in ids for spike in spikes if spike[0] == i]
            if self.kind == "average":
                passed += [(k, t, float(x) / self.size**2) for _, t, x in here]
            elif here:
                passed.append((k, *max(here, key=lambda spike: spike[2])[1:]))  # the first among equals
        return passed

    def average(self, k, sent, ids):
        total = 0.0
        for amplitude in sent:
            total += float(amplitude)
        return total / self.size**2

    def max(self, k, sent, ids):
        return sent.max()

    def gated(self, k, sent, ids):
        return sent[np.argmax(self.counters[ids])]  # the first among equals

    def earliest(self, k, sent, ids):
        if self.done[k] or not sent.any():
            return 0.0
        self.done[k] = True
        return sent[np.flatnonzero(sent)[0]]
