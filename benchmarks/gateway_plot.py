"""Throughput and latency over queries at once, the gateway beside the floor, as a PNG."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

_COLOURS = {"gateway": "#2f6fde", "floor": "#868e96", "floor and join": "#e8590c"}
_STYLES = {"p50_ms": "-", "p95_ms": "--", "p99_ms": ":"}


def plot(path: Path, at: Callable[[str, int, str], float], levels: Sequence[int]) -> None:
    """`at(who, queries at once, figure)` gives each point; p50 solid, p95 dashed, p99 dotted."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4.2))
    for who, colour in _COLOURS.items():
        left.plot(
            levels, [at(who, level, "per_second") for level in levels], marker="o", color=colour, label=who
        )
        for what, style in _STYLES.items():
            right.plot(
                levels, [at(who, level, what) for level in levels], style, marker=".", color=colour,
                label=f"{who}, {what[:3]}",
            )  # fmt: skip
    left.set_ylabel("queries/s")
    left.set_ylim(bottom=0)
    right.set_ylabel("ms")
    right.set_yscale("log")
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xlabel("queries at once")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
