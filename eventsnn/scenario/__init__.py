"""Experiments from one file: a scenario is read, checked and run stage by stage into a folder that resumes.

From Python: ``run_scenario(load("scenarios/quickstart.yml"), "out")``, from ``eventsnn.scenario.run`` and ``.load``.

load.py makes a valid scenario of a file: its text (text/), what it may say (schema/), and what its keys must agree on (rules/).
stages.py puts the work in order: samples.py, then the network (network/) and what teaches it (learn/), its spikes (simulate/) and
its figures (measure/). run.py keeps it all in a folder (job.py, results.py, provenance.py); sweep.py runs many.
"""
