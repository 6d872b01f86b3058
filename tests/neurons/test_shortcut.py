"""The neuron with a second port: where sums are exact it is one whose single port takes both; else two rounded additions."""

from itertools import product

import numpy as np
import pytest

from eventsnn.network import Population
from tests.contract.plain import PlainNeuron

SWITCHES = [*product(("now", "next", "pipelined"), ("subtract", "value"), (False, True), (0, 2), (-np.inf, -0.5), (0.0, 0.125))]


def neuron(model, dtype, **values):
    return PlainNeuron(Population("p", 1, model, values, dtype))


@pytest.mark.parametrize(("reset_at", "reset", "strict", "refractory", "v_floor", "bias"), SWITCHES)
def test_equals_one_port_where_sums_are_exact(reset_at, reset, strict, refractory, v_floor, bias):
    values = {"leak": 0.5, "reset_at": reset_at, "reset": reset, "strict": strict, "refractory": refractory,
              "v_floor": v_floor, "bias": bias, "v_init": 0.5}  # fmt: skip
    one, two = (neuron(model, "float64", **values) for model in ("lif", "lif_shortcut"))
    fired = 0
    for t, pair in enumerate(np.random.default_rng(11).integers(-64, 96, (30, 2, 1)) / 64):
        spikes = one.step(t, pair.sum()), two.step(t, pair)
        assert spikes[0] == spikes[1] and np.array_equal(one.state, two.state) and one.wake(t) == two.wake(t)
        fired += bool(spikes[0])
    assert fired > 1


def test_the_shortcut_is_added_last():
    made = neuron("lif_shortcut", "float32", leak=1.0, v_init=-1.0)
    made.step(0, np.array([[2.0**-24], [1.0]]))
    assert made.state[0, 0] == 2.0**-24  # 1 + 2^-24, added up first, would be 1 in float32
