"""Spike lists: delivery reads whole blocks of 16 behind the last spike, so there must always be that much room."""

import types

import numpy as np
import pytest

from eventsnn.engines.spikes import SLACK, SpikeList

NODE = types.SimpleNamespace(name="n", 
    units=1, lanes=4, unit_amplitude=False, stores_amplitudes=True, dtype=np.dtype("float32"), wants_units=False
)


@pytest.mark.parametrize("wanted", [1, 9, 10, 17, 18, 25, 26, 100])
def test_there_is_slack_behind_any_capacity(wanted):
    spikes = SpikeList(NODE, 1, 10)
    spikes.ids[:3], spikes.n = (3, 1, 2), 3
    spikes.reserve(wanted)
    assert min(spikes.ids.size, spikes.amps.size) >= wanted + SLACK
    assert spikes.ids[:3].tolist() == [3, 1, 2]
