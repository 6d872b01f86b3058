"""What training and learning would stumble over, found on the world as it is now: samples, files, architectures, warm starts."""

from eventsnn.errors import DataError, ScenarioError
from eventsnn.scenario.learn import ahead
from eventsnn.scenario.network import convert
from eventsnn.scenario.rules.sections import data_specs, has_source


class Findings(list):
    """Mistakes found so far, each a sentence with its place.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job):
        super().__init__()
        self.job = job

    def of(self, path, work, *arguments):
        """Return what `work` makes of the arguments; None, and the mistake is kept, where it finds one."""
        try:
            with self.job.loaded.at(*path):
                return work(*arguments)
        except ScenarioError as error:
            self.append(str(error))
            return None

    def samples(self, path, data, images=False):
        """Return the samples that stand at a place, or None; with `images` they must not be recordings."""
        samples = self.of(path, self.job.load, data)
        if samples is not None and images and samples.x is None:
            self.append(str(self.job.loaded.error(path, f"{samples.name}: training needs images with labels, this data set holds "
                                                        "recordings")))  # fmt: skip
            return None
        return samples


def look_ahead(job):
    """Check samples and files, and everything that training and learning need, without training.

    Parameters
    ----------
    job : Job
        A dry run.

    Raises
    ------
    ScenarioError
        With one line for each mistake.
    """
    found, spec = Findings(job), job.spec
    for path, data in data_specs(spec):
        found.samples(path, data)
    for path, text in files(spec.model_dump(exclude={"smoke"}), {path for path, _ in data_specs(spec)}):
        found.of(path, _exists, job.loaded.file(text))
    if spec.train is not None or spec.learn is not None:
        graph = None
        if has_source(spec) and job.loaded.file(spec.network.source.file).is_file():
            graph = found.of(("network", "source", "file"), convert.source_graph, job.loaded)
        graph = graph if spec.train is None else _train(found, job, graph)
        if graph is not None and spec.convert is not None and (spec.train is None or spec.train.qcfs is None):
            found.of(("convert",), _convertible, graph, spec.convert)
        if spec.learn is not None:
            ahead.LEARNERS[spec.learn.rule](found, job, graph)
    if found:
        raise ScenarioError("\n".join(dict.fromkeys(found)))


def files(data, leave_out=(), path=()):
    """Yield (path, text) of all files that a part of a scenario names.

    Parameters
    ----------
    data : object
        Plain data.
    leave_out : collection of tuple
        Paths below which nothing is looked at.
    path : tuple
        Where `data` stands.

    Yields
    ------
    path : tuple
    text : str
    """
    if path in leave_out or not isinstance(data, dict | list):
        return
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        if isinstance(value, str) and (key == "file" or (*path, key) == ("learn", "weights")):
            yield (*path, key), value
        yield from files(value, leave_out, (*path, key))


def _exists(file):
    if not file.is_file():
        raise DataError(f"{file}: no such file")


def _train(found, job, graph):
    """Return the network that training starts from, or None where that cannot be made."""
    from eventsnn.ann.training_data import check_augmentation, check_data, check_held_out

    spec, samples = job.spec.train, found.samples(("train", "data"), job.spec.train.data, images=True)
    if samples is None:
        return None
    found.of(("train", "settings", "validation"), check_held_out, spec.settings.validation, len(samples))
    if graph is None and spec.architecture is not None:
        graph = found.of(("train", "architecture"), convert.build_graph, spec, samples, None)
    if graph is None:
        return None
    warm = None if spec.warm_start is None else job.loaded.file(spec.warm_start.file)
    if warm is not None and warm.is_file():
        found.of(("train", "warm_start"), _warm, warm, graph, spec.warm_start.partial)
    found.of(("train", "data"), check_data, graph, (samples.x, samples.labels), spec.settings.crop)
    found.of(("train", "settings"), check_augmentation, graph, samples.x, spec.settings)
    if spec.twin is not None:
        found.of(("train", "twin"), ahead.chain, graph)
    return graph


def _warm(file, graph, partial):
    from eventsnn.ann.files import read_arrays
    from eventsnn.ann.warm_start import warm_start

    warm_start(graph, read_arrays(file), partial=partial)


def _convertible(graph, asked):
    """Refuse a network whose layers the conversion does not know, whatever their weights will be."""
    from eventsnn.ann.quantised import ternarised
    from eventsnn.conversion.hybrid import hybrid_of
    from eventsnn.conversion.hybrid_build import spiking_layers
    from eventsnn.conversion.integer_blocks import blocks
    from eventsnn.conversion.qcfs import from_qcfs

    if asked.to == "integer":
        blocks(ternarised(graph) if asked.ternarise else graph)
    elif asked.to == "hybrid":
        {"qcfs": from_qcfs, "stored": hybrid_of}.get(asked.balance.rule, spiking_layers)(graph)
    else:
        ahead.chain(graph)
