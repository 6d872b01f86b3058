"""A network laid out once for many runs: what an application does that answers one image after the other."""

from dataclasses import dataclass, field

from eventsnn.engines.plan import make_plan
from eventsnn.errors import NetworkError
from eventsnn.network import Network


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network and its layout, to be given to `run` in place of the network.

    Attributes
    ----------
    network : Network
        As it was when it was prepared: later changes of its arrays are not seen.
    """

    network: object
    plan: object = field(repr=False)
    spare: dict = field(default_factory=dict, repr=False)


def prepare(network):
    """Lay out a network of the grid clock, or a gated one, for many runs.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Prepared
        To be given to `run` in place of the network, from any number of threads; the results are the same. It keeps the
        weights in the order in which they are read, and the working memory of the last run.

    Raises
    ------
    NetworkError
        If it is no Network, or neurons may spike at any time: their layout depends on the input.
    """
    if not isinstance(network, Network):
        raise NetworkError(f"prepare needs a Network, got {type(network).__name__}")
    if network.clock == "continuous" and not network.gated:
        raise NetworkError("prepare: the layout of a network whose neurons may spike at any time depends on its input; give the "
                           "network itself to run")
    return Prepared(network, make_plan(network))
