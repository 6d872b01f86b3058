"""Where PyTorch computes, and its global switches for one run."""

import contextlib
import os

from eventsnn.ann.torch_net import torch
from eventsnn.errors import RunError


def choose_device(name):
    """Return the torch device for "auto", "cpu" or "cuda"; RunError if there is no such GPU."""
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise RunError("training: device 'cuda' was asked for, but PyTorch finds no GPU; use device: auto or cpu")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


@contextlib.contextmanager
def torch_mode(settings, device):
    """Set PyTorch's global switches for one run and put them back."""
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(), torch.backends.cudnn.benchmark
    fill = torch.utils.deterministic.fill_uninitialized_memory
    if settings.deterministic and device.type == "cuda":
        # cuBLAS sums in a fixed order only with this workspace setting.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(settings.deterministic)
    torch.backends.cudnn.benchmark = not settings.deterministic
    # Deterministic algorithms would fill every new tensor, an eighth of the time of a step; no layer reads unwritten memory.
    torch.utils.deterministic.fill_uninitialized_memory = False
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = fill
        torch.set_num_threads(before[1])
        torch.backends.cudnn.benchmark = before[2]
