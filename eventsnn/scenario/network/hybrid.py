"""Hybrid networks in scenarios: their conversion, and what the schema cannot say."""

from dataclasses import replace

CODES = {"poisson": "poisson", "constant": "direct"}
NEEDS_IMAGES = ("maximum", "percentile", "activation")
# Keys of the rules that look at no images; the others share theirs, so that one can be tried for another by its name alone.
OWN_KEYS = {"none": {"default_threshold"}, "stored": set(), "qcfs": set()}


def to_hybrid(loaded, graph, calibration, options):
    """Convert a ReLU network by `convert: {to: hybrid}`; `options` are its keys, see `eventsnn.scenario.network.convert`.

    Returns
    -------
    network : Network
    report : dict
        Of the balancing, and ``hybrid``: thresholds, leaks and modes as `eventsnn.conversion.hybrid.HybridNet` takes them.
    """
    from eventsnn.conversion.hybrid import to_network

    dt, dtype, masks = options.pop("dt"), options.pop("dtype"), options.pop("masks")
    with loaded.at("convert"):
        start = unbalanced(loaded, graph, options)
        _check_depth(loaded, start, dt)
        hybrid, report = balanced(loaded, start, calibration, options | {"dt": dt})
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


def _check_depth(loaded, hybrid, dt):
    """Refuse runs and trainings of too few steps, before thresholds are looked for."""
    from eventsnn.learning.stdb.checks import check_fits
    from eventsnn.scenario.learn.settings import settings_of
    from eventsnn.scenario.simulate.encode import steps_of

    steps, least = steps_of(loaded, dt), hybrid.shortest
    if steps is not None and steps <= least:
        raise loaded.error(("run", "duration"), f"a spike takes {least} steps to the output, of {steps}: all outputs would be 0; "
                           f"run more than {least * dt:g} ms, or propagation: same_step")  # fmt: skip
    if loaded.spec.learn is not None:
        with loaded.at("learn"):
            check_fits(hybrid, settings_of(loaded))


def unbalanced(loaded, graph, options):
    """Make a hybrid network whose thresholds are those that its source brings along, or are still to be found.

    Parameters
    ----------
    loaded : LoadedScenario
        Its encoder says what the input is.
    graph : LayerGraph
    options : dict
        Keys propagation, leak, v_init and balance of the schema.

    Returns
    -------
    HybridNet
    """
    from eventsnn.conversion.hybrid import HybridNet, hybrid_of
    from eventsnn.conversion.hybrid_build import spiking_layers
    from eventsnn.conversion.qcfs import SCALED, from_qcfs
    from eventsnn.errors import ModelError

    if options["balance"]["rule"] == "qcfs":
        return from_qcfs(graph, charge=options["v_init"])
    if options["balance"]["rule"] == "stored":
        return replace(hybrid_of(graph), clip=_input(loaded)["clip"])
    if SCALED in graph.meta:
        raise ModelError("the source is a converted clip-floor-shift network, whose weights carry its tops; take balance.rule "
                         "'stored'")  # fmt: skip
    names = spiking_layers(graph)
    modes = {key: options[key] for key in ("propagation", "v_init")} | _input(loaded)
    return HybridNet(graph, [1.0] * len(names), [options["leak"]] * len(names), **modes)


def _input(loaded):
    """Return what the encoder says of the input, as a HybridNet takes it."""
    from eventsnn.scenario.rules.sections import encoders

    code = next(iter(encoders(loaded.spec).values()))
    return {"input": CODES[code.code], "gain": getattr(code, "gain", 1.0), "clip": getattr(code, "clip", False)}


def balanced(loaded, start, calibration, options):
    """Find the thresholds of a hybrid network.

    Parameters
    ----------
    loaded : LoadedScenario
    start : HybridNet
        Of `unbalanced`.
    calibration : Samples or None
    options : dict
        As `unbalanced` takes them, and dt.

    Returns
    -------
    tuple of HybridNet and dict
        The network, and the report of `eventsnn.conversion.balance.balance`; with rule ``stored`` what the scenario asks for
        and the file says otherwise.
    """
    from eventsnn.conversion.balance import balance

    wanted = dict(options["balance"])
    rule = wanted.pop("rule")
    if rule == "qcfs":
        return start, {"rule": rule, "layers": _rows(start)}
    if rule == "stored":
        return start, {"rule": rule, "differs": _differs(loaded, start, options), "layers": _rows(start)}
    x = None if calibration is None else calibration.x
    return balance(start, x, rule=rule, threads=loaded.spec.run.threads, **wanted)


def _differs(loaded, hybrid, options):
    """Return where the scenario differs from the file it takes up; thresholds for another input are refused.

    The file wins in what the network is; the input is what the encoder of the run makes, and thresholds were found for one.
    """
    from eventsnn.scenario.simulate.encode import steps_of

    own = hybrid.settings()
    given = _input(loaded)
    for key in ("input", "gain") if hybrid.input == "poisson" else ("input",):
        if own[key] != given[key]:
            raise loaded.error(("encode",), f"the thresholds stored in the source are for {key} {own[key]!r}, this is {key} "
                               f"{given[key]!r}; encode as the file says, or balance anew")  # fmt: skip
    leaks = set(hybrid.leaks)
    own |= {"leak": hybrid.leaks[0] if len(leaks) == 1 else list(hybrid.leaks)}
    asked = {key: options[key] for key in ("propagation", "v_init", "leak")}
    trained = hybrid.graph.meta.get("stdb")
    if isinstance(trained, dict) and loaded.spec.learn is None:
        own["steps"], asked["steps"] = trained.get("steps"), steps_of(loaded, options["dt"])
    return {key: {"scenario": value, "file": own[key]} for key, value in asked.items() if own[key] != value}


def warnings(report):
    """Return what a run says of a stored network that is not what the scenario asks for.

    Parameters
    ----------
    report : dict
        Of the conversion.

    Returns
    -------
    list of str
    """
    return [f"{'run.duration' if key == 'steps' else f'convert.{key}'} is {row['scenario']!r}, the stored network was made with "
            f"{row['file']!r}" + (" steps" if key == "steps" else ", which is what ran")
            for key, row in report.get("differs", {}).items()]  # fmt: skip


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
        elif code.code == "constant" and (code.gain != 1 or code.noise or code.schedule != "every"):
            yield path, "direct input is the value itself in every step: remove gain, noise and schedule"
        elif code.code == "poisson" and code.amplitude != 1:
            yield (*path, "amplitude"), "thresholds are balanced with spikes of amplitude 1: remove it"
    rule = spec.convert.balance.rule
    if rule in NEEDS_IMAGES and spec.convert.calibration is None:
        yield ("convert", "calibration"), f"required: balance.rule {rule!r} looks at images"
    if rule not in NEEDS_IMAGES and spec.convert.calibration is not None:
        yield ("convert", "calibration"), f"balance.rule {rule!r} looks at no images; remove it"
    written = spec.convert.balance.model_fields_set
    for key in sorted(written - {"rule"} - OWN_KEYS.get(rule, written)):
        yield ("convert", "balance", key), f"says nothing to balance.rule {rule!r}; remove it"
    if rule == "qcfs":
        yield from _qcfs(spec, codes)
    if spec.run is None or spec.run.duration is None:
        yield ("run", "duration"), "required: a hybrid network has no end of its own, for example 100 ms"
    if spec.convert.calibration is not None:
        yield from prepared_alike(spec, ("convert", "calibration", "data"), spec.convert.calibration.data)


def prepared_alike(spec, path, own):
    """Find samples that reach the network otherwise than those of `data`.

    Parameters
    ----------
    spec : Scenario
    path : tuple
        Where these samples stand.
    own : DataSpec

    Yields
    ------
    path : tuple
    problem : str
    """
    for key in ("range", "standardise", "crop") if spec.data is not None else ():
        wanted = getattr(spec.data, key)
        if getattr(own, key) != wanted:
            shown = f"[{wanted[0]:g}, {wanted[1]:g}]" if key == "range" else "null" if wanted is None else str(wanted).lower()
            yield (*path, key), f"must be that of data: {shown}"


def _qcfs(spec, codes):
    """What the rule qcfs stands for: even drive, no leak, spikes that cross all layers in their step."""
    if spec.convert.propagation != "same_step":
        yield ("convert", "propagation"), "must be same_step with balance.rule 'qcfs', whose activation is that of few steps"
    if spec.convert.leak != 1:
        yield ("convert", "leak"), f"must be 1 with balance.rule 'qcfs', got {spec.convert.leak}"
    for path, code in codes.items():
        if code.code != "constant":
            yield (*path, "code"), f"balance.rule 'qcfs' takes direct input: code constant, got {code.code!r}"
