"""The loops of the pools in gated networks, sample by sample, on what first spikes carry.

Both walk the windows of one sample in ascending output position; the sources of a window row are a contiguous piece of
the sorted spike list, found through the offsets per pixel (`unit_ptr`).
"""

import numpy as np

from eventsnn.bits import append_flagged


def average_values(ids, amps, times, unit_ptr, rows, geometry, signs, out, out_times, n):
    """Average pool of first-spike values on the continuous clock: every spike passes, amplitude / area."""
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    area = out_amps[:1].copy()
    area[0] = size * size
    for r in range(rows):
        first = r * height * width
        for pixel in range(out_height * out_width):
            top, left = pixel // out_width * stride, pixel % out_width * stride
            begin = n
            for y in range(top, top + size):
                for k in range(unit_ptr[first + y * width + left], unit_ptr[first + y * width + left + size]):
                    unit = pixel * channels + ids[k] % channels
                    at = n
                    while at > begin and out_ids[at - 1] > unit:
                        out_ids[at], out_amps[at], out_times[at] = out_ids[at - 1], out_amps[at - 1], out_times[at - 1]
                        at -= 1
                    out_ids[at], out_amps[at], out_times[at] = unit, amps[k] / area[0], times[k]
                    n += 1
            out_unit_ptr[r * out_height * out_width + pixel + 1] = n
        row_ptr[r + 1] = n
    return n


def earliest_values(ids, amps, times, unit_ptr, rows, geometry, signs, out, out_times, n):
    """Max pool of first-spike values on the continuous clock, where the earlier spike carries the larger amplitude.

    The largest amplitude of a window passes with its time (first position among equals); in channels of sign -1 the
    smallest, silent while any position is silent. `out` has room for every unit, and 8 more.
    """
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    best, place = np.full(channels, -np.inf, amps.dtype), np.zeros(channels, np.int64)
    counted, flags = np.zeros(channels, np.int64), np.zeros(channels + 64, np.uint8)
    for r in range(rows):
        first = r * height * width
        for pixel in range(out_height * out_width):
            top, left = pixel // out_width * stride, pixel % out_width * stride
            for y in range(top, top + size):
                for x in range(left, left + size):
                    base = (y * width + x) * channels
                    for k in range(unit_ptr[first + y * width + x], unit_ptr[first + y * width + x + 1]):
                        c = ids[k] - base
                        amp = signs[c] * amps[k] if SIGNED else amps[k]
                        better = amp > best[c]  # in select form: which one is larger is nobody's guess
                        best[c] = amp if better else best[c]
                        place[c] = k if better else place[c]
                        if SIGNED:
                            counted[c] += 1
            for c in range(channels):
                flags[c] = best[c] > -np.inf
                best[c] = -np.inf
            if SIGNED:
                for c in range(channels):
                    flags[c] = flags[c] != 0 and (signs[c] > 0 or counted[c] == size * size)
                    counted[c] = 0
            begin = n
            n = append_flagged(flags, channels, pixel * channels, out_ids, n)
            for at in range(begin, n):
                k = place[out_ids[at] - pixel * channels]
                out_amps[at], out_times[at] = amps[k], times[k]
            out_unit_ptr[r * out_height * out_width + pixel + 1] = n
        row_ptr[r + 1] = n
    return n


SIGNED = False  # replaced when compiled: whether some channels have sign -1
