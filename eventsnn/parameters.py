"""Values of a population's parameters: defaults, ranges, and one number for all, per channel or per neuron."""

import numpy as np

from eventsnn.errors import NetworkError, did_you_mean
from eventsnn.settings import check_choice


def parameter_values(population):
    """Return all parameters and switches of a population, defaults filled in.

    Parameters
    ----------
    population : Population
        Its model, shape and the values given by name.

    Returns
    -------
    dict of str to object
        A number; an array with one number per neuron, flat; for a table an array (rows, 1) or (rows, neurons); or the value
        of a switch.

    Raises
    ------
    NetworkError
        Naming the population and the parameter that is unknown, out of range or of another shape.
    """
    model, given, where = population.model, population.parameters, f"population {population.name}"
    if not isinstance(given, dict):
        raise NetworkError(f"{where}: parameters must be a dict of values by name, got {given!r}")
    known = {p.name: p for p in model.parameters} | {s.name: s for s in model.switches}
    for name in given:
        if name not in known:
            raise NetworkError(f"{where}: model '{model.name}' has no parameter {name!r}, allowed "
                               f"{', '.join(known) or 'none'}{did_you_mean(name, known)}")
    values = {}
    for switch in model.switches:
        value = given.get(switch.name, switch.default)
        check_choice(value, switch.allowed, f"{where}.{switch.name}:", NetworkError)
        values[switch.name] = value
    for parameter in model.parameters:
        values[parameter.name] = _value(population, parameter, f"{where}.{parameter.name}")
    wrong = model.check(values)
    if wrong:
        raise NetworkError(f"{where}: {wrong}")
    return values


def _value(population, parameter, where):
    shape, size = population.shape, population.size
    try:
        given = population.parameters.get(parameter.name, parameter.default)
        value = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise NetworkError(f"{where}: must be a number, got {given!r}") from None
    if np.isnan(value).any():
        raise NetworkError(f"{where}: is not a number (NaN)")
    if (value < parameter.low).any() or (value > parameter.high).any():
        worst = value.min() if (value < parameter.low).any() else value.max()
        raise NetworkError(f"{where}: must be from {parameter.low} to {parameter.high}, got {worst}")
    if parameter.table:
        return _table(population, value, where)
    if value.ndim == 0:
        return float(value)
    if not parameter.per_neuron:
        raise NetworkError(f"{where}: must be one number for the whole population, got an array of shape {value.shape}")
    if value.shape == shape or value.shape == (size,):
        return value.reshape(-1)
    if value.shape == (shape[-1],):
        return np.tile(value, size // shape[-1])
    raise NetworkError(f"{where}: must be a number, {shape[-1]} numbers (one per channel) or of shape "
                       f"{shape}, got shape {value.shape}")


def _table(population, value, where):
    """Return the rows of a table, each one number, one per channel or one per neuron."""
    shape, size = population.shape, population.size
    if value.ndim <= 1:
        return value.reshape(-1, 1)
    if value.shape[1:] in (shape, (size,), (1,)):
        return value.reshape(len(value), -1)
    if value.ndim == 2 and value.shape[1] == shape[-1]:
        return np.tile(value, (1, size // shape[-1]))
    raise NetworkError(f"{where}: must have shape (rows,), (rows, {shape[-1]}) or (rows, *{shape}), "
                       f"got shape {value.shape}")
