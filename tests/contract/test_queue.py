"""The calendar of wake-ups against a dictionary and a heap."""

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsnn.compile import specialise
from eventsnn.engines import queue
from eventsnn.neurons.base import NEVER
from tests.properties.settings import examples

UNITS = 6
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("schedule"), st.integers(0, UNITS - 1), st.integers(1, 40)),
        st.tuples(st.just("cancel"), st.integers(0, UNITS - 1), st.just(0)),
        st.tuples(st.just("advance"), st.just(0), st.integers(1, 5)),
    ),
    max_size=60,
)


class Model:
    """At most one wake-up per unit, found again through a heap with stale entries."""

    def __init__(self):
        self.due, self.heap = {}, []

    def schedule(self, unit, t):
        self.due[unit] = t
        heapq.heappush(self.heap, (t, unit))

    def cancel(self, unit):
        self.due.pop(unit, None)

    def take_due(self, t):
        woken = set()
        while self.heap and self.heap[0][0] <= t:
            when, unit = heapq.heappop(self.heap)
            if self.due.get(unit) == when:
                woken.add(unit)
                del self.due[unit]
        return sorted(woken)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@examples(60)
@given(OPERATIONS)
def test_calendar_equals_a_heap(compiled, operations):
    schedule, cancel, take_due = queue.schedule, queue.cancel, queue.take_due
    if compiled:
        schedule, cancel, take_due = specialise(schedule), specialise(cancel), specialise(take_due)
    calendar, model, now = queue.new_calendar(UNITS, 8), Model(), 0
    for name, unit, amount in operations:
        if name == "schedule":  # further ahead than the ring is long, too
            schedule(*calendar, unit, now + amount)
            model.schedule(unit, now + amount)
        elif name == "cancel":
            cancel(*calendar, unit)
            model.cancel(unit)
        else:
            for _ in range(amount):
                now += 1
                taken = np.full(UNITS, -1, np.int64)
                count = take_due(*calendar, now, taken)
                woken = model.take_due(now)
                assert sorted(taken[:count].tolist()) == woken
        due = [model.due.get(unit, queue.IDLE_NODE) for unit in range(UNITS)]
        assert calendar[1][:, queue.DUE].tolist() == due


def test_never_takes_a_wake_up_away():
    calendar, taken = queue.new_calendar(2, 8), np.empty(2, np.int64)
    queue.schedule(*calendar, 1, 3)
    queue.schedule(*calendar, 1, NEVER)
    assert queue.take_due(*calendar, 3, taken) == 0
