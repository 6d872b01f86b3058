"""What scales activations in a scenario: normalisation of conversions and of twins, and files of statistics."""

from dataclasses import replace

import numpy as np

from eventsnn.errors import DataError

STATISTICS = "statistics.csv"


def normalisation(loaded, graph, options):
    """Take the keys of `Normalisation` out of a conversion's options.

    Parameters
    ----------
    loaded : LoadedScenario
    graph : LayerGraph
        The ReLU network, as it is before folding.
    options : dict
        The conversion's keys; those four are removed.

    Returns
    -------
    dict
        Arguments rule, percentile, output and statistics of `eventsnn.conversion.normalise.normalise`.

    Raises
    ------
    DataError
        If the file of statistics is missing, damaged, or about another network.
    """
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.conversion.statistics_file import read

    named = options.pop("statistics")
    statistics = None if named is None else read(loaded.file(named["file"]), fold_batch_norm(graph))
    return {"rule": options.pop("rule"), "percentile": options.pop("percentile"), "output": options.pop("output_scale"),
            "statistics": statistics}  # fmt: skip


def write_statistics(spec, graph, samples, folder):
    """Scan the activations of a ReLU network; the stage's folder keeps them.

    Parameters
    ----------
    spec : StatisticsSpec
    graph : LayerGraph
    samples : Samples
    folder : Path
        Of this stage.

    Returns
    -------
    Path
        The file.
    """
    from eventsnn.conversion import statistics, statistics_file
    from eventsnn.conversion.fold import fold_batch_norm

    path = folder / STATISTICS
    if not path.exists():
        if samples.x is None:
            raise DataError(f"{samples.name}: activations are scanned on images, this data set holds recordings")
        found = statistics.scan(fold_batch_norm(graph), samples.x, percentiles=spec.percentiles, by=spec.by,
                                calibration=samples.name)  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        statistics_file.write(path, found, prefix=spec.prefix)
    return path


def twin_of(loaded, graph, samples):
    """Prepare a network for training through its TTFS twin: fold it, scale its activations to [0, 1].

    Parameters
    ----------
    loaded : LoadedScenario
    graph : LayerGraph
        Trained ReLU network.
    samples : Samples
        Training data; the first `train.twin.calibrate_on` of them set the scales.

    Returns
    -------
    graph : LayerGraph
    twin : dict
        Arguments of `eventsnn.ann.twin_settings.TwinSettings`.
    """
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.conversion.normalise import normalise

    options = loaded.spec.train.twin.model_dump()
    calibration = np.asarray(samples.x[: options.pop("calibrate_on")])
    scaling = normalisation(loaded, graph, options)
    graph, report = normalise(fold_batch_norm(graph), calibration, calibration=samples.name, dtype="float32", **scaling)
    return replace(graph, meta={**graph.meta, "normalised": report}), options
