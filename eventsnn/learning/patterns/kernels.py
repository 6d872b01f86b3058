"""Loops of the pattern learner: both passes of one layer, the gradient of its weights, and the step that they take.

Arrays of a layer have `width` columns, its neurons padded to a multiple of 16, and are flat; padded neurons have weight 0 and
never spike. Spikes are lists: ids of step t at ``ids[ptr[t] : ptr[t + 1]]``. Everything is float32 but the loss. Every sum
has one order: ascending source in the forward pass, ascending target in the backward pass, ascending time in the gradient.
"""

from collections import namedtuple

import numpy as np

from eventsnn.bits import append_flagged
from eventsnn.projections.rowsum import add_rows, add_scaled_rows
from eventsnn.quantise import shift
from eventsnn.random import philox4x32

Constants = namedtuple(
    "Constants",
    "alpha beta threshold reset levels bound error_levels error_bound rate grid_levels random_levels weight_levels weight_bound "
    "layer_scale one steep small keep_mean new_mean keep_top",
)
"""Numbers of a layer, all float32 (a Python number would lift the arithmetic to float64)."""

# which quantisers are on, and the optimiser: replaced when compiled
STATES = ERRORS = GRADIENTS = WEIGHTS = RANDOM = True
ADAMAX = False
TH_INSIDE, S_INSIDE, M_INSIDE = 1, 2, 4  # bits: the quantity was not clipped


def _held(x, bound):
    low = x if x > -bound else -bound
    return low if low < bound else bound


def forward(ptr, ids, weights, width, p, th, inside, membrane, out_ptr, out_ids):
    """Run a layer through all steps: threshold test, then current and membrane; returns the number of its spikes.

    `th` receives the quantised distance to threshold, `inside` which quantities were not clipped, `membrane` m after the step.
    """
    s, m, h = np.zeros(width, np.float32), np.zeros(width, np.float32), np.zeros(width, np.float32)
    flags = np.zeros(width + 64, np.uint8)
    n = 0
    for t in range(ptr.size - 1):
        h[:] = 0
        add_rows(h, 0, weights, 0, width, ids[ptr[t] :], h, ptr[t + 1] - ptr[t], width)
        at = t * width
        th_t, inside_t, membrane_t = th[at : at + width], inside[at : at + width], membrane[at : at + width]
        for i in range(width):
            raw_th = m[i] - p.threshold
            held_th = _held(raw_th, p.bound) if STATES else raw_th
            distance = np.rint(held_th * p.levels) / p.levels if STATES else held_th
            fired = distance > 0
            raw_s = p.alpha * s[i] + h[i]
            back = p.reset if fired else p.one - p.one
            raw_m = (p.beta * m[i] + s[i]) - back
            held_s = _held(raw_s, p.bound) if STATES else raw_s
            held_m = _held(raw_m, p.bound) if STATES else raw_m
            s[i] = np.rint(held_s * p.levels) / p.levels if STATES else held_s
            m[i] = np.rint(held_m * p.levels) / p.levels if STATES else held_m
            th_t[i] = distance
            membrane_t[i] = m[i]
            flags[i] = fired
            if STATES:
                inside_t[i] = (held_th == raw_th) | ((held_s == raw_s) << 1) | ((held_m == raw_m) << 2)
        n = append_flagged(flags, width, 0, out_ids, n)
        out_ptr[t + 1] = n
    return n


def _largest(words):
    """Largest magnitude of float32 numbers given by their bits, as bits: integers compare like magnitudes, and vectorise."""
    top = np.int32(0)
    for k in range(words.size):
        word = np.int32(words[k] & 0x7FFFFFFF)
        top = word if word > top else top
    return top


def _scale_of(word, box, box_word):
    """Shift of a magnitude given by its bits; `box` and `box_word` are one number seen as float32 and as int32."""
    box_word[0] = word
    box[0] = shift(np.float64(box[0]))
    return box[0]


def _error(e, scale, p):
    return np.rint(_held(e / scale, p.error_bound) * p.error_levels) / p.error_levels


def backward(gz, th, inside, width, steps, p, err):
    """Bring the gradient in a layer's spikes back through its steps; `err` receives E(gh), the error of what arrived."""
    lm, ls, e = np.zeros(width, np.float32), np.zeros(width, np.float32), np.zeros(width, np.float32)
    lm_words, ls_words, e_words = lm.view(np.int32), ls.view(np.int32), e.view(np.int32)
    box = np.zeros(1, np.float32)
    box_word = box.view(np.int32)
    for t in range(steps - 1, -1, -1):
        at = t * width  # views: plain indices vectorise
        th_t, gz_t, inside_t, err_t = th[at : at + width], gz[at : at + width], inside[at : at + width], err[at : at + width]
        for i in range(width):
            slope = p.steep * abs(th_t[i]) + p.one
            e[i] = gz_t[i] * (p.one / (slope * slope))
        if ERRORS:
            scale_m = _scale_of(_largest(lm_words), box, box_word)
            scale_s = _scale_of(_largest(ls_words), box, box_word)
            scale_e = _scale_of(_largest(e_words), box, box_word)
        for i in range(width):
            dm, ds, dth = lm[i], ls[i], e[i]
            if ERRORS:
                kept, none = inside_t[i], p.one - p.one
                dm = _error(dm, scale_m, p) if kept & M_INSIDE else none
                ds = _error(ds, scale_s, p) if kept & S_INSIDE else none
                dth = _error(dth, scale_e, p) if kept & TH_INSIDE else none
            err_t[i] = ds
            ls[i] = p.alpha * ds + dm
            lm[i] = p.beta * dm + dth
    if ERRORS:
        words = err.view(np.int32)
        scale = _scale_of(_largest(words), box, box_word)
        for k in range(err.size):
            err[k] = _error(err[k], scale, p)


def to_input(err, weights, width, below, first, stop, gz):
    """Hand errors to the layer below in steps first .. stop - 1: sum over targets of error times weight.

    `weights` is transposed, (targets, `below`); entries of 0 are left out, which changes nothing.
    """
    who, size = np.empty(width, np.int32), np.empty(width, np.float32)
    for t in range(first, stop):
        err_t = err[t * width : (t + 1) * width]
        n = 0
        for j in range(width):
            who[n], size[n] = j, err_t[j]
            n += err_t[j] != 0
        gz[t * below : (t + 1) * below] = 0
        add_scaled_rows(gz, t * below, weights, 0, below, who, size, n, below)


def by_source(ptr, ids, sources, spans, times):
    """Turn spikes listed by step into spikes listed by source: times of source i at ``times[spans[i] : spans[i + 1]]``."""
    spans[:] = 0
    for k in range(ptr[-1]):
        spans[ids[k] + 1] += 1
    for i in range(sources):
        spans[i + 1] += spans[i]
    place = spans[:sources].copy()
    for t in range(ptr.size - 1):
        for k in range(ptr[t], ptr[t + 1]):
            times[place[ids[k]]] = t
            place[ids[k]] += 1


def weight_gradient(spans, times, err, width, first, stop, grad):
    """Sum the errors at the spike times of sources first .. stop - 1; returns the bits of the largest magnitude."""
    words = grad.view(np.int32)
    top = np.int32(0)
    for i in range(first, stop):
        a, m = spans[i], spans[i + 1] - spans[i]
        grad[i * width : (i + 1) * width] = 0
        if m:
            add_rows(grad, i * width, err, 0, width, times[a:], err, m, width)
            word = _largest(words[i * width : (i + 1) * width])
            top = word if word > top else top
    return top


def _random_words(out, width, sample, step, k0, k1):
    """The 32-bit words of a weight row: counter (element // 2, step, sample, 0), four words for four elements of two blocks."""
    for block in range(width // 4):
        w0, w1, w2, w3 = philox4x32(np.uint64(block), step, sample, step - step, k0, k1)
        out[4 * block], out[4 * block + 1] = np.uint32(w0), np.uint32(w1)
        out[4 * block + 2], out[4 * block + 3] = np.uint32(w2), np.uint32(w3)


def update(spans, grad, scale, step, k0, k1, correction, width, first, stop, p, stored, used, mean, top):
    """Move the weights of sources first .. stop - 1 and quantise them; rows without a spike rest, where nothing else moves them.

    `scale` is Shift(max |g|); `stored` the fine weights, `used` those of the forward pass; `mean` and `top` belong to Adamax,
    whose `correction` is the learning rate over its bias.
    """
    chance, move = np.empty(width, np.uint32), np.empty(width, np.float32)
    for i in range(first, stop):
        if not ADAMAX and spans[i + 1] == spans[i]:
            continue
        at = i * width
        grad_i, stored_i, used_i = grad[at : at + width], stored[at : at + width], used[at : at + width]
        mean_i, top_i = mean[at : at + width], top[at : at + width]
        if GRADIENTS:
            _random_words(chance, width, np.uint64(i), step, k0, k1)
        for j in range(width):
            g = grad_i[j] * p.rate
            if GRADIENTS:
                n = g / scale
                size = abs(n)
                whole = np.floor(size)
                fraction, u = np.float64(size - whole), chance[j] * 2.0**-32
                if RANDOM:
                    fraction, u = np.rint(fraction * p.random_levels), np.rint(u * p.random_levels)
                up = p.one if fraction >= u else p.one - p.one
                much = (whole + up) / p.grid_levels
                g = -much if n < 0 else (much if n > 0 else p.one - p.one)
            move[j] = g
        for j in range(width):
            if ADAMAX:
                mean_i[j] = p.keep_mean * mean_i[j] + p.new_mean * move[j]
                faded, size = p.keep_top * top_i[j], abs(move[j]) + p.small
                top_i[j] = faded if faded > size else size
                w = stored_i[j] - correction * (mean_i[j] / top_i[j])
            else:
                w = stored_i[j] - correction * move[j]
            w = _held(w, p.weight_bound)
            stored_i[j] = w
            used_i[j] = np.rint(w * p.weight_levels) / p.weight_levels / p.layer_scale if WEIGHTS else w


def loss(ptr, ids, target, width, neurons, kappa, tau, difference, gz):
    """Return the published L of output spikes against filtered target spikes, and write its gradient in every grid spike.

    Both are float64 but `gz`, which is rounded at the end; squares are added over time, then over neurons.
    """
    trace, per_neuron = np.zeros(width), np.zeros(width)
    steps = ptr.size - 1
    for t in range(steps):
        at = t * width
        target_t, difference_t = target[at : at + width], difference[at : at + width]
        for j in range(width):
            trace[j] *= kappa
        for k in range(ptr[t], ptr[t + 1]):
            trace[ids[k]] += 1.0
        for j in range(width):
            d = trace[j] - target_t[j]
            difference_t[j] = d
            per_neuron[j] += d * d
    total = 0.0
    for j in range(neurons):
        total += per_neuron[j]
    value = np.sqrt(total / tau)
    below = tau * value if value > 0 else 1.0
    after = np.zeros(width)
    for t in range(steps - 1, -1, -1):
        at = t * width
        difference_t, gz_t = difference[at : at + width], gz[at : at + width]
        for j in range(width):
            after[j] = difference_t[j] / below + kappa * after[j]
            gz_t[j] = after[j]
    return value


def transpose(weights, rows, width, across, out):
    """Write weights (rows, width) as (width, across), for the backward pass."""
    for first in range(0, rows, 16):
        for j in range(width):
            for i in range(first, min(first + 16, rows)):
                out[j * across + i] = weights[i * width + j]
