"""The three losses of kernel optimisation and their steps, layer by layer, as published, with the code's quirks as switches.

With x the activation of the ReLU network, s the step of a neuron's spike in its fire window of T_fd steps, and
x^ = exp(-(s - td) / tau) what the spike says (0 where silent)::

    precision   1/2 mean (x - x^)^2                        over neurons and samples
    minimum     1/2 mean_b (x_min - exp(-(T_fd - 1 - td) / tau))^2     the smallest positive x of a sample against the
                                                           smallest value that can be said
    maximum     1/2 mean_b (exp(-(s_min - td) / tau) - exp(td / tau))^2     the earliest spike against the largest value

Steps: tau <- tau + rho_1 g_1 + rho_2 g_2 from precision and minimum, then td <- td + rho_3 g_3 from the maximum with the
new tau. g_1 is the mean of only those terms that are positive.

Source: Park et al., T2FSNN, DAC 2020; neural-coding 2.7, 5.
"""

from dataclasses import dataclass, field

import numpy as np

NEVER = 99999.9  # the step of a spike that did not come, in the maximum loss
QUIRKS = {
    "inverted_precision": "x^ is 0 where a neuron fired and the kernel's value where it did not",
    "global_time": "the precision loss takes s from the start of the run",
    "sentinel": "the maximum loss takes spikes at step T_fd of the run for silent neurons",
    "targets_without_bias": "activations of all batches but the first are computed without biases",
    "silent_minimum": "the minimum is taken over silent neurons, too",
    "window_end": "the smallest value is taken at step T_fd, behind the last one",
    "first_td": "the td of the first hidden layer does not reach the layer that decodes its spikes",
}


@dataclass
class LayerSums:
    """What one layer's losses need, gathered over the parts of a batch.

    Parameters
    ----------
    tau, td : float
        The layer's kernel while the batch ran.
    window : int
        T_fd.
    opens : int
        Step at which the layer's fire window opens.
    outlier : bool
        Take the 2nd percentile instead of the minimum.
    quirks : frozenset of str
    """

    tau: float
    td: float
    window: int
    opens: int
    outlier: bool = True
    quirks: frozenset = frozenset()
    count: int = 0
    squares: float = 0.0
    slope: float = 0.0
    positive: int = 0
    smallest: list = field(default_factory=list)
    earliest: list = field(default_factory=list)

    def add(self, x, s):
        """Take activations and spike steps (inf where silent) of some samples, both (n_samples, n_neurons)."""
        x = x.reshape(len(x), -1).astype(np.float64)
        fired = np.isfinite(s)
        step = np.where(fired, s + self.opens if "global_time" in self.quirks else s, self.window)
        says = ~fired if "inverted_precision" in self.quirks else fired
        coded = np.where(says, np.exp(-(step - self.td) / self.tau), 0.0)
        terms = (x - coded) * coded * (step - self.td)
        self.count += x.size
        self.squares += float(((x - coded) ** 2).sum())
        self.slope += float(terms[terms > 0].sum())
        self.positive += int((terms > 0).sum())
        self.smallest += [self._minimum(row) for row in x]
        first = s.copy()
        if "sentinel" in self.quirks:
            first[s + self.opens == self.window] = np.inf
        first = first.min(axis=1, initial=np.inf)
        self.earliest += np.where(np.isfinite(first), first, NEVER - self.opens).tolist()

    def _minimum(self, row):
        values = np.maximum(row, 0) if "silent_minimum" in self.quirks else row[row > 0]
        if not values.size:
            return np.nan  # a silent layer has no smallest activation
        return float(np.percentile(values, 2) if self.outlier else values.min())

    @property
    def _last(self):
        return self.window if "window_end" in self.quirks else self.window - 1

    def precision(self):
        """Return the precision loss and its step g_1."""
        step = self.slope / self.positive / self.tau**2 if self.positive else 0.0
        return 0.5 * self.squares / max(1, self.count), step

    def minimum(self):
        """Return the minimum loss and its step g_2."""
        least = np.array(self.smallest)
        least = least[~np.isnan(least)]
        if not least.size:
            return 0.0, 0.0
        step = self._last - self.td
        said = np.exp(-step / self.tau)
        return 0.5 * float(((least - said) ** 2).mean()), float((least.mean() - said) * said * step / self.tau**2)

    def maximum(self, tau=None):
        """Return the maximum loss and its step g_3, with another tau where one is given."""
        tau = self.tau if tau is None else tau
        heard, most = np.exp(-(np.array(self.earliest) - self.td) / tau), np.exp(self.td / tau)
        return 0.5 * float(((heard - most) ** 2).mean()), float(((heard - most) * most / tau).mean())
