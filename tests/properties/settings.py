"""What the property tests draw from: the short table when kernels are compiled, everything when they are plain Python."""

from hypothesis import HealthCheck, settings

from eventsnn.compile import jit_enabled
from tests.strategies import COMPILED, plain_configs

CONFIGS = COMPILED if jit_enabled() else plain_configs()
SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def examples(count):
    """Settings of a property: so many examples, four times that where the plain kernels are tested."""
    return settings(max_examples=count if jit_enabled() else 4 * count, suppress_health_check=SLOW_TO_DRAW)
