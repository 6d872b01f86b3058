"""The part of report.html about a hybrid network: thresholds layer by layer, and the estimate of energy."""

import html

from eventsnn.report.tables import table


def hybrid(content, shown):
    """Return the section as HTML; empty where a run has neither balanced thresholds nor an estimate of energy.

    Parameters
    ----------
    content : dict
        Of result.json.
    shown : callable
        Writes a number: (value, kind).

    Returns
    -------
    str
    """
    return _thresholds(content["conversion"] or {}, shown) + _energy(content["metrics"].get("energy"), shown)


def _thresholds(report, shown):
    if report.get("mapping") != "hybrid":
        return ""
    made = report["hybrid"]
    rows = [
        (row["layer"], shown(row.get("found"), "number"), shown(threshold, "number"), shown(leak, "number"))
        for row, threshold, leak in zip(report["layers"], made["thresholds"], made["leaks"])
    ]
    how = f"rule {report['rule']}"
    if report.get("batch"):
        how += f", {report['batch']} images a layer, scale {report['scale']:g}, offset {report['offset']:g}"
    note = f"<p class=soft>{html.escape(how)}; {made['propagation'].replace('_', ' ')}, {made['input']} input.</p>"
    return f"<h2>Thresholds of the conversion</h2>{table(('layer', 'found', 'threshold', 'leak per step'), rows)}{note}"


def _energy(found, shown):
    if found is None:
        return ""
    rows = [
        (row["layer"], shown(row["spikes_per_neuron"], "number"), shown(row["additions"], "count"), shown(row["dense"], "count"),
         shown(found["layers_pj"][row["layer"]] / 1e6, "number"))
        for row in found["layers"]
    ]  # fmt: skip
    head = ("layer", "spikes per neuron", "additions", "multiply-adds, dense", "energy (µJ)")
    total, dense = (shown(found[key] / 1e6, "number") for key in ("total_pj", "dense_pj"))
    note = (
        f"<p>A sample takes an estimated {total} µJ, one dense evaluation of the same network {dense} µJ.</p>"
        f"<p class=soft>{found['add_pj']:g} pJ an addition, {found['mac_pj']:g} pJ a multiply-add; neither memory nor membranes "
        "are counted.</p>"
    )
    return f"<h2>Work and energy of a sample</h2>{table(head, rows)}{note}"
