"""The exponential of the neuron models: within an ulp, the same bits alone and in a vectorised loop, its ends."""

import numpy as np
import pytest

from eventsnn.compile import specialise
from eventsnn.neurons.exponential import exp


def each(x, out):
    """Take all exponentials."""
    for k in range(x.size):
        out[k] = exp(x[k])


def test_it_is_within_an_ulp_and_the_same_alone():
    rng = np.random.default_rng(0)
    x = np.concatenate([*(rng.uniform(low, high, 4000) for low, high in ((-1, 1), (0, 256), (-708, 709))),
                        np.log(2) * np.arange(-50, 50)])
    out = np.empty(x.size)
    specialise(each)(x, out)
    assert np.abs((out - np.exp(x.astype(np.longdouble))) / np.spacing(out)).max() < 1.0
    assert [exp(q) for q in x[::50]] == out[::50].tolist()
    assert (np.diff(out[np.argsort(x)]) >= 0).all()


@pytest.mark.parametrize(("x", "expected"), [(0.0, 1.0), (-0.0, 1.0), (-708.5, 0.0), (-np.inf, 0.0), (709.5, np.inf),
                                             (np.inf, np.inf)])
def test_ends(x, expected):
    with np.errstate(all="ignore"):
        assert exp(np.float64(x)) == expected
        assert np.isnan(exp(np.float64("nan")))
