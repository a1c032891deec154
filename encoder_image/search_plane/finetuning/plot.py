"""Each metric on held-out queries before and after, as an SVG."""

from pathlib import Path

from search_plane.finetuning.evaluation import METRICS
from search_plane.finetuning.report import FinetuneReport


def plot(path: Path, report: FinetuneReport) -> None:
    """Write the bars. Needs matplotlib, which the finetune extra holds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(5.6, 3.4))
    for offset, name, colour, figures in (
        (-0.2, "before", "#868e96", report.before),
        (0.2, "after", "#2f6fde", report.after),
    ):
        places = [place + offset for place in range(len(METRICS))]
        bars = axis.bar(places, [figures[metric] for metric in METRICS], 0.38, color=colour, label=name)
        axis.bar_label(bars, fmt="%.3f", fontsize=8)
    axis.set_xticks(range(len(METRICS)), METRICS)
    axis.set_ylim(0, 1.08)
    axis.set_title(
        f"{report.model} {report.revision}: {report.split.held_out_queries} held-out queries "
        f"over {report.split.held_out_products} products",
        fontsize=9,
    )
    axis.grid(axis="y", alpha=0.3)
    axis.legend(fontsize=8, loc="upper left")
    figure.tight_layout()
    # Without a date, so that the same report gives the same file.
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
