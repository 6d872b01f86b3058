"""What the schema cannot say about time-to-first-spike networks with kernels."""

OWN = ("tau", "td", "window", "half_step", "dt")  # keys of the code that a conversion knows


def check(spec, codes):
    """Find contradictions around `convert: {to: t2fsnn}`, `code: ttfs_kernel` and `optimise`.

    Parameters
    ----------
    spec : Scenario
    codes : dict
        Path of each encoder -> its spec.

    Yields
    ------
    path : tuple
    problem : str
    """
    converts = spec.convert is not None and spec.convert.to == "t2fsnn"
    if spec.optimise is not None and not converts:
        yield ("optimise",), "fits the kernels of 'convert: {to: t2fsnn}', which is not here; remove this section"
    elif spec.optimise is not None and spec.optimise.images and spec.convert.kernels is None:
        yield ("optimise", "images"), "counts what the kernels of convert.kernels have seen, and there are none; remove it"
    for path, code in codes.items():
        yield from _code(path, code, spec, converts)
    if converts:
        yield from _conversion(spec.convert)
        yield from _readout(spec)
    if converts and spec.train is not None and spec.train.twin is not None:
        yield from _twin(spec.train.twin, spec.convert, codes)


def _code(path, code, spec, converts):
    if converts and code.code == "events":
        yield (*path, "code"), (
            "events come as trains of spikes, and a ttfs layer decodes a spike as the only one of its neuron; allowed ttfs_kernel"
        )
    if code.code != "ttfs_kernel":
        return
    if spec.convert is not None and spec.convert.to not in ("t2fsnn", "coding"):  # these two: eventsnn.scenario.network.coding
        yield (*path, "code"), (
            f"code 'ttfs_kernel' makes spikes for 'convert: {{to: t2fsnn}}', got convert.to = {spec.convert.to!r}, whose neurons "
            "do not decode by that kernel"
        )
    for key in OWN:
        if converts and getattr(code, key) is not None:
            yield (*path, key), "the conversion says it (convert.tau, kernels, t_fire_duration, half_step, dt); remove it"


def _conversion(convert):
    early = convert.t_fire_start < convert.t_fire_duration
    if convert.clock == "gated" and early:
        yield ("convert", "clock"), "gated needs t_fire_start >= t_fire_duration (no early firing); allowed auto, grid"
    if convert.clock == "gated" and convert.robust:
        yield ("convert", "clock"), "gated neurons fire once; with robust allowed auto, grid"
    if convert.readout != "membrane" and not convert.output_scale:
        yield ("convert", "output_scale"), f"must be true with readout {convert.readout!r}: the output spikes, too"


def _readout(spec):
    """The conversion says whether the output spikes; `readout` without a population reads that output."""
    if spec.readout is not None and spec.readout.population is None and spec.readout.kind != spec.convert.readout:
        yield ("readout", "kind"), (
            f"contradicts convert.readout, which is {spec.convert.readout!r} and decides whether the output spikes; write "
            f"'convert.readout: {spec.readout.kind}' and remove this section"
        )


def _twin(twin, convert, codes):
    """A network is trained for one code: what the twin computed, the spiking network must do."""
    steps = round(convert.t_fire_duration * convert.tau) if convert.in_tau else convert.t_fire_duration
    if convert.rule != "none":
        yield ("convert", "rule"), f"must be none behind train.twin, which has scaled the activations, got {convert.rule!r}"
    if steps != twin.window:
        yield ("convert", "t_fire_duration"), (
            f"must be train.twin.window, the steps that the network is trained for: {twin.window}, got {steps:g}"
        )
    if convert.half_step:
        yield ("convert", "half_step"), "must be false behind train.twin, which is trained with spike times rounded up"
    if convert.theta0 != 1:
        yield ("convert", "theta0"), f"must be 1 behind train.twin, whose thresholds start there, got {convert.theta0:g}"
    for path, code in codes.items():
        if code.code == "ttfs_kernel" and code.analog != (twin.input == "real"):
            wanted = str(twin.input == "real").lower()
            yield (*path, "analog"), f"must be {wanted} behind train.twin with input: {twin.input}"
