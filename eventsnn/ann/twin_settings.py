"""How the differentiable TTFS twin codes activations: plain data, importable without PyTorch."""

from dataclasses import asdict, dataclass

from eventsnn.settings import check_choices, check_numbers

LEAST_TAU = 0.1  # steps
CHOICES = {"input": ("ttfs", "real"), "shared": ("layer", "neuron")}
RANGES = {
    "[1, inf)": ("window",),
    f"[{LEAST_TAU}, inf)": ("tau",),
    "(-inf, inf)": ("td",),
    "[0, inf)": ("kernel_rate", "rounded_epochs"),
}


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
        check_choices(self, CHOICES, "twin")
        check_numbers(self, RANGES, "twin")

    def to_dict(self):
        """Return the settings as a plain dict."""
        return asdict(self)
