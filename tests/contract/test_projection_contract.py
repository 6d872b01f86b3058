"""What holds for every kind of projection: it is its dense matrix, in canonical order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import Network, SpikeRaster, run
from eventsnn.errors import NetworkError
from eventsnn.network import Input, Population, Projection
from eventsnn.projections import Conv2d, Dense, Sparse
from tests import strategies as draws
from tests.properties.settings import examples
from tests.reference.grid import list_synapses

SHAPES = [(5,), (17,), (4, 4, 1), (5, 3, 2), (3, 6, 3)]


def accumulated(shape, target_shape, synapses, raster, dtype, engine="event"):
    """Return the final membranes of accumulators behind one projection."""
    population = Population("p", target_shape, "accumulator", {}, dtype)
    network = Network([Input("in", shape)], [population], [Projection("in", "p", synapses)], dt_ms=1.0)
    result = run(network, {"in": raster}, engine=engine, record_state=["p"], record=[])
    return result.states["p"]["v"], result.counters["synaptic_events"]


@examples(40)
@given(st.data(), st.sampled_from(SHAPES), st.sampled_from(["float32", "float64", "int32"]))
def test_every_projection_is_its_matrix(data, shape, dtype):
    """Dyadic numbers: any order gives the same sum, so plain matrix products must agree to the bit."""
    whole = dtype == "int32"
    if len(shape) == 3 and data.draw(st.booleans()):
        synapses = data.draw(draws.convolutions(shape, whole, True))
        target_shape = synapses.output_shape(shape)
    else:
        target_shape = data.draw(st.sampled_from(SHAPES))
        synapses = data.draw(draws.synapses(shape, target_shape, whole, True, delayed=False))
    raster = data.draw(draws.rasters(shape, 2, 4, whole))
    n, m = int(np.prod(shape)), int(np.prod(target_shape))
    matrix, links = np.zeros((n, m)), np.zeros(n, int)
    for source, target, weight, _ in list_synapses(synapses, shape, target_shape):
        matrix[source, target] += weight
        links[source] += 1
    assert synapses.fan_out(shape, target_shape).tolist() == links.tolist()
    for engine in ("event", "stepped"):
        found, events = accumulated(shape, target_shape, synapses, raster, dtype, engine)
        assert np.array_equal(found, raster.to_dense().sum(1) @ matrix)
        assert events == (raster.counts() @ links).sum()


@examples(25)
@given(st.data(), st.sampled_from(["float32", "float64"]))
def test_additions_are_rounded_in_ascending_source(data, dtype):
    """Weights of very different size: one other order would show."""
    rng, n, m = data.draw(draws.seeds()), 23, 19
    weights = rng.normal(0, 1, (n, m)) * 10.0 ** rng.integers(-6, 7, (n, m))
    raster = SpikeRaster.from_dense((rng.random((1, 1, n)) < 0.7) * 1.0)
    expected = np.zeros(m, dtype)
    for source in raster.ids:
        expected = expected + weights[source].astype(dtype)
    sources, targets = np.indices((n, m)).reshape(2, -1)
    order = rng.permutation(n * m)
    listed = Sparse(sources[order], targets[order], weights.ravel()[order])
    conv = Conv2d(weights.reshape(1, 1, n, m), padding="valid")
    assert np.array_equal(accumulated((n,), (m,), Dense(weights), raster, dtype)[0][0], expected)
    assert np.array_equal(accumulated((n,), (m,), listed, raster, dtype)[0][0], expected)
    assert np.array_equal(accumulated((1, 1, n), (1, 1, m), conv, raster, dtype)[0][0], expected)


def test_duplicates_stay_separate_synapses_in_their_order():
    raster = SpikeRaster([0], [0], size=1, duration=1, dt_ms=1.0)
    found, events = accumulated((1,), (1,), Sparse([0, 0, 0], [0, 0, 0], [1e8, 1.0, -1e8]), raster, "float32")
    assert (found.tolist(), events) == ([[0.0]], 3)
    assert accumulated((1,), (1,), Sparse([0, 0, 0], [0, 0, 0], [1e8, -1e8, 1.0]), raster, "float32")[0].tolist() == [[1.0]]


def test_matrix_of_scipy():
    from scipy import sparse

    matrix = sparse.csr_array(np.array([[0.0, 2.0], [1.5, 0.0]]))
    raster = SpikeRaster([0, 0], [0, 1], size=2, duration=1, dt_ms=1.0)
    assert accumulated((2,), (2,), Sparse.from_matrix(matrix), raster, "float32")[0].tolist() == [[1.5, 2.0]]


@pytest.mark.parametrize("synapses, words", [
    (Dense(np.ones((3, 2))), "Dense weights must have shape"),
    (Sparse([4], [0], [1.0]), "names source neuron 4"),
    (Conv2d(np.ones((1, 1, 2, 2))), "needs a source of shape"),
    (Dense(np.full((4, 2), np.nan)), "must be finite"),
], ids=["dense", "sparse", "conv2d", "nan"])
def test_what_does_not_fit_is_refused_in_words(synapses, words):
    with pytest.raises(NetworkError, match=words):
        accumulated((4,), (2,), synapses, SpikeRaster([], [], size=4, duration=1, dt_ms=1.0), "float32")
