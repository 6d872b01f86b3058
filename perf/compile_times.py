"""Compile every kernel of the package from an empty cache and print the seconds of each job.

Neuron models come from their registry. Places of the package that ask for a kernel and that no job has reached are named at the
end, and the script fails: a new kernel needs a job here.
"""

import ast
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ["EVENTSNN_CACHE"] = tempfile.mkdtemp()

from eventsnn import (
    AveragePool,
    Conv2d,
    Dense,
    EarliestPool,
    GatedMaxPool,
    Input,
    Network,
    PoissonTimes,
    Population,
    Projection,
    Readout,
    Relay,
    Sparse,
    SparseMs,
    SpikeRaster,
    StepMaxPool,
    run,
    wiring,
)
from eventsnn import compile as compiling
from eventsnn.gradients import van_rossum
from eventsnn.gradients.adjoint import LossGradient, gradient
from eventsnn.learning.optimisers import Optimiser
from eventsnn.learning.patterns.floor import reachable_loss
from eventsnn.learning.patterns.learner import PatternLearner, PatternSettings
from eventsnn.neurons import find_model, model_names
from eventsnn.relays import Deletion, Flip, FrozenMask, Jitter

STEPS = SpikeRaster([0, 1, 1, 2], [0, 5, 6, 0], size=72, duration=6, dt_ms=1.0)
TIMES = SpikeRaster([0.2, 0.3, 0.5], [0, 5, 1], size=72, duration=1.0)
RNG = np.random.default_rng(0)
PACKAGE = Path(compiling.__file__).parent
reached, original = set(), compiling.specialise


def noted(loop, **names):
    """Specialise a loop and remember where that was asked for."""
    caller = sys._getframe(1)
    reached.add((caller.f_code.co_filename, caller.f_lineno))
    return original(loop, **names)


def whole(*shape):
    """Return weights of a shape that fit every dtype."""
    return RNG.integers(-2, 3, shape)


def listed(n, m):
    """Return all synapses from n neurons to m, each with a weight and a delay of its own."""
    ends = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
    return SparseMs.from_lists(*ends, RNG.uniform(0, 1, n * m), RNG.uniform(0, 0.5, n * m), n_sources=n)


def of_model(name):
    """Run a neuron model behind a dense projection."""
    model = find_model(name)
    if model.clock == "continuous":
        return continuous(name, Dense(np.ones((72, 10))), 0)
    grid = model.clock == "grid"
    population = Population("a", 10, name, {} if grid else {"t_open": 1.0})
    network = Network([Input("x", 72)], [population], [Projection("x", "a", Dense(whole(72, 10)), port=model.ports[0])],
                      dt_ms=1.0 if grid else None)  # fmt: skip
    run(network, {"x": STEPS if grid else TIMES})


def on_grid(dtype):
    """Run every projection and relay of the grid clock; spikes with amplitudes and without."""
    kinds = {"average": AveragePool(), "gated_max": GatedMaxPool(), "step_max": StepMaxPool(), "earliest": EarliestPool(),
             "deletion": Deletion(0.5), "jitter": Jitter(1.0), "flip": Flip(0.5), "mask": FrozenMask(0.5)}  # fmt: skip
    if not dtype.startswith("float"):
        del kinds["average"]
    populations = [Population("a", (6, 6, 4), "if", {}, dtype), Population("b", 10, "if", {}, dtype),
                   Population("o", 3, "accumulator", {}, dtype)]  # fmt: skip
    links = [Projection("x", "a", Conv2d(whole(3, 3, 2, 4))), Projection("gated_max", "b", Dense(whole(36, 10))),
             Projection("b", "b", Sparse(np.arange(10), np.arange(10)[::-1], 1), delay=1),
             Projection("b", "o", Sparse(np.arange(9), np.arange(9) % 3, 1))]  # fmt: skip
    network = Network([Input("x", (6, 6, 2))], populations, links, [Relay(n, "a", k) for n, k in kinds.items()],
                      readout=Readout("o"), dt_ms=1.0)  # fmt: skip
    for amplitudes in (None, np.full(STEPS.n_spikes, 2.0)):
        run(network, {"x": SpikeRaster(STEPS.times, STEPS.ids, amplitudes, size=72, duration=6, dt_ms=1.0)})


def in_windows(dtype):
    """Run every projection and relay of gated populations."""
    kinds = {"average": AveragePool(), "earliest": EarliestPool(), "deletion": Deletion(0.5, dt_ms=0.1),
             "jitter": Jitter(0.2, dt_ms=0.1)}  # fmt: skip
    network = Network(
        [Input("x", (6, 6, 2))],
        [Population("a", (6, 6, 4), "ramp", {"t_open": 1, "window": 9}, dtype),
         Population("o", 3, "ramp_readout", {"t_open": 10}, dtype)],
        [Projection("x", "a", Conv2d(whole(3, 3, 2, 4) / 4)), Projection("earliest", "o", Dense(whole(36, 3) / 4))],
        [Relay(n, "a", k) for n, k in kinds.items()], readout=Readout("o"))  # fmt: skip
    run(network, {"x": TIMES})


def continuous(model, synapses, loops):
    """Run a population of the continuous clock, of so many loops, and the adjoint of its spike times."""
    links = [Projection("x", "a", synapses), Projection("a", "a", listed(10, 10), delay=0.5)][: 1 + loops]
    network = Network([Input("x", 72)], [Population("a", 10, model, {}, "float64")], links)
    result = run(network, {"x": TIMES}, duration=5.0)
    if find_model(model).adjoints:
        gradient(network, {"x": TIMES}, result, LossGradient(times={"a": np.ones(result.rasters["a"].n_spikes)}))


def timed():
    """Run inputs and losses that only the continuous clock has."""
    network = Network([Input("x", 72)], [Population("a", 10, "cuba_lif", {}, "float64")],
                      [Projection("x", "a", listed(72, 10))])  # fmt: skip
    run(network, {"x": PoissonTimes(100.0)}, duration=5.0)
    trains = [np.array([0.5, 1.0]), np.array([0.7])]
    van_rossum.distance(*trains, 1.0)
    van_rossum.distances(trains, 1.0)
    van_rossum.raster_distance(TIMES, TIMES, 1.0)
    van_rossum.distance_gradient(TIMES, TIMES, 1.0)
    van_rossum.grid_loss(STEPS, STEPS, 0.5)
    wiring.fixed_probability(9, 9, 0.5, weight=1.0, seed=0, name="p")
    wiring.fixed_in_degree(9, 9, 3, weight=1.0, seed=0, name="d")


def learners():
    """Train two layers on a pattern, quantised and not, and take steps of the optimisers."""
    for settings in (PatternSettings(hidden=8), PatternSettings(8, *[None] * 5, optimiser="adamax")):
        PatternLearner(STEPS, STEPS, settings).present()
    reachable_loss(STEPS, 0.5, 5.0, apart=True, beam=4)
    for dtype in ("float32", "float64"):
        for kind in ("adam", "sgd"):
            w = {"w": np.ones((4, 4), dtype)}
            Optimiser(w, kind, 0.9, 0.0).update(w, 0.1)


def unreached():
    """Return the places of the package that ask for a kernel and were not reached, as file:line."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and "specialise" in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
                here = any(name == str(file) and node.lineno <= line <= node.end_lineno for name, line in reached)
                found += [] if here else [f"{file.relative_to(PACKAGE)}:{node.lineno}"]
    return found


def main():
    """Print a line per job, the total, and what no job has reached."""
    for module in [m for m in sys.modules.values() if getattr(m, "specialise", None) is original]:
        module.specialise = noted
    jobs = [(name, of_model, name) for name in model_names()]
    jobs += [(f"grid {dtype}", on_grid, dtype) for dtype in ("float32", "float64", "int32")]
    jobs += [(f"windows {dtype}", in_windows, dtype) for dtype in ("float32", "float64")]
    jobs += [("listed synapses, loops", continuous, "cuba_lif", listed(72, 10), 1)]
    total = 0.0
    for name, job, *arguments in [*jobs, ("continuous clock", timed), ("learners", learners)]:
        start = time.process_time()
        job(*arguments)
        seconds = time.process_time() - start
        total += seconds
        print(f"{name}: {seconds:.1f} s")
    print(f"all kernels from an empty cache: {total:.0f} s of processor time")
    missing = unreached()
    if missing:
        sys.exit(f"no job has reached these kernels, add one: {', '.join(missing)}")


if __name__ == "__main__":
    main()
