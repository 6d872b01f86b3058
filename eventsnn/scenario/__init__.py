"""Experiments from one file: schema, reading, typed stages, runs that resume, sweeps.

From Python: ``run_scenario(load("scenarios/quickstart.yml"), "out")``, from ``eventsnn.scenario.run`` and ``.load``.
"""
