"""Check a scenario against the world without running it: files, data sets, network, names."""

from eventsnn.engines.feed import check_inputs
from eventsnn.errors import did_you_mean
from eventsnn.scenario.ahead import look_ahead
from eventsnn.scenario.job import Job
from eventsnn.scenario.measure.spikes_seen import check_traces
from eventsnn.scenario.stages import execute


def dry_run(loaded):
    """Check everything that can be known without running: files, network, names; the pure form of a dry run.

    Parameters
    ----------
    loaded : LoadedScenario

    Returns
    -------
    Job
        With the stages up to `encode` done; where training or learning comes first, what they need is looked at, and neither they
        nor the stages behind them are done.

    Raises
    ------
    EventsnnError
        Whatever is wrong: of samples, files, training and learning all mistakes at once.
    """
    job = Job(loaded, None)
    look_ahead(job)
    if loaded.spec.train is not None or loaded.spec.learn is not None:
        return job
    if loaded.spec.run is None:
        return execute(job, until="source")
    execute(job, until="encode")
    network, first = job.results["network"], job.results["encode"].batch(0, 1)
    if network.clock == "grid" or network.gated:
        with loaded.at("encode"):
            check_inputs(network, first)
    _check_record(loaded, network)
    check_traces(loaded, network)
    return job


def _check_record(loaded, network):
    for index, name in enumerate(loaded.spec.run.record or ()):
        if name not in network.nodes:
            raise loaded.error(
                ("run", "record", index), f"no such population or input, got {name!r}, allowed "
                f"{', '.join(network.nodes)}{did_you_mean(name, network.nodes)}")  # fmt: skip
