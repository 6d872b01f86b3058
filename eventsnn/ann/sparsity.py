"""Penalties on activations: they teach a ReLU network to be silent, which is what a spiking network is paid for."""

import numpy as np

from eventsnn.ann.layers import Conv2d, Dense, ReLU
from eventsnn.ann.torch_net import torch


def fan_out_shares(graph):
    """Return the share of each ReLU layer in the synaptic additions that its activations would cause.

    Parameters
    ----------
    graph : LayerGraph
        Network.

    Returns
    -------
    dict of str to float
        ReLU layers that feed a convolution or a dense layer; the shares sum to 1.
    """
    costs, source = {}, None
    for layer, out in zip(graph.layers, graph.shapes):
        if isinstance(layer, (Conv2d, Dense)) and source is not None:
            places = int(np.prod(out[:-1]))
            costs[source], source = places * int(np.prod(layer.weights.shape)), None
        if isinstance(layer, ReLU):
            source = layer.name
    total = sum(costs.values())
    return {name: cost / total for name, cost in costs.items()}


class _Penalty(torch.autograd.Function):
    """Identity whose backward pass adds the penalty's gradient: no tape, two extra passes over the activations."""

    @staticmethod
    def forward(ctx, a, weight, kind, meter):
        # Channels-last images lie flat in memory as (y, x, channel): no copy, and the order does not matter to sums.
        flat = (a.permute(0, 2, 3, 1) if a.ndim == 4 else a).flatten(1)
        n, samples = flat.shape[1], flat.shape[0]
        # Sums of half-precision activations are taken in float32.
        wide = torch.promote_types(a.dtype, torch.float32)
        total = flat.sum(1, dtype=wide)
        if kind == "hoyer":
            power = torch.linalg.vector_norm(flat, dim=1, dtype=wide).square().clamp_min(1e-12)
            value = total * total / (n * power)
            ctx.terms = 2 * total / (n * power) * (weight / samples), 2 * value / power * (weight / samples)
        else:
            count = n if kind == "l1" else 1
            value = total / count
            ctx.terms = torch.full_like(total, weight / (samples * count)), None
        meter += weight * value.mean().double()
        ctx.save_for_backward(a)
        return a.view_as(a)

    @staticmethod
    def backward(ctx, gradient):
        (a,) = ctx.saved_tensors
        plus, minus = (t if t is None else t.to(a.dtype).reshape(-1, *[1] * (a.ndim - 1)) for t in ctx.terms)
        gradient = gradient + plus
        return (gradient if minus is None else gradient.addcmul_(minus, a, value=-1)), None, None, None


class ActivityPenalty:
    """Adds a penalty on the outputs of all ReLU layers to the loss of a network in training.

    Parameters
    ----------
    net : TorchNet
        Network; evaluation is left alone.
    graph : LayerGraph
        Its layer graph.
    strength : float
        Weight of the penalty in the loss.
    kind : {"l1", "l1_sum", "hoyer"}
        See Notes.
    device : torch.device
        Where the network is.

    Notes
    -----
    With a the n activations of one layer for one sample and c_l the layer's share of the synaptic additions that its
    spikes would cause (:func:`fan_out_shares`), the mean over samples of

    - ``l1``: strength * sum_l c_l * sum |a| / n
    - ``l1_sum``: strength * sum_l sum |a|, the activity regulariser of Keras (ttfs-relu-equivalence T12)
    - ``hoyer``: strength * sum_l c_l * (sum |a|)^2 / (n sum a^2), between strength / n and strength. It does not change
      when a layer is scaled, so batch norm cannot evade it (Hoyer's measure, squared; Kurtz et al., ICML 2020).
    """

    def __init__(self, net, graph, strength, kind, device):
        self.value = torch.zeros((), dtype=torch.float64, device=device)
        shares = fan_out_shares(graph)
        for layer, module in zip(graph.layers, net.stack):
            if layer.name in shares:
                weight = strength if kind == "l1_sum" else strength * shares[layer.name]
                module.register_forward_hook(self._hook(weight, kind))

    def _hook(self, weight, kind):
        def penalise(module, arguments, output):
            return _Penalty.apply(output, weight, kind, self.value) if module.training else None

        return penalise

    def take(self):
        """Return the penalty summed since the last call (a device tensor) and start again from zero."""
        value = self.value.clone()
        self.value.zero_()
        return value
