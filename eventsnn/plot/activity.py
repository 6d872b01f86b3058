"""Picture of ongoing activity: spikes of a few neurons of each population, and the population rates below."""

import numpy as np

from eventsnn.analysis.trains import chosen
from eventsnn.plot.style import FAINT, INK, PALETTE, new_figure, plain, save

MOST_NEURONS = 60  # shown of each population
MOST_MS = 2000.0  # a longer run shows its end
BINS = 400  # of the population rate, at most
NICE = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Shown:
    """What is drawn of one population: spikes of some neurons in the last stretch of the first sample, and its rate.

    Parameters
    ----------
    head : Head
        Size, duration and step of its raster.
    """

    def __init__(self, head):
        self.size, self.duration = head.size, head.duration * (head.dt_ms or 1.0)
        self.start = max(0.0, self.duration - MOST_MS)
        length = max(self.duration - self.start, 1e-9)
        self.bin_ms = next((b for b in NICE if b >= max(length / BINS, head.dt_ms or 0.0)), length)
        self.neurons = chosen(self.size, MOST_NEURONS)
        self.row = np.full(self.size, -1)
        self.row[self.neurons] = np.arange(self.neurons.size)
        self.times, self.rows = [], []
        self.bins = np.zeros(max(1, int(np.floor(length / self.bin_ms * (1 + 1e-12)))), np.int64)

    def add(self, sample, times, ids):
        """Take the next part of the spikes."""
        if sample or not times.size or times[-1] < self.start:
            return
        late = times >= self.start
        times, rows = times[late], self.row[ids[late]]
        self.times.append(times[rows >= 0])
        self.rows.append(rows[rows >= 0])
        bins = ((times - self.start) // self.bin_ms).astype(np.int64)
        self.bins += np.bincount(bins[bins < self.bins.size], minlength=self.bins.size)

    @property
    def rate_hz(self):
        """Population rate in each bin."""
        return self.bins / (self.size * self.bin_ms * 1e-3)


def read_shown(path, names):
    """Read what a picture shows of a raster.h5, a block of spikes at a time.

    Parameters
    ----------
    path : str or Path
        Finished file of eventsnn.
    names : list of str
        Populations.

    Returns
    -------
    dict
        Name -> Shown.
    """
    from eventsnn.files.raster_h5_blocks import read_blocks, read_heads

    heads, found = read_heads(path), {}
    for name in names:
        found[name] = Shown(heads[name][0])
        for part in read_blocks(path, name):
            found[name].add(*part)
    return found


def draw_activity(path, out, names, title=""):
    """Draw the activity of a run.

    Parameters
    ----------
    path : str or Path
        raster.h5.
    out : str or Path
        PNG to write.
    names : list of str
        Populations, from top to bottom.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = read_shown(path, names)
    figure = new_figure(12.5, 6.2, title or "spikes")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1])
    _draw_neurons(above, shown)
    _draw_rates(below, shown)
    return save(figure, out)


def _draw_neurons(axes, shown):
    plain(axes)
    base, centres = 0, []
    for index, (name, part) in enumerate(shown.items()):
        times, rows = (np.concatenate([np.empty(0), *parts]) for parts in (part.times, part.rows))
        size = 5.0 if sum(p.neurons.size for p in shown.values()) <= 60 else 3.2
        axes.plot(times, -(base + rows), linestyle="", marker="|", markersize=size, markeredgewidth=0.8,
                  color=PALETTE[index % len(PALETTE)])  # fmt: skip
        count = part.neurons.size
        text = f"{name}\n{count:,}" + (f" of {part.size:,}" if count < part.size else "")
        centres.append((-(base + (count - 1) / 2), text))
        base += count + 2
        if index < len(shown) - 1:
            axes.axhline(-(base - 1.5), color=FAINT, lw=0.6)
    axes.set_ylim(-base + 1, 1)
    axes.set_yticks([y for y, _ in centres], [text for _, text in centres], fontsize=8)


def _draw_rates(axes, shown):
    plain(axes)
    top = 0.0
    for index, (name, part) in enumerate(shown.items()):
        edges = part.start + part.bin_ms * np.arange(part.bins.size + 1)
        axes.stairs(part.rate_hz, edges, color=PALETTE[index % len(PALETTE)], lw=1.0, label=name, baseline=None)
        top = max(top, float(part.rate_hz.max(initial=0.0)))
        axes.set_xlim(part.start, part.duration)
    axes.set_ylim(0, 1.08 * top or 1.0)
    bins = ", ".join(dict.fromkeys(f"{part.bin_ms:g}" for part in shown.values()))
    axes.set_ylabel(f"population rate (Hz),\nbins of {bins} ms", color=INK, fontsize=9)
    axes.set_xlabel("time (ms)", color=INK, fontsize=9)
    if len(shown) > 1:
        axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=len(shown))
