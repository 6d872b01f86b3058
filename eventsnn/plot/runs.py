"""Pictures of a run: the samples, their spikes against time with the windows of the layers, and the answer."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eventsnn import disk
from eventsnn.errors import DataError
from eventsnn.plot.style import FAINT, INK, PALETTE, new_figure, plain, save

MOST_SPIKES = 200_000  # a plot with more shows every k-th and says so


@dataclass(frozen=True, eq=False)
class View:
    """What there is to see of a run.

    Attributes
    ----------
    rasters : dict of str to SpikeRaster
        In the order of the network.
    windows : dict of str to (float, float)
        Opening and closing of a gated population, ms.
    samples : dict of str to ndarray
        prediction, label, source_prediction, readout, classes, image (of the samples image_of): those that are known.
    """

    rasters: dict
    windows: dict = field(default_factory=dict)
    samples: dict = field(default_factory=dict)

    @classmethod
    def of(cls, path):
        """Read a run folder, or a raster file with what lies beside it.

        Parameters
        ----------
        path : str or Path
            Folder, raster.h5, or raster.h5.part.

        Returns
        -------
        View
        """
        from eventsnn.files.raster_h5 import read_rasters

        path = Path(path)
        path = path / "raster.h5" if path.is_dir() else path
        rasters, meta = read_rasters(path, partial=path.suffix == ".part")
        order = [n for n in meta.get("nodes", ()) if n in rasters]
        rasters = {n: rasters[n] for n in dict.fromkeys([*order, *rasters])}
        beside = path.parent / "samples.npz"
        samples = disk.read_npz(beside, DataError) if beside.exists() and path.name.startswith("raster.h5") else {}
        return cls(rasters, dict(meta.get("windows", {})), samples)

    @property
    def n_samples(self):
        """Number of samples."""
        counts = [r.n_samples for r in self.rasters.values()] or [len(self.samples.get("prediction", ()))]
        return min(counts)

    def class_name(self, number):
        """Name of a class."""
        classes = self.samples.get("classes", ())
        return str(classes[number]) if number < len(classes) else str(number)

    def image(self, k):
        """Picture of a sample: the stored one, or what its input spikes add up to; None if neither is an image."""
        kept = np.flatnonzero(self.samples.get("image_of", np.empty(0)) == k)
        if kept.size:
            return self.samples["image"][kept[0]]
        raster = next(iter(self.rasters.values()), None)
        if raster is None or k >= raster.n_samples or not raster.n_spikes:
            return None
        shape, side = raster.shape or (raster.size,), math.isqrt(raster.size)
        if len(shape) == 1 and side >= 8 and side * side == raster.size and "label" in self.samples:
            shape = (side, side, 1)  # an image that was flattened for a dense network
        return to_image(raster.sample(k).amplitude_sums().reshape(shape)) if len(shape) == 3 else None


def to_image(values):
    """Turn values (y, x, channel) into bytes to look at.

    Parameters
    ----------
    values : ndarray, shape (y, x, channel)
        One channel: ink on paper. Two: events of an event camera, ON in orange, OFF in blue. Three: colours.

    Returns
    -------
    ndarray of uint8, shape (y, x, 3)
    """
    values = np.asarray(values, np.float64)
    top = values.max(initial=0.0)
    values = np.clip(values / top if top > 0 else values, 0.0, 1.0)
    if values.shape[-1] == 3:
        return np.rint(255 * values).astype(np.uint8)
    inks = [INK] if values.shape[-1] == 1 else [PALETTE[0], PALETTE[1]]
    paper = np.full((*values.shape[:2], 3), 255.0)
    for channel, colour in enumerate(inks):
        ink = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        share = np.sqrt(values[..., channel : channel + 1]) if len(inks) == 2 else values[..., channel : channel + 1]
        paper += share * (ink - paper)
    return np.rint(paper).astype(np.uint8)


def draw_run(view, path, rows=3, title=""):
    """Draw a few samples of a run: image, spikes, readout; one row each.

    Parameters
    ----------
    view : View
    path : str or Path
        PNG to write.
    rows : int
        Most samples to show.
    title : str
        Above the picture.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = list(range(min(rows, view.n_samples)))
    has_image, has_answer = view.image(0) is not None, view.samples.get("readout") is not None
    widths = ([1.25] if has_image else []) + [6.5] + ([1.7] if has_answer else [])
    height = 2.7 if len(shown) > 1 else 4.2
    step = _thinning(view, shown)
    note = f"  (one spike in {step} shown)" if step > 1 else ""
    figure = new_figure(12.5, max(1, len(shown)) * height + 0.9, (title or "spikes") + note)
    grid = figure.add_gridspec(max(1, len(shown)), len(widths), width_ratios=widths)
    for row, k in enumerate(shown):
        axes = [figure.add_subplot(grid[row, column]) for column in range(len(widths))]
        if has_image:
            _draw_image(axes.pop(0), view, k)
        _draw_spikes(axes.pop(0), view, k, step, last=row == len(shown) - 1)
        if has_answer:
            _draw_answer(axes.pop(0), view, k, last=row == len(shown) - 1)
    return save(figure, path)


def _thinning(view, shown):
    spikes = sum(int(r.offsets[k + 1] - r.offsets[k]) for r in view.rasters.values() for k in shown)
    return max(1, math.ceil(spikes / MOST_SPIKES))


def _draw_image(axes, view, k):
    image = view.image(k)
    if image is not None:
        axes.imshow(image, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    labels = view.samples.get("label")
    text = f"sample {view.samples['id'][k]}" if "id" in view.samples else f"sample {k}"
    if labels is not None:
        text += f": {view.class_name(int(labels[k]))}"
    axes.set_xlabel(text, color=INK, fontsize=9)


def _draw_spikes(axes, view, k, step, last):
    """All populations of one sample, each in a band as high as the root of its size, the input on top."""
    plain(axes)
    bands = [math.sqrt(max(1, raster.size)) + 1 for raster in view.rasters.values()]
    total, base, centres = sum(bands), sum(bands), []
    for index, ((name, raster), height) in enumerate(zip(view.rasters.items(), bands)):
        base -= height
        colour = PALETTE[index % len(PALETTE)]
        if name in view.windows:
            axes.axvspan(*view.windows[name], base / total, (base + height) / total, color=colour, alpha=0.09, lw=0)
        part = slice(int(raster.offsets[k]), int(raster.offsets[k + 1]), step)
        times = raster.times[part] * (raster.dt_ms or 1.0)
        y = base + 0.5 + (height - 1) * (1 - (raster.ids[part] + 0.5) / raster.size)
        size = 2.2 if times.size > 3000 else 4.5
        axes.plot(times, y, linestyle="", marker="|", markersize=size, markeredgewidth=0.7, color=colour)
        axes.axhline(base, color=FAINT, lw=0.6)
        centres.append((base + height / 2, f"{name}\n{raster.size:,}"))
    latency = view.samples.get("latency_ms")
    if view.windows and latency is not None and np.isfinite(latency[k]):
        axes.axvline(latency[k], color=INK, lw=1, ls=(0, (4, 3)))
        axes.annotate("read", (latency[k], total), (-4, -3), textcoords="offset points", ha="right", va="top", fontsize=8)
    axes.set_ylim(0, max(total, 1))
    ends = [raster.duration_ms for raster in view.rasters.values()] + [end for _, end in view.windows.values()]
    axes.set_xlim(0, 1.01 * max(ends, default=1.0) or 1.0)
    axes.set_yticks([y for y, _ in centres], [text for _, text in centres], fontsize=8)
    if last:
        axes.set_xlabel("time (ms)", color=INK, fontsize=9)


def _draw_answer(axes, view, k, last):
    """Values of the readout as bars; the prediction in colour, right or wrong said."""
    values = np.where(np.isfinite(view.samples["readout"][k]), view.samples["readout"][k], 0.0)
    chosen, labels = int(view.samples["prediction"][k]), view.samples.get("label")
    right = labels is None or int(labels[k]) == chosen
    colours = [FAINT] * len(values)
    if chosen < len(colours):
        colours[chosen] = PALETTE[2] if right else PALETTE[4]
    axes.barh(range(len(values)), values, color=colours, height=0.75)
    axes.axvline(0, color=INK, lw=0.5)
    if len(values) <= 20:
        axes.set_yticks(range(len(values)), [view.class_name(i) for i in range(len(values))], fontsize=8)
    axes.invert_yaxis()
    plain(axes)
    says = f"answer: {view.class_name(chosen)}{'' if right else ', wrong'}"
    axes.set_title(says, color=INK if right else PALETTE[4], fontsize=10, loc="left")
    if last:
        axes.set_xlabel("readout", color=INK, fontsize=9)


def draw_rasters(path, out, rows=3, title=""):
    """Draw a raster file or a run folder.

    Parameters
    ----------
    path : str or Path
        raster.h5, raster.h5.part or a run folder.
    out : str or Path
        PNG to write, whole or not at all.
    rows : int
        Most samples to show.
    title : str
        Above the picture.
    """
    if Path(out).suffix != ".png":
        raise DataError(f"{out}: pictures are PNG, got {Path(out).suffix!r}; give a name that ends in .png")
    view = View.of(path)
    with disk.finished(out) as part:
        draw_run(view, part, rows, title)
