"""Codes: numbers to spikes (or drive) and the way back; one file per code, loaded when asked for.

``ENCODERS["ttfs"]`` is the module with ``encode`` and ``decode`` of that code.
"""

import importlib
from collections.abc import Mapping

from eventsnn.errors import DataError, did_you_mean


class _Encoders(Mapping):
    """Code name to module, imported at first use."""

    NAMES = ("burst", "constant", "latency", "phase", "poisson", "ttfs", "ttfs_kernel")

    def __getitem__(self, name):
        if name not in self.NAMES:
            raise DataError(f"encoder: unknown code {name!r}{did_you_mean(name, self.NAMES)}; "
                            f"allowed: {', '.join(self.NAMES)}")  # fmt: skip
        return importlib.import_module(f"eventsnn.encoders.{name}")

    def __contains__(self, name):
        return name in self.NAMES

    def __iter__(self):
        return iter(self.NAMES)

    def __len__(self):
        return len(self.NAMES)


ENCODERS = _Encoders()
