"""Projections: synapses as data, and the kernels that deliver spikes through them."""

from eventsnn.projections.conv2d import Conv2d
from eventsnn.projections.dense import Dense
from eventsnn.projections.sparse import Sparse
from eventsnn.projections.sparse_ms import SparseMs

__all__ = ["Conv2d", "Dense", "Sparse", "SparseMs"]
