"""Relays: stateful nodes without a membrane and without delay."""

from eventsnn.relays.noise import Deletion, Flip, FrozenMask, Jitter
from eventsnn.relays.pools import AveragePool, EarliestPool, GatedMaxPool, StepMaxPool

__all__ = ["AveragePool", "Deletion", "EarliestPool", "Flip", "FrozenMask", "GatedMaxPool", "Jitter", "StepMaxPool"]
