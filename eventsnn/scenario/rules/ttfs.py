"""What the schema cannot say about `learn: {rule: ttfs}`: where the network comes from, how samples are coded."""


def check(spec):
    """Find mistakes.

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
    learn, source = spec.learn, hasattr(spec.network, "source") or spec.train is not None
    if spec.network is not None and not hasattr(spec.network, "source"):
        yield ("network",), "learn: makes the spiking network itself; remove this section, or name a network.source to go on from"
    if spec.convert is not None:
        yield ("convert",), "learn: makes the spiking network itself; remove this section, or learn:"
    if learn.architecture is None and not source:
        yield ("learn", "architecture"), "required, but not there (or network.source or train: to go on from)"
    if learn.architecture is not None and source:
        yield ("learn", "architecture"), "fresh weights, but network.source or train: has others; remove one of the two"
    if learn.neuron == "relu" and spec.run is not None:
        yield ("run",), ("neuron: relu leaves weights.h5 and nothing to run; remove this section, and run the weights with "
                         "network.source and convert: {to: ramps}")  # fmt: skip
    if learn.neuron == "relu" and learn.twin is not None:
        yield ("learn", "twin"), "the twin of a spiking network is a ReLU network; remove it, or set neuron: b1"
    codes = [spec.encode] if not isinstance(spec.encode, dict) else list(spec.encode.values())
    for code in codes:
        if code is not None and code.code != "ttfs":
            yield ("encode", "code"), f"must be ttfs, the code that learning rule 'ttfs' takes samples in, got {code.code!r}"
        elif code is not None and learn.neuron == "alpha1" and code.silent and spec.run is not None:
            yield ("encode", "silent"), "must be false with learn.neuron alpha1, which needs a spike of every input"
    if spec.run is None and spec.data is not None:
        yield ("data",), "samples of a run:, which is not there; to judge the training itself, use learn.test"
    if spec.run is not None and spec.data is None:
        yield ("data",), "required with run: which samples the trained network is run on"
