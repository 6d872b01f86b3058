"""The part of report.html about learning: a spike pattern, or a network of spike times."""

import html

from eventsnn.report.tables import table


def learning(metrics, pictures, shown, inline):
    """Return the section on what was learned as HTML; nothing where nothing was.

    Parameters
    ----------
    metrics : dict
        Of result.json.
    pictures : dict of str to bytes
        PNG by kind: patterns, learning_curve.
    shown : callable
        Writes a number: (value, kind).
    inline : callable
        PNG -> address of an image.

    Returns
    -------
    str
    """
    found = metrics.get("learning", {})
    if found.get("rule") in ("stdb", "ttfs"):
        return _training(found, pictures, shown, inline)
    if found.get("rule") == "adjoint":
        return _adjoint(found, pictures, shown, inline)
    if found.get("rule") != "van_rossum":
        return ""
    image = f"<img class=wide alt='target and output' src='{inline(pictures['patterns'])}'>" if "patterns" in pictures else ""
    facts = [("loss of the last presentation", shown(found["last"], "count")),
             ("lowest loss", f"{shown(found['best'], 'count')}, presentation {found['best_at']:,}"),
             ("silent output", shown(found["silent"], "count")), ("best reachable (best found)", shown(found["reachable"],
             "count")), *((f"first below {mark}", "–" if k is None else f"presentation {k:,}") for mark, k in
             found["first_below"].items()), ("spikes", ", ".join(f"{name} {n:,}" for name, n in found["spikes"].items())),
             ("weights that are not 0", ", ".join(shown(x, "percent") for x in found["density"]))]  # fmt: skip
    rows = "".join(f"<tr><td>{html.escape(name)}<td class=text>{html.escape(str(value))}" for name, value in facts)
    return f"<h2>Learning</h2>{image}<table>{rows}</table>{_curve(found, shown)}{_memory(found)}"


def _training(found, pictures, shown, inline):
    picture = "learning_curve"
    image = f"<img class=wide alt='learning curve' src='{inline(pictures[picture])}'>" if picture in pictures else ""
    rows = []
    for test in found["test"]:
        for when in ("before", "after"):
            record = test[when]
            rows.append([test["data"], when, shown(record["accuracy"], "percent"), shown(record.get("accuracy_std"), "percent"),
                         f"{record['spikes_per_neuron']:.3f}", shown(record.get("twin_agreement"), "percent")])  # fmt: skip
    head = ("samples", "training", "accuracy", "spread over trials", "spikes per neuron", "agreement with the ReLU twin")
    last = f"latency {shown(found['latency'], 'ms')}" if "latency" in found else f"steps {found['steps']}"
    facts = f"<p>epochs {found['epochs']}, kept {found['kept_epoch']}, {last}</p>"
    return f"<h2>Learning</h2>{image}{facts}{table(head, rows)}"


def _adjoint(found, pictures, shown, inline):
    picture = "learning_curve"
    image = f"<img class=wide alt='learning curve' src='{inline(pictures[picture])}'>" if picture in pictures else ""
    rows, judged = [], "accuracy" if all("accuracy" in test["after"] for test in found["test"]) else "distance"
    for test in found["test"]:
        for when in ("before", "after"):
            record = test[when]
            value = shown(record["accuracy"], "percent") if judged == "accuracy" else f"{record['distance']:.4g}"
            silent = f"{record['silent_distance']:.4g}" if "silent_distance" in record else "–"
            rows.append([test["data"], when, value, silent, f"{record['spikes_per_neuron']:.3f}"])
    head = ("samples", "training", judged, "of a silent answer", "spikes per neuron")
    least = found["last"].get("min_slope")
    slope = "" if least is None else f", smallest slope at a threshold in the last epoch {least:.3g}"
    facts = f"<p>epochs {found['epochs']}, kept {found['kept_epoch']}{slope}</p>"
    return f"<h2>Learning</h2>{image}{facts}{table(head, rows)}"


def _curve(found, shown):
    published = (found["published_run"] or {"loss_at": {}})["loss_at"]
    keys = sorted({*found["loss_at"], *published}, key=int)
    rows = [(f"{int(k):,}", shown(found["loss_at"].get(k), "count"), shown(published.get(k), "count")) for k in keys]
    head = ("presentation", "loss", "published log, another drawing of the same kind")
    return f"<h2>Loss over presentations</h2>{table(head, rows)}"


def _memory(found):
    rows = []
    for layout, row in found["memory"].items():
        energy = f"{row['published_joules']:.3g} J" if "published_joules" in row else "–"
        density = ", ".join(f"{x:g}" for x in row.get("published_density", ())) or "–"
        rows.append((layout, f"{row['bits']:,}", energy, density))
    head = ("memory layout", "bits of the weights", "published energy, both passes", "at density")
    return f"<h2>Memory layouts</h2>{table(head, rows)}"
