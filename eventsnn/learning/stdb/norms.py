"""How large the weight gradients of a hybrid network are, layer by layer: what a detached reset does with depth."""

import numpy as np

from eventsnn.ann.device import choose_device, torch_mode
from eventsnn.ann.torch_net import torch
from eventsnn.learning.stdb.net import StdbNet
from eventsnn.learning.stdb.settings import StdbSettings


def gradient_norms(hybrid, images, labels, settings, seed=0):
    """Return the norm of the loss's gradient with respect to the weights of each layer.

    Parameters
    ----------
    hybrid : HybridNet
    images : array_like, shape (n, *input_shape)
    labels : array_like of int, shape (n,)
    settings : StdbSettings or dict
        Its steps, surrogate and reset_gradient count.
    seed : int, optional
        Of the input spikes.

    Returns
    -------
    ndarray of float64
        One per weighted layer, the first layer first, the output last; mean loss over the images, masks of ones.
    """
    settings = StdbSettings.of(settings)
    device = choose_device(settings.device)
    with torch_mode(settings, device):
        net = StdbNet(hybrid, settings, device)
        ((_, logits, _),) = net.segments(images, np.arange(len(images)), seed, masks=False, whole=True)
        torch.nn.functional.cross_entropy(logits, torch.as_tensor(np.asarray(labels), device=device)).backward()
        return np.array([module.weight.grad.double().norm().item() for module in net.weights])


def growth(norms):
    """Return the factor by which gradients grow from a hidden layer to the one below it: the geometric mean over the layers.

    Parameters
    ----------
    norms : ndarray
        Of `gradient_norms`; the output layer, which has no surrogate, is left out.

    Returns
    -------
    float
    """
    hidden = np.asarray(norms)[:-1]
    return float((hidden[0] / hidden[-1]) ** (1 / (len(hidden) - 1)))
