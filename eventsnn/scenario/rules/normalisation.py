"""Rules of the keys that scale activations: `percentile` belongs to those rules that take one."""


def check(spec):
    """Find percentiles that would be ignored.

    Parameters
    ----------
    spec : Scenario

    Yields
    ------
    path : tuple
    problem : str
    """
    from eventsnn.conversion.scales import OF_PERCENTILE

    converts = spec.convert is not None and spec.convert.to in ("coding", "t2fsnn")
    twin = None if spec.train is None else spec.train.twin
    for path, asked in ((("convert",), spec.convert if converts else None), (("train", "twin"), twin)):
        if asked is None or "percentile" not in asked.model_fields_set or getattr(asked, "neuron_thresholds", False):
            continue
        if asked.rule not in OF_PERCENTILE:
            yield (*path, "percentile"), f"belongs to the rules {', '.join(OF_PERCENTILE)}, got rule {asked.rule}; remove it"
