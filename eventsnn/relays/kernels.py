"""The loops of the pools, instant by instant on the grid, sample by sample on the continuous clock.

All walk the windows of one row (an instant, or a sample) in ascending output position; the sources of a window row are
a contiguous piece of the sorted spike list, found through the offsets per pixel (`unit_ptr`).
"""

import numpy as np


def average_pool(ids, amps, unit_ptr, rows, geometry, area, out, n, amp_kind):
    """Merge the spikes of each window and channel: one spike of amplitude (sum in ascending source) / area."""
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    total = np.zeros(channels, amp_kind.dtype)
    touched = np.zeros(channels, np.uint8)
    for r in range(rows[0], rows[1]):
        first = r * height * width
        for pixel in range(out_height * out_width):
            top, left = pixel // out_width * stride, pixel % out_width * stride
            some = False
            for y in range(top, top + size):
                for k in range(unit_ptr[first + y * width + left], unit_ptr[first + y * width + left + size]):
                    c = ids[k] % channels
                    total[c] += amps[k] if SCALED else amp_kind[0]
                    touched[c] = 1
                    some = True
            if some:
                for c in range(channels):
                    out_ids[n], out_amps[n] = pixel * channels + c, total[c] / area
                    n += touched[c] != 0 and total[c] != 0
                    total[c], touched[c] = 0, 0
            out_unit_ptr[r * out_height * out_width + pixel + 1] = n
        row_ptr[r + 1] = n
    return n


def gated_max_pool(ids, amps, unit_ptr, rows, geometry, counts, out, n, amp_kind):
    """Pass the spike of the position whose summed amplitude, this instant included, is largest (first among equals)."""
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    now = np.zeros((size * size, channels), amp_kind.dtype)
    touched = np.zeros(channels, np.uint8)
    for r in range(rows[0], rows[1]):
        first = r * height * width
        for k in range(unit_ptr[first], unit_ptr[first + height * width]):
            counts[ids[k]] += amps[k] if SCALED else amp_kind[0]
        for pixel in range(out_height * out_width):
            top, left = pixel // out_width * stride, pixel % out_width * stride
            some = False
            for y in range(top, top + size):
                for k in range(unit_ptr[first + y * width + left], unit_ptr[first + y * width + left + size]):
                    c = ids[k] % channels
                    now[(y - top) * size + ids[k] // channels % width - left, c] = amps[k] if SCALED else amp_kind[0]
                    touched[c] = 1
                    some = True
            if some:
                for c in range(channels):
                    if touched[c] != 0:
                        best = 0
                        highest = counts[(top * width + left) * channels + c]
                        for place in range(1, size * size):
                            count = counts[((top + place // size) * width + left + place % size) * channels + c]
                            if count > highest:
                                best, highest = place, count
                        out_ids[n], out_amps[n] = pixel * channels + c, now[best, c]
                        n += now[best, c] != 0
                        touched[c] = 0
                        now[:, c] = 0
            out_unit_ptr[r * out_height * out_width + pixel + 1] = n
        row_ptr[r + 1] = n
    return n


def earliest_pool(ids, amps, unit_ptr, rows, geometry, signs, arrived, passed, out, n, amp_kind):
    """Pass the first spike of a window; in channels of sign -1 the one with which all its positions have spiked.

    `arrived` (window position, output id) and `passed` (output id) are what has happened so far.
    """
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    for r in range(rows[0], rows[1]):
        first = r * height * width
        for pixel in range(out_height * out_width):
            top, left = pixel // out_width * stride, pixel % out_width * stride
            begin = n
            for y in range(top, top + size):
                for k in range(unit_ptr[first + y * width + left], unit_ptr[first + y * width + left + size]):
                    c = ids[k] % channels
                    unit = pixel * channels + c
                    if passed[unit] == 0:
                        arrived[(y - top) * size + ids[k] // channels % width - left, unit] = 1
                        complete = True
                        if signs[c] < 0:
                            for place in range(size * size):
                                complete = complete and arrived[place, unit] != 0
                        if complete:
                            passed[unit] = 1
                            # sources come position by position: keep the pool's ids ascending
                            at = n
                            while at > begin and out_ids[at - 1] > unit:
                                out_ids[at], out_amps[at] = out_ids[at - 1], out_amps[at - 1]
                                at -= 1
                            out_ids[at], out_amps[at] = unit, amps[k] if SCALED else amp_kind[0]
                            n += 1
            out_unit_ptr[r * out_height * out_width + pixel + 1] = n
        row_ptr[r + 1] = n
    return n


def pool_values(ids, amps, times, unit_ptr, rows, geometry, signs, averages, out, out_times, n):
    """Pool first-spike values on the continuous clock, where the earlier spike carries the larger amplitude.

    Max pool: the largest amplitude of a window passes with its time (first position among equals); sign -1: the
    smallest, silent while any position is silent. Average pool (`averages`): every spike passes, amplitude / area.
    """
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    best = np.full(channels, -1, np.int64)
    counted = np.zeros(channels, np.int64)
    area = out_amps[:1].copy()
    area[0] = size * size
    for r in range(rows[0], rows[1]):
        first = r * height * width
        for pixel in range(out_height * out_width):
            top, left = pixel // out_width * stride, pixel % out_width * stride
            begin = n
            for y in range(top, top + size):
                for k in range(unit_ptr[first + y * width + left], unit_ptr[first + y * width + left + size]):
                    c = ids[k] % channels
                    if averages:
                        at = n
                        while at > begin and out_ids[at - 1] > pixel * channels + c:
                            out_ids[at], out_amps[at], out_times[at] = out_ids[at - 1], out_amps[at - 1], out_times[at - 1]
                            at -= 1
                        out_ids[at], out_amps[at], out_times[at] = pixel * channels + c, amps[k] / area[0], times[k]
                        n += 1
                    else:
                        better = best[c] < 0 or (amps[k] > amps[best[c]] if signs[c] > 0 else amps[k] < amps[best[c]])
                        best[c] = k if better else best[c]
                        counted[c] += 1
            if not averages:
                for c in range(channels):
                    if best[c] >= 0 and (signs[c] > 0 or counted[c] == size * size):
                        out_ids[n], out_amps[n], out_times[n] = pixel * channels + c, amps[best[c]], times[best[c]]
                        n += 1
                    best[c], counted[c] = -1, 0
            out_unit_ptr[r * out_height * out_width + pixel + 1] = n
        row_ptr[r + 1] = n
    return n


SCALED = False  # replaced when compiled: whether spikes have amplitudes
