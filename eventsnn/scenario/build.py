"""Stage `network`: an explicit network of a scenario, its weights drawn from the counter-based generator or read."""

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError, EventsnnError, NetworkError, did_you_mean
from eventsnn.random import key, uniform
from eventsnn.scenario.schema_network import ConstantWeights, FileWeights, NormalWeights


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


def _each(loaded, section, make):
    """Build every member of a section; a mistake names its place."""
    made = []
    for name, spec in getattr(loaded.spec.network, section).items():
        try:
            made.append(make(name, spec))
        except EventsnnError as error:
            raise loaded.error(("network", section, name), error) from None
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

    return Population(name, tuple(spec.shape), spec.model, dict(spec.parameters), spec.dtype)


def _relay(name, spec, shapes):
    from eventsnn.network import Relay
    from eventsnn.relays import AveragePool, EarliestPool, GatedMaxPool

    _known(spec.source, shapes)
    kinds = {"average_pool": AveragePool, "gated_max_pool": GatedMaxPool, "earliest_pool": EarliestPool}
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
    synapses = SYNAPSES[spec.synapses.kind](loaded, name, spec.synapses, *ends)
    return Projection(spec.source, spec.target, synapses, spec.delay, spec.port)


def _dense(loaded, name, spec, source, target):
    from eventsnn.projections import Dense

    return Dense(_weights(loaded, name, spec.weights, (int(np.prod(source)), int(np.prod(target)))))


def _conv2d(loaded, name, spec, source, target):
    from eventsnn.projections import Conv2d

    shape = (*spec.kernel, source[-1], target[-1])
    return Conv2d(_weights(loaded, name, spec.weights, shape), spec.stride, spec.padding)


def _ring(loaded, name, spec, source, target):
    from eventsnn.projections import Sparse

    n, m = int(np.prod(source)), int(np.prod(target))
    sources = np.repeat(np.arange(n), len(spec.offsets))
    targets = (sources + np.tile(np.asarray(spec.offsets), n)) % m
    return Sparse(sources, targets, _weights(loaded, name, spec.weights, sources.shape))


def _sparse(loaded, name, spec, source, target):
    from scipy import sparse

    from eventsnn.projections import Sparse

    path = loaded.file(spec.file)
    arrays = disk.read_npz(path, DataError)  # checked before SciPy sees it
    try:
        kind = bytes(arrays["format"].item()).decode()
        if kind == "coo":
            matrix = sparse.coo_array((arrays["data"], (arrays["row"], arrays["col"])), tuple(arrays["shape"]))
        else:
            make = {"csr": sparse.csr_array, "csc": sparse.csc_array}[kind]
            matrix = make((arrays["data"], arrays["indices"], arrays["indptr"]), tuple(arrays["shape"]))
            matrix.check_format(full_check=True)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a csr, csc or coo matrix of scipy.sparse.save_npz ({error})") from None
    wanted = (int(np.prod(source)), int(np.prod(target)))
    if matrix.shape != wanted:
        raise NetworkError(f"{path}: must be a matrix of shape {wanted} (sources, targets), got {matrix.shape}")
    return Sparse.from_matrix(matrix)


SYNAPSES = {"dense": _dense, "conv2d": _conv2d, "ring": _ring, "sparse": _sparse}


def _weights(loaded, name, spec, shape):
    """Weights of a projection: element k of stream (seed, "weights", projection name)."""
    if isinstance(spec, ConstantWeights):
        return np.full(shape, spec.value)
    if isinstance(spec, FileWeights):
        path = loaded.file(spec.file)
        arrays = disk.read_npz(path, DataError)
        if spec.array not in arrays:
            raise DataError(f"{path}: has no array '{spec.array}', allowed {', '.join(arrays) or 'none'}")
        return arrays[spec.array]
    count, stream = int(np.prod(shape)), key(loaded.spec.seed, "weights", name)
    if isinstance(spec, NormalWeights):
        values = spec.mean + spec.std * _normal(stream, count)
    else:
        values = spec.low + (spec.high - spec.low) * uniform(stream, 0, 0, count)
    if spec.step is not None:
        values = np.rint(values / spec.step) * spec.step
    return values.reshape(shape)


def _normal(stream, count):
    """Standard normal numbers by Box and Muller: two uniform numbers each."""
    first, second = uniform(stream, 0, 0, count), uniform(stream, 0, 1, count)
    return np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
