"""What the schema cannot say about `learn: {rule: adjoint}`: the network it trains, where samples come from."""

from eventsnn.scenario.network.clocks import runs_any_time


def brings_input(spec):
    """Whether what is learned is a pattern that brings its own input."""
    return spec.learn is not None and spec.learn.rule == "adjoint" and spec.learn.loss.kind == "van_rossum"


def check(spec, network, codes):
    """Find mistakes.

    Parameters
    ----------
    spec : Scenario
    network : ExplicitNetwork or None
    codes : dict
        Encoders by input.

    Yields
    ------
    path : tuple
        Where.
    problem : str
        What is wrong and what would be right.
    """
    for section in ("train", "convert"):
        if getattr(spec, section) is not None:
            yield (section,), "learning rule 'adjoint' trains the network written out under network:; remove this section"
    if network is None or not runs_any_time(network):
        yield ("network",), ("learning rule 'adjoint' needs a network written out, of populations that may spike at any time: "
                             "cuba_lif, lif_continuous, ramp_ungated or your own, without dt")  # fmt: skip
    if spec.run is None:
        yield ("run",), "required, but not there ('run: {duration: 3 ms}' says how long a sample is)"
    if spec.readout is None:
        yield ("readout",), "required: the population that learns, for example {kind: first_spike, population: output}"
    elif spec.learn.loss.kind == "potential" and spec.readout.kind != "membrane":
        yield ("readout", "kind"), f"must be membrane with the loss of potentials, got {spec.readout.kind!r}"
    elif spec.learn.loss.kind == "first_spike" and spec.readout.kind != "first_spike":
        yield ("readout", "kind"), f"must be first_spike with the loss of first spikes, got {spec.readout.kind!r}"
    yield from _samples(spec, codes)


def _samples(spec, codes):
    if brings_input(spec):
        for section, given in (("data", spec.data), ("encode", spec.encode), ("learn.data", spec.learn.data)):
            if given is not None:
                yield tuple(section.split(".")), "the van Rossum loss brings its own input pattern; remove this section"
        return
    if spec.learn.data is None:
        yield ("learn", "data"), "required, but not there: the samples to learn from"
    if spec.run is not None and spec.data is None:
        yield ("data",), "required with run: which samples the trained network is run on"
    if spec.run is not None and spec.run.duration is None:
        yield ("run", "duration"), "required: how long a sample is run, for example 3 ms"
    for name, code in codes.items():
        if code.code not in ("ttfs", "latency"):
            path = ("encode",) if name is None else ("encode", name)
            yield (*path, "code"), f"must make spike times of samples to learn from, got {code.code!r}, allowed ttfs, latency"
