"""Pictures of what was measured: accuracy over time and spikes, histograms with window borders, layers, state over time."""

import numpy as np

from eventsnn.plot.style import FAINT, INK, PALETTE, new_figure, plain, save

NEURONS = 100  # shown of each layer


def _label(axes, x="", y=""):
    plain(axes)
    axes.set_xlabel(x, color=INK, fontsize=9)
    axes.set_ylabel(y, color=INK, fontsize=9)


def draw_over_time(metrics, path, title=""):
    """Draw accuracy and agreement against time and against spikes, and spikes against time.

    Parameters
    ----------
    metrics : dict
        Of result.json, with `over_time`.
    path : str or Path
        PNG to write.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    curve, figure = metrics["over_time"], new_figure(12.5, 3.6, title)
    shown = [(key, PALETTE[k]) for k, key in enumerate(("accuracy", "agreement")) if key in curve]
    panels = figure.subplots(1, 3 if shown else 1, squeeze=False)[0]
    for axes, x, label in zip(panels, ("times_ms", "spikes"), ("time (ms)", "spikes per sample")) if shown else ():
        for key, colour in shown:
            axes.plot(curve[x], 100 * np.array(curve[key]), color=colour, lw=1.4, marker="o", ms=2.5, label=key)
        if "source_accuracy" in metrics:
            axes.axhline(100 * metrics["source_accuracy"], color=INK, lw=0.8, ls=(0, (4, 3)), label="ReLU network")
        if x == "times_ms" and "latency_to_accuracy" in metrics and metrics["latency_to_accuracy"]["reached_ms"] is not None:
            axes.axvline(metrics["latency_to_accuracy"]["reached_ms"], color=FAINT, lw=1.2)
        if len(curve[x]) > 1 and 0 < 100 * min(curve[x]) <= max(curve[x]):  # below two decades, ticks of a log axis overlap
            axes.set_xscale("log")
        axes.margins(y=0.08)
        _label(axes, label, "%")
        axes.legend(fontsize=8, frameon=False, loc="lower right")
    for k, (name, spikes) in enumerate(curve["spikes_per_population"].items()):
        panels[-1].plot(curve["times_ms"], spikes, color=PALETTE[k % len(PALETTE)], lw=1.2, label=name)
    _label(panels[-1], "time (ms)", "spikes per sample so far")
    if len(curve["spikes_per_population"]) <= 8:
        panels[-1].legend(fontsize=8, frameon=False)
    return save(figure, path)


def draw_histograms(histograms, path, title=""):
    """Draw first spikes (with the borders of the window), intervals, amplitudes and phases of each population.

    Parameters
    ----------
    histograms : dict
        Of result.json: population -> `SpikeHistograms.result`, with "window_ms" where it has a window.
    path : str or Path
        PNG to write.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    phases = any("phases" in row for row in histograms.values())
    figure = new_figure(12.5, 1.9 * max(1, len(histograms)) + 0.6, title)
    table = figure.subplots(max(1, len(histograms)), 3 + phases, squeeze=False)
    for k, (name, row) in enumerate(histograms.items()):
        colour = PALETTE[k % len(PALETTE)]
        first, gaps, amplitudes = table[k][:3]
        first.stairs(row["first_spikes"]["counts"], row["first_spikes"]["edges_ms"], fill=True, color=colour)
        for border in row.get("window_ms", ()):
            first.axvline(border, color=INK, lw=1, ls=(0, (4, 3)))
        gaps.stairs(row["intervals"]["counts"], row["intervals"]["edges_ms"], fill=True, color=colour)
        if row["amplitudes"]["counts"]:
            amplitudes.stairs(row["amplitudes"]["counts"], row["amplitudes"]["edges"], fill=True, color=colour)
            low, *_, high = row["amplitudes"]["edges"]
            amplitudes.set_xscale("log", base=2)
            amplitudes.set_xlim(low / 4, high * 4)
        for axes, label in ((first, "first spike (ms)"), (gaps, "interval (ms)"), (amplitudes, "amplitude")):
            if any(row[{"f": "first_spikes", "i": "intervals", "a": "amplitudes"}[label[0]]]["counts"]):
                axes.set_yscale("log")
            _label(axes, label, name if axes is first else "")
        if "phases" in row:
            table[k][3].bar(range(len(row["phases"])), row["phases"], color=colour)
            _label(table[k][3], "step of the period")
    return save(figure, path)


def draw_layers(rasters, path, title="", windows=None):
    """Draw the first sample, one panel a layer: up to 100 neurons, the first ones.

    Parameters
    ----------
    rasters : dict of str to SpikeRaster
        From input to output.
    path : str or Path
        PNG to write.
    title : str
    windows : dict, optional
        Name -> (opening, closing), ms.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(12.5, 1.5 * max(1, len(rasters)) + 0.7, title)
    panels = figure.subplots(max(1, len(rasters)), 1, sharex=True, squeeze=False)[:, 0]
    for k, (axes, (name, raster)) in enumerate(zip(panels, rasters.items())):
        part = raster.sample(0) if raster.n_samples else raster
        seen = part.ids < NEURONS
        axes.plot(part.times_ms[seen], part.ids[seen], linestyle="", marker="|", ms=3.5, mew=0.8, color=PALETTE[k % len(PALETTE)])
        for border in (windows or {}).get(name, ()):
            axes.axvline(border, color=INK, lw=0.8, ls=(0, (4, 3)))
        shown = min(NEURONS, raster.size)
        axes.set_ylim(shown - 0.5, -0.5)
        axes.set_xlim(0, raster.duration_ms or 1.0)
        _label(
            axes,
            "time (ms)" if k == len(panels) - 1 else "",
            f"{name}\n{shown:,}" + (f" of {raster.size:,}" if shown < raster.size else ""),
        )
    return save(figure, path)


def draw_integer(found, path, title=""):
    """Draw signed spikes and synaptic operations of an all-integer network, step by step.

    Parameters
    ----------
    found : dict
        `integer` of result.json.
    path : str or Path
        PNG to write.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    steps, figure = {name: np.array(values) for name, values in found["per_step"].items()}, new_figure(12.5, 3.4, title)
    signs, work = figure.subplots(1, 2)
    at = np.arange(1, len(steps["sop_num"]) + 1)
    signs.bar(at, (steps["abs_spike"] + steps["sum_spike"]) / 2, color=PALETTE[0], label="positive spikes")
    signs.bar(at, (steps["sum_spike"] - steps["abs_spike"]) / 2, color=PALETTE[1], label="negative spikes")
    signs.axhline(0, color=INK, lw=0.8)
    signs.legend(fontsize=8, frameon=False)
    work.bar(at, np.diff(steps["sop_num"], prepend=0), color=PALETTE[2])
    _label(signs, "step", "spikes of all samples")
    _label(work, "step", "synaptic operations of all samples")
    return save(figure, path)


def draw_traces(arrays, path, title=""):
    """Draw state variables and spike counts of a few neurons, step by step; on the continuous clock (from 0) as lines.

    Parameters
    ----------
    arrays : dict of ndarray
        "POPULATION/VARIABLE" and "POPULATION/count" (steps, neurons), "POPULATION/neurons" and "times_ms".
    path : str or Path
        PNG to write.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = [name for name in arrays if "/" in name and not name.endswith("/neurons")]
    figure = new_figure(12.5, 1.6 * max(1, len(names)) + 0.7, title)
    panels = figure.subplots(max(1, len(names)), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names):
        neurons = arrays[f"{name.rsplit('/', 1)[0]}/neurons"]
        straight = arrays["times_ms"][0] == 0 and not name.endswith("/count")
        for k, neuron in enumerate(neurons.tolist()):
            axes.plot(
                arrays["times_ms"],
                arrays[name][:, k],
                drawstyle="default" if straight else "steps-post",
                lw=1.1,
                color=PALETTE[k % len(PALETTE)],
                label=f"neuron {neuron}",
            )
        _label(axes, "after (ms)" if axes is panels[-1] else "", name.replace("/", "\n"))
        if len(neurons) <= 8:
            axes.legend(fontsize=7, frameon=False, loc="upper left")
    return save(figure, path)
