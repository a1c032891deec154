"""A report of an experiment as text for a terminal, and as a picture."""

from pathlib import Path

from search_plane.listening.experiment_report import MISMATCH_P, Arm, Compared, ExperimentReport, Metric


def as_text(report: ExperimentReport) -> str:
    """Tables and sentences, in columns of plain characters."""
    lines = [f"experiment {report.experiment}, {report.since} to {report.until}", ""]
    rows = [["arm", "searches", "buckets", "degraded", *(metric.title for metric in report.metrics)]]
    for arm in report.arms:
        rows.append(
            [
                arm.name + (" (control)" if arm.control else ""),
                f"{arm.searches:,}",
                f"{arm.buckets:,}",
                f"{arm.degraded / arm.searches:.1%}" if arm.searches else "-",
                *(_figure(arm, metric) for metric in report.metrics),
            ]
        )
    lines += _columns(rows)
    control = report.arms[0].name
    rows = [
        [
            f"against {control}",
            "metric",
            "difference",
            f"{report.confidence:.1%} interval",
            "relative",
            "verdict",
        ]
    ]
    for arm in report.arms[1:]:
        for metric in report.metrics:
            if (told := arm.differences.get(metric.name)) is not None:
                rows.append([arm.name, metric.title, *_difference(told, metric)])
    lines += ["", *_columns(rows), ""]
    for arm in report.arms[1:]:
        first = report.metrics[0]
        told = arm.differences.get(first.name)
        if told is not None and told.detectable is not None:
            lines.append(
                f"so many searches find a difference of {first.told(told.detectable)} in the {first.title} of {arm.name} "
                "in 4 of 5 cases"
            )
    if report.mismatch_p is not None and report.mismatch_p >= MISMATCH_P:
        lines.append(
            f"the arms have the shares of the searches that they should have (p = {report.mismatch_p:.2f})"
        )
    lines += [f"WARNING: {warning}" for warning in report.warnings]
    return "\n".join(lines)


def _figure(arm: Arm, metric: Metric) -> str:
    figure = arm.figures.get(metric.name)
    if figure is None:
        return "-"
    return f"{metric.told(figure.value)} [{metric.told(figure.low)}, {metric.told(figure.high)}]"


def _difference(told: Compared, metric: Metric) -> list[str]:
    relative = f"{told.relative:+.1%}" if told.relative is not None else "-"
    interval = f"[{metric.told(told.low, '+')}, {metric.told(told.high, '+')}]"
    return [metric.told(told.value, "+"), interval, relative, told.verdict]


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def plot(path: Path, report: ExperimentReport) -> None:
    """Rates of each arm, and differences to the control with their intervals. Needs matplotlib (the report extra)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.8), width_ratios=[1, 1.25])
    colours = ["#868e96", "#2f6fde", "#2b8a3e", "#e8590c"]
    for number, arm in enumerate(report.arms):
        colour = colours[number % len(colours)]
        for place, metric in enumerate(report.metrics):
            if (own := arm.figures.get(metric.name)) is None:
                continue
            width = 0.8 / len(report.arms)
            at = place + (number - (len(report.arms) - 1) / 2) * width
            errors = [[100 * (own.value - own.low)], [100 * (own.high - own.value)]]
            label = f"{arm.name} ({arm.searches:,} searches)" if place == 0 else None
            left.bar(at, 100 * own.value, width * 0.92, yerr=errors, capsize=3, color=colour, label=label)
    left.set_xticks(range(len(report.metrics)), [metric.title for metric in report.metrics], fontsize=8)
    left.set_ylabel("% of searches (1 / rank: times 100)")
    left.legend(fontsize=8)
    labels: list[str] = []
    for number, arm in enumerate(report.arms[1:], 1):
        for metric in report.metrics:
            if (told := arm.differences.get(metric.name)) is None:
                continue
            place = -len(labels)
            labels.append(f"{arm.name}: {metric.title}\n{told.verdict}")
            errors = [[100 * (told.value - told.low)], [100 * (told.high - told.value)]]
            right.errorbar(
                100 * told.value, place, xerr=errors, fmt="o", capsize=4, color=colours[number % len(colours)]
            )
    right.axvline(0, color="#495057", linewidth=0.8)
    right.set_yticks([-place for place in range(len(labels))], labels, fontsize=8)
    right.set_ylim(-len(labels) + 0.5, 0.5)
    right.set_xlabel(f"difference to {report.arms[0].name}, in hundredths, {report.confidence:.1%} interval")
    right.grid(axis="x", alpha=0.3)
    figure.suptitle(
        f"experiment {report.experiment}, {report.since[:10]} to {report.until[:10]}", fontsize=10
    )
    figure.tight_layout()
    # Without the library's version, so that the same report gives the same file.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
