"""Multi-spike codings in scenarios: the conversion, its pairs of codes, the phase and burst input codes."""

TRAINS = ("events", "raster")  # spikes of any origin: each arrives for itself, as those of a Poisson train do


def to_coding(loaded, graph, calibration, options):
    """Convert a ReLU network by `convert: {to: coding}`; `options` are its keys, see `eventsnn.scenario.network.convert`."""
    from eventsnn.conversion import coding
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.conversion.normalise import neuron_thresholds
    from eventsnn.scenario.network.scaling import normalisation
    from eventsnn.scenario.rules.sections import encoders

    code, asked = next(iter(encoders(loaded.spec).values())), loaded.spec.readout
    hidden, scaling = options.pop("hidden"), normalisation(loaded, graph, options)
    if options.pop("neuron_thresholds"):
        found = neuron_thresholds(fold_batch_norm(graph), calibration.x, rule=scaling["rule"], percentile=scaling["percentile"],
                                  statistics=scaling["statistics"])  # fmt: skip
        base = options["neurons"].get("v_threshold", coding.THRESHOLDS[hidden])
        options["thresholds"] = {name: base * values for name, values in found.items()}
    period = {"phase": "period", "burst": "reload"}.get(code.code)
    said = None if period is None else getattr(code, period)
    own = asked is None or asked.population in (None, graph.layers[-1].name)
    return coding.to_coding(
        graph, calibration.x, calibration=calibration.name, hidden_code=hidden,
        input_code="poisson" if code.code in TRAINS else code.code, input_period=said if isinstance(said, int) else None,
        readout=asked.kind if asked is not None and own else "membrane", dt_ms=options.pop("dt"), **scaling, **options,
    )  # fmt: skip


def check(spec, codes):
    """Find input codes that the hidden code of a conversion cannot take, and options that it has no use for.

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
    from eventsnn.conversion.pairs import why_not

    if spec.convert is None or spec.convert.to not in ("coding", "t2fsnn"):
        return
    hidden = spec.convert.hidden if spec.convert.to == "coding" else "ttfs"
    for path, code in codes.items():
        wrong = None if code.code in TRAINS else why_not(code.code, hidden)
        if wrong:
            yield (*path, "code"), wrong
        elif hidden == "ttfs" and code.code == "constant":
            yield (*path, "code"), "values themselves enter a ttfs layer once: write 'code: ttfs_kernel, analog: true'"
    if hidden != "ttfs" and "bias" in spec.convert.neurons:
        yield ("convert", "neurons", "bias"), "is that of the ReLU network; remove it"
    if hidden != "ttfs" and spec.convert.neuron_thresholds and spec.convert.rule == "channel":
        yield ("convert", "neuron_thresholds"), "are fractions of one scale for the whole layer; rule 'channel' has many"


def phase(maker, name, code, part):
    """Encode values as `code: phase` says; see `eventsnn.scenario.simulate.encode`."""
    from eventsnn.encoders.phase import encode

    return encode(maker.values(part), steps=_steps(maker, code), period=code.period, dt_ms=maker.network.dt_ms)


def burst(maker, name, code, part):
    """Encode values as `code: burst` says; see `eventsnn.scenario.simulate.encode`."""
    from eventsnn.encoders.burst import encode

    return encode(maker.values(part), steps=_steps(maker, code), threshold=code.threshold, beta=code.beta, reload=code.reload,
                  dt_ms=maker.network.dt_ms)  # fmt: skip


def _steps(maker, code):
    if maker.steps is None:
        raise maker.loaded.error(("run", "duration"), f"required: {code.code} spikes need a duration, for example 100 ms")
    return maker.steps
