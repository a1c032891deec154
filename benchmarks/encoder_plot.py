"""Throughput and p99 over concurrency, one column of plots a model, as a PNG."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

Figures = Mapping[tuple[str, int], float]
_COLOURS = {"ours": "#2f6fde", "naive": "#e8590c", "infinity": "#2f9e44"}


def plot(path: Path, every: Mapping[str, tuple[float, Figures, Figures]]) -> None:
    """`every`: variant -> (texts/s of the runtime alone, texts/s and p99 in ms by (server, concurrency))."""
    figure, axes = pyplot.subplots(2, len(every), figsize=(4.2 * len(every), 6.4), squeeze=False)
    for column, (name, (limit, per_second, p99_ms)) in enumerate(every.items()):
        above, below = axes[0][column], axes[1][column]
        above.axhline(limit, color="#868e96", linestyle="--", label="the runtime alone")
        for server in sorted({server for server, _ in per_second}):
            concurrencies = sorted(c for s, c in per_second if s == server)
            for axis, figures in ((above, per_second), (below, p99_ms)):
                values = [figures[server, c] for c in concurrencies]
                axis.plot(concurrencies, values, marker="o", color=_COLOURS.get(server), label=server)
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
