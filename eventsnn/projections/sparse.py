"""Synapses listed one by one."""

from dataclasses import dataclass

import numpy as np

from eventsnn.errors import NetworkError
from eventsnn.settings import as_numbers

MOST = 2**31  # of ids and delays


@dataclass(frozen=True, eq=False)
class Sparse:
    """Synapses listed one by one; several between the same two neurons stay separate synapses.

    Parameters
    ----------
    sources, targets : array_like of int, (n_synapses,)
        Neuron ids.
    weights : float or array_like, (n_synapses,)
        Finite weights.
    synapse_delays : array_like of int, (n_synapses,), optional
        Delay of each synapse in whole steps, 0 to 2**31 - 1, added to the projection's delay.

    Raises
    ------
    NetworkError
        If lengths differ, or something is not of its kind or range.
    """

    sources: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    synapse_delays: np.ndarray | None = None

    def __post_init__(self):
        sources, targets = (as_numbers(getattr(self, n), f"Sparse {n}", "iu", NetworkError) for n in ("sources", "targets"))
        if sources.ndim != 1 or sources.shape != targets.shape:
            raise NetworkError(f"Sparse sources and targets must be lists of equal length, got {sources.shape} and "
                               f"{targets.shape}")
        for name, values in (("sources", sources), ("targets", targets)):
            if values.size and not 0 <= int(values.min()) <= int(values.max()) < MOST:
                raise NetworkError(f"Sparse {name} must be from 0 to {MOST - 1}, got {values.min()} to {values.max()}")
        weights = as_numbers(self.weights, "Sparse weights", error=NetworkError)
        weights = np.broadcast_to(weights, sources.shape) if weights.ndim == 0 else weights
        if weights.shape != sources.shape:
            raise NetworkError(f"Sparse weights must be one number or one per synapse {sources.shape}, got {weights.shape}")
        order = np.argsort(sources, kind="stable")
        object.__setattr__(self, "sources", sources[order].astype(np.int64))
        object.__setattr__(self, "targets", targets[order].astype(np.int64))
        object.__setattr__(self, "weights", weights[order])
        if self.synapse_delays is not None:
            delays = as_numbers(self.synapse_delays, "Sparse synapse_delays", "iu", NetworkError)
            if delays.shape != sources.shape or np.any(delays < 0) or np.any(delays >= MOST):
                raise NetworkError(f"Sparse synapse_delays must be one whole number from 0 to {MOST - 1} per synapse")
            object.__setattr__(self, "synapse_delays", delays[order].astype(np.int64))

    @classmethod
    def from_matrix(cls, matrix, synapse_delays=None):
        """Make synapses of a SciPy sparse matrix of shape (n_sources, n_targets); duplicate entries are kept apart.

        Parameters
        ----------
        matrix : scipy.sparse array or matrix
            Any format; stored zeros are synapses too.
        synapse_delays : array_like of int, optional
            One delay per stored entry, in the order of ``matrix.tocoo()``.

        Raises
        ------
        NetworkError
            If it is no sparse matrix, or as for Sparse.
        """
        coo = coordinates(matrix, "Sparse")
        return cls(coo.row.astype(np.int64), coo.col.astype(np.int64), coo.data, synapse_delays)

    @property
    def delays(self):
        """Delay of each synapse in steps, or None."""
        return self.synapse_delays

    def check(self, source_shape, target_shape):
        """Return a sentence saying what does not fit, or None."""
        for name, values, shape in (("source", self.sources, source_shape), ("target", self.targets, target_shape)):
            size = int(np.prod(shape))
            if values.size and (values.min() < 0 or values.max() >= size):
                worst = int(values.max() if values.max() >= size else values.min())
                return f"Sparse names {name} neuron {worst}, allowed 0 to {size - 1}"
        return None

    def fan_out(self, source_shape, target_shape):
        """Return synapses per source, (n_sources,)."""
        return np.bincount(self.sources, minlength=int(np.prod(source_shape))).astype(np.int64)


def coordinates(matrix, what):
    """Return a SciPy sparse matrix as (row, col, data), or raise NetworkError where it is none."""
    if not hasattr(matrix, "tocoo"):
        raise NetworkError(f"{what}.from_matrix needs a SciPy sparse matrix (n_sources, n_targets), got "
                           f"{type(matrix).__name__}; scipy.sparse.coo_array makes one of an array, Dense takes it as it is")
    return matrix.tocoo()


def deliver_sparse(ids, amps, row_ptr, source_rows, indptr, places, target_units, weights, cells, marks, row_cells):
    """Add the weight of each synapse of each spike to its target's cell, in ascending (source, synapse).

    `places` are the offsets of the targets' cells within a row. Returns the number of synaptic events.
    """
    events = 0
    for r in range(source_rows.size):
        s = source_rows[r]
        if s < 0:
            continue
        base = r * row_cells
        for k in range(row_ptr[s], row_ptr[s + 1]):
            a, b = indptr[ids[k]], indptr[ids[k] + 1]
            events += b - a
            for synapse in range(a, b):
                w = weights[synapse] * amps[k] if SCALED else weights[synapse]
                cells[base + places[synapse]] += w
                marks[r, target_units[synapse]] = 1
    return events


SCALED = False  # replaced when compiled: whether spikes have amplitudes
