"""The differentiable twin of a TTFS network with exponential kernels (T2FSNN): train weights and kernels in PyTorch.

Every ReLU becomes the code of a `ttfs` population (:mod:`eventsnn.neurons.ttfs`): potential -> step of its spike -> value that
the next layer decodes.  The twin's forward is the spiking network's: same thresholds, same steps, sums in PyTorch's order.
"""

from eventsnn.ann.layers import WEIGHTED, BatchNorm, ReLU
from eventsnn.ann.torch_net import TorchNet, nn, torch
from eventsnn.ann.twin_settings import LEAST_TAU

IN, KERNELS = "in", "ttfs_kernels"


class _Decode(torch.autograd.Function):
    """Potential to decoded value; the gradient is that of the continuous code, with rounding passed straight through."""

    @staticmethod
    def forward(ctx, v, tau, td, steps, value, fired):
        ctx.save_for_backward(v, tau, td, steps, value, fired)
        return value

    @staticmethod
    def backward(ctx, gradient):
        v, tau, td, steps, value, fired = ctx.saved_tensors
        # A spike of step 0 stays there: only above that does its time follow the potential and the kernel.
        late = fired & (td - tau * torch.log(v.clamp_min(torch.finfo(v.dtype).tiny)) > 0)
        gradient = torch.where(fired, gradient, 0) * value
        moving = torch.where(late, gradient, 0)
        of_v = moving / torch.where(late, v, 1)
        of_td = (gradient - moving) / tau
        of_tau = gradient * (steps - td) / tau**2 + moving * torch.log(torch.where(late, v, 1)) / tau
        return of_v, _summed(of_tau, tau), _summed(of_td, td), None, None, None


def _summed(gradient, parameter):
    """Sum a gradient over what shares the parameter."""
    return gradient.sum_to_size(parameter.shape) if parameter.ndim else gradient.sum()


class SpikeCode(nn.Module):
    """The code of one layer.

    Parameters
    ----------
    window : int
        Steps of the fire window.
    tau, td : float
        Initial kernel.
    shape : tuple of int, optional
        Of one sample, as the module sees it (channel first): a kernel for each neuron; default one for all.
    learn_td : bool, optional

    Notes
    -----
    n = smallest step with v >= theta(n) = exp(-(n - td) / tau), n < window, thresholds rounded to the dtype of v; value
    x = theta(n), 0 where there is none.  Continuous: n = max(0, td - tau ln v).  Gradients with dn/d(...) of the
    continuous code: dx/dv = x / v, dx/dtau = x ((n - td) / tau^2 + ln(v) / tau), dx/dtd = 0 where n > 0, and at n = 0
    0, -x td / tau^2, x / tau (neural-coding 2.7).
    """

    def __init__(self, window, tau, td, shape=None, learn_td=True):
        super().__init__()
        size = () if shape is None else tuple(shape)
        self.tau = nn.Parameter(torch.full(size, float(tau), dtype=torch.float64))
        self.td = nn.Parameter(torch.full(size, float(td), dtype=torch.float64), requires_grad=learn_td)
        self.window, self.rounded, self.steps = window, True, None

    def thresholds(self):
        """Return theta, float64 (*shape, window)."""
        n = torch.arange(self.window, dtype=torch.float64, device=self.tau.device)
        return torch.exp(-(n - self.td.detach()[..., None]) / self.kernel_tau()[..., None])

    def kernel_tau(self):
        """Return the time constants, held above 0.1 steps, without a gradient."""
        return self.tau.detach().clamp_min(LEAST_TAU)

    def forward(self, v):
        """Return decoded values of the shape of v; keep the steps of the spikes in ``steps`` (window: silent)."""
        with torch.no_grad():
            steps, value, fired = self._spikes(v)
        self.steps = torch.where(fired, steps, self.window)
        tau = self.tau.clamp_min(LEAST_TAU).to(v.dtype)
        return _Decode.apply(v, tau, self.td.to(v.dtype), steps, value, fired)

    def _spikes(self, v):
        """Return steps (as numbers of v's dtype), values and whether there is a spike."""
        theta = self.thresholds().to(v.dtype)
        rising = theta.flip(-1).contiguous()
        if self.tau.ndim:
            # One search per neuron, over all samples.
            rows = v.reshape(len(v), -1).T.contiguous()
            count = torch.searchsorted(rising.reshape(-1, self.window), rows, right=True).T.reshape(v.shape)
        else:
            count = torch.searchsorted(rising, v.contiguous(), right=True)
        steps, fired = self.window - count, count > 0
        if self.training and not self.rounded:
            tau, td = self.kernel_tau().to(v.dtype), self.td.detach().to(v.dtype)
            steps = (td - tau * torch.log(v.clamp_min(torch.finfo(v.dtype).tiny))).clamp(0, self.window)
            return steps, torch.where(fired, torch.exp((td - steps) / tau), 0), fired
        place = steps.clamp_max(self.window - 1)
        if self.tau.ndim:
            value = torch.gather(theta.expand(*v.shape, self.window), -1, place[..., None])[..., 0]
        else:
            value = theta[place]
        return steps.to(v.dtype), torch.where(fired, value, 0), fired


class TtfsTwin(TorchNet):
    """PyTorch twin of the TTFS network that a normalised ReLU network becomes; trainable weights and kernels.

    Parameters
    ----------
    graph : LayerGraph
        Folded network with activations in [0, 1], as ``normalise`` returns it.
    settings : TwinSettings
    dtype : torch.dtype, optional
        Default the graph's own.

    Raises
    ------
    ModelError
        If there is a batch norm (fold first), or a ReLU without weights before it.
    """

    def __init__(self, graph, settings, dtype=None):
        super().__init__(graph, dtype)
        self.settings, self.coded, last = settings, {}, None
        shapes = (graph.input_shape, *graph.shapes)
        if settings.input == "ttfs":
            self.coded[IN] = self.input_code = self._code(graph.input_shape, learn_td=False)
        for index, layer in enumerate(graph.layers):
            if isinstance(layer, BatchNorm):
                layer.complain("the TTFS twin takes folded networks; fold the batch norm first")
            last = layer.name if isinstance(layer, WEIGHTED) else last
            if isinstance(layer, ReLU):
                if last is None or last in self.coded:
                    layer.complain("has no weights before it; the TTFS twin has one code for each weighted layer")
                self.coded[last] = self.stack[index] = self._code(shapes[index])

    def _code(self, shape, learn_td=True):
        s = self.settings
        first = (shape[2], *shape[:2]) if len(shape) == 3 else shape
        td = s.td if learn_td else 0.0
        return SpikeCode(s.window, s.tau, td, first if s.shared == "neuron" else None, learn_td)

    def set_epoch(self, epoch):
        """Choose rounded or continuous spike times for an epoch, counted from 0."""
        rounded = self.settings.rounded_epochs is None or epoch < self.settings.rounded_epochs
        for code in self.coded.values():
            code.rounded = rounded

    def forward(self, x):
        """Return the output's potentials (n, n_classes) at the end of its window."""
        if IN in self.coded:
            x = self.input_code(x) if x.ndim == 2 else self.input_code(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return super().forward(x)

    def kernel_parameters(self):
        """Return the parameters that are time constants and delays."""
        return [p for code in self.coded.values() for p in (code.tau, code.td)]

    def arrays(self):
        """Return the graph's parameters, and each kernel as ``ttfs_kernels/{tau, td}/{layer}`` (neurons row-major)."""
        found = super().arrays()
        for name, code in self.coded.items():
            for key, values in (("tau", code.kernel_tau()), ("td", code.td.detach())):
                values = values.permute(1, 2, 0) if values.ndim == 3 else values
                found[f"{KERNELS}/{key}/{name}"] = values.to("cpu", copy=True).contiguous().numpy()
        return found


def split_kernels(arrays, settings):
    """Separate the kernels from the parameters of a twin.

    Parameters
    ----------
    arrays : dict
        From :meth:`TtfsTwin.arrays`.
    settings : TwinSettings

    Returns
    -------
    tuple of dict
        Parameters of the graph, and kernels as plain data {"tau": {layer: value}, "td": {layer: value}}, ``"in"`` first.
    """
    kernels = {"tau": {IN: settings.tau}, "td": {IN: 0.0}}
    parameters = {}
    for name, value in arrays.items():
        if name.startswith(f"{KERNELS}/"):
            _, key, layer = name.split("/")
            kernels[key][layer] = value.tolist()
        else:
            parameters[name] = value
    return parameters, kernels
