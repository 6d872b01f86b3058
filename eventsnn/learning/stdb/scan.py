"""One layer of soft-reset neurons through a chunk of steps, forward and backward; importing this file needs PyTorch.

Forward is the neuron of the event engine (docs/semantics.md, section 3), operation for operation (strict; else >= for >)::

    pipelined    s[t] = u[t-1] > theta      u[t] = ((lambda u[t-1] + I[t]) - theta s[t])
    same_step    u[t] = ((lambda u[t-1] + I[t]) - theta s[t-1])      s[t] = u[t] > theta

Backward, with e the gradient with respect to s, g with respect to u, and sigma the surrogate at the deciding membrane::

    pipelined    g[t-1] = lambda g[t] + sigma[t] / theta (e[t] - theta g[t])
    same_step    g[t]   = lambda g[t+1] + sigma[t] / theta (e[t] - theta g[t+1])

where the product theta g in the bracket is left out if the reset is detached (hybrid-stdb 2.8).
"""

from dataclasses import dataclass

from eventsnn.ann.torch_net import torch
from eventsnn.learning.stdb.surrogates import stdb_table

NEVER = -(2**30)  # the step of the last spike of a neuron that has not spiked


@dataclass(frozen=True, eq=False)
class Rule:
    """How spikes are differentiated.

    Parameters
    ----------
    gamma : float or None
        Peak of the linear surrogate; None: the spike-timing surrogate.
    table : torch.Tensor or None
        Of the spike-timing surrogate, by gap.
    attached : bool
        Whether the gradient flows through the reset.
    same_step, strict : bool
        When a neuron decides, and whether only above its threshold.
    """

    gamma: float | None
    table: object
    attached: bool
    same_step: bool
    strict: bool = True

    def slope(self, u, gap, theta):
        """Return ds/dv for membranes or gaps."""
        if self.gamma is None:
            return self.table[gap.long()]
        return (u / theta).sub_(1).abs_().neg_().add_(1).clamp_(min=0).mul_(self.gamma)


def make_rule(settings, same_step, dtype, device, strict=True):
    """Return the rule of a training run.

    Parameters
    ----------
    settings : StdbSettings
    same_step : bool
    dtype : torch.dtype
    device : torch.device
    strict : bool, optional

    Returns
    -------
    Rule
    """
    attached = settings.reset_gradient == "attached"
    if settings.surrogate == "linear":
        return Rule(settings.gamma, None, attached, same_step, strict)
    table = stdb_table(settings.alpha, settings.beta, settings.cutoff, settings.steps)
    return Rule(None, torch.as_tensor(table, dtype=dtype, device=device), attached, same_step, strict)


def scan(drive, beside, state, theta, leak, rule, start):
    """Run one layer through a chunk of steps.

    Parameters
    ----------
    drive : torch.Tensor, (steps, n, ...)
        What arrives in each step.
    beside : torch.Tensor or None
        What arrives at the port of a shortcut, added after it.
    state : tuple of torch.Tensor
        Membranes (n, ...); spikes of the step before (same_step); step of each neuron's last spike, int32 (of the
        spike-timing surrogate, else empty).
    theta, leak : torch.Tensor
        Scalars.
    rule : Rule
    start : int
        The chunk's first step.

    Returns
    -------
    spikes : torch.Tensor, (steps, n, ...)
    state : tuple of torch.Tensor
    """
    u, before, last = state
    spikes, u, last = _Scan.apply(drive, beside, u, before, last, theta, leak, rule, start)
    return spikes, (u, spikes[-1] if rule.same_step else before, last)


class _Scan(torch.autograd.Function):
    """The recursions of this file's head."""

    @staticmethod
    def forward(ctx, drive, beside, u, before, last, theta, leak, rule, start):
        """Keep the membranes that decide; spikes and gaps say the rest."""
        deciding, spikes = (torch.empty(drive.shape, dtype=u.dtype, device=u.device) for _ in range(2))
        leaky, earlier, reaches = float(leak) != 1.0, (u, before), torch.gt if rule.strict else torch.ge
        for k in range(len(drive)):
            kept = (u * leak if leaky else u) + drive[k]
            kept = kept if beside is None else kept + beside[k]
            if rule.same_step:
                u = kept - before * theta
            deciding[k] = u
            fired = reaches(u, theta, out=spikes[k])
            if rule.same_step:
                before = fired
            else:
                u = kept - fired * theta
        gaps, last = _gaps(spikes, last, start, rule)
        ctx.save_for_backward(deciding, spikes, gaps, *earlier, theta, leak)
        ctx.rule, ctx.leaky, ctx.beside = rule, leaky, beside is not None
        ctx.mark_non_differentiable(last)
        return spikes, u, last

    @staticmethod
    def backward(ctx, e, g, _):
        """Return the gradients of drives, membranes, earlier spikes, threshold and leak."""
        walk = _back_same_step if ctx.rule.same_step else _back_pipelined
        to_drive, to_u, to_before, to_theta, to_leak = walk(ctx, e, g)
        return to_drive, to_drive if ctx.beside else None, to_u, to_before, None, to_theta, to_leak, None, None


def _back_pipelined(ctx, e, g):
    deciding, spikes, gaps, _, _, theta, leak = ctx.saved_tensors
    rule, to_drive = ctx.rule, torch.empty(e.shape, dtype=e.dtype, device=e.device)
    to_theta, to_leak = torch.zeros_like(theta), torch.zeros_like(leak)
    for k in range(len(e) - 1, -1, -1):
        u, to_drive[k] = deciding[k], g
        slope = rule.slope(u, None if gaps is None else gaps[k], theta) / theta
        flow = slope * (e[k] - theta * g if rule.attached else e[k])
        if ctx.needs_input_grad[5]:  # through v = u / theta - 1, and through what the reset subtracts
            to_theta -= (flow * u).sum() / theta + (spikes[k] * g).sum()
        if ctx.needs_input_grad[6]:
            to_leak += (g * u).sum()
        g = (g * leak if ctx.leaky else g) + flow
    return to_drive, g, None, to_theta, to_leak


def _back_same_step(ctx, e, to_u):
    deciding, spikes, gaps, first, before, theta, leak = ctx.saved_tensors
    rule, to_drive = ctx.rule, torch.empty(e.shape, dtype=e.dtype, device=e.device)
    to_theta, to_leak, to_before = torch.zeros_like(theta), torch.zeros_like(leak), None
    for k in range(len(e) - 1, -1, -1):
        slope = rule.slope(deciding[k], None if gaps is None else gaps[k], theta) / theta
        flow = slope * (e[k] if to_before is None else e[k] + to_before)
        g = to_u + flow
        to_drive[k] = g
        if ctx.needs_input_grad[5]:
            to_theta -= (flow * deciding[k]).sum() / theta + ((spikes[k - 1] if k else before) * g).sum()
        if ctx.needs_input_grad[6]:
            to_leak += (g * (deciding[k - 1] if k else first)).sum()
        to_u = g * leak if ctx.leaky else g
        to_before = -theta * g if rule.attached else None
    return to_drive, to_u, to_before, to_theta, to_leak


def _gaps(spikes, last, start, rule):
    """Return the steps since the last spike at each step, capped at the table's end, and the last spikes' steps."""
    if rule.table is None:
        return None, last.clone()
    end, gaps = len(rule.table) - 1, torch.empty(spikes.shape, dtype=torch.int16, device=spikes.device)
    for k in range(len(spikes)):
        gaps[k] = (start + k - last).clamp_(max=end)
        last = torch.where(spikes[k] > 0, start + k, last)
    return gaps, last
