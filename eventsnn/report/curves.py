"""The parts of report.html about runs over time, early exits, histograms, and what a conversion lost."""

from eventsnn.report.tables import table

ROWS = 14  # of a table over time


def sections(metrics, pictures, shown, inline):
    """Return all sections of this file as HTML; those that a run did not measure are left out.

    Parameters
    ----------
    metrics : dict
        Of result.json.
    pictures : dict of str to bytes
        PNG by kind: over_time, histograms, integer, layers, traces.
    shown : callable
        Writes a number: (value, kind).
    inline : callable
        PNG -> address of an image.

    Returns
    -------
    str
    """

    def picture(kind, says):
        return f"<img class=wide alt='{says}' src='{inline(pictures[kind])}'>" if kind in pictures else ""

    parts = [_over_time(metrics, shown, picture), _early_exit(metrics, shown), _conversion(metrics, shown)]
    if "histograms" in metrics:
        parts.append(
            "<h2>Histograms</h2>" + picture("histograms", "histograms of spikes") + _table_of_spikes(metrics["histograms"], shown)
        )
    for kind, title, says in (
        ("integer", "Signed spikes and synaptic operations", "spikes of both signs and synaptic operations by step"),
        ("layers", "Layers", "spikes of the first sample by layer"),
        ("traces", "States", "state variables"),
    ):
        if kind in pictures:
            parts.append(f"<h2>{title}</h2>{picture(kind, says)}")
    return "".join(parts)


def _over_time(metrics, shown, picture):
    curve = metrics.get("over_time")
    if curve is None:
        return ""
    n = len(curve["times_ms"])
    kept = sorted({round(k * (n - 1) / max(1, min(ROWS, n) - 1)) for k in range(min(ROWS, n))})
    columns = [
        ("time (ms)", "times_ms", "number"),
        ("accuracy", "accuracy", "percent"),
        ("same class as the ReLU network", "agreement", "percent"),
        ("spikes per sample", "spikes", "count"),
        ("synaptic events per sample", "synaptic_events", "count"),
    ]
    columns = [column for column in columns if column[1] in curve]
    rows = [[shown(curve[key][k], kind) for _, key, kind in columns] for k in kept]
    text, reached = "", metrics.get("latency_to_accuracy")
    if reached is not None:
        when = [shown(reached[key], "ms") for key in ("reached_ms", "kept_from_ms")]
        text = f"<p>Accuracy {shown(reached['target'], 'percent')}: reached after {when[0]}, kept from {when[1]}.</p>"
    note = "<p class=soft>Every recording point is in <code>over_time.csv</code>.</p>" if len(kept) < n else ""
    return f"<h2>Over time</h2>{picture('over_time', 'accuracy over time')}{text}{table([c[0] for c in columns], rows)}{note}"


def _early_exit(metrics, shown):
    found = metrics.get("early_exit")
    if found is None:
        return ""
    lines = [("rule", found["rule"] + (f", margin {shown(found['margin'], 'number')}" if "margin" in found else "")),
             ("mean time of a sample", shown(found["mean_ms"], "ms")), ("time saved", shown(found["time_saved"], "percent")),
             ("samples that left early", shown(found["left_early"], "percent"))]  # fmt: skip
    if "changed" in found:
        most = shown(found["changed_at_most"], "percent")
        share = f"{shown(found['changed'], 'percent')} of {found['samples']:,} (at most {most}, 95 %)"
        lines += [("class changed by the exit", share), ("spikes saved", shown(found["spikes_saved"], "percent")),
                  ("synaptic events saved", shown(found["synaptic_events_saved"], "percent"))]  # fmt: skip
    if "accuracy" in found:
        lines.append(
            ("accuracy with and without", f"{shown(found['accuracy'], 'percent')}, {shown(found['accuracy_whole'], 'percent')}")
        )
    return f"<h2>Early exit</h2>{table(('', ''), lines)}"


def _conversion(metrics, shown):
    found = metrics.get("conversion_loss")
    if found is None:
        return ""
    columns = (
        ("layer", "layer", ""),
        ("mean activation", "mean_activation", "number"),
        ("error", "error", "number"),
        ("bias", "bias", "number"),
        ("correlation", "correlation", "number"),
        ("clipped", "clipped", "percent"),
        ("silenced", "silenced", "percent"),
        ("inherited", "inherited", "number"),
        ("own", "own", "number"),
        ("by clipping", "own_clipped", "number"),
        ("by silence", "own_silenced", "number"),
        ("by rounding", "own_rounding", "number"),
        ("agreement from here", "agreement_from_here", "percent"),
        ("accuracy from here", "accuracy_from_here", "percent"),
    )
    rows = [[row.get(key, "–") if not kind else shown(row.get(key), kind) for _, key, kind in columns] for row in found["layers"]]
    alone = shown(found.get("source_accuracy"), "percent")
    note = (
        f"<p class=soft>{found['samples']:,} samples; activations in units of each layer's scale. Error: mean |decoded - ReLU|. "
        "Inherited: what the layer before brought in. Own: what this layer adds, by cause. From here: its decoded spikes are fed "
        f"into the rest of the ReLU network, which alone reaches {alone}.</p>"
    )
    return f"<h2>What the conversion lost</h2>{table([c[0] for c in columns], rows)}{note}"


def _table_of_spikes(histograms, shown):
    words = sorted({int(length) for row in histograms.values() for length in row.get("words", ())})
    head = (
        "population",
        "spikes",
        "silent neurons",
        "spikes per neuron and step",
        *(f"entropy of words of {n} (bits)" for n in words),
    )
    rows = []
    for name, row in histograms.items():
        bits = [shown(row["words"][str(n)]["bits"], "number") if "words" in row else "–" for n in words]
        silent = f"{row['first_spikes']['silent']:,}"
        rows.append([name, f"{row['spikes']:,}", silent, shown(row.get("density"), "number"), *bits])
    return table(head, rows)
