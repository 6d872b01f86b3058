"""What `measure.energy` says: spikes and operations per layer and sample, and an estimate of what they cost."""

import math

from eventsnn.analysis.operations import energy, layer_counts


def measure(job):
    """Tabulate the work of a run, if the scenario asks for it.

    Parameters
    ----------
    job : Job
        With the stage run done; recording points say what each layer received.

    Returns
    -------
    dict
        ``energy``, or nothing.
    """
    spec = job.spec.measure.energy
    if spec is None:
        return {}
    network, outcome, maker = job.results["network"], job.results["run"], job.results["encode"]
    received = outcome.over_time["point_events"][:, -1]
    events = {p.name: int(n) for p, n in zip(network.populations, received)}
    rows = layer_counts(network, outcome.populations, events, maker.n_samples)
    steps = outcome.counters["instants"] / maker.n_samples
    times = {name: _arrivals(code.schedule, steps) for name, code in maker.codes.items() if code.code == "constant"}
    direct = {p.target: times[p.source] for p in network.projections if p.source in times}
    return {"energy": {"layers": rows, **energy(rows, direct=direct, add=spec.add, mac=spec.mac)}}


def _arrivals(schedule, steps):
    """Count the steps in which values arrive."""
    return {"first": 1, "every": steps}.get(schedule) or math.ceil(steps / schedule)


def check(spec):
    """Find what `measure.energy` lacks.

    Parameters
    ----------
    spec : Scenario

    Yields
    ------
    path : tuple
    problem : str
    """
    if spec.measure.energy is None:
        return
    if spec.run is None or spec.run.every is None:
        yield ("run", "every"), "required by measure.energy: recording points count what each layer received"
    elif spec.run.exit is not None:
        yield ("measure", "energy"), "counts whole runs, and with run.exit samples end early; remove one of the two"
