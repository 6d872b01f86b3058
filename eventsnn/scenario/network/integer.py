"""All-integer networks in scenarios: the conversion, noise on its encoder's spikes, and what the schema cannot say."""

from dataclasses import replace


def to_integer(loaded, graph, calibration, options):
    """Convert a quantised network by `convert: {to: integer}`; `options` are its keys, see `eventsnn.scenario.network.convert`.

    Nothing is calibrated: thresholds come from the weights alone.
    """
    from eventsnn.conversion.integer import LARGEST_INPUT, to_integer
    from eventsnn.errors import ModelError
    from eventsnn.scenario.simulate.encode import steps_of

    deletion, flip, dt = (options.pop(name) for name in ("deletion", "flip", "dt"))
    del options["ternarise"]  # the graph is ternary by now, for all who compare with it
    try:
        network, report = to_integer(graph, steps=steps_of(loaded, dt), dt_ms=dt, **options)
    except ModelError as error:
        raise loaded.error(("convert",), str(error)) from None
    if options["ends"] == "integer":
        report["input"] = {"scale": report["input_scale"], "largest": LARGEST_INPUT}
    if deletion or flip:
        network = with_noise(network, deletion, flip)
        report |= {"deletion": deletion, "flip": flip}
    return network, report


def with_noise(network, deletion, flip):
    """Put noise on the spikes of the encoder.

    Parameters
    ----------
    network : Network
        Of `eventsnn.conversion.integer.to_integer`.
    deletion : float
        Probability with which a spike is lost.
    flip : float
        Probability with which spike and silence are confused, in the steps in which the encoder may spike; one of the two is 0.

    Returns
    -------
    Network
        With a relay ``deletion`` or ``flip`` behind the encoder.
    """
    from eventsnn.network import Relay
    from eventsnn.relays import Deletion, Flip

    encoder = network.populations[0]
    steps = len(encoder.parameters["thresholds"])
    kind = Flip(flip, float(encoder.parameters["amplitude"]), steps) if flip else Deletion(deletion)
    links = [replace(p, source=kind.kind) if p.source == encoder.name else p for p in network.projections]
    return replace(network, relays=[Relay(kind.kind, encoder.name, kind)], projections=links)


def check(spec, codes):
    """Find contradictions around `convert: {to: integer}`, `measure.integer_logs` and `measure.integer_levels`.

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
    converts = spec.convert is not None and spec.convert.to == "integer"
    for path, code in codes.items():
        once = code.code == "constant" and code.schedule == "first"
        if converts and not once:
            yield path, "an integer network takes the values themselves, once: write 'code: constant, schedule: first'"
        elif spec.convert is not None and not converts and code.code == "constant" and code.schedule != "every":
            yield (*path, "schedule"), f"convert.to {spec.convert.to!r} needs the values in every step, got {code.schedule!r}"
    if converts and (spec.run is None or spec.run.duration is None):
        yield ("run", "duration"), "required: widths are proven for so many steps, for example 8 ms"
    for key in ("weight_bits", "input_scale"):
        if converts and spec.convert.ends == "float" and key in spec.convert.model_fields_set:
            yield ("convert", key), "belongs to 'ends: integer'; remove it"
    if converts and spec.convert.deletion and spec.convert.flip:
        yield ("convert", "flip"), "the encoder's spikes pass one kind of noise: deletion or flip; remove one"
    if converts and spec.measure.conversion is not None:
        yield ("measure", "conversion"), "compares ReLU activations; for a quantised network write 'integer_levels: {}'"
    if spec.measure.integer_logs is not None:
        yield from _logs(spec, converts)
    if spec.measure.integer_levels is not None:
        yield from _levels(spec, converts)


def _logs(spec, converts):
    path = ("measure", "integer_logs")
    if not converts or spec.data is None:
        yield path, "counts the spikes of an integer network: needs 'convert: {to: integer}' and a data: section"
    elif spec.run is not None and (spec.run.every != spec.convert.dt or spec.run.exit is not None):
        yield path, f"has a line for every step of every sample: set run.every to {spec.convert.dt:g} ms, remove run.exit"


def _levels(spec, converts):
    path = ("measure", "integer_levels")
    if not converts or spec.data is None:
        yield path, "compares an integer network with its ANN: needs 'convert: {to: integer}' and a data: section"
    elif spec.convert.ends == "integer" or spec.convert.deletion or spec.convert.flip:
        yield path, "with rounded ends, or noise behind the encoder, levels differ by design; remove it, or those keys of convert"
