"""Which clock a written network is on, and every contradiction between that and what else the scenario says."""

from eventsnn.errors import ModelError
from eventsnn.neurons.base import find_model, model_names

STRUCTURED = ("dense", "conv2d")  # synapses without delays of their own
GRID_CODES = ("poisson", "constant", "phase", "burst", "events")
NEEDS_CONTINUOUS = "the continuous clock (no network.dt, models {})"


def clock_of(model):
    """Return the clock of a model by name: grid, gated or continuous; None where no model has that name."""
    try:
        return find_model(model).clock
    except ModelError:
        return None


def any_time(model):
    """Return whether neurons of the model named `model` may spike at any time of the continuous clock."""
    return clock_of(model) == "continuous"


def runs_any_time(network):
    """Return whether a written network has populations that may spike at any time.

    Parameters
    ----------
    network : ExplicitNetwork or None

    Returns
    -------
    bool
    """
    return network is not None and network.dt is None and any(any_time(p.model) for p in network.populations.values())


def check(spec, network, codes):
    """Find contradictions about the clock.

    Parameters
    ----------
    spec : Scenario
    network : ExplicitNetwork or None
    codes : dict
        Path of each encoder -> its spec.

    Yields
    ------
    path : tuple
    problem : str
    """
    if network is not None:
        yield from _models(network)
        for name, projection in network.projections.items():
            yield from _projection(("network", "projections", name), projection, network)
    free = runs_any_time(network)
    for path, code in codes.items():
        yield from _code((*path, "code"), code, network, free)
    if free:
        yield from _any_time(spec, network)


def _names(clock):
    return ", ".join(name for name in model_names() if clock_of(name) == clock)


def _models(network):
    for name, population in network.populations.items():
        path, clock = ("network", "populations", name), clock_of(population.model)
        if clock == "grid" and network.dt is None:
            yield (*path, "model"), (
                f"model {population.model!r} needs a grid: give network.dt (for example 1 ms), or take a model of the "
                f"continuous clock, {_names('continuous')}"
            )
        elif clock in ("continuous", "gated") and network.dt is not None:
            yield (*path, "model"), (
                f"model {population.model!r} is on the continuous clock, but network.dt makes a grid: remove network.dt, or "
                f"take a model of the grid, {_names('grid')}"
            )
        if clock == "continuous" and "dtype" in population.model_fields_set and population.dtype != "float64":
            yield (*path, "dtype"), f"model {population.model!r} computes in float64, got {population.dtype!r}; remove dtype"


def _projection(path, projection, network):
    delay = (*path, "delay")
    own = getattr(projection.delay, "uniform", None)
    values = [projection.delay] if own is None else own
    if network.dt is not None and not all(isinstance(value, int) for value in values):
        wrong = next(value for value in values if not isinstance(value, int))
        yield delay, (
            f"must be a whole number of steps of {network.dt:g} ms (network.dt is set), got {wrong:g} ms; times need the "
            "continuous clock"
        )
    if own is not None and own[0] > own[1]:
        yield delay, f"uniform must be [lowest, highest], got {own}"
    if own is not None and projection.synapses.kind in STRUCTURED:
        yield delay, f"synapses of kind {projection.synapses.kind!r} share one delay; kinds that list synapses may differ"
    if network.dt is not None and getattr(projection.synapses, "speed", None) is not None:
        yield (*path, "synapses", "speed"), "needs the continuous clock: delays are whole steps here (network.dt is set)"


def _code(path, code, network, free):
    if code.code == "poisson_times" and not free:
        why = "has network.dt, use code 'poisson'" if getattr(network, "dt", None) else "is not such a network"
        yield path, f"code 'poisson_times' needs {NEEDS_CONTINUOUS.format(_names('continuous'))}; this {why}"
    if code.code in GRID_CODES and free:
        yield path, (
            f"code {code.code!r} works in steps and needs network.dt; on the continuous clock use poisson_times, ttfs or raster"
        )


def _any_time(spec, network):
    for name in network.drives:
        yield ("network", "drives", name), "drives need a grid (network.dt); on the continuous clock set the model's bias"
    for name in network.relays:
        yield ("network", "relays", name), "relays need a grid (network.dt) or gated populations"
    for name, projection in network.projections.items():
        if projection.synapses.kind == "conv2d":
            yield ("network", "projections", name, "synapses", "kind"), (
                "conv2d is not known on the continuous clock of models that may spike at any time; use distance, sparse or dense"
            )
    if spec.run is not None and spec.run.engine not in ("event", "auto"):
        yield ("run", "engine"), f"the continuous clock has the event engine only, got {spec.run.engine!r}, allowed event, auto"
