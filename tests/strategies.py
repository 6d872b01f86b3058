"""Hypothesis strategies for networks, rasters and drives.

The structure is drawn by Hypothesis, arrays come from a drawn seed. Every distinct (model, switches, dtype) compiles
kernels of its own, so compiled tests draw populations from the short table `COMPILED`; plain-Python tests (JIT off)
draw from everything: `plain_configs`.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from eventsnn import Network, SpikeRaster
from eventsnn.encoders.base import Drive
from eventsnn.network import BiasDrive, Input, Population, Projection, Readout, Relay
from eventsnn.projections import Conv2d, Dense, Sparse
from eventsnn.relays import AveragePool, EarliestPool, GatedMaxPool, StepMaxPool


@dataclass(frozen=True)
class Config:
    """What decides which kernels a population needs."""

    model: str = "if"
    dtype: str = "float32"
    reset: str = "subtract"
    reset_at: str = "now"
    strict: bool = False
    refractory: bool = False
    bias: bool = False
    floor: bool = False
    leak: bool = False

    @property
    def integer(self):
        """Whether its numbers are whole."""
        return self.dtype.startswith("int")


class Table(tuple):
    """A tuple of configurations that prints short (Hypothesis prints the arguments of strategies)."""

    def __repr__(self):
        return f"<{len(self)} configurations>"


COMPILED = Table((
    Config(),
    Config(bias=True, dtype="float32"),
    Config(reset="value", strict=True, refractory=True, dtype="float64"),
    Config(reset_at="next", refractory=True, bias=True, dtype="float64"),
    Config(dtype="int32", floor=True),
    Config("lif", leak=True, reset="value", bias=True, floor=True),
    Config("lif", leak=True, reset="value", reset_at="next", strict=True, dtype="float64"),
    Config("lif", leak=True, reset_at="pipelined", bias=True, refractory=True),
    Config(dtype="int64", reset="value", reset_at="pipelined"),
    Config("accumulator"),
    Config("accumulator", dtype="float64", leak=True, bias=True),
    Config("accumulator", dtype="int32"),
))


def plain_configs():
    """Return every combination of model, switches and dtype."""
    found = []
    for dtype, reset, moment in itertools.product(
        ("float32", "float64", "int32", "int64"), ("subtract", "value"), ("now", "next", "pipelined")
    ):
        for strict, refractory, bias, floor in itertools.product((False, True), repeat=4):
            options = {"strict": strict, "refractory": refractory, "bias": bias, "floor": floor}
            found.append(Config("if", dtype, reset, moment, **options))
            if dtype.startswith("float"):
                found.append(Config("lif", dtype, reset, moment, **options, leak=True))
    for dtype, bias in itertools.product(("float32", "float64", "int32", "int64"), (False, True)):
        found.append(Config("accumulator", dtype, bias=bias))
        if dtype.startswith("float"):
            found.append(Config("accumulator", dtype, bias=bias, leak=True))
    return Table(found)


def seeds():
    """Seeds of NumPy generators."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


def numbers(rng, shape, integer, dyadic, scale=1.0):
    """Return weights: whole, on the grid of eighths (ties are common) or arbitrary."""
    if integer:
        return rng.integers(-3, 5, shape)
    if dyadic:
        return rng.integers(-6, 10, shape) / 8 * scale
    return rng.normal(0.15, 0.5, shape) * scale


@st.composite
def parameters(draw, config, shape, dyadic):
    """Parameters of a population, away from their defaults."""
    rng, whole = draw(seeds()), config.integer
    unit = 1 if whole or not dyadic else 0.125
    p = {}
    if config.bias:
        bias = numbers(rng, draw(st.sampled_from([shape, shape[-1:]])), whole, dyadic, 1 if dyadic else 0.3)
        bias.flat[0] = bias.flat[0] or unit  # some bias is not 0: that is what the kernel is compiled for
        p["bias"] = bias
    if config.leak:
        p["leak"] = draw(st.sampled_from([0.5, 0.75] if dyadic else [0.0, 0.3, 0.9, 0.99]))
    p["v_init"] = draw(st.sampled_from([0, 0, 1, 2, -1] if whole else [0, 0, 0.5, 1.0, 1.5, -0.75]))
    if config.model == "accumulator":
        return p
    if draw(st.booleans()):
        p["v_threshold"] = draw(st.sampled_from([1, 2, 3] if whole else [0.5, 0.75, 1.0, 1.5] if dyadic else [0.3, 0.7, 1.1]))
    else:
        low, high = (1, 5) if whole or dyadic else (0.2, 1.4)
        on_grid = rng.integers(low, high, shape) * (1 if whole else 0.25) if whole or dyadic else None
        p["v_threshold"] = rng.uniform(low, high, shape) if on_grid is None else on_grid
    p |= {"reset": config.reset, "reset_at": config.reset_at, "strict": config.strict}
    if config.reset == "value":
        p["v_reset"] = draw(st.sampled_from([0, -1, 1] if whole else [0, -0.25, 0.125]))
    if config.refractory:
        p["refractory"] = draw(st.integers(1, 4))
    if config.floor:
        p["v_floor"] = draw(st.sampled_from([0, -1] if whole else [0, -0.5, 0.1]))
        p["v_floor"] = min(p["v_floor"], float(np.min(p["v_threshold"])) - unit * 0.01)
        p["v_floor"] = float(np.floor(p["v_floor"])) if whole else p["v_floor"]
    return p


@st.composite
def synapses(draw, source_shape, target_shape, integer, dyadic, delayed=True):
    """Dense or sparse synapses between two given shapes."""
    rng, n, m = draw(seeds()), int(np.prod(source_shape)), int(np.prod(target_shape))
    if draw(st.booleans()):
        return Dense(numbers(rng, (n, m), integer, dyadic))
    count = draw(st.integers(0, 3 * m))  # duplicates of (source, target) are common
    delays = rng.integers(0, 4, count) if delayed and draw(st.booleans()) else None
    return Sparse(rng.integers(0, n, count), rng.integers(0, m, count), numbers(rng, count, integer, dyadic), delays)


@st.composite
def convolutions(draw, source_shape, integer, dyadic):
    """A Conv2d that fits the source and gives at least one position."""
    height, width, channels = source_shape
    stride = draw(st.sampled_from([1, 2, (1, 2), (2, 1)]))
    padding = draw(st.sampled_from(["same", "valid", 1, (2, 0)]))
    around = {"same": (4, 4), "valid": (0, 0), 1: (2, 2), (2, 0): (4, 0)}[padding]
    kernel = [draw(st.integers(1, min(5, n + extra))) for n, extra in zip((height, width), around)]
    rng, out = draw(seeds()), draw(st.sampled_from([1, 2, 3, 5]))
    return Conv2d(numbers(rng, (*kernel, channels, out), integer, dyadic), stride=stride, padding=padding)


@st.composite
def pools(draw, shape, whole=False):
    """A pool on the grid that fits the shape; without averages where amplitudes must stay whole."""
    size = draw(st.integers(1, min(3, shape[0], shape[1])))
    stride = draw(st.sampled_from([None, 1, 2]))
    kinds = [GatedMaxPool, StepMaxPool, EarliestPool]
    kind = draw(st.sampled_from(kinds if whole else [AveragePool, *kinds]))
    if kind is EarliestPool and draw(st.booleans()):
        signs = tuple(draw(st.lists(st.sampled_from([-1, 1]), min_size=shape[2], max_size=shape[2])))
        return EarliestPool(size, stride, signs)
    return kind(size, stride)


def schedules(duration):
    """Schedules of drives."""
    mask = st.lists(st.booleans(), min_size=duration, max_size=duration).map(np.array)
    return st.one_of(st.sampled_from(["every", "first"]), st.integers(1, 4), mask)


@dataclass
class Case:
    """A network with inputs and a number of steps."""

    network: Network
    inputs: dict
    duration: int

    def __repr__(self):
        populations = [(p.name, p.shape, p.model.name, p.dtype, p.parameters) for p in self.network.populations]
        links = [(q.source, q.target, type(q.synapses).__name__, q.delay) for q in self.network.projections]
        relays = [(r.name, r.source, r.kind) for r in self.network.relays]
        drives = [(d.target, d.values, d.schedule) for d in self.network.drives]
        return f"Case({populations}, {links}, {relays}, {drives}, {self.inputs}, duration {self.duration})"


@st.composite
def rasters(draw, shape, samples, duration, whole=False, dyadic=True):
    """A grid raster: empty, sparse or dense, with or without amplitudes."""
    rng = draw(seeds())
    density = draw(st.sampled_from([0.0, 0.03, 0.15, 0.5, 1.0]))
    fired = rng.random((samples, duration, int(np.prod(shape)))) < density
    if draw(st.booleans()):
        values = rng.choice([1, 2, -1] if whole else [0.5, 1.0, 2.0, -0.25] if dyadic else [0.3, 0.7, 1.9, -0.45], fired.shape)
    else:
        values = np.ones(fired.shape)
    return SpikeRaster.from_dense(np.where(fired, values, 0), shape=shape)


@st.composite
def cases(draw, configs=COMPILED, driven=True, dyadic=None, samples=None):
    """A grid network of 1 to 3 populations with its inputs.

    Parameters
    ----------
    configs : sequence of Config
    driven : bool
        Whether there may be drives, biases and initial membranes.
    dyadic : bool, optional
        All numbers on a dyadic grid; None: drawn.
    samples : int, optional
        Drawn from 1 to 3 if None.
    """
    dyadic = draw(st.booleans()) if dyadic is None else dyadic
    chosen = draw(st.lists(st.sampled_from(configs), min_size=1, max_size=3))
    whole = any(c.integer for c in chosen)
    samples = draw(st.integers(1, 3)) if samples is None else samples
    duration = draw(st.integers(1, 14))
    shape = draw(st.sampled_from([(1,), (5,), (17,), (4, 4, 1), (5, 4, 2), (3, 6, 3)]))
    inputs, nodes = [Input("in", shape)], {"in": shape}
    drive = driven and draw(st.integers(0, 4)) == 0
    if drive:
        values = numbers(draw(seeds()), (samples, int(np.prod(shape))), whole, dyadic, 0.5)
        given = {"in": Drive(values, draw(schedules(duration)), shape)}
    else:
        given = {"in": draw(rasters(shape, samples, duration, whole, dyadic))}
    populations, projections, relays, drives = [], [], [], []
    last = "in"
    for k, config in enumerate(chosen):
        if len(nodes[last]) == 3 and not (last == "in" and drive) and draw(st.integers(0, 2)) == 0:
            kind = draw(pools(nodes[last], whole))
            relays.append(Relay(f"pool{k}", last, kind))
            nodes[f"pool{k}"] = kind.output_shape(nodes[last])
            last = f"pool{k}"
        name, source_shape = f"p{k}", nodes[last]
        if len(source_shape) == 3 and draw(st.integers(0, 2)) > 0:
            arriving = draw(convolutions(source_shape, whole, dyadic))
            shape = arriving.output_shape(source_shape)
        else:
            shape = draw(st.sampled_from([(1,), (3,), (18,), (2, 3, 2)]))
            arriving = draw(synapses(source_shape, shape, whole, dyadic))
        p = draw(parameters(config, shape, dyadic))
        if not driven:
            p.pop("v_init", None)
            if "v_floor" in p:
                p["v_floor"] = min(p["v_floor"], 0)  # a floor above the start would act without input
        populations.append(Population(name, shape, config.model, p, config.dtype))
        projections.append(Projection(last, name, arriving, delay=draw(st.sampled_from([0, 0, 1, 3]))))
        nodes[name] = shape
        if driven and draw(st.integers(0, 3)) == 0:
            of = draw(st.sampled_from([(), shape[-1:], shape]))
            values = numbers(draw(seeds()), of, whole, dyadic, 0.5)
            drives.append(BiasDrive(name, values, draw(schedules(duration))))
        last = name
    names = [p.name for p in populations]
    for _ in range(draw(st.integers(0, 2))):  # recurrence, self-loops, skips, several projections onto one cell
        source, target = draw(st.sampled_from(sorted(nodes))), draw(st.sampled_from(names))
        extra = draw(synapses(nodes[source], nodes[target], whole, dyadic))
        place, delay = draw(st.integers(0, len(projections))), draw(st.integers(1, 3))
        projections.insert(place, Projection(source, target, extra, delay=delay))
    read = draw(st.sampled_from(populations))
    kinds = ["membrane", "count", "first_spike"] if read.model.fires else ["membrane"]
    readout = Readout(read.name, draw(st.sampled_from(kinds)))
    return Case(Network(inputs, populations, projections, relays, drives, readout, dt_ms=1.0), given, duration)


@st.composite
def gated_pools(draw, shape):
    """A pool on the continuous clock that fits the shape."""
    size, stride = draw(st.integers(1, min(3, shape[0], shape[1]))), draw(st.sampled_from([None, 1, 2]))
    if draw(st.booleans()):
        return AveragePool(size, stride)
    signs = tuple(draw(st.lists(st.sampled_from([-1, 1, 1]), min_size=shape[2], max_size=shape[2])))
    return EarliestPool(size, stride, draw(st.sampled_from([None, signs])))


@st.composite
def ttfs_rasters(draw, shape, samples):
    """First-spike times t = 1 - x, silent where x <= 0, with or without amplitudes x."""
    rng, n = draw(seeds()), int(np.prod(shape))
    x = rng.uniform(-0.5, 1.0, (samples, n)) * draw(st.sampled_from([0.0, 0.6, 1.0]))
    if draw(st.booleans()):
        x = np.round(x * 8) / 8  # ties
    sample, i = np.nonzero(x > 0)
    amplitudes = x[sample, i] if draw(st.booleans()) else None
    options = {"size": n, "duration": 1.0, "n_samples": samples, "shape": shape}
    return SpikeRaster.from_events(1.0 - x[sample, i], i, amplitudes, sample, **options)


@st.composite
def gated_cases(draw, dtypes=("float32", "float64"), window=None, averages=True, early="saturate"):
    """A gated network of 1 to 3 ramp populations and a readout, with its input.

    Parameters
    ----------
    dtypes : sequence of str
    window : float, optional
        Length of all windows; None: drawn, some so short that early spikes saturate.
    averages : bool
        Whether average pools may occur.
    early : str
        What an early spike does.
    """
    dtype, dyadic = draw(st.sampled_from(dtypes)), draw(st.booleans())
    shape, samples = draw(st.sampled_from([(4,), (11,), (4, 4, 1), (3, 5, 2)])), draw(st.integers(1, 3))
    nodes, opens, last = {"in": shape}, 1.0, "in"
    populations, projections, relays = [], [], []
    depth = draw(st.integers(1, 3))
    for k in range(depth + 1):
        if len(nodes[last]) == 3 and draw(st.booleans()):
            kind = draw(gated_pools(nodes[last]).filter(lambda p: averages or not isinstance(p, AveragePool)))
            relays.append(Relay(f"pool{k}", last, kind))
            nodes[f"pool{k}"] = kind.output_shape(nodes[last])
            last = f"pool{k}"
        if len(nodes[last]) == 3 and draw(st.booleans()) and k < depth:
            arriving = draw(convolutions(nodes[last], False, dyadic))
            shape = arriving.output_shape(nodes[last])
        else:
            shape = draw(st.sampled_from([(3,), (17,), (2, 3, 2)])) if k < depth else (4,)
            arriving = draw(synapses(nodes[last], shape, False, dyadic, delayed=False))
        p = {"t_open": opens, "bias": numbers(draw(seeds()), draw(st.sampled_from([shape, shape[-1:]])), False, dyadic, 0.5)}
        if k < depth:
            length = draw(st.sampled_from([0.5, 2.0, 7.3])) if window is None else window
            p |= {"window": length, "slope": draw(st.sampled_from([1.0, 0.5, 1.7])), "early": early}
            opens += length + draw(st.sampled_from([0.0, 0.25]))
        populations.append(Population(f"p{k}", shape, "ramp" if k < depth else "ramp_readout", p, dtype))
        projections.append(Projection(last, f"p{k}", arriving))
        if k and draw(st.integers(0, 3)) == 0:  # a second projection onto the same cells
            source = draw(st.sampled_from(sorted(nodes)))
            extra = draw(synapses(nodes[source], shape, False, dyadic, delayed=False))
            projections.insert(draw(st.integers(0, len(projections))), Projection(source, f"p{k}", extra))
        nodes[f"p{k}"], last = shape, f"p{k}"
    network = Network([Input("in", nodes["in"])], populations, projections, relays, readout=Readout(last, "membrane"))
    return Case(network, {"in": draw(ttfs_rasters(nodes["in"], samples))}, None)
