"""Engines: `event` (the point of the project), `stepped` (its dense twin), `analytic` (closed form)."""

from eventsnn.engines.prepared import Prepared, prepare
from eventsnn.engines.run import RunResult, run

__all__ = ["Prepared", "RunResult", "prepare", "run"]
