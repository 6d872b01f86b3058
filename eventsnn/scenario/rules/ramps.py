"""What the schema cannot say about ramps, and about how long networks run whose windows say it."""

from eventsnn.scenario.network.clocks import clock_of


def check(spec, network, codes):
    """Find mistakes.

    Parameters
    ----------
    spec : Scenario
    network : ExplicitNetwork or None
    codes : dict
        Path of each encoder -> its spec.

    Yields
    ------
    path : tuple
        Where.
    problem : str
        What is wrong and what would be right.
    """
    if spec.convert is not None and spec.convert.to == "ramps":
        yield from _ramps(spec, codes)
    timed = any(code.code == "latency" or getattr(code, "times", None) is not None for code in codes.values())
    if spec.run is not None and spec.run.duration is not None and not timed and _gated(spec, network):
        yield ("run", "duration"), (
            "the neurons' windows set how long a sample takes, and this would change nothing; remove it (the windows follow from "
            "the conversion, the training or the parameters)"
        )


def _gated(spec, network):
    """Whether what runs is gated: every window opens after all of its input has arrived."""
    if network is not None:
        return network.dt is None and all(clock_of(p.model) == "gated" for p in network.populations.values())
    asked = spec.convert
    if asked is None:
        return spec.learn is not None and spec.learn.rule == "ttfs" and spec.learn.neuron == "b1"
    if asked.to == "t2fsnn":
        late = asked.t_fire_start >= asked.t_fire_duration and not asked.robust
        return asked.clock == "gated" or (asked.clock == "auto" and late)
    return asked.to == "ramps" and asked.model == "gated"


def _ramps(spec, codes):
    """Options of one kind of ramp that another does not have, and the samples that windows come from."""
    if spec.convert.rule == "fit" and spec.convert.calibration is None:
        yield ("convert", "calibration"), "required by rule fit: samples whose activations set the windows"
    if spec.convert.rule != "fixed" and spec.convert.windows is not None:
        yield ("convert", "windows"), f"belongs to rule fixed, got rule {spec.convert.rule}; remove it"
    model = spec.convert.model
    if model != "alpha1" and spec.convert.alpha != 1:
        yield ("convert", "alpha"), f"belongs to model alpha1, got {spec.convert.alpha} with model {model}; remove it"
    if model != "gated" and spec.convert.early != "saturate":
        yield ("convert", "early"), f"belongs to model gated: {model} ramps may spike early; remove it"
    for path, code in codes.items():
        if model == "gated" and code.code in ("poisson", "constant", "phase", "burst"):
            yield (*path, "code"), f"{code.code!r} works in steps, ramps on the continuous clock; allowed ttfs, latency, raster"
        if model == "alpha1" and code.code == "ttfs" and code.silent:
            yield (*path, "silent"), "must be false with convert.model alpha1, which needs a spike of every input"
        if model != "gated" and code.code not in ("ttfs", "raster"):
            yield (*path, "code"), f"{model} ramps hear spike times, got {code.code!r}, allowed ttfs, raster"
    if model != "gated" and spec.run is not None and spec.run.engine not in ("event", "auto"):
        yield ("run", "engine"), (f"{model} ramps spike at any time: the continuous clock has the event engine only, got "
                                  f"{spec.run.engine!r}, allowed event, auto")  # fmt: skip
