"""A residual block: a short chain of layers and a shortcut beside it, whose outputs are added."""

from dataclasses import dataclass

import numpy as np

from eventsnn.ann.base import Layer
from eventsnn.errors import ModelError


@dataclass(frozen=True, eq=False)
class Residual(Layer):
    """body(x) + shortcut(x); the rectifier behind the sum is a layer of its own, as everywhere.

    Parameters
    ----------
    body, shortcut : tuple of Layer
        Chains of named layers; an empty shortcut is the identity.
    """

    body: tuple = ()
    shortcut: tuple = ()

    def __post_init__(self):
        """Check names; shapes are checked where the input's is known."""
        for part in ("body", "shortcut"):
            object.__setattr__(self, part, tuple(getattr(self, part)))
        names = [x.name if isinstance(x, Layer) else "" for x in self.inner]
        if not self.body or not all(names) or len(set(names)) < len(names):
            self.complain(f"needs a body of layers, and a name of its own for each inside, got {names}")
        if any(isinstance(x, Residual) for x in self.inner):
            self.complain("cannot hold another residual block; write them one after the other")

    @property
    def inner(self):
        """All layers inside: those of the body, then those of the shortcut."""
        return (*self.body, *self.shortcut)

    def options(self):
        """Return no options: the layers inside have them."""
        return {}

    def arrays(self):
        """Return {"inner layer.field": array}."""
        return {f"{x.name}.{key}": value for x in self.inner for key, value in x.arrays().items()}

    def with_arrays(self, arrays):
        """Return the block with some of its arrays replaced."""
        def chain(layers):
            return tuple(
                x.with_arrays({key: arrays[f"{x.name}.{key}"] for key in x.arrays() if f"{x.name}.{key}" in arrays})
                for x in layers
            )

        return Residual(self.name, chain(self.body), chain(self.shortcut))

    def cast(self, dtype):
        """Return the block with its arrays in another floating dtype."""
        return Residual(self.name, tuple(x.cast(dtype) for x in self.body), tuple(x.cast(dtype) for x in self.shortcut))

    def out_shape(self, shape):
        """Return the shape of the sum; body and shortcut must agree."""
        ends = []
        for chain in (self.body, self.shortcut):
            end = shape
            for layer in chain:
                try:
                    end = tuple(int(n) for n in layer.out_shape(end))
                except ModelError as error:
                    self.complain(f"inside, {error}")
            ends.append(end)
        if ends[0] != ends[1]:
            self.complain(f"the body makes {ends[0]}, the shortcut {ends[1]}; they are added")
        return ends[0]

    def apply(self, x):
        """Return body(x) + shortcut(x)."""
        out, beside = x, x
        for layer in self.body:
            out = layer.apply(out)
        for layer in self.shortcut:
            beside = layer.apply(beside)
        return np.add(out, beside)
