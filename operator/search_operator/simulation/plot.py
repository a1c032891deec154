"""The year as a picture; needs matplotlib, which the operator's image does not have."""

from pathlib import Path

import matplotlib

from search_operator.money.months import moment_of
from search_operator.money.tariff import MICROS
from search_operator.simulation.run import Result

matplotlib.use("Agg")
from matplotlib import pyplot


def plot(path: Path, result: Result) -> None:
    """Load, encoders with what the guard allows, and each month's spend against the cap; lost hours in red."""
    zone, tariff = result.scenario.zone, result.scenario.tariff
    times = [moment_of(hour.at).astimezone(zone) for hour in result.hours]
    figure, axes = pyplot.subplots(3 if tariff else 2, 1, figsize=(12, 9 if tariff else 6), sharex=True)
    load, encoders = axes[0], axes[1]
    load.plot(times, [hour.load for hour in result.hours], color="#2f6fde", linewidth=0.5)
    load.set_ylabel("queries/s")
    encoders.plot(
        times, [hour.encoders for hour in result.hours], color="#2f9e44", linewidth=0.6, label="run"
    )
    allowed = [hour.allowed for hour in result.hours]
    encoders.step(times, allowed, color="#e8590c", linewidth=1, label="the guard allows")
    encoders.set_ylabel("encoders")
    encoders.set_ylim(bottom=0)
    lost = [time for time, hour in zip(times, result.hours, strict=True) if hour.lost["guard"]]
    encoders.plot(lost, [0.4] * len(lost), "|", color="#c92a2a", label="too few for the guard's sake")
    if tariff:
        money = axes[2]
        money.plot(
            times, [hour.spent / MICROS for hour in result.hours], color="#7048e8", linewidth=1, label="spent"
        )
        money.axhline(tariff.cap / MICROS, color="#c92a2a", linestyle="--", label="cap")
        money.set_ylabel(f"{tariff.currency}, this month")
        money.legend(fontsize=8, loc="lower right")
    for axis in axes:
        axis.grid(alpha=0.3)
        for opening in result.openings:
            axis.axvspan(opening.start, opening.end, color="#fab005", alpha=0.3)
    load.set_title("windows in yellow", fontsize=9)
    encoders.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=3, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
