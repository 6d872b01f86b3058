"""When the neurons of a hidden layer spike, in PyTorch: windows, saturation, noise on spike times and slopes.

Importing this file needs PyTorch (``pip install eventsnn[ann]``).

Source: ttfs-relu-equivalence 2.1 - 2.3, 2.10.
"""

import math
from dataclasses import dataclass

from eventsnn.ann.torch_net import torch
from eventsnn.learning.ttfs.rounding import normals
from eventsnn.learning.ttfs.torch_layers import to_channels_first


@dataclass
class Trace:
    """What the forward pass of one hidden layer leaves for the backward pass.

    `given`: activations in front of it, before their times are rounded; `read`: what was multiplied; `fired`: its own
    activations, before noise and pools; `moved`: the same behind the noise; `passes`: where gradients pass, if that is not
    where `fired` > 0; `lack`: how far potentials were below threshold, where silent neurons are helped; `pooled`: what its
    pools keep.
    """

    given: object
    read: object
    fired: object
    moved: object
    passes: object
    lack: object
    pooled: list


class Firing:
    """From potentials to activations x = R - t, for one layer.

    Parameters
    ----------
    segment : Segment
        Name and shape.
    settings : TtfsSettings
    dtype : torch.dtype
    device : torch.device
    """

    def __init__(self, segment, settings, dtype, device):
        self.name, self.shape, self.settings = segment.name, segment.shape, settings
        self.dtype, self.device = dtype, device
        self.slope = None
        if settings.noise_alpha:
            self.slope = settings.noise_alpha * self._drawn(settings.seed, f"alpha {self.name}", 0, 1)

    def _drawn(self, seed, name, step, rows):
        """Return standard normal numbers for each neuron, one row for each sample."""
        drawn = normals(seed, name, step, rows, math.prod(self.shape)).reshape(-1, *self.shape)
        return to_channels_first(torch.as_tensor(drawn, dtype=self.dtype, device=self.device))

    def sloped(self, v, before):
        """Return potentials with what the neurons' own slopes, frozen for the run, add in the window `before`."""
        return v if self.slope is None else v.add_(self.slope * before)

    def fire(self, v, window):
        """Return (x, where gradients pass or None: where x > 0, largest x); potentials are overwritten."""
        most = v.amax()
        if self.settings.neuron == "relu" or self.settings.early == "unclamped" or most <= window:
            return v.clamp_(min=0), None, most
        passes = (v > 0) & (v <= window)
        return v.clamp_(0, window), passes, window

    def moved(self, x, passes, key, rows):
        """Return activations after noise on spike times, and where gradients pass."""
        noise = self.settings.noise_times * self._drawn(key[0], self.name, key[1], rows)
        passes = x > 0 if passes is None else passes
        if self.settings.noise_silent:
            return x - noise, passes
        moved = torch.where(x > 0, (x - noise).clamp_(min=0), 0)  # a spike after its window has no effect
        return moved, passes & (moved > 0)
