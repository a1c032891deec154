"""What an index has cost as a picture; needs matplotlib, which the operator's image does not have."""

from pathlib import Path

import matplotlib

from search_operator.cli.spending import ITEMS, Spending

matplotlib.use("Agg")
from matplotlib import pyplot

_COLOURS = (
    "#2f6fde",
    "#74a9f7",
    "#7048e8",
    "#2f9e44",
    "#fab005",
    "#e8590c",
    "#868e96",
    "#ced4da",
)


def plot(path: Path, told: Spending) -> None:
    """A bar for each month, stacked by item, what is still to come hatched, and the cap as a line."""
    money, this = told.money, told.this_month
    if money is None or this is None:
        raise ValueError("there is nothing to plot: nobody counts")
    months = [*told.past, this]
    names = [each.month for each in months]
    figure, axis = pyplot.subplots(figsize=(max(6.0, 0.9 * len(months) + 3), 4.5))
    bottom = [0.0] * len(months)
    for item, colour in zip(ITEMS, _COLOURS, strict=True):
        heights = [sum(float(i.spent) for i in each.items if i.item == item) for each in months]
        if any(heights):
            axis.bar(names, heights, bottom=bottom, color=colour, label=item)
            bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    # A month of which only the sum is known, and the cents that rounding by item leaves.
    rest = [max(0.0, float(each.spent) - low) for each, low in zip(months, bottom, strict=True)]
    if any(value > 0.05 for value in rest):
        axis.bar(names, rest, bottom=bottom, color="#adb5bd", label="not told by item")
    to_come = max(0.0, float(money.projected) - float(money.spent))
    axis.bar(
        [money.month], [to_come], bottom=[float(money.spent)], color="none", edgecolor="#495057", hatch="//"
    )
    axis.axhline(float(money.cap), color="#c92a2a", linestyle="--", label="cap")
    axis.set_ylabel(f"{money.currency} a month")
    axis.set_title(f"{told.namespace}/{told.name}; hatched: projected", fontsize=9)
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.margins(y=0.08)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
