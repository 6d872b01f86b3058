"""The part of report.html about spike trains: one table, and what its columns mean."""

from eventsnn.report.tables import table


def spike_trains(metrics, shown):
    """Return rates, intervals, population rate and correlation of each population as HTML, with their definitions.

    Parameters
    ----------
    metrics : dict
        Of result.json.
    shown : callable
        Writes a number: (value, kind).

    Returns
    -------
    str
        Empty where a run has no such statistics.
    """
    found = metrics.get("spike_trains")
    if not found:
        return ""
    rows = []
    for name, row in found.items():
        rate, pairs = row["population_rate"] or {}, row["correlation"] or {}
        cells = [row["rate_hz"], row["rate_sd_hz"], row["silent"], row["isi_mean_ms"], row["isi_cv"], rate.get("sd_hz"),
                 rate.get("max_hz"), pairs.get("mean")]  # fmt: skip
        rows.append([name, *(shown(x, "number") for x in cells)])
    head = ("population", "rate (Hz)", "SD over neurons", "silent neurons", "mean ISI (ms)", "CV of ISI",
            "SD of population rate (Hz)", "its maximum", "correlation")  # fmt: skip
    first = next(iter(found.values()))
    note = f"CV: of neurons with at least {first['isi_cv_least_intervals']} intervals."
    if first["population_rate"]:
        note += f" Population rate in bins of {first['population_rate']['bin_ms']:g} ms."
    if first["correlation"]:
        note += f" Correlation: mean over pairs of {first['correlation']['neurons']} neurons, of counts in the same bins."
    return f"<h2>Spike trains</h2>{table(head, rows)}<p class=soft>{note}</p>"
