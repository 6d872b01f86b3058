"""The part of report.html about single samples: a gallery of them, and which classes are taken for which."""

import html
import io

import numpy as np

from eventsnn.plot.style import PALETTE


def samples(view, most, inline):
    """Return gallery and confusion matrix as HTML; empty where classes or labels are not known.

    Parameters
    ----------
    view : plot.View
        Rasters and samples.
    most : int
        Most samples in the gallery.
    inline : callable
        PNG -> address of an image.

    Returns
    -------
    str
    """
    return _gallery(view, most, inline) + _confusion(view)


def _png(image):
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _gallery(view, most, inline):
    """Wrong ones first: they are what a person wants to see."""
    prediction, labels = view.samples.get("prediction"), view.samples.get("label")
    if prediction is None or labels is None or view.image(0) is None:
        return ""
    wrong = [k for k in range(len(labels)) if prediction[k] != labels[k] and view.image(k) is not None]
    right = [k for k in range(len(labels)) if prediction[k] == labels[k]]
    first = wrong[: most // 2]
    cells = []
    for k in [*first, *right[: most - len(first)]]:
        image = view.image(k)
        if image is None:
            continue
        said, label = view.class_name(int(prediction[k])), view.class_name(int(labels[k]))
        text = html.escape(said) if said == label else f"<span class=wrong>{html.escape(said)}, is {html.escape(label)}</span>"
        cells.append(f"<figure><img alt='{html.escape(label)}' src='{inline(_png(image))}'>{text}</figure>")
    lead = f"{len(first)} of the mistakes first" if first else "no mistakes among them"
    return f"<h2>Samples</h2><p class=soft>Predicted class; {lead}.</p><div class=gallery>{''.join(cells)}</div>"


def _confusion(view):
    prediction, labels = view.samples.get("prediction"), view.samples.get("label")
    if prediction is None or labels is None:
        return ""
    n = int(max(prediction.max(), labels.max())) + 1
    if n > 20:
        return ""
    from eventsnn.metrics import confusion_matrix

    table = np.asarray(confusion_matrix(prediction, labels, n))
    rows = []
    for label in range(n):
        cells = []
        for said in range(n):
            share = table[label, said] / max(1, table[label].sum())
            colour = PALETTE[2] if said == label else PALETTE[4]
            alpha = round(255 * (0.55 * share if said == label else min(1.0, 6 * share)))
            cells.append(f"<td style='background:{colour}{alpha:02x}'>{table[label, said] or ''}")
        rows.append(f"<tr><th>{html.escape(view.class_name(label))}{''.join(cells)}")
    head = "<tr><th>" + "".join(f"<th>{html.escape(view.class_name(i))}" for i in range(n))
    note = "<p class=soft>Rows: the label. Columns: the prediction.</p>"
    return f"<h2>Confusion</h2>{note}<table class=confusion>{head}{''.join(rows)}</table>"
