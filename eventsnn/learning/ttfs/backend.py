"""Which backend trains a network, how it is split from the held-out samples, and how long its windows are.

`DenseTtfs` takes dense layers (closed form, NumPy), `Alpha1Ttfs` the negative control, `torch_net.TorchTtfs` convolutions and
pools.
"""

import numpy as np

from eventsnn.ann.layers import Conv2d
from eventsnn.conversion.scales import layer_scales
from eventsnn.conversion.segments import cut
from eventsnn.errors import ModelError, RunError
from eventsnn.learning.ttfs.parts import INPUT_WINDOW
from eventsnn.random import key, uniform


def make_backend(graph, settings, x=None):
    """Return the backend that trains a folded network, its windows set.

    Parameters
    ----------
    graph : LayerGraph
    settings : TtfsSettings
    x : ndarray, shape (n, *input_shape), optional
        Training inputs in [0, 1]; needed where a scan decides the windows ("fit", and "grow" without ``windows``). The held-out
        part is not looked at.

    Returns
    -------
    DenseTtfs, Alpha1Ttfs or TorchTtfs

    Raises
    ------
    RunError
        If the network has convolutions or pools and PyTorch is not installed.
    ModelError
        If a layer cannot be trained (it is named), or inputs to scan are missing.
    """
    head, segments = cut(graph)
    plain = not head and not any(s.pools or isinstance(s.layer, Conv2d) for s in segments)
    if settings.neuron == "alpha1":
        from eventsnn.learning.ttfs.alpha1 import Alpha1Ttfs as Backend
    elif plain:
        from eventsnn.learning.ttfs.dense import DenseTtfs as Backend
    else:
        try:
            from eventsnn.learning.ttfs.torch_net import TorchTtfs as Backend
        except ImportError:
            raise RunError("TTFS training of convolutions and pools needs PyTorch: pip install 'eventsnn[ann]'") from None
    backend = Backend(graph, settings)
    if settings.window == "fit" or (settings.window == "grow" and settings.windows is None):
        if x is None:
            raise ModelError(f"training: window '{settings.window}' needs training inputs to scan, or windows to start from")
        seen = x[np.sort(split(settings, len(x))[0])] if settings.validation else x
        backend.windows[:] = scanned_windows(backend.graph(), seen, settings)
    return backend


def split(settings, n):
    """Return the numbers of the training samples in shuffled order, and those of the held-out ones.

    Parameters
    ----------
    settings : TtfsSettings
        ``seed`` and ``validation``.
    n : int
        Samples.

    Returns
    -------
    tuple of two ndarray of int
    """
    order = np.argsort(uniform(key(settings.seed, "split"), 0, 0, n), kind="stable")
    return order[: n - settings.validation], np.sort(order[n - settings.validation :])


def latency(windows):
    """Return when the output is read: the input's window and those of all hidden layers, ms."""
    return INPUT_WINDOW + float(np.sum(windows))


def scanned_windows(graph, x, settings):
    """Return windows (1 + zeta) X_n from a scan.

    Parameters
    ----------
    graph : LayerGraph
        Folded network, as it is now.
    x : ndarray, shape (n, *input_shape)
        Input activations in [0, 1]; ``settings.scan`` says how many are looked at.
    settings : TtfsSettings

    Returns
    -------
    ndarray of float64, (hidden layers,)
        X_n: the greatest activation, or the quantile ``latency_quantile`` of all; 1 where a layer never acts.
    """
    x = x[: settings.scan or len(x)]
    whole = settings.latency_quantile == 1
    rule = {"rule": "layer_max"} if whole else {"rule": "percentile", "percentile": 100 * settings.latency_quantile}
    return (1 + settings.zeta) * np.array(list(layer_scales(graph, x, **rule).values()), np.float64)
