"""report.html: one small file without outside resources that says what a run found."""

import base64
import html
import json
from pathlib import Path

from eventsnn.report.curves import sections
from eventsnn.report.hybrid import hybrid
from eventsnn.report.learning import learning
from eventsnn.report.samples import samples
from eventsnn.report.tables import table
from eventsnn.report.trains import spike_trains

STYLE = """
:root{--ink:#22282f;--soft:#5c6773;--line:#e3e7ec;--tint:#f6f8fa;--good:#2a9d8f;--bad:#c1292e;--blue:#33658a}
*{box-sizing:border-box}
body{margin:0 auto;max-width:66rem;padding:2rem 1.25rem 4rem;color:var(--ink);background:#fff;
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.6rem;margin:0 0 .3rem}
h2{font-size:1.05rem;margin:2.4rem 0 .7rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
p{margin:.3rem 0;max-width:48rem}.soft{color:var(--soft)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .9rem .3rem 0;text-align:right;border-bottom:1px solid var(--line);font-weight:400}
th{color:var(--soft);font-size:.85rem}td:first-child,th:first-child{text-align:left}td.text{text-align:left}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.7rem,1fr));gap:.7rem;margin:1.4rem 0}
.figure{background:var(--tint);border-radius:.5rem;padding:.8rem 1rem}
.figure b{display:block;font-size:1.35rem;line-height:1.25}.figure span{color:var(--soft);font-size:.82rem}
img.wide{width:100%;height:auto;border:1px solid var(--line);border-radius:.4rem}
.gallery{display:flex;flex-wrap:wrap;gap:.6rem}.gallery figure{margin:0;text-align:center;font-size:.82rem}
.gallery img{width:4.2rem;height:4.2rem;image-rendering:pixelated;border:1px solid var(--line);border-radius:.3rem;
display:block}
.wrong{color:var(--bad);font-weight:600}
.confusion td,.confusion th{padding:.2rem .5rem;text-align:center;border:0;font-size:.85rem}
.warn{background:#fff5e6;border-left:3px solid #e36414;padding:.5rem .9rem;margin:.4rem 0;border-radius:.2rem}
code,pre{font:13px/1.45 ui-monospace,Consolas,monospace;background:var(--tint);border-radius:.25rem}
code{padding:.1rem .3rem}pre{padding:.8rem 1rem;overflow:auto;max-height:28rem}
summary{cursor:pointer;color:var(--blue)}
"""
HEADLINES = (
    ("accuracy", "accuracy", "percent"),
    ("agreement", "same class as the ReLU network", "percent"),
    ("source_accuracy", "accuracy of the ReLU network", "percent"),
    ("folded_accuracy", "the same, batch norm folded", "percent"),
    ("active_share", "active ReLU outputs", "percent"),
    ("pattern_loss", "loss of the last presentation", "count"),
    ("best_pattern_loss", "lowest loss", "count"),
    ("spikes_per_neuron", "spikes per neuron and sample", "number"),
    ("synaptic_events_per_sample", "synaptic events per sample", "count"),
    ("latency", "mean latency", "ms"),
    ("samples", "samples", "count"),
)


def write(content, view, picture, gallery=20, pictures=None):
    """Write the report of a run.

    Parameters
    ----------
    content : dict
        Content of result.json.
    view : plot.View
        Rasters and samples.
    picture : str or Path
        raster.png, put into the page.
    gallery : int
        Most samples in the gallery.
    pictures : dict of str to bytes, optional
        Further PNGs by kind, see `report_curves.sections`.

    Returns
    -------
    str
        HTML.
    """
    metrics = content["metrics"]
    parts = [
        f"<h1>{_text(content['title'])}</h1>",
        f"<p class=soft>{_text(_subtitle(content))}</p>",
        _headlines(metrics),
        "".join(f"<div class=warn>{_text(line)}</div>" for line in content["warnings"]),
        _published(content),
        learning(metrics, pictures or {}, shown, _inline),
        f"<h2>Spikes</h2><img class=wide alt='spikes of a few samples' src='{_inline(Path(picture).read_bytes())}'>",
        _populations(metrics),
        hybrid(content, shown),
        spike_trains(metrics, shown),
        sections(metrics, pictures or {}, shown, _inline),
        samples(view, gallery, _inline),
        _reproduce(content),
    ]
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>"
    head += f"<title>{_text(content['title'])}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _text(value):
    return html.escape(str(value))


def _inline(data):
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def headline(metrics, key):
    """Return one number for a metric, or None.

    Parameters
    ----------
    metrics : dict
        Of result.json.
    key : str
        Name of the metric; of a nested one the total or the mean is taken.

    Returns
    -------
    float or None
    """
    value = metrics.get(key)
    if isinstance(value, dict):
        value = value.get("total", value.get("mean_ms"))
    return value


def shown(value, kind):
    """Write a number for people.

    Parameters
    ----------
    value : float, str or None
    kind : {"percent", "number", "count", "ms"}

    Returns
    -------
    str
    """
    if value is None or isinstance(value, str):
        return value or "–"
    if kind == "percent":
        return f"{100 * value:.2f} %"
    if kind == "count":
        return f"{value:,.0f}"
    return f"{value:.4g} ms" if kind == "ms" else f"{value:.4g}"


def _subtitle(content):
    metrics, timing = content["metrics"], content["timing"]
    engine = metrics.get("engine")
    ran = f"{engine} engine ({metrics['engine_reason']}), " if engine else ""
    return f"{ran}{timing['seconds']:.1f} s in all, eventsnn {content['provenance']['versions']['eventsnn']}"


def _headlines(metrics):
    boxes = [
        f"<div class=figure><b>{shown(headline(metrics, key), kind)}</b><span>{label}</span></div>"
        for key, label, kind in HEADLINES
        if headline(metrics, key) is not None
    ]
    return f"<div class=figures>{''.join(boxes)}</div>"


def _published(content):
    if not content["published"]:
        return ""
    kinds = {key: (label, kind) for key, label, kind in HEADLINES}
    rows = []
    for key, figure in content["published"].items():
        label, kind = kinds.get(key, (key.replace("_", " "), "number"))
        source = f"{figure['source']}. {figure['note']}".rstrip(". ")
        measured = shown(headline(content["metrics"], key), kind)
        rows.append(
            f"<tr><td>{_text(label)}<td>{_text(shown(figure['value'], kind))}<td>{measured}"
            f"<td class=text>{_text(source)}"
        )
    head = "<tr><th>figure<th>published<th>measured<th class=text>source"
    return f"<h2>Published and measured</h2><table>{head}{''.join(rows)}</table>"


def _populations(metrics):
    rows = []
    for name, row in metrics.get("populations", {}).items():
        share = row["spikes"] / (row["neurons"] * metrics["samples"])
        spikes = (f"{row['spikes']:,}", f"{share:.4g}") if row["fires"] else ("–", "–")
        rows.append((name, f"{row['neurons']:,}", *spikes, f"{row['updates']:,}"))
    if not rows:
        return ""
    head = ("population", "neurons", "spikes", "per neuron and sample", "updates")
    queue = ", ".join(f"{name} {count:,}" for name, count in metrics["queue"].items())
    queue = f"; queue: {queue}" if any(metrics["queue"].values()) else ""
    work = f"<p class=soft>{metrics['synaptic_events']:,} synaptic events{queue}</p>"
    return f"<h2>Populations</h2>{table(head, rows)}{work}"


def _reproduce(content):
    origin = content["provenance"]
    facts = {k: v for k, v in origin.items() if k != "scenario"}
    return (
        "<h2>Again</h2><p>The raster stores the scenario; this gives the same spikes, bit for bit:</p>"
        "<pre>eventsnn run raster.h5 --out again</pre>"
        f"<p class=soft>First run with: <code>{_text(origin['command'])}</code></p>"
        f"<details><summary>Scenario</summary><pre>{_text(origin['scenario'])}</pre></details>"
        f"<details><summary>Provenance</summary><pre>{_text(json.dumps(facts, indent=1))}</pre></details>"
    )
