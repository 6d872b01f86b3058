"""Dense networks of single-spike neurons in closed form: spike times, exact gradients, and the ReLU twin; NumPy and BLAS.

With R the window of a layer, D its offsets and x = R - t what its spikes carry (t from the opening of the window)::

    V = J x_before,  t = (R - D) - V,  silent where t >= R,  L = mean cross-entropy of D + J x at the output

    dL/dx_before = J^T d,  dL/dJ = d x_before^T,  dL/dD = d,  d = dL/dx where a spike came inside its window, else 0

which are the formulas of a ReLU network with w = J, b = D: the same initial values, data and optimiser give the same trajectory.
Ties: t = R exactly is silent; t = 0 exactly spikes in time, and its gradient passes.

Source: Stanojevic et al., Nature Communications 15:6793 (2024); ttfs-relu-equivalence 2.1 - 2.5.
"""

from dataclasses import replace

import numpy as np

from eventsnn.learning.optimisers import Optimiser
from eventsnn.learning.ttfs.parts import INPUT_WINDOW, Step, check_state, cross_entropy, dense_segments, rows_of, set_windows
from eventsnn.learning.ttfs.rounding import WeightGrid, normals, round_times


class DenseTtfs:
    """A network of dense layers while it is trained: gated ramps (B1), or their ReLU twin.

    Parameters
    ----------
    graph : LayerGraph
        Folded network; ReLU between Dense layers, the last one bare. It stays as it is.
    settings : TtfsSettings

    Attributes
    ----------
    hidden : list of str
        Names of the hidden layers.
    windows : ndarray of float64, (hidden layers,)
        R_n in use, ms; may be changed in place.
    parameters, gradients : dict of str to ndarray
        "LAYER.weights" (J, sources by rows) and "LAYER.bias" (D), and the slopes of the last step.
    norms : list of float
        Norm of dL/dt of each hidden layer in the last step, the deepest first.

    Raises
    ------
    ModelError
        If a layer is not dense.
    """

    def __init__(self, graph, settings):
        self.source, self.settings, self.dtype = graph, settings, np.dtype(settings.precision)
        self.segments = dense_segments(graph)
        self.names = [s.name for s in self.segments]
        self.hidden = self.names[:-1]
        self.windows = np.full(len(self.hidden), 1.0)
        if settings.windows is not None:
            set_windows(self.windows, settings.windows)
        self.parameters = self._initial()
        self.gradients = {name: np.zeros_like(w) for name, w in self.parameters.items()}
        self.optimiser = Optimiser(self.parameters, settings.optimiser, settings.momentum, settings.weight_decay)
        self.grids = {name: WeightGrid.of(settings, self.parameters[f"{name}.weights"]) for name in self.hidden}
        self.slopes = {s.name: self._slope_noise(s) for s in self.segments[:-1]}
        self.norms = []

    def _initial(self):
        """Return the parameters to start from."""
        found = {}
        for s in self.segments:
            found[f"{s.name}.weights"] = np.array(s.layer.weights, self.dtype, order="C")
            found[f"{s.name}.bias"] = np.array(s.bias(), self.dtype, order="C")
        return found

    def _slope_noise(self, segment):
        """Return the slope that each neuron of a layer has in addition, frozen for the run."""
        if not self.settings.noise_alpha:
            return None
        drawn = normals(self.settings.seed, f"alpha {segment.name}", 0, 1, int(np.prod(segment.shape)))[0]
        return (self.settings.noise_alpha * drawn).astype(self.dtype)

    def _flat(self, x):
        """Return samples as rows, in the precision of the training."""
        return x.reshape(len(x), -1).astype(self.dtype, copy=False)

    def _fire(self, n, given, weights, before):
        """Return (x, where gradients pass, lack): activations of hidden layer n; lack is t - R, the deficit of silent ones."""
        name = self.hidden[n]
        v = given @ weights
        if self.settings.neuron == "relu":
            v += self.parameters[f"{name}.bias"]
            return np.maximum(v, 0), v > 0, -v
        if self.slopes[name] is not None:
            v += self.slopes[name] * self.dtype.type(before)
        window = self.dtype.type(self.windows[n])
        times = (window - self.parameters[f"{name}.bias"]) - v
        passes, lack = times < window, times - window
        x = np.where(passes, window - times, 0)
        if self.settings.early == "saturate":
            early = times < 0
            x, passes = np.where(early, window, x), passes & ~early
        return x, passes, lack

    def _slope_back(self, n, given, x, d):
        """Fill dL/dJ and dL/dD of hidden layer n from dL/dx where it passes; returns what goes back through J."""
        np.matmul(given.T, d, out=self.gradients[f"{self.hidden[n]}.weights"])
        self.gradients[f"{self.hidden[n]}.bias"][...] = d.sum(axis=0)
        return d

    def _forward(self, x, key, rows):
        """Return (logits, per hidden layer (read, x, passes, lack, weights), what the output layer read)."""
        seen, before, layers = x, INPUT_WINDOW, []
        for n, name in enumerate(self.hidden):
            read = self._read(seen, before)
            weights = self.parameters[f"{name}.weights"]
            weights = weights if self.grids[name] is None else self.grids[name].round(weights)
            x, passes, lack = self._fire(n, read, weights, before)
            if key is not None:
                x, passes = self._moved(name, x, passes, key, rows)
            layers.append((read, x, passes, lack, weights, seen))
            seen, before = x, self.windows[n]
        last = self.names[-1]
        return seen @ self.parameters[f"{last}.weights"] + self.parameters[f"{last}.bias"], layers, seen

    def _read(self, x, window):
        """Return activations as a hidden layer reads them: with their spike times on the grid."""
        s = self.settings
        return round_times(x, window, s.time_bits, s.time_rounding).astype(self.dtype, copy=False) if s.time_bits else x

    def _moved(self, name, x, passes, key, rows):
        """Return activations after noise on spike times, and where gradients pass."""
        s = self.settings
        noise = (s.noise_times * normals(key[0], name, key[1], rows, x.shape[1])).astype(self.dtype)
        if s.noise_silent:
            return x - noise, passes
        moved = np.where(x > 0, np.maximum(x - noise, 0), 0)  # a spike after its window has no effect
        return moved, passes & (moved > 0)

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
        x = self._flat(x)
        logits, layers, last = self._forward(x, key if self.settings.noise_times else None, len(x))
        losses, d = cross_entropy(logits, labels)
        loss = float(losses.mean())
        largest = np.array([layer[1].max(initial=0.0) for layer in layers], np.float64)
        loss += self._backward(layers, last, d) + self._penalty()
        return Step(loss, int(np.count_nonzero(logits.argmax(axis=1) == labels)), largest)

    def _backward(self, layers, last, d):
        """Fill the gradients; returns what the regularisers of hidden neurons add to the loss."""
        s, g, name = self.settings, self.gradients, self.names[-1]
        np.matmul(last.T, d, out=g[f"{name}.weights"])
        g[f"{name}.bias"][...] = d.sum(axis=0)
        back, helped = d @ self.parameters[f"{name}.weights"].T, 0.0
        self.norms = []
        for n in range(len(layers) - 1, -1, -1):
            read, x, passes, lack, weights, seen = layers[n]
            name = self.hidden[n]
            self.norms.append(float(np.linalg.norm(back)))
            if s.activity_penalty:
                factor = s.activity_penalty / len(x)
                helped += factor * float(np.maximum(x, 0).sum())
                back = back + self.dtype.type(factor)
            d = np.where(passes, back, 0)
            if s.silent_help:
                silent = (lack >= 0).all(axis=0)
                factor = s.silent_help / len(d)
                helped += factor * float(lack[:, silent].sum())
                d[:, silent] -= self.dtype.type(factor)
            d = self._slope_back(n, read, x, d)
            if self.grids[name] is not None:
                g[f"{name}.weights"] *= self.grids[name].inside(self.parameters[f"{name}.weights"])
            if n:
                back = d @ weights.T
                if s.time_bits:
                    back *= (seen >= 0) & (seen <= self.windows[n - 1])
        return helped

    def _penalty(self):
        """Return the L2 term of the loss."""
        decay = self.settings.weight_decay
        return decay * sum(float(np.vdot(w, w)) for w in self.parameters.values() if w.ndim > 1) if decay else 0.0

    def update(self, rate):
        """Move the parameters by the gradients of the last `step`, with this learning rate."""
        self.optimiser.update(self.gradients, rate)

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
        parts = [self._forward(self._flat(part), key, rows)[0] for rows, part in rows_of(x)]
        return np.concatenate(parts) if parts else np.zeros((0, self.segments[-1].shape[0]), self.dtype)

    def activity(self, x):
        """Return, for each hidden layer, how often each neuron spikes over the samples: a list of ndarrays of int64."""
        counts = [np.zeros(int(np.prod(s.shape)), np.int64) for s in self.segments[:-1]]
        for rows, part in rows_of(x):
            for n, layer in enumerate(self._forward(self._flat(part), None, rows)[1]):
                counts[n] += np.count_nonzero(layer[1] > 0, axis=0)
        return counts

    def state(self):
        """Return all that goes on from step to step, as copies by name."""
        arrays = {**self.parameters, **self.optimiser.moments}
        return {name: array.copy() for name, array in arrays.items()} | {
            "windows": self.windows.copy(), "steps": np.array(self.optimiser.steps)}  # fmt: skip

    def load(self, state):
        """Go on from `state`; DataError if it is of another network."""
        check_state(state, self.state())
        for name, array in {**self.parameters, **self.optimiser.moments, "windows": self.windows}.items():
            array[...] = state[name]
        self.optimiser.steps = int(state["steps"])

    def graph(self):
        """Return the trained network; hidden weights are on their grid where they have one."""
        trained = {}
        for s in self.segments:
            weights = self.parameters[f"{s.name}.weights"]
            grid = self.grids.get(s.name)
            weights = weights if grid is None else grid.round(weights)
            trained[s.name] = replace(s.layer, weights=weights, bias=self.parameters[f"{s.name}.bias"])
        return replace(self.source, layers=tuple(trained.get(layer.name, layer) for layer in self.source.layers))
