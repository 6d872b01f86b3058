"""The calendar of wake-ups against a binary heap: nanoseconds per pop and push, queues of 100 to 100,000 entries."""

import heapq

import numpy as np
from common import emit, median_seconds

from eventsnn.compile import specialise
from eventsnn.engines.queue import new_calendar, schedule, take_due

STEPS = 1000


def hold(head, nodes, taken, delays, steps):
    """Every unit that wakes asks to be woken again after a random delay; returns how many woke."""
    woken = 0
    for t in range(steps):
        for k in range(take_due(head, nodes, t, taken)):
            schedule(head, nodes, taken[k], t + delays[woken & (delays.size - 1)])
            woken += 1
    return woken


def heap(times, units, delays, count):
    """The same with a binary heap of (time, unit) on arrays (the yardstick)."""
    size = times.size
    for k in range(count):
        t, unit = times[0] + delays[k & (delays.size - 1)], units[0]
        i = 0
        while True:
            child = 2 * i + 1
            if child >= size:
                break
            if child + 1 < size and times[child + 1] < times[child]:
                child += 1
            if times[child] >= t:
                break
            times[i], units[i] = times[child], units[child]
            i = child
        times[i], units[i] = t, unit


def main():
    """Print one line per queue length."""
    rng = np.random.default_rng(0)
    delays = rng.integers(1, 200, 4096)
    for size in (100, 1000, 10_000, 100_000):
        start = rng.integers(0, 200, size)

        def filled():
            calendar = new_calendar(size)
            push = specialise(schedule)
            for unit in range(size):
                push(*calendar, unit, start[unit])
            return calendar

        kernel, yardstick = specialise(hold), specialise(heap)
        scratch = np.empty(size, np.int32)
        calendars = [filled() for _ in range(5)]
        woken = kernel(*calendars[0], scratch, delays, STEPS)
        fresh = iter(calendars[1:])
        seconds = median_seconds(lambda: kernel(*next(fresh), scratch, delays, STEPS), 3)
        queue = [(int(t), k) for k, t in enumerate(start)]
        heapq.heapify(queue)
        times, units = (np.array([q[k] for q in queue]) for k in (0, 1))
        beside = median_seconds(lambda: yardstick(times, units, delays, woken), 3)
        emit("calendar_queue", entries=size, operations=int(woken), nanoseconds=seconds / woken * 1e9, yardstick="binary heap",
             yardstick_nanoseconds=beside / woken * 1e9, ratio=beside / seconds)


if __name__ == "__main__":
    main()
