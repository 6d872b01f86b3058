"""How PyTorch is run for TTFS training: exact convolutions, and the optimisers on tensors."""

import contextlib
import math

from eventsnn.ann.torch_net import torch
from eventsnn.learning.optimisers import BETA_1, BETA_2, EPSILON, MOMENTS


def exact(device):
    """Return a context that keeps convolutions on a GPU in the precision asked for, and repeatable."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


class TorchOptimiser:
    """Adam and SGD as `eventsnn.learning.optimisers` defines them, on tensors of any device.

    Parameters
    ----------
    parameters : dict of str to Tensor
        Changed in place; an L2 penalty acts on those called "LAYER.weights".
    settings : TtfsSettings

    Attributes
    ----------
    moments : dict of str to Tensor
        "m/NAME", "v/NAME" or "s/NAME".
    steps : int
        Updates so far.
    """

    def __init__(self, parameters, settings):
        self.parameters, self.settings, self.steps = parameters, settings, 0
        self.moments = {f"{moment}/{name}": torch.zeros_like(w) for name, w in parameters.items()
                        for moment in MOMENTS[settings.optimiser]}  # fmt: skip

    def update(self, gradients, rate):
        """Take one step.

        Parameters
        ----------
        gradients : dict of str to Tensor
        rate : float
            Learning rate of this step.
        """
        self.steps += 1
        decay = 2 * self.settings.weight_decay
        for name, w in self.parameters.items():
            g = gradients[name]
            self._move(name, w, g.add(w, alpha=decay) if decay and name.endswith(".weights") else g, rate)

    def _move(self, name, w, g, rate):
        if self.settings.optimiser == "sgd":
            w += self.moments[f"s/{name}"].mul_(self.settings.momentum).sub_(g, alpha=rate)
            return
        m, v = self.moments[f"m/{name}"], self.moments[f"v/{name}"]
        m.mul_(BETA_1).add_(g, alpha=1 - BETA_1)
        v.mul_(BETA_2).addcmul_(g, g, value=1 - BETA_2)
        rate *= math.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)
        w.addcdiv_(m, v.sqrt().add_(EPSILON), value=-rate)
