"""Neurons of all-integer networks: a signed neuron whose thresholds move with its spikes, and its encoder.

**signed.** The membrane V sums what arrives and is never reset. c counts the neuron's signed spikes. It is compared with
the tables `up` and `down` of J rows, one row per level::

    V = V + I
    s = +1   where c < J and V >= up[c]            (row c: from level c to level c + 1)
    s = -1   where c >= 1 and V < down[c-1]        (back from level c to level c - 1)
    s = 0    else
    c = c + s

With ``up = down = τ``, where level n of the quantised ANN means τ_n <= V < τ_{n+1}, c settles at the ANN's level,
whatever the order in which spikes arrive. A negative spike only takes back an earlier positive one.
The published neuron, whose two thresholds start at X and X - Δ and move by Δ with every spike, is
``up[j] = X + jΔ`` (strict) and ``down[j] = X + jΔ - 1e-5``; a table of whole numbers says the same of a whole V.

**thermometer.** Says a level once and for all: with the input of the first step, V stands still, and ::

    V = V + I;   s = amplitude where t < J and V >= thresholds[t], else 0

so that n spikes in the steps 0 ... n - 1 mean level n.

Source: Zou et al., Frontiers in Neuroscience 18:1449020 (2024), and the public code of that paper; tables are our exact form.
"""

import numpy as np

from eventsnn.neurons.base import NEVER, GridModel, Param, register

V, COUNT = 0, 1
FEW = 16  # rows that are all compared, which vectorises; of more rows the two that matter are looked up
ROWS = 0  # replaced when compiled: rows of a table, where they are few; else 0


def _due(v, c, i, p, maps):
    """Return the spike that the thresholds ask for: `up` is the first half of the rows, `down` the second."""
    if ROWS > 0:
        up, down = maps[0, i], maps[ROWS, i]
        for j in range(1, ROWS):
            upper, lower = maps[j, i], maps[ROWS + j, i]
            up = upper if c == j else up
            down = lower if c == j + 1 else down
        rises, falls = (c < ROWS) & (v >= up), (c >= 1) & (v < down)
    else:
        levels, here = np.int64(p.levels), np.int64(c)
        rises = here < levels and v >= maps[min(here, levels - 1), i]
        falls = here >= 1 and v < maps[levels + max(here - 1, 0), i]
    return 1 if rises else (-1 if falls else 0)


@register
class Signed(GridModel):
    """Signed integrate-and-fire neuron with memory and moving thresholds; its count is the level of a quantised ReLU."""

    name = "signed"
    variables = (("v", 0.0), ("count", 0.0))
    unit_amplitude = False
    IDLE = True
    parameters = (
        Param("up", 1.0, "table: smallest membrane at which a neuron of level j goes to level j + 1", table=True),
        Param("down", 1.0, "table: a neuron of level j + 1 goes back to level j below it", table=True),
        Param("v_init", 0.0, "membrane before the first step"),
    )

    @classmethod
    def derive(cls, values):
        up, down = np.atleast_2d(values["up"]), np.atleast_2d(values["down"])
        rows = {f"up_{j}": row for j, row in enumerate(up)} | {f"down_{j}": row for j, row in enumerate(down)}
        return {"v_init": values["v_init"], "levels": len(up), **rows}, {"ROWS": len(up) if len(up) <= FEW else 0}

    @classmethod
    def map_names(cls, values):
        return tuple(name for name in values if name.startswith(("up_", "down_")))

    @classmethod
    def amplitude_range(cls, values):
        return -1.0, 1.0

    @classmethod
    def check(cls, values):
        up, down = np.atleast_2d(values["up"]), np.atleast_2d(values["down"])
        if len(up) != len(down):
            return f"up and down must have the same number of rows, got {len(up)} and {len(down)}"
        if np.any(up < down):
            return "up must not be below down in any row: a neuron between them would spike for ever"
        return None

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        v, c = state.dtype.type(state[V, i] + inputs[0, i]), state[COUNT, i]
        s = _due(v, c, i, p, maps)
        state[V, i] = v
        state[COUNT, i] = c + s
        return s

    @staticmethod
    def wake(state, i, t, p, maps):
        return t + 1 if _due(state[V, i], state[COUNT, i], i, p, maps) != 0 else NEVER


@register
class Thermometer(GridModel):
    """Encoder: the membrane's level as that many spikes in the first steps."""

    name = "thermometer"
    unit_amplitude = False
    IDLE = True
    parameters = (
        Param("thresholds", 1.0, "table: smallest membrane that spikes in step t", table=True),
        Param("amplitude", 1.0, "what a spike carries"),
        Param("v_init", 0.0, "membrane before the first step"),
    )

    @classmethod
    def derive(cls, values):
        table = np.atleast_2d(values["thresholds"])
        rows = {f"threshold_{j}": row for j, row in enumerate(table)}
        values = {"amplitude": values["amplitude"], "v_init": values["v_init"], "levels": len(table), **rows}
        return values, {"ROWS": len(table) if len(table) <= FEW else 0}

    @classmethod
    def map_names(cls, values):
        return tuple(name for name in values if name.startswith("threshold_"))

    @classmethod
    def amplitude_range(cls, values):
        return min(0.0, values["amplitude"]), max(0.0, values["amplitude"])

    @staticmethod
    def step(state, i, inputs, t, p, maps):
        v = state[V, i] + inputs[0, i]
        state[V, i] = v
        levels = np.int64(p.levels)
        return p.amplitude if t < levels and v >= maps[min(t, levels - 1), i] else 0

    @staticmethod
    def wake(state, i, t, p, maps):
        due = False
        if ROWS > 0:
            for later in range(ROWS):
                due = due | ((later > t) & (state[V, i] >= maps[later, i]))
        else:
            for later in range(t + 1, np.int64(p.levels)):
                due = due | (state[V, i] >= maps[later, i])
        return t + 1 if due else NEVER
