"""What the schema cannot say about `measure:`: what it needs of the run, and of the network that runs."""


def check(spec):
    """Find figures that this run, or this kind of network, cannot give.

    Parameters
    ----------
    spec : Scenario

    Yields
    ------
    path : tuple
        Where.
    problem : str
        What is wrong and what would be right.
    """
    wanted = spec.measure
    for key in sorted(wanted.model_fields_set) if spec.run is None else ():
        yield ("measure", key), "is measured in a run:, which is not here; remove it"
    for key in ("histograms", "first_spikes", "layers", "conversion"):
        if spec.run is not None and spec.run.record == [] and getattr(wanted, key):
            yield ("measure", key), "needs recorded spikes, and run.record is empty; remove one of the two"
    if spec.run is not None and spec.run.exit is not None and spec.run.every is None:
        yield ("run", "every"), "required with run.exit: samples end at recording points, for example every 1 ms"
    if wanted.target is not None and (spec.run is None or spec.run.every is None or spec.data is None):
        yield ("measure", "target"), "needs recording points and labels: add run.every and a data: section"
    if wanted.conversion is not None and (spec.convert is None or spec.data is None):
        yield ("measure", "conversion"), "compares a conversion with its ReLU network: needs convert: and data: sections"
    if wanted.conversion is not None and spec.run is not None and spec.run.exit is not None:
        yield ("measure", "conversion"), "reads whole runs, and with run.exit samples end early; remove one of the two"
    if (wanted.phases is not None or wanted.words) and not wanted.histograms:
        yield ("measure", "histograms"), "phases and words belong to histograms; set histograms: true"
    yield from _clock(spec)
    yield from _decoding(spec)


def _clock(spec):
    """Networks on the continuous clock have no steps, and a state over time only where layers of gated ramps are computed."""
    convert, learn = spec.convert, spec.learn
    ramps = getattr(convert, "model", None) if convert is not None and convert.to == "ramps" else None
    rule = None if learn is None else learn.rule
    gated = ramps == "gated" or (rule == "ttfs" and learn.neuron == "b1")
    if not (ramps or rule in ("ttfs", "adjoint")):
        return
    if spec.measure.phases is not None:
        yield ("measure", "phases"), "counts steps, and this network is on the continuous clock; remove it"
    if spec.measure.traces and not gated:
        yield ("measure", "traces"), "needs a network on the grid clock, or of gated ramps; remove it"


def _decoding(spec):
    """Of some conversions it is not known what activation a neuron's spikes stand for."""
    convert = spec.convert
    if spec.measure.conversion is None or convert is None:
        return
    if convert.to == "hybrid" or (convert.to == "ramps" and convert.model == "alpha1"):
        what = "to: hybrid" if convert.to == "hybrid" else "to: ramps, model: alpha1"
        yield ("measure", "conversion"), (f"compares decoded spikes with activations, and 'convert: {{{what}}}' does not say how "
                                          "its spikes are decoded; remove it")  # fmt: skip
