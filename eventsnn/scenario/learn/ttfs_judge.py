"""Samples as TTFS training takes them, and the accuracy of a network on them, noise and roundings included."""

import numpy as np

from eventsnn.errors import DataError
from eventsnn.metrics import accuracy, agreement
from eventsnn.scenario.rules.sections import encoders


class InputMap:
    """Brings samples to the activations that the input's spikes carry, as the scenario's ttfs encoder does."""

    def __init__(self, loaded):
        code = next(iter(encoders(loaded.spec).values()), None)
        self.p, self.q, self.clip, self.dtype = (0.0, 1.0, False, "float32") if code is None else (
            code.p, code.q, code.clip, code.dtype)  # fmt: skip

    def __call__(self, samples):
        """Return activations in [0, 1]; DataError where a sample is above q and not clipped, or has no values."""
        if samples.x is None:
            raise DataError(f"{samples.name}: training needs images with labels, this data set holds recordings")
        x = samples.x if (self.p, self.q) == (0, 1) else (samples.x.astype(self.dtype) - self.p) / (self.q - self.p)
        low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
        if high > 1 and not self.clip:
            raise DataError(f"{samples.name}: values up to {samples.x.max():g} are above encode.q = {self.q:g}; raise it, or "
                            "set encode.clip")  # fmt: skip
        return x if low >= 0 and high <= 1 else x.clip(0, 1)  # training data are large: no copy without need

    def inside(self, graph):
        """Return a network of raw samples as one of activations."""
        from eventsnn.conversion.fold import fold_batch_norm, fuse_input_range

        return fuse_input_range(fold_batch_norm(graph), self.p, self.q)

    def outside(self, graph):
        """Return a network of activations as one of raw samples."""
        from eventsnn.conversion.fold import fuse_input_range

        if (self.p, self.q) == (0, 1):
            return graph
        span = self.q - self.p
        return fuse_input_range(graph, -self.p / span, (1 - self.p) / span)


class Judge:
    """Measures a backend on the samples of `test`, noise and roundings included."""

    def __init__(self, job, settings, graph):
        from eventsnn.learning.ttfs.parts import fitted

        self.settings, self.spec = settings, job.spec.learn
        self.samples = [job.load(data) for data in self.spec.test]
        code = InputMap(job.loaded)
        self.inputs = [fitted(graph, code(samples), samples.labels, samples.name) for samples in self.samples]

    def __call__(self, backend):
        """Return one record for each data set, plain data."""
        return [self._one(backend, samples, x) for samples, x in zip(self.samples, self.inputs)]

    def _one(self, backend, samples, x):
        noisy = self.settings.noise_times > 0 or self.spec.noise.input > 0
        trials = [self._answers(backend, samples, x, k) for k in range(self.spec.trials if noisy else 1)]
        right = [accuracy(answers, samples.labels) for answers in trials]
        counts = backend.activity(x)
        sizes, total = sum(c.size for c in counts), sum(int(c.sum()) for c in counts)
        record = {"data": samples.name, "samples": len(x), "accuracy": float(np.mean(right)),
                  "spikes_per_neuron": total / max(1, sizes * len(x)),
                  "spikes_per_neuron_by_layer": [int(c.sum()) / (c.size * len(x)) for c in counts]}  # fmt: skip
        if noisy:
            record |= {"trials": len(right), "accuracy_std": float(np.std(right)), "accuracies": right,
                       "accuracy_without_noise": accuracy(backend.outputs(x).argmax(axis=1), samples.labels)}  # fmt: skip
        twin = getattr(backend, "second", None)
        if twin is not None:
            ours, theirs = backend.outputs(x), twin.outputs(x)
            record |= {"twin_accuracy": accuracy(theirs.argmax(axis=1), samples.labels),
                       "twin_agreement": agreement(ours.argmax(axis=1), theirs.argmax(axis=1)),
                       "twin_difference": float(np.abs(ours - theirs).max(initial=0.0))}  # fmt: skip
        return record

    def _answers(self, backend, samples, x, trial):
        from eventsnn.learning.ttfs.rounding import normals
        from eventsnn.random import key

        if self.spec.noise.input:
            moved = self.spec.noise.input * normals(self.settings.seed, "input", trial, samples.ids, x[0].size).reshape(x.shape)
            x = np.minimum(x - moved, 1.0).astype(x.dtype)  # t = max(0, t + noise)
        noise = key(self.settings.seed, "test"), trial
        return backend.outputs(x, noise, noise=self.settings.noise_times > 0).argmax(axis=1)
