"""What the schema cannot say: stages that need each other, names that must exist, lists of equal length."""

from eventsnn.errors import did_you_mean

IMAGE_CODES = ("ttfs", "poisson", "constant")


def check(loaded):
    """Find mistakes that concern several keys.

    Parameters
    ----------
    loaded : LoadedScenario

    Yields
    ------
    path : tuple
        Where.
    problem : str
        What is wrong and what would be right.
    """
    spec = loaded.spec
    for path, data in data_specs(spec):
        yield from _data(path, data)
    if spec.network is None and spec.train is None:
        yield ("network",), "required, but not there (or a train: section that makes one)"
    if spec.train is not None and spec.train.architecture is None and not has_source(spec):
        yield ("train", "architecture"), "required, but not there (or network.source to go on from)"
    yield from _conversion(spec)
    yield from _coding(spec)


def has_source(spec):
    """Whether the scenario starts from a file of trained weights."""
    return spec.network is not None and hasattr(spec.network, "source")


def explicit(spec):
    """Return the network written out in the scenario, or None."""
    return spec.network if spec.network is not None and not hasattr(spec.network, "source") else None


def data_specs(spec):
    """Return (path, DataSpec) of every place that names samples, as a list."""
    found = [(("data",), spec.data)]
    if spec.train is not None:
        found.append((("train", "data"), spec.train.data))
    if spec.convert is not None:
        found.append((("convert", "calibration", "data"), spec.convert.calibration.data))
    return [(path, data) for path, data in found if data is not None]


def encoders(spec):
    """Return {input name or None: encoder spec}; None is the only input."""
    if spec.encode is None:
        return {}
    return spec.encode if isinstance(spec.encode, dict) else {None: spec.encode}


def _data(path, data):
    from eventsnn.files.datasets_registry import REGISTRY

    if (data.name is None) == (data.file is None):
        yield path, "needs either name (a known data set) or file (your own .npz)"
    if data.name is not None and data.name not in REGISTRY:
        yield (*path, "name"), (
            f"unknown data set, got {data.name!r}, allowed {', '.join(REGISTRY)}{did_you_mean(data.name, REGISTRY)}"
        )


def _conversion(spec):
    if spec.convert is not None and explicit(spec) is not None:
        yield ("convert",), "an explicit network is spiking already, nothing to convert; remove this section"
    if spec.run is not None and spec.convert is None and explicit(spec) is None:
        yield ("convert",), "required to run a ReLU network with spikes, for example 'to: ramps'"
    if spec.run is None and spec.train is None:
        yield ("run",), "required, but not there ('run: {}' takes all defaults)"


def _coding(spec):
    if spec.run is not None and spec.encode is None:
        yield ("encode",), "required to run: how numbers become spikes, for example 'code: ttfs'"
    network = explicit(spec)
    for name, code in encoders(spec).items():
        path = ("encode",) if name is None else ("encode", name)
        if name is not None and network is not None and name not in network.inputs:
            yield path, f"unknown input, allowed {', '.join(network.inputs)}{did_you_mean(name, network.inputs)}"
        if code.code in (*IMAGE_CODES, "events") and spec.data is None:
            yield path, f"code {code.code!r} needs samples: add a data: section"
        if code.code == "raster":
            yield from _raster(path, code)
    if network is not None and spec.encode is not None:
        missing = [name for name in network.inputs if name not in encoders(spec)]
        if None in encoders(spec):
            missing = missing if len(network.inputs) != 1 else []
        if missing:
            yield ("encode",), f"every input needs an encoder, missing {', '.join(missing)}"


def _raster(path, code):
    written = code.times is not None and code.neurons is not None
    if (code.file is not None) == written or (code.times is None) != (code.neurons is None):
        yield path, "needs either file, or both times and neurons"
    elif written and len(code.times) != len(code.neurons):
        yield (*path, "neurons"), f"times and neurons must be equally long, got {len(code.times)} and {len(code.neurons)}"
