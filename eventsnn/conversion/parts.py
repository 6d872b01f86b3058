"""Pieces of spiking networks that all conversions need: synapses of a layer, relays of a chain of pools."""

from itertools import pairwise

from eventsnn.ann.layers import Conv2d, MaxPool2d
from eventsnn.network import Relay
from eventsnn.projections import Conv2d as ConvSynapses
from eventsnn.projections import Dense as DenseSynapses
from eventsnn.relays import AveragePool


def relay_chain(source, pools, maximum):
    """Return relays for pools that follow each other behind ``source``; ``maximum`` is the relay of a max pool."""
    names = [source, *(pool.name for pool in pools)]
    return [
        Relay(after, before, (maximum if isinstance(pool, MaxPool2d) else AveragePool)(pool.size))
        for (before, after), pool in zip(pairwise(names), pools)
    ]


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
