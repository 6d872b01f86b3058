"""Run a model's functions as plain Python, one neuron at a time, with the constants that its parameters compile in."""

import types

import numpy as np

from eventsnn.neurons import find_model


def clone(function, constants, done=None):
    """Return the function with constants in place of its globals, and so for every function it names."""
    done = {} if done is None else done
    if function not in done:
        names = {**function.__globals__, **constants}
        done[function] = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)
        for name in function.__code__.co_names:
            if isinstance(names.get(name), types.FunctionType):
                names[name] = clone(names[name], constants, done)
    return done[function]


class PlainNeuron:
    """One neuron of a grid model: state in the given dtype, `step` and `wake` as plain functions."""

    def __init__(self, population):
        model, dtype = find_model(population.model), np.dtype(population.dtype).type
        values, constants = model.derive(dict(population.parameters))
        done = {}
        self.step_, self.wake_ = clone(model.step, constants, done), clone(model.wake, constants, done)
        self.idle = constants.get("IDLE", model.IDLE)
        names = model.map_names(values)
        limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else None

        def cast(value):
            return dtype(value if limits is None else np.clip(value, limits.min, limits.max))

        self.maps = np.array([[cast(np.ravel(values[name])[0])] for name in names], dtype).reshape(len(names), 1)
        numbers = {k: cast(v) for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        numbers |= {name: values[name].astype(dtype) for name in model.arrays}
        self.p = types.SimpleNamespace(**numbers)
        start = [values.get(f"{name}_init", default) for name, default in model.variables]
        self.state = np.array(start, dtype).reshape(-1, 1)
        self.ports = len(model.ports)

    def step(self, t, arrived=0):
        """Take step t; returns what it emits."""
        inputs = np.full((self.ports, 1), arrived, self.state.dtype)
        with np.errstate(all="ignore"):
            return self.step_(self.state, 0, inputs, t, self.p, self.maps)

    def wake(self, t):
        """Return when it wants to be woken after step t."""
        with np.errstate(all="ignore"):
            return self.wake_(self.state, 0, t, self.p, self.maps)
