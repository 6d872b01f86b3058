"""Relays: stateful nodes without a membrane and without delay."""

from eventsnn.relays.pools import AveragePool, EarliestPool, GatedMaxPool

__all__ = ["AveragePool", "EarliestPool", "GatedMaxPool"]
