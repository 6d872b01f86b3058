"""What holds for every continuous model with an adjoint: it is the derivative of what the engine runs."""

import numpy as np
import pytest

from eventsnn.neurons import find_model, model_names
from tests.gradients.adjoint_cases import Case, check
from tests.gradients.test_adjoint_user import Charge

EACH = ("v_threshold", "v_reset", "v_init", "bias")
CUBA = {"tau_mem": 10.0, "tau_syn": 4.0, "v_reset": -0.1}
LIF = {"tau_mem": 10.0, "v_rest": 1.3, "v_reset": 0.1}
CASES = {  # model -> (parameters, how the network is drawn)
    "cuba_lif": [
        (CUBA, {}), (CUBA | {"v_rest": 0.2, "refractory": 1.5}, {"amplitudes": True}),
        (CUBA | {"tau_syn": 10.0, "refractory": 0.5}, {"looks": (0.4, 11.3, 50.0)}),
        (CUBA | {"tau_mem": 4.0, "tau_syn": 9.0, "v_rest": 1.2}, {}),
        (CUBA | {"tau_syn": 10.2, "v_threshold": 1.3, "refractory": 4.0}, {"looks": (20.0, 60.0), "weight": (1.0, 0.6)}),
        (CUBA | {"tau_mem": 1.0, "tau_syn": 0.1, "v_rest": 0.8, "v_reset": -1.0}, {"weight": (4.0, 4.0)}),  # several epochs
    ],
    "lif_continuous": [
        (LIF, {"loop": 0.1}), (LIF | {"refractory": 1.2}, {"weight": (0.2, 0.2), "looks": (3.0, 30.0)}),
        (LIF | {"reset": "subtract"}, {"loop": 0.1}),
        (LIF | {"reset": "subtract", "refractory": 1.2, "v_threshold": 0.7, "v_reset": -0.9},
         {"weight": (0.6, 0.5), "looks": (22.0, 59.0)}),
        (LIF | {"tau_mem": 0.2, "v_rest": 0.4}, {"weight": (1.0, 0.5), "looks": (31.0, 41.5)}),  # several epochs
    ],
    "ramp_ungated": [({"t_open": 20.0, "window": 15.0, "slope": 1.3}, {"weight": (0.1, 0.4), "looks": (5.0, 30.0)}),
                     ({"t_open": 60.0, "window": 15.0}, {"weight": (0.1, 0.4), "spikes": 10})],  # all of them early
    "ramp_alpha1": [({"t_open": 20.0, "window": 15.0, "alpha": 0.7, "t_start": 3.0, "slope": 1.1},
                     {"weight": (0.1, 0.2), "looks": (8.0, 40.0)})],
    "ramp_ungated_readout": [({"t_open": 20.0}, {"looks": (8.0, 19.0, 40.0)})],
    "charge": [({}, {"weight": (0.1, 0.2), "loop": 0.02}),
               ({"tau": 6.0, "threshold": 0.8}, {"weight": (0.1, 0.1), "loop": 0.02, "looks": (2.0, 33.0), "spikes": 20})],
}
NAMED = {"ramp_ungated": ("bias",), "ramp_alpha1": ("bias", "slope"), "ramp_ungated_readout": ("bias",), "charge": ("threshold",)}


def with_adjoint():
    """All registered continuous models that have an adjoint, and a user's."""
    known = [find_model(n) for n in model_names() if find_model(n).clock == "continuous"]
    return [m for m in known if m.adjoints and m is not Charge] + [Charge]


ALL = [(m, parameters, how) for m in with_adjoint() for parameters, how in CASES.get(m.name, [({}, {})])]


@pytest.mark.parametrize("model, parameters, how", ALL, ids=lambda x: getattr(x, "name", None))
def test_the_adjoint_is_what_differences_measure(model, parameters, how):
    case = Case(model, parameters, per_neuron=NAMED.get(model.name, EACH), **{"seed": len(parameters), **how})
    found = check(case)
    assert case.raster.n_spikes >= (0 if not model.fires else 2 if "ramp" in model.name else 6)
    if model.fires:
        assert np.isfinite(found.min_slope["n"][0]) == (found.min_slope["n"][1] >= 0)


def test_models_that_may_train_are_all_known():
    assert {m.name for m in with_adjoint()} <= set(CASES)
