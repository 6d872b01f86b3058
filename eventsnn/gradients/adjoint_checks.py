"""What `gradient` asks of its arguments and of its result."""

import numpy as np

from eventsnn.errors import NetworkError, RunError, did_you_mean
from eventsnn.raster import SpikeRaster


def node_rasters(network, inputs, result):
    """Return the rasters of all nodes, checked."""
    if network.clock != "continuous" or network.gated:
        raise NetworkError("gradient: needs populations that may spike at any time on the continuous clock; gated ramps are "
                           "trained by their closed form (learn: {rule: ttfs})")  # fmt: skip
    rasters = {}
    for node in network.nodes:
        given = inputs.get(node) if isinstance(inputs.get(node), SpikeRaster) else result.rasters.get(node)
        if given is None:
            raise NetworkError(f"gradient: the result holds no raster of {node}; run with record=None, which keeps all")
        if given.size != network.nodes[node].size:
            raise NetworkError(f"gradient: {node} has {network.nodes[node].size} neurons, its raster {given.size}")
        rasters[node] = given
    if len({r.n_samples for r in rasters.values()}) > 1:
        raise NetworkError("gradient: all rasters must have the same number of samples, got "
                           f"{ {n: r.n_samples for n, r in rasters.items()} }")  # fmt: skip
    return rasters


def check_loss(network, rasters, loss):
    """Raise NetworkError where a loss does not fit the network and its rasters."""
    names = [p.name for p in network.populations]
    for what in ("times", "potentials", "looks"):
        for name, given in getattr(loss, what).items():
            if name not in names:
                raise NetworkError(f"loss.{what}: unknown population {name!r}, allowed {', '.join(names)}"
                                   f"{did_you_mean(name, names)}")  # fmt: skip
            raster = rasters[name]
            if what == "looks":
                at = np.asarray(given[0], np.float64)
                if at.ndim != 1 or (np.diff(at) < 0).any() or (at.size and not (at[0] >= 0 and at[-1] <= raster.duration)):
                    raise NetworkError(f"loss.looks[{name}]: times must ascend from 0 to {raster.duration} ms")
                given, wanted = given[1], (raster.n_samples, at.size, raster.size)
            else:
                wanted = (raster.n_spikes,) if what == "times" else (raster.n_samples, raster.size)
            if np.shape(given) != wanted:
                raise NetworkError(f"loss.{what}[{name}]: must have shape {wanted}, got {np.shape(given)}")
            if not np.isfinite(given).all():
                raise NetworkError(f"loss.{what}[{name}]: derivatives must be finite")


def check_finite(network, found):
    """Raise RunError where a derivative is not finite, naming the flattest crossing."""
    for k, projection in enumerate(network.projections):
        if not np.isfinite(found.weights[k]).all():
            slope, neuron, t = found.min_slope[projection.target]
            raise RunError(f"gradient: {projection.label}: not finite; the smallest slope at a threshold was {slope} (neuron "
                           f"{neuron} at {t} ms): a potential that only touches its threshold has no derivative")  # fmt: skip
