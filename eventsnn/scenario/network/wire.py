"""Synapses of a scenario that are listed one by one: by rule, around a ring, or from a file; for either clock."""

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError, NetworkError
from eventsnn.scenario.network.clocks import runs_any_time
from eventsnn.scenario.network.draw import delays, weights


def listed(loaded, name, spec, source, target):
    """Make the synapses of a projection whose kind is in `LISTS`.

    Parameters
    ----------
    loaded : LoadedScenario
    name : str
        Of the projection: the rules draw from streams of that name.
    spec : ProjectionSpec
    source, target : tuple of int
        Shapes of both ends.

    Returns
    -------
    synapses : Sparse or SparseMs
        Delays in steps, or in ms where populations may spike at any time.
    delay : number
        Of the projection.

    Raises
    ------
    NetworkError, DataError
        If the rule does not fit the populations, or a file is not what it should be.
    """
    from eventsnn.projections import Sparse
    from eventsnn.projections.sparse_ms import SparseMs

    free = runs_any_time(loaded.spec.network)
    sources, targets, values, extra = LISTS[spec.synapses.kind](loaded, name, spec.synapses, source, target)
    if values is None:
        values = weights(loaded, name, spec.synapses.weights, sources.shape)
    common, own = delays(loaded, name, spec.delay, sources.size, steps=not free)
    if not free:
        return Sparse(sources, targets, values, own), common
    own = extra if own is None else own + extra
    return SparseMs.from_lists(sources, targets, values, own, n_sources=int(np.prod(source))), float(common)


def _pairs(wired):
    """Return (sources, targets, None, 0.0) of what a rule has wired."""
    return np.repeat(np.arange(wired.indptr.size - 1), np.diff(wired.indptr)), wired.targets, None, 0.0


def _fixed_probability(loaded, name, spec, source, target):
    from eventsnn.wiring import fixed_probability

    sizes = int(np.prod(source)), int(np.prod(target))
    how = {"self_connections": spec.self_connections, "seed": loaded.spec.seed, "name": name}
    return _pairs(fixed_probability(*sizes, spec.p, weight=1.0, **how))


def _fixed_in_degree(loaded, name, spec, source, target):
    from eventsnn.wiring import fixed_in_degree

    sizes = int(np.prod(source)), int(np.prod(target))
    how = {"self_connections": spec.self_connections, "seed": loaded.spec.seed, "name": name}
    return _pairs(fixed_in_degree(*sizes, spec.degree, weight=1.0, **how))


def _one_to_one(loaded, name, spec, source, target):
    n, m = int(np.prod(source)), int(np.prod(target))
    if n != m:
        raise NetworkError(f"one_to_one needs as many sources as targets, got {n} and {m}")
    return np.arange(n), np.arange(n), None, 0.0


def _places(shape):
    """Positions of neurons: on a line of length 1, or on a square of side 1 (channels on top of each other)."""
    if len(shape) < 3:
        return (np.arange(int(np.prod(shape)))[:, None] + 0.5) / int(np.prod(shape))
    y, x, _ = np.unravel_index(np.arange(int(np.prod(shape))), shape)
    return np.stack([(y + 0.5) / shape[0], (x + 0.5) / shape[1]], axis=1)


def _distance(loaded, name, spec, source, target):
    from eventsnn.wiring import by_distance

    places = _places(source), _places(target)
    if places[0].shape[1] != places[1].shape[1]:
        raise NetworkError(f"distance needs both ends on a line ([n]) or both on a square ([y, x, channel]), got {source} "
                           f"and {target}")  # fmt: skip

    def chance(d):
        falls = 0.5 * (d / spec.width) ** 2 if spec.profile == "gaussian" else d / spec.width
        return spec.peak * np.exp(-falls)

    speed = np.inf if spec.speed is None else spec.speed
    wired = by_distance(*places, chance, weight=1.0, speed=speed, seed=loaded.spec.seed, name=name)
    return (*_pairs(wired)[:3], np.broadcast_to(wired.delays, wired.targets.shape))


def _ring(loaded, name, spec, source, target):
    n, m = int(np.prod(source)), int(np.prod(target))
    sources = np.repeat(np.arange(n), len(spec.offsets))
    targets = (sources + np.tile(np.asarray(spec.offsets), n)) % m
    return sources, targets, None, 0.0


def _sparse(loaded, name, spec, source, target):
    from scipy import sparse

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
    coo = matrix.tocoo()
    return coo.row.astype(np.int64), coo.col.astype(np.int64), coo.data, 0.0


LISTS = {"ring": _ring, "sparse": _sparse, "fixed_probability": _fixed_probability, "fixed_in_degree": _fixed_in_degree,
         "one_to_one": _one_to_one, "distance": _distance}  # fmt: skip
"""Kind -> function (loaded, name, synapses, source shape, target shape) -> sources, targets, weights or None, ms of delay."""
