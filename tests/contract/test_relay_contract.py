"""What holds for every pool: no delay, one spike per output and instant, ascending ids; the twin says which."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn import Network, run
from eventsnn.errors import NetworkError
from eventsnn.network import Input, Population, Projection, Relay
from eventsnn.projections import Dense
from eventsnn.relays import AveragePool, EarliestPool, GatedMaxPool, StepMaxPool
from tests import strategies as draws
from tests.properties.settings import examples
from tests.reference import grid
from tests.reference.compare import assert_like_twin, assert_same

SHAPES = [(2, 2, 1), (4, 5, 2), (5, 5, 3)]


def network_of(kind, shape, dtype="float64"):
    """A pool, and accumulators that add up what passes."""
    n = int(np.prod(kind.output_shape(shape)))
    population = Population("p", n, "accumulator", {}, dtype)
    return Network([Input("in", shape)], [population], [Projection("pool", "p", Dense(np.eye(n)))],
                   [Relay("pool", "in", kind)], dt_ms=1.0)


@examples(40)
@given(st.data(), st.sampled_from(SHAPES))
def test_pools_equal_their_twin(data, shape):
    kind = data.draw(draws.pools(shape))
    raster = data.draw(draws.rasters(shape, 2, 8))
    network = network_of(kind, shape)
    result = run(network, {"in": raster}, record_state=["p"])
    assert_like_twin(result, grid.simulate(network, {"in": raster}, 8))
    assert_same(run(network, {"in": raster}, record_state=["p"], engine="stepped", slab=3), result)


@examples(20)
@given(st.data(), st.sampled_from(SHAPES))
def test_what_passes_was_there(data, shape):
    """Every spike of a max pool is one of its window's in the same instant; an earliest pool passes one at most."""
    kind = data.draw(draws.pools(shape).filter(lambda k: not isinstance(k, AveragePool)))
    raster = data.draw(draws.rasters(shape, 2, 8))
    dense, passed = raster.to_dense(), run(network_of(kind, shape), {"in": raster}).rasters["pool"].to_dense()
    windows = np.array(grid.windows(kind, shape))
    assert ((passed == 0) | (dense[:, :, windows] == passed[..., None]).any(-1)).all()
    if isinstance(kind, EarliestPool):
        assert (np.count_nonzero(passed, axis=1) <= 1).all()
        if kind.signs is None:
            assert (np.count_nonzero(passed, axis=1) == (dense[:, :, windows] != 0).any((1, 3))).all()


def test_a_pool_of_one_position_is_a_wire():
    raster = draws.SpikeRaster.from_dense(np.random.default_rng(0).integers(0, 3, (2, 6, 18)) * 1.0, shape=(3, 3, 2))
    for kind in (AveragePool(1), GatedMaxPool(1), StepMaxPool(1)):
        assert run(network_of(kind, (3, 3, 2)), {"in": raster}).rasters["pool"] == raster


@pytest.mark.parametrize("kind, words", [
    (AveragePool(3), "do not fit"),
    (EarliestPool(2, signs=(1, 1)), "2 signs, the source has 1 channels"),
], ids=["size", "signs"])
def test_what_does_not_fit_is_refused_in_words(kind, words):
    with pytest.raises(NetworkError, match=words):
        Network([Input("in", (2, 2, 1))], relays=[Relay("pool", "in", kind)], dt_ms=1.0)
