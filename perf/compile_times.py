"""Compile every kernel of the package from an empty cache and print the seconds of each."""

import os
import tempfile

os.environ["EVENTSNN_CACHE"] = tempfile.mkdtemp()

import time

import numpy as np

from eventsnn import (
    AveragePool,
    Conv2d,
    Dense,
    EarliestPool,
    GatedMaxPool,
    Input,
    Network,
    Population,
    Projection,
    Readout,
    Relay,
    Sparse,
    SpikeRaster,
    run,
)
from eventsnn import compile as compiling


def grid(model, parameters, dtype):
    """Return a network with every projection and grid relay, of one model."""
    rng = np.random.default_rng(0)

    def weights(*shape):
        return rng.integers(-2, 3, shape)

    pools = {"average": AveragePool(), "gated_max": GatedMaxPool(), "earliest": EarliestPool()}
    populations = [Population("a", (6, 6, 4), model, parameters, dtype), Population("b", 10, model, parameters, dtype),
                   Population("o", 3, "accumulator", dtype=dtype)]
    return Network(
        inputs=[Input("x", (6, 6, 2))], populations=populations, dt_ms=1.0, readout=Readout("o"),
        relays=[Relay(name, "a", kind) for name, kind in pools.items() if dtype.startswith("float") or name != "average"],
        projections=[Projection("x", "a", Conv2d(weights(3, 3, 2, 4))), Projection("gated_max", "b", Dense(weights(36, 10))),
                     Projection("b", "b", Sparse(np.arange(10), np.arange(10)[::-1], 1), delay=1),
                     Projection("b", "o", Sparse(np.arange(9), np.arange(9) % 3, 1))])


def gated(dtype):
    """Return a gated network with every projection and relay."""
    rng = np.random.default_rng(0)
    return Network(
        inputs=[Input("x", (6, 6, 2))], readout=Readout("o"), relays=[Relay("p", "a", EarliestPool())],
        populations=[Population("a", (6, 6, 4), "ramp", {"t_open": 1, "window": 9}, dtype),
                     Population("o", 3, "ramp_readout", {"t_open": 10}, dtype)],
        projections=[Projection("x", "a", Conv2d(rng.normal(size=(3, 3, 2, 4)))),
                     Projection("p", "o", Dense(rng.normal(size=(36, 3))))])


def main():
    """Print a line per network and the total."""
    total = 0.0
    steps = SpikeRaster([0, 1], [0, 5], size=72, duration=4, dt_ms=1.0)
    times = SpikeRaster([0.2, 0.5], [0, 5], size=72, duration=1.0)
    jobs = [(f"{model} {dtype}", grid(model, {}, dtype), steps) for model in ("if", "lif") for dtype in ("float32", "float64")]
    jobs += [("if int32", grid("if", {}, "int32"), steps)]
    jobs += [(f"ramp {dtype}", gated(dtype), times) for dtype in ("float32", "float64")]
    for name, network, raster in jobs:
        start = time.perf_counter()
        run(network, {"x": raster})
        seconds = time.perf_counter() - start
        total += seconds
        print(f"{name}: {seconds:.1f} s ({compiling.seconds_compiling:.1f} s compiling so far)")
    print(f"all kernels from an empty cache: {total:.0f} s")


if __name__ == "__main__":
    main()
