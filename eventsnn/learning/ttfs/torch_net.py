"""TTFS training of networks with convolutions and pools: closed form and exact gradients in PyTorch, on CPU or GPU.

Importing this file needs PyTorch (``pip install eventsnn[ann]``); networks of Dense layers alone need only
`eventsnn.learning.ttfs.dense`, which has the same methods and the same definitions.
"""

import math
from dataclasses import replace

import numpy as np

from eventsnn.ann.device import choose_device
from eventsnn.ann.torch_net import torch
from eventsnn.conversion.segments import cut
from eventsnn.errors import ModelError
from eventsnn.learning.ttfs.parts import INPUT_WINDOW, Step, check_state, rows_of, set_windows
from eventsnn.learning.ttfs.rounding import round_times
from eventsnn.learning.ttfs.torch_fire import Firing, Trace
from eventsnn.learning.ttfs.torch_layers import Synapses, aten, inward, outward, pools_of, to_channels_first
from eventsnn.learning.ttfs.torch_run import TorchOptimiser, exact

FIELDS = ("weights", "bias")
EVALUATION_BYTES = 2**28  # that the largest layer may take where samples are evaluated


class TorchTtfs:
    """A network of gated ramps (B1), or its ReLU twin, with Conv2d, Dense, pools and Flatten, while it is trained.

    Parameters
    ----------
    graph : LayerGraph
        Folded network: no batch norm, no dropout (see ``conversion.fold``); bias maps are trained as maps. It stays as it is.
    settings : TtfsSettings
        Neuron "b1" or "relu".
    device : {"auto", "cpu", "cuda"}, optional
        auto: a GPU if there is one.

    Attributes
    ----------
    hidden : list of str
        Names of the hidden layers.
    windows : ndarray of float64, (hidden layers,)
        R_n in use, ms; may be changed in place.
    layers : list of Synapses
        Weights, offsets and gradients.
    norms : list of float
        Norm of dL/dt of each hidden layer in the last step, the deepest first.

    Raises
    ------
    ModelError
        If a layer has no counterpart in spikes, or the neuron is alpha1.
    RunError
        If a GPU is asked for and missing.

    Notes
    -----
    All times are relative to the end of their window, x = R - t, so that rounding does not grow with windows.  With V the
    potential when the window opens, offset included: x = V where 0 < V <= R; above R it saturates (x = R, gradient 0) or,
    unclamped, stays.  Time noise is added behind that; time bits round what hidden layers read, weight bits what they
    multiply with, both straight-through (ttfs-relu-equivalence 2.2 - 2.5, 2.10).  Equal steps give equal bits on the same
    device with the same number of threads.
    """

    def __init__(self, graph, settings, device="auto"):
        self.source, self.settings = graph, settings
        if settings.neuron == "alpha1":
            raise ModelError("training: neuron 'alpha1' takes Dense layers only, this network has others; use neuron 'b1'")
        self.dtype, self.device = getattr(torch, settings.precision), choose_device(device)
        head, self.segments = cut(graph)
        self.head = pools_of(head, self.dtype, self.device)
        self.layers = [Synapses(segment, settings, self.dtype, self.device) for segment in self.segments]
        self.hidden = [layer.name for layer in self.layers[:-1]]
        self.windows = np.full(len(self.hidden), 1.0)
        if settings.windows is not None:
            set_windows(self.windows, settings.windows)
        self.firing = [Firing(s, settings, self.dtype, self.device) for s in self.segments[:-1]]
        self.parameters = {f"{x.name}.{k}": w for x in self.layers for k, w in zip(FIELDS, (x.weights, x.bias))}
        self.optimiser, self.norms = TorchOptimiser(self.parameters, settings), []

    def _forward(self, x, key, rows, keep=None):
        """Return output potentials and what the output layer read; each hidden layer gives `keep` n, its largest x, a trace."""
        s, before = self.settings, INPUT_WINDOW
        x = to_channels_first(torch.as_tensor(np.asarray(x).reshape(-1, *self.source.input_shape)).to(self.device, self.dtype))
        for pool in self.head:
            x, _ = pool.forward(x)
        for n, layer in enumerate(self.layers[:-1]):
            given, window = x, before
            if s.time_bits:
                x = round_times(x, window, s.time_bits, s.time_rounding, torch.floor)
            v, read = layer.potential(x)
            v, firing = self.firing[n].sloped(v, window), self.firing[n]
            lack = -v if keep is not None and s.silent_help else None
            before, pooled = float(self.windows[n]), []
            fired, passes, most = firing.fire(v, before)
            moved = fired
            if key is not None:
                moved, passes = firing.moved(fired, passes, key, rows)
                most = moved.amax()
            x = moved
            for pool in layer.pools:
                x, kept = pool.forward(x)
                pooled.append(kept)
            if keep is not None:
                keep(n, most, Trace(given, read, fired, moved, passes, lack, pooled))
        return self.layers[-1].potential(x)

    @torch.no_grad()
    def step(self, x, labels, key):
        """Run a batch forward and backward; gradients are kept for `update`.

        Parameters
        ----------
        x : ndarray, shape (batch, *input_shape)
            Activations of the input, in [0, 1].
        labels : ndarray of int, shape (batch,)
        key : (int, int)
            Seed and number of the step, for noise.

        Returns
        -------
        Step
        """
        traces, largest = [], []

        def keep(n, most, trace):
            traces.append(trace)
            largest.append(most)

        with exact(self.device):
            logits, read = self._forward(x, key if self.settings.noise_times else None, len(x), keep)
            labels = torch.as_tensor(np.asarray(labels), dtype=torch.long, device=self.device)
            logs = torch.log_softmax(logits, 1)
            loss = -logs.gather(1, labels[:, None]).mean()
            d = torch.exp(logs)
            d[torch.arange(len(labels), device=self.device), labels] -= 1
            loss = loss + self._backward(read, d / len(labels), traces) + self._penalty()
            correct = torch.count_nonzero(logits.argmax(1) == labels)
        return Step(float(loss), int(correct), np.array([max(0.0, float(most)) for most in largest]))

    def _backward(self, read, d, traces):
        """Fill the gradients, the deepest layer first, forgetting its trace; return what hidden neurons add to the loss."""
        s, helped, norms = self.settings, 0.0, []
        back = self.layers[-1].backward(read, d, bool(traces))
        for n in range(len(traces) - 1, -1, -1):
            layer, trace = self.layers[n], traces.pop()
            for pool, kept in zip(layer.pools[::-1], trace.pooled[::-1]):
                back = pool.backward(back, kept)
            norms.append(torch.linalg.vector_norm(back))
            if s.activity_penalty:
                factor = s.activity_penalty / len(back)
                helped = helped + factor * trace.moved.clamp(min=0).sum()
                back = back + factor
            if trace.passes is None:
                d = aten.threshold_backward(back, trace.fired, 0)
            else:
                d = torch.where(trace.passes, back, 0)
            if trace.lack is not None:
                factor = s.silent_help / len(d)
                silent = (trace.lack >= 0).all(dim=0).to(self.dtype)
                helped = helped + factor * (trace.lack * silent).sum()
                d -= factor * silent
            back = layer.backward(trace.read, d, n > 0)
            if n and s.time_bits:
                back = back * ((trace.given >= 0) & (trace.given <= float(self.windows[n - 1])))
        self.norms = [float(norm) for norm in norms]
        return helped

    def _penalty(self):
        """Return the L2 term of the loss."""
        decay = self.settings.weight_decay
        return decay * sum(layer.weights.square().sum() for layer in self.layers) if decay else 0.0

    @torch.no_grad()
    def update(self, rate):
        """Move the parameters by the gradients of the last `step`, with this learning rate."""
        gradients = {f"{x.name}.{key}": g for x in self.layers for key, g in zip(FIELDS, x.gradients)}
        self.optimiser.update(gradients, rate)

    def _rows(self, x):
        """Yield (numbers of samples, the samples) in batches of bounded memory."""
        largest = max(math.prod(shape) for shape in (self.source.input_shape, *(s.shape for s in self.segments)))
        return rows_of(x, max(1, EVALUATION_BYTES // (largest * self.dtype.itemsize)))

    @torch.no_grad()
    def outputs(self, x, key=None, noise=False):
        """Return the output potentials of samples.

        Parameters
        ----------
        x : ndarray, shape (n, *input_shape)
        key : (int, int), optional
            Seed and trial, for noise; a sample's noise depends on its place in x, not on batches.
        noise : bool
            Whether spike times are noisy.

        Returns
        -------
        ndarray, shape (n, classes)
        """
        key = key if noise and self.settings.noise_times else None
        parts = [np.zeros((0, self.segments[-1].shape[0]), self.settings.precision)]
        with exact(self.device):
            parts += [self._forward(part, key, rows)[0].cpu().numpy() for rows, part in self._rows(x)]
        return np.concatenate(parts)

    @torch.no_grad()
    def activity(self, x):
        """Return, for each hidden layer, how often each neuron spikes over the samples: a list of ndarrays of int64."""
        counts = [np.zeros(math.prod(s.shape), np.int64) for s in self.segments[:-1]]

        def count(n, most, trace):
            spikes = torch.count_nonzero(trace.fired > 0, dim=0)
            counts[n] += outward(spikes).reshape(-1)

        with exact(self.device):
            for rows, part in self._rows(x):
                self._forward(part, None, rows, count)
        return counts

    def state(self):
        """Return all that goes on from step to step, as arrays by name, weights in the graph's layout."""
        found = {f"{x.name}.{key}": array for x in self.layers for key, array in x.arrays().items()}
        found |= {name: outward(moment) for name, moment in self.optimiser.moments.items()}
        return found | {"windows": self.windows.copy(), "steps": np.array(self.optimiser.steps)}

    @torch.no_grad()
    def load(self, state):
        """Go on from `state`; DataError if it is of another network."""
        check_state(state, self.state())
        for name, tensor in {**self.parameters, **self.optimiser.moments}.items():
            inward(state[name], tensor)
        self.windows[:], self.optimiser.steps = state["windows"], int(state["steps"])

    def graph(self):
        """Return the trained network; hidden weights are on their grid where they have one."""
        trained = {x.name: replace(x.segment.layer, weights=outward(x.used()), bias=outward(x.bias)) for x in self.layers}
        return replace(self.source, layers=tuple(trained.get(layer.name, layer) for layer in self.source.layers))
