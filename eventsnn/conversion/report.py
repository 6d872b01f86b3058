"""What a conversion lost, layer by layer: activations of the ReLU network against decoded spikes, and where the loss arises.

A converter says in `report["layers"]`, for each hidden population in order of depth, how its spikes are read::

    {"layer": name, "scale": s, "decode": {"per": p, "largest": m}}

so that the decoded activation of a neuron after t steps is s d, where d is the sum of the amplitudes of its spikes so far,
divided by t / p (`per` null: not divided, the value is told once). d never exceeds `largest` (null: no bound). With "close": c
a spike at time s counts c - s instead of its amplitude (ungated ramps). `scale` is one number or one for each channel. Layers
without `decode` (an output that does not spike) are left out.
"""

import numpy as np

from eventsnn.conversion.fold import fold_batch_norm
from eventsnn.conversion.segments import cut
from eventsnn.errors import ModelError
from eventsnn.metrics import accuracy, agreement


def decode(raster, row, until=None):
    """Return what the spikes of a layer stand for, in units of its scale.

    Parameters
    ----------
    raster : SpikeRaster
        Output of the population.
    row : dict
        Its entry in `report["layers"]`.
    until : number, optional
        Steps (grid clock) or ms; None: the whole run.

    Returns
    -------
    ndarray (n_samples, size), float64
    """
    until = raster.duration if until is None else until
    inside = raster.times < until if until < raster.duration else np.ones(raster.n_spikes, bool)
    amplitudes = None if raster.amplitudes is None else raster.amplitudes[inside]
    if "close" in row["decode"]:
        amplitudes = row["decode"]["close"] - raster.times[inside]
    place = (raster.sample_of_spike() * raster.size + raster.ids)[inside]
    sums = np.bincount(place, amplitudes, raster.n_samples * raster.size).reshape(raster.n_samples, raster.size)
    per = row["decode"]["per"]
    return sums.astype(np.float64) if per is None else sums * (per / until)


def conversion_report(graph, x, rasters, report, labels=None, times=()):
    """Compare a ReLU network with the spikes of its conversion on some samples.

    Parameters
    ----------
    graph : LayerGraph
        The source network, as it was converted.
    x : array_like (n, *input_shape)
        Inputs, as the ReLU network takes them.
    rasters : dict of str to SpikeRaster
        Spikes of these samples by population; layers without a raster are left out.
    report : dict
        What the converter returned beside the network.
    labels : array_like of int (n,), optional
        Classes, for accuracies.
    times : sequence of number
        Steps (grid clock) after which the error is also stated: the error over time.

    Returns
    -------
    dict
        samples; source_accuracy (with labels); layers: for each the figures of the notes. Plain data.

    Raises
    ------
    ModelError
        If the converter does not say how spikes are decoded, or sizes do not fit.

    Notes
    -----
    With a the ReLU activation and d the decoded one, both in units of the layer's scale, over all neurons and samples:
    **error** mean |d - a|; **bias** mean (d - a); **correlation** Pearson's; **clipped** the share with a above `largest`;
    **silenced** the share of the positive a without a spike.

    The error has two sources. With a' the activation that the ReLU layer computes from the *decoded* activations of the layer
    before, **inherited** is mean |a' - a| (what came in wrong) and **own** is mean |d - a'|: the part lost by clipping
    (**own_clipped**: |d - a'| where a' is above `largest`), by silence (**own_silenced**: where a' > 0 and no spike came), and by
    rounding and timing (**own_rounding**: the rest).

    **agreement_from_here** and **accuracy_from_here**: the decoded activations of this layer are fed into the rest of the ReLU
    network; from layer to layer they show where classes are lost.
    """
    folded = fold_batch_norm(graph).astype(np.float64)
    segments = {s.name: s for s in cut(folded)[1]}
    x = np.asarray(folded.as_inputs(x), np.float64)
    if not len(x):
        raise ModelError("conversion report: needs at least one sample, got none")
    logits = folded.forward(x)
    whole, rows, before = logits.argmax(axis=1), [], x
    told = [row for row in report.get("layers", ()) if "decode" in row]
    if not told:
        raise ModelError(f"conversion report: {report.get('mapping', 'this converter')} does not say how spikes are decoded")
    for row in told:
        name = row["layer"]
        if name not in rasters or name not in segments:
            before = None  # the layer after it cannot be told what it inherits
            continue
        raster, segment = rasters[name], segments[name]
        if raster.n_samples != len(x) or raster.size != np.prod(segment.shape):
            raise ModelError(f"conversion report: layer '{name}': spikes of {raster.n_samples} samples and {raster.size} neurons "
                             f"do not fit {len(x)} inputs and a layer of shape {segment.shape}")  # fmt: skip
        layer = _Layer(folded, segment, row, x)
        found, before = layer.compare(raster, before)
        if times:
            found["error_over_time"] = [float(np.abs(decode(raster, row, t) - layer.wanted).mean()) for t in times]
        end = layer.rest(before).argmax(axis=1)
        found["agreement_from_here"] = agreement(end, whole)
        if labels is not None:
            found["accuracy_from_here"] = accuracy(end, np.asarray(labels))
        rows.append(found)
    result = {"samples": len(x), "layers": rows}
    return result | ({"source_accuracy": accuracy(whole, np.asarray(labels))} if labels is not None else {})


class _Layer:
    """One hidden layer: what it should say, and how it goes on from what is said."""

    def __init__(self, graph, segment, row, x):
        self.graph, self.segment, self.row = graph, segment, row
        self.scale = np.resize(np.asarray(row["scale"], np.float64), np.prod(segment.shape))  # channels are the fastest index
        self.index = graph.index(segment.name)
        self.wanted = self._units(graph.forward(x, upto=segment.name))

    def _units(self, values):
        return np.maximum(values, 0).reshape(len(values), -1) / self.scale

    def _told(self, values):
        """Activation that the ReLU layer computes from what it is given: inputs, or decoded activations of the layer before."""
        names = [s.name for s in cut(self.graph)[1]]
        place = names.index(self.segment.name)
        start = self.graph.index(names[place - 1]) + 1 if place else 0
        return self._units(_through(self.graph, values, start, self.index + 1))

    def compare(self, raster, given):
        """Return (figures, decoded activations in the network's own units)."""
        decoded, wanted = decode(raster, self.row), self.wanted
        largest, silent = self.row["decode"]["largest"], raster.counts() == 0
        found = {
            "layer": self.segment.name, "neurons": raster.size, "spikes_per_neuron": raster.n_spikes / max(decoded.size, 1),
            "mean_activation": float(wanted.mean()), "error": float(np.abs(decoded - wanted).mean()),
            "bias": float((decoded - wanted).mean()), "correlation": _correlation(decoded, wanted),
            "clipped": 0.0 if largest is None else float((wanted > largest).mean()),
            "silenced": float(silent[wanted > 0].mean()) if (wanted > 0).any() else 0.0,
        }  # fmt: skip
        if given is not None:
            told = self._told(given)
            own = np.abs(decoded - told)
            clipped = np.zeros(own.shape, bool) if largest is None else told > largest
            silenced = silent & (told > 0) & ~clipped
            found |= {
                "inherited": float(np.abs(told - wanted).mean()), "own": float(own.mean()),
                "own_clipped": float(own[clipped].sum() / own.size), "own_silenced": float(own[silenced].sum() / own.size),
                "own_rounding": float(own[~clipped & ~silenced].sum() / own.size),
            }  # fmt: skip
        return found, (decoded * self.scale).reshape(len(decoded), *self.segment.shape)

    def rest(self, values):
        """Return the logits of the ReLU network when this layer says `values`."""
        return _through(self.graph, values, self.index + 1, len(self.graph.layers))


def _through(graph, values, start, stop):
    """Return what the layers start .. stop - 1 make of values, in batches of bounded memory."""
    size, parts = graph.batch_size(), []
    for first in range(0, len(values), size):
        part = values[first : first + size]
        for layer in graph.layers[start:stop]:
            part = layer.apply(part)
        parts.append(part)
    return np.concatenate(parts)


def _correlation(a, b):
    """Return Pearson's correlation, or None where one of them does not vary."""
    a, b = (values.ravel() - values.mean() for values in (a, b))
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else None
