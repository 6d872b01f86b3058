"""Synapses listed by source, with delays in ms: sparse projections on the continuous clock."""

import functools

import numpy as np

from eventsnn.errors import NetworkError
from eventsnn.projections.sparse import coordinates
from eventsnn.settings import as_numbers, check_number


class SparseMs:
    """Synapses listed by source (compressed rows).

    Synapses of one source are kept in the order (delay, target). **Twins** (same source, target and delay) are one synapse:
    their weights are added in the order given, and the sum is delivered.

    Parameters
    ----------
    indptr : array_like of int, (n_sources + 1,)
        Source s owns synapses ``indptr[s]`` to ``indptr[s + 1] - 1``.
    targets : array_like of int, (n_synapses,)
    weights : float or array_like, (n_synapses,)
        Finite, mV (or the model's unit).
    delays_ms : float or array_like, (n_synapses,)
        >= 0, finite; added to the projection's delay.
    source_weights : array_like, (n_sources,), optional
        Multiplies the weights of each source's synapses. One weight and source_weights need little memory.

    Attributes
    ----------
    per_source : bool
        Whether `weights` holds one weight per source rather than one per synapse.

    Raises
    ------
    NetworkError
        Saying what does not fit.
    """

    def __init__(self, indptr, targets, weights, delays_ms=0.0, *, source_weights=None):
        indptr = as_numbers(indptr, "SparseMs indptr", "iu", NetworkError)
        targets = as_numbers(targets, "SparseMs targets", "iu", NetworkError)
        if indptr.ndim != 1 or indptr.size < 1 or targets.ndim != 1 or indptr[0] != 0 or indptr[-1] != targets.size or (
                np.diff(indptr) < 0).any():
            raise NetworkError("SparseMs indptr must rise from 0 to the number of synapses")
        if targets.size and not 0 <= int(targets.min()) <= int(targets.max()) < 2**32:
            raise NetworkError("SparseMs targets must be whole numbers >= 0")
        self.indptr, self.targets = indptr.astype(np.int64), targets.astype(np.uint32, copy=False)
        self.weights, self.delays = self._one_or_all("weights", weights), self._one_or_all("delays_ms", delays_ms)
        if (self.delays < 0).any():
            raise NetworkError(f"SparseMs delays_ms must be >= 0, got {self.delays.min()}")
        self.per_source = False
        if source_weights is not None:
            self._scale(as_numbers(source_weights, "SparseMs source_weights", error=NetworkError).astype(np.float64))
        self._arrange()
        for array in (self.indptr, self.targets, self.weights, self.delays):
            array.flags.writeable = False

    def _one_or_all(self, name, values):
        values = as_numbers(values, f"SparseMs {name}", error=NetworkError).astype(np.float64)
        if values.ndim > 1 or (values.ndim == 1 and values.size not in (1, self.targets.size)):
            raise NetworkError(f"SparseMs {name} must be one number or one per synapse ({self.targets.size}), got {values.shape}")
        if not np.isfinite(values).all():
            raise NetworkError(f"SparseMs {name} must be finite")
        values = values.reshape(-1)
        same = values.size > 1 and (values == values[0]).all()
        return values[:1].copy() if same else (values if values.size else np.zeros(1))

    def _scale(self, factors):
        if factors.shape != (self.indptr.size - 1,) or not np.isfinite(factors).all():
            raise NetworkError(f"SparseMs source_weights must be one finite number per source ({self.indptr.size - 1})")
        if self.weights.size > 1:
            self.weights = self.weights * np.repeat(factors, np.diff(self.indptr))
        else:
            self.weights, self.per_source = self.weights * factors, True

    def synapse_weights(self):
        """Return one weight, or one per synapse."""
        return np.repeat(self.weights, np.diff(self.indptr)) if self.per_source else self.weights

    @functools.cached_property
    def row_weights(self):
        """Weight of every source, where its synapses agree; else None."""
        lengths = np.diff(self.indptr)
        if self.per_source:
            return self.weights
        if self.weights.size == 1:
            return np.full(lengths.size, self.weights[0])
        first = np.where(lengths > 0, self.weights[np.minimum(self.indptr[:-1], self.weights.size - 1)], 0.0)
        return first if (np.repeat(first, lengths) == self.weights).all() else None

    def _arrange(self):
        """Sort each source's synapses by (delay, target) and merge twins; nothing is copied where that is so already."""
        from eventsnn.compile import specialise

        if self.delays.size == 1 and specialise(rows_rise)(self.indptr, self.targets):
            return
        sources = np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))
        delays, weights = (np.broadcast_to(a, self.targets.shape) for a in (self.delays, self.synapse_weights()))
        self.per_source = False
        order = np.lexsort((self.targets, delays, sources))
        sources, targets, delays, weights = sources[order], self.targets[order], delays[order], weights[order]
        new = np.ones(order.size, bool)
        new[1:] = (sources[1:] != sources[:-1]) | (targets[1:] != targets[:-1]) | (delays[1:] != delays[:-1])
        if not new.all():
            weights = np.bincount(np.cumsum(new) - 1, weights=weights)  # adds one after another
            sources, targets, delays = sources[new], targets[new], delays[new]
        self.targets = targets
        self.weights, self.delays = self._one_or_all("weights", weights), self._one_or_all("delays_ms", delays)
        counts = np.bincount(sources, minlength=self.indptr.size - 1)
        self.indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)

    @classmethod
    def from_lists(cls, sources, targets, weights, delays_ms=0.0, *, n_sources):
        """Make synapses of lists in any order.

        Parameters
        ----------
        sources, targets : array_like of int, (n_synapses,)
        weights, delays_ms : float or array_like, (n_synapses,)
        n_sources : int
            Number of source neurons, 1 to 2**32 - 1.

        Returns
        -------
        SparseMs

        Raises
        ------
        NetworkError
            If lengths differ, or something is not of its kind or range.
        """
        check_number(n_sources, f"[1, {2**32 - 1}]", "SparseMs n_sources", int, NetworkError)
        sources, targets = (as_numbers(a, f"SparseMs {n}", "iu", NetworkError) for n, a in (("sources", sources),
                                                                                         ("targets", targets)))
        if sources.ndim != 1 or sources.shape != targets.shape:
            raise NetworkError(f"SparseMs sources and targets must be lists of equal length, got {sources.shape} and "
                               f"{targets.shape}")
        if sources.size and not 0 <= int(sources.min()) <= int(sources.max()) < n_sources:
            raise NetworkError(f"SparseMs sources must be whole numbers from 0 to {n_sources - 1}")
        order = np.argsort(sources, kind="stable")
        weights, delays = (as_numbers(a, f"SparseMs {n}", error=NetworkError) for n, a in (("weights", weights),
                                                                                         ("delays_ms", delays_ms)))
        counts = np.bincount(sources.astype(np.int64), minlength=n_sources)
        sorted_ = [a[order] if a.shape == sources.shape else a for a in (weights, delays)]
        return cls(np.concatenate(([0], np.cumsum(counts))), targets[order], *sorted_)

    @classmethod
    def from_matrix(cls, matrix, delays_ms=0.0):
        """Make synapses of a SciPy sparse matrix (n_sources, n_targets); one delay, or one per entry of ``matrix.tocoo()``."""
        coo = coordinates(matrix, "SparseMs")
        return cls.from_lists(coo.row.astype(np.int64), coo.col.astype(np.int64), coo.data, delays_ms, n_sources=coo.shape[0])

    @property
    def size(self):
        """Number of synapses, twins counted once."""
        return self.targets.size

    @functools.cached_property
    def ranks(self):
        """Number of every synapse's (delay, source) among all such pairs, ascending, and how many there are."""
        sources = np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))
        delays = np.broadcast_to(self.delays, sources.shape)
        order = np.lexsort((sources, delays))
        new = np.ones(order.size, bool)
        new[1:] = (np.diff(delays[order]) != 0) | (np.diff(sources[order]) != 0)
        ranks = np.empty(order.size, np.uint32)
        ranks[order] = np.cumsum(new) - 1
        return ranks, int(new.sum())

    @functools.cached_property
    def distinct_delays(self):
        """Number of different delays."""
        return np.unique(self.delays).size

    def check(self, source_shape, target_shape):
        """Return a sentence saying what does not fit, or None."""
        n_sources, n_targets = int(np.prod(source_shape)), int(np.prod(target_shape))
        if self.indptr.size - 1 != n_sources:
            return f"SparseMs lists synapses of {self.indptr.size - 1} sources, the source has {n_sources}"
        if self.targets.size and int(self.targets.max()) >= n_targets:
            return f"SparseMs names target neuron {int(self.targets.max())}, allowed 0 to {n_targets - 1}"
        return None

    def fan_out(self, source_shape, target_shape):
        """Return synapses per source, (n_sources,)."""
        return np.diff(self.indptr)


def rows_rise(indptr, targets):
    """Return whether the targets of every source rise strictly."""
    for s in range(indptr.size - 1):
        for j in range(indptr[s] + 1, indptr[s + 1]):
            if targets[j] <= targets[j - 1]:
                return False
    return True
