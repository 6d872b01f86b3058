"""When networks of neurons with windows are done."""


def last_close(network):
    """Return when the last window closes (or a readout is read), ms; None if a population has no window.

    Parameters
    ----------
    network : Network

    Returns
    -------
    float or None
    """
    values = [p.parameters for p in network.populations]
    if not values or any("t_open" not in v for v in values):
        return None
    return max(float(v["t_open"] + v.get("window", 0.0)) for v in values)
