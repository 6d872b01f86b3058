"""Check a scenario against the world without running it: files, data sets, network, names."""

from eventsnn.engines.feed import check_inputs
from eventsnn.errors import did_you_mean
from eventsnn.scenario.job import Job
from eventsnn.scenario.rules.sections import data_specs
from eventsnn.scenario.stages import execute


def dry_run(loaded):
    """Check everything that can be known without running: files, network, names; the pure form of a dry run.

    Parameters
    ----------
    loaded : LoadedScenario

    Returns
    -------
    Job
        With the stages up to `encode` done; training, learning, and what is found on samples for them are left out.

    Raises
    ------
    EventsnnError
        Whatever is wrong.
    """
    job = Job(loaded, None)
    for _, data in data_specs(loaded.spec):
        job.load(data)
    if loaded.spec.run is None or loaded.spec.train is not None or loaded.spec.learn is not None:
        return execute(job, until="source")
    execute(job, until="encode")
    network, first = job.results["network"], job.results["encode"].batch(0, 1)
    if network.clock == "grid" or network.gated:
        with loaded.at("encode"):
            check_inputs(network, first)
    _check_record(loaded, network)
    return job


def _check_record(loaded, network):
    for index, name in enumerate(loaded.spec.run.record or ()):
        if name not in network.nodes:
            raise loaded.error(
                ("run", "record", index), f"no such population or input, got {name!r}, allowed "
                f"{', '.join(network.nodes)}{did_you_mean(name, network.nodes)}")  # fmt: skip
