"""Plain twin of hybrid networks and their back-propagation through time, from hybrid-stdb 2.1 - 2.9; every map is a matrix.

A network is a list of layers; a layer is a dict:

    inputs     list of (source, matrix): source -1 is the input, k the layer k; matrix (n_in, n_out)
    theta, leak, v_init
    mask       factor per neuron, constant over time
    pool       matrix (n, n_pooled) behind the mask, or None

and, last, the output: a dict with `inputs` alone. One sample at a time.
"""

import numpy as np


def conv_places(shape, kernel, channels, stride=1):
    """Return (n_in, n_out) indices into flat weights (ky, kx, c_in, c_out), -1 where there is no synapse; same padding."""
    height, width, c_in = shape
    rows, columns = -(-height // stride), -(-width // stride)
    # ceil(n / stride) outputs; the surplus of padding goes below and right
    top = max((rows - 1) * stride + kernel - height, 0) // 2
    left = max((columns - 1) * stride + kernel - width, 0) // 2
    places = np.full((height * width * c_in, rows * columns * channels), -1)
    for y in range(rows):
        for x in range(columns):
            for ky in range(kernel):
                for kx in range(kernel):
                    sy, sx = y * stride - top + ky, x * stride - left + kx
                    if 0 <= sy < height and 0 <= sx < width:
                        for a in range(c_in):
                            for b in range(channels):
                                i, j = (sy * width + sx) * c_in + a, (y * columns + x) * channels + b
                                places[i, j] = ((ky * kernel + kx) * c_in + a) * channels + b
    return places


def conv_matrix(weights, places):
    """Return the matrix of a convolution."""
    return np.where(places >= 0, weights.ravel()[places], 0.0)


def conv_gradient(matrix, places, shape):
    """Return the gradient of the kernel from that of the matrix."""
    out = np.zeros(int(np.prod(shape)))
    np.add.at(out, places[places >= 0], matrix[places >= 0])
    return out.reshape(shape)


def pool_matrix(shape, size=2):
    """Return the matrix of an average pool; rests at the border are dropped."""
    height, width, channels = shape
    rows, columns = height // size, width // size
    out = np.zeros((height * width * channels, rows * columns * channels))
    for y in range(rows * size):
        for x in range(columns * size):
            for c in range(channels):
                out[(y * width + x) * channels + c, (y // size * columns + x // size) * channels + c] = 1 / size**2
    return out


def forward(net, z0, same_step):
    """Run; returns (spikes of each layer (T, n), logits, tape)."""
    steps, layers = len(z0), net[:-1]
    tape = [{key: [] for key in ("u_before", "u_after", "gap", "s", "z", "s_before")} for _ in layers]
    u = [np.full(layer["inputs"][0][1].shape[1], layer["v_init"] * layer["theta"]) for layer in layers]
    tau = [np.full(v.shape, -1000) for v in u]
    fired, y = [np.zeros(v.shape) for v in u], np.zeros(net[-1]["inputs"][0][1].shape[1])
    for t in range(steps):
        sent = {-1: z0[t]}
        for k, layer in enumerate(layers):
            theta, leak, before, owed = layer["theta"], layer["leak"], u[k], fired[k]
            if same_step:
                u[k] = leak * before + _arriving(layer, sent) - theta * owed
                s = (u[k] / theta - 1 > 0).astype(float)
                gap, detected = t - tau[k], t
            else:
                s = (before / theta - 1 > 0).astype(float)
                gap, detected = (t - 1) - tau[k], t - 1
                u[k] = leak * before + _arriving(layer, sent) - theta * s
            tau[k] = np.where(s > 0, detected, tau[k])
            fired[k] = s
            z = s * layer["mask"]
            z = z if layer["pool"] is None else z @ layer["pool"]
            sent[k] = z
            for key, value in (("u_before", before), ("u_after", u[k]), ("gap", gap), ("s", s), ("z", z), ("s_before", owed)):
                tape[k][key].append(value)
        y = y + _arriving(net[-1], sent)
    return [np.array(part["s"]) for part in tape], y, tape


def _arriving(node, sent):
    return sum(sent[source] @ matrix for source, matrix in node["inputs"])


def slope(rule, u, gap, theta):
    """Return ds/dv of one step; rule is ("linear", gamma) or ("stdb", alpha, beta, cutoff)."""
    if rule[0] == "linear":
        return rule[1] * np.maximum(0, 1 - np.abs(u / theta - 1))
    _, alpha, beta, cutoff = rule
    return np.where((gap < cutoff) & (gap < 900), alpha * np.exp(-beta * gap), 0.0)


def backward(net, z0, tape, delta, rule, attached, same_step):
    """Return for each layer {"weights": [matrix per input], "theta", "leak"}, for the output {"weights"}; 2.8 line by line."""
    steps, layers = len(z0), net[:-1]
    found = [{"weights": [np.zeros_like(m) for _, m in node["inputs"]], "theta": 0.0, "leak": 0.0} for node in net]
    g = [np.zeros(part["u_before"][0].shape) for part in tape]
    for t in range(steps - 1, -1, -1):
        above = [*g, delta]  # what consumers have at this step; same_step: replaced below, top first
        for k in range(len(layers) - 1, -1, -1):
            layer, now = layers[k], tape[k]
            theta, leak = layer["theta"], layer["leak"]
            e = np.zeros(g[k].shape)
            for c, node in enumerate(net):
                for source, matrix in node["inputs"]:
                    if source == k:
                        back = matrix @ above[c]
                        e = e + (back if layer["pool"] is None else layer["pool"] @ back) * layer["mask"]
            u = now["u_after" if same_step else "u_before"][t]
            sigma = slope(rule, u, now["gap"][t], theta)
            to_spike = e - theta * g[k] if attached else e
            if same_step:
                new = leak * g[k] + sigma / theta * to_spike
                at, reset = new, now["s_before"][t]
                above[k] = new
            else:
                at, reset = g[k], now["s"][t]
                new = leak * g[k] + sigma / theta * to_spike
            for place, (source, _) in zip(found[k]["weights"], layer["inputs"]):
                place += np.outer(z0[t] if source < 0 else tape[source]["z"][t], at)
            found[k]["theta"] += -(reset * at).sum() - (sigma * u / theta**2 * to_spike).sum()
            found[k]["leak"] += (at * now["u_before"][t]).sum()
            g[k] = new
        for place, (source, _) in zip(found[-1]["weights"], net[-1]["inputs"]):
            place += np.outer(z0[t] if source < 0 else tape[source]["z"][t], delta)
    for k, layer in enumerate(layers):  # the first membrane is v_init theta
        start = layer["leak"] * g[k] if same_step else g[k]
        found[k]["theta"] += layer["v_init"] * start.sum()
    return found
