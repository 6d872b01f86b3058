"""Kernels of a T2FSNN network: a time constant and a delay for the input and every hidden layer."""

from dataclasses import dataclass

import numpy as np

from eventsnn.errors import ModelError
from eventsnn.settings import check_number

IN = "in"  # how kernel files call the input


def _floats(values, name):
    if not isinstance(values, dict):
        raise ModelError(f"kernels: {name} must be a dict, layer -> steps, got {values!r}")
    for layer, value in values.items():
        check_number(value, "(-inf, inf)", f"kernels: {name} of layer '{layer}'")
    return {str(layer): float(value) for layer, value in values.items()}


@dataclass(frozen=True)
class Kernels:
    """Encode kernels exp(-(n - td) / tau), n steps after the opening of a layer's fire window.

    Parameters
    ----------
    tau : dict of str to float
        Time constant of each layer, steps, > 0; the first is ``"in"``, the input, then the hidden layers in order.
    td : dict of str to float
        Delay of each, steps.

    Raises
    ------
    ModelError
        If the two name different layers, or a value is out of range.
    """

    tau: dict
    td: dict

    def __post_init__(self):
        """Check names and ranges."""
        tau, td = (_floats(getattr(self, name), name) for name in ("tau", "td"))
        if list(tau) != list(td):
            raise ModelError(f"kernels: tau and td must name the same layers in one order, got {', '.join(tau) or 'none'} and "
                             f"{', '.join(td) or 'none'}")  # fmt: skip
        for name in tau:
            if not (np.isfinite(tau[name]) and 0 < tau[name] <= 1e6 and abs(td[name]) <= 1e6):
                raise ModelError(f"kernels: layer '{name}' needs 0 < tau <= 1e6 and a finite td, got tau = {tau[name]}, "
                                 f"td = {td[name]}")  # fmt: skip
        object.__setattr__(self, "tau", tau)
        object.__setattr__(self, "td", td)

    @classmethod
    def uniform(cls, layers, tau, td=0.0):
        """Return the same kernel for the input and the named hidden layers; td of the input is 0."""
        names = [IN, *layers]
        return cls(dict.fromkeys(names, tau), {name: 0.0 if name == IN else td for name in names})

    @property
    def layers(self):
        """Names, ``"in"`` first."""
        return list(self.tau)

    def for_layers(self, layers, by_order=False):
        """Return the kernels of a network with these hidden layers.

        Parameters
        ----------
        layers : sequence of str
            Names of the hidden layers, in order.
        by_order : bool, optional
            Give the kernels to the layers by their order, whatever their names are.

        Returns
        -------
        Kernels

        Raises
        ------
        ModelError
            If names (by_order: numbers of layers) differ.
        """
        names = [IN, *layers]
        if sorted(self.layers) != sorted(names) if not by_order else len(self.layers) != len(names):
            raise ModelError(f"kernels: are for the layers {', '.join(self.layers)}, the network has {', '.join(names)}"
                             + ("" if by_order else "; by_order gives them to the layers in their order"))  # fmt: skip
        old = self.layers if by_order else names
        return Kernels({n: self.tau[o] for n, o in zip(names, old)}, {n: self.td[o] for n, o in zip(names, old)})

    def replaced(self, tau=None, td=None):
        """Return the kernels with some values replaced."""
        return Kernels(self.tau | (tau or {}), self.td | (td or {}))
