"""Stage `network`: an explicit network of a scenario, its weights drawn from the counter-based generator or read."""

from dataclasses import replace

import numpy as np

from eventsnn.errors import EventsnnError, NetworkError, did_you_mean
from eventsnn.scenario.network.clocks import any_time
from eventsnn.scenario.network.draw import weights
from eventsnn.scenario.network.wire import LISTS, listed


def build(loaded):
    """Make the network that a scenario writes out.

    Parameters
    ----------
    loaded : LoadedScenario
        With an explicit network.

    Returns
    -------
    Network

    Raises
    ------
    ScenarioError
        Naming the population, projection, relay or drive that does not fit, with its line.
    """
    from eventsnn.network import Input, Network

    spec = loaded.spec.network
    shapes = {name: tuple(node.shape) for name, node in (*spec.inputs.items(), *spec.populations.items())}
    inputs = [Input(name, tuple(node.shape)) for name, node in spec.inputs.items()]
    populations = _each(loaded, "populations", lambda name, s: _population(name, s))
    relays = _each(loaded, "relays", lambda name, s: _relay(name, s, shapes))
    projections = _each(loaded, "projections", lambda name, s: _projection(loaded, name, s, shapes))
    drives = _each(loaded, "drives", lambda name, s: _drive(s, shapes))
    try:
        return Network(inputs, populations, projections, relays, drives, None, spec.dt)
    except EventsnnError as error:
        raise loaded.error(_whom(spec, str(error)), error) from None


def with_readout(loaded, network):
    """Return a network with the readout that the scenario names; as it is where none is named.

    Parameters
    ----------
    loaded : LoadedScenario
    network : Network

    Returns
    -------
    Network

    Raises
    ------
    ScenarioError
        If there is no such population, or it cannot be read so.
    """
    from eventsnn.network import Readout

    wanted = loaded.spec.readout
    if wanted is None:
        return network
    with loaded.at("readout"):
        return replace(network, readout=Readout(wanted.population or network.populations[-1].name, wanted.kind))


def _each(loaded, section, make):
    """Build every member of a section; a mistake names its place."""
    made = []
    for name, spec in getattr(loaded.spec.network, section).items():
        with loaded.at("network", section, name):
            made.append(make(name, spec))
    return made


def _whom(spec, text):
    """Path of the member that a message about the whole network names."""
    for name, projection in spec.projections.items():
        if f"{projection.source} -> {projection.target}" in text:
            return ("network", "projections", name)
    for section in ("populations", "relays", "drives", "inputs"):
        for name in getattr(spec, section):
            if f"{section.rstrip('s')} {name}" in text:
                return ("network", section, name)
    return ("network",)


def _population(name, spec):
    from eventsnn.network import Population

    dtype = "float64" if any_time(spec.model) else spec.dtype
    return Population(name, tuple(spec.shape), spec.model, dict(spec.parameters), dtype)


def _relay(name, spec, shapes):
    from eventsnn.network import Relay
    from eventsnn.relays import AveragePool, EarliestPool, GatedMaxPool, StepMaxPool

    _known(spec.source, shapes)
    kinds = {"average_pool": AveragePool, "gated_max_pool": GatedMaxPool, "earliest_pool": EarliestPool,
             "step_max_pool": StepMaxPool}
    kind = kinds[spec.kind](spec.size)
    if len(shapes[spec.source]) != 3:
        raise NetworkError(f"a pool needs a source of shape (y, x, channel), '{spec.source}' has {shapes[spec.source]}")
    shapes[name] = kind.output_shape(shapes[spec.source])
    return Relay(name, spec.source, kind)


def _known(name, shapes):
    """Refuse the name of a node that is not there (or that comes later in the file)."""
    if name not in shapes:
        raise NetworkError(f"no such population, relay or input: {name!r}, allowed {', '.join(shapes)}"
                           f"{did_you_mean(name, shapes)}")  # fmt: skip


def _drive(spec, shapes):
    from eventsnn.network import BiasDrive

    _known(spec.target, shapes)
    values, shape = np.asarray(spec.values, np.float64), shapes[spec.target]
    if values.ndim and values.size not in (shape[-1], int(np.prod(shape))):
        counts = f"{shape[-1]} (one per channel) or {int(np.prod(shape))}"
        raise NetworkError(f"values must be one number, {counts}, got {values.size}")
    return BiasDrive(spec.target, values, spec.schedule)


def _projection(loaded, name, spec, shapes):
    from eventsnn.network import Projection

    for end in (spec.source, spec.target):
        _known(end, shapes)
    ends = shapes[spec.source], shapes[spec.target]
    if spec.synapses.kind in LISTS:
        synapses, delay = listed(loaded, name, spec, *ends)
    else:
        synapses, delay = SYNAPSES[spec.synapses.kind](loaded, name, spec.synapses, *ends), spec.delay
    return Projection(spec.source, spec.target, synapses, delay, spec.port)


def _dense(loaded, name, spec, source, target):
    from eventsnn.projections import Dense

    return Dense(weights(loaded, name, spec.weights, (int(np.prod(source)), int(np.prod(target)))))


def _conv2d(loaded, name, spec, source, target):
    from eventsnn.projections import Conv2d

    shape = (*spec.kernel, source[-1], target[-1])
    return Conv2d(weights(loaded, name, spec.weights, shape), spec.stride, spec.padding)


SYNAPSES = {"dense": _dense, "conv2d": _conv2d}
"""Kinds with a structure of their own; those that list their synapses are in wire.py."""
