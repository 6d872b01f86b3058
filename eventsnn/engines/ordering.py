"""Sort short, nearly ordered lists of (time, key, extra): spikes of a window, arrivals of a window."""

RUN = 16  # runs of this length are sorted by insertion before they are merged


def sort_events(times, keys, extras, first, last, spare_times, spare_keys, spare_extras):
    """Sort ``[first, last)`` of three arrays by (time, key), stably, with spare arrays at least as long."""
    sorted_already = True
    for k in range(first + 1, last):
        if times[k] < times[k - 1] or (times[k] == times[k - 1] and keys[k] < keys[k - 1]):
            sorted_already = False
            break
    if sorted_already:
        return
    for begin in range(first, last, RUN):
        insert_events(times, keys, extras, begin, min(begin + RUN, last))
    width = RUN
    while width < last - first:
        for low in range(first, last, 2 * width):
            middle, high = min(low + width, last), min(low + 2 * width, last)
            if middle < high and (times[middle] < times[middle - 1] or (
                    times[middle] == times[middle - 1] and keys[middle] < keys[middle - 1])):
                _merge(times, keys, extras, low, middle, high, spare_times, spare_keys, spare_extras)
        width *= 2


def insert_events(times, keys, extras, first, last):
    """Sort ``[first, last)`` by insertion: for short or nearly sorted lists."""
    for k in range(first + 1, last):
        t, key, extra = times[k], keys[k], extras[k]
        m = k
        while m > first and (times[m - 1] > t or (times[m - 1] == t and keys[m - 1] > key)):
            times[m], keys[m], extras[m] = times[m - 1], keys[m - 1], extras[m - 1]
            m -= 1
        times[m], keys[m], extras[m] = t, key, extra


def _merge(times, keys, extras, low, middle, high, spare_times, spare_keys, spare_extras):
    count = middle - low
    for k in range(count):  # only the left half moves away: the right half is read ahead of where it is written
        spare_times[k], spare_keys[k], spare_extras[k] = times[low + k], keys[low + k], extras[low + k]
    a, c, out = 0, middle, low
    while a < count and c < high:
        if times[c] < spare_times[a] or (times[c] == spare_times[a] and keys[c] < spare_keys[a]):
            times[out], keys[out], extras[out] = times[c], keys[c], extras[c]
            c += 1
        else:
            times[out], keys[out], extras[out] = spare_times[a], spare_keys[a], spare_extras[a]
            a += 1
        out += 1
    while a < count:
        times[out], keys[out], extras[out] = spare_times[a], spare_keys[a], spare_extras[a]
        a += 1
        out += 1
