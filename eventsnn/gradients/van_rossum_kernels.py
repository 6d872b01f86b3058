"""Loops of the van Rossum distance: one pass over merged spikes with a decaying trace; the work is linear in spikes.

f - g, the difference of two filtered trains, is a single trace d: it jumps by the net number of spikes of an instant and
decays in between. Over an interval of length x it gives the squared distance ½ d² (1 - exp(-2x/tau)): a sum of terms that are
never negative, so nothing cancels, and trains that are equal have d = 0 throughout.
"""

import math

import numpy as np


def decay(x, tau):
    """exp(-x / tau), also for x = 0, tau = 0 and infinite ones (a trace fades in the end, however slow)."""
    if x == 0.0:
        return 1.0
    return 0.0 if tau == 0.0 or x == np.inf else math.exp(-x / tau)


def faded(x, tau):
    """1 - exp(-2x / tau) without cancellation."""
    if x == 0.0:
        return 0.0
    return 1.0 if tau == 0.0 or x == np.inf else -math.expm1(-2.0 * x / tau)


def order_by_neuron(ids, ptr, order):
    """Order spikes by neuron, else as they stand, by counting: ``order[ptr[i] : ptr[i + 1]]`` are those of neuron i."""
    for k in range(ids.size):
        ptr[ids[k] + 1] += 1
    for i in range(ptr.size - 1):
        ptr[i + 1] += ptr[i]
    place = ptr[:-1].copy()
    for k in range(ids.size):
        order[place[ids[k]]] = k
        place[ids[k]] += 1


def next_instant(a, i, b, j):
    """The earliest time from a[i:] and b[j:] on, and where the spikes after it begin."""
    if j == b.size or (i < a.size and a[i] <= b[j]):
        t = a[i]
    else:
        t = b[j]
    while i < a.size and a[i] == t:
        i += 1
    while j < b.size and b[j] == t:
        j += 1
    return t, i, j


def pair_squared(a, b, tau, stop):
    """Squared distance of two sorted trains, integrated up to `stop`."""
    i = j = 0
    d = last = total = 0.0
    while i < a.size or j < b.size:
        t, after_i, after_j = next_instant(a, i, b, j)
        total += 0.5 * d * d * faded(t - last, tau)
        d = d * decay(t - last, tau) + ((after_i - i) - (after_j - j))
        i, j, last = after_i, after_j, t
    return total + 0.5 * d * d * faded(stop - last, tau)


def pairs_squared(times_a, ptr_a, times_b, ptr_b, tau, stop, out):
    """Squared distances of train k of the one and train k of the other, for all k."""
    for k in range(out.size):
        out[k] = pair_squared(times_a[ptr_a[k] : ptr_a[k + 1]], times_b[ptr_b[k] : ptr_b[k + 1]], tau, stop)


def pair_gradient(a, b, tau, stop, out):
    """Derivative of the squared distance in every time of `a`: (N - M) / tau, traces of what comes later and of what came before.

    0 at ties, where the distance has a cusp.
    """
    if tau == 0.0:
        out[:] = 0.0
        return
    i = j = 0
    d = last = 0.0
    while i < a.size or j < b.size:
        t, after_i, after_j = next_instant(a, i, b, j)
        d *= decay(t - last, tau)
        for k in range(i, after_i):
            out[k] = -d
        d += (after_i - i) - (after_j - j)
        i, j, last = after_i, after_j, t
    e = -d * decay(stop - last, tau)  # what a window cuts off
    later = stop
    i, j = a.size, b.size
    while i > 0 or j > 0:
        t = a[i - 1] if j == 0 or (i > 0 and a[i - 1] >= b[j - 1]) else b[j - 1]
        e *= decay(later - t, tau)
        first_i, first_j = i, j
        while first_i > 0 and a[first_i - 1] == t:
            first_i -= 1
        while first_j > 0 and b[first_j - 1] == t:
            first_j -= 1
        for k in range(first_i, i):
            out[k] = (out[k] + e) / tau if (i - first_i) + (j - first_j) == 1 else 0.0
        e += (i - first_i) - (j - first_j)
        i, j, later = first_i, first_j, t


def pairs_gradient(times_a, ptr_a, times_b, ptr_b, tau, stop, out):
    """Gradients of train k against train k, for all k."""
    for k in range(ptr_a.size - 1):
        here = slice(ptr_a[k], ptr_a[k + 1])
        pair_gradient(times_a[here], times_b[ptr_b[k] : ptr_b[k + 1]], tau, stop, out[here])


def grid_pair(a, b, kappa, steps, out):
    """Sum of d² over all steps of a window; `out` receives half its derivative in the grid cell of each spike of `a`.

    Over n steps a trace d gives d² (1 - kappa^2n) / (1 - kappa²), again never negative.
    """
    log_kappa = math.log(kappa) if kappa > 0.0 else -np.inf
    when, traces = np.empty(a.size + b.size + 1, np.int64), np.empty(a.size + b.size)
    starts = np.empty(a.size + b.size, np.int64)
    n = i = j = 0
    d, last, total = 0.0, 0, 0.0
    while i < a.size or j < b.size:
        t, after_i, after_j = next_instant(a, i, b, j)
        total += d * d * run_length(t - last, log_kappa)
        d = d * steps_decay(t - last, log_kappa) + ((after_i - i) - (after_j - j))
        when[n], traces[n], starts[n] = t, d, i
        i, j, last = after_i, after_j, t
        n += 1
    total += d * d * run_length(steps - last, log_kappa)
    when[n] = steps
    later, stop = 0.0, a.size  # the reverse filter of d
    for k in range(n - 1, -1, -1):
        length = when[k + 1] - when[k]
        later = traces[k] * run_length(length, log_kappa) + later * steps_decay(length, log_kappa)
        for i in range(starts[k], stop):
            out[i] = later
        stop = starts[k]
    return total


def grid_pairs(times_a, ptr_a, times_b, ptr_b, kappa, steps, out):
    """Sum of d² over all steps and all pairs of trains; `out` is as long as `times_a`."""
    total = 0.0
    for k in range(ptr_a.size - 1):
        here = slice(ptr_a[k], ptr_a[k + 1])
        total += grid_pair(times_a[here], times_b[ptr_b[k] : ptr_b[k + 1]], kappa, steps, out[here])
    return total


def steps_decay(n, log_kappa):
    """kappa ** n."""
    return 1.0 if n == 0 else math.exp(n * log_kappa)


def run_length(n, log_kappa):
    """1 + kappa^2 + ... + kappa^(2n - 2)."""
    if n == 0:
        return 0.0
    return 1.0 if log_kappa == -np.inf else math.expm1(2.0 * n * log_kappa) / math.expm1(2.0 * log_kappa)


def matrix_squared(times, ids, n, tau, out, squares):
    """All pairs of n trains at once, from their spikes sorted by time.

    Kept is y = trace exp((t - t0) / tau), which stands still between spikes, so an instant costs one pass over the spiking
    trains' rows: a train with c spikes adds c (d_a - d_b) to every pair. `squares` receives the sum of c² of each train; the
    squared distance is out[a, b] + out[b, a] + (squares[a] + squares[b]) / 2.
    """
    y, counts = np.zeros(n), np.zeros(n)
    who = np.empty(n, np.int64)
    k, t0 = 0, 0.0
    while k < times.size:
        t, here = times[k], 0
        while k < times.size and times[k] == t:
            if counts[ids[k]] == 0.0:
                who[here] = ids[k]
                here += 1
            counts[ids[k]] += 1.0
            k += 1
        if not t - t0 <= 256.0 * tau or tau == 0.0:
            y *= decay(t - t0, tau)
            t0 = t
        g = decay(t - t0, tau)
        for q in range(here):
            row, own, c = out[who[q]], y[who[q]], counts[who[q]]
            if c == 1.0:
                for b in range(n):
                    row[b] += (own - y[b]) * g
            else:
                for b in range(n):
                    row[b] += c * ((own - y[b]) * g)
        if here > 1:
            for q in range(here):
                row, half = out[who[q]], 0.5 * counts[who[q]]
                for r in range(here):
                    row[who[r]] -= half * counts[who[r]]
        for q in range(here):
            y[who[q]] += counts[who[q]] / g
            squares[who[q]] += counts[who[q]] * counts[who[q]]
            counts[who[q]] = 0.0


def matrix_distance(sums, squares, scale):
    """Turn what `matrix_squared` has summed into distances, in place, in blocks that stay in the cache; 0 on the diagonal."""
    n = squares.size
    for top in range(0, n, 32):
        for left in range(top, n, 32):
            for a in range(top, min(top + 32, n)):
                for b in range(max(left, a), min(left + 32, n)):
                    value = sums[a, b] + sums[b, a] + 0.5 * (squares[a] + squares[b])
                    sums[a, b] = scale * math.sqrt(value) if value > 0.0 and a != b else 0.0
            for b in range(left, min(left + 32, n)):
                for a in range(top, min(top + 32, n, b)):
                    sums[b, a] = sums[a, b]
