"""Evaluation of the ReLU network alone: as it was trained, and with batch norm folded as conversions take it."""

import numpy as np

from eventsnn.errors import ModelError
from eventsnn.metrics import accuracy, agreement


def evaluate_source(graph, samples):
    """Measure a ReLU network on labelled samples.

    Parameters
    ----------
    graph : LayerGraph
    samples : Samples
        With values and labels.

    Returns
    -------
    metrics : dict
        samples; source_accuracy, unless the activations are gone (conversion.qcfs); where the network can be folded:
        folded_accuracy and folded_agreement (share of samples with the same class before and after), and active_share: the share
        of hidden ReLU outputs above 0, in total and per layer, which is the number of spikes per neuron of a time-to-first-spike
        network that loses nothing.
    warnings : list of str
        Why the network cannot be folded, if so.
    """
    from eventsnn.ann.quantised import Qcfs, QuantReLU
    from eventsnn.conversion.fold import fold_batch_norm
    from eventsnn.conversion.qcfs import SCALED
    from eventsnn.conversion.segments import cut

    if SCALED in graph.meta:
        return {"samples": len(samples)}, ["the weights carry the tops of a clip-floor-shift network that has been converted: "
                                           "its activations are gone, so it has no accuracy of its own"]  # fmt: skip
    x = graph.as_inputs(samples.x)
    prediction = np.argmax(graph.forward(x), axis=1)
    found = {"samples": len(samples), "source_accuracy": accuracy(prediction, samples.labels)}
    if any(isinstance(layer, Qcfs | QuantReLU) for layer in graph.layers):  # converted by rules of their own
        return found, []
    try:
        folded = fold_batch_norm(graph)
        hidden = [s for s in cut(folded)[1] if not s.is_output]
    except ModelError as error:
        return found, [f"the network was evaluated as it is, but cannot be converted: {error}"]
    active, again = {s.name: 0 for s in hidden}, []
    for _, values in folded.batches(x):
        again.append(np.argmax(values[folded.layers[-1].name], axis=1))
        for name in active:
            active[name] += int(np.count_nonzero(values[name] > 0))
    again = np.concatenate(again)
    sizes = {s.name: int(np.prod(s.shape)) * len(x) for s in hidden}
    found["folded_accuracy"] = accuracy(again, samples.labels)
    found["folded_agreement"] = agreement(again, prediction)
    if hidden:
        found["active_share"] = {"total": sum(active.values()) / sum(sizes.values()),
                                 "per_layer": {name: n / sizes[name] for name, n in active.items()}}  # fmt: skip
    return found, []
