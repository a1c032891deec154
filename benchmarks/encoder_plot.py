"""Throughput and p99 over concurrency, one column of plots a model, as a PNG."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median

import matplotlib

from benchmarks.encoder_rows import CASES, Figures

matplotlib.use("Agg")
from matplotlib import pyplot

_COLOURS = {"ours": "#2f6fde", "naive": "#e8590c", "infinity": "#2f9e44"}


def plot(path: Path, every: Mapping[str, Figures]) -> None:
    """`every`: figures by variant; only the queries are drawn."""
    figure, axes = pyplot.subplots(2, len(every), figsize=(4.2 * len(every), 6.4), squeeze=False)
    cases = [case for case in CASES if case.kind == "queries"]
    for column, (name, found) in enumerate(every.items()):
        above, below = axes[0][column], axes[1][column]
        limit = median(found.limit["queries"])
        above.axhline(limit, color="#868e96", linestyle="--", label="the runtime alone")
        for server in ("ours", *found.peers):
            for axis, figures in ((above, found.per_second), (below, found.p99_ms)):
                values = [median(figures[server, case]) for case in cases]
                axis.plot(
                    [case.concurrency for case in cases], values,
                    marker="o", color=_COLOURS.get(server), label=server,
                )  # fmt: skip
        above.set_title(name, fontsize=10)
        above.set_ylabel("texts/s")
        above.set_ylim(bottom=0)
        below.set_ylabel("p99, ms")
        below.set_yscale("log")
        below.set_xlabel("requests at once, one query of 16 tokens each")
        for axis in (above, below):
            axis.set_xscale("log", base=2)
            axis.grid(alpha=0.3)
        above.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
