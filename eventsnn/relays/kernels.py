"""The loops of the pools on the grid, instant by instant (gated networks: `eventsnn.engines.gated_pools`).

All walk the windows of one row (an instant) in ascending output position; the sources of a window row are
a contiguous piece of the sorted spike list, found through the offsets per pixel (`unit_ptr`).
"""

import numpy as np

from eventsnn.bits import append_flagged, row_of


def average_pool(ids, amps, unit_ptr, rows, geometry, area, out, n, amp_kind):
    """Merge the spikes of each window and channel: one spike of amplitude (sum in ascending source) / area.

    A row of windows at a time: how many spikes a window holds cannot be foretold, how many a row holds matters less.
    """
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    lanes = -(-channels // 64) * 64
    total, touched = np.zeros(out_width * lanes, amp_kind.dtype), np.zeros((out_width, lanes), np.uint8)
    marks = touched.reshape(-1)
    slot, windows = np.empty(width * channels, np.int32), np.zeros(width * channels, np.int32)  # of a source: the first, how many
    for x in range(width):
        left = max(0, (x - size + stride) // stride)
        for c in range(x * channels, (x + 1) * channels):
            slot[c] = left * lanes + c - x * channels
            windows[c] = max(0, min(x // stride, out_width - 1) + 1 - left)
    for r in range(rows[0], rows[1]):
        for top in range(out_height):
            for y in range(top * stride, top * stride + size):
                ends = unit_ptr[(r * height + y) * width:]
                for k in range(ends[0], ends[width]):
                    source = np.uint32(ids[np.uint64(k)] - y * width * channels)
                    for window in range(windows[source]):
                        at = np.uint32(slot[source] + window * lanes)
                        total[at] += amps[np.uint64(k)] if SCALED else amp_kind[0]
                        marks[at] = 1
            for left in range(out_width):
                pixel, here = top * out_width + left, left * lanes
                found = append_flagged(row_of(touched, left), channels, here, out_ids, n)
                for k in range(n, found):
                    at = out_ids[k]
                    out_ids[n], out_amps[n] = pixel * channels + at - here, total[at] / area
                    n += total[at] != 0
                    total[at], marks[at] = 0, 0
                out_unit_ptr[(r * out_height + top) * out_width + left + 1] = n
        row_ptr[r + 1] = n
    return n


def gated_max_pool(ids, amps, unit_ptr, rows, geometry, counts, out, n, amp_kind):
    """Pass the spike of the position whose summed amplitude, this instant included, is largest (first among equals)."""
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    now = np.zeros((channels, size * size), amp_kind.dtype)
    touched, seen = np.zeros(channels + 64, np.uint8), np.empty(channels + 4, np.int64)
    for r in range(rows[0], rows[1]):
        first = r * height * width
        for k in range(unit_ptr[first], unit_ptr[first + height * width]):
            counts[ids[k]] += amps[k] if SCALED else amp_kind[0]
        for pixel in range(out_height * out_width):
            top, left = pixel // out_width * stride, pixel % out_width * stride
            for y in range(size):
                for x in range(size):
                    source = (top + y) * width + left + x
                    for k in range(unit_ptr[first + source], unit_ptr[first + source + 1]):
                        c = ids[k] - source * channels
                        now[c, y * size + x] = amps[k] if SCALED else amp_kind[0]
                        touched[c] = 1
            found = append_flagged(touched, channels, 0, seen, 0)
            for j in range(found):
                c, best = seen[j], 0
                highest = counts[(top * width + left) * channels + c]
                for y in range(size):
                    for x in range(size):
                        count = counts[((top + y) * width + left + x) * channels + c]
                        best = y * size + x if count > highest else best
                        highest = max(count, highest)
                out_ids[n], out_amps[n] = pixel * channels + c, now[c, best]
                n += now[c, best] != 0
                touched[c] = 0
                now[c, :] = 0
            out_unit_ptr[r * out_height * out_width + pixel + 1] = n
        row_ptr[r + 1] = n
    return n


def step_max_pool(ids, amps, unit_ptr, rows, geometry, out, n, amp_kind):
    """Pass the largest amplitude of a window in this instant; a silent position counts as 0."""
    out_ids, out_amps, row_ptr, out_unit_ptr = out
    height, width, channels, out_height, out_width, size, stride = geometry
    largest = np.zeros(channels, amp_kind.dtype)
    spiked = np.zeros(channels, np.int64)
    for r in range(rows[0], rows[1]):
        first = r * height * width
        for pixel in range(out_height * out_width):
            top, left = pixel // out_width * stride, pixel % out_width * stride
            some = False
            for y in range(top, top + size):
                for k in range(unit_ptr[first + y * width + left], unit_ptr[first + y * width + left + size]):
                    c = ids[k] % channels
                    amplitude = amps[k] if SCALED else amp_kind[0]
                    largest[c] = amplitude if spiked[c] == 0 or amplitude > largest[c] else largest[c]
                    spiked[c] += 1
                    some = True
            if some:
                for c in range(channels):
                    passes = spiked[c] != 0 and (spiked[c] == size * size or largest[c] > 0)
                    out_ids[n], out_amps[n] = pixel * channels + c, largest[c]
                    n += passes
                    largest[c], spiked[c] = 0, 0
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


SCALED = False  # replaced when compiled: whether spikes have amplitudes
