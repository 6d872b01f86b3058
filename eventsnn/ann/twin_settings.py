"""How the differentiable TTFS twin codes activations: plain data, importable without PyTorch."""

from dataclasses import asdict, dataclass

import numpy as np

from eventsnn.errors import ModelError, did_you_mean

INPUTS = ("ttfs", "real")
SHARED = ("layer", "neuron")
LEAST_TAU = 0.1  # steps


@dataclass(frozen=True)
class TwinSettings:
    """How the spiking network codes its activations.

    Parameters
    ----------
    window : int
        T_fd, steps of a fire window, >= 1.
    tau, td : float
        Initial time constant (> 0) and delay of all kernels, steps; td of the input stays 0.
    input : {"ttfs", "real"}
        Whether the input is coded in spikes, or enters as it is.
    shared : {"layer", "neuron"}
        One kernel for each layer, or for each neuron.
    kernel_rate : float
        Learning rate of tau and td, in learning rates of the weights, >= 0.
    rounded_epochs : int or None
        Spike times are rounded up to whole steps in the first so many epochs and continuous in the others; None: in all.

    Raises
    ------
    ModelError
        If a value is out of range.
    """

    window: int = 80
    tau: float = 20.0
    td: float = 0.0
    input: str = "ttfs"
    shared: str = "layer"
    kernel_rate: float = 100.0
    rounded_epochs: int | None = None

    def __post_init__(self):
        """Check every value."""
        for name, allowed in (("input", INPUTS), ("shared", SHARED)):
            if getattr(self, name) not in allowed:
                got = getattr(self, name)
                raise ModelError(f"twin: {name} must be one of {', '.join(allowed)}, got {got!r}{did_you_mean(got, allowed)}")
        good = {
            "window": isinstance(self.window, int) and self.window >= 1,
            "tau": np.isfinite(self.tau) and self.tau >= LEAST_TAU,
            "td": np.isfinite(self.td),
            "kernel_rate": np.isfinite(self.kernel_rate) and self.kernel_rate >= 0,
            "rounded_epochs": self.rounded_epochs is None or (isinstance(self.rounded_epochs, int) and self.rounded_epochs >= 0),
        }
        for name, fine in good.items():
            if not fine:
                raise ModelError(f"twin: {name} is out of range, got {getattr(self, name)!r}")

    def to_dict(self):
        """Return the settings as a plain dict."""
        return asdict(self)
