"""Pooling relays: what a pool hands on, as data.

A pool looks at windows of `size` x `size` positions of each channel, `stride` apart; odd rests at the lower and right
border are dropped. Populations and pools have shape (y, x, channel).
"""

from dataclasses import dataclass
from typing import ClassVar

from eventsnn.errors import NetworkError
from eventsnn.settings import as_numbers, check_number


@dataclass(frozen=True, eq=False)
class _Pool:
    """Windows of `size`, `stride` apart (default: `size`)."""

    size: int = 2
    stride: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "stride", self.size if self.stride is None else self.stride)
        for name in ("size", "stride"):
            check_number(getattr(self, name), f"[1, {2**15}]", f"{type(self).__name__} {name}", int, NetworkError)

    def output_shape(self, source_shape):
        """Return (y, x, channel) of the pool."""
        rows, columns = ((n - self.size) // self.stride + 1 for n in source_shape[:2])
        return rows, columns, source_shape[2]

    def check(self, source_shape):
        """Return a sentence saying what does not fit, or None."""
        if len(source_shape) != 3:
            return f"a pool needs a source of shape (y, x, channel), got {source_shape}"
        if min(self.output_shape(source_shape)) < 1:
            return f"windows of {self.size} x {self.size} do not fit a source of shape {source_shape}"
        return None


@dataclass(frozen=True, eq=False)
class AveragePool(_Pool):
    """Mean of a window: the spikes of a window in one instant leave as one spike of amplitude sum / size².

    On the continuous clock spikes of different times cannot be merged: each passes with its amplitude / size².
    """

    kind: ClassVar[str] = "average"


@dataclass(frozen=True, eq=False)
class GatedMaxPool(_Pool):
    """Max pool of rates: only the position whose summed amplitude so far is largest may pass its spike.

    The spikes of the present instant count; among equals the first position in row-major order wins.
    """

    kind: ClassVar[str] = "gated_max"


@dataclass(frozen=True, eq=False)
class StepMaxPool(_Pool):
    """Max pool of one instant: the largest amplitude that the window's positions emit now (a silent one emits 0)."""

    kind: ClassVar[str] = "step_max"


@dataclass(frozen=True, eq=False)
class EarliestPool(_Pool):
    """Max pool of first-spike times: the earliest spike of a window passes, all later ones are dropped.

    Parameters
    ----------
    signs : array_like of {-1, +1}, (channels,), optional
        In a channel of sign -1 the pool is a min pool: the spike that completes the window passes, the pool stays
        silent while any position is. Of several spikes at the deciding instant the first position's passes (sign +1)
        or the last position's (sign -1).
    """

    signs: tuple | None = None
    kind: ClassVar[str] = "earliest"

    def __post_init__(self):
        super().__post_init__()
        if self.signs is not None:
            signs = as_numbers(self.signs, "EarliestPool signs", error=NetworkError).ravel().tolist()
            if any(s not in (-1, 1) for s in signs):
                raise NetworkError(f"EarliestPool signs must be +1 or -1, got {sorted(set(signs) - {-1, 1})[0]}")
            signs = tuple(map(int, signs))
            object.__setattr__(self, "signs", signs)

    def check(self, source_shape):
        """Return a sentence saying what does not fit, or None."""
        wrong = super().check(source_shape)
        if wrong is None and self.signs is not None and len(self.signs) != source_shape[2]:
            return f"EarliestPool has {len(self.signs)} signs, the source has {source_shape[2]} channels"
        return wrong
