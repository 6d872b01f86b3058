"""A hybrid network as a PyTorch module through time: same spikes as the event engine; importing this file needs PyTorch.

All layers go through a chunk of steps one after the other, so that a convolution sees the images of all its steps at once;
only membranes, last spikes and logits pass from chunk to chunk. Activations are (step, sample, y, x, channel) throughout.
"""

from dataclasses import replace

import numpy as np
from torch.utils.checkpoint import checkpoint

from eventsnn.ann.layers import AveragePool2d, Dropout
from eventsnn.ann.torch_net import module_of, nn, torch
from eventsnn.conversion.hybrid_build import nodes_of, relays_of
from eventsnn.conversion.segments import INPUT
from eventsnn.learning.stdb.scan import NEVER, make_rule, scan
from eventsnn.random import key, uniform
from eventsnn.relays.noise import frozen_masks

DRAWN = 2**22  # random numbers of the input held at once


class StdbNet(nn.Module):
    """PyTorch twin of a hybrid network.

    Parameters
    ----------
    hybrid : HybridNet
        With its present weights, thresholds and leaks.
    settings : StdbSettings
    device : torch.device, optional
    """

    def __init__(self, hybrid, settings, device=None):
        super().__init__()
        graph, self.hybrid, self.settings = hybrid.graph, hybrid, settings
        self.dtype, self.device = getattr(torch, settings.precision), device or torch.device("cpu")
        self.nodes, self.relays = nodes_of(graph), {name: (source, layer) for name, source, layer in relays_of(graph)}
        self.shapes = {INPUT: graph.input_shape} | {node.name: node.shape for node in self.nodes}
        for name, (source, layer) in self.relays.items():
            self.shapes[name] = layer.out_shape(self.shapes[source])
        self.weights = nn.ModuleList(self._module(node.layer, node.source) for node in self.nodes)
        beside = [node.shortcut for node in self.nodes if node.shortcut is not None and node.shortcut[1] is not None]
        self.beside = nn.ModuleList(self._module(layer, source) for source, layer in beside)
        self.beside_at = {id(layer): k for k, (_, layer) in enumerate(beside)}
        for name, values, train in (("thetas", hybrid.thresholds, settings.thresholds), ("leaks", hybrid.leaks, settings.leaks)):
            setattr(self, name, nn.ParameterList(nn.Parameter(torch.tensor(v, dtype=self.dtype), train) for v in values))
        self.to(device=self.device, memory_format=torch.channels_last)
        self.rule = make_rule(settings, hybrid.propagation == "same_step", self.dtype, self.device, hybrid.strict)

    def _module(self, layer, source):
        return module_of(layer, self.shapes[source], self.dtype)

    def forward(self, x, ids, seed, masks=False, record=None):
        """Return logits and spikes per layer of a whole run.

        Parameters
        ----------
        x : ndarray or torch.Tensor, shape (n, *input_shape)
            What the network's input encodes.
        ids : array_like of int, shape (n,)
            Number of each sample: spikes of the input and masks are drawn for it.
        seed : int
            Of input and masks, as a run of the engine takes it.
        masks : bool
            Whether dropout layers are at work.
        record : dict, optional
            Filled with the spikes of each layer, (steps, n, neurons) of bool.

        Returns
        -------
        logits : torch.Tensor, (n, classes)
            Output membrane after the last step.
        counts : torch.Tensor of float64, (layers,)
            Spikes of all samples.
        """
        ((_, logits, counts),) = self.segments(x, ids, seed, masks, record, whole=True)
        return logits, counts

    def segments(self, x, ids, seed, masks=True, record=None, whole=False):
        """Yield (steps so far, logits so far, spikes so far) at the end of each segment of a truncated run.

        See `forward`; the past is forgotten behind each of them. Where nothing is truncated (or `whole`) there is one.
        """
        s, given = self.settings, np.asarray(x, np.float64).reshape(len(x), *self.hybrid.graph.input_shape)
        factors, state = self._masks(ids, seed) if masks else {}, self._start(len(given))
        logits = torch.zeros(len(given), self.nodes[-1].shape[0], dtype=self.dtype, device=self.device)
        counts = torch.zeros(len(self.nodes) - 1, dtype=torch.float64, device=self.device)
        ends = [s.steps] if whole or not s.truncate else [*range(s.truncate, s.steps, s.truncate), s.steps]
        begin = 0
        for end in ends:
            for first in range(begin, end, s.chunk or s.steps):
                last = min(end, first + (s.chunk or s.steps))
                spikes = self._input(given, ids, seed, first, last)
                taped = torch.is_grad_enabled() and 0 < s.chunk < end - begin
                run = _taped_later if taped else _now
                made, counted, *state = run(self._chunk, first, last, spikes, factors, record, state)
                logits, counts = logits + made, counts + counted
            yield end, logits, counts
            logits, state, begin = logits.detach(), [part.detach() for part in state], end

    def _start(self, n):
        """Return the state before the first step: membranes, spikes of the step before, last spikes, layer after layer."""
        state = []
        for node, theta in zip(self.nodes[:-1], self.thetas):
            none = torch.zeros(0, device=self.device)
            u = (theta * self.hybrid.v_init).expand(n, *node.shape)
            before = torch.zeros(n, *node.shape, dtype=self.dtype, device=self.device) if self.rule.same_step else none
            timed = self.rule.table is not None
            last = torch.full((n, *node.shape), NEVER, dtype=torch.int32, device=self.device) if timed else none.int()
            state += [u, before, last]
        return state

    def _masks(self, ids, seed):
        """Return the factor of each dropout layer, (1, n, ...)."""
        made = {}
        for name, (_, layer) in self.relays.items():
            if isinstance(layer, Dropout):
                shape, rate = self.shapes[name], layer.rate
                if self.settings.dropout is not None and len(shape) == 3:
                    rate = self.settings.dropout
                drawn = frozen_masks(rate, seed, name, ids, int(np.prod(shape)))
                made[name] = torch.as_tensor(drawn.reshape(1, len(drawn), *shape), dtype=self.dtype, device=self.device)
        return made

    def _input(self, x, ids, seed, first, last):
        """Return what the input sends, (steps, n, ...); one step stands for all where it is direct."""
        if self.hybrid.input == "direct":
            return torch.as_tensor(x[None], dtype=self.dtype, device=self.device)
        made = poisson(x, ids, seed, self.hybrid.gain, first, last)
        return torch.as_tensor(made, device=self.device).to(self.dtype)

    def _chunk(self, first, last, spikes, factors, record, *state):
        """Run all layers through the steps first .. last - 1; returns logits made, spikes counted and the state."""
        values, new, counts = {INPUT: spikes}, [], []
        for k, node in enumerate(self.nodes):
            z = self._value(values, node.source, factors)
            if not node.fires:
                break
            theta, leak = self.thetas[k], self.leaks[k]
            drive, beside = self._arrives(self.weights[k], z, last - first), None
            if node.shortcut is not None:
                source, layer = node.shortcut
                beside = self._value(values, source, factors)
                module = None if layer is None else self.beside[self.beside_at[id(layer)]]
                beside = self._arrives(module, beside, last - first)
            values[node.name], own = scan(drive, beside, state[3 * k : 3 * k + 3], theta, leak, self.rule, first)
            new += own
            counts.append(torch.count_nonzero(values[node.name].detach()).double())
            if record is not None:
                record.setdefault(node.name, []).append(values[node.name].detach().flatten(2).cpu().numpy() > 0)
        return self._sums(self.weights[-1], z, last - first), torch.stack(counts), *new

    def _value(self, values, name, factors):
        """Return what a relay hands on, computed once per chunk."""
        if name not in values:
            source, layer = self.relays[name]
            z = self._value(values, source, factors)
            if isinstance(layer, AveragePool2d):
                z = _as_images(lambda images: nn.functional.avg_pool2d(images, layer.size), z)
            elif name in factors:
                z = z * factors[name]
            values[name] = z
        return values[name]

    def _arrives(self, module, z, steps):
        """Return the weighted sums of each step; of no module: what is given."""
        made = module(z.flatten(2)) if isinstance(module, nn.Linear) else z if module is None else _as_images(module, z)
        return made.expand(steps, *made.shape[1:])

    def _sums(self, module, z, steps):
        """Return the weighted sum of all steps: the output has no leak and no threshold."""
        total = z.flatten(2).sum(0) * (steps if len(z) < steps else 1)
        made = nn.functional.linear(total, module.weight)
        return made if module.bias is None else made + steps * module.bias

    def arrays(self):
        """Return copies of all parameters by name, for checkpoints."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.state_dict().items()}

    def set_arrays(self, arrays):
        """Take parameters as `arrays` gives them."""
        self.load_state_dict({name: torch.as_tensor(value) for name, value in arrays.items()})

    def numbers(self, name):
        """Return the present "thetas" or "leaks", one per spiking layer."""
        return [value.item() for value in getattr(self, name)]

    def trained(self):
        """Return the hybrid network with the present weights, thresholds and leaks."""
        places = {}
        for layer in self.hybrid.graph.layers:
            places |= {id(layer): layer.name} | {id(x): f"{layer.name}.{x.name}" for x in getattr(layer, "inner", ())}
        pairs = [(node.layer, module) for node, module in zip(self.nodes, self.weights)]
        pairs += [(node.shortcut[1], self.beside[self.beside_at[id(node.shortcut[1])]])
                  for node in self.nodes if node.shortcut is not None and node.shortcut[1] is not None]  # fmt: skip
        arrays = {f"{places[id(layer)]}.{name}": value.detach().cpu().contiguous().numpy().copy()
                  for layer, module in pairs for name, value in module.arrays().items()}  # fmt: skip
        graph = self.hybrid.graph.astype(self.settings.precision).with_parameters(arrays)
        return replace(self.hybrid, graph=graph, thresholds=self.numbers("thetas"), leaks=self.numbers("leaks"))


def _now(chunk, first, last, spikes, factors, record, state):
    return chunk(first, last, spikes, factors, record, *state)


def _taped_later(chunk, first, last, spikes, factors, record, state):
    """Run a chunk without keeping its tape; the backward pass runs it again."""
    return checkpoint(chunk, first, last, spikes, factors, record, *state, use_reentrant=False, preserve_rng_state=False)


def _as_images(module, z):
    """Apply a module for images (n, channel, y, x) to activations (step, n, y, x, channel)."""
    made = module(z.flatten(0, 1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()
    return made.reshape(*z.shape[:2], *made.shape[1:])


def poisson(x, ids, seed, gain, first, last):
    """Return signed Bernoulli spikes of some steps: those that `eventsnn.encoders.poisson.encode` makes.

    Parameters
    ----------
    x : ndarray of float64, shape (n, ...)
        Values; |x| gain above 1 spikes at every step.
    ids : array_like of int, shape (n,)
        Number of each sample.
    seed : int
    gain : float
        Probability of a spike per step at |x| = 1.
    first, last : int
        Steps first .. last - 1.

    Returns
    -------
    ndarray of int8, shape (last - first, n, ...)
    """
    flat, stream = x.reshape(len(x), -1), key(seed, "encoder", "poisson", INPUT)
    level, sign = np.abs(flat) * gain, np.sign(flat).astype(np.int8)
    made, rows = np.empty((last - first, *flat.shape), np.int8), max(1, DRAWN // max(1, flat.size))
    for begin in range(first, last, rows):
        steps = np.arange(begin, min(begin + rows, last))
        drawn = uniform(stream, np.asarray(ids)[None, :], steps[:, None], flat.shape[1])
        made[begin - first : begin - first + len(steps)] = (level > drawn) * sign
    return made.reshape(last - first, *x.shape)
