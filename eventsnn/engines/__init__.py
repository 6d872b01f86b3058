"""Engines: `event` (the point of the project), `stepped` (its dense twin), `analytic` (closed form)."""

from eventsnn.engines.run import RunResult, run

__all__ = ["RunResult", "run"]
