"""A population on the grid clock while it runs: its state, the cells of a slab, its calendar of wake-ups."""

import numpy as np

from eventsnn.engines.queue import clear, new_calendar
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
        self.flat = self.cells.reshape(-1)
        self.marks = np.zeros((window, -(-node.units // 64) * 64), np.uint8)
        self.counters = np.zeros(3, np.int64)  # wake-ups pushed, wake-ups popped, neurons updated
        self.calendar = new_calendar(node.units)
        self.reset()

    def reset(self):
        """Go back to before the first step; cells and marks are 0 between two slabs, for who reads them clears them."""
        self.state[:] = self.node.initial
        self.last[:] = -1
        clear(*self.calendar)

    def peek(self, steps):
        """Return all state variables (variables, n) as they are after `steps` steps; the run goes on as if unseen."""
        kept = self.state.copy(), self.last.copy()
        self.settle(steps)
        seen = self.state[:, :, :self.node.lanes].transpose(1, 0, 2).reshape(self.state.shape[1], -1)
        self.state, self.last = kept
        return seen.copy()

    def settle(self, steps):
        """Take the silent steps that are still owed, up to the end of step `steps - 1`."""
        if "settle" in self.node.kernels:
            self.node.kernels["settle"](self.state, self.last, steps, self.node.lanes, self.node.ports, self.node.p,
                                        self.node.maps)

    def variable(self, k):
        """Return state variable k of all neurons, (n,)."""
        return self.state[:, k, :self.node.lanes].reshape(-1)
