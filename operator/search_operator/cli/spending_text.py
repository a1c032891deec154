"""What an index has cost as rich renderables: a table of items, bars for months."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search_operator.cli.drawing import bar, columns
from search_operator.cli.screen import Money, Screen, encoders
from search_operator.cli.screen_text import money_bar
from search_operator.cli.spending import MonthSpent, Spending, sums
from search_operator.cli.times import ago, until

_BAR = 40


def spending_text(told: Spending, now: datetime) -> RenderableType:
    """This month by item, what it comes to, and the months before it."""
    head = Text(f"{told.namespace}/{told.name}", "bold")
    money = told.money
    if money is None or told.this_month is None:
        return Group(head, Text(told.note, "yellow"))
    head.append(f"  {money.month}, as of {ago(money.as_of, now)}", "")
    head.append(f", prices of {told.prices_as_of}" if told.prices_as_of else "", "")
    parts: list[RenderableType] = [head, _items(told.this_month, money), Text(), *_projection(money, now)]
    parts += [Text(each) for each in (told.open_cost, told.note) if each]
    return Group(*parts, Text(), _months(told, money))


def costs_text(told: Sequence[Screen], *, namespaces: bool) -> RenderableType:
    """One line an index, and what all of them come to in each currency."""
    head = ("NAME", "MONTH", "SPENT", "PROJECTED", "CAP", "CURRENCY", "ALLOWED")
    table = columns(
        ("NAMESPACE", *head) if namespaces else head, right=("SPENT", "PROJECTED", "CAP", "ALLOWED")
    )
    for each in told:
        money = each.money
        cells = ("-",) * 6
        if money:
            allowed = "-" if money.allowed_max is None else str(money.allowed_max)
            cells = (money.month, money.spent, money.projected, money.cap, money.currency, allowed)
        table.add_row(*((each.namespace,) if namespaces else ()), each.name, *cells)
    counted = [each.money for each in told if each.money]
    if len(counted) > 1:
        for currency, spent, projected, cap in sums(counted):
            table.add_row(*(("",) if namespaces else ()), "all", "", spent, projected, cap, currency, "")
    return table


def _items(month: MonthSpent, money: Money) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("item", min_width=14)
    table.add_column(f"spent, {money.currency}", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    total = float(month.spent)
    for each in month.items:
        share = float(each.spent) / total if total else 0.0
        table.add_row(each.item, each.spent, f"{100 * share:.0f} %", bar([(share, "█", "cyan")], 24))
    table.add_row(Text("all", "bold"), Text(month.spent, "bold"), "", "")
    return table


def _projection(money: Money, now: datetime) -> Iterator[RenderableType]:
    yield Text(f"projected {money.projected} of a cap of {money.cap} {money.currency}")
    if line := money_bar(money, _BAR):
        yield line
    facts = [f"{money.hourly} an hour as it runs now"] if money.hourly else []
    facts += [f"{money.at_minimum} with the fewest encoders from now on"] if money.at_minimum else []
    facts += [f"the guard allows {encoders(money.allowed_max)}"] if money.allowed_max is not None else []
    facts += [f"the cap is reached {until(money.reached_at, now)}"] if money.reached_at else []
    facts += [f"given up: {', '.join(money.deferred)}"] if money.deferred else []
    yield Text("; ".join(facts))


def _months(told: Spending, money: Money) -> RenderableType:
    """A bar for each month on one scale, the cap's or the dearest month's."""
    spent = {each.month: float(each.spent) for each in told.past} | {money.month: float(money.spent)}
    cap, projected = float(money.cap), float(money.projected)
    scale = max(cap, projected, *spent.values()) or 1.0
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for month, value in spent.items():
        now = month == money.month
        reach = [(value / scale, "█", "red" if value > cap else "green")]
        reach += [(projected / scale, "▒", "red" if projected > cap else "green")] if now else []
        of_cap = f"{100 * value / cap:.0f} % of the cap" if cap else ""
        remark = f"{money.projected} projected" if now else of_cap
        table.add_row(month, f"{value:.2f}", bar(reach, _BAR), remark)
    return table
