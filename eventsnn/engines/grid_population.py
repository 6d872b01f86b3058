"""A population on the grid clock while it runs: its state, the cells of a slab, its calendar of wake-ups."""

import numpy as np

from eventsnn.engines.queue import new_calendar
from eventsnn.projections.rowsum import aligned_zeros


class PopulationState:
    """State, cells and calendar of one population.

    Parameters
    ----------
    node : NodePlan
    window : int
        Instants in a slab, at most.
    """

    def __init__(self, node, window):
        self.node = node
        self.shape = np.array([node.lanes, node.units])
        self.state = np.zeros((node.units, *node.initial.shape), node.dtype)
        self.last = np.zeros(node.units, np.int64)
        self.cells = aligned_zeros((window, node.units, node.ports, node.padded), node.dtype)
        self.marks = np.zeros((window, -(-node.units // 8) * 8), np.uint8)
        self.words = self.marks.view(np.uint64)
        self.counters = np.zeros(3, np.int64)  # wake-ups pushed, wake-ups popped, neurons updated
        self.reset()

    def reset(self):
        """Go back to before the first step."""
        self.state[:] = self.node.initial
        self.last[:] = -1
        self.cells[:] = 0
        self.marks[:] = 0
        self.calendar = new_calendar(self.node.units)

    def peek(self, steps):
        """Return all state variables (variables, n) as they are after `steps` steps; the run goes on as if unseen."""
        kept = self.state.copy(), self.last.copy()
        self.settle(steps)
        seen = self.state[:, :, :self.node.lanes].transpose(1, 0, 2).reshape(self.state.shape[1], -1)
        self.state, self.last = kept
        return seen.copy()

    def settle(self, steps):
        """Take the silent steps that are still owed, up to the end of step `steps - 1`."""
        self.node.kernels["settle"](self.state, self.last, steps, self.node.lanes, self.node.ports, self.node.p, self.node.maps)

    def variable(self, k):
        """Return state variable k of all neurons, (n,)."""
        return self.state[:, k, :self.node.lanes].reshape(-1)
