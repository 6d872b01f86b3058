"""Rounded weights and activations in PyTorch, with their straight-through gradients; needs ``pip install eventsnn[ann]``."""

from eventsnn.ann.quantised import ROUND_UP, TERNARY_SHARE
from eventsnn.errors import RunError

try:
    import torch
    from torch import fx, nn
    from torch.nn import functional
except ImportError as error:
    raise RunError("training a source network needs PyTorch, which is an extra: pip install eventsnn[ann]") from error

__all__ = ["ClipFloorShift", "RoundedReLU", "functional", "fx", "k_bit_weights", "nn", "ternary_weights", "torch"]


def ternary_weights(weights):
    """Return weights as -1, 0, +1.

    Parameters
    ----------
    weights : torch.Tensor
        All weights of a layer.

    Returns
    -------
    torch.Tensor
        As :func:`eventsnn.ann.quantised.ternary`. The gradient of the published rule (two nested signs, each the identity) is
        twice the plain one (all-integer-snn 2.2).
    """
    limit = TERNARY_SHARE * weights.detach().abs().mean(dtype=torch.float64).to(weights.dtype)
    signs = torch.sign(weights) * (weights.abs() >= limit)
    return signs + 2 * (weights - weights.detach())


def k_bit_weights(weights, bits):
    """Return weights on a grid of so many bits.

    Parameters
    ----------
    weights : torch.Tensor
    bits : int

    Returns
    -------
    torch.Tensor
        As :func:`eventsnn.ann.quantised.k_bit`; rounding and sign have the identity as their gradient, the clip its own.
    """
    if bits == 32:
        return weights
    clipped = weights if bits == 1 else weights.clamp(-1, 1)
    rounded = torch.sign(clipped) if bits == 1 else torch.round(clipped * 2.0**bits) / 2.0**bits
    return rounded.detach() + (clipped - clipped.detach())


class _Rounding(torch.autograd.Function):
    """Rectifier with rounding, few passes over memory; its gradient is that of the rectifier."""

    @staticmethod
    def forward(ctx, x, grid, top):
        ctx.save_for_backward(x > 0 if top is None else (x >= 0) & (x <= top))
        y = x.clamp(0, top)
        y = (y if grid == 1 else y.mul_(grid)).add_(ROUND_UP).round_()
        return y if grid == 1 else y.div_(grid)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None, None


class RoundedReLU(nn.Module):
    """Twin of a QuantReLU layer; the rounding has the identity as its gradient."""

    def __init__(self, layer):
        super().__init__()
        self.grid, self.top = 2.0**layer.k, layer.top

    def forward(self, x):
        """Return the rounded activation."""
        return _Rounding.apply(x, self.grid, self.top)


class ClipFloorShift(torch.autograd.Function):
    """top clip(floor(x levels / top + 1/2) / levels, 0, 1), few passes over memory; the floor has the identity as its gradient.

    With y = x / top the gradient is 1 for x in (0, top), else 0; for `top` it is the rounded value less y there, 0 below and 1
    above (Bu et al., ICLR 2022, section 4).
    """

    @staticmethod
    def forward(ctx, x, top, levels):
        """Return the activation."""
        y = x / top
        inside = (y > 0) & (y < 1)
        rounded = y.clamp(0, 1).mul_(levels).add_(0.5).floor_().div_(levels)
        ctx.save_for_backward(inside, rounded - y * inside)
        return rounded.mul_(top)

    @staticmethod
    def backward(ctx, gradient):
        """Return the gradients of x and top."""
        inside, slope = ctx.saved_tensors
        return gradient * inside, (gradient * slope).sum().reshape(1), None
