"""Hybrid networks: event = stepped = twin bit for bit, and what the reference says of timing, thresholds and leaks."""

import numpy as np
import pytest

from eventsnn.ann.graph import LayerGraph
from eventsnn.ann.layers import AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from eventsnn.ann.quantised import Qcfs
from eventsnn.ann.residual import Residual
from eventsnn.conversion.balance import balance
from eventsnn.conversion.hybrid import HybridNet, encode, load_hybrid, save_hybrid, to_network
from eventsnn.encoders.base import Drive
from eventsnn.engines import run
from eventsnn.errors import DataError, ModelError
from eventsnn.raster import SpikeRaster
from eventsnn.relays.noise import frozen_masks
from tests.hybrid_cases import graph_of, hybrid_of, nodes_for_twin
from tests.reference import hybrid as twin

T = 14


def dense_input(made, sample, steps, size):
    """What enters at each step, (T, n)."""
    if isinstance(made, Drive):
        return np.tile(made.values[sample], (steps, 1))
    part, out = made.select([sample]), np.zeros((steps, size))
    out[part.times, part.ids] = 1 if part.amplitudes is None else part.amplitudes
    return out


def dense_raster(raster, sample):
    """Spikes of one sample as (T, n) of bool."""
    part, out = raster.select([sample]), np.zeros((raster.duration, raster.size), bool)
    out[part.times, part.ids] = True
    return out


def compare(hybrid, x, steps=T, masks=False, seed=3):
    """Hold event and stepped engine to the twin; return the spikes of the last sample."""
    network, made = to_network(hybrid, masks=masks), encode(hybrid, x, steps=steps, seed=seed)
    names, results = list(hybrid.layers), []
    for engine, schedule in (("event", "streamed"), ("event", "interleaved"), ("stepped", "streamed")):
        results.append(run(network, {"input": made}, duration=steps, engine=engine, schedule=schedule, seed=seed,
                           record_state=[*names, network.populations[-1].name]))  # fmt: skip
    for sample in range(len(x)):
        drawn = {r.name: frozen_masks(r.kind.rate, seed, r.name, [sample], int(np.prod(network.shape_of(r.name))))[0]
                 for r in network.relays if r.kind.kind == "mask"} if masks else None  # fmt: skip
        entering = dense_input(made, sample, steps, network.inputs[0].size)
        spikes, u, logits, _ = twin.run(nodes_for_twin(hybrid, drawn), entering, hybrid.propagation)
        for result in results:
            for name in names:
                assert np.array_equal(dense_raster(result.rasters[name], sample), spikes[name]), (result.engine, name)
                assert np.array_equal(result.states[name]["v"][sample].ravel(), u[name]), (result.engine, name)
            assert np.array_equal(result.readout[sample].astype(np.float32), logits)
    return spikes


@pytest.mark.parametrize("net", ["vgg5", "resnet8"])
@pytest.mark.parametrize("propagation", ["pipelined", "same_step"])
@pytest.mark.parametrize("leak", [1.0, 0.99, 0.9, 0.5])
def test_engines_equal_the_twin(net, propagation, leak):
    x = np.random.default_rng(1).uniform(-1, 1, (2, 6, 6, 2))
    for grid in (None, 6):  # canonical order with any weights; weights on a grid, on which every order is exact
        hybrid = hybrid_of(graph_of(net, 5, grid=grid), 6, leak, propagation)
        spikes = compare(hybrid, x)
        assert all(found.any() for found in spikes.values())


def test_grid_weights_make_every_order_exact():
    hybrid = hybrid_of(graph_of("vgg5", 5, grid=6), 6, 0.9, "pipelined")
    made = encode(hybrid, np.random.default_rng(1).uniform(-1, 1, (1, 6, 6, 2)), steps=T)
    entering, matrix = dense_input(made, 0, T, 72), nodes_for_twin(hybrid)[0]["matrix"]
    drives = twin.run(nodes_for_twin(hybrid), entering, "pipelined")[3]["conv1"]
    assert np.array_equal(drives, entering @ matrix.astype(np.float64))


@pytest.mark.parametrize("net", ["vgg5", "resnet8"])
@pytest.mark.parametrize("propagation", ["pipelined", "same_step"])
def test_direct_input_half_charge_and_bias(net, propagation):
    graph = graph_of(net, 8)
    if net == "vgg5":
        rng = np.random.default_rng(2)
        layers = [type(x)(x.name, x.weights, 0.1 * rng.standard_normal(x.weights.shape[-1]).astype(np.float32))
                  if isinstance(x, Conv2d | Dense) else x for x in graph.layers]  # fmt: skip
        graph = LayerGraph(graph.input_shape, layers)
    x = np.random.default_rng(1).uniform(-1, 1, (2, 6, 6, 2)).astype(np.float32)
    compare(hybrid_of(graph, 6, 0.9, propagation, input="direct", v_init=0.5), x, steps=6)


@pytest.mark.parametrize("net", ["vgg5", "resnet8"])
def test_masks_are_frozen_in_time_and_ones_in_evaluation(net):
    hybrid = hybrid_of(graph_of(net, 5, dropout=0.4), 6, 1.0, "same_step")
    x = np.random.default_rng(1).uniform(-1, 1, (2, 6, 6, 2))
    compare(hybrid, x, masks=True)
    assert not any(r.kind.kind == "mask" for r in to_network(hybrid).relays)
    result = run(to_network(hybrid, masks=True), {"input": encode(hybrid, x, steps=40, seed=3)}, seed=3)
    relay = "dropout1" if net == "resnet8" else "dropout2"
    silent = frozen_masks(0.4, 3, relay, [0, 1], result.rasters[relay].size) == 0 if net == "resnet8" else (
        frozen_masks(0.5, 3, relay, [0, 1], result.rasters[relay].size) == 0)  # fmt: skip
    for sample in (0, 1):
        passed = result.rasters[relay].select([sample])
        assert len(passed.ids) and not silent[sample][passed.ids].any()
        assert set(np.round(passed.amplitudes, 12)) == {round(1 / 0.6, 12) if net == "resnet8" else 2.0}
    assert (silent[0] != silent[1]).any()


def chain(depth, weight=1.0):
    """One neuron per layer."""
    one = np.full((1, 1), weight, np.float32)
    layers = [part for k in range(depth) for part in (Dense(f"l{k}", one), ReLU(f"r{k}"))]
    return LayerGraph((1,), [*layers, Dense("out", one)])


def spikes_of(hybrid, times, amplitudes, steps):
    neurons = np.zeros(len(times), int)
    raster = SpikeRaster(np.array(times), neurons, np.array(amplitudes, float), size=1, duration=steps, dt_ms=1.0)
    result = run(to_network(hybrid), {"input": raster}, record_state=hybrid.layers)
    return {name: result.rasters[name].times.tolist() for name in hybrid.layers}, result


def test_residue_fires_again_without_input():
    hybrid = HybridNet(chain(1), [2.0])
    fired, _ = spikes_of(hybrid, [2], [7.0], 10)
    assert fired["l0"] == [3, 4, 5]
    fired, _ = spikes_of(HybridNet(chain(1), [2.0], propagation="same_step"), [2], [7.0], 10)
    assert fired["l0"] == [2, 3, 4]


def test_at_the_threshold_it_is_silent():
    for propagation in ("pipelined", "same_step"):
        assert spikes_of(HybridNet(chain(1), [2.0], propagation=propagation), [1], [2.0], 5)[0]["l0"] == []


@pytest.mark.parametrize("propagation", ["pipelined", "same_step"])
def test_where_it_is_not_strict_it_fires_at_the_threshold(propagation):
    hybrid = HybridNet(chain(1), [2.0], propagation=propagation, strict=False)
    assert spikes_of(hybrid, [1], [2.0], 5)[0]["l0"] == ([2] if propagation == "pipelined" else [1])


def test_the_leak_comes_before_the_reset():
    hybrid = HybridNet(chain(1), [2.0], [0.5])
    _, result = spikes_of(hybrid, [0], [3.0], 2)
    assert result.states["l0"]["v"][0, 0] == 0.5 * 3.0 - 2.0


@pytest.mark.parametrize("depth", [1, 4])
def test_delay_is_one_step_per_layer(depth):
    hybrid = HybridNet(chain(depth, 2.0), [1.0] * depth)
    fired, result = spikes_of(hybrid, [0], [1.0], depth)
    assert result.readout[0, 0] == 0 and hybrid.depth == depth
    fired, result = spikes_of(hybrid, [0], [1.0], depth + 1)
    assert [fired[f"l{k}"] for k in range(depth)] == [[k + 1] for k in range(depth)]
    assert result.readout[0, 0] == 2.0
    crossing = HybridNet(chain(depth, 2.0), [1.0] * depth, propagation="same_step")
    assert crossing.depth == 0 and spikes_of(crossing, [0], [1.0], 1)[1].readout[0, 0] == 2.0


def test_the_shortcut_is_a_step_early():
    one = np.ones((1, 1, 1, 1), np.float32)
    block = Residual("b", (Conv2d("c1", one), ReLU("r"), Conv2d("c2", one)))
    graph = LayerGraph((1, 1, 1), [block, ReLU("relu"), Flatten("flat"), Dense("out", np.ones((1, 1), np.float32))])
    hybrid = HybridNet(graph, [0.5, 0.9])
    raster = SpikeRaster(np.array([0]), np.array([0]), size=1, duration=4, dt_ms=1.0, shape=(1, 1, 1))
    result = run(to_network(hybrid), {"input": raster})
    assert result.rasters["b_c1"].times.tolist() == [1]
    assert result.rasters["b"].times.tolist() == [1, 2]  # from the shortcut, then from the body


def test_the_output_has_no_leak():
    hybrid = HybridNet(chain(1, 2.0), [1.0], [0.5])
    _, result = spikes_of(hybrid, [0], [1.0], 2)
    _, later = spikes_of(hybrid, [0], [1.0], 30)
    assert result.readout[0, 0] == later.readout[0, 0] == 2.0


def test_poisson_input_has_three_values_and_saturates():
    hybrid = HybridNet(chain(1), [1.0], gain=0.9)
    graph = LayerGraph((4,), [Dense("l0", np.ones((4, 1), np.float32)), ReLU("r"), Dense("out", np.ones((1, 1), np.float32))])
    x = np.array([[-0.5, 0.0, 0.25, 1.0]])
    made = encode(HybridNet(graph, [1.0]), x, steps=4000, seed=1)
    assert set(np.unique(made.amplitudes)) == {-1.0, 1.0}
    mean = made.amplitude_sums()[0] / 4000
    assert np.abs(mean - x[0]).max() < 5 * np.sqrt(0.25 / 4000) and mean[3] == 1 and mean[1] == 0
    gained = encode(hybrid, np.array([[1.0]]), steps=4000, seed=1).amplitude_sums()[0, 0] / 4000
    assert abs(gained - 0.9) < 5 * np.sqrt(0.09 / 4000)


def test_files_keep_every_bit(tmp_path):
    hybrid = hybrid_of(graph_of("resnet8", 5), 6, 0.9, "same_step", input="direct", v_init=0.5, strict=False, clip=True)
    for name in ("net.h5", "net.npz"):
        save_hybrid(tmp_path / name, hybrid)
        found = load_hybrid(tmp_path / name)
        assert found.settings() == hybrid.settings() and found.layers == hybrid.layers
        mine, theirs = hybrid.graph.parameters(), found.graph.parameters()
        assert mine.keys() == theirs.keys() and all(np.array_equal(mine[k], theirs[k]) for k in mine)


def test_what_is_refused(tmp_path):
    from eventsnn.ann.files import save_graph

    graph = graph_of("vgg5", 5)
    save_graph(tmp_path / "plain.h5", graph)
    with pytest.raises(DataError, match="without thresholds"):
        load_hybrid(tmp_path / "plain.h5")
    with pytest.raises(ModelError, match="threshold of layer 'conv2' must be > 0, got 0"):
        HybridNet(graph, [1, 0, 1, 1])
    with pytest.raises(ModelError, match="needs 4 thresholds"):
        HybridNet(graph, [1, 1])
    with pytest.raises(ModelError, match="leak of layer 'conv1'"):
        HybridNet(graph, [1] * 4, [1.1, 1, 1, 1])
    for thresholds in ("abcd", [[1], [2, 3]], [1j] * 4, None):
        with pytest.raises(ModelError, match=r"hybrid network: .*thresholds"):
            HybridNet(graph, thresholds)
    for more, words in (({"gain": "a"}, "gain"), ({"gain": None}, "gain"), ({"clip": "no"}, "clip"),
                        ({"strict": "no"}, "strict")):  # fmt: skip
        with pytest.raises(ModelError, match=words):
            HybridNet(graph, [1] * 4, **more)
    with pytest.raises(ModelError, match="graph must be a LayerGraph, got NoneType"):
        HybridNet(None, [1])
    net, x = HybridNet(graph, [1] * 4), np.zeros((1, 6, 6, 2))
    for call in (to_network, lambda g: encode(g, x, steps=3), lambda g: save_hybrid(tmp_path / "a.h5", g),
                 lambda g: balance(g, x)):  # fmt: skip
        with pytest.raises(ModelError, match="must be a HybridNet, got LayerGraph"):
            call(graph)
    with pytest.raises(ModelError, match="masks must be one of False, True, got 'no'"):
        to_network(net, masks="no")
    with pytest.raises(ModelError, match="ragged"):
        encode(net, [[1], [2, 3]], steps=3)
    with pytest.raises(ModelError, match="did you mean 'same_step'"):
        HybridNet(graph, [1] * 4, propagation="samestep")
    one, norm = Conv2d("c", np.ones((3, 3, 2, 2), np.float32)), BatchNorm("n", [1.0] * 2, [0.0] * 2, [0.0] * 2, [1.0] * 2)
    for layer, size in ((MaxPool2d("p"), 18), (norm, 72)):
        with pytest.raises(ModelError, match=f"layer '{layer.name}'"):
            HybridNet(LayerGraph((6, 6, 2), [one, ReLU("r"), layer, Flatten("f"), Dense("o", np.ones((size, 2)))]), [1])
    behind = LayerGraph((6, 6, 2), [one, norm, ReLU("r"), Flatten("f"), Dense("o", np.ones((72, 2)))])
    with pytest.raises(ModelError, match=r"'n'.*fold it first"):
        HybridNet(behind, [1])
    ranged = LayerGraph((6, 6, 2), [one, Qcfs("q", [1.0]), Flatten("f"), Dense("o", np.ones((72, 2)))])
    with pytest.raises(ModelError, match=r"'q'.*balance\.rule qcfs"):
        HybridNet(ranged, [1])
    with pytest.raises(ModelError, match="needs its ReLU first"):
        HybridNet(LayerGraph((6, 6, 2), [one, AveragePool2d("p"), ReLU("r"), Flatten("f"), Dense("o", np.ones((18, 2)))]), [1])
    with pytest.raises(ModelError, match="last layer must be Dense"):
        HybridNet(LayerGraph((6, 6, 2), [one, ReLU("r")]), [1])
    block = Residual("b", (Conv2d("c1", np.ones((3, 3, 2, 2))), Dropout("d"), Conv2d("c2", np.ones((3, 3, 2, 2)))))
    with pytest.raises(ModelError, match="a basic block's body"):
        HybridNet(LayerGraph((6, 6, 2), [block, ReLU("r"), Flatten("f"), Dense("o", np.ones((72, 2)))]), [1, 1])
