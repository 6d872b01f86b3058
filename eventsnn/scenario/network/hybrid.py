"""Hybrid networks in scenarios: their conversion, and what the schema cannot say."""

from dataclasses import replace

from eventsnn.errors import ModelError

CODES = {"poisson": "poisson", "constant": "direct"}
NEEDS_IMAGES = ("maximum", "percentile", "activation")


def to_hybrid(loaded, graph, calibration, options):
    """Convert a ReLU network by `convert: {to: hybrid}`; `options` are its keys, see `eventsnn.scenario.network.convert`.

    Returns
    -------
    network : Network
    report : dict
        Of the balancing, and ``hybrid``: thresholds, leaks and modes as `eventsnn.conversion.hybrid.HybridNet` takes them.
    """
    from eventsnn.conversion.hybrid import to_network
    from eventsnn.scenario.simulate.encode import steps_of

    dt, dtype, masks = options.pop("dt"), options.pop("dtype"), options.pop("masks")
    hybrid, report = balanced(loaded, graph, calibration, options)
    steps, least = steps_of(loaded, dt), hybrid.shortest
    if steps is not None and steps <= least:
        raise loaded.error(("run", "duration"), f"a spike takes {least} steps to the output, of {steps}: all outputs would be 0; "
                           f"run more than {least * dt:g} ms, or propagation: same_step")  # fmt: skip
    return to_network(hybrid, dtype=dtype, dt_ms=dt, masks=masks), report | {"mapping": "hybrid", "hybrid": hybrid.settings()}


def save(path, graph, report):
    """Write what a conversion found beside the weights: a file for `eventsnn.conversion.hybrid.load_hybrid` and rule ``stored``.

    Parameters
    ----------
    path : Path
    graph : LayerGraph
    report : dict
        Of `to_hybrid`.
    """
    from eventsnn.conversion.hybrid import META, HybridNet, save_hybrid
    from eventsnn.conversion.qcfs import scaled_graph

    graph = scaled_graph(graph)
    rest = {key: value for key, value in graph.meta.items() if key != META}
    save_hybrid(path, HybridNet(replace(graph, meta=rest), **report["hybrid"]))


def balanced(loaded, graph, calibration, options):
    """Make a hybrid network with its thresholds.

    Parameters
    ----------
    loaded : LoadedScenario
        Its encoder says what the input is.
    graph : LayerGraph
    calibration : Samples or None
    options : dict
        Keys propagation, leak, v_init and balance of the schema.

    Returns
    -------
    tuple of HybridNet and dict
        The network, and the report of `eventsnn.conversion.balance.balance`; with rule ``stored`` what the scenario asks for
        and the file says otherwise.
    """
    from eventsnn.conversion.balance import balance
    from eventsnn.conversion.hybrid import HybridNet, hybrid_of
    from eventsnn.conversion.hybrid_build import spiking_layers
    from eventsnn.conversion.qcfs import from_qcfs
    from eventsnn.scenario.rules.sections import encoders

    code, wanted = next(iter(encoders(loaded.spec).values())), dict(options["balance"])
    rule = wanted.pop("rule")
    asked = {"propagation": options["propagation"], "v_init": options["v_init"], "input": CODES[code.code],
             "gain": code.gain if code.code == "poisson" else 1.0}  # fmt: skip
    try:
        if rule == "qcfs":
            found = from_qcfs(graph, charge=options["v_init"])
            return found, {"rule": rule, "layers": _rows(found)}
        if rule == "stored":
            return _stored(hybrid_of(graph), asked | {"leak": options["leak"]})
        names = spiking_layers(graph)
        start = HybridNet(graph, [1.0] * len(names), [options["leak"]] * len(names), **asked)
        x = None if calibration is None else calibration.x
        return balance(start, x, rule=rule, threads=loaded.spec.run.threads, **wanted)
    except ModelError as error:
        raise loaded.error(("convert",), str(error)) from None


def _stored(hybrid, asked):
    """Return the network of a file as it is, and where the scenario differs from it."""
    own = hybrid.settings() | {"leak": hybrid.leaks[0] if len(set(hybrid.leaks)) == 1 else list(hybrid.leaks)}
    differs = {key: {"scenario": value, "file": own[key]} for key, value in asked.items() if own[key] != value}
    return hybrid, {"rule": "stored", "differs": differs, "layers": _rows(hybrid)}


def _rows(hybrid):
    return [{"layer": name, "balanced": False, "threshold": t} for name, t in zip(hybrid.layers, hybrid.thresholds)]


def check(spec, codes):
    """Find contradictions around `convert: {to: hybrid}`.

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
    if spec.convert is None or spec.convert.to != "hybrid":
        return
    for path, code in codes.items():
        if code.code not in CODES:
            yield (*path, "code"), f"a hybrid network takes poisson or constant (direct) input, got {code.code!r}"
        elif code.code == "constant" and (code.gain != 1 or code.noise):
            yield path, "direct input is the value itself: remove gain and noise"
        elif code.code == "poisson" and code.amplitude != 1:
            yield (*path, "amplitude"), "thresholds are balanced with spikes of amplitude 1: remove it"
    rule = spec.convert.balance.rule
    if rule in NEEDS_IMAGES and spec.convert.calibration is None:
        yield ("convert", "calibration"), f"required: balance.rule {rule!r} looks at images"
    if rule not in NEEDS_IMAGES and spec.convert.calibration is not None:
        yield ("convert", "calibration"), f"balance.rule {rule!r} looks at no images; remove it"
    if rule == "qcfs":
        yield from _qcfs(spec, codes)
    if spec.run is None or spec.run.duration is None:
        yield ("run", "duration"), "required: a hybrid network has no end of its own, for example 100 ms"
    if (spec.data is not None and spec.convert.calibration is not None
            and spec.data.range != spec.convert.calibration.data.range):  # fmt: skip
        low, high = spec.data.range
        yield ("convert", "calibration", "data", "range"), f"must be that of data: [{low:g}, {high:g}]"


def _qcfs(spec, codes):
    """What the rule qcfs stands for: even drive, no leak, spikes that cross all layers in their step."""
    if spec.convert.propagation != "same_step":
        yield ("convert", "propagation"), "must be same_step with balance.rule 'qcfs', whose activation is that of few steps"
    if spec.convert.leak != 1:
        yield ("convert", "leak"), f"must be 1 with balance.rule 'qcfs', got {spec.convert.leak}"
    for path, code in codes.items():
        if code.code != "constant":
            yield (*path, "code"), f"balance.rule 'qcfs' takes direct input: code constant, got {code.code!r}"
