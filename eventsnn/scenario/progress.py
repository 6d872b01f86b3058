"""What is said to a person while and after something runs."""

import sys
import time


class Progress:
    """Show progress on stderr: one line that grows on a terminal, one line for every 10 % elsewhere.

    Parameters
    ----------
    quiet : bool
        Say nothing.
    stream : file, optional
        Default stderr.
    """

    def __init__(self, quiet=False, stream=None):
        self.quiet, self.stream = quiet, sys.stderr if stream is None else stream
        self.terminal = hasattr(self.stream, "isatty") and self.stream.isatty()
        self.stage, self.tenth, self.drawn, self.open = None, -1, 0.0, False

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._end()

    def __call__(self, stage, done, total):
        """Report that `done` of `total` (None: unknown) are there."""
        if self.quiet:
            return
        if stage != self.stage:
            self._end()
            self.stage, self.tenth, self.drawn = stage, -1, 0.0
        share = done / total if total else 0.0
        if self.terminal:
            self._draw(stage, done, total, share)
        elif total and int(10 * share) > self.tenth:
            self.tenth = int(10 * share)
            print(f"{stage} {done:,} of {total:,} ({10 * self.tenth} %)", file=self.stream, flush=True)

    def _draw(self, stage, done, total, share):
        now = time.monotonic()
        if now - self.drawn < 0.1 and done != total:
            return
        self.drawn, self.open = now, True
        bar = "█" * round(24 * share) + "░" * (24 - round(24 * share))
        counts = f"{done:,} of {total:,}" if total else f"{done:,}"
        print(f"\r{stage} {bar} {counts} ", end="", file=self.stream, flush=True)

    def _end(self):
        if self.open:
            print(file=self.stream, flush=True)
            self.open = False


def summary(result):
    """Say in a few lines what a run found.

    Parameters
    ----------
    result : scenario.run.Result

    Returns
    -------
    str
    """
    from eventsnn.report.page import HEADLINES, headline, shown

    metrics, published = result.metrics, result.content["published"]
    lines = [result.content["title"] + (" (finished before, nothing was run)" if result.reused else "")]
    for key, label, kind in HEADLINES:
        value = headline(metrics, key)
        if value is not None:
            beside = f"   (published: {shown(published[key]['value'], kind)})" if key in published else ""
            lines.append(f"  {label:32} {shown(value, kind)}{beside}")
    early = metrics.get("early_exit")
    if early is not None:
        lost = f", {100 * early['changed']:.2f} % of the classes changed" if "changed" in early else ""
        lines.append(f"  {'early exit':32} {100 * early['time_saved']:.1f} % of the time saved{lost}")
    for name, row in metrics.get("spike_trains", {}).items():
        cv = f", CV of its intervals {row['isi_cv']:.2f}" if row["isi_cv"] is not None else ""
        lines.append(f"  {'rate of ' + name:32} {row['rate_hz']:.4g} Hz{cv}")
    if any(metrics.get("queue", {}).values()):
        lines.append(f"  {'queue':32} " + ", ".join(f"{k} {v:,}" for k, v in metrics["queue"].items()))
    if "engine" in metrics:
        lines.append(f"  {'engine':32} {metrics['engine']} ({metrics['engine_reason']})")
    timing = result.content["timing"]
    apart = f", of which compiling {timing['compile_seconds']:.1f} s" if "compile_seconds" in timing else ""
    lines.append(f"  {'time':32} {timing['seconds']:.1f} s{apart}")
    lines += [f"warning: {line}" for line in result.content["warnings"]]
    name = "report.html" if (result.folder / "report.html").exists() else "result.json"
    return "\n".join([*lines, f"  {'see':32} {result.folder / name}"])
