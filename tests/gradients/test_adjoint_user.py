"""A user's model outside the package learns with nothing but its two functions, recurrence and delays included."""

from math import exp, expm1, inf, log1p

import numpy as np
import pytest

from eventsnn import Dense, Input, Network, Param, Population, Projection, SparseMs, SpikeRaster, run
from eventsnn.errors import ModelError
from eventsnn.gradients.adjoint import LossGradient, gradient, with_parameters
from eventsnn.gradients.spike_losses import spike_time_error
from eventsnn.learning.adjoint.settings import AdjointSettings
from eventsnn.learning.adjoint.training import learn
from eventsnn.neurons.continuous import ContinuousModel

V, I, SINCE, THETA = 0, 1, 2, 3


class Charge(ContinuousModel):
    """dv/dt = i, tau di/dt = -i; an arrival adds to i; a spike takes the threshold off v, as often as it is reached."""

    name = "charge"
    parameters = (Param("tau", 5.0, "time constant, ms", low=1e-6),
                  Param("threshold", 1.0, "threshold", low=1e-9, per_neuron=True))
    WIDTH = 8
    adjoints = ("v", "i", "threshold")

    @classmethod
    def rows(cls, values, size, width):
        rows = np.zeros((size, width))
        rows[:, THETA] = values["threshold"]
        return rows

    @staticmethod
    def receive(S, b, x, t, g, p):
        dt = t - S[b + SINCE]
        S[b + V] -= S[b + I] * p.tau * expm1(-dt / p.tau)
        S[b + I] = S[b + I] * exp(-dt / p.tau) + x
        S[b + SINCE] = t

    @staticmethod
    def next_spike(S, b, p):
        reach = S[b + I] * p.tau  # how far v still goes
        if S[b + V] >= S[b + THETA]:
            return S[b + SINCE]
        if S[b + V] + reach <= S[b + THETA]:
            return inf
        return S[b + SINCE] - p.tau * log1p(-(S[b + THETA] - S[b + V]) / reach)

    @staticmethod
    def reset(S, b, t, p):
        decay = exp(-(t - S[b + SINCE]) / p.tau)
        S[b + V] += S[b + I] * p.tau * (1.0 - decay) - S[b + THETA]
        S[b + I] *= decay
        S[b + SINCE] = t

    @staticmethod
    def potential(S, b, t, p):
        return S[b + V] - S[b + I] * p.tau * expm1(-(t - S[b + SINCE]) / p.tau)

    @staticmethod
    def adjoint_flow(L, a, S, b, t, until, x, p):
        decay = exp(-(until - t) / p.tau)
        L[a + I] = L[a + I] * decay + L[a + V] * p.tau * (1.0 - decay)
        return L[a + I], x * (L[a + I] / p.tau - L[a + V])

    @staticmethod
    def adjoint_jump(L, a, S, b, t, e, own, p):
        slope = S[b + I] * exp(-(t - S[b + SINCE]) / p.tau)
        L[a + 2] += e / slope - L[a + V]
        L[a + V] -= e / slope
        return slope, 0.0


def network(seed=0):
    """Two inputs, four hidden neurons that hear one another with delays, two outputs."""
    rng = np.random.default_rng(seed)
    loop = SparseMs.from_lists(np.repeat(range(4), 4), np.tile(range(4), 4), 0.02 * rng.normal(size=16), rng.uniform(1, 3, 16),
                               n_sources=4)
    full = SparseMs.from_lists(np.repeat(range(4), 2), np.tile(range(2), 4), rng.uniform(0.1, 0.2, 8), rng.uniform(0.5, 2, 8),
                               n_sources=4)
    return Network([Input("x", 3)], [Population("h", 4, Charge, dtype="float64"), Population("o", 2, Charge, dtype="float64")],
                   [Projection("x", "h", Dense(rng.uniform(0.2, 0.5, (3, 4)))), Projection("h", "h", loop, delay=0.5),
                    Projection("h", "o", full)])


def test_it_learns_spike_times_weights_delays_and_thresholds():
    times, ids = [0.0, 1.0, 1.5, 2.0, 3.0, 4.0] * 2, [0, 1, 0, 0, 1, 0, 2, 1, 2, 2, 1, 2]
    inputs = {"x": SpikeRaster(times, ids, size=3, duration=30.0, offsets=[0, 6, 12])}
    wanted = np.array([[5.0, 7.0], [7.0, 5.0]])
    settings = AdjointSettings(epochs=150, batch=2, learning_rate=5e-3, delay_rate=10.0, parameters=("threshold",))
    before = run(network(), inputs, duration=30.0)
    assert before.counters["spikes"] > 6 * 2 * 6  # of six neurons in two samples: several each

    def loss(result, labels):
        return spike_time_error(result, "o", wanted[labels])

    result = learn(network(), inputs, np.arange(2), settings, loss, duration=30.0)
    after = run(result.network, inputs, duration=30.0)
    assert spike_time_error(before, "o", wanted).value > 1.0
    assert spike_time_error(after, "o", wanted).value < 1e-4
    start, end = network(), result.network
    assert not np.allclose(start.projections[1].synapses.delays, end.projections[1].synapses.delays)
    assert np.ptp(end.populations[0].parameters["threshold"]) > 0


def test_a_model_without_the_functions_is_refused_and_told_what_it_lacks():
    class Half(Charge):
        name = "half"
        adjoint_jump = None

    class None_(Charge):
        name = "none"
        adjoints = ()

    for model, missing in ((Half, "adjoint_jump"), (None_, "adjoints")):
        small = Network([Input("x", 1)], [Population("n", 1, model, dtype="float64")], [Projection("x", "n", Dense([[1.0]]))])
        inputs = {"x": SpikeRaster([1.0], [0], size=1, duration=9.0)}
        with pytest.raises(ModelError, match=f"lacks {missing}"):
            gradient(small, inputs, run(small, inputs), LossGradient())


def test_parameters_are_changed_cheaply():
    start = network()
    changed = with_parameters(start, weights=[np.ones((3, 4)), None, None], delays=[None, 0.75, None],
                              parameters={"h": {"threshold": 2.0}})
    assert (changed.projections[0].synapses.weights == 1).all() and changed.projections[1].delay == 0.75
    assert changed.projections[2] is not start.projections[2]
    assert changed.projections[2].synapses is start.projections[2].synapses
    assert changed.populations[0].parameters["threshold"] == 2.0 and start.populations[0].parameters["threshold"] == 1.0
    own = [None, start.projections[1].synapses.delays + 1, None]
    assert (with_parameters(start, synapse_delays=own).projections[1].synapses.delays >= 2).all()
