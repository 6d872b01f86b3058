"""Check a scenario against the world without running it: files, data sets, network, names."""

from eventsnn.errors import did_you_mean
from eventsnn.scenario.job import Job
from eventsnn.scenario.stages import execute


def dry_run(loaded):
    """Check everything that can be known without running: files, network, names; the pure form of a dry run.

    Parameters
    ----------
    loaded : LoadedScenario

    Returns
    -------
    Job
        With the stages up to `encode` done; training and learning are left out.

    Raises
    ------
    EventsnnError
        Whatever is wrong.
    """
    if loaded.spec.run is None or loaded.spec.train is not None or loaded.spec.learn is not None:
        return Job(loaded, None)
    job = execute(Job(loaded, None), until="encode")
    _check_record(loaded, job.results["network"])
    return job


def _check_record(loaded, network):
    for index, name in enumerate(loaded.spec.run.record or ()):
        if name not in network.nodes:
            raise loaded.error(
                ("run", "record", index), f"no such population or input, got {name!r}, allowed "
                f"{', '.join(network.nodes)}{did_you_mean(name, network.nodes)}")  # fmt: skip
