"""nDCG@10 by class of queries, one bar a way, as a PNG."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from benchmarks.relevance_metrics import mean
from benchmarks.relevance_report import Evaluated, by_class

matplotlib.use("Agg")
from matplotlib import pyplot

_COLOURS = {"keyword": "#b0b7c3", "semantic": "#74b0f4", "fused": "#2f6fde", "re-ranked": "#e8590c"}


def plot(path: Path, catalogues: Sequence[Evaluated]) -> None:
    """One chart a catalogue, one below the other."""
    figure, axes = pyplot.subplots(len(catalogues), 1, figsize=(11, 3.4 * len(catalogues)), squeeze=False)
    for axis, evaluated in zip(axes[:, 0], catalogues, strict=True):
        width = 0.8 / len(evaluated.results)
        for place, (way, results) in enumerate(evaluated.results.items()):
            classes = by_class(results)
            heights = [mean(found).ndcg for found in classes.values()]
            left = [at + (place - (len(evaluated.results) - 1) / 2) * width for at in range(len(classes))]
            axis.bar(left, heights, width, color=_COLOURS.get(way), label=way)
            axis.set_xticks(range(len(classes)), list(classes))
        axis.set_title(f"{evaluated.name} (made-up products)", fontsize=10)
        axis.set_ylabel("nDCG@10")
        axis.set_ylim(0, 1)
        axis.grid(axis="y", alpha=0.3)
        axis.legend(fontsize=8, ncols=4, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
