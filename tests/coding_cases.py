"""Hypothesis strategies for networks under every pair of codings."""

import numpy as np
from hypothesis import strategies as st

from eventsnn.compile import jit_enabled
from eventsnn.projections import Conv2d, Dense
from tests.coding_networks import CodingCase
from tests.reference import coding
from tests.reference import coding_pools as pools
from tests.strategies import seeds

GRID_PAIRS = [(x, h) for x in ("real", "poisson", "phase", "burst") for h in ("rate", "phase", "burst")]
TTFS_PAIRS = [("real", "ttfs"), ("ttfs", "ttfs")]


def weights(rng, shape, dyadic):
    """Weights that keep a layer busy: about as many additions as subtractions, a little above 0."""
    if dyadic:
        return rng.integers(-4, 7, shape) / 8
    fan_in = np.prod(shape[:-1])
    return rng.normal(0.6 / np.sqrt(fan_in), 1.5 / np.sqrt(fan_in), shape)


@st.composite
def synapses(draw, source_shape, dyadic):
    """A dense matrix or a convolution; returns (synapses, target shape)."""
    rng = draw(seeds())
    if len(source_shape) == 3 and draw(st.booleans()):
        height, width, channels = source_shape
        padding = draw(st.sampled_from(["same", "valid"]))
        kernel = draw(st.integers(1, 3 if padding == "same" else min(3, height, width)))
        conv = Conv2d(weights(rng, (kernel, kernel, channels, draw(st.integers(1, 3))), dyadic), padding=padding)
        return conv, conv.output_shape(source_shape)
    shape = draw(st.sampled_from([(3,), (9,), (17,), (4, 4, 1), (2, 3, 2)]))
    return Dense(weights(rng, (int(np.prod(source_shape)), int(np.prod(shape))), dyadic)), shape


F32, F64 = np.float32, np.float64
COMPILED = {  # what decides which kernels a population needs: a short table where they are compiled
    "rate": [{"dtype": F32}, {"dtype": F64, "leak": 0.7, "floor": 0.0, "once": True}],
    "phase": [{"dtype": F32, "first": "half"}, {"dtype": F64, "first": "whole", "leak": 0.7, "floor": -0.125}],
    "burst": [{"dtype": F32}, {"dtype": F64, "leak": 0.5, "floor": 0.0}],
    "readout": [{"dtype": F32}, {"dtype": F64, "leak": 0.7}],
    "ttfs": [{"dtype": F32, "later": 0.0}, {"dtype": F64, "later": 0.5}],
}


@st.composite
def configs(draw, code):
    """Precision and switches of a population."""
    if jit_enabled():
        return dict(draw(st.sampled_from(COMPILED[code])))
    found = {"dtype": draw(st.sampled_from([F32, F64]))}
    if code == "ttfs":
        return found | {"later": draw(st.sampled_from([0.0, 0.0, 0.5]))}
    found["leak"] = draw(st.sampled_from([1.0, 0.7, 0.5]))
    if code == "readout":
        return found
    if code == "phase":
        found["first"] = draw(st.sampled_from(["half", "whole"]))
    return found | {"floor": draw(st.sampled_from([None, None, 0.0, -0.125])), "once": draw(st.integers(0, 5)) == 0}


@st.composite
def hidden_neurons(draw, code, shape, dyadic, period):
    """Neurons of a grid code."""
    rng, n, own = draw(seeds()), int(np.prod(shape)), draw(configs(code))
    theta = draw(st.sampled_from([1.0, 0.5, 0.125] if dyadic else [1.0, 0.4, 0.0625, 0.3]))
    if draw(st.booleans()):
        theta = theta * (rng.integers(1, 5, n) / 4 if dyadic else rng.uniform(0.3, 1.5, n))
    own |= {"theta": theta, "v_init": draw(st.sampled_from([0.0, 0.0, 0.5, -0.25 if dyadic else -0.3]))}
    if code == "rate":
        height = draw(st.sampled_from([1.0, 0.5] if dyadic else [1.0, 0.4, 0.7]))
        return coding.Rate(height=height if draw(st.booleans()) else height * rng.integers(1, 4, n), **own)
    if code == "burst":
        return coding.Burst(growth=draw(st.sampled_from([2.0, 2.0, 1.5])), **own)
    first = own.pop("first")
    neurons = coding.Phase(period=period, **own)
    neurons.first = first  # the switch with which the network says the same
    return neurons


@st.composite
def schedules(draw, pair, period):
    """When biases act: at the first step of a period where a phase code is, else mostly every step."""
    if "phase" in pair:
        return period
    return draw(st.sampled_from(["every", "every", "first"]))


def acts(schedule):
    """A schedule as a function of the step."""
    if schedule == "every":
        return lambda t: True
    period = 10**9 if schedule == "first" else schedule
    return lambda t: t % period == 0


@st.composite
def bodies(draw, shape, dyadic, kinds):
    """Return (pool or None, source shape after it, synapses, target shape, bias)."""
    pool = None
    if kinds and len(shape) == 3 and min(shape[:2]) > 1 and draw(st.integers(0, 2)) > 0:
        size = draw(st.sampled_from([2, 2, min(3, *shape[:2])]))
        pool = pools.Pool(draw(st.sampled_from(kinds)), shape, size, draw(st.sampled_from([size, 1])))
        rows, columns = ((n - size) // pool.stride + 1 for n in shape[:2])
        shape = (rows, columns, shape[2])
    arriving, target = draw(synapses(shape, dyadic))
    rng = draw(seeds())
    biased = draw(st.integers(0, 2)) > 0
    bias = (rng.integers(-2, 3, target[-1]) / 16 if dyadic else rng.normal(0.02, 0.1, target[-1])) if biased else 0.0
    return pool, shape, arriving, target, bias


# (tau, delay): from kernels that hardly fall to kernels that most values miss
kernels = st.one_of(st.tuples(st.sampled_from([1.0, 5.0, 20.0]), st.sampled_from([0.0, -2.0, 1.0])),
                    st.tuples(st.floats(0.5, 30.0), st.floats(-4.0, 3.0)))
READOUTS = ["membrane", "count", "first_spike"]
SHAPES = [(5,), (16,), (4, 4, 1), (5, 4, 2), (6, 6, 2)]


@st.composite
def grid_codings(draw, pairs=tuple(GRID_PAIRS)):
    """A network of one of the 12 pairs without TTFS: 1 to 3 hidden layers and a readout."""
    pair, dyadic = draw(st.sampled_from(pairs)), draw(st.booleans())
    shape, samples, steps = draw(st.sampled_from(SHAPES)), draw(st.integers(1, 2)), draw(st.integers(1, 30))
    period = draw(st.sampled_from([8, 8, 5, 3]))
    values = draw(value_tables(samples, shape, dyadic))
    schedule, layers, first = draw(schedules(pair, period)), [], shape
    for k in range(depth := draw(st.integers(2, 4))):
        kinds = ["average", "max", "gated"] if k or pair[0] != "real" else []  # a drive is not pooled
        pool, shape, arriving, target, bias = draw(bodies(shape, dyadic, kinds))
        if k == depth - 1 and draw(st.booleans()):
            neurons = coding.Readout(**draw(configs("readout")))
        else:
            neurons = draw(hidden_neurons(pair[1], target, dyadic, period))
        layers.append(coding.Layer(neurons, arriving, shape, target, bias, acts(schedule), pool))
        layers[-1].when = schedule
        shape = target
    options = {"gain": 1 / period if "phase" in pair else 1.0, "period": period,
               "amplitude": draw(st.sampled_from([1.0, 0.4])), "threshold": draw(st.sampled_from([0.125, 0.0625, 0.1])),
               "reload": draw(st.sampled_from(["silent", 8, 5]))}
    options["draws"] = draw(seeds()).random((samples, steps, values.shape[1]))
    readout = "membrane" if isinstance(neurons, coding.Readout) else draw(st.sampled_from(READOUTS))
    return CodingCase(pair, values, first, layers, steps, False, options, readout)


@st.composite
def value_tables(draw, samples, shape, dyadic):
    """Values in [0, 1], many of them 0, ties where dyadic."""
    rng, n = draw(seeds()), int(np.prod(shape))
    x = rng.uniform(0, 1, (samples, n)) * (rng.random((samples, n)) < draw(st.sampled_from([0.2, 0.7, 1.0])))
    return np.round(x * 16) / 16 if dyadic else np.float32(x).astype(np.float64)


@st.composite
def ttfs_codings(draw, early=None, pairs=tuple(TTFS_PAIRS)):
    """A TTFS network: windows one after another, or overlapping (early firing); kernels differ from layer to layer."""
    pair, dyadic = draw(st.sampled_from(pairs)), draw(st.booleans())
    early = draw(st.booleans()) if early is None else early
    shape, samples, window = draw(st.sampled_from(SHAPES)), draw(st.integers(1, 2)), draw(st.integers(1, 24))
    apart = draw(st.integers(1, window)) if early else window
    values, depth = draw(value_tables(samples, shape, dyadic)), draw(st.integers(1, 4))
    spiking, own = draw(st.booleans()), draw(configs("ttfs"))
    layers, first = [], shape
    for k in range(1, depth + 1):
        kinds = ["average", "earliest", *(["max", "gated"] if early else [])] if k > 1 or pair[0] != "real" else []
        pool, source, arriving, target, bias = draw(bodies(shape, dyadic, kinds))
        if k == depth and not spiking:
            neurons = coding.Readout(dtype=draw(configs("readout"))["dtype"])
        else:
            theta, (tau, delay) = draw(st.sampled_from([1.0, 1.0, 0.5])), draw(kernels)
            neurons = coding.Ttfs(theta, opens=k * apart, window=window, tau=tau, delay=delay, **draw(configs("ttfs")))
            if draw(st.integers(0, 3)) == 0:
                neurons.tau_out, neurons.delay_out = draw(kernels)
        layers.append(coding.Layer(neurons, arriving, source, target, bias, acts("first"), pool))
        layers[-1].opens, layers[-1].apart = k * apart, apart
        layers[-1].when, shape = "first", target
    tau, delay = draw(kernels)
    options = {"gain": 1.0, "window": window, "tau": tau, "delay": delay, "apart": apart, "dtype": own["dtype"]}
    options |= {"half_step": own["later"] > 0, "theta0": draw(st.sampled_from([1.0, 0.5]))}
    readout = "membrane" if isinstance(neurons, coding.Readout) else draw(st.sampled_from(READOUTS))
    return CodingCase(pair, values, first, layers, depth * apart + window, not early, options, readout)


