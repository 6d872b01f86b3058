"""Pictures of what was learned: target and output side by side, and the loss over presentations."""

import numpy as np

from eventsnn.plot.style import FAINT, INK, PALETTE, new_figure, plain, save


def draw_patterns(what, path, title=""):
    """Draw target and output rasters side by side, and the loss with its silent and its best reachable level.

    Parameters
    ----------
    what : dict
        target, output (arrays (steps, neurons)), loss (one number per presentation), found (the figures of the training).
    path : str or Path
        PNG to write.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(12.5, 4.4, title)
    panels = figure.subplots(1, 3, width_ratios=[1, 1, 1.35])
    for axes, name in zip(panels, ("target", "output")):
        plain(axes)
        t, neuron = np.nonzero(what[name])
        steps, size = what[name].shape
        axes.plot(neuron, t, linestyle="", marker="s", markersize=max(1.1, 250 / max(steps, size)), markeredgewidth=0,
                  color=INK if name == "target" else PALETTE[0])  # fmt: skip
        axes.set(xlim=(-1, size), ylim=(steps, -1), aspect=size / steps)
        axes.set_title(f"{name}: {t.size:,} spikes", fontsize=10, color=INK, loc="left")
        axes.set_xlabel("neuron", color=INK, fontsize=9)
    panels[0].set_ylabel("step", color=INK, fontsize=9)
    _draw_loss(panels[2], what["loss"], what["found"])
    return save(figure, path)


def draw_training(found, path, title=""):
    """Draw loss and accuracy of a training by epoch or by samples seen, latency where it changes, how far a twin's weights are.

    Parameters
    ----------
    found : dict
        The figures of the training: curve, and trajectory where a twin was trained.
    path : str or Path
        PNG to write.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(12.5, 3.6, title)
    curve, twin = found["curve"], found.get("trajectory", ())
    timed = "latency" in curve[0]
    panels = list(figure.subplots(1, 2 + timed + bool(twin)))
    unit = "samples" if "samples" in curve[0] else "epoch"
    for axes, what in zip(panels, ("loss", "accuracy")):
        for color, part in zip(PALETTE, ("train", "validation")):
            points = [(record[unit], record[f"{part}_{what}"]) for record in curve if record[f"{part}_{what}"] is not None]
            if points:
                axes.plot(*zip(*points), color=color, lw=1.2, marker="o", ms=3, label=part)
        if axes.lines:
            axes.legend(fontsize=8, frameon=False)
        axes.set_title(what, fontsize=10, color=INK, loc="left")
    if timed:
        latency = [record["latency"] for record in curve]
        panels[2].plot([record[unit] for record in curve], latency, color=PALETTE[2], lw=1.2, marker="o", ms=3)
        panels[2].set_title("latency, ms", fontsize=10, color=INK, loc="left")
    if twin:
        apart = [max(record["largest_difference"], 1e-18) for record in twin]
        panels[-1].semilogy([record["step"] for record in twin], apart, color=PALETTE[3], lw=1.2, marker="o", ms=3)
        panels[-1].set_title("largest weight difference from the ReLU twin", fontsize=10, color=INK, loc="left")
    for axes in panels:
        plain(axes)
        axes.grid(axis="y", color=FAINT, lw=0.5)
        axes.set_xlabel("step" if twin and axes is panels[-1] else unit, color=INK, fontsize=9)
    return save(figure, path)


def _draw_loss(axes, losses, found):
    plain(axes)
    axes.plot(np.arange(1, losses.size + 1), losses, color=PALETTE[0], lw=1.2, label="loss L")
    published = found["published_run"]
    if published is not None:
        k, value = zip(*((int(k), v) for k, v in published["loss_at"].items() if int(k) <= losses.size))
        axes.plot(k, value, color=PALETTE[1], lw=0, marker="o", ms=4, label=f"published run {published['bits']}, another drawing")
    for level, label in (("silent", "silent output"), ("reachable", "best reachable")):
        axes.axhline(found[level], color=INK if level == "silent" else PALETTE[2], lw=0.9, ls=(0, (4, 3)), label=label)
    axes.set_xscale("log")
    axes.set_ylim(0, None)
    axes.grid(axis="y", color=FAINT, lw=0.5)
    axes.set_xlabel("presentation", color=INK, fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 0.08))
