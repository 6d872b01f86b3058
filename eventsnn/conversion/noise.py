"""Noise on every spike of a network, whatever its coding."""

from dataclasses import replace

from eventsnn.network import Relay


def with_noise(network, noise, *, inputs=True):
    """Put a noise relay behind every population that fires, and behind the inputs.

    Parameters
    ----------
    network : Network
        On the grid clock, or gated (then ``noise`` needs its ``dt_ms``).
    noise : Deletion or Jitter
    inputs : bool, optional
        False leaves the inputs alone: analog ones have no spikes to lose.

    Returns
    -------
    Network
        Relays ``noise_<name>``; pools and projections take their spikes from them. Readouts see what a population sends.
        `to_t2fsnn` has noise of its own, which knows the kernels.

    Raises
    ------
    NetworkError
        If the noise cannot be in this network.
    """
    firing = [p.name for p in network.populations if p.model.fires]
    ends = {name: f"noise_{name}" for name in ([i.name for i in network.inputs] if inputs else []) + firing}

    def behind(part):
        return replace(part, source=ends.get(part.source, part.source))

    relays = [Relay(end, name, noise) for name, end in ends.items()] + [behind(relay) for relay in network.relays]
    return replace(network, relays=relays, projections=[behind(p) for p in network.projections])
