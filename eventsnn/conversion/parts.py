"""Pieces of spiking networks that all conversions need: synapses of a layer, relays of a chain of pools."""

from itertools import pairwise

from eventsnn.ann.layers import Conv2d, MaxPool2d
from eventsnn.network import Relay
from eventsnn.projections import Conv2d as ConvSynapses
from eventsnn.projections import Dense as DenseSynapses
from eventsnn.relays import AveragePool, EarliestPool


def relay_chain(source, pools, maximum):
    """Return relays for pools that follow each other behind ``source``; ``maximum`` is the relay of a max pool."""
    names = [source, *(pool.name for pool in pools)]
    return [Relay(after, before, _relay(pool, maximum)) for (before, after), pool in zip(pairwise(names), pools)]


def _relay(pool, maximum):
    """Return the relay of one pool."""
    if not isinstance(pool, MaxPool2d):
        return AveragePool(pool.size)
    if not pool.signs:
        return maximum(pool.size)
    if maximum is not EarliestPool:
        pool.complain(f"takes the minimum in {pool.signs.count(-1)} channels, where a batch norm behind it has a negative gamma, "
                      "and this code has no minimum; use first-spike times, an average pool, or the batch norm before the "
                      "ReLU")  # fmt: skip
    return EarliestPool(pool.size, signs=pool.signs)


def refuse_maximum_of_means(head, segments):
    """Raise ModelError for a max pool behind an average pool: several spikes of a cell carry parts of one mean."""
    for pools in (head, *(s.pools for s in segments)):
        seen = None
        for pool in pools:
            if isinstance(pool, MaxPool2d) and seen is not None:
                pool.complain(f"follows the average pool '{seen}', whose mean has no spike time of its own; "
                              "a time-to-first-spike network cannot take its maximum")  # fmt: skip
            seen = seen if isinstance(pool, MaxPool2d) else pool.name


def synapses(layer, weights):
    """Return the synapses of a Conv2d or Dense layer with the given weights."""
    if isinstance(layer, Conv2d):
        return ConvSynapses(weights, layer.stride, layer.padding)
    return DenseSynapses(weights)
