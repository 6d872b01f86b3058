"""Every source connected to every target."""

from dataclasses import dataclass

import numpy as np

from eventsnn.errors import NetworkError
from eventsnn.projections.rowsum import add_rows as add_spikes  # the default of the hook in deliver_dense
from eventsnn.settings import as_numbers


@dataclass(frozen=True, eq=False)
class Dense:
    """All-to-all synapses.

    Parameters
    ----------
    weights : array_like, (n_sources, n_targets)
        Finite weights, rounded to the target's dtype when they are laid out; not copied.

    Raises
    ------
    NetworkError
        If they are no numbers, or not two-dimensional.
    """

    weights: np.ndarray

    def __post_init__(self):
        weights = as_numbers(self.weights, "Dense weights", error=NetworkError)
        if weights.ndim != 2:
            raise NetworkError(f"Dense weights must have shape (n_sources, n_targets), got {weights.shape}")
        object.__setattr__(self, "weights", weights)

    @property
    def delays(self):
        """No delays of its own."""
        return None

    def check(self, source_shape, target_shape):
        """Return a sentence saying what does not fit, or None."""
        wanted = (int(np.prod(source_shape)), int(np.prod(target_shape)))
        if self.weights.shape != wanted:
            return f"Dense weights must have shape {wanted} (sources, targets), got {self.weights.shape}"
        return None

    def fan_out(self, source_shape, target_shape):
        """Return synapses per source, (n_sources,)."""
        return np.full(self.weights.shape[0], self.weights.shape[1], dtype=np.int64)


def deliver_dense(ids, amps, row_ptr, source_rows, weights, cells, marks, geometry):
    """Add the weight rows of all spikes of each row to the cells of all targets, in ascending source.

    `geometry` holds (units, ports, port, padded); `weights` is flat with columns laid out as the target's units.
    Returns the number of spikes delivered. `add_spikes` is the row sum, with or without amplitudes.
    """
    units, ports, port, padded = geometry[0], geometry[1], geometry[2], geometry[3]
    stride = units * padded
    row_cells = stride * ports
    spikes = 0
    for r in range(source_rows.size):
        s = source_rows[r]
        if s < 0 or row_ptr[s + 1] == row_ptr[s]:
            continue
        a, m = row_ptr[s], row_ptr[s + 1] - row_ptr[s]
        spikes += m
        marks[r, :units] = 1
        if ports == 1:
            add_spikes(cells, r * row_cells, weights, 0, stride, ids[a:], amps[a:], m, stride)
        else:
            for u in range(units):
                at = r * row_cells + (u * ports + port) * padded
                add_spikes(cells, at, weights, u * padded, stride, ids[a:], amps[a:], m, padded)
    return spikes

