"""The continuous clock against its plain twin, and against itself: windows, walkers, numbering, origin, room, streaming."""

import numpy as np
import pytest

from eventsnn import Input, Population, Projection, SpikeRaster
from eventsnn.compile import specialise
from eventsnn.engines.by_time import sort_window
from eventsnn.engines.continuous import run_continuous
from eventsnn.engines.continuous_plan import ContinuousNetwork
from eventsnn.engines.continuous_spikes import PoissonTimes, SpikeLog
from eventsnn.neurons.cuba_lif import CubaLif
from eventsnn.neurons.lif_delta import LifDelta
from eventsnn.projections.sparse_ms import SparseMs
from eventsnn.random import key, uniform
from tests.reference import continuous_heapq as twin

SIZES = {"E": 40, "I": 10}
WINDOWS = (None, 1.0, 0.75, 0.4, 0.1, 1.4142, 0.0317)


class Case:
    """A random network of two populations and one input, for the engine and for the twin."""

    def __init__(self, seed, model="lif", tau_mem=20.0, tau_syn=5.0, grid_delays=True, duration=200.0, refractory=2.0,
                 reset="value"):
        self.rng, self.model, self.duration = np.random.default_rng(seed), model, duration
        self.tau_mem, self.tau_syn, self.refractory, self.reset = tau_mem, tau_syn, refractory, reset
        self.parameters = {name: self.draw(n) for name, n in SIZES.items()}
        scale = 1.0 if model == "lif" else 5.0
        self.synapses, self.projections = [], []
        for source, target, weight in (("E", "E", 0.8), ("E", "I", 1.0), ("I", "E", -3.0), ("I", "I", -2.0), ("x", "E", 3.0)):
            self.connect(source, target, weight * scale, 0.0 if source == "x" else 1.5, grid_delays)
        times, ids = np.round(self.rng.uniform(0, duration, 60)), self.rng.integers(0, 5, 60)  # whole ms: many coincide
        self.raster = SpikeRaster.from_events(times, ids, self.rng.integers(1, 4, 60).astype(float), size=5, duration=duration)

    def draw(self, n):
        rng = self.rng
        own = {"tau_mem": self.tau_mem, "v_rest": rng.uniform(-56, -48, n), "v_threshold": -50.0, "v_reset": -60.0,
               "v_init": rng.uniform(-60, -51, n), "refractory": self.refractory}
        return own | ({"tau_syn": self.tau_syn} if self.model == "cuba" else {"reset": self.reset})

    def connect(self, source, target, weight, delay, grid_delays):
        n, rng = (SIZES | {"x": 5})[source], self.rng
        sources = np.repeat(np.arange(n), 8)
        targets = np.concatenate([rng.choice(SIZES[target], 8, replace=False) for _ in range(n)])
        delays = rng.integers(0, 4, sources.size) * 0.5 if grid_delays else rng.uniform(0, 3, sources.size)
        self.projections.append((source, target, sources, targets, weight, delays, delay))

    def network(self, order=None):
        """Return the network; `order` renumbers population E: its neuron k is the old order[k]."""
        place = {n: np.arange(s) for n, s in (SIZES | {"x": 5}).items()}
        parameters = {n: dict(p) for n, p in self.parameters.items()}
        if order is not None:
            place["E"] = np.argsort(order)
            for name in ("v_rest", "v_init"):
                parameters["E"][name] = parameters["E"][name][order]
        model = LifDelta if self.model == "lif" else CubaLif
        projections = [Projection(s, t, SparseMs.from_lists(place[s][a], place[t][b], w, d, n_sources=place[s].size), delay=extra)
                       for s, t, a, b, w, d, extra in self.projections]
        return ContinuousNetwork((Input("x", 5),), tuple(Population(n, SIZES[n], model, parameters[n], dtype="float64")
                                                         for n in SIZES), tuple(projections))

    def reference(self):
        """Simulate the twin."""
        neurons = {}
        for name, p in self.parameters.items():
            neurons[name] = [
                twin.Lif(self.tau_mem, p["v_rest"][i], -50.0, -60.0, p["v_init"][i], self.refractory, self.reset == "subtract")
                if self.model == "lif" else
                twin.Cuba(self.tau_mem, self.tau_syn, p["v_rest"][i], -50.0, -60.0, p["v_init"][i], self.refractory)
                for i in range(SIZES[name])]
        synapses = [(s, t, [(i, j, w, float(d + extra)) for i, j, d in zip(a.tolist(), b.tolist(), delays.tolist())])
                    for s, t, a, b, w, delays, extra in self.projections]
        amplitudes = np.ones(60) if self.raster.amplitudes is None else self.raster.amplitudes
        spikes = list(zip(self.raster.times.tolist(), self.raster.ids.tolist(), amplitudes.tolist()))
        return twin.simulate(neurons, synapses, {"x": spikes}, self.duration)

    def run(self, **options):
        """Run the engine."""
        return run_continuous(self.network(options.pop("order", None)), {"x": self.raster}, self.duration, **options)


CASES = [
    {"seed": 0, "grid_delays": False},
    {"seed": 1},
    {"seed": 2, "reset": "subtract", "refractory": 0.0},
    {"seed": 3, "refractory": 0.0},
    {"seed": 4, "reset": "subtract"},
    {"seed": 5, "model": "cuba"},
    {"seed": 6, "model": "cuba", "tau_mem": 5.0, "tau_syn": 20.0, "duration": 60.0},
    {"seed": 7, "model": "cuba", "tau_mem": 10.0, "tau_syn": 10.0, "duration": 60.0},
    {"seed": 8, "model": "cuba", "tau_mem": 10.0, "tau_syn": 9.7},
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.get('model', 'lif')}-{c['seed']}")
def test_engine_equals_the_heap_twin_event_for_event(case):
    made = Case(**case)
    expected = made.reference()
    walkers = ("time", "synapse") if case.get("grid_delays", True) else ("synapse",)
    for walker in walkers:
        result = made.run(walker=walker)
        assert result.counters["synaptic_events"] == expected[None]
        for name in SIZES:
            raster, times = result.rasters[name], np.array([t for t, _ in expected[name]])
            assert raster.ids.tolist() == [i for _, i in expected[name]]
            assert raster.n_spikes > 15
            np.testing.assert_allclose(raster.times, times, rtol=0, atol=1e-10)


@pytest.mark.parametrize("case", [{"seed": 1, "grid_delays": False}, {"seed": 2}, {"seed": 3, "model": "cuba"},
                                  {"seed": 4, "model": "cuba", "tau_mem": 10.0, "tau_syn": 10.2}], ids=str)
def test_windows_and_walkers_do_not_show(case):
    made = Case(**case)
    walkers = ("time", "synapse") if case.get("grid_delays", True) else ("synapse",)
    digests = {tuple(made.run(window=w, walker=k).rasters[n].digest() for n in SIZES) for w in WINDOWS for k in walkers}
    assert len(digests) == 1


def test_full_arrays_do_not_show(monkeypatch):
    made = Case(seed=9, grid_delays=True)
    whole = {n: made.run().rasters[n].digest() for n in SIZES}
    from eventsnn.engines import continuous_population, touch

    monkeypatch.setattr(touch, "RESERVE", 1)
    monkeypatch.setattr(continuous_population, "RESERVE", 1)
    monkeypatch.setattr(SpikeLog, "__init__", small_log)
    monkeypatch.setattr(SpikeLog, "grow", grow_by_three)
    for walker in ("time", "synapse"):
        assert {n: made.run(walker=walker).rasters[n].digest() for n in SIZES} == whole


def small_log(self, room=3):
    self.times, self.ids, self.amps = np.empty(3), np.empty(3, np.uint32), np.ones(3)
    self.spare = (np.empty(0), np.empty(0, np.uint32), np.empty(0))
    self.n = self.told = self.total = 0
    self.kernel = specialise(sort_window)


def grow_by_three(self, room=0):
    more = max(3, room - self.times.size)
    self.times, self.ids = np.append(self.times, np.empty(more)), np.append(self.ids, np.empty(more, np.uint32))
    self.amps = np.append(self.amps, np.ones(more))


def test_numbering_of_neurons_does_not_show():
    made = Case(seed=10)
    order = np.random.default_rng(0).permutation(SIZES["E"])
    plain, turned = made.run(), made.run(order=order)
    assert turned.rasters["I"] == plain.rasters["I"]
    # sums of simultaneous arrivals are taken in another order: weights here are equal numbers, so they round alike
    assert turned.rasters["E"] == plain.rasters["E"].permuted(order)


@pytest.mark.parametrize("model", ["lif", "cuba"])
def test_origin_of_time_does_not_show_but_for_rounding(model):
    """The same input after silence longer than an epoch: same ids, times shifted."""
    made = Case(seed=11, model=model, refractory=1.0)
    for name in SIZES:
        made.parameters[name]["v_rest"] = np.full(SIZES[name], -55.0)
        made.parameters[name]["v_init"] = -55.0
    made.projections = [(s, t, a, b, 4 * w if w > 0 else w, d, extra) for s, t, a, b, w, d, extra in made.projections]
    early = made.run()
    late = run_continuous(made.network(), {"x": made.raster.shifted(5000.0)}, 5200.0)
    assert early.rasters["E"].n_spikes > 20
    for name in SIZES:
        assert late.rasters[name].ids.tolist() == early.rasters[name].ids.tolist()
        np.testing.assert_allclose(late.rasters[name].times - 5000.0, early.rasters[name].times, rtol=0, atol=1e-8)


def test_poisson_trains_are_exact_keyed_and_independent_of_windows():
    network = ContinuousNetwork((Input("bg", 50),), (Population("n", 50, LifDelta, {"tau_mem": 10.0}, dtype="float64"),),
                                (Projection("bg", "n", SparseMs(np.arange(51), np.arange(50), 0.3)),))
    runs = [run_continuous(network, {"bg": PoissonTimes(200.0, samples=2)}, 300.0, window=w, seed=3, walker=k)
            for w in (None, 1.0, 0.07) for k in ("time", "synapse")]
    assert len({r.rasters["bg"].digest() + r.rasters["n"].digest() for r in runs}) == 1
    raster = runs[0].rasters["bg"]
    stream = key(3, "poisson_times", "bg")
    for sample, channel in ((0, 0), (0, 7), (1, 49)):
        gaps = -np.log(1 - uniform(stream, sample, np.arange(200), [channel])[:, 0]) * 5.0
        times = np.cumsum(gaps)
        one = raster.sample(sample)
        np.testing.assert_allclose(one.times[one.ids == channel], times[times < 300.0], rtol=1e-12)
    counts = raster.counts()
    assert abs(counts.mean() - 60) < 3 and abs(counts.var() / 60 - 1) < 0.6


@pytest.mark.parametrize("walker", ["time", "synapse"])
def test_slabs_are_the_whole_raster(monkeypatch, walker):
    from eventsnn.engines import continuous

    monkeypatch.setattr(continuous, "SLAB", 32)
    made, parts = Case(seed=12), {n: [] for n in ("E", "I", "x")}
    run_continuous(made.network(), {"x": made.raster}, made.duration, walker=walker,
                   on_slab=lambda n, s, t, i: parts[n].append((t, i)))
    whole = made.run()
    for name in SIZES:
        assert len(parts[name]) > 2 or name == "I"
        assert np.concatenate([t for t, _ in parts[name]]).tolist() == whole.rasters[name].times.tolist()
        assert np.concatenate([i for _, i in parts[name]]).tolist() == whole.rasters[name].ids.tolist()


def test_record_keeps_only_what_is_asked_for():
    assert set(Case(seed=12).run(record=["I"]).rasters) == {"I"}
