"""Relays: stateful nodes without a membrane and without delay."""

from eventsnn.relays.noise import Deletion, Jitter
from eventsnn.relays.pools import AveragePool, EarliestPool, GatedMaxPool, StepMaxPool

__all__ = ["AveragePool", "Deletion", "EarliestPool", "GatedMaxPool", "Jitter", "StepMaxPool"]
