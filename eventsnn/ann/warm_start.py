"""Initial weights from another network: whatever has the same name and shape."""

from eventsnn.errors import ModelError, did_you_mean


def warm_start(graph, arrays, *, partial=False):
    """Fill a network with the arrays of another one, name by name.

    Parameters
    ----------
    graph : LayerGraph
        Network with fresh weights.
    arrays : dict of str to ndarray
        ``{"layer.field": array}``, as `eventsnn.ann.files.read_arrays` gives them.
    partial : bool, optional
        Accept that some arrays of the network are not filled.

    Returns
    -------
    tuple of LayerGraph and dict
        The network, and the report: names ``copied``; ``kept`` fresh, each with the reason; ``unused`` arrays of the file.

    Raises
    ------
    ModelError
        If nothing fits, or, without ``partial``, anything is left fresh.
    """
    own, copied, kept = graph.parameters(), {}, {}
    for name, value in own.items():
        if name not in arrays:
            kept[name] = f"the file has no such array{did_you_mean(name, arrays)}"
        elif arrays[name].shape != value.shape:
            kept[name] = f"has shape {value.shape}, in the file {arrays[name].shape}"
        else:
            copied[name] = arrays[name]
    if not copied:
        raise ModelError("warm start: no array of the file has name and shape of one of the network; it holds "
                         f"{', '.join(arrays) or 'none'}, the network {', '.join(own)}")  # fmt: skip
    if kept and not partial:
        listed = "; ".join(f"'{name}' {why}" for name, why in kept.items())
        raise ModelError(f"warm start: {len(kept)} of {len(own)} arrays would keep fresh weights: {listed}; if that is meant, "
                         "say partial: true")  # fmt: skip
    unused = [name for name in arrays if name not in copied]
    return graph.with_parameters(copied), {"copied": list(copied), "kept": kept, "unused": unused}
