"""NumPy twin of hybrid networks, from the equations of the reference text (2.2 - 2.5, 2.7, 2.9), dense and step by step.

A network is a list of nodes in order, each a dict with ``name``, ``kind`` ("spiking", "output", "pool", "mask"), ``source``
and, where it has them, ``matrix`` (sources, targets), ``theta``, ``leak``, ``u0``, ``bias``, ``shortcut`` (source, matrix),
``shape`` (of a pool's source), ``factors`` (of a mask). Nothing of the package is imported.
"""

import numpy as np


def conv_matrix(weights, shape, stride=1):
    """Unroll a convolution with zero padding that keeps ceil(size / stride) positions; the odd row goes behind."""
    (height, width, c_in), (ky, kx, _, c_out) = shape, weights.shape
    oy, ox = -(-height // stride), -(-width // stride)
    top = max((oy - 1) * stride + ky - height, 0) // 2
    left = max((ox - 1) * stride + kx - width, 0) // 2
    matrix = np.zeros((height, width, c_in, oy, ox, c_out), weights.dtype)
    for y in range(oy):
        for x in range(ox):
            for j in range(ky):
                for i in range(kx):
                    sy, sx = y * stride + j - top, x * stride + i - left
                    if 0 <= sy < height and 0 <= sx < width:
                        matrix[sy, sx, :, y, x, :] = weights[j, i]
    return matrix.reshape(height * width * c_in, oy * ox * c_out)


def drive(z, matrix, dtype):
    """Sum what arrives in one step: sources ascending, one rounding per product and per addition."""
    total = np.zeros(matrix.shape[1], dtype)
    for source in np.flatnonzero(z):
        total = total + matrix[source].astype(dtype) * dtype(z[source])
    return total


def pooled(z, shape):
    """Mean of 2 x 2 cells, odd rests dropped; the sum starts at 0 and takes positions row by row."""
    height, width, channels = shape
    image, out = z.reshape(shape), np.zeros((height // 2, width // 2, channels))
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        out = out + image[y : height // 2 * 2 : 2, x : width // 2 * 2 : 2]
    return (out / 4).ravel()


def run(nodes, inputs, mode, dtype=np.float32):
    """Run one sample.

    Parameters
    ----------
    nodes : list of dict
    inputs : ndarray, shape (T, n)
        Signed spikes, or analog values.
    mode : {"pipelined", "same_step"}
    dtype : type

    Returns
    -------
    spikes : dict of str to ndarray of bool, shape (T, n)
    membranes : dict of str to ndarray
        After the last step.
    logits : ndarray
    drives : dict of str to ndarray, shape (T, n)
    """
    size = {n["name"]: n["matrix"].shape[1] for n in nodes if "matrix" in n}
    u = {name: np.zeros(n, dtype) for name, n in size.items()}
    for n in nodes:
        if n["kind"] == "spiking":
            u[n["name"]] += dtype(n.get("u0", 0.0))
    fired = {name: np.zeros(n, bool) for name, n in size.items()}
    seen = {n["name"]: [] for n in nodes if n["kind"] == "spiking"}
    felt = {name: [] for name in size}
    for z0 in np.asarray(inputs, np.float64):
        z = {"input": z0}
        for n in nodes:
            name, before = n["name"], z[n["source"]]
            if n["kind"] == "pool":
                z[name] = pooled(before, n["shape"])
                continue
            if n["kind"] == "mask":
                z[name] = before * n["factors"]
                continue
            arriving = drive(before, n["matrix"], dtype)
            if "bias" in n:
                arriving = arriving + n["bias"].astype(dtype)
            felt[name].append(arriving)
            if n["kind"] == "output":
                u[name] = u[name] + arriving
                continue
            theta, leak = dtype(n["theta"]), dtype(n["leak"])
            spiking = u[name] > theta if mode == "pipelined" else fired[name]
            moved = leak * u[name] + arriving
            if "shortcut" in n:
                moved = moved + drive(z[n["shortcut"][0]], n["shortcut"][1], dtype)
            u[name] = np.where(spiking, moved - theta, moved)
            fired[name] = spiking if mode == "pipelined" else u[name] > theta
            z[name] = fired[name].astype(np.float64)
            seen[name].append(fired[name])
    logits = u[next(n["name"] for n in nodes if n["kind"] == "output")]
    stacked = {name: np.array(found) for name, found in seen.items()}
    return stacked, u, logits, {name: np.array(found) for name, found in felt.items()}
