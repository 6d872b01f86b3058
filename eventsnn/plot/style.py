"""What all pictures share: colours, a figure with its title, axes without a frame, and how they are saved."""

PALETTE = ("#33658a", "#e36414", "#2a9d8f", "#8d5a97", "#c1292e", "#588157", "#b08900", "#5c677d")
INK, PAPER, FAINT = "#22282f", "#ffffff", "#d9dee4"


def new_figure(width, height, title=""):
    """Return an empty figure of a size in inches; matplotlib is imported now, without a window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, color=INK, fontsize=13, x=0.01, ha="left")
    return figure


def save(figure, path):
    """Write a figure as PNG, with no date in it; returns the figure."""
    figure.savefig(path, dpi=110, format="png", metadata={"Software": "eventsnn"})
    return figure


def plain(axes):
    """Take away the frame of a picture but for its lower edge."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, length=2)
